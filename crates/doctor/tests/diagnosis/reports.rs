//! Diagnoses for programs: their forms hold whatever is in them, and nothing in them is private.

use outlast_doctor::Severity;
use outlast_doctor::diagnosis::{Cause, Diagnosed, report};
use serde_json::Value;

use crate::{answered, diagnose, fly, full, refused};

const NAME: &str = "dir/a b,c%.log";

fn found() -> (Diagnosed, Vec<String>) {
    let log = full("14:37:39")
        + &refused("14:37:50")
        + &answered("14:41:00", "/api/chat?token=t0ps3cret", "8m12.5s")
        + &fly(
            "15:00:00",
            "proxy",
            "error",
            "request.id=\"01GRKW1WB9KFDZK0FVA89W9HC1-arn\" [PU02] ann@a.example",
        );
    (diagnose(&log), vec![NAME.to_owned()])
}

#[test]
fn json_has_each_incident_with_its_rivals_and_what_speaks_for_and_against_them() {
    let (diagnosed, names) = found();
    let value: Value = serde_json::from_str(&report::json(&diagnosed, &names)).unwrap();
    let incidents = value["incidents"].as_array().unwrap();
    assert_eq!(incidents.len(), 2, "{value:#}");
    for incident in incidents {
        let rivals = incident["rivals"].as_array().unwrap();
        let ids: std::collections::BTreeSet<_> =
            rivals.iter().map(|rival| rival["id"].as_str().unwrap()).collect();
        assert_eq!(ids, Cause::ALL.map(Cause::id).into());
        for rival in rivals {
            assert!(["won", "lost", "open"].contains(&rival["verdict"].as_str().unwrap()));
            assert!(rival["for"].is_array() && rival["against"].is_array());
        }
        assert!(
            incident["chain"].as_array().is_some_and(|chain| !chain.is_empty()),
            "{incident:#}"
        );
        assert!(incident["confidence"].as_f64().is_some_and(|share| (0.0..1.0).contains(&share)));
        for collect in incident["collect"].as_array().unwrap() {
            assert!(collect["why"].is_string() && collect["command"].is_string());
        }
    }
    assert_eq!(incidents[0]["at"]["line"], 1);
}

#[test]
fn what_is_private_is_in_no_form() {
    let (diagnosed, names) = found();
    let forms = [
        report::json(&diagnosed, &names),
        report::sarif(&diagnosed, &names),
        report::github(&diagnosed, &names),
        report::junit(&diagnosed, &names, Some(Severity::Info)),
    ];
    for form in forms {
        for private in ["203.0.113.9", "t0ps3cret", "/api/chat", "a.example", "ann@", "01GRKW"] {
            assert!(!form.contains(private), "{private}\n{form}");
        }
    }
}

#[test]
fn sarif_places_each_incident_and_names_its_hypothesis() {
    let (diagnosed, names) = found();
    let value: Value = serde_json::from_str(&report::sarif(&diagnosed, &names)).unwrap();
    let run = &value["runs"][0];
    let rules: Vec<_> =
        run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), diagnosed.incidents.len());
    for result in results {
        assert!(rules.contains(&&result["ruleId"]), "{result:#}");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "dir/a%20b,c%25.log");
    }
}

#[test]
fn github_s_commands_are_one_line_each_and_escaped() {
    let (diagnosed, names) = found();
    let text = report::github(&diagnosed, &names);
    assert_eq!(text.lines().count(), diagnosed.incidents.len());
    for line in text.lines() {
        assert!(line.starts_with("::error file=dir/a b%2Cc%25.log,line="), "{line}");
    }
}

#[test]
fn junit_fails_from_the_asked_severity_on() {
    let (diagnosed, names) = found();
    let count = |least| report::junit(&diagnosed, &names, least).matches("<failure ").count();
    assert_eq!(count(None), 0);
    assert_eq!(count(Some(Severity::Error)), diagnosed.incidents.len());
    let cases = report::junit(&diagnosed, &names, None).matches("<testcase ").count();
    assert_eq!(cases, Cause::ALL.len() + 1);
}
