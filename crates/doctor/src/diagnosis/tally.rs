//! What is kept of an incident: counts, spans and a few moments, never the lines themselves.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::logs::{
    AppSign, Event, ExchangeOutcome, Kind, Name, Position, Precision, Took, Unit, When,
};

use super::freed::Freed;
use super::machine::Machine;
use super::moments::{Holder, Moments, Stay};
use super::sight::{EXCHANGE_IS_LONG, Nature, Sight};
use super::timeline::Timeline;

/// Machines that are told apart. Of further ones all is counted as of one.
const MACHINES_MAX: usize = 128;
/// Long exchanges and lost peers that wait to be found to be one.
const PAIRS_MAX: usize = 16;
/// They are told of within this long of each other.
const PAIR: i64 = 2_000_000_000;
/// Stops and starts that wait for the trouble that follows.
const AWAITING_MAX: usize = 64;

/// How often something was seen, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) count: u64,
    pub(crate) first: i64,
    pub(crate) last: i64,
}

/// A limit that was reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) places: Option<u32>,
    pub(crate) unit: Option<Unit>,
    pub(crate) span: Span,
}

/// Exchanges that ended during an incident or soon after.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exchanges {
    /// Those that had a place, and of which it is told for how long.
    pub(crate) served: u64,
    /// Those of which only the head's time is told, or none.
    pub(crate) untimed: u64,
    /// Those whose lines speak of something that lasts.
    pub(crate) sound_long: u64,
    pub(crate) longest: Duration,
    pub(crate) longest_queued: Duration,
    /// When the first of them got its place.
    pub(crate) earliest: Option<i64>,
}

/// An incident's counts.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// Counted from 1 over all of a log.
    pub(crate) number: u64,
    /// The first line that shows trouble.
    pub(crate) began: When,
    pub(crate) position: Position,
    /// The last one.
    pub(crate) last: i64,
    /// The last line of any kind that was counted here.
    pub(crate) heard: i64,
    sights: BTreeMap<Sight, Span>,
    pub(crate) limits: BTreeMap<Name, Limit>,
    pub(crate) machines: BTreeMap<Name, Machine>,
    pub(crate) moments: Moments,
    pub(crate) freed: Freed,
    awaiting: Vec<(When, Sight, Event)>,
    /// Long exchanges that ended just now, and peers that were lost just now.
    ended: VecDeque<Stay>,
    lost: VecDeque<i64>,
    pub(crate) exchanges: Exchanges,
    pub(crate) timeline: Timeline,
    /// The longest wait and the most attempts that a line of the proxy tells.
    pub(crate) waited: Option<Duration>,
    pub(crate) attempts: Option<u32>,
    /// Lines without a date, a machine or in words that the proxy does not use.
    pub(crate) unlike_fly: u64,
}

impl Tally {
    pub(crate) fn new(number: u64, began: When, position: Position) -> Self {
        Self {
            number,
            began,
            position,
            last: began.nanoseconds(),
            heard: began.nanoseconds(),
            sights: BTreeMap::new(),
            limits: BTreeMap::new(),
            machines: BTreeMap::new(),
            moments: Moments::default(),
            freed: Freed::default(),
            awaiting: Vec::new(),
            ended: VecDeque::new(),
            lost: VecDeque::new(),
            exchanges: Exchanges::default(),
            timeline: Timeline::default(),
            waited: None,
            attempts: None,
            unlike_fly: 0,
        }
    }

    /// Keeps an event that belongs here only if trouble follows.
    pub(crate) fn await_trouble(&mut self, event: &Event, sight: Sight, at: When) {
        if self.awaiting.len() < AWAITING_MAX {
            self.awaiting.push((at, sight, event.clone()));
        }
    }

    /// Counts trouble, and before it what waited for it.
    pub(crate) fn trouble(&mut self, event: &Event, sight: Sight, at: When) {
        for (when, earlier, line) in std::mem::take(&mut self.awaiting) {
            self.see(&line, earlier, when);
        }
        self.see(event, sight, at);
    }

    /// Counts an event. `at` is its time, or that of the line before if it has none.
    pub(crate) fn see(&mut self, event: &Event, sight: Sight, at: When) {
        let time = at.nanoseconds();
        self.heard = self.heard.max(time);
        if matches!(sight.nature(), Nature::Failure | Nature::Warning) {
            self.last = self.last.max(time);
        }
        if self.is_said_again(event.machine, sight, time) {
            return;
        }
        let span = Span { count: 0, first: time, last: time };
        let span = self.sights.entry(sight).or_insert(span);
        span.count += 1;
        span.first = span.first.min(time);
        span.last = span.last.max(time);
        self.timeline.see(sight, event.machine, time, event.position);
        let name = self.name(event.machine);
        self.machines.entry(name).or_default().see(event, time);
        match &event.kind {
            Kind::HardLimit { limit, unit } => self.is_full(event, *limit, *unit, at),
            Kind::ProxyError { attempts, waited, .. } => {
                self.attempts = self.attempts.max(*attempts);
                self.waited = self.waited.max(*waited);
                // No other log than the incident's tells of milliseconds there.
                self.unlike_fly += u64::from(waited.is_some() && sight.is_no_candidate());
            }
            Kind::App(AppSign::PeerLost) => self.peer_lost(time),
            Kind::Exchange(_) | Kind::Served(_) => self.ended(event, at),
            _ => {}
        }
    }

    /// Runner and proxy both say that a machine runs.
    fn is_said_again(&self, machine: Name, sight: Sight, time: i64) -> bool {
        let last = || self.timeline.last(sight, machine);
        sight == Sight::Started && last().is_some_and(|last| (time - last).abs() <= PAIR)
    }

    fn name(&self, machine: Name) -> Name {
        let is_known = self.machines.contains_key(&machine);
        if is_known || self.machines.len() < MACHINES_MAX { machine } else { Name::EMPTY }
    }

    fn is_full(&mut self, event: &Event, places: Option<u32>, unit: Option<Unit>, at: When) {
        let time = at.nanoseconds();
        let name = self.name(event.machine);
        let span = Span { count: 0, first: time, last: time };
        let limit = self.limits.entry(name).or_insert(Limit { places, unit, span });
        limit.places = limit.places.or(places);
        limit.unit = limit.unit.or(unit);
        limit.span.count += 1;
        limit.span.first = limit.span.first.min(time);
        limit.span.last = limit.span.last.max(time);
        self.moments.full(name, places.unwrap_or_default(), at);
        self.unlike_fly += u64::from(event.machine.is_empty());
    }

    /// Counts an exchange that has ended, perhaps after the incident: it still tells who held the places.
    pub(crate) fn ended(&mut self, event: &Event, at: When) {
        let to = at.nanoseconds();
        let (held, has_vanished) = match &event.kind {
            Kind::Exchange(exchange) => {
                self.exchanges.longest_queued = self.exchanges.longest_queued.max(exchange.queued);
                let had_no_place = matches!(exchange.detail.as_str(), "receiving" | "queued");
                if exchange.outcome == ExchangeOutcome::Refused || had_no_place {
                    return;
                }
                (exchange.duration.saturating_sub(exchange.queued), exchange.has_vanished)
            }
            Kind::Served(served) => {
                self.exchanges.sound_long += u64::from(served.sounds_long);
                match served.took {
                    Took::Whole(took) => (took, false),
                    Took::Head(_) | Took::HeadOfWhole(_) | Took::Untold => {
                        self.exchanges.untimed += 1;
                        return;
                    }
                }
            }
            _ => return,
        };
        self.exchanges.served += 1;
        self.exchanges.longest = self.exchanges.longest.max(held);
        let from = to.saturating_sub(i64::try_from(held.as_nanos()).unwrap_or(i64::MAX));
        let machine = event.machine;
        let mut stay = Stay { machine, from, to, holder: Holder::Short };
        if has_vanished {
            stay.holder = Holder::Vanished;
        } else if held >= EXCHANGE_IS_LONG {
            stay.holder = self.long(&stay);
        }
        if let Some(full) = self.moments.before(machine, from) {
            self.freed.began(from, full, blur(at));
        }
        self.freed.ended(from, to);
        if stay.holder == Holder::Long {
            let earliest = self.exchanges.earliest.unwrap_or(from);
            self.exchanges.earliest = Some(earliest.min(from));
        }
        self.moments.ended(&stay);
    }

    /// A long exchange is one of a lost peer if the app has just said that it lost one.
    fn long(&mut self, stay: &Stay) -> Holder {
        if let Some(at) = self.lost.iter().position(|lost| (stay.to - lost).abs() <= PAIR) {
            self.lost.remove(at);
            return Holder::Vanished;
        }
        if self.ended.len() == PAIRS_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(Stay { holder: Holder::Long, ..*stay });
        Holder::Long
    }

    fn peer_lost(&mut self, time: i64) {
        self.freed.ended(i64::MIN, time);
        if let Some(at) = self.ended.iter().position(|stay| (stay.to - time).abs() <= PAIR) {
            let stay = self.ended.remove(at).expect("it was found");
            self.moments.had_vanished(&stay);
            return;
        }
        if self.lost.len() == PAIRS_MAX {
            self.lost.pop_front();
        }
        self.lost.push_back(time);
    }

    pub(crate) fn span(&self, sight: Sight) -> Option<&Span> {
        self.sights.get(&sight)
    }

    pub(crate) fn count(&self, sight: Sight) -> u64 {
        self.span(sight).map_or(0, |span| span.count)
    }

    /// Everything that was seen.
    pub(crate) fn sights(&self) -> impl Iterator<Item = (Sight, &Span)> {
        self.sights.iter().map(|(sight, span)| (*sight, span))
    }

    /// How often something of a nature was seen.
    pub(crate) fn of(&self, nature: Nature) -> u64 {
        self.sights()
            .filter(|(sight, _)| sight.nature() == nature)
            .map(|(_, span)| span.count)
            .sum()
    }
}

/// Times of different lines may differ by this much without meaning it.
fn blur(at: When) -> i64 {
    match at.precision {
        Precision::Seconds => 1_000_000_000,
        Precision::Milliseconds | Precision::Finer => 20_000_000,
    }
}
