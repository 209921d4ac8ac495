//! The HTTP/1.1 relay: heads, framing, [`Transport`] and the one pump.
//!
//! Heads are parsed by `httparse` and then held to the strict rules of RFC 9112; bodies are followed, so that
//! their end is known, and passed through as they came. While a stream is silent it owns no buffer: bytes move
//! through one scratch buffer per thread, and memory is taken only while a peer does not read, as much as is
//! asked for and at most [`PENDING_MAX`] per direction.
//!
//! This crate does not know admission, machines, header policy or logging: it is told which lines to add and
//! whom to tell about progress.

mod authority;
mod body;
mod credentials;
mod head;
mod inbox;
mod messages;
mod pump;
mod relay;
mod request;
mod response;
mod rule;
mod scratch;
mod splice;
mod target;
mod trailers;
mod transport;
mod tunnel;

pub use body::{Body, BodyError, Coding};
pub use credentials::Credentials;
pub use head::{HEAD_BYTES_MAX, HeadError, Version};
pub use inbox::{Gather, GatherError, HalfClose, INBOX_MAX, Inbox, ReadHead, is_forwarding_claim};
pub use messages::MessageKind;
pub use pump::PENDING_MAX;
pub use relay::{Beat, Exchange, Failure, Finished, Observer, Stage};
pub use request::{OWN_PATHS, Request, Untrusted};
pub use response::{HeartbeatRule, RepeatRule, Replay, ReplayRule, ResponseRules};
pub use rule::RULES;
pub use target::RequestTarget;
pub use transport::{Presence, Transport, is_of_vanished};
pub use tunnel::{Tunnel, TunnelError};
