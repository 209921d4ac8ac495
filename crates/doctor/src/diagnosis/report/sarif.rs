//! SARIF 2.1.0.

use serde_json::{Value, json};

use crate::diagnosis::cause::Cause;
use crate::diagnosis::fold::Diagnosed;
use crate::diagnosis::incident::Incident;
use crate::report::{level, uri};

use super::{NOT_ENOUGH, PAGE, name, paragraph};

/// SARIF 2.1.0: the hypotheses are its rules, the incidents its results.
#[must_use]
pub fn sarif(diagnosed: &Diagnosed, names: &[String]) -> String {
    let causes = Cause::ALL.map(|cause| (cause.id(), cause.claim()));
    let all = causes.into_iter().chain([(NOT_ENOUGH, "the lines do not settle what caused it")]);
    let rules: Vec<_> = all
        .map(|(id, claim)| {
            json!({ "id": id, "shortDescription": { "text": claim }, "helpUri": PAGE })
        })
        .collect();
    let results: Vec<_> =
        diagnosed.incidents.iter().map(|incident| result(incident, names)).collect();
    let value = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "outlast doctor",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": "https://github.com/outlast-dev/outlast",
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{value:#}\n")
}

fn result(incident: &Incident, names: &[String]) -> Value {
    json!({
        "ruleId": incident.cause(),
        "level": level(incident.severity),
        "message": { "text": paragraph(incident) },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(name(names, incident.position)) },
            "region": { "startLine": incident.position.line.max(1) },
        }}],
        "properties": {
            "severity": incident.severity.name(),
            "confidence": incident.confidence().name(),
            "share": incident.verdict.share(),
        },
    })
}
