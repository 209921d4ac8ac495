//! SARIF 2.1.0, which code hosts and editors read.

use serde_json::{Value, json};

use super::{level, page_of, paragraph};
use crate::finding::{Finding, Severity};
use crate::review::Review;
use crate::rules::{Page, pages};

/// SARIF 2.1.0. `name` is the reviewed file, for findings without a place.
#[must_use]
pub fn sarif(review: &Review, name: &str) -> String {
    sarif_of(&review.findings, pages(), name)
}

/// The same of findings of other rules: those with these pages.
#[must_use]
pub fn sarif_of(findings: &[Finding], pages: &[Page], name: &str) -> String {
    let rules: Vec<_> = pages
        .iter()
        .map(|page| {
            json!({
                "id": page.rule,
                "shortDescription": { "text": page.title() },
                "helpUri": page_of(page.rule),
                "help": { "text": page.text, "markdown": page.text },
            })
        })
        .collect();
    let results: Vec<_> = findings.iter().map(|finding| result(finding, pages, name)).collect();
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

fn result(finding: &Finding, pages: &[Page], name: &str) -> Value {
    let location = |place: Option<&outlast_config::Place>| {
        let path = place.map_or(name, |place| &*place.source);
        let (line, column) = place.map_or((1, 1), |place| (place.line, place.column));
        json!({
            "artifactLocation": { "uri": uri(path) },
            "region": { "startLine": line, "startColumn": column },
        })
    };
    let related: Vec<_> = finding
        .also
        .iter()
        .map(|(place, label)| json!({ "physicalLocation": location(Some(place)), "message": { "text": label } }))
        .collect();
    let index = pages.iter().position(|page| page.rule == finding.rule);
    json!({
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": level(finding.severity),
        "rank": rank(finding.severity),
        "message": { "text": paragraph(finding) },
        "locations": [{ "physicalLocation": location(finding.at.as_ref()) }],
        "relatedLocations": related,
        "properties": { "severity": finding.severity.name(), "confidence": finding.confidence.name() },
    })
}

/// A path as a URI: absolute ones are URIs only with a scheme.
pub(crate) fn uri(path: &str) -> String {
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    format!("{scheme}{}", path.replace('%', "%25").replace(' ', "%20"))
}

/// From 0 to 100, for viewers that sort.
fn rank(severity: Severity) -> f64 {
    match severity {
        Severity::Error => 100.0,
        Severity::High => 80.0,
        Severity::Medium => 50.0,
        Severity::Low => 20.0,
        Severity::Info => 5.0,
    }
}
