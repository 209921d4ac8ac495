//! All machines of a plan, kept alive until they are stopped.

use std::sync::Arc;

use outlast_runtime::{Tasks, clock};
use tokio::sync::{mpsc, watch};

use crate::check;
use crate::local::Life;
use crate::outbox::Outbox;
use crate::output::Voice;
use crate::ports::Ports;
use crate::record::{MachineSnapshot, Record};
use crate::{Change, FixedSpec, LogLine, MachineEvent, MachineSpec};

/// How many events wait in the channel before they wait, and grow old, with their machines.
const EVENTS_WAITING_MAX: usize = 64;

/// What the supervisor wants of its machines, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wish {
    Live,
    Stop,
    /// What was to stop is to end at once.
    Kill,
}

/// Owns all machines. Dropping it asks them to stop, [`Supervisor::stop`] also waits until they have.
#[derive(Debug)]
pub struct Supervisor {
    records: Vec<Arc<Record>>,
    wish: watch::Sender<Wish>,
    alive: watch::Receiver<usize>,
}

impl Supervisor {
    /// Starts every machine and keeps it running. Its log lines go to `lines`. What becomes of it is told by the
    /// receiver, in order for each machine; who reads late may miss old events, but never a machine's last ones.
    ///
    /// Everything runs on `tasks`, whose [`Tasks::join`] ends only after the machines have been stopped.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start(
        specs: Vec<MachineSpec>,
        lines: &mpsc::Sender<LogLine>,
        tasks: &Tasks,
    ) -> (Self, mpsc::Receiver<MachineEvent>) {
        let (tx, rx) = mpsc::channel(EVENTS_WAITING_MAX);
        let outbox = Outbox::default();
        let (wish, wished) = watch::channel(Wish::Live);
        let (count, alive) = watch::channel(specs.len());
        let count = Arc::new(count);
        let mut records = Vec::with_capacity(specs.len());
        let ports = Ports::default();
        for spec in specs {
            let group = spec.group().map(ToOwned::to_owned);
            let record = Arc::new(Record::new(spec.id().clone(), group, outbox.clone()));
            records.push(Arc::clone(&record));
            let counted = Alive(Arc::clone(&count));
            let (wished, lines, ports) = (wished.clone(), lines.clone(), ports.clone());
            tasks.spawn_uncancelled(async move {
                match spec {
                    MachineSpec::Local(spec) => {
                        Life::new(spec, Arc::clone(&record), ports, lines).run(wished).await;
                    }
                    MachineSpec::Fixed(spec) => stand(spec, &record, lines, wished).await,
                }
                record.tell(Change::Stopped);
                drop(counted);
            });
        }
        tasks.spawn(outbox.deliver(tx));
        (Self { records, wish, alive }, rx)
    }

    /// Asks all machines to stop, at once and each in its way, and waits until nothing of them is left. That takes as
    /// long as the longest stop timeout and the moment that `SIGKILL` takes. May be called more than once.
    ///
    /// # Cancel safety
    /// Dropping the future stops only the waiting: the machines have been asked.
    pub async fn stop(&self) {
        // A killed machine is not to be asked.
        self.wish.send_modify(|wish| *wish = Wish::Stop.max(*wish));
        let mut alive = self.alive.clone();
        // An error means that the last machine has counted itself out and gone.
        let _all_ended = alive.wait_for(|count| *count == 0).await;
    }

    /// Kills the trees of all machines, also of those that are being stopped. [`Supervisor::stop`] waits for their end.
    pub fn kill(&self) {
        self.wish.send_replace(Wish::Kill);
    }

    /// Every machine at this moment, in the order in which they were given.
    #[must_use]
    pub fn snapshot(&self) -> Vec<MachineSnapshot> {
        self.records.iter().map(|record| record.snapshot()).collect()
    }
}

/// Waits until more is wished than was obeyed.
pub(crate) async fn beyond(wished: &mut watch::Receiver<Wish>, obeyed: Wish) -> Wish {
    let wish = wished.wait_for(|wish| *wish > obeyed).await.map(|wish| *wish);
    match wish {
        Ok(wish) => wish,
        // The supervisor was dropped, which asks machines to stop and no more.
        Err(_) if obeyed == Wish::Live => Wish::Stop,
        Err(_) => std::future::pending().await,
    }
}

/// Waits until machines are no longer wanted.
pub(crate) async fn unwanted(wished: &mut watch::Receiver<Wish>) {
    beyond(wished, Wish::Live).await;
}

/// The life of a machine that somebody else runs.
async fn stand(
    spec: FixedSpec,
    record: &Arc<Record>,
    lines: mpsc::Sender<LogLine>,
    mut wished: watch::Receiver<Wish>,
) {
    record.tell(Change::Ready { addrs: spec.addrs.clone() });
    let voice = Voice::new(&spec.id, &spec.region, lines);
    let checks = check::run(spec.checks, spec.addrs, clock::now(), Arc::clone(record), voice);
    tokio::select! {
        () = unwanted(&mut wished) => {}
        () = checks => {}
    }
}

/// Counts a machine as alive until dropped, also by a panic.
struct Alive(Arc<watch::Sender<usize>>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
