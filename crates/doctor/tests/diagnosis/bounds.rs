//! Whatever comes, in whatever order: no panic, and no more memory than for little.

use outlast_doctor::diagnosis::{Diagnosis, Names};
use outlast_doctor::logs::Event;
use proptest::prelude::*;

use crate::{answered, diagnose, events, fly, full, refused};

fn some_lines() -> Vec<Event> {
    let lines = [
        full("00:00:00"),
        refused("00:00:00"),
        answered("00:00:00", "/api/chat", "8m12.5s"),
        fly("00:00:00", "proxy", "info", "Starting machine"),
        fly("00:00:00", "proxy", "info", "machine became reachable in 12.4s"),
        fly("00:00:00", "app", "info", " INFO Main child exited normally with code: 1"),
        fly("00:00:00", "app", "info", "[ws] No pong from 3f"),
        fly("00:00:00", "runner", "info", "Virtual machine has been suspended"),
        fly("00:00:00", "runner", "info", "Configuring firecracker"),
        "[PR04] could not find a good candidate within 40 attempts at load balancing\n".to_owned(),
        "14:37:39 [error] Instance reached hard limit of 25 concurrent connections\n".to_owned(),
    ];
    events(&lines.concat())
}

proptest! {
    #[test]
    fn events_in_any_order_at_any_time_are_diagnosed(
        picks in prop::collection::vec((any::<prop::sample::Index>(), -4_000_000_000_i64..4_000_000_000), 0..200)
    ) {
        let some = some_lines();
        let mut diagnosis = Diagnosis::new(None, Names::Hidden);
        for (pick, seconds) in picks {
            let mut event = pick.get(&some).clone();
            let at = event.at.map(|at| outlast_doctor::logs::When::dated(seconds.saturating_mul(1_000_000_000), at.precision, at.zone));
            event.at = at.filter(|_| seconds % 7 != 0);
            diagnosis.observe(&event);
            diagnosis.advance(std::time::Duration::from_secs(seconds.unsigned_abs() % 400));
        }
        let diagnosed = diagnosis.finish();
        for incident in &diagnosed.incidents {
            let shares: f64 = incident.verdict.rivals.iter().map(|rival| rival.share).sum();
            prop_assert!((0.0..=1.000_001).contains(&shares), "{shares}");
        }
    }
}

#[test]
fn a_day_of_incidents_is_told_in_part_and_counted_whole() {
    let times =
        (0..24 * 60).step_by(7).map(|minute| format!("{:02}:{:02}:00", minute / 60, minute % 60));
    let log: String = times.map(|time| refused(&time)).collect();
    let diagnosed = diagnose(&log);
    assert_eq!(diagnosed.incidents.len(), 100);
    assert_eq!(diagnosed.untold["not_enough_evidence"], 106);
}

#[test]
fn an_incident_keeps_no_lines() {
    let line = full("14:37:39") + &refused("14:37:39") + &answered("14:37:39", "/", "8m1s");
    let short = format!("{:?}", diagnose(&line.repeat(300)).incidents[0]).len();
    let long = format!("{:?}", diagnose(&line.repeat(30_000)).incidents[0]).len();
    assert!(long < short + short / 10, "{short} characters became {long}");
}
