//! The explanations that compete for an incident.

use std::fmt;

/// What may have caused an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Long exchanges at work hold all places.
    WorkingStreams,
    /// Connections on which nothing happens hold them, because they are what is counted.
    IdleConnections,
    /// Exchanges of peers that have vanished hold them.
    Zombies,
    /// A header of the app keeps connections open.
    KeepAliveHeader,
    /// Many short requests at once.
    LimitTooLowForBurst,
    /// A machine takes too long until it answers.
    SlowStart,
    /// A machine does not come to answer at all.
    FailingStart,
    /// The app ends again and again.
    CrashLoop,
    /// A new version was brought out.
    Deploy,
    /// A machine was suspended or stopped as not needed, and what it held broke.
    Suspend,
    /// Clients left by themselves.
    ClientAborts,
}

impl Cause {
    /// All of them, in the order in which equals are told.
    pub const ALL: [Self; 11] = [
        Self::WorkingStreams,
        Self::IdleConnections,
        Self::Zombies,
        Self::KeepAliveHeader,
        Self::LimitTooLowForBurst,
        Self::SlowStart,
        Self::FailingStart,
        Self::CrashLoop,
        Self::Deploy,
        Self::Suspend,
        Self::ClientAborts,
    ];

    /// Its id in reports for programs, such as `working_streams`.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::WorkingStreams => "working_streams",
            Self::IdleConnections => "idle_connections",
            Self::Zombies => "zombies",
            Self::KeepAliveHeader => "keep_alive_header",
            Self::LimitTooLowForBurst => "limit_too_low_for_burst",
            Self::SlowStart => "slow_start",
            Self::FailingStart => "failing_start",
            Self::CrashLoop => "crash_loop",
            Self::Deploy => "deploy",
            Self::Suspend => "suspend",
            Self::ClientAborts => "client_aborts",
        }
    }

    /// As people say it, such as `working streams`.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::WorkingStreams => "working streams",
            Self::IdleConnections => "idle connections",
            Self::Zombies => "zombies",
            Self::KeepAliveHeader => "a keep-alive header",
            Self::LimitTooLowForBurst => "a burst of short requests",
            Self::SlowStart => "a slow start",
            Self::FailingStart => "a failing start",
            Self::CrashLoop => "a crash loop",
            Self::Deploy => "a deploy",
            Self::Suspend => "suspend or autostop",
            Self::ClientAborts => "clients that left",
        }
    }

    /// The sentence that it stands for: lowercase, no full stop.
    #[must_use]
    pub fn claim(self) -> &'static str {
        match self {
            Self::WorkingStreams => "long exchanges at work held the places",
            Self::IdleConnections => {
                "connections on which nothing happened held the places, because connections are counted"
            }
            Self::Zombies => "exchanges of clients that had vanished held the places",
            Self::KeepAliveHeader => "a keep-alive header of the app kept connections open",
            Self::LimitTooLowForBurst => "more short requests came at once than the limit lets in",
            Self::SlowStart => "a machine took too long until it answered",
            Self::FailingStart => "a machine was started and never answered",
            Self::CrashLoop => "the app ended again and again",
            Self::Deploy => "a new version took machines away while they were at work",
            Self::Suspend => {
                "a machine was suspended or stopped as not needed, and what it held broke"
            }
            Self::ClientAborts => "clients left by themselves",
        }
    }

    /// How likely it is before any line was read, in decibans: ours to guess, and told in docs/diagnosis.md.
    pub(crate) fn prior(self) -> i32 {
        match self {
            Self::WorkingStreams | Self::SlowStart => 0,
            Self::IdleConnections => -1,
            Self::FailingStart | Self::CrashLoop | Self::Deploy | Self::Suspend => -2,
            Self::Zombies => -3,
            Self::LimitTooLowForBurst => -5,
            Self::ClientAborts => -8,
            Self::KeepAliveHeader => -10,
        }
    }

    /// Whether it explains a machine that is at its hard limit.
    pub(crate) fn fills_places(self) -> bool {
        match self {
            Self::WorkingStreams
            | Self::IdleConnections
            | Self::Zombies
            | Self::KeepAliveHeader
            | Self::LimitTooLowForBurst => true,
            Self::SlowStart
            | Self::FailingStart
            | Self::CrashLoop
            | Self::Deploy
            | Self::Suspend
            | Self::ClientAborts => false,
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
