//! The signals that ask us to end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Interrupt, terminate and hang-up: the second one means "now".
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The name of the next one.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _some = self.interrupt.recv() => "SIGINT",
            _some = self.terminate.recv() => "SIGTERM",
            _some = self.hang_up.recv() => "SIGHUP",
        }
    }
}
