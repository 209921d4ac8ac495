//! The parts of `fly.toml` that have no bearing on the gateway: their keys and types, so that a wrong type is told as
//! flyctl would tell it and a misspelt key is noticed.

use toml::de::DeValue;

use super::GoDuration;
use crate::diagnostic::Diagnostic;
use crate::duration::parse_go;
use crate::read::{Explained, Field, Section};
use crate::source::Located;

/// The type of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Text,
    Integer,
    Number,
    Boolean,
    Texts,
    /// A string, or a list of strings.
    TextOrTexts,
    /// Strings by name.
    TextMap,
    /// A Go duration, or a number of nanoseconds.
    Duration,
    /// Whatever is written: flyctl turns it into a string, or ignores it.
    Any,
    Table(Keys),
    /// A list of tables.
    Tables(Keys),
    /// The same, and a single table counts as a list of one.
    TablesOrTable(Keys),
}

/// Known keys with their types.
pub(super) type Keys = &'static [(&'static str, Shape)];

use Shape::{
    Any, Boolean, Duration, Integer, Number, Table, Tables, TablesOrTable, Text, TextMap,
    TextOrTexts, Texts,
};

const COMPUTE: Keys = &[
    ("size", Text),
    ("memory", Any),
    ("cpu_kind", Text),
    ("cpus", Integer),
    ("memory_mb", Integer),
    ("max_memory_mb", Integer),
    ("gpus", Integer),
    ("gpu_kind", Text),
    ("host_dedication_id", Text),
    ("kernel_args", Texts),
    ("persist_rootfs", Text),
    ("processes", Texts),
];

const MOUNT: Keys = &[
    ("source", Text),
    ("destination", Text),
    ("initial_size", Any),
    ("snapshot_retention", Integer),
    ("scheduled_snapshots", Boolean),
    ("auto_extend_size_threshold", Integer),
    ("auto_extend_size_increment", Text),
    ("auto_extend_size_limit", Text),
    ("processes", Texts),
];

const METRIC: Keys = &[("port", Integer), ("path", Text), ("https", Boolean), ("processes", Texts)];

const RESTART: Keys = &[("policy", Text), ("retries", Integer), ("processes", Texts)];

const STATIC: Keys = &[
    ("guest_path", Text),
    ("url_prefix", Text),
    ("tigris_bucket", Text),
    ("index_document", Text),
];

const FILE: Keys = &[
    ("guest_path", Text),
    ("local_path", Text),
    ("secret_name", Text),
    ("raw_value", Text),
    ("processes", Texts),
];

const BUILD: Keys = &[
    ("builder", Text),
    ("args", TextMap),
    ("buildpacks", Texts),
    ("image", Text),
    ("settings", Any),
    ("builtin", Text),
    ("dockerfile", Text),
    ("ignorefile", Text),
    ("build-target", Text),
    ("build_target", Text),
    ("compression", Any),
    ("compression_level", Any),
];

const DEPLOY: Keys = &[
    ("strategy", Text),
    ("max_unavailable", Number),
    ("wait_timeout", Duration),
    ("release_command", Text),
    ("release_command_timeout", Duration),
    ("release_command_vm", Table(COMPUTE)),
    ("seed_command", Text),
];

pub(super) const EXPERIMENTAL: Keys = &[
    ("cmd", TextOrTexts),
    ("entrypoint", TextOrTexts),
    ("exec", TextOrTexts),
    ("auto_rollback", Boolean),
    ("enable_consul", Boolean),
    ("enable_etcd", Boolean),
    ("lazy_load_images", Boolean),
    ("use_zstd", Boolean),
    ("attached", Any),
    ("machine_config", Text),
    ("metrics_port", Any),
    ("metrics_path", Any),
    ("allowed_public_ports", Any),
    ("private_network", Any),
];

const MACHINE_CHECK: Keys = &[
    ("command", Texts),
    ("image", Text),
    ("entrypoint", Texts),
    ("kill_signal", Text),
    ("kill_timeout", Duration),
];

const TLS_OPTIONS: Keys = &[("alpn", Texts), ("versions", Texts), ("default_self_signed", Boolean)];

const RESPONSE: Keys = &[("headers", Any), ("pristine", Boolean)];

const REPLAY_CACHE: Keys = &[
    ("path_prefix", Text),
    ("ttl_seconds", Integer),
    ("type", Text),
    ("name", Text),
    ("allow_bypass", Boolean),
];

const PROXY_PROTO: Keys = &[("version", Text)];

/// Sections at the top.
pub(super) const VM: Shape = TablesOrTable(COMPUTE);
pub(super) const MOUNTS: Shape = TablesOrTable(MOUNT);
pub(super) const METRICS: Shape = TablesOrTable(METRIC);
pub(super) const RESTARTS: Shape = TablesOrTable(RESTART);
pub(super) const STATICS: Shape = Tables(STATIC);
pub(super) const FILES: Shape = Tables(FILE);
pub(super) const BUILDS: Shape = Table(BUILD);
pub(super) const DEPLOYS: Shape = Table(DEPLOY);
pub(super) const MACHINE_CHECKS: Shape = Tables(MACHINE_CHECK);

/// Sections of services.
pub(super) const TLS: Shape = Table(TLS_OPTIONS);
pub(super) const RESPONSES: Shape = Table(RESPONSE);
pub(super) const REPLAY_CACHES: Shape = Tables(REPLAY_CACHE);
pub(super) const PROXY_PROTO_OPTIONS: Shape = Table(PROXY_PROTO);

/// Says what is wrong with a value of no further use.
pub(super) fn conform(field: &Field<'_>, shape: Shape) {
    match shape {
        Text => drop(field.text()),
        Integer => drop(field.integer()),
        Number => number(field),
        Boolean => drop(field.boolean()),
        Texts => drop(field.texts()),
        TextOrTexts if matches!(field.value, DeValue::String(_)) => {}
        TextOrTexts => drop(field.texts()),
        TextMap => {
            let Some(section) = field.table() else { return };
            section.entries().for_each(|(_, entry)| drop(entry.text()));
        }
        Duration => drop(duration(field)),
        Any => {}
        Table(keys) => {
            let Some(section) = field.table() else { return };
            conform_all(section, keys);
        }
        Tables(keys) => field.tables().into_iter().for_each(|section| conform_all(section, keys)),
        TablesOrTable(keys) => {
            field.tables_or_table().into_iter().for_each(|section| conform_all(section, keys));
        }
    }
}

/// Says what is wrong with a table of no further use.
pub(super) fn conform_all(mut section: Section<'_>, keys: Keys) {
    conform_keys(&mut section, keys);
    section.finish();
}

/// The same, with more keys to be asked for by the caller.
pub(super) fn conform_keys(section: &mut Section<'_>, keys: Keys) {
    for (key, shape) in keys {
        if let Some(field) = section.take(key) {
            conform(&field, *shape);
        }
    }
}

/// A whole number that Go's unsigned integers hold.
pub(super) fn count(field: &Field<'_>) -> Option<Located<u64>> {
    let hint = format!(
        "write whole {} without a unit, such as 600",
        if field.path.ends_with("_timeout") { "seconds" } else { "numbers" }
    );
    let (DeValue::Integer(_) | DeValue::Float(_)) = field.value else {
        field.mismatch("a whole number", hint);
        return None;
    };
    let number = field.integer()?;
    let Ok(value) = u64::try_from(number.value) else {
        let message = format!("`{}` is negative", field.path);
        field.say(Diagnostic::error(message).hint(hint));
        return None;
    };
    Some(field.locate(value))
}

fn number(field: &Field<'_>) {
    if !matches!(field.value, DeValue::Integer(_) | DeValue::Float(_)) {
        field.mismatch("a number", "write a number, without quotes");
    }
}

/// A Go duration in a string. Numbers, whose unit depends on where they stand, are left to the caller.
pub(super) fn duration(field: &Field<'_>) -> Option<Located<GoDuration>> {
    match field.value {
        DeValue::Integer(_) | DeValue::Float(_) => {}
        DeValue::String(text) => match parse_go(text) {
            Ok(nanoseconds) => return Some(field.locate(GoDuration(nanoseconds))),
            Err(error) => field.say(
                Diagnostic::error(format!("`{}`: {text:?} is not a duration", field.path))
                    .hint(format!("{error}; write numbers with units, such as \"30s\"")),
            ),
        },
        _ => field.mismatch("a duration", "write a string such as \"30s\""),
    }
    None
}

/// Keys that people write and Fly never had, or no longer has.
pub(super) fn explain(path: &str) -> Option<Explained> {
    let hint = match path {
        "http_service.max_machines_running" | "services.max_machines_running" => {
            "there is no such key; `fly scale count` sets the number on Fly, `--machines` here"
        }
        "http_service.http_checks" => "they are [[http_service.checks]] here",
        "services.checks" => "they are [[services.http_checks]] or [[services.tcp_checks]] here",
        "services.force_https" | "services.http_options" | "services.handlers" => {
            "it belongs under [[services.ports]]"
        }
        "services.script_checks" => "they are gone since Apps v2",
        "http_service.concurrency.max_connections" | "services.concurrency.max_connections" => {
            "the limits are `soft_limit` and `hard_limit`"
        }
        _ => return None,
    };
    Some(Explained::Instead(hint))
}
