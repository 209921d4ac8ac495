//! One JSON object.

use serde_json::{Value, json};

use super::{level, page_of};
use crate::capacity::Capacity;
use crate::finding::Finding;
use crate::review::Review;

/// One object; `version` grows when a field changes its meaning.
#[must_use]
pub fn json(review: &Review) -> String {
    let findings: Vec<_> = review.findings.iter().map(finding).collect();
    let capacities: Vec<_> = review.capacities.iter().map(capacity).collect();
    let value = json!({
        "version": 1,
        "findings": findings,
        "allowed": review.allowed,
        "capacities": capacities,
    });
    format!("{value:#}\n")
}

fn finding(finding: &Finding) -> Value {
    let place = |place: &outlast_config::Place| json!({ "file": &*place.source, "line": place.line, "column": place.column });
    let also: Vec<_> =
        finding.also.iter().map(|(at, label)| json!({ "at": place(at), "label": label })).collect();
    json!({
        "rule": finding.rule,
        "severity": finding.severity.name(),
        "level": level(finding.severity),
        "confidence": finding.confidence.name(),
        "message": finding.message,
        "at": finding.at.as_ref().map(place),
        "label": finding.label,
        "also": also,
        "consequence": finding.consequence,
        "fix": finding.fix,
        "assumed": finding.assumed,
        "flags": finding.flags,
        "fixable": finding.is_fixable(),
        "page": page_of(finding.rule),
    })
}

fn capacity(capacity: &Capacity) -> Value {
    let changes: Vec<_> = capacity
        .changes
        .iter()
        .map(|change| json!({ "change": change.what, "places": change.places, "memory_holds": change.memory_holds }))
        .collect();
    json!({ "service": capacity.service, "line": capacity.at.line, "changes": changes, "assumed": capacity.assumed })
}
