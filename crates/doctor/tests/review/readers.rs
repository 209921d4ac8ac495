//! What careful readers of real files did not agree with, and is said no more, or less loudly.

use crate::examples::Example;
use outlast_doctor::{Confidence, Finding, Severity};

const LIMITS: &str = "\
[http_service]
internal_port = 8080
[http_service.concurrency]
type = \"requests\"
hard_limit = 1000
soft_limit = 500
";

fn only(flags: &str, text: &str, rule: &str) -> Finding {
    let mut findings = Example::new(flags, text).findings(rule);
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings.remove(0)
}

/// 256 MB is what a new app gets, and an old one keeps whatever it had.
#[test]
fn memory_that_no_file_tells_is_a_guess() {
    let told = format!("{LIMITS}[[vm]]\nmemory = \"256mb\"\n");
    let known = only("", &told, "FLY105");
    assert_eq!((known.severity, known.confidence), (Severity::Medium, Confidence::Guess));
    let unknown = only("", LIMITS, "FLY105");
    assert_eq!((unknown.severity, unknown.confidence), (Severity::Low, Confidence::Guess));
    // However well the need of a stream is known.
    let need = "--memory-per-stream 8MiB --streams 8m";
    let known = only(need, &told, "FLY105");
    assert_eq!((known.severity, known.confidence), (Severity::High, Confidence::Likely));
    let unknown = only(need, LIMITS, "FLY105");
    assert_eq!((unknown.severity, unknown.confidence), (Severity::Medium, Confidence::Guess));
}

#[test]
fn what_is_certain_names_no_memory_that_is_not() {
    let bare = "[http_service]\ninternal_port = 8080\n";
    let finding = only("", bare, "FLY103");
    assert!(finding.consequence.ends_with("whatever memory can hold"), "{finding}");
    let finding = only("", &format!("{bare}[[vm]]\nmemory = \"512mb\"\n"), "FLY103");
    assert!(finding.consequence.ends_with("whatever 512 MB can hold"), "{finding}");
}

#[test]
fn an_app_that_is_always_restarted_does_not_stay_down() {
    let service = "[processes]\nweb = \"a\"\ntask = \"b\"\n[http_service]\ninternal_port = 8080\n\
                   auto_start_machines = false\nprocesses = [\"web\"]\n";
    let with = |restart: &str| {
        !Example::new("", &format!("{service}{restart}")).findings("FLY208").is_empty()
    };
    assert!(with(""));
    assert!(with("[[restart]]\npolicy = \"on-failure\"\n"));
    assert!(with("[[restart]]\npolicy = \"always\"\nprocesses = [\"task\"]\n"));
    assert!(!with("[[restart]]\npolicy = \"always\"\nprocesses = [\"web\"]\n"));
    assert!(!with("[[restart]]\npolicy = \"always\"\n"));
}
