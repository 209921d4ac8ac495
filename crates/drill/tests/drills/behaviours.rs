//! What clients do, and what servers do to them, each counted as what it is.

use outlast_drill::{Ending, Report, Summary, Verdict};

use crate::{drill_at, with_origin};

/// One stream of ten lines in about 200 ms, with what the load adds.
async fn one(load: &str) -> Report {
    let plan = format!(
        "grace = \"1s\"\nlag_max = \"20s\"\n[[load]]\nusers = 1\nlength = \"200ms\"\ngap = \"20ms\"\n{load}"
    );
    with_origin(async |origin, _tasks| drill_at(origin, &plan).await).await
}

/// The counts that tell what became of the stream.
fn fate(sum: &Summary) -> [u64; 6] {
    [sum.completed, sum.left, sum.turned_away, sum.truncated, sum.failed, sum.stuck]
}

const COMPLETED: [u64; 6] = [1, 0, 0, 0, 0, 0];
const LEFT: [u64; 6] = [0, 1, 0, 0, 0, 0];
const TURNED_AWAY: [u64; 6] = [0, 0, 1, 0, 0, 0];
const TRUNCATED: [u64; 6] = [0, 0, 0, 1, 0, 0];
const FAILED: [u64; 6] = [0, 0, 0, 0, 1, 0];
const STUCK: [u64; 6] = [0, 0, 0, 0, 0, 1];

#[tokio::test]
async fn each_client_comes_to_the_end_that_is_its_own() {
    for (load, want) in [
        ("kind = \"ndjson\"", COMPLETED),
        ("kind = \"sse\"", COMPLETED),
        ("kind = \"chat\"", COMPLETED),
        ("kind = \"plain\"", COMPLETED),
        ("kind = \"ndjson\"\nclient = { leave = \"60ms\" }", LEFT),
        ("kind = \"ndjson\"\nclient = { vanish = \"60ms\" }", LEFT),
        ("kind = \"ndjson\"\nclient = \"half_close\"", COMPLETED),
        ("kind = \"ndjson\"\nclient = { slow = 2000 }", COMPLETED),
    ] {
        let report = one(load).await;
        assert_eq!(fate(&report.summary), want, "{load}: {report:#?}");
        assert_eq!((report.verdict, report.ending), (Verdict::Held, Ending::Whole), "{load}");
    }
}

#[tokio::test]
async fn who_slept_goes_on_where_it_was_and_hears_nothing_twice() {
    for kind in ["ndjson", "sse", "chat"] {
        let client = "client = { sleep = \"70ms\", for = \"50ms\" }";
        let report = one(&format!("kind = \"{kind}\"\n{client}")).await;
        assert_eq!(fate(&report.summary), COMPLETED, "{kind}: {report:#?}");
        assert_eq!((report.summary.resumed, report.verdict), (1, Verdict::Held), "{kind}");
    }
}

#[tokio::test]
async fn what_a_server_does_wrong_is_counted_as_that() {
    for (path, want, verdict) in [
        // Seen to be cut: bad enough, and no lie.
        ("/ndjson?cut=4", TRUNCATED, Verdict::Held),
        ("/sse?false_end=4", TRUNCATED, Verdict::Failed),
        ("/ndjson?status=500", FAILED, Verdict::Held),
        ("/nothing", FAILED, Verdict::Held),
        ("/ndjson?status=503", TURNED_AWAY, Verdict::Held),
        ("/ndjson?stall=4:1h", STUCK, Verdict::Held),
    ] {
        let kind = if path.starts_with("/sse") { "sse" } else { "ndjson" };
        let report = one(&format!("kind = \"{kind}\"\npath = \"{path}\"")).await;
        assert_eq!(fate(&report.summary), want, "{path}: {report:#?}");
        assert_eq!(report.verdict, verdict, "{path}: {report:#?}");
        let is_refused = want == TURNED_AWAY;
        assert_eq!(report.summary.refused, u64::from(is_refused), "{path}");
    }
}

#[tokio::test]
async fn who_clicks_again_heeds_the_server_or_does_not() {
    let refused = "kind = \"ndjson\"\npath = \"/ndjson?status=503&retry_after=1\"";
    for (heeds, at_least, below) in [(true, 2_000, 20_000), (false, 100, 2_000)] {
        let reclick = format!("reclick = {{ wait = \"50ms\", times = 2, retry_after = {heeds} }}");
        let report = one(&format!("{refused}\n{reclick}")).await;
        assert_eq!(fate(&report.summary), TURNED_AWAY, "{heeds}");
        assert_eq!(report.summary.refused, 3, "the first click and two more");
        assert!((at_least..below).contains(&report.took_ms), "{heeds}: {} ms", report.took_ms);
    }
}
