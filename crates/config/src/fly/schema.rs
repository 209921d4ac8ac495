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

pub(super) const COMPUTE: Keys = &[
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

pub(super) const MOUNT: Keys = &[
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

pub(super) const RESTART: Keys = &[("policy", Text), ("retries", Integer), ("processes", Texts)];

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

pub(super) const DEPLOY: Keys = &[
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
pub(super) const METRICS: Shape = TablesOrTable(METRIC);
pub(super) const STATICS: Shape = Tables(STATIC);
pub(super) const FILES: Shape = Tables(FILE);
pub(super) const BUILDS: Shape = Table(BUILD);
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
    let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
    let is_service = matches!(section, "http_service" | "services");
    let hint = match (section, key) {
        (_, "max_machines_running" | "max_machines") => {
            "there is no such key; `fly scale count` sets the number on Fly, `--machines` here"
        }
        (_, "min_machines") if is_service => "it is called `min_machines_running`",
        (_, "auto_stop" | "autostop") if is_service => "it is called `auto_stop_machines`",
        (_, "auto_start" | "autostart") if is_service => "it is called `auto_start_machines`",
        (_, "auto_scale" | "autoscale" | "autoscaling") => {
            "Fly has none; machines are started and stopped by `soft_limit`, `auto_start_machines` and \
            `auto_stop_machines`"
        }
        ("http_service", "http_checks") => "they are [[http_service.checks]] here",
        ("http_service", "tcp_checks") => {
            "[[http_service.checks]] are by HTTP; [checks.NAME] with type = \"tcp\" only connects"
        }
        ("services", "checks") => {
            "they are [[services.http_checks]] or [[services.tcp_checks]] here"
        }
        (_, "health_check" | "healthcheck" | "health_checks") => {
            "write [[http_service.checks]], [[services.http_checks]] or [checks.NAME]"
        }
        ("http_service", "handlers" | "port" | "ports" | "protocol") => {
            "http_service always has ports 80 and 443 with http and tls; other ports need [[services]]"
        }
        ("services", "force_https" | "http_options" | "handlers" | "tls_options" | "port") => {
            "it belongs under [[services.ports]]"
        }
        ("services.ports", "protocol") => "it belongs to [[services]]",
        ("services", "script_checks") => "they are gone since Apps v2",
        ("services", "restart_limit") => "it is gone since Apps v2",
        (_, "response_timeout" | "read_timeout" | "write_timeout" | "request_timeout") => {
            "there is no such limit; `http_options.idle_timeout` is about silence, in whole seconds"
        }
        (_, "max_body_size") => "Fly documents no limit of request bodies, and none can be set",
        (_, "tls_check") => "there is no such key; Fly manages certificates (`fly certs`)",
        (_, "idle_timeout") if is_service => "it belongs under `http_options`",
        (_, "hard_limit" | "soft_limit") if is_service => "it belongs under `concurrency`",
        (_, "max_connections" | "max_requests") => "the limits are `soft_limit` and `hard_limit`",
        ("vm", "gpu") => "they are `gpus` (how many) and `gpu_kind`",
        _ => return None,
    };
    Some(Explained::Instead(hint))
}
