//! Health checks: of services, and `[checks]` at the top.

use std::ops::Range;

use toml::de::DeValue;

use super::GoDuration;
use super::schema::{Shape, conform, duration};
use crate::diagnostic::Diagnostic;
use crate::read::{Field, Section, go_string, kind_name, truncated};
use crate::source::Located;

const NANOSECONDS_PER_MILLISECOND: i64 = 1_000_000;

/// One check as written. `None` and empty: absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Check {
    /// Where the section begins.
    pub span: Range<usize>,
    /// NAME of `[checks.NAME]`; empty for the checks of services, which have none.
    pub name: String,
    /// `type`, any text. Checks of services have it from their list's name.
    pub kind: Option<Located<String>>,
    /// `port` of a check at the top, any number.
    pub port: Option<Located<i64>>,
    /// `interval`.
    pub interval: Option<Located<GoDuration>>,
    /// `timeout`.
    pub timeout: Option<Located<GoDuration>>,
    /// `grace_period`.
    pub grace_period: Option<Located<GoDuration>>,
    /// `method`, any text.
    pub method: Option<Located<String>>,
    /// `path`, any text.
    pub path: Option<Located<String>>,
    /// `protocol`, any text.
    pub protocol: Option<Located<String>>,
    /// `headers`, in the order of the file.
    pub headers: Vec<(String, Located<String>)>,
    /// `processes` of a check at the top.
    pub processes: Vec<Located<String>>,
}

/// Where a check stands, which decides what flyctl decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Home {
    /// Not patched: numbers are nanoseconds, and headers are a table of strings.
    HttpService,
    /// Patched: numbers are milliseconds, empty strings and other types are ignored, headers may be a list.
    Services,
    /// Patched as well.
    Top,
}

/// `[[http_service.checks]]`.
pub(super) fn http_service(field: &Field<'_>) -> Vec<Check> {
    let read = |section| read(section, Home::HttpService, Some("http"));
    field.tables().into_iter().map(read).collect()
}

/// `[[services.tcp_checks]]` and `[[services.http_checks]]`. A single table counts as a list of one.
pub(super) fn services(field: &Field<'_>, kind: &str) -> Vec<Check> {
    let read = |section| read(section, Home::Services, Some(kind));
    field.tables_or_table().into_iter().map(read).collect()
}

/// `[checks]`: by name, or an old list of tables with their names inside.
pub(super) fn top(field: &Field<'_>) -> Vec<Check> {
    if let DeValue::Array(items) = field.value {
        let items = items.iter().filter_map(|item| old_top(&field.item(item)));
        return items.collect();
    }
    let Some(section) = field.table() else { return Vec::new() };
    let named = section.entries().filter_map(|(name, entry)| {
        Some(Check { name: name.to_owned(), ..read(entry.table()?, Home::Top, None) })
    });
    named.collect()
}

fn old_top(item: &Field<'_>) -> Option<Check> {
    let section = item.table()?;
    let name = section.table.iter().find(|(key, _)| key.get_ref() == "name");
    let Some((_, DeValue::String(name))) = name.map(|(key, name)| (key, name.get_ref())) else {
        let error = Diagnostic::error("a check in the list `checks` has no name");
        item.say(error.hint("write [checks.NAME] instead of [[checks]]"));
        return None;
    };
    let name = name.to_string();
    Some(Check { name, ..read(section, Home::Top, None) })
}

fn read(mut section: Section<'_>, home: Home, kind: Option<&str>) -> Check {
    let span = section.span.clone();
    let mut check = Check { span: span.clone(), ..Check::default() };
    let mut lapse = |key| section.take(key).and_then(|field| check_duration(&field, home));
    check.interval = lapse("interval");
    check.timeout = lapse("timeout");
    check.grace_period = lapse("grace_period");
    let mut text = |key| section.take(key).and_then(|field| field.text());
    match kind {
        Some(kind) => check.kind = Some(Located::new(kind.to_owned(), span)),
        None => check.kind = text("type"),
    }
    if kind != Some("tcp") {
        check.method = text("method");
        check.path = text("path");
        check.protocol = text("protocol");
        check.headers =
            section.take("headers").map(|field| headers(&field, home)).unwrap_or_default();
        // They are about TLS, which checks do not speak yet.
        for (key, shape) in [("tls_skip_verify", Shape::Boolean), ("tls_server_name", Shape::Text)]
        {
            section.take(key).inspect(|field| conform(field, shape));
        }
    }
    match home {
        Home::HttpService => {}
        Home::Services => drop(section.take("restart_limit")),
        Home::Top => {
            drop(section.take("name"));
            check.port = section.take("port").and_then(|field| field.integer());
            check.processes =
                section.take("processes").and_then(|field| field.texts()).unwrap_or_default();
        }
    }
    section.finish();
    check
}

fn check_duration(field: &Field<'_>, home: Home) -> Option<Located<GoDuration>> {
    let number = match field.value {
        DeValue::Integer(_) => field.integer()?.value,
        DeValue::Float(float) => {
            float.as_str().parse().ok().and_then(truncated).unwrap_or(i64::MAX)
        }
        DeValue::String(text) if home != Home::HttpService && text.is_empty() => return None,
        DeValue::String(_) => return duration(field),
        _ if home == Home::HttpService => return duration(field),
        _ => return None,
    };
    let unit = if home == Home::HttpService { 1 } else { NANOSECONDS_PER_MILLISECOND };
    Some(field.locate(GoDuration(number.saturating_mul(unit))))
}

fn headers(field: &Field<'_>, home: Home) -> Vec<(String, Located<String>)> {
    if let (DeValue::Array(items), false) = (field.value, home == Home::HttpService) {
        return items.iter().filter_map(|item| old_header(&field.item(item))).collect();
    }
    let Some(section) = field.table() else { return Vec::new() };
    let entries = section.entries();
    let header = |(name, entry): (&str, Field<'_>)| {
        let value = match home {
            Home::HttpService => entry.text()?,
            Home::Services | Home::Top => entry.locate(go_string(entry.value)),
        };
        Some((name.to_owned(), value))
    };
    entries.filter_map(header).collect()
}

/// A name and a value, or a list of values of which the first counts.
fn old_header(item: &Field<'_>) -> Option<(String, Located<String>)> {
    let entry = |wanted: &str| {
        let DeValue::Table(table) = item.value else { return None };
        table.iter().find(|(key, _)| key.get_ref() == wanted).map(|(_, value)| value)
    };
    let Some(name) = entry("name") else {
        let (path, got) = (&item.path, kind_name(item.value));
        let message = format!("`{path}` must list tables with a name, and this is {got}");
        let hint = format!("write [{path}] with lines such as X-Forwarded-Proto = \"https\"");
        item.say(Diagnostic::error(message).hint(hint));
        return None;
    };
    let value = entry("value").map_or_else(String::new, |value| go_string(value.get_ref()));
    Some((go_string(name.get_ref()), item.locate(value)))
}
