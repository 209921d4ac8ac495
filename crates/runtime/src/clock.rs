//! The only places where the project reads a clock.
//!
//! [`now`] is monotonic and follows tokio's clock, which tests can pause; [`wall_now`] is for people and
//! logs and must never decide anything.

pub use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout, timeout_at};

/// The monotonic time; paused and advanced by tests through `tokio::time`.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock, for log lines and records only: it may jump.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
pub fn wall_now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
