//! A wall clock that jumps: streams, deadlines and records follow the monotonic one.

use std::path::Path;

use crate::support::{GET, Outlast, get, stream};
use outlast_runtime::clock;
use outlast_testkit::{ScriptedMachine, Wire};
use serde_json::Value;

/// Far longer than any step of the test, far shorter than a jump.
const RECORD_MS_MAX: u64 = 60_000;

/// Where Debian has it.
fn libfaketime() -> String {
    let folders = std::fs::read_dir("/usr/lib").unwrap();
    let libraries = folders.map(|entry| entry.unwrap().path().join("faketime/libfaketimeMT.so.1"));
    let found = libraries.into_iter().find(|path| path.is_file());
    found
        .expect("Debian's package faketime is installed: cargo xtask test installs it")
        .display()
        .to_string()
}

/// Replaces the file as a whole, so that no half of it is read.
fn jump(file: &Path, offset: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{offset}\n")).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// The date of the last line of the log, without its time.
fn date(outlast: &Outlast) -> String {
    let event: Value = serde_json::from_str(outlast.log().last().unwrap()).unwrap();
    event["timestamp"].as_str().unwrap().split('T').next().unwrap().to_owned()
}

/// A gateway whose calendar is moved by the file.
async fn faked(file: &Path, flags: &[&str]) -> Outlast {
    jump(file, "+0");
    let preload = libfaketime();
    let env = [
        ("LD_PRELOAD", preload.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ];
    let mut outlast = Outlast::starting_by(&[], &env, &[], flags).await;
    outlast.ready().await;
    outlast
}

#[tokio::test]
async fn jumps_of_a_day_change_nothing_but_what_the_log_says_of_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offset");
    let machine = ScriptedMachine::start().await;
    let to = machine.address().to_string();
    let flags = ["--to", &to, "--no-auth", "--hard-limit", "1", "--queue-timeout", "1s"];
    let outlast = faked(&file, &flags).await;
    let (mut client, mut upstream) = stream(&outlast, &machine).await;

    let mut dates = Vec::new();
    for (round, offset) in ["+1d", "-1d", "+0"].into_iter().enumerate() {
        jump(&file, offset);
        upstream.send_chunk(offset).await;
        assert_eq!(client.read_chunk().await, offset);
        // The pool is full: the deadline of the queue is a second, whatever the calendar says.
        let start = clock::now();
        let mut refused = Wire::connect(outlast.gateway).await;
        refused.send(GET).await;
        let (head, body) = refused.read_message().await;
        assert!(head.starts_with("HTTP/1.1 503 ") && body.contains("queue_deadline"), "{head}");
        let waited = start.elapsed();
        assert!((900..5_000).contains(&waited.as_millis()), "{waited:?}");
        outlast.exchanges("/", round + 1).await;
        dates.push(date(&outlast));
    }
    dates.sort();
    dates.dedup();
    assert_eq!(dates.len(), 3, "the clock did jump: {dates:?}");

    upstream.send("0\r\n\r\n").await;
    client.read_until("0\r\n\r\n").await;
    for record in outlast.exchanges("/", 4).await {
        for field in ["queued_ms", "first_byte_ms", "duration_ms"] {
            let milliseconds = record[field].as_u64().unwrap();
            assert!(milliseconds < RECORD_MS_MAX, "{field} in {record}");
        }
    }
    outlast.service_where("its place is free", |service| service["in_flight"] == 0).await;
    let metrics = outlast.metrics().await;
    assert!(metrics["outlast_stream_duration_seconds_sum{service=\"http\"}"] < 60.0);
    assert_eq!(metrics["outlast_ledger_mismatch_total{service=\"http\"}"], 0.0);
}

#[tokio::test]
async fn jumps_of_a_day_leave_the_heartbeat_of_a_silent_run_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offset");
    let outlast = faked(&file, &["--no-auth", "--pace", "1h"]).await;
    for process in outlast_runtime::guard::descendants(outlast.pid()) {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", process.pid)).unwrap();
        assert!(maps.contains("libfaketime"), "the machine has the same calendar");
    }
    let mut client = Wire::connect(outlast.gateway).await;
    let body = "{\"message\":\"look\",\"requestId\":\"a\"}";
    let host = format!("POST /api/chat HTTP/1.1\r\nHost: {}\r\n", outlast.gateway);
    let length =
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    client.send(host + &length + body).await;
    client.read_head().await;
    assert!(client.read_chunk().await.contains("init"));
    for offset in ["+1d", "-1d"] {
        jump(&file, offset);
        // The gateway looks at the calendar for each record, and so sees the jump.
        get(outlast.gateway, "/api/health", &[]).await;
    }
    let start = clock::now();
    while client.read_chunk().await != "\n" {}
    // It is due after 15 seconds of silence: no burst for a day that has passed, and no day without.
    let waited = start.elapsed();
    assert!((10..20).contains(&waited.as_secs()), "{waited:?}");
}
