//! All runs of a server: those in progress, those that wait, and for a while those that have ended.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use outlast_protocol::chat::ChatLine;
use outlast_runtime::Tasks;
use outlast_runtime::clock::{self, Instant};
use tokio::sync::{Semaphore, watch};

use crate::line::Lines;
use crate::log::Log;
use crate::{Follower, RunOrder, StartError, scout};

/// Runs in progress and waiting, together.
const RUNS_MAX: usize = 256;
/// What ended runs that can still be followed may take, the last ones first: of scout's 20 KiB each some 3,000, of the
/// longest ones 15, of empty ones 65,536.
const ENDED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What a run takes beside its lines: its id, its places in the tables, its log.
const RUN_BYTES: usize = 1024;
/// How long an ended run can still be followed.
const ENDED_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// How runs are made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where runs work, canonical. They stay in it.
    pub workspace: PathBuf,
    /// Who answers.
    pub kind: Kind,
    /// About how long a run is to take, unless its order says otherwise.
    pub pace: Duration,
    /// Runs at once, at least 1; more wait in the order of their start.
    pub runs_max: usize,
    /// After so much silence a follower gets a blank line.
    pub heartbeat: Duration,
}

/// Which agent is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The best that is there.
    Auto,
    /// Scout.
    Scout,
}

/// The runs of a server. Clones share them.
#[derive(Debug, Clone)]
pub struct Runs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    tasks: Tasks,
    places: Arc<Semaphore>,
    table: Mutex<Table>,
    stopping: watch::Sender<Wish>,
}

#[derive(Debug, Default)]
struct Table {
    runs: HashMap<String, Run>,
    /// The oldest first.
    ended: VecDeque<Ended>,
    /// What they take, all together.
    ended_bytes: usize,
    waiting: usize,
    running: usize,
}

#[derive(Debug)]
struct Run {
    log: Arc<Log>,
    stop: watch::Sender<Wish>,
}

#[derive(Debug)]
struct Ended {
    at: Instant,
    id: String,
    bytes: usize,
}

/// What is wanted of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Go,
    Stop,
}

/// How many runs there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// In progress.
    pub running: usize,
    /// Waiting for others to end.
    pub waiting: usize,
}

/// What became of an order to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abort {
    /// The run ends now, with `aborted`.
    Stopped,
    /// There is no such run, or it has ended.
    NotFound,
}

impl Runs {
    /// No runs yet. They will be tasks of `tasks`, which [`Tasks::cancel`] does not end: [`Runs::stop_all`] does.
    #[must_use]
    pub fn new(settings: Settings, tasks: &Tasks) -> Self {
        let places = Arc::new(Semaphore::new(settings.runs_max.clamp(1, Semaphore::MAX_PERMITS)));
        Self(Arc::new(Inner {
            settings,
            tasks: tasks.clone(),
            places,
            table: Mutex::default(),
            stopping: watch::Sender::new(Wish::Go),
        }))
    }

    /// Starts a run, or finds the one of the same request id, in progress or just ended. It goes on without followers.
    ///
    /// # Errors
    /// [`StartError`]: nothing was started.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(&self, order: RunOrder) -> Result<Follower, StartError> {
        let directory = order.check(&self.0.settings.workspace)?;
        let mut table = self.lock();
        table.forget_old(clock::now());
        if let Some(run) = table.runs.get(&order.request_id) {
            return Ok(run.log.follow(self.0.settings.heartbeat));
        }
        if *self.0.stopping.borrow() == Wish::Stop {
            return Err(StartError::Stopping);
        }
        let runs = table.waiting + table.running;
        if runs >= RUNS_MAX {
            return Err(StartError::TooMany { runs });
        }
        let (log, stop) = (Log::new(), watch::Sender::new(Wish::Go));
        let follower = log.follow(self.0.settings.heartbeat);
        let wished = stop.subscribe();
        table.runs.insert(order.request_id.clone(), Run { log: Arc::clone(&log), stop });
        table.waiting += 1;
        drop(table);
        let place =
            Place { runs: self.clone(), id: order.request_id.clone(), log, stage: Stage::Waiting };
        self.0.tasks.spawn_uncancelled(live(place, order, directory, wished));
        Ok(follower)
    }

    /// Asks a run to end.
    #[must_use]
    pub fn abort(&self, request_id: &str) -> Abort {
        match self.lock().runs.get(request_id) {
            Some(run) if !run.log.is_ended() => {
                run.log.write(&ChatLine::Aborted);
                run.stop.send_replace(Wish::Stop);
                Abort::Stopped
            }
            _ => Abort::NotFound,
        }
    }

    /// The name of the agent that answers.
    #[must_use]
    pub fn agent_name(&self) -> &'static str {
        "scout"
    }

    /// Why that one.
    #[must_use]
    pub fn agent_reason(&self) -> &'static str {
        match self.0.settings.kind {
            Kind::Auto => "scout is the only agent of this version; it needs no key and no network",
            Kind::Scout => "it was asked for by agent.kind",
        }
    }

    /// How many runs there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let table = self.lock();
        Counts { running: table.running, waiting: table.waiting }
    }

    /// Ends all runs, and starts no more. Waits until they have ended.
    ///
    /// # Cancel safety
    /// Dropping the future stops only the waiting.
    pub async fn stop_all(&self) {
        self.0.stopping.send_replace(Wish::Stop);
        let error = "the server was stopped; ask again when it is back".to_owned();
        let last = ChatLine::Error { error };
        for run in self.lock().runs.values() {
            run.log.write(&last);
            run.stop.send_replace(Wish::Stop);
        }
        self.0.tasks.join().await;
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().expect("nothing panics while it holds the lock")
    }
}

impl Table {
    fn forget_old(&mut self, now: Instant) {
        let is_old = |ended: &Ended| now - ended.at >= ENDED_LIFETIME;
        while self.ended_bytes > ENDED_BYTES_MAX || self.ended.front().is_some_and(is_old) {
            let Some(ended) = self.ended.pop_front() else { return };
            self.ended_bytes -= ended.bytes;
            self.runs.remove(&ended.id);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Running,
}

/// A run's place in the table. Dropped, also by a panic, it leaves a log with a last line and right counts.
struct Place {
    runs: Runs,
    id: String,
    log: Arc<Log>,
    stage: Stage,
}

impl Place {
    fn run(&mut self) {
        let mut table = self.runs.lock();
        table.waiting -= 1;
        table.running += 1;
        self.stage = Stage::Running;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let error = "the run broke off by a defect of ours; please report it".to_owned();
        self.log.write(&ChatLine::Error { error });
        let mut table = self.runs.lock();
        match self.stage {
            Stage::Waiting => table.waiting -= 1,
            Stage::Running => table.running -= 1,
        }
        let now = clock::now();
        let bytes = RUN_BYTES + self.log.bytes();
        table.ended_bytes += bytes;
        table.ended.push_back(Ended { at: now, id: std::mem::take(&mut self.id), bytes });
        table.forget_old(now);
    }
}

/// The life of a run, from the wait for a place to its last line.
async fn live(
    mut place: Place,
    order: RunOrder,
    directory: PathBuf,
    mut wished: watch::Receiver<Wish>,
) {
    let inner = Arc::clone(&place.runs.0);
    let lines = Lines::new(order.session_id.as_deref());
    let running = match Arc::clone(&inner.places).try_acquire_owned() {
        Ok(running) => running,
        Err(_) => {
            let text = format!("waiting: {} runs are in progress", inner.settings.runs_max);
            place.log.write(&lines.status(&text));
            tokio::select! {
                running = Arc::clone(&inner.places).acquire_owned() => {
                    running.expect("the semaphore is never closed")
                }
                () = unwanted(&mut wished) => return,
            }
        }
    };
    place.run();
    let work = scout::Work {
        directory,
        message: order.message,
        pace: order.pace.unwrap_or(inner.settings.pace),
        lines,
        log: Arc::clone(&place.log),
        wished: wished.clone(),
    };
    tokio::select! {
        () = scout::run(work) => {}
        () = unwanted(&mut wished) => {}
    }
    drop(running);
}

/// Waits until a run is no longer wanted.
async fn unwanted(wished: &mut watch::Receiver<Wish>) {
    if wished.wait_for(|wish| *wish == Wish::Stop).await.is_err() {
        // Its entry has gone, and nobody can want anything of it any more.
        std::future::pending::<()>().await;
    }
}
