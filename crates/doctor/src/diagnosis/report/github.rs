//! GitHub's workflow commands.

use crate::diagnosis::fold::Diagnosed;
use crate::report::{data, level, property};

use super::{name, paragraph};

/// Workflow commands: a remark on the run for each incident.
#[must_use]
pub fn github(diagnosed: &Diagnosed, names: &[String]) -> String {
    let mut text = String::new();
    for incident in &diagnosed.incidents {
        let command = match level(incident.severity) {
            "note" => "notice",
            level => level,
        };
        let file = property(name(names, incident.position));
        let line = incident.position.line;
        let title = property(&format!("{} ({})", incident.cause(), incident.severity));
        let message = data(&paragraph(incident));
        text.push_str(&format!("::{command} file={file},line={line},title={title}::{message}\n"));
    }
    text
}
