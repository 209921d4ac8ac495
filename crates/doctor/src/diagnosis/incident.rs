//! An incident as it is told: what users saw, what is certain, what won and why, what to do and what to collect.

use std::time::Duration;

use crate::finding::{Confidence, Severity};
use crate::logs::{Name, Position, When};

use super::advice::{self, Advice, Collect};
use super::certain;
use super::chain::{self, Step};
use super::judge::{Verdict, judge};
use super::report::NOT_ENOUGH;
use super::sight::{Nature, Sight};
use super::tally::Tally;
use super::timeline::Entry;
use super::weigh::{Around, weigh};

/// Trouble between two quiet times, and what is to be thought of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Its number in the log, from 1; what was too little to be told has one, too.
    pub number: u64,
    /// The first line that shows trouble.
    pub began: When,
    /// Where that line stands.
    pub position: Position,
    /// From the first such line to the last.
    pub lasted: Duration,
    /// How bad it was for users.
    pub severity: Severity,
    /// The machines that lines of it name, in the order of their names.
    pub machines: Vec<Name>,
    /// Requests that found no place or no machine, or were broken off, as far as lines tell.
    pub failed: u64,
    /// All explanations.
    pub verdict: Verdict,
    /// The conclusion: lowercase, no full stop.
    pub title: String,
    /// What the lines prove by themselves, a sentence each.
    pub certain: Vec<String>,
    /// What they leave open, a sentence each.
    pub open: Vec<String>,
    /// What led to what.
    pub chain: Vec<Step>,
    /// What happened, in order.
    pub timeline: Vec<Entry>,
    /// What to do about it.
    pub advice: Vec<Advice>,
    /// What would settle what is open.
    pub collect: Vec<Collect>,
}

impl Incident {
    /// The explanation's id, or `not_enough_evidence`.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        self.verdict.winner().map_or(NOT_ENOUGH, |rival| rival.cause.id())
    }

    /// How sure the explanation is; of none: how sure it is that there is none.
    #[must_use]
    pub fn confidence(&self) -> Confidence {
        self.verdict.confidence()
    }

    pub(crate) fn of(tally: &Tally, around: &Around<'_>) -> Self {
        let verdict = judge(&weigh(tally, around));
        let winner = verdict.winner().map(|rival| rival.cause);
        Self {
            number: tally.number,
            began: tally.began,
            position: tally.position,
            lasted: super::words::between(tally.began.nanoseconds(), tally.last),
            severity: severity(tally),
            machines: tally.machines.keys().copied().filter(|name| !name.is_empty()).collect(),
            failed: failed(tally),
            title: chain::title(tally, winner),
            certain: certain::certain(tally, around),
            open: certain::open(tally, around, &verdict),
            chain: chain::chain(tally, winner, verdict.confidence()),
            timeline: tally.timeline.entries(),
            advice: advice::advice(tally, winner),
            collect: advice::collect(tally, around, &verdict),
            verdict,
        }
    }
}

/// Failures were seen by users; what else went wrong may have been.
fn severity(tally: &Tally) -> Severity {
    if tally.of(Nature::Failure) > 0 {
        Severity::Error
    } else if tally.of(Nature::Warning) > 0 {
        Severity::Medium
    } else {
        Severity::Low
    }
}

/// The proxy's line and the access line of one request are one failure.
pub(crate) fn failed(tally: &Tally) -> u64 {
    let proxy = tally.sights().filter(|(sight, _)| sight.is_failed_request());
    let proxy: u64 = proxy.map(|(_, span)| span.count).sum();
    let ours = [
        Sight::Refused,
        Sight::NoMachine,
        Sight::Draining,
        Sight::MachineFailed,
        Sight::TimedOut,
        Sight::Cut,
        Sight::ServerError,
    ];
    let ours: u64 = ours.into_iter().map(|sight| tally.count(sight)).sum();
    proxy.max(ours)
}
