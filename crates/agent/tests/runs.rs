//! Runs as a server has them: started, followed, stopped, waiting; and scout on this very repository.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic as tests do")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use outlast_agent::{Abort, Counts, Follower, Kind, RunOrder, Runs, Settings, StartError};
use outlast_protocol::chat::{ChatLine, LinesSum};
use outlast_runtime::Tasks;
use outlast_runtime::clock::{self, timeout};
use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(3_600);

struct Rig {
    runs: Runs,
    workspace: TempDir,
}

fn rig(runs_max: usize) -> Rig {
    let workspace = tempfile::tempdir().unwrap();
    std::fs::write(workspace.path().join("main.rs"), "fn main() {}\n// TODO: more\n").unwrap();
    let settings = Settings {
        workspace: workspace.path().canonicalize().unwrap(),
        kind: Kind::Scout,
        pace: Duration::ZERO,
        runs_max,
        heartbeat: Duration::from_secs(15),
    };
    Rig { runs: Runs::new(settings, &Tasks::default()), workspace }
}

fn order(id: &str, pace: Duration) -> RunOrder {
    RunOrder {
        request_id: id.to_owned(),
        message: "Analyze this codebase".to_owned(),
        session_id: None,
        working_directory: None,
        pace: Some(pace),
    }
}

async fn line(follower: &mut Follower) -> Option<Value> {
    loop {
        let line = timeout(LONG * 2, follower.next()).await.expect("a line")?;
        assert!(line.ends_with(b"\n") && line.len() <= 16 * 1024, "{} bytes", line.len());
        if line.len() > 1 {
            return Some(serde_json::from_slice(&line).unwrap());
        }
    }
}

async fn all(mut follower: Follower) -> Vec<Value> {
    let mut lines = Vec::new();
    while let Some(line) = line(&mut follower).await {
        lines.push(line);
    }
    lines
}

fn last(lines: &[Value]) -> &str {
    let lasts = lines.iter().filter(|line| line["type"] != "claude_json").count();
    assert_eq!(lasts, 1, "exactly one last line");
    lines.last().unwrap()["type"].as_str().unwrap()
}

fn texts(lines: &[Value]) -> String {
    let parts = lines.iter().filter(|line| line["data"]["type"] == "assistant");
    parts.filter_map(|line| line["data"]["message"]["content"][0]["text"].as_str()).collect()
}

#[tokio::test]
async fn a_run_tells_what_it_does_and_what_it_found() {
    let rig = rig(8);
    let lines = all(rig.runs.start(order("a", Duration::ZERO)).unwrap()).await;
    assert_eq!(last(&lines), "done");
    assert_eq!(lines[0]["data"]["subtype"], "init");
    let session = &lines[0]["data"]["session_id"];
    assert!(lines[..lines.len() - 1].iter().all(|line| line["data"]["session_id"] == *session));
    let text = texts(&lines);
    for part in ["## Languages", "| Rust | 1 | 2 |", "`main.rs:2` `// TODO: more`"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let result = &lines[lines.len() - 2]["data"];
    assert_eq!((&result["type"], &result["is_error"]), (&"result".into(), &false.into()));
    assert_eq!(result["scout"]["lines"], 2);
    // Whoever read all lines before it can know.
    let mut sum = LinesSum::default();
    let before = &lines[..lines.len() - 2];
    for line in before {
        let line: ChatLine = serde_json::from_value(line.clone()).unwrap();
        sum.add(&serde_json::to_vec(&line).unwrap());
    }
    assert_eq!(result["scout"]["before"], serde_json::to_value(sum).unwrap());
    // Every step has its result.
    let uses = lines.iter().filter_map(|line| line["data"]["message"]["content"][0]["id"].as_str());
    let results: Vec<_> = lines
        .iter()
        .filter_map(|line| line["data"]["message"]["content"][0]["tool_use_id"].as_str())
        .collect();
    assert_eq!(uses.collect::<Vec<_>>(), results);
    assert_eq!(rig.runs.counts(), Counts { running: 0, waiting: 0 });
}

#[tokio::test]
async fn a_project_of_many_parts_is_told_as_that() {
    let rig = rig(8);
    for number in 0..43 {
        let part = rig.workspace.path().join(format!("part-{number}"));
        std::fs::create_dir(&part).unwrap();
        std::fs::write(part.join("package.json"), "{}").unwrap();
    }
    let text = texts(&all(rig.runs.start(order("a", Duration::ZERO)).unwrap()).await);
    assert_eq!(text.matches("/package.json`\n").count(), 40, "{text}");
    assert!(text.contains("\n- and 3 more\n"), "{text}");
}

#[tokio::test]
async fn a_search_is_answered_with_places() {
    let rig = rig(8);
    let order =
        RunOrder { message: "where is `fn main`?".to_owned(), ..order("a", Duration::ZERO) };
    let text = texts(&all(rig.runs.start(order).unwrap()).await);
    assert!(text.contains("- `main.rs:1` `fn main() {}`"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_same_request_id_never_starts_twice_and_shows_all_from_the_beginning() {
    let rig = rig(8);
    let mut first = rig.runs.start(order("a", LONG)).unwrap();
    let beginning = line(&mut first).await.unwrap();
    let again = rig.runs.start(order("a", Duration::ZERO)).unwrap();
    assert_eq!(rig.runs.counts().running + rig.runs.counts().waiting, 1);
    let (one, two) = tokio::join!(all(first), all(again));
    assert_eq!(two[0], beginning);
    assert_eq!(two[1..], one);
    assert_eq!(last(&two), "done");
    let ended = all(rig.runs.start(order("a", Duration::ZERO)).unwrap()).await;
    assert_eq!(ended, two, "it can be followed after its end");
}

/// As many as end together, each can be asked for again: a retry after a lost connection is no new run.
#[tokio::test]
async fn runs_that_end_together_are_all_remembered_for_a_while() {
    let rig = rig(40);
    let ids: Vec<_> = (0..40).map(|number| format!("run-{number}")).collect();
    let mut sessions = Vec::new();
    for again in [false, true] {
        let mut told = Vec::new();
        for id in &ids {
            let pace = if again { LONG } else { Duration::ZERO };
            let lines = all(rig.runs.start(order(id, pace)).unwrap()).await;
            told.push(lines[0]["data"]["session_id"].clone());
        }
        sessions.push(told);
    }
    assert_eq!(sessions[0], sessions[1]);
    // Not paused before: while a run waits for git, a paused clock runs away.
    tokio::time::pause();
    clock::sleep(Duration::from_secs(11 * 60)).await;
    let lines = all(rig.runs.start(order("run-0", Duration::ZERO)).unwrap()).await;
    assert_ne!(lines[0]["data"]["session_id"], sessions[0][0], "not for ever");
}

#[tokio::test(start_paused = true)]
async fn a_run_goes_on_without_followers() {
    let rig = rig(8);
    let mut follower = rig.runs.start(order("a", Duration::from_secs(60))).unwrap();
    line(&mut follower).await.unwrap();
    drop(follower);
    clock::sleep(Duration::from_secs(120)).await;
    let lines = all(rig.runs.start(order("a", Duration::ZERO)).unwrap()).await;
    assert_eq!(last(&lines), "done");
}

#[tokio::test(start_paused = true)]
async fn an_ended_run_is_forgotten_after_a_while() {
    let rig = rig(8);
    let before = all(rig.runs.start(order("a", Duration::ZERO)).unwrap()).await;
    clock::sleep(Duration::from_secs(9 * 60)).await;
    assert_eq!(all(rig.runs.start(order("a", Duration::ZERO)).unwrap()).await, before);
    clock::sleep(Duration::from_secs(2 * 60)).await;
    let after = all(rig.runs.start(order("a", Duration::ZERO)).unwrap()).await;
    assert_ne!(after[0]["data"]["uuid"], before[0]["data"]["uuid"]);
}

#[tokio::test(start_paused = true)]
async fn a_paced_run_takes_about_its_time_and_streams() {
    let rig = rig(8);
    let words = "one two three four five\n".repeat(20);
    std::fs::write(rig.workspace.path().join("words"), words).unwrap();
    let start = clock::now();
    // A search: a paused clock does not wait for git.
    let order =
        RunOrder { message: "find three".to_owned(), ..order("a", Duration::from_secs(60)) };
    let mut follower = rig.runs.start(order).unwrap();
    let mut times = Vec::new();
    while let Some(line) = line(&mut follower).await {
        if line["data"]["message"]["content"][0]["type"] == "text" {
            times.push(start.elapsed());
        }
    }
    let took = start.elapsed();
    assert!((Duration::from_secs(55)..Duration::from_secs(65)).contains(&took), "{took:?}");
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest <= Duration::from_secs(2), "{longest:?} of silence");
}

#[tokio::test]
async fn a_stopped_run_ends_at_once_whatever_it_does() {
    let rig = rig(1);
    let mut running = rig.runs.start(order("running", LONG)).unwrap();
    line(&mut running).await.unwrap();
    let mut waiting = rig.runs.start(order("waiting", LONG)).unwrap();
    let told = line(&mut waiting).await.unwrap();
    assert_eq!(told["data"]["subtype"], "status");
    assert_eq!(rig.runs.counts(), Counts { running: 1, waiting: 1 });

    for (id, follower) in [("waiting", waiting), ("running", running)] {
        assert_eq!(rig.runs.abort(id), Abort::Stopped);
        assert_eq!(rig.runs.abort(id), Abort::NotFound, "only once");
        assert_eq!(last(&all(follower).await), "aborted");
    }
    assert_eq!(rig.runs.abort("unknown"), Abort::NotFound);
    let next = all(rig.runs.start(order("next", Duration::ZERO)).unwrap()).await;
    assert_eq!(last(&next), "done", "the place is free");
}

#[tokio::test]
async fn runs_wait_in_the_order_of_their_start() {
    let rig = rig(1);
    let first = rig.runs.start(order("0", LONG)).unwrap();
    let rest: Vec<_> = ["1", "2", "3"]
        .map(|id| rig.runs.start(order(id, Duration::ZERO)).unwrap())
        .into_iter()
        .collect();
    assert_eq!(rig.runs.abort("0"), Abort::Stopped);
    all(first).await;
    for follower in rest {
        assert_eq!(last(&all(follower).await), "done");
    }
}

#[tokio::test]
async fn there_are_never_too_many_and_none_after_the_end() {
    let rig = rig(1);
    let followers: Vec<_> =
        (0..256).map(|id| rig.runs.start(order(&id.to_string(), LONG)).unwrap()).collect();
    let error = rig.runs.start(order("one more", LONG)).unwrap_err();
    assert_eq!(error, StartError::TooMany { runs: 256 });
    timeout(Duration::from_secs(20), rig.runs.stop_all()).await.unwrap();
    for follower in followers {
        let lines = all(follower).await;
        assert_eq!(last(&lines), "error");
        assert!(lines.last().unwrap()["error"].as_str().unwrap().contains("stopped"));
    }
    let error = rig.runs.start(order("too late", LONG)).unwrap_err();
    assert_eq!(error, StartError::Stopping);
}

#[tokio::test]
async fn a_run_in_a_folder_of_the_workspace_sees_only_that() {
    let rig = rig(8);
    std::fs::create_dir(rig.workspace.path().join("sub")).unwrap();
    std::fs::write(rig.workspace.path().join("sub/a.py"), "a\n").unwrap();
    let order =
        RunOrder { working_directory: Some("sub".to_owned()), ..order("a", Duration::ZERO) };
    let lines = all(rig.runs.start(order).unwrap()).await;
    assert_eq!(lines[lines.len() - 2]["data"]["scout"]["files"], 1);
}

fn shell(directory: &Path, script: &str) -> String {
    let output = Command::new("sh").args(["-c", script]).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn scout_tells_of_this_very_repository_what_git_and_wc_count() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    // A clone holds still while people work on the original.
    let folder = tempfile::tempdir().unwrap();
    let clone = folder.path().canonicalize().unwrap().join("outlast");
    shell(folder.path(), &format!("git clone --quiet '{}' outlast", source.display()));
    let settings = Settings {
        workspace: clone.clone(),
        kind: Kind::Scout,
        pace: Duration::ZERO,
        runs_max: 1,
        heartbeat: Duration::from_secs(15),
    };
    let runs = Runs::new(settings, &Tasks::default());
    let lines = all(runs.start(order("a", Duration::ZERO)).unwrap()).await;
    assert_eq!(last(&lines), "done");
    let facts = &lines[lines.len() - 2]["data"]["scout"];
    let number = |script: &str| shell(&clone, script).parse::<u64>().unwrap();
    assert_eq!(facts["files"], number("git ls-files | wc -l"));
    assert_eq!(facts["bytes"], number("git ls-files -z | xargs -0 cat | wc -c"));
    let texts = "git ls-files -z | xargs -0 grep -lIZ '' | xargs -0 cat | wc -l";
    assert_eq!(facts["lines"], number(texts));
    let rust = number("git ls-files -z '*.rs' | xargs -0 cat | wc -l");
    assert_eq!(facts["languages"]["Rust"]["lines"], rust);
    assert_eq!(facts["languages"]["Rust"]["files"], number("git ls-files '*.rs' | wc -l"));
    assert_eq!(
        facts["todos"],
        number("git ls-files -z | xargs -0 grep -IwhE 'TODO|FIXME' | wc -l")
    );
    assert_eq!(facts["commits"], number("git rev-list --count HEAD"));
    assert!(rust > 10_000, "the comparison has something to compare: {rust}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn no_message_makes_a_line_that_a_page_would_lose(message in "\\PC{1,3000}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let rig = rig(8);
            let order = RunOrder { message, ..order("a", Duration::ZERO) };
            if let Ok(follower) = rig.runs.start(order) {
                assert_eq!(last(&all(follower).await), "done");
            }
        });
    }
}
