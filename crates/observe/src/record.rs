//! The record of one exchange, from its head to its outcome.

mod settle;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use outlast_http1::{Observer, Stage};
use outlast_runtime::clock;
use slab::Slab;
use tokio::sync::Notify;

use crate::id::RequestId;
use crate::lapse::{InQueue, Lapse};
use crate::metrics::{Metrics, PoolSource};
use crate::outcome::{Ending, Outcome};
use crate::view::{EvidenceSource, QueueSource};

/// An exchange begins in the first.
const STAGES: [Stage; 5] =
    [Stage::Queued, Stage::Receiving, Stage::Connecting, Stage::Waiting, Stage::Streaming];
/// The bits of a byte that are the stage; above them stand the attempts.
const STAGE_MASK: u8 = 0b111;
const ONE_ATTEMPT: u8 = STAGE_MASK + 1;
/// More are not told apart.
const ATTEMPTS_MAX: u8 = u8::MAX / ONE_ATTEMPT;
/// No machine has been chosen.
pub(crate) const NO_MACHINE: u32 = u32::MAX;
/// An operator has ended it.
const ENDED: u8 = 1;
/// Its outcome is written.
const OVER: u8 = 2;
/// Its client does not answer any more.
const CLIENT_VANISHED: u8 = 4;
/// Its machine does not.
const MACHINE_VANISHED: u8 = 8;

/// A machine's index in records; its name is told by [`Observe::name_machine`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineSlot(pub u32);

/// What is known when an exchange begins.
#[derive(Debug)]
pub struct ExchangeStart {
    /// The request id.
    pub id: RequestId,
    /// The index of the service in the list given to [`Observe::new`].
    pub service: usize,
    /// The client.
    pub client: SocketAddr,
    /// The method, or `TCP`.
    pub method: Box<str>,
    /// The path without query.
    pub path: Box<str>,
}

/// One exchange in progress. Updates are single atomic stores: chunks are counted here.
#[derive(Debug)]
pub struct Record {
    pub(crate) id: RequestId,
    pub(crate) client: SocketAddr,
    pub(crate) method: Box<str>,
    pub(crate) path: Box<str>,
    pub(crate) started: clock::Instant,
    pub(crate) service: u16,
    /// The stage, and above [`STAGE_MASK`] how many machines it was led to: only its owner writes it.
    stage: AtomicU8,
    /// [`ENDED`], [`OVER`], [`CLIENT_VANISHED`], [`MACHINE_VANISHED`].
    ends: AtomicU8,
    pub(crate) status: AtomicU16,
    /// The local port of its connection to a machine; 0 while there is none.
    port: AtomicU16,
    pub(crate) machine: AtomicU32,
    /// In the queue for a place; zero for one that had it at once, never for one that did not ask.
    pub(crate) queued: Lapse,
    /// From `started` to the response head of a machine.
    pub(crate) first_byte: Lapse,
    /// Milliseconds after `started`. 49 days; a longer stream shows wrong ages, nothing else.
    pub(crate) progress_ms: AtomicU32,
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    waker: AtomicWaker,
}

/// The live exchanges of one worker thread, so that threads do not meet on a lock.
#[derive(Debug, Default)]
pub struct Shard(Mutex<Slab<Arc<Record>>>);

/// Everything that is observed in the process.
#[derive(Debug)]
pub struct Observe {
    pub(crate) services: Vec<String>,
    pub(crate) region: String,
    pub(crate) shards: Vec<Shard>,
    machines: RwLock<Vec<String>>,
    pub(crate) metrics: Metrics,
    pub(crate) pool: Arc<OnceLock<PoolSource>>,
    pub(crate) queue: OnceLock<QueueSource>,
    pub(crate) evidence: OnceLock<EvidenceSource>,
    pub(crate) started: clock::Instant,
    live: AtomicUsize,
    none_live: Notify,
    /// What the ledger could not set right.
    pub(crate) unhealed: AtomicUsize,
    /// Set once a drain's grace is over: exchanges dropped from then on were cut by it.
    cut: OnceLock<Duration>,
}

/// Owns a record until its outcome is known.
#[derive(Debug)]
#[must_use = "dropping it records the outcome `internal`"]
pub struct RecordGuard {
    observe: Arc<Observe>,
    record: Arc<Record>,
    shard: u16,
    key: u32,
    outcome: Option<Outcome>,
}

impl Record {
    /// The exchange has come further.
    pub fn enter(&self, stage: Stage) {
        let index = STAGES.iter().position(|other| *other == stage).expect("all are listed");
        let index = u8::try_from(index).expect("five stages");
        let attempts = self.stage.load(Ordering::Relaxed) & !STAGE_MASK;
        self.stage.store(attempts | index, Ordering::Relaxed);
    }

    /// The exchange asks for a place. Until it has to queue for it, it has waited for no time at all.
    pub fn asks_for_place(&self) {
        self.queued.set(Duration::ZERO);
        self.enter(Stage::Queued);
    }

    /// The exchange has to wait for its place, for as long as the returned value lives.
    pub fn queue(&self) -> InQueue<'_> {
        InQueue::new(&self.queued)
    }

    /// A machine was chosen. One that sends the exchange on, or cannot be connected to, is followed by another.
    pub fn dispatched(&self, machine: MachineSlot) {
        self.machine.store(machine.0, Ordering::Relaxed);
        if self.attempts() < ATTEMPTS_MAX {
            self.stage.store(self.stage.load(Ordering::Relaxed) + ONE_ATTEMPT, Ordering::Relaxed);
        }
    }

    /// It has a connection to the machine, which has this port at our end; None: it has none any more.
    pub fn connected(&self, port: Option<u16>) {
        self.port.store(port.unwrap_or(0), Ordering::Relaxed);
    }

    /// The local port of its connection to a machine, or of the last one it had when it ended.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        let port = self.port.load(Ordering::Relaxed);
        (port != 0).then_some(port)
    }

    /// Whether its outcome is written.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ends.load(Ordering::Acquire) & OVER != 0
    }

    /// The index of its service in the list given to [`Observe::new`].
    #[must_use]
    pub fn service(&self) -> usize {
        usize::from(self.service)
    }

    /// The machine it was dispatched to last.
    #[must_use]
    pub fn machine(&self) -> Option<MachineSlot> {
        let machine = self.machine.load(Ordering::Relaxed);
        (machine != NO_MACHINE).then_some(MachineSlot(machine))
    }

    /// Whether it is bytes both ways and no message any more.
    #[must_use]
    pub fn is_tunnel(&self) -> bool {
        &*self.method == "TCP" || self.status.load(Ordering::Relaxed) == 101
    }

    /// Ready once somebody has ended the exchange.
    pub fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<Ending> {
        self.waker.register(cx.waker());
        match self.ends.load(Ordering::Acquire) & !OVER {
            0 => Poll::Pending,
            ends if ends & ENDED != 0 => Poll::Ready(Ending::Operator),
            ends if ends & CLIENT_VANISHED != 0 => Poll::Ready(Ending::ClientVanished),
            _ => Poll::Ready(Ending::MachineVanished),
        }
    }

    /// When the exchange began.
    #[must_use]
    pub fn started(&self) -> clock::Instant {
        self.started
    }

    /// When a byte last went either way; when the exchange began, if none did.
    #[must_use]
    pub fn last_progress(&self) -> clock::Instant {
        let after = Duration::from_millis(self.progress_ms.load(Ordering::Relaxed).into());
        self.started + after
    }

    /// Response bytes that the client's transport has taken.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// A response that is ours and not a machine's has this status, and so many bytes of it were sent.
    pub fn answered(&self, status: u16, bytes: usize) {
        self.status.store(status, Ordering::Relaxed);
        self.sent(bytes);
    }

    /// The client's address.
    #[must_use]
    pub fn client(&self) -> SocketAddr {
        self.client
    }

    /// How far the exchange has come.
    #[must_use]
    pub fn stage(&self) -> Stage {
        STAGES[usize::from(self.stage.load(Ordering::Relaxed) & STAGE_MASK)]
    }

    /// How many machines it was led to, at most 31 of them counted.
    #[must_use]
    pub fn attempts(&self) -> u8 {
        self.stage.load(Ordering::Relaxed) / ONE_ATTEMPT
    }

    /// The request id.
    #[must_use]
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// Ends the exchange at its next turn. False if that was done before.
    pub fn end(&self, ending: Ending) -> bool {
        let bit = match ending {
            Ending::Operator => ENDED,
            Ending::ClientVanished => CLIENT_VANISHED,
            Ending::MachineVanished => MACHINE_VANISHED,
        };
        let is_first = self.ends.fetch_or(bit, Ordering::Release) & !OVER == 0;
        self.waker.wake();
        is_first
    }

    pub(crate) fn elapsed_ms(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_millis()).unwrap_or(u32::MAX)
    }

    fn progressed(&self) {
        self.progress_ms.store(self.elapsed_ms(), Ordering::Relaxed);
    }
}

impl Observer for Record {
    fn responded(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
        self.first_byte.set(self.started.elapsed());
        self.enter(Stage::Streaming);
    }

    // One task owns the exchange, so that a load and a store do what a locked addition would.
    fn sent(&self, bytes: usize) {
        self.sent.store(self.sent.load(Ordering::Relaxed) + bytes as u64, Ordering::Relaxed);
        self.progressed();
    }

    fn beaten(&self, bytes: usize) {
        // Bytes on the wire, but no progress.
        self.sent.store(self.sent.load(Ordering::Relaxed) + bytes as u64, Ordering::Relaxed);
    }

    fn received(&self, bytes: usize) {
        let received = self.received.load(Ordering::Relaxed) + bytes as u64;
        self.received.store(received, Ordering::Relaxed);
        self.progressed();
    }
}

impl Observe {
    /// Observes `services` from `shards` worker threads.
    #[must_use]
    pub fn new(region: &str, services: &[String], shards: usize) -> Arc<Self> {
        let pool = Arc::new(OnceLock::new());
        Arc::new(Self {
            metrics: Metrics::new(services, Arc::clone(&pool)),
            services: services.to_vec(),
            region: region.to_owned(),
            shards: std::iter::repeat_with(Shard::default).take(shards).collect(),
            machines: RwLock::default(),
            pool,
            queue: OnceLock::new(),
            evidence: OnceLock::new(),
            started: clock::now(),
            live: AtomicUsize::new(0),
            none_live: Notify::new(),
            unhealed: AtomicUsize::new(0),
            cut: OnceLock::new(),
        })
    }

    /// The region that request ids end in.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Tells a machine's name; the slot stands for it in records.
    pub fn name_machine(&self, name: &str) -> MachineSlot {
        let mut machines = self.machines.write().expect("nobody panics with the names");
        let index = machines.iter().position(|other| other == name).unwrap_or_else(|| {
            machines.push(name.to_owned());
            machines.len() - 1
        });
        MachineSlot(u32::try_from(index).expect("fewer than four billion machines"))
    }

    /// The name of a machine.
    #[must_use]
    pub fn machine_name(&self, slot: MachineSlot) -> String {
        let machines = self.machines.read().expect("nobody panics with the names");
        machines.get(slot.0 as usize).cloned().unwrap_or_default()
    }

    /// An exchange begins in the worker thread of `shard`.
    pub fn begin(self: &Arc<Self>, shard: usize, start: ExchangeStart) -> RecordGuard {
        let record = Arc::new(Record {
            id: start.id,
            client: start.client,
            method: start.method,
            path: start.path,
            started: clock::now(),
            service: u16::try_from(start.service).expect("a plan has few services"),
            stage: AtomicU8::new(0),
            ends: AtomicU8::new(0),
            status: AtomicU16::new(0),
            port: AtomicU16::new(0),
            machine: AtomicU32::new(NO_MACHINE),
            queued: Lapse::never(),
            first_byte: Lapse::never(),
            progress_ms: AtomicU32::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            waker: AtomicWaker::new(),
        });
        let key = self.shards[shard].lock().insert(Arc::clone(&record));
        self.live.fetch_add(1, Ordering::Relaxed);
        RecordGuard {
            observe: Arc::clone(self),
            record,
            shard: u16::try_from(shard).expect("a machine has few cores"),
            key: u32::try_from(key).expect("fewer than four billion exchanges"),
            outcome: None,
        }
    }

    /// Waits until no exchange is in progress.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn none_live(&self) {
        loop {
            let notified = self.none_live.notified();
            if self.live.load(Ordering::Relaxed) == 0 {
                return;
            }
            notified.await;
        }
    }

    /// How many exchanges are in progress.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// The grace of the drain is over: exchanges dropped from now on were cut by it.
    pub fn cut_by_drain(&self, grace: Duration) {
        // Only the first drain counts.
        self.cut.set(grace).ok();
    }

    /// Ends an exchange on behalf of an operator. False if there is none of that id.
    pub fn end(&self, id: RequestId) -> bool {
        let records = self.records();
        let found = records.iter().find(|record| record.id == id);
        if let Some(record) = found {
            record.end(Ending::Operator);
        }
        found.is_some()
    }

    /// The records of the exchanges in progress.
    #[must_use]
    pub fn records(&self) -> Vec<Arc<Record>> {
        let live = |shard: &Shard| -> Vec<_> {
            shard.lock().iter().map(|(_, record)| Arc::clone(record)).collect()
        };
        self.shards.iter().flat_map(live).collect()
    }
}

impl Shard {
    pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, Slab<Arc<Record>>> {
        self.0.lock().expect("no code panics while it holds the lock")
    }
}

impl RecordGuard {
    /// The record, to be updated on the way.
    #[must_use]
    pub fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// Writes the record.
    pub fn finish(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

#[cfg(test)]
mod tests;
