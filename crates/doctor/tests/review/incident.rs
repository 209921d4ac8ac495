//! The file of the incident that this project grew from, and what its team would have been told.

use std::collections::BTreeSet;

use crate::examples::Example;
use outlast_doctor::{Confidence, Severity};

const INCIDENT: &str = include_str!("../../../config/tests/fixtures/fly/incident.toml");

#[test]
fn everything_that_was_wrong_is_found_without_a_flag() {
    let review = Example::new("", INCIDENT).review();
    let found: BTreeSet<_> = review
        .findings
        .iter()
        .filter(|one| one.severity <= Severity::Medium)
        .map(|one| one.rule)
        .collect();
    let wanted = [
        "FLY101", "FLY103", "FLY104", "FLY105", "FLY201", "FLY203", "FLY205", "FLY301", "FLY401",
        "FLY404", "FLY501", "FLY502",
    ];
    assert_eq!(found, wanted.into());
    let unchecked = review.findings.iter().filter(|one| one.rule == "FLY502").count();
    assert_eq!(unchecked, 2, "neither service has a check");
}

#[test]
fn what_was_guessed_is_said_and_a_flag_ends_it() {
    let guessed = Example::new("", INCIDENT).findings("FLY203").remove(0);
    assert_eq!(guessed.confidence, Confidence::Likely);
    assert!(guessed.assumed[0].contains("TERMINAL_WS_PORT"), "{guessed}");
    let told = Example::new("--streams 8m", INCIDENT).findings("FLY203").remove(0);
    assert_eq!((told.confidence, told.assumed.len()), (Confidence::Certain, 0), "{told}");
}

#[test]
fn an_app_without_streams_is_told_nothing_about_them() {
    let without = Example::new("--streams 0s", INCIDENT);
    for rule in ["FLY104", "FLY201", "FLY203", "FLY501"] {
        assert!(without.findings(rule).is_empty(), "{rule}");
    }
    assert_eq!(without.findings("FLY101")[0].severity, Severity::Medium);
    assert_eq!(without.findings("FLY401")[0].severity, Severity::Medium);
    assert!(without.review().capacities.is_empty());
}

#[test]
fn the_type_alone_makes_room_for_not_one_more_stream() {
    for flags in ["", "--machines 3 --memory-per-stream 8MiB"] {
        let review = Example::new(flags, INCIDENT).review();
        let [capacity] = &review.capacities[..] else {
            panic!("one service has streams and a limit")
        };
        let places = |start: &str| {
            capacity.changes.iter().find(|change| change.what.starts_with(start)).unwrap().places
        };
        assert_eq!(places("type ="), places("as it is"));
        assert_eq!(places("hard_limit = 100"), 4 * places("as it is"));
    }
}

#[test]
fn a_peak_is_compared_with_all_machines_together() {
    for (flags, enough) in [
        ("--peak 20 --machines 1", true),
        ("--peak 21 --machines 1", false),
        ("--peak 40 --machines 2", true),
        ("--peak 41 --machines 2", false),
    ] {
        assert_eq!(Example::new(flags, INCIDENT).findings("FLY104").is_empty(), enough, "{flags}");
    }
}
