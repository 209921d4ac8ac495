//! Every command of the pages for operators is run as it stands there, in the situation that its fence names, and its output compared.
//!
//! A fence says `console SITUATION`, or `sh fly` for what only Fly can run: that is checked against a list. In outputs `…` stands for
//! anything within a line, and alone on a line for any lines.

mod situations;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{INCIDENT, INCIDENT_OUTLAST, Outlast};
use situations::Situation;

/// Printed between two commands.
const MARK: &str = "--- next ---";

/// What is run on Fly and nowhere else: the words that a command must begin with.
const FLY: &[&str] = &[
    "fly logs --no-tail",
    "fly machine list",
    "fly ssh console -C ",
    "fly deploy --strategy rolling",
    "fly scale count 2",
    "fly releases --image",
    "fly deploy --image ",
    "fly secrets set ",
];

/// Fly's warning, and its refusal.
const FULL: &str = "[warn]Instance 3d8d9930b32d89 reached hard limit of 25 concurrent connections. This \
    usually indicates your app is not closing connections properly or is not closing them fast enough \
    for the traffic levels it is handling. Scaling resources, number of instances or increasing your \
    hard limit might help.";
const REFUSED: &str =
    "[error][PR04] could not find a good candidate within 40 attempts at load balancing";

/// Minutes such as the incident's, as `fly logs` tells of them.
fn log() -> String {
    let lines =
        [("14:37:39", FULL), ("14:37:47", REFUSED), ("14:38:41", FULL), ("14:40:46", REFUSED)];
    let line = |(time, what)| format!("2026-11-24T{time}Z proxy[3d8d9930b32d89] sjc {what}\n");
    lines.map(line).concat()
}

struct Block<'p> {
    line: usize,
    info: &'p str,
    text: Vec<&'p str>,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let text = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            blocks.push(Block { line: index + 1, info, text: text.collect() });
        }
    }
    blocks
}

/// Commands, each with the output that follows it.
fn steps<'p>(block: &Block<'p>) -> Vec<(&'p str, Vec<&'p str>)> {
    let mut steps: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in &block.text {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push((command, Vec::new())),
            (None, Some((_, output))) => output.push(line),
            (None, None) => panic!("line {}: output before a command", block.line),
        }
    }
    steps
}

/// Runs every block of a page.
async fn run(name: &str, page: &str) {
    let mut count = 0;
    for block in blocks(page) {
        let place = format!("docs/{name}:{}", block.line);
        match block.info.split_once(' ').unwrap_or((block.info, "")) {
            ("console", situation) => {
                let situation = Situation::start(situation).await;
                check(&place, &block, &situation).await;
                count += 1;
            }
            ("sh", "fly") => {
                for line in &block.text {
                    let known = FLY.iter().any(|command| line.starts_with(command));
                    assert!(known, "{place}: {line} is no command of flyctl that is known here");
                }
            }
            _ => panic!("{place}: a fence is `console` or `sh fly`, and not {:?}", block.info),
        }
    }
    assert!(count > 0, "docs/{name} has commands");
}

async fn check(place: &str, block: &Block<'_>, situation: &Situation) {
    let sandbox = sandbox(situation);
    let steps = steps(block);
    let script: String = steps
        .iter()
        .map(|(command, _)| {
            let command = situation.at_its_addresses(command);
            format!("{command}\nstatus=$?; echo '{MARK}'; (exit $status)\n")
        })
        .collect();
    let output = bash(sandbox.path(), &script, situation).await;
    let output = situation.at_usual_addresses(&output);
    let outputs: Vec<_> = output.split(&format!("{MARK}\n")).collect();
    assert_eq!(outputs.len(), steps.len() + 1, "{place}\n{output}");
    for ((command, wanted), got) in steps.iter().zip(outputs) {
        let lines: Vec<_> = got.lines().collect();
        let wanted_lines = wanted.join("\n");
        assert!(
            matches(wanted, &lines),
            "{place}\n$ {command}\n-- want\n{wanted_lines}\n-- got\n{got}"
        );
    }
}

/// A home directory in which somebody works on the incident's files.
fn sandbox(situation: &Situation) -> TempDir {
    let log = log();
    let files = [
        ("fly.toml", INCIDENT),
        ("incident.toml", INCIDENT),
        ("outlast.toml", INCIDENT_OUTLAST),
        ("fly.log", &log),
    ];
    let sandbox = Outlast::folder(&files);
    if let Some(data) = situation.data() {
        let share = sandbox.path().join(".local/share");
        fs::create_dir_all(&share).unwrap();
        symlink(data, share.join("outlast")).unwrap();
    }
    sandbox
}

async fn bash(folder: &Path, script: &str, situation: &Situation) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_outlast")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OUTLAST_")) {
        command.env_remove(name);
    }
    command.args(["-c", &format!("exec 2>&1\n{script}")]).current_dir(folder).stdin(Stdio::null());
    command.env("PATH", path).env("HOME", folder).env_remove("XDG_DATA_HOME");
    command.env("OUTLAST_ADMIN", situation.admin().to_string());
    let output = command.output().await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Whether lines are as wanted; see the head of this file.
fn matches(wanted: &[&str], got: &[&str]) -> bool {
    match wanted.split_first() {
        None => got.is_empty(),
        Some((&"…", rest)) => (0..=got.len()).any(|skipped| matches(rest, &got[skipped..])),
        Some((line, rest)) => got.split_first().is_some_and(|(first, others)| {
            line_matches(line.trim_end(), first.trim_end()) && matches(rest, others)
        }),
    }
}

fn line_matches(wanted: &str, got: &str) -> bool {
    let Some((start, rest)) = wanted.split_once('…') else { return wanted == got };
    let Some(mut left) = got.strip_prefix(start) else { return false };
    let parts: Vec<_> = rest.split('…').collect();
    let (last, between) = parts.split_last().expect("there is a part behind each …");
    for part in between {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

/// Commands amid sentences are not run: their words must be known.
async fn check_words(name: &str, page: &str) {
    let prose: Vec<_> = page.split("```").step_by(2).collect();
    for span in prose.iter().flat_map(|text| text.split('`').skip(1).step_by(2)) {
        let place = format!("docs/{name}: `{span}`");
        if span.starts_with("fly ") {
            assert!(FLY.iter().any(|known| span.starts_with(known)), "{place} is not known here");
        }
        let Some(words) = span.strip_prefix("outlast ") else { continue };
        let words: Vec<_> = words.split_whitespace().collect();
        let output = Outlast::command(Path::new("/"), &[words[0], "--help"]).output().await;
        let output = output.unwrap();
        assert!(output.status.success(), "{place}: there is no such command");
        let help = String::from_utf8(output.stdout).unwrap();
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            let is_known = help.split_whitespace().any(|word| word == *flag);
            assert!(is_known, "{place}: there is no {flag}");
        }
    }
}

macro_rules! pages {
    ($($test:ident: $name:literal,)*) => {
        $(#[tokio::test]
        async fn $test() {
            let page = include_str!(concat!("../../../../docs/", $name));
            check_words($name, page).await;
            run($name, page).await;
        })*
    };
}

pages! {
    the_runbook_is_true: "runbook.md",
    troubleshooting_is_true: "troubleshooting.md",
    the_checklist_is_true: "deploy-checklist.md",
    concurrency_is_true: "concurrency.md",
    channels_are_true: "channels.md",
}

#[test]
fn outputs_are_compared_line_by_line() {
    for (wanted, got, same) in [
        (&["a"][..], &["a"][..], true),
        (&["a"], &["a", "b"], false),
        (&["a", "…"], &["a", "b", "c"], true),
        (&["…", "c"], &["a", "b", "c"], true),
        (&["…", "c"], &["a", "b"], false),
        (&["a … c"], &["a b c"], true),
        (&["a … c"], &["a b d"], false),
        (&["…b…"], &["abc"], true),
        (&[], &["a"], false),
        (&["a"], &[], false),
    ] {
        assert_eq!(matches(wanted, got), same, "{wanted:?} {got:?}");
    }
}
