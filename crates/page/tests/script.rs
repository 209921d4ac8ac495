//! The page's script, before a document that is not a browser's: what it does with answers, stops and losses.

use std::process::Command;

#[test]
fn the_script_follows_answers_and_stops_what_waits() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/script.js");
    let output = Command::new("node").arg(script).output().expect("node is installed");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches(": good\n").count(), 4, "{text}");
}
