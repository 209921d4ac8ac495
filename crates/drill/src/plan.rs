//! The load plan: who comes when, asks for what, and behaves how.
//!
//! A plan is a value. It knows no clock, no socket and no file; [`Plan::schedule`] makes the same planned starts of
//! the same seed.

use std::time::Duration;

use outlast_config::Spread;
use outlast_runtime::random::Seeded;

use crate::threshold::Threshold;

/// What a drill will do.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What it is called in reports.
    pub name: String,
    /// What it is for, in a sentence.
    pub story: String,
    /// Groups of users that are alike.
    pub loads: Vec<Load>,
    /// What is done to a server that the drill started.
    pub misfortunes: Vec<Misfortune>,
    /// What must hold.
    pub hold: Vec<Threshold>,
    /// How long after the last planned end streams may go on, before they count as stuck.
    pub grace: Duration,
    /// Beyond this lag of its own the drill says that it measured itself.
    pub lag_max: Duration,
    /// How many times faster than written it runs.
    pub scale: f64,
}

/// A group of users that are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// What it is called in reports.
    pub name: String,
    /// What is asked for.
    pub kind: Kind,
    /// Where. None: the path of the URL, or else where `outlast serve` and the built-in origin have it.
    pub path: Option<String>,
    /// When the first one may come, from the start of the drill.
    pub start: Duration,
    /// When they come.
    pub arrivals: Arrivals,
    /// Streams that each opens at once.
    pub tabs: u32,
    /// How long a stream lasts, as far as the server lets itself be asked.
    pub length: Spread,
    /// Between two lines of a stream of the built-in origin.
    pub gap: Spread,
    /// From the request to the first line of the built-in origin.
    pub first_byte: Spread,
    /// What they do beside reading.
    pub client: Client,
    /// What they do when refused.
    pub reclick: Reclick,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `POST /api/chat` as `outlast serve` speaks it: lines of JSON with one last line.
    Chat,
    /// `GET`: lines of JSON.
    Ndjson,
    /// `GET`: server-sent events.
    Sse,
    /// `GET`: a short answer.
    Plain,
}

impl Kind {
    /// The words of a plan, in the order of [`Kind::ALL`].
    pub const NAMES: [&'static str; 4] = ["chat", "ndjson", "sse", "plain"];
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Chat, Self::Ndjson, Self::Sse, Self::Plain];

    /// Where `outlast serve` or the built-in origin has it.
    #[must_use]
    pub fn default_path(self) -> &'static str {
        match self {
            Self::Chat => "/api/chat",
            Self::Ndjson => "/ndjson",
            Self::Sse => "/sse",
            Self::Plain => "/plain",
        }
    }
}

/// When users come. Nobody waits for an earlier one to be served: the loop is open.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrivals {
    /// All together.
    AtOnce {
        /// How many.
        users: u32,
    },
    /// One after each gap.
    Constant {
        /// How many.
        users: u32,
        /// Between two.
        gap: Duration,
    },
    /// Independently of each other.
    Poisson {
        /// How many.
        users: u32,
        /// Between two, on average.
        gap: Duration,
    },
    /// So many together, step by step.
    Steps {
        /// How many in each step.
        levels: Vec<u32>,
        /// How long each step lasts, and the longest that a stream of it does.
        every: Duration,
    },
}

impl Arrivals {
    /// How many users come in all.
    #[must_use]
    pub fn users(&self) -> u64 {
        match self {
            Self::AtOnce { users } | Self::Constant { users, .. } | Self::Poisson { users, .. } => {
                u64::from(*users)
            }
            Self::Steps { levels, .. } => levels.iter().map(|level| u64::from(*level)).sum(),
        }
    }

    /// When each comes, from the start of its load.
    fn draw(&self, chance: &mut Seeded) -> Vec<Duration> {
        match self {
            Self::AtOnce { users } => (0..*users).map(|_| Duration::ZERO).collect(),
            Self::Constant { users, gap } => (0..*users).map(|index| *gap * index).collect(),
            Self::Poisson { users, gap } => {
                let gaps = Spread::Exponential(*gap);
                let mut at = Duration::ZERO;
                let next = |_| {
                    at += gaps.draw(chance);
                    at
                };
                (0..*users).map(next).collect()
            }
            Self::Steps { levels, every } => {
                let starts = (0_u32..).map(|index| *every * index);
                let step = |(level, at): (&u32, Duration)| (0..*level).map(move |_| at);
                levels.iter().zip(starts).flat_map(step).collect()
            }
        }
    }

    fn faster(&self, scale: f64) -> Self {
        let scaled = |duration: Duration| duration.div_f64(scale);
        match self {
            Self::AtOnce { users } => Self::AtOnce { users: *users },
            Self::Constant { users, gap } => Self::Constant { users: *users, gap: scaled(*gap) },
            Self::Poisson { users, gap } => Self::Poisson { users: *users, gap: scaled(*gap) },
            Self::Steps { levels, every } => {
                Self::Steps { levels: levels.clone(), every: scaled(*every) }
            }
        }
    }
}

/// What a client does beside reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Client {
    /// Waits for the end.
    Patient,
    /// Closes the tab so long after the first byte.
    Leave(Spread),
    /// Closes the lid so long after the first byte, opens it again so much later, and goes on where it was.
    Sleep(Spread, Spread),
    /// Reads so many bytes a second.
    Slow(u32),
    /// Stops reading so long after the first byte and never says a word again; the socket stays open to the end.
    Vanish(Spread),
    /// Closes its sending direction after the request.
    HalfClose,
}

impl Reclick {
    /// The longest that all waits between clicks can take together.
    pub(crate) fn longest(&self) -> Duration {
        match self {
            Self::Never => Duration::ZERO,
            Self::Again { wait, times, retry_after } => {
                let asked = match retry_after {
                    RetryAfter::Heed => RETRY_AFTER_MAX,
                    RetryAfter::Ignore => Duration::ZERO,
                };
                wait.longest().max(asked).saturating_mul(*times)
            }
        }
    }
}

impl Client {
    fn faster(self, scale: f64) -> Self {
        match self {
            Self::Patient | Self::HalfClose => self,
            Self::Leave(after) => Self::Leave(after.faster(scale)),
            Self::Sleep(after, rest) => Self::Sleep(after.faster(scale), rest.faster(scale)),
            // As slow beside a stream that is that much faster.
            Self::Slow(rate) => Self::Slow(rate),
            Self::Vanish(after) => Self::Vanish(after.faster(scale)),
        }
    }
}

/// What a client does when it is refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reclick {
    /// Gives up.
    Never,
    /// Clicks again.
    Again {
        /// How long it waits first.
        wait: Spread,
        /// How often, at most.
        times: u32,
        /// Whether it heeds the server.
        retry_after: RetryAfter,
    },
}

/// Nobody waits longer for a server that says to come back later.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Whether a client waits at least as long as `Retry-After` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// As programs should.
    Heed,
    /// As people do.
    Ignore,
}

/// Something bad that is done to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misfortune {
    /// When, from the start of the drill.
    pub at: Duration,
    /// What.
    pub what: Blow,
}

/// What can be done to a server that the drill started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// `SIGKILL`, and it is started again.
    Kill,
    /// `SIGSTOP`, and `SIGCONT` so much later.
    Pause(Duration),
    /// `SIGTERM`; it is not started again.
    Drain,
    /// `SIGTERM`, and it is started again once it has ended.
    Restart,
    /// Its disk has no room, until so much later.
    FullDisk(Duration),
}

impl Blow {
    /// The word of a plan and of a report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause(_) => "pause",
            Self::Drain => "drain",
            Self::Restart => "restart",
            Self::FullDisk(_) => "full_disk",
        }
    }

    fn faster(self, scale: f64) -> Self {
        match self {
            Self::Pause(rest) => Self::Pause(rest.div_f64(scale)),
            Self::FullDisk(rest) => Self::FullDisk(rest.div_f64(scale)),
            Self::Kill | Self::Drain | Self::Restart => self,
        }
    }
}

/// One planned stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Start {
    /// When, from the start of the drill.
    pub at: Duration,
    /// Which load it belongs to.
    pub load: usize,
    /// How long it is to last.
    pub length: Duration,
    /// For everything that is drawn later.
    pub seed: u64,
}

impl Plan {
    /// The same plan, so many times faster. Waits that a server asks for are not scaled.
    #[must_use]
    pub fn faster(mut self, scale: f64) -> Self {
        for load in &mut self.loads {
            load.start = load.start.div_f64(scale);
            load.arrivals = load.arrivals.faster(scale);
            load.length = load.length.faster(scale);
            load.gap = load.gap.faster(scale);
            load.first_byte = load.first_byte.faster(scale);
            load.client = load.client.faster(scale);
            if let Reclick::Again { wait, .. } = &mut load.reclick {
                *wait = wait.faster(scale);
            }
        }
        for misfortune in &mut self.misfortunes {
            misfortune.at = misfortune.at.div_f64(scale);
            misfortune.what = misfortune.what.faster(scale);
        }
        self.scale *= scale;
        self
    }

    /// Every planned stream, in the order of time.
    #[must_use]
    pub fn schedule(&self, seed: u64) -> Vec<Start> {
        let mut starts = Vec::new();
        for (index, load) in self.loads.iter().enumerate() {
            // Each load has its own sequence, so that a change of one leaves the others as they were.
            let mut chance = Seeded::new(seed ^ Seeded::new(index as u64).number());
            let steps_end = match &load.arrivals {
                Arrivals::Steps { every, .. } => Some(*every),
                _ => None,
            };
            for at in load.arrivals.draw(&mut chance) {
                for _ in 0..load.tabs {
                    let drawn = load.length.draw(&mut chance);
                    let length = steps_end.map_or(drawn, |step| drawn.min(step));
                    let seed = chance.number();
                    starts.push(Start { at: load.start + at, load: index, length, seed });
                }
            }
        }
        starts.sort_by_key(|start| start.at);
        starts
    }

    /// The most planned streams that are open at the same time, if each lasts as long as planned.
    #[must_use]
    pub fn overlap(starts: &[Start]) -> usize {
        let mut ends: Vec<_> = starts.iter().map(|start| start.at + start.length).collect();
        ends.sort_unstable();
        let (mut ended, mut most) = (0, 0);
        for (index, start) in starts.iter().enumerate() {
            while ends[ended] < start.at {
                ended += 1;
            }
            most = most.max(index + 1 - ended);
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn load(arrivals: Arrivals, tabs: u32) -> Load {
        Load {
            name: "test".to_owned(),
            kind: Kind::Ndjson,
            path: None,
            start: SECOND,
            arrivals,
            tabs,
            length: Spread::Uniform(SECOND, 3 * SECOND),
            gap: Spread::Fixed(SECOND),
            first_byte: Spread::Fixed(Duration::ZERO),
            client: Client::Patient,
            reclick: Reclick::Never,
        }
    }

    fn plan(loads: Vec<Load>) -> Plan {
        Plan {
            name: "test".to_owned(),
            story: String::new(),
            loads,
            misfortunes: vec![Misfortune { at: 10 * SECOND, what: Blow::Pause(4 * SECOND) }],
            hold: Vec::new(),
            grace: 60 * SECOND,
            lag_max: SECOND,
            scale: 1.0,
        }
    }

    #[test]
    fn arrivals_come_as_they_are_told() {
        let seconds = |arrivals: Arrivals| -> Vec<u64> {
            let starts = plan(vec![load(arrivals, 1)]).schedule(1);
            starts.iter().map(|start| start.at.as_secs()).collect()
        };
        assert_eq!(seconds(Arrivals::AtOnce { users: 3 }), [1, 1, 1]);
        assert_eq!(seconds(Arrivals::Constant { users: 3, gap: 2 * SECOND }), [1, 3, 5]);
        let steps = Arrivals::Steps { levels: vec![1, 3, 2], every: 10 * SECOND };
        assert_eq!((steps.users(), seconds(steps)), (6, vec![1, 11, 11, 11, 21, 21]));
        let poisson = seconds(Arrivals::Poisson { users: 1_000, gap: SECOND });
        assert!(poisson.is_sorted() && (900..1_100).contains(&poisson[999]), "{}", poisson[999]);
    }

    #[test]
    fn the_same_seed_gives_the_same_streams_and_another_gives_others() {
        let plan = plan(vec![load(Arrivals::Poisson { users: 20, gap: SECOND }, 2)]);
        assert_eq!(plan.schedule(7), plan.schedule(7));
        assert_ne!(plan.schedule(7), plan.schedule(8));
        let starts = plan.schedule(7);
        assert_eq!(starts.len(), 40);
        assert_eq!(starts[0].at, starts[1].at, "two tabs are opened together");
        assert_ne!(starts[0].seed, starts[1].seed);
    }

    #[test]
    fn a_faster_plan_keeps_its_shape() {
        let slow = plan(vec![load(Arrivals::Constant { users: 3, gap: 2 * SECOND }, 1)]);
        let fast = slow.clone().faster(10.0);
        let pairs = slow.schedule(1).into_iter().zip(fast.schedule(1));
        for (slow, fast) in pairs {
            assert_eq!(slow.at, fast.at * 10);
            assert!((slow.length.as_secs_f64() - 10.0 * fast.length.as_secs_f64()).abs() < 1e-6);
        }
        assert_eq!(fast.misfortunes[0].at, SECOND);
        assert_eq!(fast.grace, slow.grace, "a server's own waits are not scaled");
    }

    #[test]
    fn the_overlap_counts_who_is_there_together() {
        let start =
            |at, length| Start { at: at * SECOND, load: 0, length: length * SECOND, seed: 0 };
        for (starts, want) in [
            (vec![], 0),
            (vec![start(0, 5), start(1, 1), start(3, 1)], 2),
            (vec![start(0, 1), start(5, 1), start(10, 1)], 1),
            (vec![start(0, 9), start(0, 9), start(0, 9)], 3),
        ] {
            assert_eq!(Plan::overlap(&starts), want);
        }
    }
}
