//! The top of `fly.toml`.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::schema::{self, conform, conform_keys};
use super::service::{read_http_service, read_services};
use super::{Feature, GoDuration, Written, checks, platform};
use crate::diagnostic::Diagnostic;
use crate::duration::parse_go;
use crate::read::{Field, Section, go_string, kind_name, truncated};
use crate::source::Located;

const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;

pub(super) fn read(mut top: Section<'_>) -> Written {
    let mut written = Written {
        app: top.take("app").and_then(|field| field.text()),
        primary_region: top.take("primary_region").and_then(|field| field.text()),
        kill_signal: top.take("kill_signal").and_then(|field| field.text()),
        kill_timeout: top.take("kill_timeout").and_then(|field| kill_timeout(&field)),
        env: top.take("env").map(|field| env(&field)).unwrap_or_default(),
        processes: top.take("processes").map(|field| processes(&field)).unwrap_or_default(),
        ..Written::default()
    };
    if let Some(field) = top.take("http_service") {
        written.http_service = read_http_service(&field, &mut written.idle);
    }
    if let Some(field) = top.take("services") {
        written.services = read_services(&field, &mut written.idle);
    }
    if let Some(section) = top.take("experimental").and_then(|field| field.table()) {
        experimental(section, &mut written);
    }
    if let Some(field) = top.take("deploy") {
        written.deploy = platform::deploy(&field, &mut written.idle);
    }
    if let Some(field) = top.take("checks") {
        written.checks = checks::top(&field);
    }
    platform::read(&mut top, &mut written);
    rest(&mut top, &mut written.idle);
    top.finish();
    written
}

/// Sections that are only checked for their types.
fn rest(top: &mut Section<'_>, idle: &mut Vec<Located<Feature>>) {
    let sections = [
        ("metrics", schema::METRICS, Some(Feature::Metrics)),
        ("metric", schema::METRICS, Some(Feature::Metrics)),
        ("statics", schema::STATICS, Some(Feature::Statics)),
        ("files", schema::FILES, Some(Feature::Files)),
        ("machine_checks", schema::MACHINE_CHECKS, Some(Feature::MachineChecks)),
        ("build", schema::BUILDS, None),
        ("host_dedication_id", schema::Shape::Text, None),
        ("machine_config", schema::Shape::Text, None),
        ("container", schema::Shape::Text, None),
    ];
    for (key, shape, feature) in sections {
        let Some(field) = top.take(key) else { continue };
        conform(&field, shape);
        if let Some(feature) = feature {
            idle.push(Located::new(feature, field.key_span));
        }
    }
}

/// Seconds as a number, cut to whole ones, or a Go duration. An empty string is ignored.
fn kill_timeout(field: &Field<'_>) -> Option<Located<GoDuration>> {
    let seconds = match field.value {
        DeValue::Integer(_) => field.integer()?.value,
        DeValue::Float(float) => {
            float.as_str().parse().ok().and_then(truncated).unwrap_or(i64::MAX)
        }
        DeValue::String(text) if text.is_empty() => return None,
        DeValue::String(text) => return go_duration(field, text),
        _ => {
            let message = format!(
                "`{}` is ignored, as Fly ignores it: {} is no duration",
                field.path,
                kind_name(field.value)
            );
            field.say(Diagnostic::note(message).hint("write seconds, or a string such as \"30s\""));
            return None;
        }
    };
    let Some(nanoseconds) = seconds.checked_mul(NANOSECONDS_PER_SECOND) else {
        let message = format!("`{}` is out of range", field.path);
        field.say(Diagnostic::error(message).hint("300 seconds are the most that Fly grants"));
        return None;
    };
    Some(field.locate(GoDuration(nanoseconds)))
}

fn go_duration(field: &Field<'_>, text: &str) -> Option<Located<GoDuration>> {
    match parse_go(text) {
        Ok(nanoseconds) => Some(field.locate(GoDuration(nanoseconds))),
        Err(error) => {
            let number = text.parse::<i64>().is_ok();
            let hint = if number {
                format!("write {text} without quotes, or \"{text}s\"")
            } else {
                format!("{error}; write seconds, or a string such as \"30s\" or \"1m30s\"")
            };
            let message = format!("`{}`: {text:?} is not a duration", field.path);
            field.say(Diagnostic::error(message).hint(hint));
            None
        }
    }
}

/// A table, or a list of tables of which later ones win.
fn env(field: &Field<'_>) -> BTreeMap<String, Located<String>> {
    let DeValue::Array(items) = field.value else {
        return field.stringified().unwrap_or_default();
    };
    items.iter().flat_map(|item| env(&field.item(item))).collect()
}

/// A table, or an old list of tables with `name` and `command`; of the latter, items without a name are dropped.
fn processes(field: &Field<'_>) -> BTreeMap<String, Located<String>> {
    match field.value {
        DeValue::Array(items) => {
            items.iter().filter_map(|item| old_process(&field.item(item))).collect()
        }
        _ => {
            let Some(section) = field.table() else { return BTreeMap::new() };
            let command = |(name, entry): (&str, Field<'_>)| Some((name.to_owned(), entry.text()?));
            section.entries().filter_map(command).collect()
        }
    }
}

fn old_process(item: &Field<'_>) -> Option<(String, Located<String>)> {
    let DeValue::Table(table) = item.value else { return None };
    let entry = |key: &str| table.iter().find(|(name, _)| name.get_ref() == key);
    let (_, name) = entry("name")?;
    let command = match entry("command") {
        Some((_, value)) => Located::new(go_string(value.get_ref()), value.span()),
        None => item.locate(String::new()),
    };
    Some((go_string(name.get_ref()), command))
}

/// What moved out of this section since is read as if it stood in its new place, where that is empty.
fn experimental(mut section: Section<'_>, written: &mut Written) {
    if let Some(field) = section.take("kill_timeout") {
        let moved = kill_timeout(&field);
        written.kill_timeout = written.kill_timeout.take().or(moved);
    }
    conform_keys(&mut section, schema::EXPERIMENTAL);
    for key in ["cmd", "entrypoint", "exec"] {
        if let Some(field) = section.take(key) {
            written.idle.push(Located::new(Feature::Entrypoint, field.key_span));
        }
    }
    for key in ["metrics_port", "metrics_path"] {
        if let Some(field) = section.take(key) {
            written.idle.push(Located::new(Feature::Metrics, field.key_span));
        }
    }
    section.finish();
}
