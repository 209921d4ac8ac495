//! What the fuzz targets share: bytes that arrive in pieces, exchanges over them, and a look at heads.
//!
//! Everything runs within one call, without a runtime: a transport of this crate is always ready.

mod exchange;
mod head;
mod pieces;

pub use exchange::{Answered, Heard, answer, converse};
pub use head::check_head;
pub use pieces::Pieces;
