//! `outlast` as a process.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outlast_runtime::Tasks;
use outlast_runtime::clock::timeout;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use super::{get, request};

/// No step of a test takes so long unless something is wrong.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// A port that nobody uses at this moment.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Lines of a process, as they come.
#[derive(Default)]
struct Lines {
    seen: Mutex<Vec<String>>,
    more: Notify,
}

/// A running `outlast`, in a folder of its own with data of its own.
pub(crate) struct Outlast {
    pub(crate) folder: TempDir,
    pub(crate) gateway: SocketAddr,
    pub(crate) admin: SocketAddr,
    child: Child,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
    readers: Tasks,
}

impl Outlast {
    /// A folder with these files, and the program's path and environment.
    pub(crate) fn command(folder: &Path, args: &[&str]) -> Command {
        Self::command_by(&[], folder, args)
    }

    /// The same, started by another program such as `prlimit`, which becomes it.
    pub(crate) fn command_by(by: &[&str], folder: &Path, args: &[&str]) -> Command {
        let words = [by, &[env!("CARGO_BIN_EXE_outlast")]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OUTLAST_")) {
            command.env_remove(name);
        }
        command.args(args).current_dir(folder).env("OUTLAST_DATA", folder.join("data"));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    /// Starts `outlast up` with these files and flags, and waits until a machine takes traffic.
    pub(crate) async fn up(files: &[(&str, &str)], args: &[&str]) -> Self {
        let mut outlast = Self::starting(files, args).await;
        outlast.ready().await;
        outlast
    }

    /// Starts `outlast up` and waits until it listens.
    pub(crate) async fn starting(files: &[(&str, &str)], args: &[&str]) -> Self {
        Self::starting_by(&[], &[], files, args).await
    }

    /// The same, by another program and with variables of the environment.
    pub(crate) async fn starting_by(
        by: &[&str],
        env: &[(&str, &str)],
        files: &[(&str, &str)],
        args: &[&str],
    ) -> Self {
        let listen = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        Self::listening_by(by, env, files, &[&listen, args].concat()).await
    }

    /// The same, where the flags say.
    pub(crate) async fn listening_by(
        by: &[&str],
        env: &[(&str, &str)],
        files: &[(&str, &str)],
        args: &[&str],
    ) -> Self {
        let folder = Self::folder(files);
        let all = [&["up", "--log-format", "json"], args].concat();
        let mut command = Self::command_by(by, folder.path(), &all);
        command.envs(env.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let readers = Tasks::default();
        let stdout = collect(child.stdout.take().unwrap(), &readers);
        let stderr = collect(child.stderr.take().unwrap(), &readers);
        let nowhere = "127.0.0.1:0".parse().unwrap();
        let mut outlast =
            Self { folder, gateway: nowhere, admin: nowhere, child, stdout, stderr, readers };
        let line = outlast.logged("the gateway listens").await;
        let listen = line["listen"].as_str().unwrap().trim_matches(['[', ']']);
        outlast.gateway = listen.split(", ").next().unwrap().parse().unwrap();
        outlast.admin = line["admin"].as_str().unwrap().parse().unwrap();
        outlast
    }

    /// Starts `outlast serve` alone with these files and flags, and waits until it listens.
    pub(crate) async fn serve(files: &[(&str, &str)], args: &[&str]) -> Self {
        Self::serve_in(Self::folder(files), args).await
    }

    /// The same in a folder that is there, with what an earlier one has left in it.
    pub(crate) async fn serve_in(folder: TempDir, args: &[&str]) -> Self {
        let all = [&["serve", "--port", "0", "--log-format", "json"], args].concat();
        let mut command = Self::command(folder.path(), &all);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let readers = Tasks::default();
        let stdout = collect(child.stdout.take().unwrap(), &readers);
        let stderr = collect(child.stderr.take().unwrap(), &readers);
        let nowhere = "127.0.0.1:0".parse().unwrap();
        let mut outlast =
            Self { folder, gateway: nowhere, admin: nowhere, child, stdout, stderr, readers };
        let line = outlast.logged("the desktop listens").await;
        outlast.gateway = line["address"].as_str().unwrap().parse().unwrap();
        outlast
    }

    /// The bearer token, as a program sends it.
    pub(crate) fn token(&self) -> String {
        let path = self.folder.path().join("data/access/token");
        format!("Bearer {}", std::fs::read_to_string(path).unwrap().trim())
    }

    /// Starts `outlast up` with outputs that cannot be read here, and waits until a machine takes traffic.
    pub(crate) async fn unheard(
        by: &[&str],
        args: &[&str],
        stdout: impl Into<Stdio>,
        stderr: impl Into<Stdio>,
    ) -> Self {
        let folder = Self::folder(&[]);
        let [gateway, admin] =
            [free_port(), free_port()].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let (listen, to_admin) = (gateway.to_string(), admin.to_string());
        let all = [&["up", "--listen", &listen, "--admin", &to_admin], args].concat();
        let mut command = Self::command_by(by, folder.path(), &all);
        let child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let readers = Tasks::default();
        let outlast = Self { folder, gateway, admin, child, stdout, stderr, readers };
        let ready = async {
            loop {
                let answer = request(admin, "GET", "/readyz", &[], "").await;
                if answer.is_ok_and(|answer| answer.status == 200) {
                    return;
                }
                // Its words cannot be heard, and there is no other event.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(STEP_TIMEOUT, ready).await.expect("it serves in time");
        outlast
    }

    /// Waits until a machine takes traffic.
    pub(crate) async fn ready(&mut self) {
        self.stdout_line("Pool and metrics").await;
    }

    /// Waits for a line on standard output that contains `text`.
    pub(crate) async fn stdout_line(&self, text: &str) -> String {
        find(&self.stdout, text, |line| line.contains(text).then(|| line.to_owned())).await
    }

    /// Waits for a log event with this message.
    pub(crate) async fn logged(&self, message: &str) -> Value {
        find(&self.stderr, message, |line| {
            let event: Value = serde_json::from_str(line).ok()?;
            (event["message"] == message).then_some(event)
        })
        .await
    }

    /// Waits until the access log has so many exchanges of a path, and returns them.
    pub(crate) async fn exchanges(&self, path: &str, count: usize) -> Vec<Value> {
        let what = format!("{count} exchanges of {path}");
        let wait = async {
            loop {
                let more = self.stderr.more.notified();
                let found = self.access_log(path);
                if found.len() >= count {
                    return found;
                }
                more.await;
            }
        };
        timeout(STEP_TIMEOUT, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"))
    }

    fn access_log(&self, path: &str) -> Vec<Value> {
        let seen = self.stderr.seen.lock().unwrap();
        let events = seen.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events
            .filter(|event| event["target"] == "outlast::access" && event["path"] == path)
            .collect()
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.stderr.seen.lock().unwrap().clone()
    }

    /// The metrics, by name and labels.
    pub(crate) async fn metrics(&self) -> BTreeMap<String, f64> {
        let (status, body) = get(self.admin, "/metrics", &[]).await;
        assert_eq!(status, 200, "{body}");
        let lines = body.lines().filter(|line| !line.starts_with('#'));
        let pairs = lines.map(|line| line.rsplit_once(' ').unwrap());
        pairs.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
    }

    /// The pool's first service.
    pub(crate) async fn service(&self) -> Value {
        // With --no-auth there is none, and none is needed.
        let token = std::fs::read_to_string(self.folder.path().join("data/access/token"));
        let bearer = token.map(|token| format!("Bearer {}", token.trim()));
        let fields = bearer.iter().map(|bearer| ("Authorization", bearer.as_str()));
        let (status, body) = get(self.admin, "/api/pool", &fields.collect::<Vec<_>>()).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["services"][0].clone()
    }

    /// Waits until the pool's first service looks as wanted.
    pub(crate) async fn service_where(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let wait = async {
            loop {
                let service = self.service().await;
                if wanted(&service) {
                    return service;
                }
                // The pool has no event to wait for from outside.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match timeout(STEP_TIMEOUT, wait).await {
            Ok(service) => service,
            Err(_) => panic!("not in time: {what}; {:#}", self.service().await),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// The CPU time that all its threads have used.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let used = tasks.map(|task| {
            let schedstat = std::fs::read_to_string(task.unwrap().path().join("schedstat"));
            // A thread may end between the look at the list and the look at it.
            let schedstat = schedstat.unwrap_or_default();
            schedstat.split(' ').next().and_then(|used| used.parse().ok()).unwrap_or(0)
        });
        Duration::from_nanos(used.sum())
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// Its memory in KiB: what it has alone, and its part of what it shares.
    pub(crate) fn memory_kib(&self) -> u64 {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid())).unwrap();
        let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
        pss.split_whitespace().next().unwrap().parse().unwrap()
    }

    pub(crate) fn signal(&self, number: Signal) {
        signal(self.pid(), number);
    }

    /// Waits for the end of the process.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = timeout(STEP_TIMEOUT, self.child.wait()).await.expect("it ends in time");
        self.readers.join().await;
        ended.unwrap()
    }
}

fn collect(output: impl AsyncRead + Send + Unpin + 'static, tasks: &Tasks) -> Arc<Lines> {
    let lines = Arc::new(Lines::default());
    let to = Arc::clone(&lines);
    tasks.spawn_uncancelled(async move {
        let mut output = BufReader::new(output).lines();
        while let Ok(Some(line)) = output.next_line().await {
            to.seen.lock().unwrap().push(line);
            to.more.notify_waiters();
        }
    });
    lines
}

async fn find<T>(lines: &Lines, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
    let wait = async {
        loop {
            let more = lines.more.notified();
            let found = lines.seen.lock().unwrap().iter().find_map(|line| wanted(line));
            if let Some(found) = found {
                return found;
            }
            more.await;
        }
    };
    match timeout(STEP_TIMEOUT, wait).await {
        Ok(found) => found,
        Err(_) => panic!("no line with {what:?} in\n{}", lines.seen.lock().unwrap().join("\n")),
    }
}
