//! The living and the dead: which peers answer, in which state each exchange is, and the end of those whose peer has vanished.
//!
//! One task looks at the sockets of all services once a second, by one dump of the kernel's. It remembers only those that are not
//! done; so silent streams take no memory. Who asks for the states gets those of a look that is at most a second old. While no
//! thread has had anything to do since a look that found all well, looks are rare: so silent streams take no CPU either.

mod known;
mod socket;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use outlast_admission::MachineKey;
use outlast_observe::{Ending, EvidenceSource, Record};
use outlast_protocol::pool;
use outlast_runtime::Activity;
use outlast_runtime::clock::{self, Instant};
use outlast_sockets::{Dump, DumpError, Query, Socket};

use crate::gateway::Shared;
use crate::ledger::{Checker, UpstreamSocket};
use known::{Known, Sought};
use socket::{Look, Reading};
use state::{Ends, Facts, State, Unanswered};

const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// While nothing runs, nobody is asked anything but by keepalive, whose questions are as old as they are whenever they are seen:
/// a peer that leaves them unanswered is still given up in time, and by the kernel if not by us.
const REST_INTERVAL: Duration = socket::VANISHED;
/// Where a peer is to be given up sooner than the next look, there is one in between, but not more often than this.
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// A kernel that tells nothing is asked again after so long: a module may have been loaded.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);
/// For so long after somebody asked, all that a look tells is kept: 100 bytes for each socket.
const ASKED_INTERVAL: Duration = Duration::from_secs(3);
/// One look that fails is bad luck.
const FAILURES_MAX: u32 = 3;

/// What is known of the sockets.
#[derive(Default)]
pub(crate) struct Living(Mutex<Watch>);

#[derive(Default)]
struct Watch {
    kernel: Kernel,
    number: u32,
    last: Option<Instant>,
    known: Known,
    asked: Option<Instant>,
}

/// Whom to ask.
#[derive(Default)]
enum Kernel {
    #[default]
    Unknown,
    Tells {
        dump: Dump,
        failures: u32,
    },
    Silent {
        why: String,
        until: Instant,
    },
}

impl fmt::Debug for Living {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Living")
    }
}

/// Looks at all sockets once a second, or less often while the threads are at rest, for ever, ends the exchanges of those who have
/// vanished, and compares the ledger with what the same look tells.
pub(crate) async fn watch(shared: Arc<Shared>, activity: Activity) {
    let start = || Box::new(Checker::new(Arc::clone(&shared)));
    let (mut checker, mut check_at) = (start(), clock::now());
    loop {
        let (now, rest) = (clock::now(), activity.rest());
        let is_due = now >= check_at;
        if is_due {
            check_at = now + LOOK_INTERVAL;
        }
        let looking = {
            let shared = Arc::clone(&shared);
            // It takes a millisecond for each thousand sockets, in which others shall go on.
            tokio::task::spawn_blocking(move || {
                let mut upstream = is_due.then(Vec::new);
                let look = shared.living.look(&shared, upstream.as_mut());
                if is_due {
                    let told = upstream.as_deref().filter(|_| look.is_whole);
                    checker.check(clock::now(), told);
                }
                (checker, look)
            })
        };
        let look = match looking.await {
            Ok((same, look)) => {
                checker = same;
                look
            }
            Err(error) => {
                tracing::error!(%error, "a look at the sockets failed: this is a defect, please report it");
                checker = start();
                Looked { is_whole: false, found_all_well: false, due: None }
            }
        };
        let next = now + LOOK_INTERVAL;
        let soon = clock::now() + LOOK_INTERVAL_MIN;
        clock::sleep_until(look.due.map_or(next, |due| due.max(soon).min(next.max(soon)))).await;
        if look.found_all_well && checker.suspects_nothing() {
            while_at_rest(&activity, rest, now + REST_INTERVAL).await;
        }
    }
}

/// Waits until something has run since `rest` was told, but no longer than `until`.
async fn while_at_rest(activity: &Activity, rest: Option<u64>, until: Instant) {
    while rest.is_some() && activity.rest() == rest && clock::now() < until {
        clock::sleep(LOOK_INTERVAL).await;
    }
}

/// What came of a look.
pub(crate) struct Looked {
    /// Whether the kernel told of all sockets.
    pub(crate) is_whole: bool,
    /// Whether it told of all sockets, and each has answered all that it was asked.
    found_all_well: bool,
    /// When the next look should be, if that is soon.
    due: Option<Instant>,
}

impl Living {
    /// Tells observe whom to ask for states, and asks the kernel for the first time: what it cannot tell is said at the start.
    pub(crate) fn announce(shared: &Arc<Shared>) {
        shared.living.look(shared, None);
        // Weak: observe is theirs too, and must not keep them alive.
        let weak = || Arc::downgrade(shared);
        let (telling, missing) = (weak(), weak());
        shared.observe.set_evidence_source(EvidenceSource {
            tell: Box::new(move |records, views| {
                if let Some(shared) = telling.upgrade() {
                    shared.living.tell(&shared, records, views);
                }
            }),
            missing: Box::new(move || missing.upgrade()?.living.missing()),
        });
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.0.lock().expect("no panic while held")
    }

    /// One look, at which all connections to machines are put into `upstream`.
    pub(crate) fn look(
        &self,
        shared: &Shared,
        upstream: Option<&mut Vec<UpstreamSocket>>,
    ) -> Looked {
        let mut watch = self.watch();
        let is_whole = watch.look(shared, upstream);
        let Some(now) = watch.last else {
            return Looked { is_whole, found_all_well: false, due: None };
        };
        let suspects = watch.known.suspects();
        let found_all_well = is_whole && suspects.clone().next().is_none();
        if suspects.clone().any(|suspect| suspect.reading.has_vanished()) {
            watch.release(shared);
        }
        Looked {
            is_whole,
            found_all_well,
            due: suspects.filter_map(|suspect| suspect.due(now)).min(),
        }
    }

    /// All connections to machines, for tests of who reads them; None where the kernel does not tell.
    #[cfg(test)]
    pub(crate) fn upstream(&self, shared: &Shared) -> Option<Vec<UpstreamSocket>> {
        let mut upstream = Vec::new();
        let look = self.look(shared, Some(&mut upstream));
        look.is_whole.then_some(upstream)
    }

    fn tell(&self, shared: &Shared, records: &[Arc<Record>], views: &mut [pool::Exchange]) {
        let mut watch = self.watch();
        let now = clock::now();
        watch.asked = Some(now);
        let is_fresh = watch.known.is_complete()
            && watch.last.is_some_and(|last| now.duration_since(last) < LOOK_INTERVAL);
        if !is_fresh {
            watch.look(shared, None);
        }
        for (record, view) in records.iter().zip(views) {
            let (facts, ends) = (Facts::new(record), watch.ends(shared, record));
            let state = State::new(&facts, &ends);
            state.name().clone_into(&mut view.state);
            view.evidence = state.evidence(&facts, &ends);
            view.client_socket = ends.client.map(|reading| reading.view());
            view.machine_socket = ends.machine.map(|reading| reading.view());
        }
    }

    fn missing(&self) -> Option<String> {
        match &self.watch().kernel {
            Kernel::Silent { why, .. } => Some(why.clone()),
            Kernel::Unknown | Kernel::Tells { .. } => None,
        }
    }
}

impl Watch {
    /// Whether the kernel told of all sockets.
    fn look(&mut self, shared: &Shared, mut upstream: Option<&mut Vec<UpstreamSocket>>) -> bool {
        let now = clock::now();
        let look = Look { number: self.number.wrapping_add(1), now, last: self.last };
        let is_asked = self.asked.is_some_and(|asked| now.duration_since(asked) < ASKED_INTERVAL);
        let Self { kernel, known, .. } = self;
        let clients: Vec<_> = shared.addresses.iter().map(|address| address.port()).collect();
        known.begin(look, is_asked);
        let told = kernel.ask(now, &query(shared), |socket| {
            if let Some(upstream) = &mut upstream
                && !clients.contains(&socket.local.port())
            {
                upstream.push(UpstreamSocket::from(socket));
            }
            known.see(socket);
        });
        self.number = look.number;
        match told {
            Told::Whole => {
                self.last = Some(now);
                known.complete();
            }
            Told::Failed => known.fail(),
            Told::Silent => known.forget(),
        }
        matches!(told, Told::Whole)
    }

    /// What the last look has told of the two ends of an exchange.
    fn ends(&self, shared: &Shared, record: &Record) -> Ends {
        let listener = canonical(shared.addresses[record.service()]);
        let client = self.known.find(Sought {
            peer: canonical(record.client()),
            port: listener.port(),
            local: (!listener.ip().is_unspecified()).then(|| listener.ip()),
        });
        let machine = record.port().zip(record.machine()).and_then(|(port, machine)| {
            let service = &shared.services[record.service()];
            let peer = canonical(service.address(MachineKey(machine.0)));
            self.known.find(Sought { peer, port, local: None })
        });
        Ends { client, machine }
    }

    /// Ends the exchanges whose peers have vanished.
    fn release(&self, shared: &Shared) {
        for record in shared.observe.records() {
            let ends = self.ends(shared, &record);
            let vanished =
                [(ends.client, Ending::ClientVanished), (ends.machine, Ending::MachineVanished)];
            let vanished = vanished
                .into_iter()
                .find_map(|(end, ending)| Some((end.filter(Reading::has_vanished)?, ending)));
            let Some((reading, ending)) = vanished else { continue };
            if record.end(ending) {
                tracing::warn!(
                    request_id = %format_args!("{}-{}", record.id(), shared.observe.region()),
                    service = shared.services[record.service()].plan.name,
                    client = %record.client(),
                    reason = ending.outcome(record.stage()).release(),
                    evidence = %Unanswered(&reading),
                    "a peer has vanished: its exchange is released"
                );
            }
        }
    }
}

/// What came of asking.
enum Told {
    Whole,
    /// It will do better next time.
    Failed,
    Silent,
}

impl Kernel {
    fn ask(&mut self, now: Instant, query: &Query, show: impl FnMut(&Socket)) -> Told {
        if let Self::Silent { until, .. } = self
            && now < *until
        {
            return Told::Silent;
        }
        let (mut dump, failures) = match std::mem::take(self) {
            Self::Tells { dump, failures } => (dump, failures),
            silent => match Dump::open() {
                Ok(dump) => {
                    *self = silent;
                    (dump, 0)
                }
                Err(error) => return self.silence(&silent, &error, now),
            },
        };
        match dump.each(query, show) {
            Ok(()) => {
                if matches!(self, Self::Silent { .. }) {
                    tracing::info!("the kernel tells of connections again");
                }
                *self = Self::Tells { dump, failures: 0 };
                Told::Whole
            }
            Err(error) if !error.is_lasting() && failures < FAILURES_MAX => {
                tracing::debug!(%error, "a look at the sockets failed");
                *self = Self::Tells { dump, failures: failures + 1 };
                Told::Failed
            }
            Err(error) => {
                let silent = std::mem::take(self);
                self.silence(&silent, &error, now)
            }
        }
    }

    /// The kernel tells nothing. It is said once for every reason.
    fn silence(&mut self, before: &Self, error: &DumpError, now: Instant) -> Told {
        let why = error.to_string();
        let is_known = matches!(before, Self::Silent { why: known, .. } if *known == why);
        if !is_known {
            tracing::warn!(
                %error,
                cause = std::error::Error::source(error).map(tracing::field::display),
                "the kernel tells nothing of connections: states are from the times of bytes alone, and peers that vanish \
                 are found by keepalive alone"
            );
        }
        *self = Self::Silent { why, until: now + RETRY_INTERVAL };
        Told::Silent
    }
}

/// All clients, and all connections to machines.
fn query(shared: &Shared) -> Query {
    let mut query = Query::default();
    for (service, address) in shared.services.iter().zip(&shared.addresses) {
        query.local(*address);
        service.machine_addresses().into_iter().for_each(|address| query.peer(address));
    }
    query
}

/// As the dump tells it: IPv4 as such, no scope.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl Facts {
    fn new(record: &Record) -> Self {
        Self {
            stage: record.stage(),
            is_tunnel: record.is_tunnel(),
            silent: record.last_progress().elapsed(),
            age: record.started().elapsed(),
        }
    }
}

/// How many exchanges are in each state. All states are there, so that a gauge never goes away.
pub(crate) fn count(exchanges: &[pool::Exchange]) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<_, _> =
        State::ALL.iter().map(|state| (state.name().to_owned(), 0)).collect();
    for exchange in exchanges {
        if let Some(count) = counts.get_mut(&exchange.state) {
            *count += 1;
        }
    }
    counts
}
