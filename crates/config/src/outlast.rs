//! `outlast.toml`: what the user wrote in it.
//!
//! It holds what Fly has no word for. Its keys are those of [`crate::reference`]; any other is an error.

use std::time::Duration;

use crate::byte_size::ByteSize;
use crate::diagnostic::{self, Diagnostic};
use crate::keys;
use crate::plan::{AgentKind, Linger, PathPattern};
use crate::read::{Dialect, Reader, Section, parse};
use crate::setting::{CommandLine, Setting};
use crate::source::{Located, SourceText};

/// An `outlast.toml` as written. `None`: the key is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Written {
    /// `listen.connections_max`.
    pub listen_connections_max: Option<Located<u32>>,
    /// `listen.connections_per_client_max`.
    pub listen_connections_per_client_max: Option<Located<u32>>,
    /// `queue.depth_max`.
    pub queue_depth_max: Option<Located<u32>>,
    /// `queue.timeout`.
    pub queue_timeout: Option<Located<Duration>>,
    /// `reserve.slots`.
    pub reserve_slots: Option<Located<u32>>,
    /// `reserve.paths`.
    pub reserve_paths: Option<Located<Vec<PathPattern>>>,
    /// `clocks.connect`.
    pub clocks_connect: Option<Located<Duration>>,
    /// `clocks.head`.
    pub clocks_head: Option<Located<Duration>>,
    /// `clocks.keep_alive`.
    pub clocks_keep_alive: Option<Located<Duration>>,
    /// `upstream.linger`.
    pub upstream_linger: Option<Located<Linger>>,
    /// `upstream.idle_timeout`.
    pub upstream_idle_timeout: Option<Located<Duration>>,
    /// `upstream.request_buffer`.
    pub upstream_request_buffer: Option<Located<ByteSize>>,
    /// `drain.grace`.
    pub drain_grace: Option<Located<Duration>>,
    /// `agent.kind`.
    pub agent_kind: Option<Located<AgentKind>>,
    /// `agent.pace`.
    pub agent_pace: Option<Located<Duration>>,
    /// `agent.runs_max`.
    pub agent_runs_max: Option<Located<u32>>,
    /// `machine.command`, split into the program and its arguments. Never empty.
    pub machine_command: Option<Located<Vec<String>>>,
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
        let Some(section) = root.take(name).and_then(|field| field.table()) else { continue };
        read_section(name, section, &mut written);
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
        }
        "queue" => {
            written.queue_depth_max = setting(&mut section, "depth_max");
            written.queue_timeout = setting(&mut section, "timeout");
        }
        "reserve" => {
            written.reserve_slots = setting(&mut section, "slots");
            written.reserve_paths = setting(&mut section, "paths");
        }
        "clocks" => {
            written.clocks_connect = setting(&mut section, "connect");
            written.clocks_head = setting(&mut section, "head");
            written.clocks_keep_alive = setting(&mut section, "keep_alive");
        }
        "upstream" => {
            written.upstream_linger = setting(&mut section, "linger");
            written.upstream_idle_timeout = setting(&mut section, "idle_timeout");
            written.upstream_request_buffer = setting(&mut section, "request_buffer");
        }
        "drain" => written.drain_grace = setting(&mut section, "grace"),
        "agent" => {
            written.agent_kind = setting(&mut section, "kind");
            written.agent_pace = setting(&mut section, "pace");
            written.agent_runs_max = setting(&mut section, "runs_max");
        }
        "machine" => {
            let command: Option<Located<CommandLine>> = setting(&mut section, "command");
            written.machine_command = command.map(|command| command.map(|line| line.0));
        }
        _ => unreachable!("the section [{name}] of the table is read here"),
    }
    section.finish();
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
            let literal = match entry.key {
                "upstream.linger" => "\"hold\"",
                "machine.command" => "[\"npm\", \"start\"]",
                _ => entry.default,
            };
            let text = format!("[{section}]\n{key} = {literal}\n");
            let written = decode_outlast("outlast.toml", &text).unwrap();
            assert_ne!(written, Written::default(), "{} is not read", entry.key);
        }
    }
}
