//! Who may: one-time links, cookies, bearer tokens, `Host` and `Origin`.
//!
//! Two processes, gateway and desktop, share one data folder and agree about everything here. This crate reads no
//! environment and knows no server; what is kept, checked and not protected against is in `docs/access.md`.

mod denial;
mod gate;
mod hosts;
mod keys;
mod shown;
mod signed;

pub use denial::{Denial, DenialReason};
pub use gate::{Gate, Login, Visit};
pub use hosts::Hosts;
pub use keys::{Access, AccessError, SessionCookie, Ticket};
pub use shown::Shown;
