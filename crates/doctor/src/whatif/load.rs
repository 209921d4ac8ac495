//! Who comes when, for how long, and what they do when there is no place: the load of a what-if.

use std::time::Duration;

use outlast_admission::Class;
use outlast_config::Spread;
use outlast_runtime::random::Seeded;

/// More users than that are no service of one house; each takes 40 bytes.
pub const USERS_MAX: usize = 2_000_000;

/// What comes in: users in the order of time, and how each kind of them behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// In the order of time.
    pub users: Vec<User>,
    /// By [`User::group`].
    pub groups: Vec<Behaviour>,
}

/// One who comes once and wants one exchange.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct User {
    /// When, from the start.
    pub at: Duration,
    /// How long the exchange will take once it is let in.
    pub holding: Duration,
    /// Whose line of the queue it is in.
    pub client: u64,
    /// What it asks for.
    pub class: Class,
    /// Which behaviour.
    pub group: u16,
}

/// What users do when there is no place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Behaviour {
    /// How long they wait for a place before they leave for good. None: as long as the queue lets them.
    pub patience: Option<Spread>,
    /// What they do when refused.
    pub retry: Retry,
}

/// What who is refused does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Retry {
    /// Gives up.
    Never,
    /// Tries again.
    Again {
        /// How long it waits first.
        wait: Spread,
        /// How often, at most.
        times: u32,
        /// It waits at least so long, because the answer says so. Zero: as people do.
        at_least: Duration,
    },
}

impl Behaviour {
    /// Those who give up when refused, and wait as long as they may.
    pub const PATIENT: Self = Self { patience: None, retry: Retry::Never };
}

/// Arrivals that do not know of each other, so many in a time (a Poisson process).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// How many come in a second.
    pub per_second: f64,
    /// For how long they come.
    pub during: Duration,
    /// How long each exchange takes.
    pub holding: Spread,
    /// What they do when there is no place.
    pub behaviour: Behaviour,
}

/// Reads `12/min`, `0.2/s` or `700/h`: how many come in a second.
///
/// # Errors
/// What to write instead.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    let wrong = || format!("{text:?} is no rate; write such as 12/min, 0.2/s or 700/h");
    let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    let seconds = match unit.trim() {
        "s" | "sec" | "second" => 1.0,
        "m" | "min" | "minute" => 60.0,
        "h" | "hour" => 3_600.0,
        "d" | "day" => 86_400.0,
        _ => return Err(wrong()),
    };
    if !(number > 0.0 && number.is_finite()) {
        return Err(wrong());
    }
    Ok(number / seconds)
}

impl Rate {
    /// How many are expected.
    #[must_use]
    pub fn expected(&self) -> f64 {
        self.per_second * self.during.as_secs_f64()
    }

    /// One draw of it; the same for the same seed.
    #[must_use]
    pub fn draw(&self, seed: u64) -> Load {
        let (mut arrivals, mut holdings) =
            (Seeded::new(seed), Seeded::new(Seeded::new(seed).number()));
        let mut users = Vec::new();
        let mut at = 0.0;
        loop {
            // 1 - share lies above zero, where the logarithm is finite.
            at -= (1.0 - arrivals.share()).ln() / self.per_second;
            let Ok(at) = Duration::try_from_secs_f64(at) else { break };
            if at > self.during || users.len() == USERS_MAX {
                break;
            }
            let holding = self.holding.draw(&mut holdings);
            let client = users.len() as u64;
            users.push(User { at, holding, client, class: Class::Ordinary, group: 0 });
        }
        Load { users, groups: vec![self.behaviour] }
    }
}

impl Load {
    /// The mean time that an exchange takes.
    #[must_use]
    pub fn mean_holding(&self) -> Duration {
        let total: f64 = self.users.iter().map(|user| user.holding.as_secs_f64()).sum();
        Duration::from_secs_f64(total / self.users.len().max(1) as f64)
    }

    /// From the first arrival to the last.
    #[must_use]
    pub fn span(&self) -> Duration {
        match (self.users.first(), self.users.last()) {
            (Some(first), Some(last)) => last.at - first.at,
            _ => Duration::ZERO,
        }
    }

    /// How many erlang are offered while users come, if each exchange takes `extra` longer than it lasts: arrivals per second
    /// times the mean time for which a place is taken. None where all come at once.
    #[must_use]
    pub fn offered(&self, extra: Duration) -> Option<f64> {
        let span = self.span().as_secs_f64();
        let gaps = self.users.len().saturating_sub(1) as f64;
        (span > 0.0).then(|| gaps / span * (self.mean_holding() + extra).as_secs_f64())
    }
}
