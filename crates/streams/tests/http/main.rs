//! The protocol over real sockets: what the public suite does not ask.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic as tests do")]

mod events;
mod help;
mod polls;
mod reads;
mod writes;
