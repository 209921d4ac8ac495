//! Bugs that a gateway could have, planted in a small proxy: the drill must find each, and must find none where there is
//! none. These are the drill's own test; a bug that it once missed belongs here.

use outlast_drill::{Flaw, Report, Verdict};

use crate::proxy::{self, Bug};
use crate::{drill_at, with_origin};

/// Places of the proxy.
const PLACES: usize = 6;

/// Six streams of ten lines, and six more when those have left or ended.
const PLAN: &str = r#"
hold = ["refused == 0", "truncated == 0", "stuck == 0", "failed == 0"]
lag_max = "20s"

[[load]]
name = "first"
kind = "ndjson"
users = 6
length = "200ms"
gap = "20ms"
CLIENT

[[load]]
name = "second"
kind = "ndjson"
start = "700ms"
users = 6
length = "200ms"
gap = "20ms"
"#;

async fn drill(bug: Bug, client: &str) -> Report {
    with_origin(async |origin, tasks| {
        let proxy = proxy::start(bug, origin, PLACES, tasks).await;
        drill_at(proxy, &PLAN.replace("CLIENT", client)).await
    })
    .await
}

#[tokio::test]
async fn a_proxy_without_bug_holds() {
    for client in ["", "client = { leave = \"80ms\" }"] {
        let report = drill(Bug::None, client).await;
        assert_eq!(report.verdict, Verdict::Held, "{client}: {report:#?}");
        assert_eq!(report.summary.completed + report.summary.left, 12);
    }
}

#[tokio::test]
async fn a_leaked_place_is_found_by_its_refusal() {
    let report = drill(Bug::LeaksPlace, "client = { leave = \"80ms\" }").await;
    assert_eq!(report.verdict, Verdict::Failed);
    let first = report.first_refusal.expect("the second six find no place");
    assert_eq!((report.summary.refused, first.open), (6, 0), "nobody was there when it refused");
}

#[tokio::test]
async fn bytes_that_are_wrong_are_found_at_their_offset() {
    // A line of this stream has so many bytes, and the bug shows in the fourth one.
    let length = 131;
    for (bug, flaw, offsets) in [
        (Bug::DoublesByte, Flaw::Corrupt, 3 * length..4 * length),
        (Bug::DoublesLine, Flaw::Doubled, 4 * length..4 * length + 8),
        (Bug::LosesLine, Flaw::Lost, 3 * length..3 * length + 8),
        (Bug::SwapsLines, Flaw::Reordered, 4 * length..4 * length + 8),
        (Bug::CutsAsWhole, Flaw::FalseEnd, 3 * length..4 * length),
    ] {
        let report = drill(bug, "").await;
        assert_eq!(report.verdict, Verdict::Failed, "{bug:?}");
        let flaws: Vec<_> = report.violations.iter().map(|found| found.flaw).collect();
        assert_eq!(flaws, [flaw], "{bug:?}: {:?}", report.violations);
        let found = &report.violations[0];
        assert!(offsets.contains(&found.offset), "{bug:?}: {found:?}");
    }
}

#[tokio::test]
async fn a_line_of_another_client_is_found_with_its_owner() {
    let report = drill(Bug::MixesClients, "").await;
    assert_eq!(report.verdict, Verdict::Failed);
    assert!(report.summary.foreign > 0 && report.summary.violations() == report.summary.foreign);
    let found = &report.violations[0];
    assert!(found.detail.contains("of drill-7-") && !found.detail.ends_with(&found.stream));
}
