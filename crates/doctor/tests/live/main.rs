//! Running gateways from outside: what an admin listener answers goes in, statements and findings come out.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod gateway;
mod rules;
mod statements;
