//! The guard's side: start the command, watch owner and tree, end only when nothing is left.
//!
//! Three threads and a channel: one reads the owner's orders, one waits for processes that end, and the main one
//! decides. Nothing is polled.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, wait};

use super::tree::{Member, descendants};
use super::wire::{Exit, Report, Role, Stop};
use super::{GuardProgram, SUBCOMMAND, StopPolicy, StopSignal};
use crate::clock::{self, Instant};

/// How long processes that outlive the main one may take to end, unless the stop timeout is over before. Whoever
/// waits for the main one, be it to start it again, has no reason to wait for its daemons much longer.
const LEFTOVER_GRACE: Duration = Duration::from_secs(2);

/// Owns the tree of `command` until nothing of it is left.
pub(super) fn run(policy: StopPolicy, command: &[OsString]) -> ExitCode {
    match prepare().and_then(|control| guard(policy, command, &control)) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            complain(&format!("outlast guard: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Tells something that nobody should ever see, on the command's standard error. It must not fail when that is gone.
pub(super) fn complain(what: &str) {
    let _told = writeln!(io::stderr(), "{what}");
}

/// Becomes an orphan's parent, deaf to the signals that end a terminal's jobs or a session.
fn prepare() -> io::Result<UnixStream> {
    #[cfg(target_os = "linux")]
    {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        rustix::thread::set_name(c"outlast-guard")?;
    }
    let deaf = std::sync::Arc::default();
    for signal in [StopSignal::Hup, StopSignal::Int, StopSignal::Quit, StopSignal::Term] {
        // A handler and not "ignore", which the command would inherit.
        signal_hook::flag::register(signal.signal().as_raw(), std::sync::Arc::clone(&deaf))?;
    }
    Ok(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))
}

fn guard(policy: StopPolicy, command: &[OsString], control: &UnixStream) -> io::Result<Exit> {
    let main = match start(command) {
        Ok(main) => main,
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or(rustix::io::Errno::IO.raw_os_error());
            tell(control, Report::Failed(errno));
            let not_found = error.kind() == io::ErrorKind::NotFound;
            return Ok(Exit::Code(if not_found { 127 } else { 126 }));
        }
    };
    tell(control, Report::Started(main.as_raw_nonzero().get().unsigned_abs()));
    let (tx, events) = mpsc::channel();
    let orders = control.try_clone()?;
    let to_listen = tx.clone();
    thread("orders", move || listen(policy, orders, &to_listen))?;
    thread("reaper", move || reap(&tx))?;
    let tree = Tree {
        main,
        policy,
        control,
        phase: Phase::Living,
        ended: None,
        group_asked: false,
        asked: HashSet::new(),
        killed: HashSet::new(),
    };
    Ok(tree.outlive(&events))
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map(drop)
}

/// Starts the command in a process group of its own and returns once it has really become the command.
fn start(command: &[OsString]) -> io::Result<Pid> {
    let (mut pipe, theirs) = io::pipe()?;
    let role = Role::Exec { parent: std::process::id(), command: command.to_vec() };
    let mut child = Command::new(GuardProgram::this()?.path())
        .arg0("outlast")
        .arg(SUBCOMMAND)
        .args(role.arguments())
        .stdin(Stdio::from(theirs))
        .process_group(0)
        .spawn()?;
    let mut error = String::new();
    pipe.read_to_string(&mut error)?;
    match error.parse() {
        Ok(errno) => {
            child.wait()?;
            Err(io::Error::from_raw_os_error(errno))
        }
        // Nothing was written: the pipe was closed by becoming the command.
        Err(_) => Ok(Pid::from_child(&child)),
    }
}

/// Writes to the owner. If it has gone, the orders end, and that is acted upon.
fn tell(mut control: &UnixStream, report: Report) {
    let _told = control.write_all(report.line().as_bytes());
}

/// What the main thread learns.
enum Event {
    /// The owner wants the tree to end, or has died.
    Stop(StopPolicy),
    /// A process ended.
    Reaped(Pid, Exit),
    /// No process of the tree is left.
    NoneLeft,
}

/// Passes on the owner's orders, the last of which is its death.
fn listen(policy: StopPolicy, orders: UnixStream, tx: &Sender<Event>) {
    for line in BufReader::new(orders).lines() {
        let order = match line {
            Ok(line) => Stop::parse(&line),
            Err(_) => break,
        };
        match order {
            // An error means that the tree is gone, and soon the process.
            Ok(Stop(policy)) => drop(tx.send(Event::Stop(policy))),
            Err(error) => complain(&format!("outlast guard: {error}")),
        }
    }
    drop(tx.send(Event::Stop(policy)));
}

/// Waits for every process of the tree, adopted ones too, until there is none. As all orphans come back to
/// the guard, "no children" means "no descendants".
fn reap(tx: &Sender<Event>) {
    loop {
        let event = match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => Event::Reaped(pid, exit_of(status)),
            Ok(None) | Err(rustix::io::Errno::INTR) => continue,
            Err(_) => Event::NoneLeft,
        };
        let last = matches!(event, Event::NoneLeft);
        if tx.send(event).is_err() || last {
            return;
        }
    }
}

fn exit_of(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(number)) => Exit::Signal(number),
        (None, None) => Exit::Unknown,
    }
}

/// How far the end of the tree has come. Never goes back.
enum Phase {
    /// The command runs.
    Living,
    /// The polite signal was sent; what still lives then is killed.
    Asked { until: Instant },
    /// Whatever shows up is killed.
    Killing,
}

struct Tree<'a> {
    main: Pid,
    policy: StopPolicy,
    control: &'a UnixStream,
    phase: Phase,
    ended: Option<Exit>,
    group_asked: bool,
    asked: HashSet<Member>,
    killed: HashSet<Member>,
}

impl Tree<'_> {
    /// Returns how the main process ended, once nothing is left.
    fn outlive(mut self, events: &Receiver<Event>) -> Exit {
        loop {
            let event = match self.phase {
                Phase::Asked { until } => {
                    events.recv_timeout(until.saturating_duration_since(clock::now()))
                }
                Phase::Living | Phase::Killing => {
                    events.recv().map_err(|_| RecvTimeoutError::Disconnected)
                }
            };
            match event {
                Ok(Event::Stop(policy)) => self.stop(policy),
                Ok(Event::Reaped(pid, exit)) if pid == self.main => self.main_ended(exit),
                // Its death may have made orphans of processes that no walk could see yet.
                Ok(Event::Reaped(..)) if matches!(self.phase, Phase::Killing) => self.kill(),
                Ok(Event::Reaped(..)) => {}
                Err(RecvTimeoutError::Timeout) => self.kill(),
                Ok(Event::NoneLeft) | Err(RecvTimeoutError::Disconnected) => {
                    return self.ended.unwrap_or(Exit::Unknown);
                }
            }
        }
    }

    fn stop(&mut self, policy: StopPolicy) {
        if policy.signal == StopSignal::Kill {
            return self.kill();
        }
        if self.ended.is_none() && !matches!(self.phase, Phase::Killing) {
            self.policy.signal = policy.signal;
            self.group_asked = true;
            // Not reaped yet, so the group is still its own. It may be gone in this instant, which is no error.
            let _sent = kill_process_group(self.main, policy.signal.signal());
        }
        self.kill_in(policy.timeout);
    }

    /// The main process ended: the rest of its tree is to follow.
    fn main_ended(&mut self, exit: Exit) {
        self.ended = Some(exit);
        tell(self.control, Report::Ended(exit));
        if matches!(self.phase, Phase::Killing) {
            return self.kill();
        }
        self.kill_in(self.policy.timeout.min(LEFTOVER_GRACE));
        let group = self.main.as_raw_nonzero().get().unsigned_abs();
        for member in descendants(std::process::id()) {
            // Many programs take a second signal as "at once": nobody gets one.
            let was_asked = self.group_asked && member.group == group;
            if !was_asked && self.asked.insert(member) {
                send(member, self.policy.signal.signal());
            }
        }
    }

    /// Sets the moment when what is left is killed, unless an earlier one is set.
    fn kill_in(&mut self, timeout: Duration) {
        // A moment that no clock can tell never comes.
        let Some(until) = clock::now().checked_add(timeout) else { return };
        self.phase = match self.phase {
            Phase::Living => Phase::Asked { until },
            Phase::Asked { until: earlier } => Phase::Asked { until: until.min(earlier) },
            Phase::Killing => Phase::Killing,
        };
    }

    /// Kills everything, also what is forked in the meantime: looks until a walk finds nothing new, and again
    /// whenever a process has ended.
    fn kill(&mut self) {
        self.phase = Phase::Killing;
        if cfg!(not(target_os = "linux")) {
            let _sent = kill_process_group(self.main, Signal::KILL);
        }
        loop {
            let all = descendants(std::process::id());
            let new: Vec<Member> =
                all.into_iter().filter(|member| self.killed.insert(*member)).collect();
            if new.is_empty() {
                return;
            }
            for member in new {
                send(member, Signal::KILL);
            }
        }
    }
}

fn send(member: Member, signal: Signal) {
    if let Err(error) = member.signal(signal) {
        complain(&format!("outlast guard: cannot signal process {}: {error}", member.pid));
    }
}
