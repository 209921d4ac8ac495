//! Diagnoses for programs. What a person reads is drawn by the binary, which knows the terminal.

mod github;
mod json;
mod junit;
mod sarif;

pub use github::github;
pub use json::{incident as incident_json, json};
pub use junit::junit;
pub use sarif::sarif;

use crate::logs::{Position, When};

use super::incident::Incident;
use super::words;

/// Where the hypotheses are explained.
const PAGE: &str = "https://github.com/outlast-dev/outlast/blob/main/docs/diagnosis.md";

/// What an incident's cause is called where no hypothesis has won.
pub(crate) const NOT_ENOUGH: &str = "not_enough_evidence";

/// The name of the log in which something stands.
fn name(names: &[String], position: Position) -> &str {
    names.get(usize::from(position.file)).map_or("log", |name| name)
}

/// The whole incident in sentences, without its place.
fn paragraph(incident: &Incident) -> String {
    let mut text = format!("{}.", incident.title);
    for (label, sentences) in [("Certain", &incident.certain), ("Open", &incident.open)] {
        for sentence in sentences {
            text.push_str(&format!(" {label}: {sentence}."));
        }
    }
    for advice in &incident.advice {
        text.push_str(&format!(" Do: {} ({}).", advice.what, advice.rule));
    }
    for collect in &incident.collect {
        text.push_str(&format!(" Collect: {}: {}", collect.why, collect.command));
    }
    let share = percent(incident.verdict.share());
    text.push_str(&format!(" Confidence: {}, {share} %.", incident.confidence()));
    text
}

/// A share in whole percents.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.0}", share * 100.0)
}

/// A span as people say it, such as `3 min 7 s`.
#[must_use]
pub fn spoken(span: std::time::Duration) -> String {
    words::span(span)
}

/// A time that was counted beside another, of the same kind.
#[must_use]
pub fn beside(began: When, nanoseconds: i64) -> When {
    match began.has_date() {
        true => When::dated(nanoseconds, began.precision, began.zone),
        false => When::undated(nanoseconds, began.precision, began.zone),
    }
}

/// A time as logs write it: RFC 3339 in UTC, or the time of day where no date is known.
#[must_use]
pub fn time(at: When) -> String {
    let time = jiff::Timestamp::from_nanosecond(at.nanoseconds().into()).unwrap_or_default();
    let form = if at.has_date() { "%Y-%m-%dT%H:%M:%SZ" } else { "%H:%M:%S" };
    time.strftime(form).to_string()
}
