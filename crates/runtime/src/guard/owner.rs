//! The owner's side: start a guard, hear from it, give it orders.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::process::Signal;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tracing::{error, warn};

use super::tree::{MARK, marked};
use super::wire::{Exit, Report, Role, Stop};
use super::{GuardProgram, SUBCOMMAND, StopPolicy};
use crate::random;

/// A command to be run under a guard.
#[derive(Debug, Clone)]
pub struct GuardedCommand {
    /// Who guards it.
    pub guard: GuardProgram,
    /// The program and its arguments; not empty. It reads nothing on its standard input.
    pub command: Vec<OsString>,
    /// Variables on top of the inherited environment.
    pub env: BTreeMap<OsString, OsString>,
    /// Where it runs. None: where we run.
    pub cwd: Option<PathBuf>,
    /// How it ends when its owner dies, and, unless an order says otherwise, in which way its leftovers end.
    pub stop: StopPolicy,
}

/// What the tree writes. Each ends when no process of the tree has it open any more.
#[derive(Debug)]
pub struct Output {
    /// The standard output of command and descendants.
    pub stdout: ChildStdout,
    /// The standard error of command and descendants.
    pub stderr: ChildStderr,
}

/// What happens to a guarded command, in this order.
#[derive(Debug)]
pub enum Notice {
    /// It runs.
    Started {
        /// The process id of its main process.
        pid: u32,
    },
    /// It could not be started. Only [`Notice::Gone`] follows.
    Failed(StartError),
    /// Its main process ended; what is left of its tree is being ended.
    Ended(Exit),
    /// Nothing of it is left. The last notice; asked again, it comes again.
    Gone,
}

/// Why a command does not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is nothing to run.
    #[error("the command is empty")]
    Empty,
    /// The directory in which it should run is not there.
    #[error("the working directory {} is not a directory", .0.display())]
    Directory(PathBuf),
    /// The operating system refused the command.
    #[error("cannot start `{command}`: {}", explain(.source))]
    Command {
        /// The command and its arguments.
        command: String,
        /// What it says.
        #[source]
        source: io::Error,
    },
    /// The operating system refused the guard, so that the command was not even tried.
    #[error("cannot start the guard process of `{command}`")]
    Guard {
        /// The command and its arguments.
        command: String,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
}

/// A command that runs under a guard.
///
/// Dropping it closes the socket to the guard, which then ends the tree as if its owner had died.
#[derive(Debug)]
pub struct Guarded {
    guard: Child,
    reports: Lines<BufReader<OwnedReadHalf>>,
    orders: OwnedWriteHalf,
    command: String,
    mark: String,
    end: End,
}

/// What is known about the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing; if the guard ends now, it was killed.
    Open,
    /// The guard told it.
    Told,
    /// The guard has ended and been reaped.
    Gone,
}

impl Guarded {
    /// Starts a guard, which starts the command.
    ///
    /// # Errors
    /// When there is no guard to start. That the command does not start is told by [`Notice::Failed`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(spec: GuardedCommand) -> Result<(Self, Output), StartError> {
        let GuardedCommand { guard, command, env, cwd, stop } = spec;
        if command.is_empty() {
            return Err(StartError::Empty);
        }
        if let Some(directory) = cwd.as_ref().filter(|path| !path.is_dir()) {
            return Err(StartError::Directory(directory.clone()));
        }
        let text = command.join(OsStr::new(" ")).to_string_lossy().into_owned();
        let refused = |source| StartError::Guard { command: text.clone(), source };
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(refused)?;
        ours.set_nonblocking(true).map_err(refused)?;
        let (reports, orders) = UnixStream::from_std(ours).map_err(refused)?.into_split();
        let mark = format!("{:016x}", random::number());
        let mut start = Command::new(guard.path());
        start
            .arg0("outlast")
            .arg(SUBCOMMAND)
            .args(Role::Guard { policy: stop, command }.arguments());
        start.envs(env).env(MARK, &mark).process_group(0);
        start
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(directory) = cwd {
            start.current_dir(directory);
        }
        let mut guard = start.spawn().map_err(refused)?;
        let output = Output {
            stdout: guard.stdout.take().expect("it was piped"),
            stderr: guard.stderr.take().expect("it was piped"),
        };
        let reports = BufReader::new(reports).lines();
        Ok((Self { guard, reports, orders, command: text, mark, end: End::Open }, output))
    }

    /// The process id of the guard, whose descendants the tree is. None once it has ended.
    #[must_use]
    pub fn guard_pid(&self) -> Option<u32> {
        self.guard.id()
    }

    /// Waits for what happens next.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Notice {
        while self.end != End::Gone {
            match self.reports.next_line().await {
                Ok(Some(line)) => match Report::parse(&line) {
                    Ok(report) => return self.hear(report),
                    Err(error) => warn!(%error, "a guard process was not understood"),
                },
                // It does not close the socket before its end.
                Ok(None) | Err(_) => return self.ended().await,
            }
        }
        Notice::Gone
    }

    /// Orders the tree to end in this way. Notices tell how it goes; several orders may be given, and of their
    /// timeouts the one that is over first counts.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the order ungiven.
    pub async fn stop(&mut self, policy: StopPolicy) {
        // An error means that the guard has ended, which the next notice tells.
        let _given = self.orders.write_all(Stop(policy).line().as_bytes()).await;
    }

    fn hear(&mut self, report: Report) -> Notice {
        match report {
            Report::Started(pid) => Notice::Started { pid },
            Report::Failed(errno) => {
                self.end = End::Told;
                let source = io::Error::from_raw_os_error(errno);
                Notice::Failed(StartError::Command { command: self.command.clone(), source })
            }
            Report::Ended(exit) => {
                self.end = End::Told;
                Notice::Ended(exit)
            }
        }
    }

    /// The guard has ended. If it did not say how its command did, it was killed, and left a tree behind.
    async fn ended(&mut self) -> Notice {
        if let Err(error) = self.guard.wait().await {
            error!(%error, command = self.command, "a guard process could not be waited for");
        }
        if self.end == End::Told {
            self.end = End::Gone;
            return Notice::Gone;
        }
        let mark = self.mark.clone();
        let swept = tokio::task::spawn_blocking(move || sweep(&mark)).await;
        match swept {
            Ok(Ok(count)) => {
                warn!(
                    command = self.command,
                    count, "a guard process was killed: swept up its tree"
                );
            }
            Ok(Err(error)) => {
                error!(%error, command = self.command, "what a killed guard process left was not swept up");
            }
            Err(error) => error!(%error, "sweeping up after a guard process failed"),
        }
        self.end = End::Told;
        Notice::Ended(Exit::Unknown)
    }
}

impl GuardProgram {
    pub(super) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

/// Kills all processes that carry the mark and waits for their end; returns how many there were.
fn sweep(mark: &str) -> io::Result<usize> {
    let mut count = 0;
    loop {
        let members = marked(mark);
        if members.is_empty() {
            return Ok(count);
        }
        for member in members {
            let Some(process) = member.open()? else { continue };
            member.signal(Signal::KILL)?;
            count += 1;
            retry_on_intr(|| poll(&mut [PollFd::new(&process, PollFlags::IN)], None))?;
        }
    }
}

/// The operating system's words, and what to do about them where that is known.
fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such program; is it installed and on PATH?".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "it may not be executed; does the file have its executable bit?".to_owned()
        }
        _ => error.to_string(),
    }
}
