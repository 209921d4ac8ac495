//! Argues about a running gateway, from what its admin listener tells: its own books, and what the kernel knows of its sockets.
//!
//! Unlike a log, this can decide between rival explanations: every place has its holder, and the kernel says whether it lives.
//! What neither shows is said to be unknown. Answers come in as bytes ([`Answers`]), one moment or two; rates are of the time
//! between two.

mod demand;
mod findings;
mod places;
mod snapshot;
mod statements;
mod words;

use std::time::Duration;

use self::demand::Demand;
use self::places::Places;
pub use self::snapshot::{Answers, NotOutlast, Snapshot};
use self::words::Names;
use crate::finding::{Confidence, Finding};

/// What was seen of a gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// Of the gateway. Empty: it is so old that it does not tell.
    pub version: String,
    /// `starting`, `serving`, `draining` or `stopped`.
    pub phase: String,
    /// Since it was started.
    pub uptime: Duration,
    /// How long it was watched: the time between the two moments. None: there was one.
    pub watched: Option<Duration>,
    /// The first HTTP service first.
    pub services: Vec<ServiceView>,
    /// The worst first.
    pub findings: Vec<Finding>,
}

/// What is known of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceView {
    /// Its name.
    pub name: String,
    /// `connections` or `requests`.
    pub accounting: String,
    /// Places of all machines that take traffic. None: no limit.
    pub places: Option<u64>,
    /// Places taken, lingering connections included.
    pub taken: u64,
    /// Working streams: alive, and taken from as they come.
    pub working: u64,
    /// Exchanges whose client does not take what waits for it.
    pub slow_readers: u64,
    /// Exchanges whose client or machine has not answered for 10 s.
    pub zombies: u64,
    /// Upstream connections that keep a place unused.
    pub idle_connections: u64,
    /// Exchanges that wait for a place.
    pub waiting: u64,
    /// Refused for want of a place or a machine, while it was watched; without that, since the start.
    pub refused: u64,
    /// Places that the arrivals need. None: too little came to tell.
    pub need: Option<u64>,
    /// What is so, each with what it is known by.
    pub statements: Vec<Statement>,
}

/// Something that is so, or is not, or cannot be known.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// What it is about: `places`, `working_streams`, `zombies`, `slow_readers`, `idle_connections`, `queue`, `refusals`, `clients`,
    /// `paths`, `demand`.
    pub about: &'static str,
    /// A sentence without its full stop.
    pub says: String,
    /// What it is known by, a sentence each.
    pub evidence: Vec<String>,
    /// How sure it is.
    pub confidence: Confidence,
}

/// How it is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Telling {
    /// Client addresses and whole paths, and not `client-1` and `/api/runs/*`.
    pub show_private: bool,
    /// The version of this program, to compare with the gateway's.
    pub version: &'static str,
}

/// Argues from one moment, or from two.
#[must_use]
pub fn argue(first: Option<&Snapshot>, last: &Snapshot, telling: Telling) -> Live {
    // A gateway that was started anew in between has other counters.
    let first = first.filter(|first| last.since(first).is_some_and(|time| !time.is_zero()));
    let mut names = Names::new(telling.show_private);
    let mut findings = findings::of_gateway(last, telling.version);
    let mut services = Vec::new();
    for service in &last.pool.services {
        let mut view = View::of(first, last, service);
        services.push(statements::of(&mut view, &mut names));
        findings.extend(findings::of_service(&view, &mut names));
    }
    findings.sort_by_key(|finding| finding.severity);
    Live {
        version: last.pool.version.clone(),
        phase: last.pool.phase.clone(),
        uptime: Duration::from_millis(last.pool.uptime_ms),
        watched: first.and_then(|first| last.since(first)),
        services,
        findings,
    }
}

/// A service with everything that is counted about it.
struct View<'s> {
    service: &'s outlast_protocol::pool::Service,
    places: Places<'s>,
    demand: Option<Demand>,
    refused: Refused,
    /// Why the kernel tells nothing.
    evidence_missing: Option<&'s str>,
    /// It is being stopped.
    is_ending: bool,
}

/// Refusals for want of a place or a machine.
struct Refused {
    /// While it was watched, by reason. Without that, since the start.
    by_reason: Vec<(String, u64)>,
    /// The time of those. None: since the start.
    within: Option<Duration>,
    since_start: u64,
}

impl Refused {
    fn of(first: Option<&Snapshot>, last: &Snapshot, service: &str) -> Self {
        let counts = |snapshot: &Snapshot| {
            let mut counts = snapshot.by("outlast_refusals_total", service, "reason");
            counts.remove("bad_request");
            counts
        };
        let (all, before) = (counts(last), first.map(counts).unwrap_or_default());
        let lately = all.iter().map(|(reason, count)| {
            (reason.clone(), demand::round(count - before.get(reason).copied().unwrap_or_default()))
        });
        Self {
            by_reason: lately.filter(|(_, count)| *count > 0).collect(),
            within: first.and_then(|first| last.since(first)),
            since_start: demand::round(all.values().sum()),
        }
    }

    fn lately(&self) -> u64 {
        self.by_reason.iter().map(|(_, count)| count).sum()
    }

    /// Refused now: what was refused before somebody looked is history.
    fn now(&self) -> u64 {
        if self.within.is_some() { self.lately() } else { 0 }
    }
}

impl<'s> View<'s> {
    fn of(
        first: Option<&Snapshot>,
        last: &'s Snapshot,
        service: &'s outlast_protocol::pool::Service,
    ) -> Self {
        let places = Places::of(last, service);
        Self {
            demand: Demand::of(first, last, service, &places),
            refused: Refused::of(first, last, &service.name),
            evidence_missing: last.pool.evidence_missing.as_deref(),
            is_ending: findings::is_ending(last),
            places,
            service,
        }
    }

    /// Somebody is short of places now.
    fn is_short(&self) -> bool {
        self.places.are_short(self.refused.now())
    }
}
