//! A drill from its first start to its report.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use outlast_runtime::clock::{self, Instant};
use outlast_runtime::{Tasks, Workers, random};
use rustix::process::{Resource, getrlimit};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::alarm::Alarm;
use crate::client::live;
use crate::desk::{Asking, Counts, Desk, Job};
use crate::intervals::Intervals;
use crate::plan::{Blow, Client, Misfortune, Plan, Reclick, Start};
use crate::pool::{Admin, sample};
use crate::report::{Gathered, gather};
use crate::result::{Ending, PoolSample, Report, Struck};
use crate::server::Server;
use crate::tally::{State, Tally, Track};
use crate::target::Target;
use crate::watch::{Own, watch as watch_thread};

/// From making the threads to the first planned start.
const LEAD: Duration = Duration::from_millis(100);
/// Descriptors that are no streams.
const DESCRIPTORS_OWN: u64 = 64;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long places may take to come free after the last stream: an unused upstream connection lingers 4 s.
const SETTLE: Duration = Duration::from_secs(15);
/// A stream without a byte for so long is silent, at the plan's own speed; but never sooner than after two lines of the
/// desktop, which sends about one a second at any speed.
const SILENT: Duration = Duration::from_secs(5);
const SILENT_MIN: Duration = Duration::from_secs(2);
/// Streams that one thread drives well.
const STREAMS_PER_THREAD: usize = 5_000;
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Everything beside the plan.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the load goes.
    pub target: Target,
    /// Fields of every request.
    pub fields: Vec<(String, String)>,
    /// In place of the body of a chat; other kinds are sent by POST with it. `{id}` in it is the stream's id.
    pub body: Option<String>,
    /// Gives the same plan again. None: a new one.
    pub seed: Option<u64>,
    /// Threads that drive streams. None: as many as the streams need and the host has cores.
    pub threads: Option<usize>,
    /// The gateway's admin listener.
    pub admin: Option<Target>,
}

/// Why no load was sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// Nobody listens there.
    #[error("{url} does not take a connection")]
    Connect {
        /// The URL.
        url: String,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The admin listener tells nothing.
    #[error("the admin listener {url} does not tell about the pool: {why}")]
    Admin {
        /// Its URL.
        url: String,
        /// Why.
        why: String,
    },
    /// More streams at once than the process may open.
    #[error("{streams} streams at once need more open files than the limit of {limit}")]
    Descriptors {
        /// Streams at once, at most.
        streams: usize,
        /// Of the process.
        limit: u64,
    },
    /// The plan would do something to a server that is somebody else's.
    #[error("the plan does something to the server, and the drill has not started it")]
    NoServer,
    /// The plan would fill a disk, and nobody said which folder of the server is on it.
    #[error("the plan fills the server's disk, and the server has none of its own")]
    NoDisk,
    /// The operating system has no threads.
    #[error("cannot start threads")]
    Threads(#[source] io::Error),
}

impl RunError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "start the server first, or correct --url",
            Self::Admin { .. } => "correct --admin, or give its token by --header",
            Self::Descriptors { .. } => "raise it by `ulimit -n`, or plan fewer streams",
            Self::NoServer => "let the drill start it: outlast drill PLAN --url … -- COMMAND…",
            Self::NoDisk => "name the folder that the server writes to: --server-disk DIR",
            Self::Threads(_) => "the operating system is out of threads or descriptors",
        }
    }
}

/// A drill at one moment, for whoever watches.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// From the start of the drill.
    pub at: Duration,
    /// When the last planned stream is to end.
    pub end: Duration,
    /// Streams by state, with the states' names.
    pub states: Vec<(&'static str, u32)>,
    /// Streams that were planned.
    pub planned: usize,
    /// Streams that have started.
    pub started: u64,
    /// Streams that have ended, in whatever way.
    pub ended: u64,
    /// Streams that ended whole.
    pub completed: u64,
    /// Answers that were refusals.
    pub refused: u64,
    /// Streams that broke off or failed.
    pub broken: u64,
    /// Things that were wrong with bytes.
    pub violations: u64,
    /// Reads that brought bytes.
    pub chunks: u64,
}

/// What a drill leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    /// What came of it.
    pub report: Report,
    /// First bytes, gaps and durations over time: an HdrHistogram log of format 1.3.
    pub hdr: Vec<u8>,
}

/// A drill that may begin: everything that can be known before the first byte of load is known to be in order.
pub struct Drill {
    plan: Arc<Plan>,
    asking: Arc<Asking>,
    admin: Option<Admin>,
    starts: Vec<Start>,
    seed: u64,
    threads: usize,
    server: Option<Server>,
}

impl Drill {
    /// Checks descriptors, target and admin listener. `server` is what answers there, if the drill has started it.
    ///
    /// # Errors
    /// Why no load can be sent. None has been.
    pub async fn prepare(
        plan: Plan,
        options: Options,
        mut server: Option<Server>,
    ) -> Result<Self, RunError> {
        match &mut server {
            Some(server) => {
                let fills = |one: &Misfortune| matches!(one.what, Blow::FullDisk(_));
                if plan.misfortunes.iter().any(fills) && !server.has_disk() {
                    return Err(RunError::NoDisk);
                }
                server.plan(&plan.misfortunes);
            }
            None if plan.misfortunes.is_empty() => {}
            None => return Err(RunError::NoServer),
        }
        let seed = options.seed.unwrap_or_else(|| random::number() >> 32);
        let starts = plan.schedule(seed);
        let streams = Plan::overlap(&starts);
        if let Some(limit) = getrlimit(Resource::Nofile).current
            && streams as u64 + DESCRIPTORS_OWN > limit
        {
            return Err(RunError::Descriptors { streams, limit });
        }
        let Options { target, fields, body, threads, admin, .. } = options;
        let connect = clock::timeout(CONNECT_TIMEOUT, TcpStream::connect(target.address)).await;
        connect
            .map_err(io::Error::from)
            .flatten()
            .map_err(|source| RunError::Connect { url: target.url.clone(), source })?;
        let admin = match admin {
            Some(url) => {
                let admin = Admin::new(&url, &fields);
                let failed = |why| RunError::Admin { url: url.url.clone(), why };
                admin.ask().await.map_err(failed)?;
                Some(admin)
            }
            None => None,
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let wanted = (1 + streams / STREAMS_PER_THREAD).min(cores);
        let asking = Arc::new(Asking { target, fields, body });
        let threads = threads.unwrap_or(wanted);
        Ok(Self { plan: Arc::new(plan), asking, admin, starts, seed, threads, server })
    }

    /// The seed, given or made up.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many streams are planned.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.starts.len()
    }

    /// When the last planned stream is to end.
    #[must_use]
    pub fn length(&self) -> Duration {
        let ends = self.starts.iter().map(|start| start.at + start.length);
        ends.max().unwrap_or_default()
    }

    /// Sends the load, until all streams have ended, the time is over, or `interrupted` says so.
    ///
    /// # Errors
    /// When threads cannot be started.
    ///
    /// # Cancel safety
    /// Dropping the future ends the load without a report.
    pub async fn run(
        mut self,
        progress: &watch::Sender<Progress>,
        interrupted: impl Future<Output = ()>,
    ) -> Result<Results, RunError> {
        let (started_at, epoch) = (clock::wall_now() + LEAD, clock::now() + LEAD);
        let started = SystemTime::try_from(started_at).unwrap_or(SystemTime::UNIX_EPOCH);
        let counts = Arc::new(Counts::default());
        let desks = self.desks(epoch, &counts);
        let owns: Vec<_> = desks.iter().map(|_| Arc::new(Mutex::new(Own::new()))).collect();
        let workers = {
            let (desks, owns) = (desks.clone(), owns.clone());
            let work =
                move |index: usize| drive(Arc::clone(&desks[index]), Arc::clone(&owns[index]));
            Workers::start("drill", self.threads, work).map_err(RunError::Threads)?
        };
        let server = self.server.take();
        let mut watcher = Watcher {
            drill: &self,
            desks: &desks,
            counts: &counts,
            epoch,
            pool: Vec::new(),
            ledger_mismatches: 0,
            server,
            struck: Vec::new(),
            intervals: Intervals::new(&self.plan.name, started, self.length()),
        };
        let ending = watcher.until_the_end(progress, interrupted).await;
        workers.stop();
        let took = clock::now().saturating_duration_since(epoch);
        watcher.intervals.write(&desks, took);
        let leaked = watcher.settle(ending).await;
        if let Some(server) = watcher.server.take() {
            let told = server.stop().await;
            let at_ms = watcher.at_ms();
            watcher.struck.extend(told.into_iter().map(|what| Struck { at_ms, what }));
        }
        let Watcher { pool, ledger_mismatches, struck, intervals, .. } = watcher;
        let gathered = Gathered {
            plan: &self.plan,
            target: &self.asking.target,
            seed: self.seed,
            started_at: started_at.to_string(),
            took,
            ending,
            counts: &counts,
            pool,
            struck,
            leaked,
            ledger_mismatches: self.admin.as_ref().map(|_| ledger_mismatches),
        };
        Ok(Results { report: gather(gathered, &desks, &owns), hdr: intervals.into_text() })
    }

    /// Every n-th stream belongs to the n-th thread.
    fn desks(&self, epoch: Instant, counts: &Arc<Counts>) -> Vec<Arc<Desk>> {
        let [low, high] = random::bytes();
        let drill = u16::from_le_bytes([low, high]);
        let desk = |thread: usize| {
            let mine = self.starts.iter().copied().enumerate().skip(thread).step_by(self.threads);
            let jobs: Vec<_> = mine
                .enumerate()
                .map(|(index, (number, start))| Job { number, index, start })
                .collect();
            let tracks =
                jobs.iter().map(|job| Track::new(job.number, job.start.at, job.start.length));
            let tally =
                Tally::new(tracks.collect(), SILENT.div_f64(self.plan.scale).max(SILENT_MIN));
            Arc::new(Desk {
                plan: Arc::clone(&self.plan),
                asking: Arc::clone(&self.asking),
                seed: self.seed,
                drill,
                epoch,
                jobs,
                counts: Arc::clone(counts),
                tally: Mutex::new(tally),
            })
        };
        (0..self.threads).map(desk).collect()
    }

    /// When streams that have not ended count as stuck.
    fn deadline(&self) -> Duration {
        let extra = self.plan.loads.iter().map(|load| {
            let sleeps = match load.client {
                Client::Sleep(_, rest) => rest.longest(),
                _ => Duration::ZERO,
            };
            let clicks = match load.reclick {
                Reclick::Again { .. } => load.reclick.longest() + load.length.longest(),
                Reclick::Never => Duration::ZERO,
            };
            sleeps + clicks
        });
        self.length() + extra.max().unwrap_or_default() + self.plan.grace
    }
}

/// Starts each stream when it is due, whatever became of those before.
async fn drive(desk: Arc<Desk>, own: Arc<Mutex<Own>>) {
    let tasks = Tasks::default();
    tasks.spawn(async move { watch_thread(&own).await });
    let mut alarm = Alarm::new();
    for job in &desk.jobs {
        alarm.until(desk.epoch + job.start.at).await;
        tasks.spawn(live(Arc::clone(&desk), *job));
    }
    // The thread is stopped from outside, and its tasks with it.
    std::future::pending::<()>().await;
}

/// What happens next to a server of our own.
async fn happens(server: &mut Option<Server>, epoch: Instant) -> Struck {
    match server {
        Some(server) => server.next(epoch).await,
        None => std::future::pending().await,
    }
}

/// What looks on while the threads work.
struct Watcher<'d> {
    drill: &'d Drill,
    desks: &'d [Arc<Desk>],
    counts: &'d Counts,
    epoch: Instant,
    pool: Vec<PoolSample>,
    ledger_mismatches: u64,
    server: Option<Server>,
    struck: Vec<Struck>,
    intervals: Intervals,
}

impl Watcher<'_> {
    async fn until_the_end(
        &mut self,
        progress: &watch::Sender<Progress>,
        interrupted: impl Future<Output = ()>,
    ) -> Ending {
        let deadline = self.epoch + self.drill.deadline();
        let pool_every =
            (self.drill.length() / 400).clamp(Duration::from_millis(200), Duration::from_secs(60));
        let (mut pool_due, mut progress_due) = (self.epoch, self.epoch);
        tokio::pin!(interrupted);
        loop {
            if self.counts.ended.load(Ordering::Relaxed) >= self.drill.streams() as u64 {
                progress.send_replace(self.progress());
                return Ending::Whole;
            }
            tokio::select! {
                () = self.counts.one_ended.notified() => {}
                () = &mut interrupted => return Ending::Interrupted,
                () = clock::sleep_until(deadline) => return Ending::Whole,
                () = clock::sleep_until(progress_due) => {
                    progress.send_replace(self.progress());
                    progress_due = clock::now() + PROGRESS_EVERY;
                }
                () = clock::sleep_until(self.epoch + self.intervals.due()) => {
                    let now = clock::now().saturating_duration_since(self.epoch);
                    self.intervals.write(self.desks, now);
                }
                struck = happens(&mut self.server, self.epoch) => self.struck.push(struck),
                () = clock::sleep_until(pool_due), if self.drill.admin.is_some() => {
                    self.ask_pool().await;
                    pool_due = clock::now() + pool_every;
                }
            }
        }
    }

    fn at_ms(&self) -> u64 {
        let at = clock::now().saturating_duration_since(self.epoch);
        u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
    }

    /// A gateway that is busy dying does not answer; that is seen in the picture as a gap.
    async fn ask_pool(&mut self) -> Option<PoolSample> {
        let pool = self.drill.admin.as_ref()?.ask().await.ok()?;
        let sample = sample(&pool, self.at_ms());
        self.ledger_mismatches = self.ledger_mismatches.max(pool.ledger_mismatches);
        self.pool.push(sample);
        Some(sample)
    }

    /// Waits until all places are free, and tells how many never came free.
    async fn settle(&mut self, ending: Ending) -> Option<u64> {
        self.drill.admin.as_ref()?;
        let until = clock::now() + SETTLE;
        loop {
            let sample = self.ask_pool().await?;
            let taken = u64::from(sample.in_flight) + sample.queue;
            if taken == 0 || clock::now() >= until || ending == Ending::Interrupted {
                return Some(taken);
            }
            clock::sleep(PROGRESS_EVERY).await;
        }
    }

    fn progress(&self) -> Progress {
        let mut states: Vec<_> = State::SHOWN.map(|state| (state.name(), 0)).into();
        let mut progress = Progress {
            at: clock::now().saturating_duration_since(self.epoch),
            end: self.drill.length(),
            planned: self.drill.streams(),
            started: self.counts.started.load(Ordering::Relaxed),
            ended: self.counts.ended.load(Ordering::Relaxed),
            ..Progress::default()
        };
        for desk in self.desks {
            let tally = desk.tally();
            progress.completed += tally.summary.completed;
            progress.refused += tally.summary.refused;
            progress.broken += tally.summary.truncated + tally.summary.failed;
            progress.violations += tally.summary.violations();
            progress.chunks += tally.summary.chunks;
            for state in tally.tracks.iter().filter_map(Track::state) {
                if let Some((_, count)) = states.get_mut(state as usize) {
                    *count += 1;
                }
            }
        }
        progress.states = states;
        progress
    }
}
