//! From the text of fly.toml and outlast.toml to a checked plan.

pub mod plan;

pub use plan::*;
