//! JUnit's XML, which most build servers read.

use super::paragraph;
use crate::finding::{Finding, Severity};
use crate::review::Review;
use crate::rules::{Page, pages};

/// A test case for each rule; those with findings at or above `fail_on` have failed.
#[must_use]
pub fn junit(review: &Review, name: &str, fail_on: Option<Severity>) -> String {
    junit_of(&review.findings, pages(), name, fail_on)
}

/// The same of findings of other rules: those with these pages.
#[must_use]
pub fn junit_of(
    findings: &[Finding],
    pages: &[Page],
    name: &str,
    fail_on: Option<Severity>,
) -> String {
    let fails = |severity: Severity| fail_on.is_some_and(|worst| severity <= worst);
    let mut cases = String::new();
    let mut failures = 0;
    for page in pages {
        let mut body = String::new();
        let mut notes = String::new();
        for finding in findings.iter().filter(|finding| finding.rule == page.rule) {
            let place = finding.at.as_ref().map_or_else(|| name.to_owned(), ToString::to_string);
            let line = format!("{place}: {}", paragraph(finding));
            if fails(finding.severity) {
                let kind = finding.severity;
                body.push_str(&format!(
                    "      <failure type=\"{kind}\" message=\"{}\">{}</failure>\n",
                    escape(&finding.message),
                    escape(&line)
                ));
            } else {
                notes.push_str(&escape(&line));
                notes.push('\n');
            }
        }
        failures += usize::from(!body.is_empty());
        if !notes.is_empty() {
            body.push_str(&format!("      <system-out>{notes}</system-out>\n"));
        }
        let title = escape(&format!("{}: {}", page.rule, page.title()));
        cases.push_str(&format!(
            "    <testcase classname=\"{}\" name=\"{title}\">\n{body}    </testcase>\n",
            escape(name)
        ));
    }
    let tests = pages.len();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"outlast doctor\" \
        tests=\"{tests}\" failures=\"{failures}\">\n{cases}  </testsuite>\n</testsuites>\n"
    )
}

/// XML 1.0 has no other control characters than tab and line ends.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
