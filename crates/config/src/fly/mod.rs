//! `fly.toml`: what the user wrote in it, read the way flyctl reads it.
//!
//! Whatever flyctl decodes is decoded here, old spellings included; what it refuses to decode is an error, with its
//! place. What a value *means* is not judged here: an unknown concurrency type or a negative limit decodes, as there.

mod checks;
mod platform;
mod schema;
mod service;
mod top;

use std::collections::BTreeMap;
use std::ops::Range;

pub use self::checks::Check;
pub use self::platform::{Deploy, Mount, Restart, Vm, memory_mb};
use crate::diagnostic::{self, Diagnostic};
pub use crate::read::UnknownKey;
use crate::read::{Dialect, Reader, parse};
use crate::source::{Located, SourceText};

/// A `fly.toml` as written. `None` and empty: absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Written {
    /// `app`.
    pub app: Option<Located<String>>,
    /// `primary_region`.
    pub primary_region: Option<Located<String>>,
    /// `kill_signal`, any text.
    pub kill_signal: Option<Located<String>>,
    /// `kill_timeout`, also where `[experimental]` holds it.
    pub kill_timeout: Option<Located<GoDuration>>,
    /// `[env]`, every value as a string.
    pub env: BTreeMap<String, Located<String>>,
    /// `[processes]`: commands by group, not split yet.
    pub processes: BTreeMap<String, Located<String>>,
    /// `[http_service]`.
    pub http_service: Option<HttpService>,
    /// `[[services]]`, in order. Empty ones are dropped, as Fly drops them.
    pub services: Vec<Service>,
    /// `[checks]`, by name or in the order of an old list.
    pub checks: Vec<Check>,
    /// `console_command`.
    pub console_command: Option<Located<String>>,
    /// `swap_size_mb`, any number.
    pub swap_size_mb: Option<Located<i64>>,
    /// `[[vm]]`, also as `compute` and `computes`, in order.
    pub vms: Vec<Vm>,
    /// `[mounts]`, also as `mount`, in order.
    pub mounts: Vec<Mount>,
    /// `[deploy]`.
    pub deploy: Option<Deploy>,
    /// `[[restart]]`, in order.
    pub restarts: Vec<Restart>,
    /// Keys that Fly does not know and drops, in the order of the file.
    pub unknown: Vec<Located<UnknownKey>>,
    /// What was written that Outlast reads and does not act on yet, in the order of the file.
    pub idle: Vec<Located<Feature>>,
    /// What was said while reading: dropped keys, ignored values.
    pub notes: Vec<Diagnostic>,
}

/// A duration as Go has it: nanoseconds, perhaps below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(pub i64);

/// What `[http_service]` and `[[services]]` have in common.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Common {
    /// Where the section begins.
    pub span: Range<usize>,
    /// `internal_port`, any number.
    pub internal_port: Option<Located<i64>>,
    /// `auto_stop_machines`.
    pub auto_stop_machines: Option<Located<AutoStop>>,
    /// `auto_start_machines`.
    pub auto_start_machines: Option<Located<bool>>,
    /// `min_machines_running`.
    pub min_machines_running: Option<Located<i64>>,
    /// `concurrency`.
    pub concurrency: Option<Concurrency>,
    /// `processes`.
    pub processes: Vec<Located<String>>,
}

/// `[http_service]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HttpService {
    /// What other services have too.
    pub common: Common,
    /// `force_https`.
    pub force_https: Option<Located<bool>>,
    /// `http_options`.
    pub http_options: Option<HttpOptions>,
    /// `checks`, in order.
    pub checks: Vec<Check>,
}

/// One of `[[services]]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Service {
    /// What `http_service` has too.
    pub common: Common,
    /// `protocol`, any text.
    pub protocol: Option<Located<String>>,
    /// `ports`, in order.
    pub ports: Vec<Port>,
    /// `tcp_checks`, then `http_checks`, each in order.
    pub checks: Vec<Check>,
}

/// One of `[[services.ports]]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Port {
    /// Where the section begins.
    pub span: Range<usize>,
    /// `port`, any number.
    pub port: Option<Located<i64>>,
    /// `start_port`, any number.
    pub start_port: Option<Located<i64>>,
    /// `end_port`, any number.
    pub end_port: Option<Located<i64>>,
    /// `handlers`, any texts.
    pub handlers: Vec<Located<String>>,
    /// `force_https`.
    pub force_https: Option<Located<bool>>,
    /// `http_options`.
    pub http_options: Option<HttpOptions>,
}

/// `concurrency` of a service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Concurrency {
    /// Where the section begins.
    pub span: Range<usize>,
    /// `type`, any text.
    pub kind: Option<Located<String>>,
    /// `hard_limit`, any number.
    pub hard_limit: Option<Located<i64>>,
    /// `soft_limit`, any number.
    pub soft_limit: Option<Located<i64>>,
}

/// `http_options` of a service or a port, as far as it is about the relay.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HttpOptions {
    /// `idle_timeout`, in seconds.
    pub idle_timeout: Option<Located<u64>>,
    /// `headers_read_timeout`, in seconds.
    pub headers_read_timeout: Option<Located<u64>>,
    /// `h2_backend`.
    pub h2_backend: Option<Located<bool>>,
    /// `compress`.
    pub compress: Option<Located<bool>>,
    /// `response.pristine`.
    pub pristine: Option<Located<bool>>,
    /// Where `replay_cache` stands.
    pub replay_cache: Option<Range<usize>>,
}

/// `auto_stop_machines`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoStop {
    /// `"off"` or `false`.
    Off,
    /// `"stop"` or `true`.
    Stop,
    /// `"suspend"`.
    Suspend,
}

/// A part of `fly.toml` that is read and not acted on yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// `auto_stop_machines` other than off, with `auto_start_machines` and `min_machines_running`.
    AutoStop,
    /// `force_https = true`.
    ForceHttps,
    /// `http_options` other than `idle_timeout` and `headers_read_timeout`.
    HttpOptions,
    /// `tls_options`.
    TlsOptions,
    /// The handler `tls`.
    Tls,
    /// The handlers `pg_tls` and `proxy_proto`, and `proxy_proto_options`.
    PortHandlers,
    /// `machine_checks`.
    MachineChecks,
    /// `[mounts]`.
    Mounts,
    /// `[vm]` and `swap_size_mb`.
    Vm,
    /// `[[restart]]`.
    Restart,
    /// `[[statics]]`.
    Statics,
    /// `[[files]]`.
    Files,
    /// `[metrics]`.
    Metrics,
    /// `deploy.release_command` and `deploy.seed_command`.
    DeployCommands,
    /// `cmd`, `entrypoint` and `exec` of `[experimental]`.
    Entrypoint,
}

impl Feature {
    /// The key, as people know it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AutoStop => "auto_stop_machines",
            Self::ForceHttps => "force_https",
            Self::HttpOptions => "http_options other than its timeouts",
            Self::TlsOptions => "tls_options",
            Self::Tls => "the handler tls",
            Self::PortHandlers => "the handlers pg_tls and proxy_proto",
            Self::MachineChecks => "machine_checks",
            Self::Mounts => "mounts",
            Self::Vm => "vm",
            Self::Restart => "restart",
            Self::Statics => "statics",
            Self::Files => "files",
            Self::Metrics => "metrics",
            Self::DeployCommands => "release_command and seed_command",
            Self::Entrypoint => "cmd, entrypoint and exec",
        }
    }

    /// What happens instead.
    #[must_use]
    pub fn instead(self) -> &'static str {
        match self {
            Self::AutoStop => "every machine runs all the time",
            Self::ForceHttps => "plain HTTP is served as it is",
            Self::HttpOptions => {
                "machines are spoken to in HTTP/1.1, and responses pass through unchanged"
            }
            Self::TlsOptions | Self::Tls => "the port is served without TLS",
            Self::PortHandlers => "bytes pass through unchanged",
            Self::MachineChecks => "no machine is started to test others",
            Self::Mounts => "paths of machines are paths of this host",
            Self::Vm => "machines have no limits of their own",
            Self::Restart => "a machine that ends is started again, with back-off",
            Self::Statics => "all paths go to the app",
            Self::Files => "no files are written",
            Self::Metrics => "the app's metrics are not scraped",
            Self::DeployCommands => "nothing runs before the machines start",
            Self::Entrypoint => {
                "the command comes from [processes], from behind --, or from [machine] command"
            }
        }
    }
}

/// Reads a `fly.toml`. `name` is what diagnostics call it.
///
/// # Errors
/// Every syntax error, or everything that flyctl could not decode; with it what else was said.
pub fn decode_fly(name: &str, text: &str) -> Result<Written, Vec<Diagnostic>> {
    decode(&SourceText::new(name, text))
}

pub(crate) fn decode(source: &SourceText) -> Result<Written, Vec<Diagnostic>> {
    let table = parse(source)?;
    let reader = Reader::new(source, Dialect::Fly, schema::explain);
    let mut written = top::read(reader.root(&table));
    written.unknown = reader.unknown.take();
    written.unknown.sort_by_key(|unknown| unknown.span.start);
    let mut diagnostics = reader.finish();
    diagnostic::sort(&mut diagnostics);
    if diagnostic::any_error(&diagnostics) {
        return Err(diagnostics);
    }
    written.idle.sort_by_key(|feature| feature.span.start);
    written.notes = diagnostics;
    Ok(written)
}
