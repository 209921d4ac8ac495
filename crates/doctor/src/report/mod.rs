//! Findings for programs. What a person reads is drawn by the binary, which knows the terminal.

mod github;
mod json;
mod junit;
mod sarif;

pub(crate) use github::{data, property};
pub use github::{github, github_of};
pub use json::{json, json_checklist, json_live};
pub(crate) use junit::escape;
pub use junit::{junit, junit_of};
pub(crate) use sarif::uri;
pub use sarif::{sarif, sarif_of};

use crate::finding::{Finding, Severity};

/// Where the pages of the rules are.
const PAGES: &str = "https://github.com/outlast-dev/outlast/blob/main/docs/rules";

fn page_of(rule: &str) -> String {
    format!("{PAGES}/{rule}.md")
}

/// `error`, `warning` or `note`.
#[must_use]
pub fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::High | Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// The whole finding in sentences, without its place.
fn paragraph(finding: &Finding) -> String {
    let Finding { message, consequence, fix, .. } = finding;
    let mut text = format!("{message}.");
    for evidence in &finding.evidence {
        text.push_str(&format!(" Seen: {evidence}."));
    }
    text.push_str(&format!(" So: {consequence}. Fix: {fix}."));
    for assumed in &finding.assumed {
        text.push_str(&format!(" Assumed: {assumed}."));
    }
    text.push_str(&format!(" Confidence: {}.", finding.confidence));
    text
}
