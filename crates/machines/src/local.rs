//! The life of a machine that is a process tree on this host.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use outlast_runtime::backoff::Attempts;
use outlast_runtime::clock::{self, Instant};
use outlast_runtime::guard::{Exit, Guarded, GuardedCommand, Notice};
use outlast_runtime::random;
use tokio::sync::{mpsc, watch};

use crate::lapse::rounded;
use crate::line::{Level, Provider};
use crate::output::{Voice, forward};
use crate::ports::{Assigned, Ports};
use crate::reach::reachable;
use crate::record::Record;
use crate::supervisor::{Wish, beyond, unwanted};
use crate::{Change, ExitReport, LocalSpec, LogLine, Next, StopPolicy, StopSignal, check};

/// A machine that was ready for so long has proven itself: its next failure counts as the first.
const PROVEN_AFTER: Duration = Duration::from_secs(10);

/// For who does not want to wait.
const AT_ONCE: StopPolicy = StopPolicy { signal: StopSignal::Kill, timeout: Duration::ZERO };

/// A machine from its first start to its stop.
pub(crate) struct Life {
    spec: LocalSpec,
    record: Arc<Record>,
    ports: Ports,
    voice: Voice,
    attempts: Attempts,
}

/// What follows one start.
enum Then {
    Again(Duration),
    Stop,
}

impl Life {
    pub(crate) fn new(
        spec: LocalSpec,
        record: Arc<Record>,
        ports: Ports,
        lines: mpsc::Sender<LogLine>,
    ) -> Self {
        let attempts = Attempts::new(spec.restart);
        let voice = Voice::new(&spec.id, &spec.region, lines);
        Self { voice, spec, record, ports, attempts }
    }

    /// Starts the machine, again whenever it ends, until it is no longer wanted; then ends it.
    pub(crate) async fn run(mut self, mut wished: watch::Receiver<Wish>) {
        loop {
            self.record.tell(Change::Starting);
            match self.live_once(&mut wished).await {
                Then::Stop => return,
                Then::Again(delay) => {
                    tokio::select! {
                        () = clock::sleep(delay) => self.record.restarts(),
                        () = unwanted(&mut wished) => return,
                    }
                }
            }
        }
    }

    async fn live_once(&mut self, wished: &mut watch::Receiver<Wish>) -> Then {
        let started = self.ports.assign(&self.spec).and_then(|assigned| {
            let start = Guarded::start(self.command(&assigned));
            start.map(|started| (assigned, started)).map_err(|error| error.to_string())
        });
        let (assigned, (guarded, output)) = match started {
            Ok(started) => started,
            Err(why) => return self.start_failed(why).await,
        };
        let readers = forward(output, &self.voice);
        let process = Process {
            guarded,
            assigned,
            start: clock::now(),
            ready: None,
            pid: None,
            checks: None,
        };
        let then = self.watch(process, wished).await;
        readers.join().await;
        then
    }

    fn command(&self, assigned: &Assigned) -> GuardedCommand {
        let env = assigned.environment(&self.spec);
        GuardedCommand {
            guard: self.spec.guard.clone(),
            command: self.spec.command.iter().map(OsString::from).collect(),
            env: env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            cwd: self.spec.cwd.clone(),
            stop: self.spec.stop,
        }
    }

    /// Goes along with a process from its start until nothing of it is left.
    async fn watch(&mut self, mut process: Process, wished: &mut watch::Receiver<Wish>) -> Then {
        let mut then = None;
        let mut obeyed = Wish::Live;
        loop {
            let mut voice = self.voice.clone();
            tokio::select! {
                notice = process.guarded.next() => match notice {
                    Notice::Started { pid } => self.started(&mut process, pid, obeyed).await,
                    Notice::Failed(error) => then = Some(self.start_failed(error.to_string()).await),
                    Notice::Ended(exit) => then = Some(self.ended(&mut process, exit, obeyed).await),
                    Notice::Gone => return if obeyed == Wish::Live {
                        then.expect("a process ends or fails before it is gone")
                    } else { Then::Stop },
                },
                addrs = reachable(&self.spec, &process.assigned, &mut voice),
                    if process.pid.is_some() && process.ready.is_none() && then.is_none() =>
                {
                    self.ready(&mut process, addrs);
                }
                () = checks(&mut process.checks) => {}
                wish = beyond(wished, obeyed) => {
                    obeyed = wish;
                    let policy = if wish == Wish::Kill { AT_ONCE } else { self.spec.stop };
                    self.stop(&mut process, policy).await;
                }
            }
        }
    }

    async fn started(&mut self, process: &mut Process, pid: u32, obeyed: Wish) {
        process.pid = Some(pid);
        self.record.runs_as(pid);
        let took = rounded(process.start.elapsed());
        let command = self.spec.command.join(" ");
        let text = format!("Machine started in {took}: `{command}`, pid {pid}");
        self.voice.say(Provider::Runner, Level::Info, text).await;
        if obeyed != Wish::Live {
            self.tell_signal(pid, self.spec.stop).await;
        }
    }

    /// A machine may write, and be asked to stop, before its guard has told its pid; then this is told afterwards.
    async fn tell_signal(&mut self, pid: u32, policy: StopPolicy) {
        let signal = policy.signal;
        let text = format!("Sending signal {signal} to main child process w/ PID {pid}");
        self.voice.say(Provider::Runner, Level::Info, text).await;
    }

    fn ready(&self, process: &mut Process, addrs: BTreeMap<u16, SocketAddr>) {
        process.ready = Some(clock::now());
        let specs = self.spec.checks.clone();
        let (record, voice) = (Arc::clone(&self.record), self.voice.clone());
        process.checks =
            Some(Box::pin(check::run(specs, addrs.clone(), process.start, record, voice)));
        self.record.tell(Change::Ready { addrs });
    }

    async fn stop(&mut self, process: &mut Process, policy: StopPolicy) {
        process.checks = None;
        self.record.stopping();
        if let Some(pid) = process.pid {
            self.tell_signal(pid, policy).await;
        }
        process.guarded.stop(policy).await;
    }

    async fn start_failed(&mut self, why: String) -> Then {
        let delay = self.attempts.failed(random::number());
        self.voice
            .say(Provider::Runner, Level::Error, format!("{why}; next try in {}", rounded(delay)))
            .await;
        self.record.tell(Change::StartFailed(why));
        Then::Again(delay)
    }

    async fn ended(&mut self, process: &mut Process, exit: Exit, obeyed: Wish) -> Then {
        process.checks = None;
        let lived = process.start.elapsed();
        if process.ready.is_some_and(|ready| ready.elapsed() >= PROVEN_AFTER) {
            self.attempts.reset();
        }
        let next = match obeyed {
            Wish::Stop | Wish::Kill => Next::Stop,
            Wish::Live => Next::Restart { after: self.attempts.failed(random::number()) },
        };
        self.record.tell(Change::Exited(ExitReport { exit, lived, next }));
        let how = match exit {
            Exit::Code(code) => format!("machine exited with exit code: {code}"),
            Exit::Signal(number) => format!("machine was killed by signal {number}"),
            Exit::Unknown => "machine and guard were killed".to_owned(),
        };
        let lived = rounded(lived);
        let (level, text, then) = match next {
            Next::Stop => (Level::Info, format!("{how}, after {lived}"), Then::Stop),
            Next::Restart { after } => {
                let text = format!("{how}, after {lived}; restart in {}", rounded(after));
                (Level::Warn, text, Then::Again(after))
            }
        };
        self.voice.say(Provider::Runner, level, text).await;
        then
    }
}

/// One start of a machine.
struct Process {
    guarded: Guarded,
    assigned: Assigned,
    start: Instant,
    ready: Option<Instant>,
    pid: Option<u32>,
    /// From when it is ready until it is asked to stop or ends.
    checks: Option<Checks>,
}

type Checks = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Goes on with the checks, if there are any to go on with.
async fn checks(running: &mut Option<Checks>) {
    match running {
        Some(checks) => checks.await,
        None => std::future::pending().await,
    }
}
