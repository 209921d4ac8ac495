//! What happens in an incident, before it has happened: people, machines and what is done to them.
//!
//! All times are seconds of the story. A story is lived faster than it is told: its times are divided by the scale when it
//! is driven, and multiplied by it when it is written down.

use std::time::Duration;

use outlast_runtime::random::Seeded;

/// Everything that a generated incident consists of.
pub(super) struct Script {
    /// The `fly.toml` that the user has.
    pub(super) fly: String,
    /// How many times faster it is lived.
    pub(super) scale: f64,
    /// What is counted, and the limit.
    pub(super) counts: &'static str,
    pub(super) hard: u32,
    /// How long the gateway lets a request wait.
    pub(super) patience: f64,
    /// How long a connection to a machine lingers.
    pub(super) linger: f64,
    /// How often the app pings its WebSockets, and how long it waits for an answer.
    pub(super) pings: (f64, f64),
    /// One `outlast up` after another.
    pub(super) parts: Vec<Part>,
    /// The log that the user has saved begins and ends here, on the clock of the first part.
    pub(super) window: (f64, f64),
}

/// The life of one gateway.
pub(super) struct Part {
    /// When it begins.
    pub(super) offset: f64,
    pub(super) machines: Machines,
    pub(super) visits: Vec<Visit>,
    pub(super) acts: Vec<(f64, Act)>,
    /// What the app says by itself: what somebody has deployed, a job that has run.
    pub(super) remarks: Vec<(f64, String)>,
}

/// What stands behind the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Machines {
    /// So many, and all run.
    Running(usize),
    /// One that the gateway starts as it starts itself; its port opens when an act says so, or never.
    Cold,
    /// One that the gateway starts, and that ends by itself soon after each start.
    Crashing,
}

/// One thing that somebody wants of the app.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) at: f64,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) kind: Kind,
    /// From the request to the response's head.
    pub(super) first: f64,
    /// From the head to the end.
    pub(super) length: f64,
    pub(super) status: u16,
    pub(super) bytes: u32,
    /// Closes the tab so long after it has asked.
    pub(super) leaves: Option<f64>,
    /// What who is refused does: so many more clicks, with so long between.
    pub(super) clicks: u32,
    pub(super) pause: f64,
    /// Whether its network is one that will lose it: its number among those.
    pub(super) fated: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Stream,
    /// A WebSocket, which the app pings.
    Socket,
}

/// What is done to machines and networks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Act {
    /// The platform freezes the machine with all its connections; the app is not told.
    Suspend(usize),
    Resume(usize),
    /// The signal has come, for this reason; the port closes, and after so long whatever is open is cut.
    Stop(usize, f64, Why),
    /// The app ends by itself, with such an exit code.
    Crash(usize, i32),
    /// The port is open again.
    Start(usize),
    /// It runs, but listens where nobody asks.
    StartDeaf(usize),
    /// The machine will not be started again.
    GiveUp(usize),
    /// These people's network is gone.
    Vanish,
}

/// Why a machine is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Deploy,
    Idle,
}

impl Visit {
    /// A short answer.
    pub(super) fn plain(at: f64, method: &'static str, path: &str, takes: f64) -> Self {
        Self {
            at,
            method,
            path: path.to_owned(),
            kind: Kind::Plain,
            first: takes,
            length: 0.0,
            status: 200,
            bytes: 640,
            leaves: None,
            clicks: 0,
            pause: 5.0,
            fated: None,
        }
    }

    /// An answer that takes its time.
    pub(super) fn stream(at: f64, path: &str, length: f64) -> Self {
        let kind = Kind::Stream;
        Self { kind, first: 1.0, length, bytes: 200, ..Self::plain(at, "POST", path, 0.0) }
    }

    pub(super) fn socket(at: f64, path: &str, length: f64) -> Self {
        Self { kind: Kind::Socket, method: "GET", ..Self::stream(at, path, length) }
    }

    /// Who is refused tries again.
    pub(super) fn clicking(self, clicks: u32, pause: f64) -> Self {
        Self { clicks, pause, ..self }
    }
}

/// Chance that comes again with its seed.
pub(super) struct Chance(Seeded);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(Seeded::new(seed))
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.share()
    }

    /// From `low` up to and with `high`.
    pub(super) fn whole(&mut self, low: u32, high: u32) -> u32 {
        low + u32::try_from(self.0.number() % u64::from(high - low + 1)).unwrap()
    }

    pub(super) fn hits(&mut self, share: f64) -> bool {
        self.0.share() < share
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.whole(0, u32::try_from(from.len()).unwrap() - 1) as usize]
    }

    /// So many hex digits.
    pub(super) fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from(b"0123456789abcdef"[self.whole(0, 15) as usize])).collect()
    }

    /// Times from `from` to `to`, each about so long after the other.
    pub(super) fn times(&mut self, from: f64, to: f64, gap: f64) -> Vec<f64> {
        let mut times = Vec::new();
        let mut at = from + self.between(0.0, gap);
        while at < to {
            times.push(at);
            at += gap * self.between(0.4, 1.6);
        }
        times
    }
}

/// A time of the story as it is lived.
pub(super) fn lived(story: f64, scale: f64) -> Duration {
    Duration::from_secs_f64((story / scale).max(0.0))
}
