//! From the text of `fly.toml` and `outlast.toml` to a checked plan.
//!
//! Promises: what Fly accepts decodes; every value knows where it came from; whatever is wrong is said with its place
//! and what to do about it, all of it at once; after [`check`] nobody checks again. No input makes it panic.
//!
//! It happens in two stages, what the user wrote ([`fly::Written`], [`outlast::Written`]) and what the program needs
//! ([`Plan`]). This crate reads no file, no environment and no arguments: the binary hands it their contents.

mod byte_size;
mod check;
mod diagnostic;
mod duration;
pub mod fly;
mod health;
mod keys;
mod named;
pub mod outlast;
mod pattern;
pub mod plan;
mod proxies;
pub mod read;
mod route;
mod setting;
mod source;
mod spread;
mod value;
mod variables;

pub use byte_size::ByteSize;
pub use check::{Checked, Flags, Sources, Value, check};
pub use diagnostic::{Diagnostic, Level, Remark, sort as sort_diagnostics};
pub use duration::{DurationError, format_duration, parse_duration};
pub use fly::decode_fly;
pub use health::*;
pub use keys::{KeyDoc, reference};
pub use outlast::decode_outlast;
pub use pattern::PathPattern;
pub use plan::*;
pub use proxies::{HeaderName, Network};
pub use route::*;
pub use setting::{ParseSettingError, parse_address};
pub use source::{Located, Origin, Place, SourceText};
pub use spread::{Spread, SpreadError};
pub use variables::{VariableDoc, variables};
