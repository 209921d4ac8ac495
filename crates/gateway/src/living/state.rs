//! Which state an exchange is in, and the words for it (design: the first that fits).

use std::fmt::{self, Display, Write};
use std::time::Duration;

use outlast_http1::Stage;

use super::socket::{Question, Reading};

/// Bytes that wait for so long make a slow reader.
const SLOW: Duration = Duration::from_secs(2);
/// An exchange is active for so long after a byte.
const ACTIVE: Duration = Duration::from_secs(5);
/// A tunnel is idle when it has been silent for so long.
const IDLE: Duration = Duration::from_secs(30);

/// What an exchange does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It has no place.
    Queued,
    /// A peer has not answered for ten seconds.
    Zombie,
    /// Bytes wait, and the peer is alive.
    SlowReader,
    /// A byte passed within five seconds.
    Active,
    /// A tunnel, silent both ways.
    Idle,
    /// It is silent, and all is acknowledged.
    Thinking,
}

/// What is known of an exchange without the kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) stage: Stage,
    pub(crate) is_tunnel: bool,
    /// Since its last byte, or its beginning.
    pub(crate) silent: Duration,
    /// Since its beginning.
    pub(crate) age: Duration,
}

/// What the kernel tells of its two ends.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ends {
    pub(crate) client: Option<Reading>,
    pub(crate) machine: Option<Reading>,
}

impl State {
    /// All of them, in the order in which they are tried.
    pub(crate) const ALL: [Self; 6] =
        [Self::Queued, Self::Zombie, Self::SlowReader, Self::Active, Self::Idle, Self::Thinking];

    /// The state's name in answers and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Zombie => "zombie",
            Self::SlowReader => "slow reader",
            Self::Active => "active",
            Self::Idle => "idle",
            Self::Thinking => "thinking",
        }
    }

    pub(crate) fn new(facts: &Facts, ends: &Ends) -> Self {
        if matches!(facts.stage, Stage::Queued | Stage::Receiving) {
            Self::Queued
        } else if ends.find(Reading::is_zombie).is_some() {
            Self::Zombie
        } else if ends.find(is_slow).is_some() {
            Self::SlowReader
        } else if facts.silent < ACTIVE {
            Self::Active
        } else if facts.is_tunnel && facts.silent >= IDLE {
            Self::Idle
        } else {
            Self::Thinking
        }
    }

    /// The state and what it is known by.
    pub(crate) fn evidence(self, facts: &Facts, ends: &Ends) -> String {
        let mut words = format!("{}: ", self.name());
        // Writing to a string succeeds.
        self.explain(&mut words, facts, ends).ok();
        for (name, end) in [("client", &ends.client), ("machine", &ends.machine)] {
            if end.is_some_and(|reading| reading.finished) {
                write!(words, "; the {name} has finished").ok();
            }
        }
        words
    }

    fn explain(self, words: &mut String, facts: &Facts, ends: &Ends) -> fmt::Result {
        match self {
            Self::Queued => {
                let what = match facts.stage {
                    Stage::Receiving => "its request is received",
                    _ => "waits for a place",
                };
                write!(words, "{what}, {} after it came", Time(facts.age))?;
                match ends.client.filter(|reading| reading.unanswered.is_some()) {
                    Some(reading) => write!(words, "; {}", Unanswered(&reading)),
                    None => Ok(()),
                }
            }
            Self::Zombie => match ends.find(Reading::is_zombie) {
                Some((end, reading)) => write!(words, "{end}{}", Unanswered(&reading)),
                None => Ok(()),
            },
            Self::SlowReader => match ends.find(is_slow) {
                Some((end, reading)) => write!(words, "{end}{}", Waiting(&reading)),
                None => Ok(()),
            },
            Self::Active => write!(words, "last byte {} ago", Time(facts.silent)),
            Self::Idle | Self::Thinking => {
                let both = if facts.is_tunnel { " both ways" } else { "" };
                write!(words, "silent{both} for {}", Time(facts.silent))?;
                match &ends.client {
                    Some(reading) if reading.question.is_some() => {
                        write!(words, ", {}", Unanswered(reading))
                    }
                    Some(reading) => {
                        write!(
                            words,
                            ", all acknowledged, client heard {} ago",
                            Time(reading.last_heard)
                        )
                    }
                    None => write!(words, "; the kernel tells nothing of its client"),
                }
            }
        }
    }
}

/// Bytes wait, and acknowledgements come. A peer that answers nothing is not slow, and not yet a zombie.
fn is_slow(reading: &Reading) -> bool {
    let answers = match reading.question {
        // One probe that was lost is not asked again for up to two minutes.
        Some(Question::WindowProbe(_)) => true,
        _ => reading.unanswered.is_none_or(|time| time < SLOW),
    };
    answers && reading.waiting.is_some_and(|time| time >= SLOW)
}

impl Ends {
    /// The first end of which something holds, with the words that name it.
    fn find(&self, holds: impl Fn(&Reading) -> bool) -> Option<(&'static str, Reading)> {
        let named = |name, reading: Option<Reading>| Some((name, reading?));
        let ends = [named("", self.client), named("machine: ", self.machine)];
        ends.into_iter().flatten().find(|(_, reading)| holds(reading))
    }
}

/// What has had no answer.
pub(crate) struct Unanswered<'a>(pub(crate) &'a Reading);

impl Display for Unanswered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reading = self.0;
        let time = Time(reading.unanswered.unwrap_or_default());
        match reading.question {
            Some(Question::KeepAlive(count)) => {
                write!(f, "{count} keepalive probe{} unanswered for {time}", plural(count.into()))?;
            }
            Some(Question::WindowProbe(count)) => {
                let s = plural(count.into());
                write!(f, "{count} probe{s} of its closed window unanswered for {time}")?;
            }
            Some(Question::Bytes) | None => {
                let bytes = reading.unacked;
                let s = plural(bytes);
                write!(f, "{} byte{s} unacknowledged for {time}", Thousands(bytes))?;
            }
        }
        write!(f, ", last ACK {} ago", Time(reading.last_ack))
    }
}

/// What waits though the peer answers.
struct Waiting<'a>(&'a Reading);

impl Display for Waiting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reading = self.0;
        let bytes = reading.unacked.saturating_add(reading.unsent);
        let verb = if bytes == 1 { "waits" } else { "wait" };
        let (time, ack) = (Time(reading.waiting.unwrap_or_default()), Time(reading.last_ack));
        write!(
            f,
            "{} byte{} {verb} for {time}, last ACK {ack} ago",
            Thousands(bytes),
            plural(bytes)
        )
    }
}

fn plural(count: u32) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Seconds, with a digit behind the point where that says something.
struct Time(Duration);

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0..10 => write!(f, "{:.1} s", self.0.as_secs_f64()),
            seconds => write!(f, "{seconds} s"),
        }
    }
}

/// 1,812.
struct Thousands(u32);

impl Display for Thousands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..1_000 => write!(f, "{}", self.0),
            number => write!(f, "{},{:03}", Self(number / 1_000), number % 1_000),
        }
    }
}

#[cfg(test)]
mod tests;
