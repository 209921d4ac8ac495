//! What a guard promises, with real process trees.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic as tests do")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use outlast_runtime::clock::{self, timeout};
use outlast_runtime::guard::{
    Exit, GuardProgram, Guarded, GuardedCommand, Notice, Output, StopPolicy, StopSignal,
    descendants,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::ChildStdout;

const GUARD: &str = env!("CARGO_BIN_EXE_guard-for-runtime-tests");

/// No test takes longer than this, or it has failed.
const LONG: Duration = Duration::from_secs(20);

/// A process of the tree that outlives everything but `SIGKILL`: forked twice, in its own session. It says its pid.
const DAEMON: &str =
    r#"(setsid sh -c 'trap "" HUP INT TERM; echo $$; while :; do sleep 1000; done' &)"#;

fn stop_in(signal: StopSignal, millis: u64) -> StopPolicy {
    StopPolicy { signal, timeout: Duration::from_millis(millis) }
}

fn command(words: &[&str], stop: StopPolicy) -> GuardedCommand {
    GuardedCommand {
        guard: GuardProgram::at(PathBuf::from(GUARD)),
        command: words.iter().map(OsString::from).collect(),
        env: BTreeMap::new(),
        cwd: None,
        stop,
    }
}

fn shell(script: &str, stop: StopPolicy) -> (Guarded, Lines<BufReader<ChildStdout>>) {
    let (guarded, output) = Guarded::start(command(&["sh", "-c", script], stop)).unwrap();
    (guarded, BufReader::new(output.stdout).lines())
}

async fn next(guarded: &mut Guarded) -> Notice {
    timeout(LONG, guarded.next()).await.expect("something happens")
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = timeout(LONG, lines.next_line()).await.expect("a line comes").unwrap();
    line.expect("the output goes on")
}

async fn ended(guarded: &mut Guarded) -> Exit {
    loop {
        match next(guarded).await {
            Notice::Started { .. } => {}
            Notice::Ended(exit) => return exit,
            other => panic!("{other:?} before the end"),
        }
    }
}

async fn gone(guarded: &mut Guarded) {
    assert!(matches!(next(guarded).await, Notice::Gone));
    assert!(matches!(next(guarded).await, Notice::Gone), "it stays gone");
}

fn pid(text: &str) -> Pid {
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}

/// A hold on a process by which its end can be waited for.
fn hold(pid: Pid) -> OwnedFd {
    pidfd_open(pid, PidfdFlags::empty()).expect("the process lives")
}

async fn dead(process: OwnedFd) {
    let waiting = tokio::task::spawn_blocking(move || {
        let limit = rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 };
        retry_on_intr(|| poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit))).unwrap()
    });
    assert_eq!(waiting.await.unwrap(), 1, "the process still lives");
}

#[tokio::test]
async fn exits_are_told_as_they_were() {
    let policy = stop_in(StopSignal::Int, 5_000);
    for (script, exit) in [
        ("exit 0", Exit::Code(0)),
        ("exit 3", Exit::Code(3)),
        ("kill -KILL $$", Exit::Signal(9)),
        ("kill -TERM $$", Exit::Signal(15)),
    ] {
        let (mut guarded, _lines) = shell(script, policy);
        assert!(matches!(next(&mut guarded).await, Notice::Started { .. }));
        assert_eq!(ended(&mut guarded).await, exit, "{script}");
        gone(&mut guarded).await;
    }
}

#[tokio::test]
async fn the_guard_exits_as_a_shell_would() {
    for (script, code) in [("exit 3", 3), ("kill -KILL $$", 137)] {
        let mut guard = std::process::Command::new(GUARD);
        guard.args(["guard", "SIGINT", "5000", "--", "sh", "-c", script]);
        let (owner, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut guard = guard.stdin(OwnedFd::from(theirs)).spawn().unwrap();
        dead(hold(pid(&guard.id().to_string()))).await;
        let status = guard.wait().unwrap();
        drop(owner);
        assert_eq!(status.code(), Some(code), "{script}");
    }
}

#[tokio::test]
async fn a_command_that_does_not_start_is_named_with_the_reason() {
    let policy = stop_in(StopSignal::Int, 5_000);
    for (words, message) in [
        (
            &["no-such-program-anywhere", "--port", "1"][..],
            "cannot start `no-such-program-anywhere --port 1`: there is no such program; is it installed and on PATH?",
        ),
        (
            &["/etc/passwd"],
            "cannot start `/etc/passwd`: it may not be executed; does the file have its executable bit?",
        ),
    ] {
        let (mut guarded, _output) = Guarded::start(command(words, policy)).unwrap();
        let Notice::Failed(error) = next(&mut guarded).await else { panic!("it started") };
        assert_eq!(error.to_string(), message);
        gone(&mut guarded).await;
    }
    assert!(Guarded::start(command(&[], policy)).is_err());
    let mut nowhere = command(&["true"], policy);
    nowhere.cwd = Some(PathBuf::from("/no/such/directory"));
    let error = Guarded::start(nowhere).unwrap_err().to_string();
    assert_eq!(error, "the working directory /no/such/directory is not a directory");
}

#[tokio::test]
async fn the_command_gets_environment_and_directory_but_no_input() {
    let directory = tempfile::tempdir().unwrap();
    let script = "echo $WORD; pwd; cat; echo end of input; sleep 0 & wait; ps -o comm= -p $PPID";
    let mut spec = command(&["sh", "-c", script], stop_in(StopSignal::Int, 5_000));
    spec.env = BTreeMap::from([("WORD".into(), "hello".into())]);
    spec.cwd = Some(directory.path().to_owned());
    let (mut guarded, Output { mut stdout, .. }) = Guarded::start(spec).unwrap();
    let mut text = String::new();
    timeout(LONG, stdout.read_to_string(&mut text)).await.unwrap().unwrap();
    let directory = directory.path().canonicalize().unwrap();
    assert_eq!(text, format!("hello\n{}\nend of input\noutlast-guard\n", directory.display()));
    assert_eq!(ended(&mut guarded).await, Exit::Code(0));
    gone(&mut guarded).await;
}

#[tokio::test]
async fn a_polite_stop_lets_the_command_finish() {
    let script = "trap 'echo bye; exit 7' INT; echo ready; while :; do sleep 1000 & wait; done";
    let (mut guarded, mut lines) = shell(script, stop_in(StopSignal::Term, 1));
    assert_eq!(line(&mut lines).await, "ready");
    let since = clock::now();
    guarded.stop(stop_in(StopSignal::Int, 60_000)).await;
    assert_eq!(ended(&mut guarded).await, Exit::Code(7));
    assert_eq!(line(&mut lines).await, "bye");
    // Its `sleep` had the signal too, as a member of the group; nothing holds the guard.
    gone(&mut guarded).await;
    assert!(since.elapsed() < LONG);
}

#[tokio::test]
async fn a_stubborn_command_is_killed_with_all_its_tree_when_the_time_is_over() {
    let script = format!("trap '' INT; {DAEMON}; echo $$; while :; do sleep 1000; done");
    let (mut guarded, mut lines) = shell(&script, stop_in(StopSignal::Int, 60_000));
    let processes = [line(&mut lines).await, line(&mut lines).await].map(|text| hold(pid(&text)));
    let since = clock::now();
    guarded.stop(stop_in(StopSignal::Int, 300)).await;
    assert_eq!(ended(&mut guarded).await, Exit::Signal(9));
    assert!(since.elapsed() >= Duration::from_millis(300), "it had its time");
    gone(&mut guarded).await;
    for process in processes {
        dead(process).await;
    }
}

#[tokio::test]
async fn a_second_order_with_less_time_counts() {
    let (mut guarded, mut lines) =
        shell("trap '' INT; echo ready; while :; do sleep 1000; done", stop_in(StopSignal::Int, 1));
    assert_eq!(line(&mut lines).await, "ready");
    guarded.stop(stop_in(StopSignal::Int, 60_000)).await;
    guarded.stop(stop_in(StopSignal::Int, 100)).await;
    assert_eq!(ended(&mut guarded).await, Exit::Signal(9));
    gone(&mut guarded).await;
}

#[tokio::test]
async fn what_outlives_the_main_process_is_asked_once_and_then_killed() {
    // One daemon that is polite, and says so once for each signal, and one that isn't. (A shell's background jobs
    // are born deaf to INT.)
    let polite = r#"(setsid sh -c 'trap "echo asked; sleep 0.2; exit" TERM; echo ready; while :; do sleep 1000 & wait; done' &)"#;
    let script = format!("{DAEMON}; {polite}; exec sleep 1000");
    let (mut guarded, mut lines) = shell(&script, stop_in(StopSignal::Term, 400));
    let Notice::Started { pid: main } = next(&mut guarded).await else { panic!("not started") };
    let mut said = vec![line(&mut lines).await, line(&mut lines).await];
    said.sort();
    assert_eq!(said.pop().unwrap(), "ready");
    let daemon = hold(pid(&said[0]));
    kill_process(pid(&main.to_string()), Signal::KILL).unwrap();
    assert_eq!(ended(&mut guarded).await, Exit::Signal(9));
    gone(&mut guarded).await;
    dead(daemon).await;
    assert_eq!(line(&mut lines).await, "asked");
    assert_eq!(lines.next_line().await.unwrap(), None, "only once");
}

#[tokio::test]
async fn nothing_outruns_the_killing_by_forking() {
    // Each process forks the next and ends: at any look there is one, and soon it is another one.
    let script =
        r#"echo ready; trap '' INT; f() { (sleep 0.001; f) & }; f; f; f; f; exec sleep 1000"#;
    let (mut guarded, mut lines) = shell(script, stop_in(StopSignal::Int, 1));
    assert_eq!(line(&mut lines).await, "ready");
    let guard = guarded.guard_pid().unwrap();
    assert!(!descendants(guard).is_empty());
    guarded.stop(stop_in(StopSignal::Kill, 0)).await;
    assert_eq!(ended(&mut guarded).await, Exit::Signal(9));
    gone(&mut guarded).await;
    assert_eq!(descendants(guard), []);
    // Nobody holds the output open: nobody is left.
    assert_eq!(timeout(LONG, lines.next_line()).await.unwrap().unwrap(), None);
}

#[tokio::test]
async fn the_tree_ends_when_its_owner_does() {
    let script = format!(
        "{DAEMON}; trap 'echo bye; exit' TERM; echo ready; while :; do sleep 1000 & wait; done"
    );
    let (guarded, mut lines) = shell(&script, stop_in(StopSignal::Term, 300));
    let mut said = vec![line(&mut lines).await, line(&mut lines).await];
    said.sort();
    assert_eq!(said.pop().unwrap(), "ready");
    let daemon = hold(pid(&said[0]));
    let guard = hold(pid(&guarded.guard_pid().unwrap().to_string()));
    drop(guarded);
    assert_eq!(line(&mut lines).await, "bye");
    dead(daemon).await;
    dead(guard).await;
}

#[tokio::test]
async fn a_guard_is_deaf_to_what_ends_jobs_and_sessions() {
    let (mut guarded, mut lines) =
        shell("read _; echo $$; exec sleep 1000", stop_in(StopSignal::Int, 300));
    let main = hold(pid(&line(&mut lines).await));
    let guard = pid(&guarded.guard_pid().unwrap().to_string());
    for signal in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM] {
        kill_process(guard, signal).unwrap();
    }
    guarded.stop(stop_in(StopSignal::Int, 60_000)).await;
    // The command itself did not inherit the deafness.
    assert_eq!(ended(&mut guarded).await, Exit::Signal(2));
    gone(&mut guarded).await;
    dead(main).await;
}

#[tokio::test]
async fn a_guard_that_is_killed_leaves_nothing_either() {
    let script = format!("{DAEMON}; echo $$; while :; do sleep 1000; done");
    let (mut guarded, mut lines) = shell(&script, stop_in(StopSignal::Int, 60_000));
    assert!(matches!(next(&mut guarded).await, Notice::Started { .. }));
    let processes = [line(&mut lines).await, line(&mut lines).await].map(|text| hold(pid(&text)));
    kill_process(pid(&guarded.guard_pid().unwrap().to_string()), Signal::KILL).unwrap();
    assert_eq!(ended(&mut guarded).await, Exit::Unknown);
    for process in processes {
        dead(process).await;
    }
    gone(&mut guarded).await;
}
