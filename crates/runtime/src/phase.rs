//! The named phases of the process, which anyone may watch.

use tokio::sync::watch;

/// Where the process is in its life. Phases only move forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Listeners are bound, machines are starting.
    Starting,
    /// Exchanges are admitted.
    Serving,
    /// No new exchange is admitted; those in flight may finish within the grace.
    Draining,
    /// The grace is over: what still runs is cut.
    Stopped,
}

impl Phase {
    /// The name used in logs and in `/api/pool`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }
}

/// The process's phase: one writer's end, cheap to clone.
#[derive(Debug, Clone)]
pub struct Phases(watch::Sender<Phase>);

impl Default for Phases {
    fn default() -> Self {
        Self(watch::Sender::new(Phase::Starting))
    }
}

impl Phases {
    /// The phase at this moment.
    #[must_use]
    pub fn current(&self) -> Phase {
        *self.0.borrow()
    }

    /// Enters `phase`, unless the process is already past it.
    pub fn enter(&self, phase: Phase) {
        self.0.send_if_modified(|current| {
            let forward = phase > *current;
            if forward {
                *current = phase;
            }
            forward
        });
    }

    /// Waits until the process has reached `phase` or a later one.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn reached(&self, phase: Phase) {
        let mut receiver = self.0.subscribe();
        receiver.wait_for(|current| *current >= phase).await.expect("self holds the sender");
    }
}
