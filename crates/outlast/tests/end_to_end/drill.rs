//! The drill as a user runs it: before the real gateway, with the incident's own limits.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use outlast_runtime::clock::timeout;
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::{INCIDENT, Outlast, free_port, signal};

/// No drill of these tests is planned to take so long.
pub(crate) const DRILL_TIMEOUT: Duration = Duration::from_secs(100);

/// More runs at once than any drill needs, so that only the gateway limits.
pub(crate) const RUNS: (&str, &str) = ("outlast.toml", "[agent]\nruns_max = 300\n");

/// Machines on which everything is tested at once are late with everything.
pub(crate) const LAG: &str = "lag_max = \"30s\"\n";

async fn incident(flags: &[&str]) -> Outlast {
    let port = format!("3001={}", free_port());
    let all = [&["--port", &port, "--no-auth"], flags].concat();
    Outlast::up(&[("fly.toml", INCIDENT), RUNS], &all).await
}

async fn run(folder: &Path, args: &[&str]) -> (Output, Option<Value>) {
    let all = [&["drill"], args, &["--json", "drill.json"]].concat();
    let output = Outlast::command(folder, &all).output();
    let output = timeout(DRILL_TIMEOUT, output).await.expect("it ends in time").unwrap();
    let json = std::fs::read(folder.join("drill.json")).ok();
    (output, json.map(|json| serde_json::from_slice(&json).unwrap()))
}

/// A preset, sixty times faster, with the patience of a busy machine.
async fn preset(outlast: &Outlast, name: &str) -> (Option<i32>, Value) {
    write_preset(outlast, name).await;
    let (url, admin) = (format!("http://{}", outlast.gateway), format!("http://{}", outlast.admin));
    let args = ["plan.toml", "--url", &url, "--admin", &admin, "--time-scale", "60"];
    let hold = ["--hold", "leaked == 0", "--hold", "ledger_mismatches == 0"];
    let (output, report) = run(outlast.folder.path(), &[&args[..], &hold].concat()).await;
    let report = report.unwrap_or_else(|| panic!("{output:?}"));
    (output.status.code(), report)
}

async fn write_preset(outlast: &Outlast, name: &str) {
    let printed = Outlast::command(outlast.folder.path(), &["drill", "presets", name]).output();
    let printed = String::from_utf8(printed.await.unwrap().stdout).unwrap();
    std::fs::write(outlast.folder.path().join("plan.toml"), format!("{LAG}{printed}")).unwrap();
}

#[tokio::test]
async fn the_incident_shows_its_outage_from_the_26th_stream_on() {
    let outlast = incident(&["--queue-timeout", "500ms"]).await;
    let (code, report) = preset(&outlast, "incident").await;
    assert_eq!((code, &report["verdict"]), (Some(1), &"failed".into()), "{report:#}");
    // 25 are let in and the next is refused. On a busy machine two neighbours may come in the other order.
    assert_eq!(report["first_refusal"]["open"], 25);
    let stream = report["first_refusal"]["stream"].as_u64().unwrap();
    assert!((22..=30).contains(&stream), "stream {stream} was the first to be refused");
    assert_eq!(report["summary"]["open_max"], 25);
    assert_eq!(report["summary"]["leaked"], 0);
    let failed = report["thresholds"].as_array().unwrap().iter().filter(|one| one["held"] == false);
    assert!(failed.clone().any(|one| one["threshold"] == "refused == 0"), "{failed:?}");
    let full = report["pool"].as_array().unwrap().iter().any(|sample| sample["in_flight"] == 25);
    assert!(full, "the pool was seen full");
}

#[tokio::test]
async fn with_the_reviewed_limits_the_same_people_are_all_served() {
    let flags = ["--type", "requests", "--hard-limit", "250", "--soft-limit", "200"];
    let outlast = incident(&flags).await;
    for name in ["incident", "tabs-10", "twenty", "fifty"] {
        let (code, report) = preset(&outlast, name).await;
        assert_eq!((code, &report["verdict"]), (Some(0), &"held".into()), "{name}: {report:#}");
        assert_eq!(report["summary"]["completed"], report["summary"]["planned"], "{name}");
    }
}

#[tokio::test]
async fn long_and_flaky_streams_and_steps_hold_too() {
    let flags = ["--type", "requests", "--hard-limit", "0", "--soft-limit", "0"];
    let outlast = incident(&flags).await;
    for name in ["long-15m", "flaky-network", "steps"] {
        let (code, report) = preset(&outlast, name).await;
        assert_eq!((code, &report["verdict"]), (Some(0), &"held".into()), "{name}: {report:#}");
    }
}

/// A day in half a minute.
const DAY: [&str; 2] = ["--time-scale", "2880"];

/// How many streams a report tells the end of, and how many it tells to be open.
fn accounted(report: &Value) -> u64 {
    let sum = &report["summary"];
    let parts = ["completed", "left", "turned_away", "truncated", "failed", "stuck"];
    parts.iter().map(|part| sum[part].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn a_day_holds_and_its_report_stays_small() {
    let outlast = incident(&["--type", "requests", "--hard-limit", "0", "--soft-limit", "0"]).await;
    write_preset(&outlast, "soak-24h").await;
    let (url, admin) = (format!("http://{}", outlast.gateway), format!("http://{}", outlast.admin));
    let args = ["plan.toml", "--url", &url, "--admin", &admin, "--hdr", "day.hlog"];
    let (output, report) = run(outlast.folder.path(), &[&args[..], &DAY].concat()).await;
    let report = report.unwrap_or_else(|| panic!("{output:?}"));
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    let sum = &report["summary"];
    let [completed, left] = ["completed", "left"].map(|part| sum[part].as_u64().unwrap());
    assert!(completed + left == 1440 && left > 100, "{report:#}");
    // Somebody is there in each sixth of the day, and nobody in the end.
    let series = report["series"].as_array().unwrap();
    let there = |sample: &Value| {
        let counts = sample["counts"].as_array().unwrap();
        counts.iter().map(|count| count.as_u64().unwrap()).sum::<u64>()
    };
    for part in series.chunks(series.len() / 6) {
        let most = part.iter().map(there).max();
        assert!(part.len() < series.len() / 6 || most > Some(0), "{part:?}");
    }
    for (file, bytes_max) in [("drill.json", 300_000), ("day.hlog", 300_000)] {
        let bytes = std::fs::metadata(outlast.folder.path().join(file)).unwrap().len();
        assert!(bytes < bytes_max, "{file} has {bytes} bytes");
    }
}

#[tokio::test]
async fn a_day_that_is_interrupted_is_told_as_far_as_it_went() {
    let outlast = incident(&["--type", "requests", "--hard-limit", "0", "--soft-limit", "0"]).await;
    write_preset(&outlast, "soak-24h").await;
    let url = format!("http://{}", outlast.gateway);
    let args = ["drill", "plan.toml", "--url", &url, "--json", "part.json"];
    let args = [&args[..], &DAY].concat();
    let drill = Outlast::command(outlast.folder.path(), &args).stderr(Stdio::piped()).spawn();
    let mut drill = drill.unwrap();
    let mut told = BufReader::new(drill.stderr.take().unwrap()).lines();
    let completed = |line: &str| {
        let (_, rest) = line.split_once('(')?;
        rest.split_once(" completed")?.0.parse::<u64>().ok()
    };
    while let Some(line) = told.next_line().await.unwrap() {
        if completed(&line).is_some_and(|count| count > 20) {
            break;
        }
    }
    signal(drill.id().unwrap(), Signal::INT);
    let ended = timeout(DRILL_TIMEOUT, drill.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(2));
    let report = std::fs::read(outlast.folder.path().join("part.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!((&report["ending"], &report["verdict"]), (&"interrupted".into(), &"invalid".into()));
    let sum = &report["summary"];
    let started = sum["started"].as_u64().unwrap();
    assert!(sum["planned"] == 1440 && started > 20 && started < 1440, "{sum}");
    assert_eq!(accounted(&report), started, "each that began is told of once: {sum}");
    // What it saw is all of the picture, and what was to come is none of it.
    let took = report["took_ms"].as_u64().unwrap();
    let last = report["series"].as_array().unwrap().last().unwrap()["at_ms"].as_u64().unwrap();
    // Within half of one of 240 columns.
    assert!(last.abs_diff(took) * 100 <= took, "{last} of {took} ms");
    let rows = report["heat"]["rows"].as_array().unwrap();
    let per_row = usize::try_from(report["heat"]["streams_per_row"].as_u64().unwrap()).unwrap();
    let to_come = &rows[usize::try_from(started).unwrap().div_ceil(per_row)..];
    assert!(!to_come.is_empty() && to_come.iter().all(|row| row == ""), "{rows:?}");
}

#[tokio::test]
async fn what_cannot_be_drilled_is_an_error_before_any_load() {
    let folder = Outlast::folder(&[("plan.toml", "[[load]]\nkind = \"chat\"\nuser = 3\n")]);
    let nobody = format!("http://127.0.0.1:{}", free_port());
    for (args, says) in [
        (["plan.toml", "--url", &nobody], &["plan.toml:3:1", "`users`"][..]),
        (["nothing.toml", "--url", &nobody], &["no preset and no file"]),
        (["tabs-10", "--url", &nobody], &["does not take a connection", "start the server"]),
        (["tabs-10", "--url", "http://192.0.2.1"], &["--i-own-this-target 192.0.2.1"]),
        (["tabs-10", "--url", "https://127.0.0.1"], &["is no http:// URL"]),
        (["deploy", "--url", &nobody], &["has not started it", "-- COMMAND"]),
    ] {
        let (output, report) = run(folder.path(), &args).await;
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), report), (Some(2), None), "{args:?}: {told}");
        for part in says {
            assert!(told.contains(part), "{args:?}: {told}");
        }
    }
}

#[tokio::test]
async fn an_interrupted_drill_tells_the_part_that_it_saw() {
    let folder = Outlast::folder(&[]);
    let mut origin =
        Outlast::command(folder.path(), &["drill", "origin", "--listen", "127.0.0.1:0"]);
    let mut origin = origin.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(origin.stdout.take().unwrap()).lines();
    let url = lines.next_line().await.unwrap().unwrap();
    let url = url.strip_prefix("Serving ").unwrap();
    let args = [
        "drill",
        "tabs-10",
        "--url",
        url,
        "--time-scale",
        "20",
        "--json",
        "part.json",
        "--hdr",
        "part.hlog",
    ];
    let drill = Outlast::command(folder.path(), &args).stderr(Stdio::piped()).spawn();
    let mut drill = drill.unwrap();
    let mut told = BufReader::new(drill.stderr.take().unwrap()).lines();
    while let Some(line) = told.next_line().await.unwrap() {
        if line.contains("10 streaming") || line.contains("10 waiting") {
            break;
        }
    }
    signal(drill.id().unwrap(), Signal::INT);
    let ended = timeout(DRILL_TIMEOUT, drill.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(2));
    let report = std::fs::read(folder.path().join("part.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["ending"], "interrupted");
    assert_eq!(
        (&report["summary"]["started"], &report["summary"]["stuck"]),
        (&10.into(), &10.into())
    );
    assert!(report["invalid"][0].as_str().unwrap().contains("interrupted"), "{report:#}");
    let log = std::fs::read_to_string(folder.path().join("part.hlog")).unwrap();
    assert!(log.starts_with("#[Histogram log format version 1.3]\n"), "{log}");
    assert!(log.contains("\nTag=first_byte,0.000,") && log.ends_with('\n'), "{log}");
    let args = ["drill", "compare", "part.json", "part.json", "--html", "compare.html"];
    let compared = Outlast::command(folder.path(), &args).output().await.unwrap();
    let table = String::from_utf8(compared.stdout).unwrap();
    assert_eq!(compared.status.code(), Some(0));
    assert!(table.contains("says nothing    says nothing"), "{table}");
    let page = std::fs::read_to_string(folder.path().join("compare.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.len() < 200_000, "{} bytes", page.len());
    let args = ["drill", "compare", "part.json", "compare.html"];
    let refused = Outlast::command(folder.path(), &args).output().await.unwrap();
    assert_eq!(refused.status.code(), Some(2), "a page is no result");
}

#[tokio::test]
async fn every_byte_of_every_kind_comes_through_the_gateway_as_it_was_sent() {
    let folder = Outlast::folder(&[(
        "plan.toml",
        "lag_max = \"30s\"\nhold = [\"completed == 64\", \"leaked == 0\"]\n\
         [[load]]\nkind = \"ndjson\"\nusers = 20\nlength = \"2s\"\ngap = { exponential = \"20ms\" }\n\
         [[load]]\nkind = \"sse\"\nusers = 20\nlength = \"2s\"\ngap = \"10ms\"\n\
         client = { sleep = \"500ms\", for = \"200ms\" }\n\
         [[load]]\nkind = \"chat\"\nusers = 4\nlength = \"2s\"\n\
         [[load]]\nkind = \"plain\"\nusers = 20\narrivals = { poisson = \"50ms\" }\n",
    )]);
    let mut origin =
        Outlast::command(folder.path(), &["drill", "origin", "--listen", "127.0.0.1:0"]);
    let mut origin = origin.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(origin.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let to = line.strip_prefix("Serving http://").unwrap();
    let outlast = Outlast::up(&[], &["--to", to, "--no-auth"]).await;
    let (url, admin) = (format!("http://{}", outlast.gateway), format!("http://{}", outlast.admin));
    let args = ["plan.toml", "--url", &url, "--admin", &admin];
    let (output, report) = run(folder.path(), &args).await;
    let report = report.unwrap_or_else(|| panic!("{output:?}"));
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(
        (&report["summary"]["resumed"], &report["violations"]),
        (&20.into(), &Value::Array(vec![]))
    );
    assert!(report["summary"]["chunks"].as_u64().unwrap() > 4_000, "{report:#}");
}
