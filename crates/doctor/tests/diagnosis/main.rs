//! Diagnoses from outside: lines of logs in, incidents and reports out.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod bounds;
mod evidence;
mod hypotheses;
mod incident;
mod reports;
mod watch;

use outlast_config::SourceText;
use outlast_doctor::diagnosis::{Beside, Diagnosed, Diagnosis, Names};
use outlast_doctor::logs::{Event, Reader};

/// What the lines tell.
fn events(log: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let mut reader = Reader::new(0);
    reader.feed(log.as_bytes(), &mut |event| events.push(event));
    reader.finish(&mut |event| events.push(event)).unwrap();
    events
}

fn diagnose_with(log: &str, fly: Option<&str>) -> Diagnosed {
    let plan = fly.map(|fly| Beside::read(&SourceText::new("fly.toml", fly)).unwrap());
    let mut diagnosis = Diagnosis::new(plan, Names::Hidden);
    for event in events(log) {
        diagnosis.observe(&event);
    }
    diagnosis.finish()
}

fn diagnose(log: &str) -> Diagnosed {
    diagnose_with(log, None)
}

/// The causes of all incidents, in their order.
fn causes(log: &str) -> Vec<&'static str> {
    diagnose(log).incidents.iter().map(outlast_doctor::diagnosis::Incident::cause).collect()
}

/// A line of `fly logs`: `14:37:39 proxy warn text`.
fn fly(time: &str, who: &str, level: &str, text: &str) -> String {
    format!("2026-11-24T{time}Z {who}[3d8d9930b32d89] fra [{level}]{text}\n")
}

fn full(time: &str) -> String {
    let text = "Instance 3d8d9930b32d89 reached hard limit of 4 concurrent connections. This usually indicates \
                your app is not closing connections properly.";
    fly(time, "proxy", "warn", text)
}

fn refused(time: &str) -> String {
    let text = "[PR04] could not find a good candidate within 40 attempts at load balancing";
    fly(time, "proxy", "error", text)
}

/// An access line of the app, as Go's chi writes it.
fn answered(time: &str, path: &str, took: &str) -> String {
    let text = format!(
        "\"GET http://a.example{path} HTTP/1.1\" from 203.0.113.9:4000 - 200 640B in {took}"
    );
    fly(time, "app", "info", &text)
}
