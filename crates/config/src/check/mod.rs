//! From what was written, in whatever layer, to the plan.
//!
//! Precedence: flags, variables, `outlast.toml`, `fly.toml`, defaults. Every layer is read even where another wins, so
//! that a wrong value never sleeps until the day the flag is dropped.

mod checks;
mod limits;
mod machines;
mod routes;
mod services;
mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::diagnostic::{self, Diagnostic, Level};
use crate::fly::{self, Feature};
use crate::keys;
use crate::outlast;
use crate::plan::{Accounting, AgentKind, Linger, Plan};
use crate::read::nearest;
use crate::source::{Origin, SourceText};

/// Everything the plan is made from.
#[derive(Debug, Clone)]
pub struct Sources<'a> {
    /// `fly.toml`, if there is one.
    pub fly: Option<SourceText>,
    /// `outlast.toml`, if there is one.
    pub outlast: Option<SourceText>,
    /// The environment. Only names starting with `OUTLAST_` are looked at; an empty value counts as absent.
    pub env: &'a BTreeMap<String, String>,
    /// The command line.
    pub flags: Flags,
}

/// What the command line of `outlast up` says. Absent and empty: not given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flags {
    /// `--listen`: where the first HTTP service listens.
    pub listen: Option<SocketAddr>,
    /// `--to`, repeatable: machines that already run.
    pub to: Vec<SocketAddr>,
    /// `--type`: what the first HTTP service counts.
    pub accounting: Option<Accounting>,
    /// `--hard-limit` of the first HTTP service, per machine. 0: none.
    pub hard_limit: Option<u32>,
    /// `--soft-limit` of the first HTTP service, per machine. 0: none.
    pub soft_limit: Option<u32>,
    /// `--machines`: how many per process group.
    pub machines: Option<NonZeroU32>,
    /// `--port 3001=13001`, repeatable: the public port of `fly.toml`, and the port to listen on instead.
    pub ports: Vec<(u16, u16)>,
    /// The words after `--`.
    pub command: Vec<String>,
    /// `--drain-grace`.
    pub drain_grace: Option<Duration>,
    /// `--queue-timeout`.
    pub queue_timeout: Option<Duration>,
    /// `--linger`.
    pub linger: Option<Linger>,
    /// `--agent-kind`.
    pub agent_kind: Option<AgentKind>,
    /// `--pace`.
    pub pace: Option<Duration>,
}

/// A plan that holds, and what to tell about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The plan.
    pub plan: Plan,
    /// Warnings and notes, warnings first.
    pub notes: Vec<Diagnostic>,
    /// Every value with its origin, for `outlast check --print`.
    pub values: Vec<Value>,
}

/// One value of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The key of `outlast.toml`, or a name such as `service.http.listen` or `machine.app.command`.
    pub key: String,
    /// The value as it would be written.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Makes the plan.
///
/// # Errors
/// Everything that is wrong in any layer, errors first, together with the warnings and notes.
pub fn check(sources: &Sources<'_>) -> Result<Checked, Vec<Diagnostic>> {
    let mut checker = Checker { sources, diagnostics: Vec::new(), values: Vec::new() };
    let fly = checker.decode_fly();
    let outlast = checker.decode_outlast();
    checker.note_unknown_variables();
    let settings = checker.settings(&outlast);
    let plan = fly.map(|fly| checker.plan(&fly, settings));
    let Checker { diagnostics: mut notes, values, .. } = checker;
    diagnostic::sort(&mut notes);
    match plan {
        Some(plan) if !diagnostic::any_error(&notes) => Ok(Checked { plan, notes, values }),
        _ => Err(notes),
    }
}

/// The work in progress.
struct Checker<'a> {
    sources: &'a Sources<'a>,
    diagnostics: Vec<Diagnostic>,
    values: Vec<Value>,
}

/// A value and where it came from.
#[derive(Debug, Clone)]
struct Picked<T> {
    value: T,
    origin: Origin,
}

/// Whether there is a `fly.toml`; many defaults depend on it.
type Fly = Option<fly::Written>;

impl Checker<'_> {
    fn say(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// How many errors there are so far.
    fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|one| one.level == Level::Error).count()
    }

    /// Where a value came from that was already settled.
    fn origin_of(&self, key: &str) -> Origin {
        let value = self.values.iter().find(|value| value.key == key);
        value.map_or(Origin::Default, |value| value.origin.clone())
    }

    fn value(&mut self, key: impl Into<String>, value: impl Into<String>, origin: Origin) {
        self.values.push(Value { key: key.into(), value: value.into(), origin });
    }

    /// A place in `fly.toml`.
    fn fly_at(&self, span: &std::ops::Range<usize>) -> Origin {
        let source = self.sources.fly.as_ref();
        source.map_or(Origin::Default, |source| Origin::File(source.place(span.clone())))
    }

    /// `None`: there is one, and it is broken.
    fn decode_fly(&mut self) -> Option<Fly> {
        let Some(source) = &self.sources.fly else { return Some(None) };
        match fly::decode(source) {
            Ok(mut written) => {
                self.diagnostics.append(&mut written.notes);
                self.note_idle(&written);
                Some(Some(written))
            }
            Err(mut errors) => {
                self.diagnostics.append(&mut errors);
                None
            }
        }
    }

    fn decode_outlast(&mut self) -> outlast::Written {
        let Some(source) = &self.sources.outlast else { return outlast::Written::default() };
        let (written, mut errors) = outlast::decode(source);
        self.diagnostics.append(&mut errors);
        written
    }

    /// One note for each kind of thing, at its first place.
    fn note_idle(&mut self, written: &fly::Written) {
        let mut seen: Vec<Feature> = Vec::new();
        for feature in &written.idle {
            if seen.contains(&feature.value) {
                continue;
            }
            seen.push(feature.value);
            let (name, instead) = (feature.value.name(), feature.value.instead());
            let note = Diagnostic::note(format!("{name}: read, not acted on yet; {instead}"));
            self.say(note.at(self.fly_at(&feature.span)));
        }
    }

    fn note_unknown_variables(&mut self) {
        let known = keys::all_variables();
        for name in self.sources.env.keys().filter(|name| name.starts_with("OUTLAST_")) {
            if known.contains(&name.as_str()) {
                continue;
            }
            let note = Diagnostic::note(format!("the variable `{name}` means nothing to outlast"));
            let note = match nearest(name, &known) {
                Some(near) => note.hint(format!("did you mean `{near}`?")),
                None => note,
            };
            self.say(note);
        }
    }

    fn plan(&mut self, fly: &Fly, settings: settings::Settings) -> Plan {
        let app = fly.as_ref().and_then(|fly| fly.app.clone()).filter(|app| !app.value.is_empty());
        let region = fly.as_ref().and_then(|fly| fly.primary_region.clone());
        let region = region.filter(|region| !region.value.is_empty());
        let [app, region] = [("app", app, "outlast"), ("primary_region", region, "local")].map(
            |(key, written, default)| {
                let origin = written.as_ref().map_or(Origin::Default, |one| self.fly_at(&one.span));
                let value = written.map_or_else(|| default.to_owned(), |one| one.value);
                self.value(key, format!("{value:?}"), origin);
                value
            },
        );
        let services = self.services(fly, &settings.layers);
        let checks = self.top_checks(fly, &services);
        let machines = self.machines(fly, &services, settings.command);
        Plan {
            app,
            region,
            services,
            checks,
            machines,
            listen: settings.listen,
            upstream: settings.upstream,
            buffer_max: settings.buffer_max,
            queue: settings.queue,
            reserve: settings.reserve,
            eject: settings.eject,
            retry: settings.retry,
            drain_grace: settings.drain_grace,
            agent: settings.agent,
            streams: settings.streams,
        }
    }
}
