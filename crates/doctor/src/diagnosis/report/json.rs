//! One JSON object.

use serde_json::{Value, json};

use crate::diagnosis::fold::{Diagnosed, PlanUse};
use crate::diagnosis::incident::Incident;
use crate::diagnosis::judge::{Found, Rival};
use crate::report::level;

use super::{beside, name, time};

/// One object; `version` grows when a field changes its meaning. `names` are the logs in the order of their numbers.
#[must_use]
pub fn json(diagnosed: &Diagnosed, names: &[String]) -> String {
    let incidents: Vec<_> =
        diagnosed.incidents.iter().map(|found| incident(found, names)).collect();
    let plan = diagnosed
        .plan
        .as_ref()
        .map(|(plan, used)| json!({ "file": plan.name, "used": *used == PlanUse::Evidence }));
    let value = json!({
        "version": 1,
        "logs": names,
        "events": diagnosed.events,
        "from": diagnosed.span.map(|(from, _)| time(from)),
        "to": diagnosed.span.map(|(_, to)| time(to)),
        "plan": plan,
        "incidents": incidents,
        "further_incidents": diagnosed.untold,
    });
    format!("{value:#}\n")
}

/// One incident.
#[must_use]
pub fn incident(incident: &Incident, names: &[String]) -> Value {
    let at = |nanoseconds: i64| time(beside(incident.began, nanoseconds));
    let chain = incident.chain.iter().map(|step| {
        json!({ "at": step.at.map(at), "what": step.what, "confidence": step.confidence.name() })
    });
    let timeline = incident.timeline.iter().map(|entry| {
        json!({
            "from": at(entry.first), "to": at(entry.last), "what": entry.what(), "count": entry.count,
            "machine": entry.machine.as_str(), "line": entry.position.line,
        })
    });
    let advice = incident.advice.iter().map(
        |advice| json!({ "rule": advice.rule, "what": advice.what, "command": advice.command }),
    );
    let collect = incident
        .collect
        .iter()
        .map(|collect| json!({ "why": collect.why, "command": collect.command }));
    let machines = incident.machines.iter().map(|machine| machine.as_str());
    json!({
        "cause": incident.cause(),
        "confidence": rounded(incident.verdict.share()),
        "sure": incident.confidence().name(),
        "title": incident.title,
        "severity": incident.severity.name(),
        "level": level(incident.severity),
        "began": time(incident.began),
        "lasted_ms": u64::try_from(incident.lasted.as_millis()).unwrap_or(u64::MAX),
        "at": { "file": name(names, incident.position), "line": incident.position.line },
        "machines": machines.collect::<Vec<_>>(),
        "failed": incident.failed,
        "certain": incident.certain,
        "open": incident.open,
        "chain": chain.collect::<Vec<_>>(),
        "rivals": incident.verdict.rivals.iter().map(|found| rival(found, incident)).collect::<Vec<_>>(),
        "timeline": timeline.collect::<Vec<_>>(),
        "advice": advice.collect::<Vec<_>>(),
        "collect": collect.collect::<Vec<_>>(),
    })
}

fn rival(rival: &Rival, incident: &Incident) -> Value {
    let side = |side: &[(Found, i32)]| -> Vec<Value> {
        let found = side.iter().map(|(found, weight)| {
            json!({ "id": found.item.id, "saw": found.saw, "why": found.item.why, "decibans": weight })
        });
        found.collect()
    };
    let winner = incident.verdict.winner().map(|winner| winner.cause);
    let verdict = match winner {
        Some(cause) if cause == rival.cause => "won",
        Some(_) => "lost",
        None => "open",
    };
    json!({
        "id": rival.cause.id(),
        "verdict": verdict,
        "confidence": rounded(rival.share),
        "for": side(&rival.supports),
        "against": side(&rival.objections),
    })
}

/// To a thousandth: more would promise more than there is.
fn rounded(share: f64) -> f64 {
    (share * 1_000.0).round() / 1_000.0
}
