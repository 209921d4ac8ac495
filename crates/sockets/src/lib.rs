//! What the kernel knows of TCP sockets: whether bytes are unacknowledged, how old the last sign of life is, what waits.
//!
//! One `sock_diag` dump tells it for all sockets of a [`Query`], which the kernel itself filters, so that the sockets of others
//! cost next to nothing. Nothing is kept and nothing allocated per socket: each is shown to a closure. What the numbers mean for
//! a client or a machine is not known here.
//!
//! Only Linux tells; elsewhere [`Dump::open`] says that it does not.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
mod error;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod message;
#[cfg(target_os = "linux")]
mod query;
mod socket;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::Dump;
pub use error::DumpError;
#[cfg(target_os = "linux")]
pub use linux::Dump;
pub use socket::{Info, Query, Socket, TcpState, Timer};
