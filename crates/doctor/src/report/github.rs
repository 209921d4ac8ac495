//! GitHub's workflow commands.

use super::{level, paragraph};
use crate::finding::Finding;
use crate::review::Review;

/// Workflow commands: GitHub shows them beside the lines of a pull request. `name` is for findings without a place.
#[must_use]
pub fn github(review: &Review, name: &str) -> String {
    github_of(&review.findings, Some(name))
}

/// The same of any findings. Without a name, those without a place are shown with the build, and beside no file.
#[must_use]
pub fn github_of(findings: &[Finding], name: Option<&str>) -> String {
    let mut text = String::new();
    for finding in findings {
        let command = match level(finding.severity) {
            "note" => "notice",
            level => level,
        };
        let at = match (&finding.at, name) {
            (Some(at), _) => Some((&*at.source, at.line, at.column)),
            (None, name) => name.map(|name| (name, 1, 1)),
        };
        let at = at.map_or_else(String::new, |(file, line, column)| {
            format!("file={},line={line},col={column},", property(file))
        });
        let title = property(&format!("{} ({})", finding.rule, finding.severity));
        let message = data(&paragraph(finding));
        text.push_str(&format!("::{command} {at}title={title}::{message}\n"));
    }
    text
}

pub(crate) fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

pub(crate) fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
