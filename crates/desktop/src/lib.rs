//! The HTTP router of outlast serve.
