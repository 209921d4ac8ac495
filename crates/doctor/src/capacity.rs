//! How many streams a service holds at once, and how much each change of it would help.

use std::ops::Range;

use outlast_config::{Located, Place};

use crate::facts::{Facts, Service, Speaks};
use crate::hints::Basis;

/// One service, and what changes of its limits would give.
#[derive(Debug, Clone, PartialEq)]
pub struct Capacity {
    /// `http_service`, `services port 443`.
    pub service: String,
    /// Where its hard limit stands.
    pub at: Place,
    /// As it is, then each change on its own, then together.
    pub changes: Vec<Change>,
    /// What was assumed for it, a sentence each.
    pub assumed: Vec<String>,
}

/// What a change gives, all machines together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The change, such as `type = "requests" alone`.
    pub what: String,
    /// How many streams the limits let in at once.
    pub places: u64,
    /// How many of them memory holds.
    pub memory_holds: u64,
}

/// What the memory of one machine holds.
pub(crate) struct Fit {
    pub(crate) mb: u64,
    pub(crate) max_mb: u64,
    pub(crate) span: Option<Range<usize>>,
    /// Streams that it holds.
    pub(crate) streams: u64,
    per_stream: u64,
}

impl Fit {
    pub(crate) fn of(facts: &Facts<'_>, service: &Service<'_>) -> Self {
        let memory = facts.memory(&service.common.processes);
        let per_stream = facts.memory_per_stream.value;
        let streams = holds(memory.mb, per_stream);
        Self { mb: memory.mb, max_mb: memory.max_mb, span: memory.span, streams, per_stream }
    }

    /// A remark if memory does not hold so many.
    pub(crate) fn memory_note(&self, streams: i64) -> String {
        let streams = u64::try_from(streams).unwrap_or(0);
        if streams <= self.streams {
            return String::new();
        }
        let needed =
            streams.saturating_mul(self.per_stream).div_ceil(1 << 20).next_multiple_of(256);
        format!(", with {needed} MB of memory instead of {}", self.mb)
    }
}

fn holds(mb: u64, per_stream: u64) -> u64 {
    mb.saturating_mul(1 << 20) / per_stream.max(1)
}

/// `1 machine`, `2 machines`.
pub(crate) fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// Of every HTTP service that has a hard limit and streams to hold.
pub(crate) fn all(facts: &Facts<'_>) -> Vec<Capacity> {
    if facts.is_without_streams() {
        return Vec::new();
    }
    let services = facts.services.iter().filter(|service| service.speaks == Speaks::Http);
    services.filter_map(|service| Some(capacity(facts, service, service.hard()?))).collect()
}

fn capacity(facts: &Facts<'_>, service: &Service<'_>, hard: &Located<i64>) -> Capacity {
    let fit = Fit::of(facts, service);
    let machines = u64::from(facts.machines.value);
    let limit = u64::try_from(hard.value).unwrap_or(0);
    let change = |what: String, limit: u64, mb: u64, machines: u64| Change {
        what,
        places: limit.saturating_mul(machines),
        memory_holds: holds(mb, fit.per_stream).saturating_mul(machines),
    };
    let mut changes = vec![change("as it is".to_owned(), limit, fit.mb, machines)];
    let kind = service.common.concurrency.as_ref().and_then(|limits| limits.kind.as_ref());
    if kind.is_none_or(|kind| kind.value != "requests") {
        // A stream holds its place until its last byte under both types.
        changes.push(change("type = \"requests\" alone".to_owned(), limit, fit.mb, machines));
    }
    let more = limit.saturating_mul(4);
    changes.push(change(format!("hard_limit = {more} alone"), more, fit.mb, machines));
    if fit.mb < fit.max_mb {
        let memory = fit.max_mb;
        changes.push(change(format!("memory = \"{memory}mb\" alone"), limit, memory, machines));
        let both = holds(memory, fit.per_stream).max(1);
        let what = format!("memory = \"{memory}mb\" and hard_limit = {both}");
        changes.push(change(what, both, memory, machines));
    }
    let what = format!("{} instead of {machines}", count(machines + 1, "machine"));
    changes.push(change(what, limit, fit.mb, machines + 1));
    let mut assumed = Vec::new();
    for basis in [&facts.machines.basis, &facts.memory_per_stream.basis] {
        if let Basis::Seen(why) | Basis::Guessed(why) = basis {
            assumed.push(why.clone());
        }
    }
    Capacity {
        service: service.title.clone(),
        at: facts.source.place(hard.span.clone()),
        changes,
        assumed,
    }
}
