//! What a `fly.toml` that lies beside the logs says of the services that they tell of.

use outlast_config::fly::{AutoStop, Written};
use outlast_config::{Place, SourceText, decode_fly};

use crate::logs::Unit;

/// The parts of a `fly.toml` that are evidence. An app's own file is taken: nothing in a log names it.
#[derive(Debug, Clone, PartialEq)]
pub struct Beside {
    /// The file's name.
    pub name: String,
    /// Where that service's app listens.
    pub internal_port: Option<i64>,
    /// What its first service counts.
    pub unit: Unit,
    /// Where that is written. `None`: it is Fly's default.
    pub unit_at: Option<Place>,
    /// Its hard limit.
    pub hard_limit: Option<(i64, Place)>,
    /// `idle_timeout`, in seconds.
    pub idle_timeout: Option<(u64, Place)>,
    /// Whether machines are suspended or stopped when idle.
    pub auto_stop: Option<(AutoStop, Place)>,
}

impl Beside {
    /// Reads it. `None`: Fly would not decode it, or there is no service in it; the review of the file tells.
    #[must_use]
    pub fn read(source: &SourceText) -> Option<Self> {
        let fly = decode_fly(&source.name, &source.text).ok()?;
        Self::of(source, &fly)
    }

    /// Whether it is what ran when this limit was reached: a file may be newer than a log.
    pub(crate) fn has_limit(&self, limit: u32) -> bool {
        self.hard_limit.as_ref().is_some_and(|(hard, _)| *hard == i64::from(limit))
    }

    fn of(source: &SourceText, fly: &Written) -> Option<Self> {
        let http = fly.http_service.as_ref();
        let service = fly.services.first();
        let common = http.map(|http| &http.common).or(service.map(|service| &service.common))?;
        let options = http.and_then(|http| http.http_options.as_ref());
        let options =
            options.or_else(|| service?.ports.iter().find_map(|port| port.http_options.as_ref()));
        let limits = common.concurrency.as_ref();
        let kind = limits.and_then(|limits| limits.kind.as_ref());
        let is_requests = kind.is_some_and(|kind| kind.value == "requests");
        let place = |span: &std::ops::Range<usize>| source.place(span.clone());
        let hard = limits.and_then(|limits| limits.hard_limit.as_ref());
        let hard = hard.filter(|hard| hard.value > 0);
        let idle = options.and_then(|options| options.idle_timeout.as_ref());
        let stop = common.auto_stop_machines.as_ref();
        Some(Self {
            name: source.name.to_string(),
            internal_port: common.internal_port.as_ref().map(|port| port.value),
            unit: if is_requests { Unit::Requests } else { Unit::Connections },
            unit_at: kind.map(|kind| place(&kind.span)),
            hard_limit: hard.map(|hard| (hard.value, place(&hard.span))),
            idle_timeout: idle.map(|idle| (idle.value, place(&idle.span))),
            auto_stop: stop
                .filter(|stop| stop.value != AutoStop::Off)
                .map(|stop| (stop.value, place(&stop.span))),
        })
    }
}
