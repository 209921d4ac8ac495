//! Servers, scripted machines and clients for tests.
