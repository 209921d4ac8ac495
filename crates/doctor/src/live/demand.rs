//! How many places the arrivals need.
//!
//! Little's law: the mean number of places held is the arrival rate times the mean time that one is held, whatever the
//! distributions. Arrivals come in bursts; two square roots above the mean hold nearly all of them (the square-root rule of
//! Halfin and Whitt, 1981, which is Poisson's deviation).

use std::time::Duration;

use outlast_protocol::pool::Service;

use super::places::Places;
use super::snapshot::Snapshot;
use crate::finding::Confidence;

/// Fewer arrivals or endings than this say nothing.
const FEW: u64 = 10;
/// From so many on they say it well.
const MANY: u64 = 20;

/// What comes, how long it stays, and what that needs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Demand {
    /// Exchanges that came, refused and waiting ones too.
    pub(super) arrivals: u64,
    /// Within this time.
    pub(super) within: Duration,
    /// Whether that is the time that was watched, or all since the start.
    pub(super) is_watched: bool,
    /// How long one holds its place, in milliseconds.
    pub(super) mean_ms: f64,
    /// How many have ended, of those whose time is known.
    pub(super) ended: u64,
    /// Places that are held on average.
    pub(super) load: f64,
    /// The load and room for bursts.
    pub(super) need: u64,
}

impl Demand {
    /// None: too little came to say anything.
    pub(super) fn of(
        first: Option<&Snapshot>,
        last: &Snapshot,
        service: &Service,
        places: &Places<'_>,
    ) -> Option<Self> {
        let (arrivals, within, is_watched) = arrivals(first, last, service)?;
        let ended = round(last.sum("outlast_stream_duration_seconds_count", &service.name));
        let seconds = last.sum("outlast_stream_duration_seconds_sum", &service.name);
        let ages: u64 = places.holders().map(|exchange| exchange.age_ms).sum();
        let held = places.held();
        if ended + held == 0 || within.is_zero() {
            return None;
        }
        // Those that have not ended have lived at least so long: their time counts, and their end does not yet. Before enough
        // have ended, the mean is of all that is known, and too short.
        let ms = seconds * 1_000.0 + number(ages);
        let mean_ms = ms / number(if ended < FEW { ended + held } else { ended });
        let load = number(arrivals) * mean_ms / (within.as_secs_f64() * 1_000.0);
        let need = round((load + 2.0 * load.sqrt()).ceil());
        Some(Self { arrivals, within, is_watched, mean_ms, ended, load, need })
    }

    /// The need is more than is said, as hardly any has ended yet.
    pub(super) fn is_least(&self) -> bool {
        self.ended < FEW
    }

    pub(super) fn confidence(&self) -> Confidence {
        let is_well_known = self.arrivals >= MANY && self.ended >= MANY;
        if is_well_known { Confidence::Likely } else { Confidence::Guess }
    }
}

/// How many came, within which time, and whether that is the time that was watched: the latest that says enough.
fn arrivals(
    first: Option<&Snapshot>,
    last: &Snapshot,
    service: &Service,
) -> Option<(u64, Duration, bool)> {
    let all = came(last, service);
    let watched = first.and_then(|first| {
        let within = last.since(first)?;
        Some((all.saturating_sub(came(first, service)), within, true))
    });
    let since_start = (all, Duration::from_millis(last.pool.uptime_ms), false);
    match watched {
        Some(watched) if watched.0 >= MANY => Some(watched),
        _ if all >= FEW => Some(since_start),
        _ => None,
    }
}

/// All that came since the start: those that ended and those that are there. What was no request asked for no place.
fn came(snapshot: &Snapshot, service: &Service) -> u64 {
    let ended = snapshot.sum("outlast_exchanges_total", &service.name);
    let refused = snapshot.by("outlast_refusals_total", &service.name, "reason");
    let malformed = refused.get("bad_request").copied().unwrap_or_default();
    let there = snapshot.of(service).filter(|exchange| exchange.stage != "receiving").count();
    round(ended - malformed) + there as u64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counters are whole and not negative; a cast from a float stops at the ends of the \
        type"
)]
pub(super) fn round(number: f64) -> u64 {
    number.round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "counts and milliseconds stay far below 2^52")]
fn number(count: u64) -> f64 {
    count as f64
}
