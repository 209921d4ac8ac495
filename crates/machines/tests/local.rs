//! The life of local machines, with real processes.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic as tests do")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use outlast_machines::{
    Change, Exit, GuardProgram, LocalSpec, LogLine, MachineEvent, MachineId, MachineSpec,
    MachineState, Next, Provider, Readiness, StopPolicy, StopSignal, Supervisor,
};
use outlast_runtime::Tasks;
use outlast_runtime::backoff::Backoff;
use outlast_runtime::clock::timeout;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tokio::sync::mpsc;

const PROGRAM: &str = env!("CARGO_BIN_EXE_machine-for-tests");
const LONG: Duration = Duration::from_secs(20);
const INTERNAL: u16 = 8081;

fn spec(words: &[&str]) -> LocalSpec {
    LocalSpec {
        id: MachineId::random(),
        app: "ferry".to_owned(),
        group: "web".to_owned(),
        region: "sjc".to_owned(),
        command: words.iter().map(ToString::to_string).collect(),
        env: [("PORT", INTERNAL.to_string()), ("OTHER", "8082".to_owned())]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        ports: BTreeMap::from([(INTERNAL, Readiness::Awaited)]),
        checks: Vec::new(),
        stop: StopPolicy { signal: StopSignal::Int, timeout: Duration::from_secs(5) },
        restart: Backoff::try_new(Duration::from_millis(1), Duration::from_millis(20), 0.5)
            .unwrap(),
        cwd: None,
        guard: GuardProgram::at(PathBuf::from(PROGRAM)),
    }
}

fn shell(script: &str) -> LocalSpec {
    let ports = BTreeMap::new();
    LocalSpec { ports, ..spec(&["sh", "-c", script, PROGRAM]) }
}

struct Rig {
    supervisor: Supervisor,
    events: mpsc::Receiver<MachineEvent>,
    lines: mpsc::Receiver<LogLine>,
}

fn start(specs: Vec<LocalSpec>) -> Rig {
    let (tx, lines) = mpsc::channel(10_000);
    let specs = specs.into_iter().map(MachineSpec::Local).collect();
    let (supervisor, events) = Supervisor::start(specs, &tx, &Tasks::default());
    Rig { supervisor, events, lines }
}

impl Rig {
    async fn change(&mut self) -> Change {
        let event = timeout(LONG, self.events.recv()).await.expect("something happens");
        event.expect("there is a machine").change
    }

    async fn ready(&mut self) -> SocketAddr {
        loop {
            match self.change().await {
                Change::Ready { addrs } => return addrs[&INTERNAL],
                Change::Starting => {}
                other => panic!("{other:?} instead of ready"),
            }
        }
    }

    /// Waits for a line of supervisor or proxy that contains `text`.
    async fn line(&mut self, text: &str) -> LogLine {
        self.find(text, |line| line.provider != Provider::App && line.message.contains(text)).await
    }

    /// Waits for a line that the machine wrote.
    async fn said(&mut self, text: &str) -> LogLine {
        self.find(text, |line| line.provider == Provider::App && line.message == text).await
    }

    async fn find(&mut self, text: &str, wanted: impl Fn(&LogLine) -> bool) -> LogLine {
        loop {
            let line = timeout(LONG, self.lines.recv()).await;
            let line = line.unwrap_or_else(|_| panic!("no line with {text:?}")).unwrap();
            if wanted(&line) {
                return line;
            }
        }
    }

    async fn stop(self) {
        timeout(LONG, self.supervisor.stop()).await.expect("machines stop");
        let states = self.supervisor.snapshot().into_iter().map(|machine| machine.state);
        assert!(states.into_iter().all(|state| state == MachineState::Stopped));
    }
}

fn environment(addr: SocketAddr) -> BTreeMap<String, String> {
    let mut text = String::new();
    TcpStream::connect(addr).unwrap().read_to_string(&mut text).unwrap();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn hold(pid: u32) -> OwnedFd {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    pidfd_open(pid, PidfdFlags::empty()).expect("the process lives")
}

async fn dead(process: OwnedFd) {
    let waiting = tokio::task::spawn_blocking(move || {
        let limit = Timespec { tv_sec: 20, tv_nsec: 0 };
        poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit)).unwrap()
    });
    assert_eq!(waiting.await.unwrap(), 1, "the process still lives");
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn machines_on_one_internal_port_are_reached_each_at_its_own() {
    let specs = vec![spec(&[PROGRAM, "listen"]), spec(&[PROGRAM, "listen"])];
    let ids: Vec<_> = specs.iter().map(|spec| spec.id.to_string()).collect();
    let mut rig = start(specs);
    let addrs = [rig.ready().await, rig.ready().await];
    assert_ne!(addrs[0], addrs[1]);
    for addr in addrs {
        let env = environment(addr);
        assert_eq!(env["PORT"], addr.port().to_string());
        assert_eq!(env["OTHER"], "8082", "it is no internal port");
        assert!(ids.contains(&env["FLY_MACHINE_ID"]));
        for (name, value) in [
            ("FLY_APP_NAME", "ferry"),
            ("FLY_REGION", "sjc"),
            ("PRIMARY_REGION", "sjc"),
            ("FLY_PROCESS_GROUP", "web"),
        ] {
            assert_eq!(env[name], value, "{name}");
        }
    }
    let snapshot = rig.supervisor.snapshot();
    assert!(snapshot.iter().all(|machine| machine.state == MachineState::Ready));
    rig.stop().await;
    assert!(TcpStream::connect(addrs[0]).is_err());
}

#[tokio::test]
async fn output_is_told_as_fly_logs_prints_it() {
    let mut rig = start(vec![shell("echo out; echo err >&2; printf 'no end'; sleep 1000")]);
    let line = rig.said("out").await;
    let text = line.to_string();
    let (time, rest) = text.split_once(' ').unwrap();
    assert!(time.ends_with('Z') && time.len() == 20, "{time}");
    assert_eq!(rest, format!("app[{}] sjc [info]out", line.machine));
    rig.said("err").await;
    rig.stop().await;
}

#[tokio::test]
async fn a_machine_that_ends_is_started_again_and_told() {
    let mut rig = start(vec![spec(&[PROGRAM, "listen"])]);
    let first = rig.ready().await;
    for restarts in 1..=3 {
        kill(rig.supervisor.snapshot()[0].pid.unwrap());
        let Change::Exited(report) = rig.change().await else { panic!("not told") };
        assert_eq!(report.exit, Exit::Signal(9));
        assert!(matches!(report.next, Next::Restart { .. }));
        rig.ready().await;
        assert_eq!(rig.supervisor.snapshot()[0].restarts, restarts);
    }
    rig.line("machine was killed by signal 9, after ").await;
    assert_ne!(first.port(), 0);
    rig.stop().await;
}

#[tokio::test]
async fn a_machine_that_keeps_ending_is_started_ever_more_seldom() {
    let mut rig = start(vec![shell("exit 7")]);
    let mut delays = Vec::new();
    while delays.len() < 8 {
        match rig.change().await {
            Change::Exited(report) => {
                assert_eq!(report.exit, Exit::Code(7));
                let Next::Restart { after } = report.next else { panic!("not asked to stop") };
                delays.push(after);
            }
            // Without a port to wait for it is ready as soon as it runs.
            Change::Starting | Change::Ready { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(delays[0], Duration::from_millis(1));
    assert!(delays[7] >= Duration::from_millis(10), "{delays:?}");
    rig.line("machine exited with exit code: 7").await;
    rig.stop().await;
}

#[tokio::test]
async fn a_command_that_does_not_start_is_named_and_tried_again() {
    let mut rig = start(vec![spec(&["no-such-program", "--flag"])]);
    for _ in 0..2 {
        assert_eq!(rig.change().await, Change::Starting);
        let Change::StartFailed(why) = rig.change().await else { panic!("it started") };
        assert!(why.contains("`no-such-program --flag`") && why.contains("PATH"), "{why}");
    }
    rig.line("next try in").await;
    rig.stop().await;
}

#[tokio::test]
async fn a_port_that_must_be_kept_and_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let spec =
        LocalSpec { ports: [(port, Readiness::Awaited)].into(), ..spec(&[PROGRAM, "listen"]) };
    let mut rig = start(vec![spec]);
    assert_eq!(rig.change().await, Change::Starting);
    let Change::StartFailed(why) = rig.change().await else { panic!("it started") };
    assert!(why.contains(&format!("port {port}")) && why.contains("[env]"), "{why}");
    drop(taken);
    rig.stop().await;
}

#[tokio::test]
async fn a_stubborn_machine_is_killed_with_all_its_tree_when_its_time_is_over() {
    let daemon =
        "(setsid sh -c 'trap \"\" HUP INT TERM; echo daemon $$; while :; do sleep 1000; done' &)";
    let script = format!("{daemon}; trap '' INT; echo main $$; while :; do sleep 1000; done");
    let stop = StopPolicy { signal: StopSignal::Int, timeout: Duration::from_millis(300) };
    let mut rig = start(vec![LocalSpec { stop, ..shell(&script) }]);
    let mut processes = Vec::new();
    while processes.len() < 2 {
        let line = rig.lines.recv().await.unwrap().message;
        if let Some(pid) = line.strip_prefix("daemon ").or(line.strip_prefix("main ")) {
            processes.push(hold(pid.parse().unwrap()));
        }
    }
    rig.stop().await;
    for process in processes {
        dead(process).await;
    }
}

#[tokio::test]
async fn a_polite_machine_ends_in_its_own_way() {
    let script = "trap 'echo goodbye; exit 0' INT; echo hello; while :; do sleep 1000 & wait; done";
    let mut rig = start(vec![shell(script)]);
    rig.said("hello").await;
    timeout(LONG, rig.supervisor.stop()).await.unwrap();
    // Its last words and the news of its end come on two ways, of which neither waits for the other.
    let mut lines = Vec::new();
    while let Some(line) = rig.lines.recv().await {
        lines.push(line.message);
    }
    let has = |text: &str| lines.iter().any(|line| line.starts_with(text));
    assert!(has("Sending signal SIGINT to main child process w/ PID"), "{lines:?}");
    assert!(has("goodbye") && has("machine exited with exit code: 0"), "{lines:?}");
}

/// A machine that had written a line could be asked to stop before its guard had told its pid: then the log never said
/// that a signal was sent.
#[tokio::test]
async fn a_machine_that_is_stopped_before_its_pid_is_known_is_told_in_the_log_all_the_same() {
    let mut rig = start(vec![shell("exec sleep 1000")]);
    timeout(LONG, rig.supervisor.stop()).await.unwrap();
    rig.line("Machine started").await;
    rig.line("Sending signal SIGINT to main child process w/ PID").await;
    rig.line("machine was killed by signal 2").await;
}

#[tokio::test]
async fn who_does_not_want_to_wait_for_a_stop_kills() {
    let script = "trap '' INT; echo deaf; while :; do sleep 1; done";
    let stop = StopPolicy { signal: StopSignal::Int, timeout: Duration::from_secs(3600) };
    let mut rig = start(vec![LocalSpec { stop, ..shell(script) }]);
    rig.said("deaf").await;
    {
        let mut stopped = std::pin::pin!(rig.supervisor.stop());
        let first = std::future::poll_fn(|cx| std::task::Poll::Ready(stopped.as_mut().poll(cx)));
        assert!(first.await.is_pending());
    }
    rig.line("Sending signal SIGINT").await;
    rig.supervisor.kill();
    rig.line("Sending signal SIGKILL").await;
    rig.line("killed by signal 9").await;
    rig.stop().await;
}

#[tokio::test]
async fn machines_stop_whatever_they_are_doing() {
    let seldom = Backoff::try_new(Duration::from_secs(100), Duration::from_secs(100), 0.0).unwrap();
    let never_ready = spec(&["sleep", "1000"]);
    let backing_off = LocalSpec { restart: seldom, ..shell("exit 1") };
    let mut rig = start(vec![never_ready, backing_off]);
    rig.line("restart in 1m40s").await;
    let states: Vec<_> = rig.supervisor.snapshot().iter().map(|machine| machine.state).collect();
    assert_eq!(states, [MachineState::Starting, MachineState::BackingOff]);
    rig.stop().await;
}

#[tokio::test]
async fn dropping_the_supervisor_ends_its_machines() {
    let mut rig = start(vec![spec(&[PROGRAM, "listen"])]);
    rig.ready().await;
    let process = hold(rig.supervisor.snapshot()[0].pid.unwrap());
    drop(rig.supervisor);
    dead(process).await;
}

#[tokio::test]
async fn an_owner_that_is_killed_leaves_nothing_running() {
    let mut owner = Command::new(PROGRAM).arg("own").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let wait = tokio::task::spawn_blocking(move || {
        let mut seen = Vec::new();
        while !seen.iter().any(|line: &String| line.contains("became reachable"))
            || !seen.iter().any(|line: &String| line.contains("[info]daemon "))
        {
            seen.push(lines.next().expect("it goes on").unwrap());
        }
        seen
    });
    timeout(LONG, wait).await.expect("the machine becomes ready").unwrap();
    let tree = outlast_runtime::guard::descendants(owner.id());
    let processes: Vec<_> = tree.iter().map(|member| hold(member.pid)).collect();
    assert!(processes.len() >= 4, "guard, machine, daemon and its sleep: {tree:?}");
    owner.kill().unwrap();
    owner.wait().unwrap();
    for process in processes {
        dead(process).await;
    }
}
