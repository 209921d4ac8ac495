//! Durable streams of the real program.

mod access;
mod kept;
mod peers;
