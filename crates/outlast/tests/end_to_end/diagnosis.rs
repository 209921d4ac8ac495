//! `outlast doctor --logs` as a user runs it.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::support::Outlast;

const FULL: &str = "2026-11-24T14:37:39Z proxy[3d8d9930b32d89] fra [warn]Instance 3d8d9930b32d89 reached hard limit of 4 \
                    concurrent connections.\n";
const REFUSED: &str = "2026-11-24T14:37:47Z proxy[3d8d9930b32d89] fra [error][PR04] could not find a good candidate within \
                       40 attempts at load balancing\n";
/// `(time, how long)`.
const ENDS: [(&str, &str); 3] =
    [("14:41:00", "8m12.5s"), ("14:42:10", "6m1.5s"), ("14:42:30", "7m2.5s")];

fn end((time, took): (&str, &str)) -> String {
    format!(
        "2026-11-24T{time}Z app[3d8d9930b32d89] fra [info]\"POST http://a.example/api/chat HTTP/1.1\" from \
         203.0.113.9:4000 - 200 640B in {took}\n"
    )
}

fn streams() -> String {
    [FULL, REFUSED].concat() + &ENDS.map(end).concat()
}

const QUIET: &str =
    "2026-11-24T14:37:39Z app[3d8d9930b32d89] fra [info]Server listening on http://0.0.0.0:8080\n";

async fn run(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Outlast::command(folder, args).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn causes(json: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(json).unwrap();
    let incidents = value["incidents"].as_array().unwrap().iter();
    incidents.map(|incident| incident["cause"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_report_has_the_conclusion_first_and_fits_the_width() {
    let folder = Outlast::folder(&[("fly.log", &streams())]);
    let (code, stdout, stderr) = run(folder.path(), &["doctor", "--logs", "fly.log"]).await;
    assert_eq!((code, &*stderr), (1, ""));
    let wanted = "error[working_streams]: 1 request failed: long exchanges at work held the places\n--> fly.log:1\n";
    assert!(stdout.starts_with(wanted), "{stdout}");
    for part in [
        "= sure: certain, 99 %",
        "3 of 4 places were held",
        "  14:37:39  machine 3d8d9930b32d89 was at its hard limit of 4",
        "(FLY104)",
    ] {
        assert!(stdout.contains(part), "{part}\n{stdout}");
    }
    let is_short = |line: &str| line.chars().count() <= 100;
    assert!(stdout.lines().all(is_short) && !stdout.contains('\u{1b}'), "{stdout}");
}

#[tokio::test]
async fn logs_come_packed_in_several_files_and_on_standard_input() {
    let (one, other) = (FULL.to_owned() + &ENDS.map(end).concat(), REFUSED.to_owned());
    let folder =
        Outlast::folder(&[("one.log", &one), ("other.log", &other), ("all.log", &streams())]);
    let path = |name: &str| folder.path().join(name);
    let status =
        std::process::Command::new("gzip").arg("-k").arg(path("all.log")).status().unwrap();
    assert!(status.success());
    let newest_first: String = streams().lines().rev().map(|line| format!("{line}\n")).collect();
    fs::write(path("newest.log"), newest_first).unwrap();
    for args in [
        &["--logs", "all.log"][..],
        &["--logs", "all.log.gz"],
        &["--logs", "one.log", "--logs", "other.log"],
        &["--logs", "other.log", "--logs", "one.log"],
        &["--logs", "newest.log"],
    ] {
        let args = [&["doctor", "--format", "json"], args].concat();
        let (code, stdout, stderr) = run(folder.path(), &args).await;
        assert_eq!(
            (code, causes(&stdout)),
            (1, vec!["working_streams".to_owned()]),
            "{args:?} {stderr}"
        );
    }
    let mut child = Outlast::command(folder.path(), &["doctor", "--format", "json", "--logs", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(streams().as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(causes(&String::from_utf8(output.stdout).unwrap()), ["working_streams"]);
}

#[tokio::test]
async fn the_exit_code_tells_whether_something_was_wrong() {
    let full = FULL.to_owned();
    let folder =
        Outlast::folder(&[("bad.log", &streams()), ("full.log", &full), ("quiet.log", QUIET)]);
    for (args, wanted) in [
        (&["--logs", "quiet.log"][..], 0),
        (&["--logs", "bad.log"], 1),
        (&["--logs", "bad.log", "--fail-on", "never"], 0),
        (&["--logs", "full.log"], 1),
        (&["--logs", "full.log", "--fail-on", "error"], 0),
        (&["--logs", "none.log"], 2),
        (&["--follow"], 2),
        (&["--logs", "a", "--logs", "b", "--follow"], 2),
        (&["--logs", "bad.log", "--follow", "--format", "sarif"], 2),
        (&["--logs", "bad.log", "--fix"], 2),
    ] {
        let (code, stdout, stderr) = run(folder.path(), &[&["doctor"], args].concat()).await;
        assert_eq!(code, wanted, "{args:?}\n{stdout}{stderr}");
    }
}

#[tokio::test]
async fn what_is_no_log_is_refused_with_its_reason() {
    let folder = Outlast::folder(&[("empty.log", ""), ("prose.log", "Dear Fly,\nplease help.\n")]);
    fs::write(folder.path().join("binary.log"), [0x7f, b'E', b'L', b'F', 0, 0, 1, 2]).unwrap();
    fs::write(folder.path().join("broken.gz"), [0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
        .unwrap();
    fs::create_dir(folder.path().join("dir")).unwrap();
    for (name, reason) in [
        ("empty.log", "it is empty"),
        ("prose.log", "nothing here that I can read as a log"),
        ("binary.log", "it is binary"),
        ("broken.gz", "cannot be unpacked"),
        ("dir", "it is a folder"),
    ] {
        let (code, stdout, stderr) = run(folder.path(), &["doctor", "--logs", name]).await;
        assert_eq!((code, &*stdout), (2, ""), "{name}: {stderr}");
        assert!(stderr.contains(reason) && !stderr.contains("panicked"), "{name}: {stderr}");
    }
}

#[tokio::test]
async fn a_fly_toml_beside_is_evidence_and_may_be_missing_or_broken() {
    let fly = "app = \"a\"\n[http_service]\ninternal_port = 3000\n[http_service.concurrency]\ntype = \"connections\"\nhard_limit = 4\n";
    let folder =
        Outlast::folder(&[("fly.log", &streams()), ("fly.toml", fly), ("broken.toml", "a = [")]);
    let (_, stdout, _) = run(folder.path(), &["doctor", "--logs", "fly.log"]).await;
    assert!(stdout.contains("fly.toml sets 4 connections per machine (fly.toml:6:14)"), "{stdout}");
    let (code, stdout, _) =
        run(folder.path(), &["doctor", "broken.toml", "--logs", "fly.log"]).await;
    assert!(code == 1 && !stdout.contains("evidence\n"), "{stdout}");
}

struct Watched {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watched {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let args = [&["doctor", "--follow", "--format", "json"], args].concat();
        let mut child = Outlast::command(folder, &args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next piece of news, and the cause that it names.
    async fn news(&mut self) -> (String, String) {
        let line = self.lines.next_line().await.unwrap().expect("it goes on");
        let value: Value = serde_json::from_str(&line).unwrap();
        let cause = value["incident"]["cause"].as_str().unwrap_or_default();
        (value["news"].as_str().unwrap().to_owned(), cause.to_owned())
    }

    async fn told(&mut self, news: &str, cause: &str) {
        assert_eq!(self.news().await, (news.to_owned(), cause.to_owned()));
    }

    async fn ended(mut self, signal: Option<Signal>) -> i32 {
        if let Some(signal) = signal {
            let pid = Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap();
            kill_process(pid, signal).unwrap();
        }
        assert_eq!(self.news().await.0, "summary");
        self.child.wait().await.unwrap().code().unwrap()
    }
}

#[tokio::test]
async fn a_file_is_followed_as_it_grows_is_rotated_and_is_cut() {
    let folder = Outlast::folder(&[("fly.log", QUIET)]);
    let path = folder.path().join("fly.log");
    let append = |text: &str| {
        fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    };
    let mut watched = Watched::start(folder.path(), &["--logs", "fly.log"]);
    append(FULL);
    watched.told("began", "not_enough_evidence").await;
    append(REFUSED);
    watched.told("changed", "not_enough_evidence").await;
    fs::rename(&path, folder.path().join("fly.log.1")).unwrap();
    fs::write(&path, ENDS.map(end).concat()).unwrap();
    watched.told("changed", "working_streams").await;
    // Shorter than before: it was cut, and begins again an hour later.
    fs::write(&path, REFUSED.replace("T14:", "T15:")).unwrap();
    watched.told("ended", "working_streams").await;
    watched.told("began", "not_enough_evidence").await;
    assert_eq!(watched.ended(Some(Signal::TERM)).await, 1);
}

#[tokio::test]
async fn standard_input_is_followed_to_its_end_and_time_is_over_some_day() {
    let folder = Outlast::folder(&[("fly.log", QUIET)]);
    let mut watched = Watched::start(folder.path(), &["--logs", "-"]);
    let mut stdin = watched.child.stdin.take().unwrap();
    stdin.write_all([FULL, REFUSED].concat().as_bytes()).await.unwrap();
    watched.told("began", "not_enough_evidence").await;
    drop(stdin);
    assert_eq!(watched.ended(None).await, 1);

    let watched = Watched::start(folder.path(), &["--logs", "fly.log", "--for", "100ms"]);
    assert_eq!(watched.ended(None).await, 0, "nothing was wrong");
    fs::write(folder.path().join("bad.log"), REFUSED).unwrap();
    let mut watched = Watched::start(folder.path(), &["--logs", "bad.log", "--fail-on", "never"]);
    watched.told("began", "not_enough_evidence").await;
    assert_eq!(watched.ended(Some(Signal::INT)).await, 0);
}

/// The lines that the project grew from, as they were quoted.
const QUOTED: &str = "\
14:37:39 [error] Instance reached hard limit of 25 concurrent connections
14:37:39 [PR04] could not find a good candidate within 75ms
14:37:47 [error] Instance reached hard limit of 25 concurrent connections
14:37:47 [PR04] could not find a good candidate within 75ms
14:40:46 [error] Instance reached hard limit of 25 concurrent connections
14:40:46 [PR04] could not find a good candidate within 75ms
";

const COLD: &str = "\
2026-05-11T09:58:42Z proxy[3d8d9930b32d89] sin [info]Starting machine
2026-05-11T09:58:44Z runner[3d8d9930b32d89] sin [info]Machine started in 1.397s
2026-05-11T09:58:49Z proxy[3d8d9930b32d89] sin [info]waiting for machine to be reachable on 0.0.0.0:8080 (waited 5.133424476s so far)
2026-05-11T09:58:52Z proxy[3d8d9930b32d89] sin [error][PM05] failed to connect to machine: gave up after 15 attempts (in 8.143978001s)
2026-05-11T09:58:52Z proxy[3d8d9930b32d89] sin [error][PR03] could not find a good candidate within 1 attempts at load balancing. last error: [PM05] failed to connect to machine: gave up after 15 attempts (in 8.143978001s)
2026-05-11T09:58:55Z app[3d8d9930b32d89] sin [info]AbortError: The operation was aborted
2026-05-11T09:58:56Z proxy[3d8d9930b32d89] sin [info]machine became reachable in 12.2s
";

/// `UPDATE_GOLDEN=1` writes the reports anew; read the difference before you keep it.
#[tokio::test]
async fn reports_look_as_they_did() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/diagnosis");
    let streams = streams();
    for (name, log) in [("quoted", QUOTED), ("cold-start", COLD), ("streams", &streams)] {
        let folder = Outlast::folder(&[("fly.log", log)]);
        let (_, stdout, _) = run(folder.path(), &["doctor", "--logs", "fly.log"]).await;
        let path = golden.join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &stdout).unwrap();
        }
        assert_eq!(stdout, fs::read_to_string(&path).unwrap(), "{name}");
    }
}
