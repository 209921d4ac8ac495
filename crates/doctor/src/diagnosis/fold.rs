//! Events in, incidents out: folded as they stream, so that a day of lines needs no more room than an hour.

use std::collections::{BTreeMap, VecDeque};

use crate::finding::Severity;
use crate::logs::{Event, Kind, Origin, Precision, When, Zone};

use super::beside::Beside;
use super::incident::Incident;
use super::masks::{Masks, Names};
use super::sight::{Nature, Sight};
use super::tally::Tally;
use super::weigh::Around;

const MINUTE: i64 = 60_000_000_000;
/// Trouble after so long without any is another incident.
const QUIET: i64 = 5 * MINUTE;
/// Exchanges that end this long after an incident still tell who held its places.
const LATE: i64 = 20 * MINUTE;
/// How far back machines that came and went belong to an incident; of what was suspended, an hour.
const BEFORE: i64 = 3 * MINUTE;
const SUSPENDED_BEFORE: i64 = 60 * MINUTE;
/// Lines that are kept for that.
const BEFORE_MAX: usize = 512;
/// Incidents that still listen to exchanges that end late.
const LATE_MAX: usize = 4;
/// Incidents that are told one by one. Of more, those in the middle are only counted.
const TOLD_MAX: usize = 100;
/// Without any other trouble so many clients must leave before it is one.
const ABORTS_MIN: u64 = 5;

/// Folds the events of one app's logs.
#[derive(Debug)]
pub struct Diagnosis {
    plan: Option<Beside>,
    masks: Masks,
    /// How many incidents have begun: the number of the last one.
    number: u64,
    worst: Option<Severity>,
    first: Option<When>,
    last: Option<When>,
    events: u64,
    is_ours: bool,
    is_over: bool,
    before: VecDeque<(When, Sight, Event)>,
    open: Option<Tally>,
    late: VecDeque<Tally>,
    /// The last trouble of the incident before: what led to that one is not told again.
    settled: i64,
    told: VecDeque<Incident>,
    plan_use: Option<PlanUse>,
    untold: BTreeMap<&'static str, u64>,
}

/// What came of all events.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosed {
    /// In the order in which they began.
    pub incidents: Vec<Incident>,
    /// Incidents beyond those that are told one by one: how many, by cause.
    pub untold: BTreeMap<&'static str, u64>,
    /// The severity of the worst, those not told one by one included.
    pub worst: Option<Severity>,
    /// Events that were read.
    pub events: u64,
    /// The times of the first and the last.
    pub span: Option<(When, When)>,
    /// The `fly.toml` that was given beside, and whether it was used as evidence.
    pub plan: Option<(Beside, PlanUse)>,
}

/// What became of a `fly.toml` that lies beside the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanUse {
    /// It is evidence.
    Evidence,
    /// The logs tell of another limit: something else ran then.
    OtherLimit,
}

impl Diagnosis {
    /// Begins. A `fly.toml` is evidence as long as the logs do not contradict it.
    #[must_use]
    pub fn new(plan: Option<Beside>, names: Names) -> Self {
        Self {
            plan,
            masks: Masks::new(names),
            number: 0,
            worst: None,
            first: None,
            last: None,
            events: 0,
            is_ours: false,
            is_over: false,
            before: VecDeque::new(),
            open: None,
            late: VecDeque::new(),
            settled: i64::MIN,
            told: VecDeque::new(),
            plan_use: None,
            untold: BTreeMap::new(),
        }
    }

    /// Takes an event. Events come in the order of their times, as far as logs have them in order.
    pub fn observe(&mut self, event: &Event) {
        let event = &Event { machine: self.masks.shown(event.machine), ..event.clone() };
        let at = event.at.or(self.last);
        let at = at.unwrap_or_else(|| When::undated(0, Precision::Seconds, Zone::Assumed));
        self.first = self.first.or(Some(at));
        self.last = Some(at);
        self.events += 1;
        self.is_ours |= event.origin == Origin::Outlast || matches!(event.kind, Kind::Exchange(_));
        let Some(sight) = Sight::of(event) else { return };
        self.is_over = sight == Sight::Ended || (self.is_over && sight == Sight::LinesLost);
        self.pass(at.nanoseconds());
        match sight.nature() {
            Nature::Failure | Nature::Warning | Nature::Symptom => self.trouble(event, sight, at),
            Nature::Life => {
                if self.before.len() == BEFORE_MAX {
                    self.before.pop_front();
                }
                self.before.push_back((at, sight, event.clone()));
                if let Some(tally) = &mut self.open {
                    match sight.may_be_after_all() {
                        true => tally.await_trouble(event, sight, at),
                        false => tally.see(event, sight, at),
                    }
                }
            }
            Nature::Traffic => {
                if let Some(tally) = &mut self.open {
                    tally.see(event, sight, at);
                }
            }
        }
        for tally in &mut self.late {
            tally.ended(event, at);
        }
    }

    /// Time has gone on without an event, so much since the last one.
    pub fn advance(&mut self, since_last: std::time::Duration) {
        let since = i64::try_from(since_last.as_nanos()).unwrap_or(i64::MAX);
        if let Some(last) = self.last {
            self.pass(last.nanoseconds().saturating_add(since));
        }
    }

    /// Ends incidents whose time is over.
    fn pass(&mut self, now: i64) {
        if let Some(tally) = self.open.take_if(|tally| now - tally.last > QUIET) {
            self.settled = tally.last;
            self.late.push_back(tally);
        }
        while self.late.len() > LATE_MAX
            || self.late.front().is_some_and(|tally| now - tally.last > LATE)
        {
            let tally = self.late.pop_front().expect("there is one");
            self.tell(&tally);
        }
    }

    fn trouble(&mut self, event: &Event, sight: Sight, at: When) {
        if self.open.is_none() {
            self.number += 1;
            let mut tally = Tally::new(self.number, at, event.position);
            let now = at.nanoseconds();
            for (when, earlier, line) in &self.before {
                let reach = if earlier.is_stop() { SUSPENDED_BEFORE } else { BEFORE };
                if now - when.nanoseconds() <= reach && when.nanoseconds() > self.settled {
                    tally.see(line, *earlier, *when);
                }
            }
            self.open = Some(tally);
        }
        if let Some(tally) = &mut self.open {
            tally.trouble(event, sight, at);
        }
    }

    fn tell(&mut self, tally: &Tally) {
        if let Some(plan) = &self.plan {
            let is_other = self.plan_use == Some(PlanUse::OtherLimit) || !is_of(plan, tally);
            self.plan_use = Some(if is_other { PlanUse::OtherLimit } else { PlanUse::Evidence });
        }
        let Some(incident) = self.judged(tally) else { return };
        // The worst is the least: severities are in the order of their badness.
        self.worst =
            Some(self.worst.map_or(incident.severity, |worst| worst.min(incident.severity)));
        if self.told.len() == TOLD_MAX {
            let middle = self.told.remove(TOLD_MAX / 2).expect("it is full");
            *self.untold.entry(middle.cause()).or_default() += 1;
        }
        self.told.push_back(incident);
    }

    /// `None`: so little is no incident.
    fn judged(&self, tally: &Tally) -> Option<Incident> {
        let trouble = tally.of(Nature::Failure) + tally.of(Nature::Warning);
        if trouble == 0 && tally.of(Nature::Symptom) < ABORTS_MIN {
            return None;
        }
        let around = Around {
            plan: self.plan.as_ref().filter(|plan| is_of(plan, tally)),
            is_ours: self.is_ours,
            end: self.last.map_or(0, When::nanoseconds),
            is_over: self.is_over,
        };
        Some(Incident::of(tally, &around))
    }

    /// How many have begun, those that were too little to be told included.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether this one goes on.
    pub(crate) fn is_open(&self, number: u64) -> bool {
        self.open.as_ref().is_some_and(|tally| tally.number == number)
    }

    /// One that has ended, as far as it is remembered.
    pub(crate) fn closed(&self, number: u64) -> Option<Incident> {
        let late = self.late.iter().find(|tally| tally.number == number);
        let told = || self.told.iter().find(|incident| incident.number == number).cloned();
        late.and_then(|tally| self.judged(tally)).or_else(told)
    }

    /// The incident that goes on, as it looks now.
    #[must_use]
    pub fn current(&self) -> Option<Incident> {
        self.open.as_ref().and_then(|tally| self.judged(tally))
    }

    /// Judges what is left, and gives everything.
    #[must_use]
    pub fn finish(mut self) -> Diagnosed {
        let late = std::mem::take(&mut self.late);
        for tally in late.into_iter().chain(self.open.take()) {
            self.tell(&tally);
        }
        Diagnosed {
            incidents: self.told.into(),
            untold: self.untold,
            worst: self.worst,
            events: self.events,
            span: self.first.zip(self.last),
            plan: self.plan.map(|plan| (plan, self.plan_use.unwrap_or(PlanUse::Evidence))),
        }
    }
}

/// Whether the limits that were reached are those of the file.
fn is_of(plan: &Beside, tally: &Tally) -> bool {
    let mut limits = tally.limits.values().filter_map(|limit| limit.places);
    limits.all(|limit| plan.has_limit(limit))
}
