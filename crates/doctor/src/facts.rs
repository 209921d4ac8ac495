//! What the rules look at: the file as services and machines, and the premises.

use std::ops::Range;
use std::time::Duration;

use outlast_config::fly::{self, AutoStop, Common, HttpOptions, Port, Written};
use outlast_config::{Located, SourceText, outlast};
use toml_edit::{Document, InlineTable, Item, Table, TableLike, Value};

use crate::fix::{Change, Edit, Step, spelt};
use crate::hints::{self, Hints, Premise};

/// A file that decodes, and what is known beside it.
pub(crate) struct Facts<'a> {
    pub(crate) source: &'a SourceText,
    pub(crate) fly: &'a Written,
    /// The same file as it is written, for what decoding no longer shows.
    pub(crate) raw: &'a Document<&'a str>,
    pub(crate) outlast: Option<(&'a SourceText, &'a outlast::Written)>,
    pub(crate) hints: &'a Hints,
    pub(crate) services: Vec<Service<'a>>,
    pub(crate) streams: Premise<Option<Duration>>,
    pub(crate) machines: Premise<u32>,
    pub(crate) memory_per_stream: Premise<u64>,
}

/// What the proxy makes of a service's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// There are requests.
    Http,
    /// TLS ends at the edge; below it is anything.
    Tls,
    /// Bytes.
    Tcp,
    /// Datagrams.
    Udp,
}

/// `http_service`, or one of `services`.
pub(crate) struct Service<'a> {
    /// As people call it: `http_service`, `services port 3001`.
    pub(crate) title: String,
    /// Its section, such as `http_service`.
    pub(crate) section: &'static str,
    pub(crate) path: Vec<Step>,
    pub(crate) common: &'a Common,
    pub(crate) speaks: Speaks,
    /// Empty for `http_service`, whose ports are 80 and 443.
    pub(crate) ports: &'a [Port],
    pub(crate) options: Vec<&'a HttpOptions>,
    pub(crate) checks: &'a [fly::Check],
}

/// A machine's size.
pub(crate) struct Memory {
    pub(crate) mb: u64,
    /// Where it is written; `None`: Fly's smallest, because nothing is.
    pub(crate) span: Option<Range<usize>>,
    /// The most such a machine can have.
    pub(crate) max_mb: u64,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(
        source: &'a SourceText,
        fly: &'a Written,
        raw: &'a Document<&'a str>,
        outlast: Option<(&'a SourceText, &'a outlast::Written)>,
        hints: &'a Hints,
    ) -> Self {
        let http = fly.http_service.iter().map(|http| Service {
            title: "http_service".to_owned(),
            section: "http_service",
            path: vec![Step::Key("http_service")],
            common: &http.common,
            speaks: Speaks::Http,
            ports: &[],
            options: http.http_options.iter().collect(),
            checks: &http.checks,
        });
        let others = written_services(raw).into_iter().zip(&fly.services);
        let others = others.map(|(index, service)| Service {
            title: title(service),
            section: "services",
            path: vec![Step::Key("services"), Step::Item(index)],
            common: &service.common,
            speaks: speaks(service),
            ports: &service.ports,
            options: service.ports.iter().filter_map(|port| port.http_options.as_ref()).collect(),
            checks: &service.checks,
        });
        Self {
            source,
            fly,
            raw,
            outlast,
            hints,
            services: http.chain(others).collect(),
            streams: hints::streams(hints, fly),
            machines: hints::machines(hints, fly),
            memory_per_stream: hints::memory_per_stream(hints, fly),
        }
    }

    /// What is written at a place.
    pub(crate) fn text(&self, span: &Range<usize>) -> &'a str {
        self.source.text.get(span.clone()).unwrap_or_default()
    }

    /// Whether a value was written without quotes, where that changes its unit.
    pub(crate) fn is_bare<T>(&self, value: &Located<T>) -> bool {
        !self.text(&value.span).starts_with(['"', '\''])
    }

    /// The size of the machines that run a service.
    pub(crate) fn memory(&self, groups: &[Located<String>]) -> Memory {
        memory_of(self.fly, groups.first().map(|group| &*group.value))
    }

    /// Whether it is known, or seems, that there are no streams.
    pub(crate) fn is_without_streams(&self) -> bool {
        self.streams.value.is_none()
    }
}

impl Service<'_> {
    /// Whether machines are stopped or suspended when idle.
    pub(crate) fn autostop(&self) -> Option<&Located<AutoStop>> {
        let stop = self.common.auto_stop_machines.as_ref();
        stop.filter(|stop| stop.value != AutoStop::Off)
    }

    /// A limit that is there: zero is none.
    pub(crate) fn hard(&self) -> Option<&Located<i64>> {
        self.common.concurrency.as_ref()?.hard_limit.as_ref().filter(|limit| limit.value > 0)
    }

    /// An edit of something below the service.
    pub(crate) fn edit(&self, keys: &[&'static str], change: Change) -> Option<Edit> {
        let keys = keys.iter().map(|key| Step::Key(key));
        Some(Edit { path: self.path.iter().cloned().chain(keys).collect(), change })
    }

    /// `[http_service.concurrency]`, for hints.
    pub(crate) fn header(&self, below: &str) -> String {
        format!("[{}.{below}]", self.section)
    }
}

/// The size of the machines of a process group, `app` if none is named.
pub(crate) fn memory_of(fly: &Written, group: Option<&str>) -> Memory {
    let group = group.unwrap_or("app");
    let names = |vm: &&fly::Vm| vm.processes.iter().any(|name| name.value == group);
    let vm = fly.vms.iter().find(names);
    let vm = vm.or_else(|| fly.vms.iter().find(|vm| vm.processes.is_empty()));
    vm.map_or(Memory { mb: 256, span: None, max_mb: 2048 }, memory)
}

/// Where in the file's list those services stand that Fly keeps: empty ones are dropped.
fn written_services(raw: &Document<&str>) -> Vec<usize> {
    let table = raw.as_table();
    let key = spelt(table.iter().map(|(key, _)| key), "services");
    let emptiness: Vec<bool> = match key.and_then(|key| table.get(key)) {
        Some(Item::ArrayOfTables(tables)) => tables.iter().map(Table::is_empty).collect(),
        Some(Item::Value(Value::Array(items))) => {
            let is_empty = |item: &Value| item.as_inline_table().is_some_and(InlineTable::is_empty);
            items.iter().map(is_empty).collect()
        }
        Some(item) => vec![item.as_table_like().is_some_and(TableLike::is_empty)],
        None => Vec::new(),
    };
    let kept = emptiness.into_iter().enumerate().filter(|(_, is_empty)| !is_empty);
    kept.map(|(index, _)| index).collect()
}

fn title(service: &fly::Service) -> String {
    let ports =
        service.ports.iter().filter_map(|port| port.port.as_ref().or(port.start_port.as_ref()));
    let ports: Vec<_> = ports.map(|port| port.value.to_string()).collect();
    if !ports.is_empty() {
        return format!("services port {}", ports.join(", "));
    }
    let port = service.common.internal_port.as_ref().map_or(0, |port| port.value);
    format!("services to {port}")
}

fn speaks(service: &fly::Service) -> Speaks {
    if is_udp(service) {
        return Speaks::Udp;
    }
    let has = |name: &str| service.ports.iter().any(|port| handles(port, name));
    if has("http") {
        Speaks::Http
    } else if has("tls") || has("pg_tls") {
        Speaks::Tls
    } else {
        Speaks::Tcp
    }
}

pub(crate) fn is_udp(service: &fly::Service) -> bool {
    service.protocol.as_ref().is_some_and(|protocol| protocol.value == "udp")
}

/// Whether a port has a handler.
pub(crate) fn handles(port: &Port, name: &str) -> bool {
    port.handlers.iter().any(|handler| handler.value == name)
}

/// What a name such as `shared-cpu-2x` stands for: CPUs, MB of memory, and whether they are shared.
pub(crate) fn preset(size: &str) -> Option<(u64, u64, bool)> {
    let (shared, count) = match size.strip_prefix("shared-cpu-") {
        Some(count) => (true, count),
        None => (false, size.strip_prefix("performance-")?),
    };
    let count = count.strip_suffix('x')?.parse::<u64>().ok()?;
    let is_known = matches!(count, 1 | 2 | 4 | 6 | 8) || (!shared && count == 16);
    is_known.then_some((count, count * if shared { 256 } else { 2048 }, shared))
}

/// Whether a machine's CPUs are shared, and how many there are.
pub(crate) fn cpus(vm: &fly::Vm) -> (bool, u64) {
    let size = vm.size.as_ref().and_then(|size| preset(&size.value));
    let (count, _, shared) = size.unwrap_or((1, 256, true));
    let kind = vm.cpu_kind.as_ref().map(|kind| kind.value != "performance");
    let written = vm.cpus.as_ref().and_then(|cpus| u64::try_from(cpus.value).ok());
    (kind.unwrap_or(shared), written.filter(|cpus| *cpus > 0).unwrap_or(count).min(64))
}

fn memory(vm: &fly::Vm) -> Memory {
    let (shared, cpus) = cpus(vm);
    let max_mb = cpus * if shared { 2048 } else { 8192 };
    let written = vm.memory_mb.as_ref().or(vm.memory.as_ref()).filter(|memory| memory.value > 0);
    if let Some(memory) = written {
        let mb = u64::try_from(memory.value).unwrap_or(0);
        return Memory { mb, span: Some(memory.span.clone()), max_mb };
    }
    let size = vm.size.as_ref().and_then(|size| Some((preset(&size.value)?.1, size.span.clone())));
    let smallest = cpus * if shared { 256 } else { 2048 };
    let (mb, span) = size.unwrap_or_else(|| (smallest, vm.span.clone()));
    Memory { mb, span: Some(span), max_mb }
}
