//! GitHub's workflow commands.

use super::{level, paragraph};
use crate::review::Review;

/// Workflow commands: GitHub shows them beside the lines of a pull request. `name` is for findings without a place.
#[must_use]
pub fn github(review: &Review, name: &str) -> String {
    let mut text = String::new();
    for finding in &review.findings {
        let command = match level(finding.severity) {
            "note" => "notice",
            level => level,
        };
        let place = finding.at.as_ref();
        let file = property(place.map_or(name, |place| &*place.source));
        let (line, column) = place.map_or((1, 1), |place| (place.line, place.column));
        let title = property(&format!("{} ({})", finding.rule, finding.severity));
        let message = data(&paragraph(finding));
        text.push_str(&format!(
            "::{command} file={file},line={line},col={column},title={title}::{message}\n"
        ));
    }
    text
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
