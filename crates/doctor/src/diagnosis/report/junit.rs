//! JUnit's XML, which most build servers read.

use crate::diagnosis::cause::Cause;
use crate::diagnosis::fold::Diagnosed;
use crate::finding::Severity;
use crate::report::escape;

use super::{NOT_ENOUGH, name, paragraph, time};

/// A test case for each hypothesis; those that explain an incident at or above `fail_on` have failed.
#[must_use]
pub fn junit(diagnosed: &Diagnosed, names: &[String], fail_on: Option<Severity>) -> String {
    let fails = |severity: Severity| fail_on.is_some_and(|worst| severity <= worst);
    let suite = escape(&names.join(" "));
    let causes = Cause::ALL.map(Cause::id);
    let mut cases = String::new();
    let mut failures = 0;
    for cause in causes.into_iter().chain([NOT_ENOUGH]) {
        let mut body = String::new();
        let mut notes = String::new();
        for incident in diagnosed.incidents.iter().filter(|incident| incident.cause() == cause) {
            let place = format!("{}:{}", name(names, incident.position), incident.position.line);
            let line =
                escape(&format!("{place}: {}: {}", time(incident.began), paragraph(incident)));
            if fails(incident.severity) {
                let (kind, title) = (incident.severity, escape(&incident.title));
                body.push_str(&format!(
                    "      <failure type=\"{kind}\" message=\"{title}\">{line}</failure>\n"
                ));
            } else {
                notes.push_str(&line);
                notes.push('\n');
            }
        }
        failures += usize::from(!body.is_empty());
        if !notes.is_empty() {
            body.push_str(&format!("      <system-out>{notes}</system-out>\n"));
        }
        cases.push_str(&format!(
            "    <testcase classname=\"{suite}\" name=\"{cause}\">\n{body}    </testcase>\n"
        ));
    }
    let tests = causes.len() + 1;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"outlast doctor --logs\" \
        tests=\"{tests}\" failures=\"{failures}\">\n{cases}  </testsuite>\n</testsuites>\n"
    )
}
