//! One JSON object.

use std::time::Duration;

use serde_json::{Value, json};

use super::{level, page_of};
use crate::capacity::Capacity;
use crate::checklist::Checked;
use crate::finding::Finding;
use crate::live::{Live, ServiceView};
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

/// The same of a running gateway: what is so, and what is wrong.
#[must_use]
pub fn json_live(live: &Live) -> String {
    let findings: Vec<_> = live.findings.iter().map(finding).collect();
    let services: Vec<_> = live.services.iter().map(service).collect();
    let value = json!({
        "version": 1,
        "gateway": {
            "version": live.version,
            "phase": live.phase,
            "uptime_ms": milliseconds(live.uptime),
            "watched_ms": live.watched.map(milliseconds),
        },
        "services": services,
        "findings": findings,
    });
    format!("{value:#}\n")
}

/// The same of a checklist.
#[must_use]
pub fn json_checklist(checked: &[Checked]) -> String {
    let items = checked.iter().map(|one| {
        json!({
            "id": one.item.id,
            "title": one.item.title,
            "how": one.item.how,
            "rules": one.item.rules,
            "mark": one.mark.name(),
            "why": one.why,
        })
    });
    let value = json!({ "version": 1, "items": items.collect::<Vec<_>>() });
    format!("{value:#}\n")
}

fn milliseconds(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

fn service(service: &ServiceView) -> Value {
    let statements = service.statements.iter().map(|statement| {
        json!({
            "about": statement.about,
            "says": statement.says,
            "evidence": statement.evidence,
            "confidence": statement.confidence.name(),
        })
    });
    json!({
        "name": service.name,
        "accounting": service.accounting,
        "places": service.places,
        "taken": service.taken,
        "working": service.working,
        "slow_readers": service.slow_readers,
        "zombies": service.zombies,
        "idle_connections": service.idle_connections,
        "waiting": service.waiting,
        "refused": service.refused,
        "need": service.need,
        "statements": statements.collect::<Vec<_>>(),
    })
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
        "evidence": finding.evidence,
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
