//! A report as one page that needs nothing else: no network, no other file.

use serde::Serialize;

use crate::result::Report;

const PAGE: &str = include_str!("../assets/report.html");
const STYLE: &str = include_str!("../assets/report.css");
const SCRIPT: &str = include_str!("../assets/report.js");

#[derive(Serialize)]
struct Labelled<'r> {
    label: &'r str,
    report: &'r Report,
}

/// The page of one report.
///
/// # Panics
/// Never: a report is made of numbers and texts.
#[must_use]
pub fn report_page(report: &Report) -> String {
    page(&format!("Drill: {}", report.name), &[Labelled { label: "", report }])
}

/// The page of two reports, one beside the other.
///
/// # Panics
/// Never: a report is made of numbers and texts.
#[must_use]
pub fn comparison_page(before: (&str, &Report), after: (&str, &Report)) -> String {
    let labelled = [before, after].map(|(label, report)| Labelled { label, report });
    page(&format!("Drill: {} and {}", before.0, after.0), &labelled)
}

fn page(title: &str, reports: &[Labelled<'_>]) -> String {
    let json = serde_json::to_string(reports).expect("numbers and texts become JSON");
    // Within a script element only `<` could end it, and in JSON it stands within strings alone.
    let json = json.replace('<', "\\u003c");
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    // What stands for itself last: a text of the report may look like a mark.
    PAGE.replace("{{style}}", STYLE)
        .replace("{{script}}", SCRIPT)
        .replace("{{title}}", &title)
        .replace("{{reports}}", &json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::empty_report;

    #[test]
    fn a_page_needs_no_network_and_no_text_can_break_out_of_it() {
        let mut report = empty_report();
        report.story = "</script><script>alert(1)</script>{{title}}".to_owned();
        report.name = "<b>".to_owned();
        let page = report_page(&report);
        assert_eq!(page.matches("</script>").count(), 2, "the page's own two");
        assert!(page.contains("<title>Drill: &lt;b></title>"));
        // Names of namespaces are not fetched.
        let addresses = page.replace("http://www.w3.org/2000/svg", "");
        let addresses = addresses.replace(&report.target, "");
        for reference in ["http://", "https://", "src=", "@import", "url(", "fetch("] {
            assert!(!addresses.contains(reference), "{reference}");
        }
    }

    #[test]
    fn a_comparison_holds_both() {
        let report = empty_report();
        let page = comparison_page(("before.json", &report), ("after.json", &report));
        assert_eq!(page.matches("\"schema\":1").count(), 2);
    }
}
