//! The ledger (rule 6): permits out = the gauge = what the sockets say, checked continuously, explained and set right.
//!
//! What is compared is read while exchanges come and go. A place, a record and a socket are one thing for as long as an
//! exchange lives, and for a moment at its ends they are not; so a disagreement is a suspicion first, about one place, one
//! exchange or one socket, and a mismatch only when it has lasted for longer than any such moment may.

mod sockets;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use outlast_admission::{Held, LeaseId, Ledger};
use outlast_http1::Stage;
use outlast_observe::{Mismatch, Record, RequestId};
use outlast_runtime::clock;

use crate::gateway::Shared;
use crate::service::Service;
pub(crate) use sockets::UpstreamSocket;
use sockets::{OpenSockets, Ports};

/// A suspicion is looked at in so many checks before it is a mismatch,
const CHECKS: u32 = 3;
/// and for so long: an exchange without a place may still write its answer for two seconds, and for longer where threads wait
/// for a core. With three seconds a starved test found two such exchanges in 600,000 wrong, which were not.
const PATIENCE: Duration = Duration::from_secs(10);
/// A socket that nobody accounts for takes no place, and may be somebody's for a while: a health check's, for as long as
/// that one may take.
const STRAY_PATIENCE: Duration = Duration::from_secs(60);

/// What may be wrong, named so that the next check knows it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Suspect {
    Place(usize, LeaseId),
    Exchange(RequestId),
    /// By its inode, which no other socket has while it exists.
    Socket(u64),
    Sums(usize),
}

/// What a check has found.
#[derive(Debug)]
struct Finding {
    suspect: Suspect,
    mismatch: Mismatch,
    service: usize,
    holder: Option<Arc<Record>>,
    /// It becomes a mismatch when it has lasted for so long.
    patience: Duration,
    detail: String,
}

/// A finding of earlier checks that has not gone away.
#[derive(Debug)]
struct Suspicion {
    mismatch: Mismatch,
    since: clock::Instant,
    checks: u32,
    /// The last known inode of the socket that is missing.
    inode: Option<u64>,
    state: SuspicionState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SuspicionState {
    Open,
    /// It was looked into, and all is well: a socket of another process, or one that was reset and is not read yet.
    Explained,
    /// It was told, and what can be done was done.
    Told,
}

/// Compares, and remembers what it suspects: some 100 bytes each, and normally nothing but connections that linger.
pub(crate) struct Checker {
    shared: Arc<Shared>,
    suspicions: HashMap<Suspect, Suspicion>,
    /// Of each service, how many double releases have been told.
    released_twice: Vec<u64>,
    /// The sockets of the last check.
    sockets: OpenSockets,
}

impl Checker {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            suspicions: HashMap::new(),
            released_twice: vec![0; shared.services.len()],
            sockets: OpenSockets::default(),
            shared,
        }
    }

    /// One check: compares, suspects, and acts on what has been suspected for long enough.
    pub(crate) fn check(&mut self, now: clock::Instant, sockets: Option<&[UpstreamSocket]>) {
        let before = std::mem::take(&mut self.sockets);
        self.sockets = sockets.map(OpenSockets::new).unwrap_or_default();
        let findings = self.compare(sockets);
        let mut still = HashMap::with_capacity(findings.len());
        let mut unhealed = 0;
        for finding in findings {
            let known = self.suspicions.remove(&finding.suspect);
            let known = known.filter(|known| known.mismatch == finding.mismatch);
            let mut suspicion = known.unwrap_or_else(|| Suspicion {
                mismatch: finding.mismatch,
                since: now,
                checks: 0,
                inode: finding.lost_port().and_then(|port| before.inode(port)),
                state: SuspicionState::Open,
            });
            suspicion.checks += 1;
            let is_due = suspicion.checks >= CHECKS && now - suspicion.since >= finding.patience;
            if is_due && suspicion.state == SuspicionState::Open {
                suspicion.state = self.judge(&finding, &suspicion);
            } else if suspicion.state == SuspicionState::Told && finding.takes_place() {
                unhealed += 1;
            }
            still.insert(finding.suspect, suspicion);
        }
        self.suspicions = still;
        self.tell_double_releases();
        self.shared.observe.set_ledger_unhealed(unhealed);
    }

    /// Whether everything added up at the last check.
    pub(crate) fn suspects_nothing(&self) -> bool {
        self.suspicions.is_empty()
    }

    /// What does not add up at this moment.
    fn compare(&self, sockets: Option<&[UpstreamSocket]>) -> Vec<Finding> {
        let records = self.shared.observe.records();
        let mut ports = Ports::default();
        let mut findings = Vec::new();
        for service in &self.shared.services {
            let mut view =
                View { sockets: sockets.is_some().then_some(&self.sockets), ..View::new(service) };
            let mut waiting = Vec::new();
            let idle_timeout = self.shared.plan.upstream.idle_timeout;
            let ledger = service.admission.audit(
                |held| view.held(&held, idle_timeout, &mut ports),
                |record| waiting.push(Arc::as_ptr(record).addr()),
            );
            view.holders.append(&mut waiting);
            view.sums(ledger);
            view.holders.sort_unstable();
            let head = service.plan.clocks.head;
            let own = records.iter().filter(|record| record.service() == service.index);
            own.for_each(|record| view.record(record, head));
            findings.append(&mut view.findings);
        }
        if let Some(sockets) = sockets {
            for pool in &self.shared.pools {
                pool.ports(ports.as_mut());
            }
            findings.extend(sockets::strays(&self.shared.services, sockets, ports));
        }
        findings
    }

    /// It has lasted. Says what came of it.
    fn judge(&self, finding: &Finding, suspicion: &Suspicion) -> SuspicionState {
        let is_open = || match finding.suspect {
            Suspect::Socket(inode) => sockets::is_ours(inode),
            _ => suspicion.inode.and_then(sockets::is_ours),
        };
        let is_explained = match finding.mismatch {
            Mismatch::SocketWithoutExchange => is_open() != Some(true),
            // The kernel forgets a connection that was reset; the exchange learns of it when it has relayed what came before.
            Mismatch::PlaceWithoutSocket => is_open() != Some(false),
            _ => false,
        };
        if is_explained {
            return SuspicionState::Explained;
        }
        let Finding { suspect, mismatch, service, holder, detail, .. } = finding;
        let admission = &self.shared.services[*service].admission;
        // False: it has ended at this very moment, and was none.
        let is_true = match (suspect, holder) {
            (Suspect::Place(_, lease), holder) => {
                let is_out = admission.take_back(*lease);
                // Without a connection to its machine, nothing more can come of it.
                if let Some(record) = holder.as_ref().filter(|_| is_out) {
                    self.shared.observe.close(record);
                }
                is_out
            }
            (Suspect::Exchange(_), Some(record)) => self.shared.observe.close(record),
            (Suspect::Sums(_), _) => {
                admission.rebalance();
                true
            }
            (Suspect::Exchange(_) | Suspect::Socket(_), _) => true,
        };
        if is_true {
            self.shared.observe.ledger_mismatch(*service, *mismatch, holder.as_deref(), detail);
        }
        SuspicionState::Told
    }

    fn tell_double_releases(&mut self) {
        for (service, told) in self.shared.services.iter().zip(&mut self.released_twice) {
            let released_twice = service.admission.ledger().released_twice;
            for _ in *told..released_twice {
                let mismatch = Mismatch::ReleasedTwice;
                self.shared.observe.ledger_mismatch(service.index, mismatch, None, "");
            }
            *told = released_twice;
        }
    }
}

impl Finding {
    /// The port whose socket is missing.
    fn lost_port(&self) -> Option<u16> {
        let is_lost = self.mismatch == Mismatch::PlaceWithoutSocket;
        self.holder.as_ref().filter(|_| is_lost)?.port()
    }

    fn takes_place(&self) -> bool {
        self.mismatch != Mismatch::SocketWithoutExchange
    }
}

/// One service as a check sees it.
struct View<'a> {
    service: &'a Service,
    /// None where they are not known.
    sockets: Option<&'a OpenSockets>,
    /// The records that hold a place or wait for one, by where they are.
    holders: Vec<usize>,
    findings: Vec<Finding>,
}

impl<'a> View<'a> {
    fn new(service: &'a Service) -> Self {
        Self { service, sockets: None, holders: Vec::new(), findings: Vec::new() }
    }

    /// A place that is taken. Called under admission's lock.
    fn held(&mut self, held: &Held<'_, Arc<Record>>, idle_timeout: Duration, ports: &mut Ports) {
        let Some(holder) = held.holder else { return };
        self.holders.push(Arc::as_ptr(holder).addr());
        let port = holder.port();
        ports.extend(port);
        let is_missing = |port| self.sockets.is_some_and(|sockets| !sockets.has(port));
        let (mismatch, patience) = match (holder.is_over(), held.is_lingering) {
            (true, false) => (Mismatch::PlaceWithoutExchange, PATIENCE),
            // Sooner or later its connection is closed.
            (true, true) => (Mismatch::PlaceWithoutExchange, PATIENCE + idle_timeout),
            (false, false) if port.is_some_and(is_missing) => {
                (Mismatch::PlaceWithoutSocket, PATIENCE)
            }
            (false, _) => return,
        };
        let suspect = Suspect::Place(self.service.index, held.lease);
        self.find(suspect, mismatch, Some(holder), patience, String::new);
    }

    /// An exchange in progress, against who holds a place or waits for one.
    fn record(&mut self, record: &Arc<Record>, head: Duration) {
        let has_place = self.holders.binary_search(&Arc::as_ptr(record).addr()).is_ok();
        if has_place || record.is_over() {
            return;
        }
        let patience = match record.stage() {
            // It asks for a place when its body is there, and has the clock of the head for that.
            Stage::Receiving => PATIENCE + head,
            _ => PATIENCE,
        };
        let suspect = Suspect::Exchange(record.id());
        self.find(suspect, Mismatch::ExchangeWithoutPlace, Some(record), patience, String::new);
    }

    fn sums(&mut self, ledger: Ledger) {
        let Ledger { leases, permits, is_balanced, queued, waiting, .. } = ledger;
        if leases == permits && is_balanced && queued == waiting {
            return;
        }
        let detail = || {
            let gauges = if is_balanced { "agree" } else { "do not agree" };
            format!(
                "{leases} places, {permits} permits, a queue of {queued}, {waiting} who wait, and the gauges {gauges} \
                 with the places"
            )
        };
        self.find(Suspect::Sums(self.service.index), Mismatch::Sums, None, PATIENCE, detail);
    }

    fn find(
        &mut self,
        suspect: Suspect,
        mismatch: Mismatch,
        holder: Option<&Arc<Record>>,
        patience: Duration,
        detail: impl FnOnce() -> String,
    ) {
        let (service, holder, detail) = (self.service.index, holder.cloned(), detail());
        self.findings.push(Finding { suspect, mismatch, service, holder, patience, detail });
    }
}
