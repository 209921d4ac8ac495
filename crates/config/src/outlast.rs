//! `outlast.toml`: what the user wrote in it.
//!
//! It holds what Fly has no word for. Its keys are those of [`crate::reference`]; any other is an error.

use std::ops::Range;
use std::time::Duration;

use crate::byte_size::ByteSize;
use crate::diagnostic::{self, Diagnostic};
use crate::keys;
use crate::pattern::PathPattern;
use crate::plan::{AgentKind, Linger};
use crate::proxies::{HeaderName, Network};
use crate::read::{Dialect, Reader, Section, parse};
use crate::route::{HalfClose, QueueNotice, RefusalForm};
use crate::setting::{CommandLine, Setting};
use crate::source::{Located, SourceText};

/// An `outlast.toml` as written. `None`: the key is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Written {
    /// `listen.connections_max`.
    pub listen_connections_max: Option<Located<u32>>,
    /// `listen.connections_per_client_max`.
    pub listen_connections_per_client_max: Option<Located<u32>>,
    /// `listen.trusted_proxies`.
    pub listen_trusted_proxies: Option<Located<Vec<Network>>>,
    /// `listen.client_header`.
    pub listen_client_header: Option<Located<HeaderName>>,
    /// `queue.depth_max`.
    pub queue_depth_max: Option<Located<u32>>,
    /// `queue.timeout`.
    pub queue_timeout: Option<Located<Duration>>,
    /// `queue.client_header`.
    pub queue_client_header: Option<Located<Option<HeaderName>>>,
    /// `reserve.slots`.
    pub reserve_slots: Option<Located<u32>>,
    /// `reserve.paths`.
    pub reserve_paths: Option<Located<Vec<PathPattern>>>,
    /// `[clocks]`.
    pub clocks: Clocks,
    /// `[[route]]`, in order.
    pub routes: Vec<Route>,
    /// `upstream.linger`.
    pub upstream_linger: Option<Located<Linger>>,
    /// `upstream.idle_timeout`.
    pub upstream_idle_timeout: Option<Located<Duration>>,
    /// `upstream.request_buffer`.
    pub upstream_request_buffer: Option<Located<ByteSize>>,
    /// `exchange.buffer_max`.
    pub exchange_buffer_max: Option<Located<ByteSize>>,
    /// `eject.failures`.
    pub eject_failures: Option<Located<u32>>,
    /// `eject.time`.
    pub eject_time: Option<Located<Duration>>,
    /// `eject.time_max`.
    pub eject_time_max: Option<Located<Duration>>,
    /// `eject.share_max`.
    pub eject_share_max: Option<Located<u32>>,
    /// `retry.percent`.
    pub retry_percent: Option<Located<u32>>,
    /// `retry.min`.
    pub retry_min: Option<Located<u32>>,
    /// `drain.grace`.
    pub drain_grace: Option<Located<Duration>>,
    /// `agent.kind`.
    pub agent_kind: Option<Located<AgentKind>>,
    /// `agent.pace`.
    pub agent_pace: Option<Located<Duration>>,
    /// `agent.runs_max`.
    pub agent_runs_max: Option<Located<u32>>,
    /// `streams.append_max`.
    pub streams_append_max: Option<Located<ByteSize>>,
    /// `streams.bytes_max`.
    pub streams_bytes_max: Option<Located<ByteSize>>,
    /// `streams.age_max`.
    pub streams_age_max: Option<Located<Duration>>,
    /// `streams.readers_max`.
    pub streams_readers_max: Option<Located<u32>>,
    /// `streams.poll_timeout`.
    pub streams_poll_timeout: Option<Located<Duration>>,
    /// `streams.events_lifetime`.
    pub streams_events_lifetime: Option<Located<Duration>>,
    /// `machine.command`, split into the program and its arguments. Never empty.
    pub machine_command: Option<Located<Vec<String>>>,
}

/// `[clocks]`, of the file or of a route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Clocks {
    /// `connect`.
    pub connect: Option<Located<Duration>>,
    /// `head`.
    pub head: Option<Located<Duration>>,
    /// `keep_alive`.
    pub keep_alive: Option<Located<Duration>>,
    /// `response_head`.
    pub response_head: Option<Located<Duration>>,
    /// `chunk_gap`.
    pub chunk_gap: Option<Located<Duration>>,
    /// `lifetime`.
    pub lifetime: Option<Located<Duration>>,
    /// `write_stall`.
    pub write_stall: Option<Located<Duration>>,
}

/// One of `[[route]]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Route {
    /// Where the section begins.
    pub span: Range<usize>,
    /// `service`, any text.
    pub service: Option<Located<String>>,
    /// `path`.
    pub path: Option<Located<PathPattern>>,
    /// `half_close`.
    pub half_close: Option<Located<HalfClose>>,
    /// `heartbeat`.
    pub heartbeat: Option<Located<Duration>>,
    /// `queue_notice`.
    pub queue_notice: Option<Located<Option<QueueNotice>>>,
    /// `refusal`.
    pub refusal: Option<Located<RefusalForm>>,
    /// `clocks`.
    pub clocks: Clocks,
}

/// Reads an `outlast.toml`.
///
/// # Errors
/// Every syntax error, or every unknown key and wrong value.
pub fn decode_outlast(name: &str, text: &str) -> Result<Written, Vec<Diagnostic>> {
    let (written, mut diagnostics) = decode(&SourceText::new(name, text));
    diagnostic::sort(&mut diagnostics);
    if diagnostics.is_empty() { Ok(written) } else { Err(diagnostics) }
}

/// What could be read, and what could not.
pub(crate) fn decode(source: &SourceText) -> (Written, Vec<Diagnostic>) {
    let table = match parse(source) {
        Ok(table) => table,
        Err(errors) => return (Written::default(), errors),
    };
    let reader = Reader::new(source, Dialect::Outlast, keys::explain);
    let mut root = reader.root(&table);
    let mut written = Written::default();
    for name in keys::sections() {
        let Some(field) = root.take(name) else { continue };
        if name == "route" {
            written.routes = field.tables().into_iter().map(read_route).collect();
        } else if let Some(section) = field.table() {
            read_section(name, section, &mut written);
        }
    }
    root.finish();
    (written, reader.finish())
}

fn read_section(name: &str, mut section: Section<'_>, written: &mut Written) {
    match name {
        "listen" => {
            written.listen_connections_max = setting(&mut section, "connections_max");
            written.listen_connections_per_client_max =
                setting(&mut section, "connections_per_client_max");
            written.listen_trusted_proxies = setting(&mut section, "trusted_proxies");
            written.listen_client_header = setting(&mut section, "client_header");
        }
        "queue" => {
            written.queue_depth_max = setting(&mut section, "depth_max");
            written.queue_timeout = setting(&mut section, "timeout");
            written.queue_client_header = setting(&mut section, "client_header");
        }
        "reserve" => {
            written.reserve_slots = setting(&mut section, "slots");
            written.reserve_paths = setting(&mut section, "paths");
        }
        "clocks" => written.clocks = read_clocks(&mut section),
        "upstream" => {
            written.upstream_linger = setting(&mut section, "linger");
            written.upstream_idle_timeout = setting(&mut section, "idle_timeout");
            written.upstream_request_buffer = setting(&mut section, "request_buffer");
        }
        "eject" => {
            written.eject_failures = setting(&mut section, "failures");
            written.eject_time = setting(&mut section, "time");
            written.eject_time_max = setting(&mut section, "time_max");
            written.eject_share_max = setting(&mut section, "share_max");
        }
        "retry" => {
            written.retry_percent = setting(&mut section, "percent");
            written.retry_min = setting(&mut section, "min");
        }
        "exchange" => written.exchange_buffer_max = setting(&mut section, "buffer_max"),
        "drain" => written.drain_grace = setting(&mut section, "grace"),
        "agent" => {
            written.agent_kind = setting(&mut section, "kind");
            written.agent_pace = setting(&mut section, "pace");
            written.agent_runs_max = setting(&mut section, "runs_max");
        }
        "streams" => {
            written.streams_append_max = setting(&mut section, "append_max");
            written.streams_bytes_max = setting(&mut section, "bytes_max");
            written.streams_age_max = setting(&mut section, "age_max");
            written.streams_readers_max = setting(&mut section, "readers_max");
            written.streams_poll_timeout = setting(&mut section, "poll_timeout");
            written.streams_events_lifetime = setting(&mut section, "events_lifetime");
        }
        "machine" => {
            let command: Option<Located<CommandLine>> = setting(&mut section, "command");
            written.machine_command = command.map(|command| command.map(|line| line.0));
        }
        _ => unreachable!("the section [{name}] of the table is read here"),
    }
    section.finish();
}

fn read_clocks(section: &mut Section<'_>) -> Clocks {
    Clocks {
        connect: setting(section, "connect"),
        head: setting(section, "head"),
        keep_alive: setting(section, "keep_alive"),
        response_head: setting(section, "response_head"),
        chunk_gap: setting(section, "chunk_gap"),
        lifetime: setting(section, "lifetime"),
        write_stall: setting(section, "write_stall"),
    }
}

fn read_route(mut section: Section<'_>) -> Route {
    let clocks = section.take("clocks").and_then(|field| field.table());
    let clocks = clocks.map(|mut section| {
        let clocks = read_clocks(&mut section);
        section.finish();
        clocks
    });
    let route = Route {
        span: section.span.clone(),
        service: section.take("service").and_then(|field| field.text()),
        path: setting(&mut section, "path"),
        half_close: setting(&mut section, "half_close"),
        heartbeat: setting(&mut section, "heartbeat"),
        queue_notice: setting(&mut section, "queue_notice"),
        refusal: setting(&mut section, "refusal"),
        clocks: clocks.unwrap_or_default(),
    };
    section.finish();
    route
}

fn setting<T: Setting>(section: &mut Section<'_>, key: &'static str) -> Option<Located<T>> {
    let field = section.take(key)?;
    match T::from_toml(field.value) {
        Ok(value) => Some(field.locate(value)),
        Err(error) => {
            field.say(Diagnostic::error(format!("`{}`: {error}", field.path)).hint(error.hint()));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_table_is_read() {
        for entry in keys::reference() {
            let (section, key) = entry.key.split_once('.').unwrap();
            let header = if section == "route" { "[[route]]" } else { &format!("[{section}]") };
            let literal = match entry.key {
                "route.service" => "\"http\"",
                "route.path" => "\"/\"",
                key if key.starts_with("route.clocks.") => "\"1s\"",
                "upstream.linger" => "\"hold\"",
                "machine.command" => "[\"npm\", \"start\"]",
                _ => entry.default,
            };
            let text = format!("{header}\n{key} = {literal}\n");
            let written = decode_outlast("outlast.toml", &text).unwrap();
            let empty = decode_outlast("outlast.toml", header).unwrap();
            assert_ne!(written, empty, "{} is not read", entry.key);
        }
    }
}
