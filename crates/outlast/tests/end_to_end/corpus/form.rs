//! The forms in which people have a log of the platform: as `fly logs` prints it, copied from the dashboard, as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::cast::Cast;
use super::script::Chance;
use super::tell::Record;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `fly logs`, to the second.
    Text,
    /// The same with the colours of a terminal.
    Coloured,
    /// `fly logs`, of which the first line was cut.
    Cut,
    /// `fly logs` of a writer that now and then puts two records on one line.
    Interleaved,
    /// Copied from the dashboard: milliseconds, no zone, empty lines between.
    Dashboard,
    /// Newest first, as log viewers show it.
    NewestFirst,
    /// The log stream: one JSON object each.
    Stream,
    /// `fly logs --json`: one object on many lines each.
    Json,
    /// What somebody has quoted into a report: three moments, shortened.
    Quoted,
}

/// How the proxy writes its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// `error.message="…"` before the time, and fields of the request, without codes.
    Fields,
    /// `[PR04] …` in the message.
    Codes,
    /// Either, by turns.
    Both,
}

/// Writes all records down.
pub(super) fn write(
    form: Form,
    era: Era,
    records: &[Record],
    cast: &Cast,
    chance: &mut Chance,
) -> String {
    if form == Form::Quoted {
        return quote(records, cast);
    }
    let mut lines: Vec<_> = records
        .iter()
        .map(|record| {
            let with_fields = match era {
                Era::Fields => true,
                Era::Codes => false,
                Era::Both => chance.hits(0.4),
            };
            line(form, with_fields, record, cast)
        })
        .collect();
    if form == Form::NewestFirst {
        lines.reverse();
    }
    match form {
        Form::Cut => {
            if let Some(first) = lines.first_mut() {
                *first = first.chars().skip(17).collect();
            }
        }
        Form::Interleaved => {
            lines = interleave(&lines, chance);
        }
        _ => {}
    }
    let between = if form == Form::Dashboard { "\n\n" } else { "\n" };
    lines.join(between) + "\n"
}

fn quote(records: &[Record], cast: &Cast) -> String {
    let full: Vec<_> = records.iter().filter(|one| one.text.contains("hard limit")).collect();
    let mut text = String::new();
    for index in [0, 1, full.len() - 1] {
        let time = cast.at(full[index].at).strftime("%H:%M:%S").to_string();
        let said = full[index].text.split(". ").next().unwrap();
        let said = said.replace(&format!(" {}", cast.machine(0)), "");
        writeln!(text, "{time} [error] {said}").unwrap();
        writeln!(text, "{time} [PR04] could not find a good candidate within 75ms").unwrap();
    }
    text
}

/// Now and then a line loses its end.
fn interleave(lines: &[String], chance: &mut Chance) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    let mut glued = false;
    for line in lines {
        match joined.last_mut() {
            Some(last) if glued => write!(last, " {line}").unwrap(),
            _ => joined.push(line.clone()),
        }
        glued = !glued && chance.hits(0.02);
    }
    joined
}

fn line(form: Form, with_fields: bool, record: &Record, cast: &Cast) -> String {
    match form {
        Form::Stream => stream(record, cast),
        Form::Json => fly_json(record, cast),
        Form::Dashboard => {
            let time = cast.at(record.at).strftime("%Y-%m-%dT%H:%M:%S.%3f").to_string();
            format!("{time} {} [{}] {}", source(record, cast), record.level, message(record))
        }
        Form::Coloured => {
            let colour = match record.level {
                "error" => "31",
                "warn" => "33",
                _ => "34",
            };
            format!(
                "\x1b[2m{}\x1b[0m {} [\x1b[{colour}m{}\x1b[0m]{}",
                time(record, cast),
                source(record, cast),
                record.level,
                message(record)
            )
        }
        _ => text(with_fields, record, cast),
    }
}

fn time(record: &Record, cast: &Cast) -> String {
    cast.at(record.at).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn source(record: &Record, cast: &Cast) -> String {
    match record.machine {
        Some(machine) => format!("{}[{}] {}", record.who, cast.machine(machine), cast.region),
        None => format!("{} {}", record.who, cast.region),
    }
}

fn message(record: &Record) -> String {
    match record.code {
        Some(code) => format!("[{code}] {}", record.text),
        None => record.text.clone(),
    }
}

fn text(with_fields: bool, record: &Record, cast: &Cast) -> String {
    let (time, source, level) = (time(record, cast), source(record, cast), record.level);
    if record.code.is_none() || !with_fields {
        return format!("{time} {source} [{level}]{}", message(record));
    }
    let mut fields = String::new();
    if let Some((method, id)) = &record.request {
        write!(fields, "request.method=\"{method}\" request.id=\"{id}\" ").unwrap();
    }
    format!("error.message=\"{}\" {time} {source} [{level}]{fields}", record.text)
}

fn stream(record: &Record, cast: &Cast) -> String {
    let machine = record.machine.map(|machine| cast.machine(machine)).unwrap_or_default();
    let time = cast.at(record.at).strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string();
    json!({
        "event": {"provider": record.who},
        "fly": {"app": {"instance": machine, "name": cast.app}, "region": cast.region},
        "host": "a41c",
        "log": {"level": record.level},
        "message": message(record),
        "timestamp": time,
    })
    .to_string()
}

fn fly_json(record: &Record, cast: &Cast) -> String {
    let machine = record.machine.map(|machine| cast.machine(machine)).unwrap_or_default();
    let mut meta = json!({
        "Instance": machine,
        "Region": cast.region,
        "Event": {"Provider": record.who},
        "HTTP": {"Request": {"ID": "", "Method": "", "Version": ""}, "Response": {"status_code": 0}},
        "Error": {"Code": 0, "Message": ""},
        "URL": {"Full": ""},
    });
    if let Some((method, id)) = &record.request {
        meta["HTTP"]["Request"]["Method"] = Value::from(method.as_str());
        meta["HTTP"]["Request"]["ID"] = Value::from(id.as_str());
    }
    let whole = json!({
        "level": record.level,
        "instance": machine,
        "message": message(record),
        "region": cast.region,
        "timestamp": time(record, cast),
        "meta": meta,
    });
    serde_json::to_string_pretty(&whole).unwrap()
}
