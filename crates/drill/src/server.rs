//! A server that the drill has started itself, and to which it may do what it would do to no other.
//!
//! It runs under a guard, so that nothing of it is left when the drill ends, however that ends.

use std::ffi::OsString;
use std::fs::File;
use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use outlast_runtime::clock::{self, Instant};
use outlast_runtime::guard::{
    Exit, GuardProgram, Guarded, GuardedCommand, Notice, StartError, StopPolicy, StopSignal,
};
use outlast_runtime::{Tasks, guard};
use rustix::process::{Pid, Signal, kill_process};
use thiserror::Error;
use tokio::io::{AsyncRead, copy};

use crate::disk::{Disk, DiskError};
use crate::plan::{Blow, Misfortune};
use crate::result::Struck;
use crate::target::Target;
use crate::wire;

/// From its start until it answers.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const READY_EVERY: Duration = Duration::from_millis(50);
/// From the word to stop until it is killed, when the drill is over.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How to start it.
#[derive(Debug)]
pub struct ServerCommand {
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// Who guards it.
    pub guard: GuardProgram,
    /// Where its output goes. None: nowhere.
    pub log: Option<File>,
    /// A folder that it finds on a small disk of its own, empty, with its output beside: what can become full. Of its output the log
    /// has nothing before the end then.
    pub disk: Option<PathBuf>,
}

/// Why there is no server.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// It does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It ended before it answered.
    #[error("the server ended before it answered: {0:?}")]
    Ended(Exit),
    /// It runs and does not answer.
    #[error("the server does not answer at {url} within {READY_TIMEOUT:?}")]
    NoAnswer {
        /// Where it should.
        url: String,
    },
    /// Its log cannot be written.
    #[error("the server's log cannot be written")]
    Log(#[source] io::Error),
    /// The drill runs nowhere.
    #[error("the folder in which the drill runs is gone")]
    Here(#[source] io::Error),
    /// It cannot have a disk of its own.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The port is taken, so that another one would be drilled.
    #[error("somebody listens at {url} already")]
    Taken {
        /// Where.
        url: String,
    },
}

/// What is still to be done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Strike(Blow),
    Resume,
    Free,
}

/// A server of the drill's own.
pub struct Server {
    command: ServerCommand,
    disk: Option<Disk>,
    guarded: Guarded,
    pid: Option<Pid>,
    /// Whether it is started again once it has ended.
    then: Then,
    acts: Vec<(Duration, Act)>,
    log_writers: Tasks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It runs, or will be started again.
    Again,
    /// It may end.
    Nothing,
    /// It was asked to end and does so when it is ready.
    Drained,
    /// It has ended for good.
    Gone,
}

impl Server {
    /// Starts it and waits until it answers something that is no 502, 503 or 504.
    ///
    /// # Errors
    /// It does not start, ends, or does not answer.
    pub async fn start(command: ServerCommand, target: &Target) -> Result<Self, ServerError> {
        if tokio::net::TcpStream::connect(target.address).await.is_ok() {
            return Err(ServerError::Taken { url: target.url.clone() });
        }
        let log_writers = Tasks::default();
        let disk = match &command.disk {
            Some(folder) => Some(Disk::mount(folder, command.guard.clone()).await?),
            None => None,
        };
        let guarded = begin(&command, disk.as_ref(), &log_writers)?;
        let (pid, then, acts) = (None, Then::Nothing, Vec::new());
        let mut server = Self { command, disk, guarded, pid, then, acts, log_writers };
        let ready = ready(target);
        tokio::pin!(ready);
        let late = clock::now() + READY_TIMEOUT;
        loop {
            tokio::select! {
                () = &mut ready => return Ok(server),
                notice = server.guarded.next() => match notice {
                    Notice::Started { pid } => server.started(pid),
                    Notice::Failed(error) => return Err(error.into()),
                    Notice::Ended(exit) => return Err(ServerError::Ended(exit)),
                    Notice::Gone => return Err(ServerError::Ended(Exit::Unknown)),
                },
                () = clock::sleep_until(late) => {
                    return Err(ServerError::NoAnswer { url: target.url.clone() });
                }
            }
        }
    }

    /// Plans what will be done to it.
    pub(crate) fn plan(&mut self, misfortunes: &[Misfortune]) {
        self.acts = misfortunes.iter().map(|one| (one.at, Act::Strike(one.what))).collect();
        self.acts.sort_by_key(|(at, _)| *at);
    }

    /// Whether it has a disk that can become full.
    pub(crate) fn has_disk(&self) -> bool {
        self.disk.is_some()
    }

    fn started(&mut self, pid: u32) {
        self.pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    }

    /// Waits for the next thing that is done to it or happens to it, since the start of the drill.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn next(&mut self, epoch: Instant) -> Struck {
        loop {
            let due = self.acts.first().map(|(at, _)| epoch + *at);
            let act = async {
                match due {
                    Some(due) => clock::sleep_until(due).await,
                    None => pending().await,
                }
            };
            let what = tokio::select! {
                () = act => Some(self.act()),
                notice = self.guarded.next(), if self.then != Then::Gone => self.follow(notice),
            };
            if let Some(what) = what {
                let at = clock::now().saturating_duration_since(epoch);
                return Struck { at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX), what };
            }
        }
    }

    fn act(&mut self) -> String {
        let (at, act) = self.acts.remove(0);
        match act {
            Act::Resume => self.signal(Signal::CONT, "goes on"),
            Act::Strike(Blow::Kill) => {
                self.then = Then::Again;
                self.signal(Signal::KILL, "kill -9")
            }
            Act::Strike(Blow::Pause(rest)) => {
                self.later(at + rest, Act::Resume);
                self.signal(Signal::STOP, "paused")
            }
            Act::Strike(Blow::Drain) => {
                self.then = Then::Drained;
                self.signal(Signal::TERM, "drain")
            }
            Act::Strike(Blow::Restart) => {
                self.then = Then::Again;
                self.signal(Signal::TERM, "restart")
            }
            Act::Strike(Blow::FullDisk(rest)) => {
                self.later(at + rest, Act::Free);
                self.on_disk(Disk::fill, "disk full")
            }
            Act::Free => self.on_disk(Disk::free, "disk free again"),
        }
    }

    fn later(&mut self, at: Duration, act: Act) {
        let index = self.acts.partition_point(|(other, _)| *other <= at);
        self.acts.insert(index, (at, act));
    }

    fn signal(&self, signal: Signal, what: &str) -> String {
        match self.pid.map(|pid| kill_process(pid, signal)) {
            Some(Ok(())) => what.to_owned(),
            Some(Err(error)) => format!("{what}: {error}"),
            None => format!("{what}: it does not run"),
        }
    }

    fn on_disk(&self, act: impl FnOnce(&Disk) -> io::Result<()>, what: &str) -> String {
        let disk = self.disk.as_ref().expect("a plan that fills a disk needs one");
        match act(disk) {
            Ok(()) => what.to_owned(),
            Err(error) => format!("{what}: {error}"),
        }
    }

    fn follow(&mut self, notice: Notice) -> Option<String> {
        match notice {
            Notice::Started { pid } => {
                self.started(pid);
                None
            }
            Notice::Failed(error) => {
                self.then = Then::Nothing;
                Some(format!("does not start: {error}"))
            }
            Notice::Ended(exit) => {
                self.pid = None;
                Some(match exit {
                    Exit::Code(0) => "ended".to_owned(),
                    exit => exit.to_string(),
                })
            }
            Notice::Gone if self.then == Then::Again => {
                match begin(&self.command, self.disk.as_ref(), &self.log_writers) {
                    Ok(guarded) => {
                        self.guarded = guarded;
                        self.then = Then::Nothing;
                        Some("started again".to_owned())
                    }
                    Err(error) => {
                        self.then = Then::Gone;
                        Some(format!("does not start: {error}"))
                    }
                }
            }
            Notice::Gone => {
                self.then = Then::Gone;
                None
            }
        }
    }

    /// Ends it and all that it has started. Returns what still happened to it, for a person.
    pub(crate) async fn stop(mut self) -> Vec<String> {
        let mut told = Vec::new();
        let until = clock::now() + STOP_TIMEOUT;
        // Its streams have ended, so a drain has little left to do; a second word to stop would cut it short.
        while self.then == Then::Drained {
            match clock::timeout_at(until, self.guarded.next()).await {
                Ok(notice) => told.extend(self.follow(notice)),
                Err(_) => break,
            }
        }
        self.guarded.stop(stop_policy()).await;
        while self.then != Then::Gone && !matches!(self.guarded.next().await, Notice::Gone) {}
        self.log_writers.join().await;
        if let Some(disk) = self.disk
            && let Err(error) = disk.end(self.command.log.as_ref()).await
        {
            told.push(format!("its log is lost: {error}"));
        }
        told
    }
}

pub(crate) fn stop_policy() -> StopPolicy {
    StopPolicy { signal: StopSignal::Term, timeout: STOP_TIMEOUT }
}

fn begin(
    command: &ServerCommand,
    disk: Option<&Disk>,
    writers: &Tasks,
) -> Result<Guarded, ServerError> {
    let words = match disk {
        Some(disk) => {
            let here = std::env::current_dir().map_err(ServerError::Here)?;
            disk.enter(&command.command, &here)
        }
        None => command.command.clone(),
    };
    let (guarded, output) = Guarded::start(GuardedCommand {
        guard: command.guard.clone(),
        command: words,
        env: std::collections::BTreeMap::new(),
        cwd: None,
        stop: stop_policy(),
    })?;
    let guard::Output { stdout, stderr } = output;
    drain(stdout, command.log.as_ref(), writers)?;
    drain(stderr, command.log.as_ref(), writers)?;
    Ok(guarded)
}

/// Takes all that is written, so that the server never waits for a reader.
fn drain(
    mut output: impl AsyncRead + Send + Unpin + 'static,
    log: Option<&File>,
    writers: &Tasks,
) -> Result<(), ServerError> {
    let log = log.map(File::try_clone).transpose().map_err(ServerError::Log)?;
    writers.spawn_uncancelled(async move {
        // A log that cannot be written is no reason to end a drill; the output is taken all the same.
        if let Some(log) = log {
            let _written = copy(&mut output, &mut tokio::fs::File::from_std(log)).await;
        }
        let _taken = copy(&mut output, &mut tokio::io::sink()).await;
    });
    Ok(())
}

/// Asks until something answers that is no gateway without its app.
async fn ready(target: &Target) {
    let path = target.path.as_deref().unwrap_or("/");
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", target.authority);
    loop {
        match clock::timeout(READY_TIMEOUT, wire::status(target.address, request.as_bytes())).await
        {
            Ok(Ok(502..=504)) | Ok(Err(_)) | Err(_) => clock::sleep(READY_EVERY).await,
            Ok(Ok(_)) => return,
        }
    }
}
