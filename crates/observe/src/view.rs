//! The exchanges in progress, as the pool shows them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use outlast_http1::Stage;
use outlast_protocol::pool;

use crate::id::RequestId;
use crate::record::{Observe, Record};

/// Where the places in the queues come from: of all services, by the exchange that waits.
pub struct QueueSource(pub Box<dyn Fn() -> HashMap<RequestId, pool::Queued> + Send + Sync>);

impl fmt::Debug for QueueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueueSource")
    }
}

/// Fills the states of exchanges and their evidence in.
type Tell = dyn Fn(&[Arc<Record>], &mut [pool::Exchange]) + Send + Sync;

/// Who knows whether exchanges are alive.
pub struct EvidenceSource {
    /// Of some exchanges, which are shown like their records.
    pub tell: Box<Tell>,
    /// Why the kernel tells nothing; None if it does.
    pub missing: Box<dyn Fn() -> Option<String> + Send + Sync>,
}

impl fmt::Debug for EvidenceSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EvidenceSource")
    }
}

impl Observe {
    /// Tells where the places in the queues come from. Only the first source counts.
    pub fn set_queue_source(&self, source: QueueSource) {
        self.queue.set(source).ok();
    }

    /// Tells where states and evidence come from. Only the first source counts.
    pub fn set_evidence_source(&self, source: EvidenceSource) {
        // Err gives the second source back, and there is only one gateway.
        self.evidence.set(source).ok();
    }

    /// Why the kernel tells nothing of connections, so that states are from the times of bytes alone; None if it does.
    #[must_use]
    pub fn evidence_missing(&self) -> Option<String> {
        self.evidence.get().and_then(|source| (source.missing)())
    }

    /// The exchanges in progress, oldest first.
    #[must_use]
    pub fn exchanges(&self) -> Vec<pool::Exchange> {
        // The queue first: who is in it then and has left it since is not shown as queued.
        let mut queued = self.queue.get().map_or_else(HashMap::new, |source| (source.0)());
        let mut records = self.records();
        records.sort_by_key(|record| record.started);
        let views = records.iter().map(|record| {
            let queue = queued.remove(&record.id).filter(|_| record.stage() == Stage::Queued);
            pool::Exchange { queue, ..self.view(record) }
        });
        let mut views: Vec<_> = views.collect();
        if let Some(source) = self.evidence.get() {
            (source.tell)(&records, &mut views);
        }
        views
    }

    fn view(&self, record: &Record) -> pool::Exchange {
        let status = record.status.load(Ordering::Relaxed);
        let age_ms = record.elapsed_ms();
        pool::Exchange {
            id: format!("{}-{}", record.id, self.region),
            service: self.services[usize::from(record.service)].clone(),
            client: record.client.to_string(),
            method: record.method.to_string(),
            path: record.path.to_string(),
            stage: record.stage().name().to_owned(),
            machine: self.machine_of(record),
            attempts: record.attempts(),
            status: (status != 0).then_some(status),
            age_ms: age_ms.into(),
            idle_ms: age_ms.saturating_sub(record.progress_ms.load(Ordering::Relaxed)).into(),
            bytes_sent: record.sent.load(Ordering::Relaxed),
            bytes_received: record.received.load(Ordering::Relaxed),
            queue: None,
            state: String::new(),
            evidence: String::new(),
            client_socket: None,
            machine_socket: None,
        }
    }
}
