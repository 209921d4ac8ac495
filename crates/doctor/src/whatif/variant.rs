//! What is changed: `hard=60,soft=45`, on top of what the files say.

use std::num::NonZeroU32;
use std::time::Duration;

use outlast_admission::{Limits, Linger, Settings};
use outlast_config::read::{listed, nearest};
use outlast_config::{Accounting, fly, format_duration, parse_duration};

/// More machines, or more places on one, than any house has.
const MACHINES_MAX: u32 = 10_000;
const LIMIT_MAX: u32 = 1_000_000;
const DEPTH_MAX: usize = 1_000_000;

/// A service with all that decides who gets a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// What is counted.
    pub accounting: Accounting,
    /// Limits, queue depth and reserve, per machine where they are.
    pub settings: Settings,
    /// How many machines take traffic all the time.
    pub machines: NonZeroU32,
    /// The longest wait in the queue. Zero: refused at once.
    pub queue_timeout: Duration,
    /// In `connections`: how long a connection lingers after its exchange.
    pub idle_timeout: Duration,
    /// The memory of a machine, in MB. None: not known.
    pub memory_mb: Option<u64>,
}

/// Why a text says no change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct VariantError {
    message: String,
    hint: String,
}

/// The names of what can be changed: short, as a key of the files, and an example.
const KEYS: [(&str, &str, &str); 10] = [
    ("type", "concurrency.type", "type=requests"),
    ("hard", "hard_limit", "hard=60"),
    ("soft", "soft_limit", "soft=45"),
    ("machines", "machines", "machines=2"),
    ("memory", "vm.memory", "memory=1024mb"),
    ("queue", "queue.timeout", "queue=30s"),
    ("depth", "queue.depth_max", "depth=100"),
    ("linger", "upstream.linger", "linger=evict"),
    ("idle", "upstream.idle_timeout", "idle=4s"),
    ("reserve", "reserve.slots", "reserve=2"),
];

impl VariantError {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }

    /// What to write instead.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

impl Variant {
    /// The same with the changes that a text such as `hard=60,soft=45` tells.
    ///
    /// # Errors
    /// The part that is wrong, and what to write instead.
    pub fn changed(mut self, text: &str) -> Result<Self, VariantError> {
        let mut said: Vec<&str> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let Some((name, value)) = part.split_once('=') else {
                let message = format!("{part:?} is no change");
                return Err(VariantError::new(
                    message,
                    "write NAME=VALUE, such as hard=60,soft=45",
                ));
            };
            let (name, value) = (name.trim(), value.trim());
            let key = key(name)?;
            if said.contains(&key) {
                let message = format!("{key:?} is changed twice");
                let hint = "give each --what-if one value of a kind; repeat --what-if to compare";
                return Err(VariantError::new(message, hint));
            }
            said.push(key);
            self.change(key, value)?;
        }
        Ok(self)
    }

    fn change(&mut self, key: &str, value: &str) -> Result<(), VariantError> {
        let wrong = |why: &str| {
            let example = KEYS.iter().find(|known| known.0 == key).map_or("", |known| known.2);
            VariantError::new(format!("{key}={value}: {why}"), format!("write such as {example}"))
        };
        let duration = || parse_duration(value).map_err(|error| wrong(&error.to_string()));
        let count = |most: u32| {
            let number = value.parse::<u32>().ok().filter(|number| *number <= most);
            number.ok_or_else(|| wrong(&format!("it is no whole number from 0 to {most}")))
        };
        match key {
            "type" => {
                self.accounting = match value {
                    "connections" => Accounting::Connections,
                    "requests" => Accounting::Requests,
                    _ => return Err(unknown(value, &["connections", "requests"])),
                }
            }
            "linger" => {
                self.settings.linger = match value {
                    "hold" => Linger::Hold,
                    "evict" => Linger::Evict,
                    _ => return Err(unknown(value, &["hold", "evict"])),
                }
            }
            "hard" => self.settings.limits.hard = NonZeroU32::new(count(LIMIT_MAX)?),
            "soft" => self.settings.limits.soft = NonZeroU32::new(count(LIMIT_MAX)?),
            "machines" => {
                let machines = NonZeroU32::new(count(MACHINES_MAX)?);
                self.machines = machines.ok_or_else(|| wrong("at least one machine runs"))?;
            }
            "memory" => {
                let mb = fly::memory_mb(value).and_then(|mb| u64::try_from(mb).ok());
                let mb = mb.filter(|mb| *mb > 0);
                self.memory_mb = Some(mb.ok_or_else(|| wrong("it is no size"))?);
            }
            "queue" => self.queue_timeout = duration()?,
            "idle" => self.idle_timeout = duration()?,
            "depth" => {
                let most = u32::try_from(DEPTH_MAX).unwrap_or(u32::MAX);
                self.settings.queue_depth_max = count(most)? as usize;
            }
            _ => self.settings.reserve_slots = count(LIMIT_MAX)?,
        }
        Ok(())
    }

    /// Places under the hard limit, all machines together. None: no limit.
    #[must_use]
    pub fn places(&self) -> Option<u64> {
        let hard = self.settings.limits.hard?;
        Some(u64::from(hard.get()) * u64::from(self.machines.get()))
    }

    /// For how long after its end an exchange keeps a place from others.
    #[must_use]
    pub fn held_after(&self) -> Duration {
        match (self.accounting, self.settings.linger) {
            (Accounting::Connections, Linger::Hold) => self.idle_timeout,
            _ => Duration::ZERO,
        }
    }

    /// Whether nothing but `type` differs.
    #[must_use]
    pub fn differs_by_type_alone(&self, other: &Self) -> bool {
        self.accounting != other.accounting
            && *other == Self { accounting: other.accounting, ..*self }
    }

    /// With another hard limit.
    #[must_use]
    pub fn with_hard(mut self, hard: Option<NonZeroU32>) -> Self {
        self.settings.limits = Limits { hard, ..self.settings.limits };
        self
    }

    /// What decides how many places are needed.
    pub(super) fn without_limits(mut self) -> Self {
        self.settings.limits = Limits::default();
        self.memory_mb = None;
        self
    }

    /// Each value by its name, as it would be written.
    #[must_use]
    pub fn values(&self) -> Vec<(&'static str, String)> {
        let limit = |limit: Option<NonZeroU32>| {
            limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())
        };
        let accounting = match self.accounting {
            Accounting::Connections => "connections",
            Accounting::Requests => "requests",
        };
        let linger = match self.settings.linger {
            Linger::Hold => "hold",
            Linger::Evict => "evict",
        };
        vec![
            ("type", accounting.to_owned()),
            ("hard", limit(self.settings.limits.hard)),
            ("soft", limit(self.settings.limits.soft)),
            ("machines", self.machines.to_string()),
            ("queue", format_duration(self.queue_timeout)),
            ("depth", self.settings.queue_depth_max.to_string()),
            ("linger", linger.to_owned()),
            ("idle", format_duration(self.idle_timeout)),
            ("reserve", self.settings.reserve_slots.to_string()),
        ]
    }
}

/// The short name of a key, however it was written.
fn key(name: &str) -> Result<&'static str, VariantError> {
    let found = KEYS.iter().find(|(short, long, _)| *short == name || *long == name);
    match found {
        Some((short, ..)) => Ok(short),
        None => {
            let all: Vec<_> = KEYS.iter().flat_map(|(short, long, _)| [*short, *long]).collect();
            Err(match nearest(name, &all) {
                Some(near) => VariantError::new(
                    format!("{name:?} is nothing that can be changed"),
                    format!("did you mean {near}?"),
                ),
                None => unknown(name, &KEYS.map(|(short, ..)| short)),
            })
        }
    }
}

fn unknown(given: &str, known: &[&'static str]) -> VariantError {
    let hint = match nearest(given, known) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("write one of {}", listed(known)),
    };
    VariantError::new(format!("{given:?} is not known"), hint)
}
