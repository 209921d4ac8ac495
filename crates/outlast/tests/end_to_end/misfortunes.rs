//! What the drill does to a server that it has started itself, and what the real gateway makes of it.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use outlast_runtime::clock::timeout;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::drill::{DRILL_TIMEOUT, LAG, RUNS};
use crate::support::{Outlast, free_port, signal};

/// A drill that starts a desktop behind a gateway, in a folder of its own.
struct Drill {
    folder: TempDir,
    listen: String,
    command: Command,
}

impl Drill {
    fn new(plan: &str, flags: &[&str], up_flags: &[&str]) -> Self {
        Self::by(&[], plan, flags, up_flags)
    }

    /// The same, started by another program, which becomes it.
    fn by(by: &[&str], plan: &str, flags: &[&str], up_flags: &[&str]) -> Self {
        let folder = Outlast::folder(&[RUNS, ("plan.toml", plan)]);
        let (listen, admin) =
            (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let url = format!("http://{listen}");
        // `--json` comes last, and may not come after the command.
        let drill = ["plan.toml", "--url", &url, "--json", "drill.json"];
        let program = env!("CARGO_BIN_EXE_outlast");
        let server = ["--", program, "up", "--no-auth", "--listen", &listen, "--admin", &admin];
        let all = [&["drill"], &drill[..], flags, &server, up_flags].concat();
        let command = Outlast::command_by(by, folder.path(), &all);
        Self { folder, listen, command }
    }

    async fn run(mut self) -> (Output, Value, TempDir) {
        let output = timeout(DRILL_TIMEOUT, self.command.output());
        let output = output.await.expect("it ends in time").unwrap();
        let report = std::fs::read(self.folder.path().join("drill.json"));
        let report = report.unwrap_or_else(|_| panic!("{output:?}"));
        let taken = TcpStream::connect(&self.listen).await;
        assert!(taken.is_err(), "nothing of the server is left");
        (output, serde_json::from_slice(&report).unwrap(), self.folder)
    }
}

fn done(report: &Value) -> Vec<&str> {
    let misfortunes = report["misfortunes"].as_array().unwrap();
    misfortunes.iter().map(|one| one["what"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_deploy_breaks_no_stream_and_lets_everybody_in_again() {
    let folder = Outlast::folder(&[]);
    let printed = Outlast::command(folder.path(), &["drill", "presets", "deploy"]).output();
    let printed = String::from_utf8(printed.await.unwrap().stdout).unwrap();
    let plan = format!("{LAG}{printed}");
    let (output, report, _) = Drill::new(&plan, &["--time-scale", "20"], &[]).run().await;
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(done(&report), ["restart", "ended", "started again"]);
    assert_eq!(report["summary"]["completed"], 120);
}

#[tokio::test]
async fn a_killed_server_cuts_streams_and_a_paused_one_does_not() {
    let plan = |what: &str| {
        format!(
            "{LAG}hold = [\"truncated == 0\"]\n[[load]]\nkind = \"chat\"\nusers = 5\nlength = \"5s\"\n\
             [[misfortune]]\nat = \"1500ms\"\n{what}\n"
        )
    };
    let (output, report, _) = Drill::new(&plan("what = \"kill\""), &[], &[]).run().await;
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert_eq!(done(&report)[0], "kill -9");
    assert_eq!(report["summary"]["truncated"], 5);
    assert_eq!(report["summary"]["false_ends"], 0, "what is cut is seen to be cut");

    let plan = plan("what = \"pause\"\nfor = \"2s\"");
    let (output, report, _) = Drill::new(&plan, &[], &[]).run().await;
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(done(&report), ["paused", "goes on"]);
    // A line comes about once a second, unless the server stands still for two.
    assert!(report["gap"]["max_us"].as_u64().unwrap() > 1_900_000, "{report:#}");
}

/// Four answers are on their way when the server is asked to end, and two people come too late.
const DRAIN: &str = r#"
hold = ["truncated == 0", "failed == 0", "stuck == 0", "completed == 4", "turned_away == 2"]
[[load]]
kind = "chat"
users = 4
length = "6s"
[[load]]
kind = "chat"
users = 2
start = "2500ms"
length = "1s"
[[misfortune]]
at = "1500ms"
what = "drain"
"#;

#[tokio::test]
async fn a_drain_lets_answers_finish_and_nobody_in_and_one_that_does_not_is_found() {
    let plan = format!("{LAG}{DRAIN}");
    let (output, report, _) = Drill::new(&plan, &[], &[]).run().await;
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(done(&report), ["drain", "ended"], "it is not started again");
    let sum = &report["summary"];
    assert_eq!((&sum["completed"], &sum["turned_away"]), (&4.into(), &2.into()), "{report:#}");
    let ended = report["misfortunes"][1]["at_ms"].as_u64().unwrap();
    assert!(ended >= 5_900, "it ended after {ended} ms, before the answers could be whole");

    // Half a second of grace is no drain for answers of six.
    let (output, report, _) = Drill::new(&plan, &[], &["--drain-grace", "500ms"]).run().await;
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    let (sum, first) = (&report["summary"], &report["thresholds"][0]);
    assert_eq!((&sum["truncated"], &sum["false_ends"]), (&4.into(), &0.into()), "{report:#}");
    assert_eq!((&first["threshold"], &first["held"]), (&"truncated == 0".into(), &false.into()));
    assert_eq!(done(&report), ["drain", "exited with exit code 1"]);
}

/// Answers that begin and end while the disk is full, so many that their lines in the log need more than the room that was left.
const FULL_DISK: &str = r#"
hold = ["refused == 0", "truncated == 0", "failed == 0", "stuck == 0", "completed == 125"]
[[load]]
kind = "chat"
users = 5
length = "7s"
[[load]]
kind = "chat"
users = 120
arrivals = { constant = "50ms" }
length = "1s"
[[misfortune]]
at = "1500ms"
what = "full_disk"
for = "3s"
"#;

#[tokio::test]
async fn on_a_full_disk_streams_go_on_and_the_server_says_what_it_lost() {
    let plan = format!("{LAG}{FULL_DISK}");
    let flags = ["--server-disk", "data", "--server-log", "server.log"];
    let drill = Drill::new(&plan, &flags, &[]);
    std::fs::create_dir(drill.folder.path().join("data")).unwrap();
    let (output, report, folder) = drill.run().await;
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(done(&report), ["disk full", "disk free again"]);
    let log = std::fs::read_to_string(folder.path().join("server.log")).unwrap();
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let events: Vec<_> = events.collect();
    let chats = events.iter().filter(|event| event["path"] == "/api/chat").count() as u64;
    let lost = events.iter().filter(|event| event["message"] == "log lines were lost");
    let lost: Vec<_> = lost.map(|event| event["lines"].as_u64().unwrap()).collect();
    assert_eq!(lost.len(), 1, "{log}");
    assert!(lost[0] > 0 && chats + lost[0] >= 125, "{chats} told, {lost:?} lost: {log}");
    let ended = events.iter().any(|event| event["message"] == "ended");
    assert!(ended, "the log goes on to the end: {log}");
    let left = std::fs::read_dir(folder.path().join("data")).unwrap().count();
    assert_eq!((left, seen_by(folder.path())), (0, vec![]), "nothing of it was on the host");
}

/// The processes that see something mounted in the folder.
fn seen_by(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let sees = |process: &std::fs::DirEntry| {
        let mounts = std::fs::read_to_string(process.path().join("mountinfo"));
        mounts.is_ok_and(|mounts| mounts.contains(folder))
    };
    let processes = std::fs::read_dir("/proc").unwrap().map(Result::unwrap);
    processes.filter(sees).map(|process| process.file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn of_a_drill_that_ends_too_early_no_disk_and_no_server_is_left() {
    for end in [Signal::KILL, Signal::INT] {
        let plan = format!("{LAG}{}", FULL_DISK.replace("3s", "1h"));
        let mut drill = Drill::new(&plan, &["--server-disk", "data"], &[]);
        std::fs::create_dir(drill.folder.path().join("data")).unwrap();
        let mut child = drill.command.stderr(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
        while let Some(line) = told.next_line().await.unwrap() {
            if line.contains(" streaming") {
                break;
            }
        }
        let (us, seen) = (std::process::id().to_string(), seen_by(drill.folder.path()));
        let it = child.id().unwrap();
        assert!(!seen.is_empty() && !seen.contains(&us) && !seen.contains(&it.to_string()));
        signal(it, end);
        let ended = timeout(DRILL_TIMEOUT, child.wait()).await.expect("it ends in time");
        assert_eq!(ended.unwrap().code(), if end == Signal::INT { Some(2) } else { None });
        let gone = async {
            while !seen_by(drill.folder.path()).is_empty()
                || TcpStream::connect(&drill.listen).await.is_ok()
            {
                // Nothing tells of the end of a namespace.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(DRILL_TIMEOUT, gone).await.expect("disk and server end with the drill");
    }
}

#[tokio::test]
async fn who_cannot_have_a_disk_is_told_so_before_any_load() {
    let plan = format!("{LAG}{FULL_DISK}");
    let no_root = &["setpriv", "--bounding-set", "-sys_admin"][..];
    for (by, flags, says) in [
        (no_root, &["--server-disk", "."][..], &["no disk can be mounted", "needs root"][..]),
        (&[], &["--server-disk", "nowhere"], &["nowhere is no folder", "--server-disk DIR"]),
        (&[], &[], &["has none of its own", "--server-disk DIR"]),
    ] {
        let mut drill = Drill::by(by, &plan, flags, &[]);
        let output = timeout(DRILL_TIMEOUT, drill.command.output()).await.unwrap().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        for part in says {
            assert!(told.contains(part), "{flags:?}: {told}");
        }
        assert!(!told.contains("streams in"), "load began: {told}");
        assert!(!drill.folder.path().join("drill.json").exists());
    }
}
