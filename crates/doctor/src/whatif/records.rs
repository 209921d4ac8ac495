//! The load of a log: the arrivals and the holding times of the exchanges that were there.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use outlast_admission::Class;
use outlast_config::{PathPattern, Spread, format_duration};
use outlast_runtime::random::Seeded;

use super::load::{Behaviour, Load, Retry, USERS_MAX, User};
use super::survival::{Seen, Survival};
use crate::logs::{Event, Exchange, ExchangeOutcome, Kind, Name};

/// Who is refused and comes for the same within so long comes again, and is no other user.
const AGAIN_WITHIN_NS: i64 = 60_000_000_000;
/// Fewer known holding times say too little about the unknown ones.
const KNOWN_MIN: usize = 20;

/// How long an exchange would hold its place, as far as its record tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holding {
    Known(Seen),
    /// It never had a place.
    Unknown,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    started: i64,
    ended: i64,
    holding: Holding,
    is_refused: bool,
    client: Option<IpAddr>,
    path: Name,
    class: Class,
}

/// Gathers the exchanges of a service from the events of a log.
#[derive(Debug)]
pub struct Records<'p> {
    service: &'p str,
    control: &'p [PathPattern],
    records: Vec<Record>,
    others: usize,
    beyond: usize,
}

/// A load that was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    users: Vec<(User, Holding)>,
    behaviour: Behaviour,
    survival: Option<Survival>,
    told: String,
}

/// Why a log gives no load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// There is no exchange.
    #[error("there is no exchange of the service in it, and {others} of others")]
    Nothing {
        /// Exchanges of other services.
        others: usize,
    },
    /// Most had no place.
    #[error(
        "of {all} exchanges only {known} tell how long they held a place, too few to draw that of the others from"
    )]
    TooFew {
        /// Exchanges.
        all: usize,
        /// Those with a holding time.
        known: usize,
    },
    /// There are too many.
    #[error("it has more than {USERS_MAX} exchanges")]
    TooMany,
}

impl RecordsError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Nothing { .. } => {
                "it takes the lines of `outlast::access` of `outlast up`, best of --log-format json; --service names another service"
            }
            Self::TooFew { .. } => {
                "give a log that goes on until streams have ended, or --arrivals and --holding instead"
            }
            Self::TooMany => "give a part of the log",
        }
    }
}

impl<'p> Records<'p> {
    /// Of the service of this name, whose control calls have these paths.
    #[must_use]
    pub fn new(service: &'p str, control: &'p [PathPattern]) -> Self {
        Self { service, control, records: Vec::new(), others: 0, beyond: 0 }
    }

    /// Looks at an event; all but ends of exchanges are passed over.
    pub fn take(&mut self, event: &Event) {
        let (Some(at), Kind::Exchange(exchange)) = (event.at, &event.kind) else { return };
        if !asked_for_place(exchange) {
            return;
        }
        if !exchange.service.is_empty() && exchange.service.as_str() != self.service {
            self.others += 1;
        } else if self.records.len() == USERS_MAX {
            self.beyond += 1;
        } else {
            self.records.push(self.record(at.nanoseconds(), exchange));
        }
    }

    fn record(&self, ended: i64, exchange: &Exchange) -> Record {
        let duration = i64::try_from(exchange.duration.as_nanos()).unwrap_or(i64::MAX);
        let is_control = self.control.iter().any(|path| path.matches(exchange.path.as_str()));
        Record {
            started: ended.saturating_sub(duration),
            ended,
            holding: holding(exchange),
            is_refused: exchange.outcome == ExchangeOutcome::Refused,
            client: exchange.client,
            path: exchange.path,
            class: if is_control { Class::Control } else { Class::Ordinary },
        }
    }

    /// The load, if there is enough of it. What users do when refused is told, or else as they were seen to do.
    ///
    /// # Errors
    /// There is too little, or too much.
    pub fn finish(
        mut self,
        retry: Option<Retry>,
        patience: Option<Spread>,
    ) -> Result<Recorded, RecordsError> {
        if self.beyond > 0 {
            return Err(RecordsError::TooMany);
        }
        if self.records.is_empty() {
            return Err(RecordsError::Nothing { others: self.others });
        }
        self.records.sort_by_key(|record| record.started);
        let seen = self.records.iter().filter_map(|record| match record.holding {
            Holding::Known(seen) => Some(seen),
            Holding::Unknown => None,
        });
        let seen: Vec<_> = seen.collect();
        let Folded { users, waits, most } = fold(&self.records);
        let unknown = users.iter().filter(|(_, holding)| *holding == Holding::Unknown).count();
        let whole = seen.iter().filter(|one| matches!(one, Seen::Whole(_))).count();
        let is_whole = unknown == 0 && seen.len() == whole;
        if !is_whole && whole < KNOWN_MIN {
            return Err(RecordsError::TooFew { all: self.records.len(), known: whole });
        }
        let (again, waits) = (waits.len(), seen_waits(waits));
        let seen_retry = waits.map_or(Retry::Never, |wait| {
            let at_least = Duration::ZERO;
            Retry::Again { wait, times: most, at_least }
        });
        let retry = retry.unwrap_or(seen_retry);
        let told = format!(
            "{} recorded exchanges of {} users. {unknown} of these never had a place: how long they would have held one is drawn \
            from the others{}. {again} exchanges came again after a refusal{}. Streams that had not ended with the log are not in it",
            self.records.len(),
            users.len(),
            if seen.len() > whole { " (Kaplan and Meier)" } else { "" },
            match waits {
                Some(Spread::Uniform(low, high)) => {
                    format!(", {} to {} later", format_duration(low), format_duration(high))
                }
                _ => String::new(),
            },
        );
        Ok(Recorded {
            users,
            behaviour: Behaviour { patience, retry },
            survival: Survival::of(&seen),
            told,
        })
    }
}

impl Recorded {
    /// What it is, and what is not known of it.
    #[must_use]
    pub fn told(&self) -> &str {
        &self.told
    }

    /// The load; what is not known is drawn anew for each seed.
    #[must_use]
    pub fn draw(&self, seed: u64) -> Load {
        let mut chance = Seeded::new(seed);
        let mut drawn = |beyond: Duration| match &self.survival {
            Some(survival) => survival.draw(&mut chance, beyond),
            None => beyond,
        };
        let users = self.users.iter().map(|(user, holding)| {
            let holding = match holding {
                Holding::Known(Seen::Whole(time)) => *time,
                Holding::Known(Seen::AtLeast(time)) => drawn(*time),
                Holding::Unknown => drawn(Duration::ZERO),
            };
            User { holding, ..*user }
        });
        Load { users: users.collect(), groups: vec![self.behaviour] }
    }
}

/// Not those whose request never came whole, or was none.
fn asked_for_place(exchange: &Exchange) -> bool {
    let detail = exchange.detail.as_str();
    match exchange.outcome {
        ExchangeOutcome::ClientGone => detail != "receiving",
        ExchangeOutcome::Refused => detail != "bad_request",
        ExchangeOutcome::TimedOut => detail != "head",
        ExchangeOutcome::Other => false,
        _ => true,
    }
}

fn holding(exchange: &Exchange) -> Holding {
    let held = exchange.duration.saturating_sub(exchange.queued);
    match exchange.outcome {
        ExchangeOutcome::Refused => Holding::Unknown,
        ExchangeOutcome::ClientGone if exchange.detail.as_str() == "queued" => Holding::Unknown,
        // What our own end cut would have gone on.
        ExchangeOutcome::CutByDrain => Holding::Known(Seen::AtLeast(held)),
        _ => Holding::Known(Seen::Whole(held)),
    }
}

/// Exchanges as users.
struct Folded {
    users: Vec<(User, Holding)>,
    /// From each refusal to the exchange by which its user came again.
    waits: Vec<Duration>,
    /// How often the most stubborn one came again.
    most: u32,
}

/// One who was refused and asks for the same again is one user. Loopback addresses are those of many: nothing is said of them.
fn fold(records: &[Record]) -> Folded {
    let first = records.first().map_or(0, |record| record.started);
    let mut folded = Folded { users: Vec::new(), waits: Vec::new(), most: 0 };
    // Of each client and path who was refused last: when, which user, how often.
    let mut refused: HashMap<(IpAddr, Name), (i64, usize, u32)> = HashMap::new();
    for record in records {
        let client = record.client.filter(|client| !client.is_loopback());
        let key = client.map(|client| (client, record.path));
        let before = key.and_then(|key| refused.remove(&key));
        let before = before.filter(|(ended, ..)| {
            record.started >= *ended && record.started - ended <= AGAIN_WITHIN_NS
        });
        let (index, times) = match before {
            Some((ended, index, times)) => {
                folded.waits.push(nanoseconds(record.started - ended));
                folded.most = folded.most.max(times + 1);
                folded.users[index].1 = record.holding;
                (index, times + 1)
            }
            None => {
                let user = User {
                    at: nanoseconds(record.started - first),
                    holding: Duration::ZERO,
                    client: client.map_or(folded.users.len() as u64, number),
                    class: record.class,
                    group: 0,
                };
                folded.users.push((user, record.holding));
                (folded.users.len() - 1, 0)
            }
        };
        if let Some(key) = key.filter(|_| record.is_refused) {
            refused.insert(key, (record.ended, index, times));
        }
    }
    folded
}

/// From the shortest to the longest that was seen, but for the outermost twentieths.
fn seen_waits(mut waits: Vec<Duration>) -> Option<Spread> {
    waits.sort_unstable();
    let last = waits.len().checked_sub(1)?;
    Some(Spread::Uniform(waits[last / 20], waits[last - last / 20]))
}

fn nanoseconds(nanoseconds: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}

/// A client's line of the queue, told apart by the low bits of its address.
fn number(client: IpAddr) -> u64 {
    match client {
        IpAddr::V4(client) => u32::from(client).into(),
        IpAddr::V6(client) => {
            let [a, b, c, d, ..] = client.segments().map(u64::from);
            a << 48 | b << 32 | c << 16 | d
        }
    }
}
