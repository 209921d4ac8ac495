//! The end of a record: exactly one outcome, whoever writes it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{MachineSlot, NO_MACHINE, OVER, Observe, Record, RecordGuard};
use crate::outcome::Outcome;

impl Drop for RecordGuard {
    fn drop(&mut self) {
        let cut = || self.observe.cut.get().map(|grace| Outcome::CutByDrain { grace: *grace });
        let outcome = self.outcome.or_else(cut).unwrap_or(Outcome::Internal);
        self.observe.settle(&self.record, outcome, || (self.shard.into(), self.key as usize));
    }
}

impl Observe {
    /// Writes the outcome of an exchange, unless that was done already, and takes its record from its place.
    pub(crate) fn settle(
        &self,
        record: &Record,
        outcome: Outcome,
        place: impl FnOnce() -> (usize, usize),
    ) -> bool {
        let before = record.ends.fetch_or(OVER, Ordering::AcqRel);
        if before & OVER != 0 {
            return false;
        }
        let (shard, key) = place();
        drop(self.shards[shard].lock().try_remove(key));
        let duration = record.started.elapsed();
        self.metrics.finished(
            usize::from(record.service),
            &crate::metrics::Totals {
                outcome,
                was_dispatched: record.machine.load(Ordering::Relaxed) != NO_MACHINE,
                queued: record.queued.get(),
                first_byte: record.first_byte.get(),
                duration,
                sent: record.sent.load(Ordering::Relaxed),
                received: record.received.load(Ordering::Relaxed),
            },
        );
        if before == 0
            && let Some(reason) = outcome.release()
        {
            self.log_release(record, reason);
        }
        self.log(record, outcome, duration);
        if self.live.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.none_live.notify_waiters();
        }
        true
    }

    /// A peer was found to have vanished by the kernel, and not by us, who would have said so.
    fn log_release(&self, record: &Record, reason: &'static str) {
        tracing::warn!(
            request_id = %format_args!("{}-{}", record.id, self.region),
            service = self.services[usize::from(record.service)],
            client = %record.client,
            reason,
            evidence = "the kernel gave the connection up: keepalive or retransmissions had no answer",
            "a peer has vanished: its exchange is released"
        );
    }

    fn log(&self, record: &Record, outcome: Outcome, duration: Duration) {
        tracing::info!(
            target: "outlast::access",
            request_id = %format_args!("{}-{}", record.id, self.region),
            client = %record.client,
            service = self.services[usize::from(record.service)],
            method = &*record.method,
            path = &*record.path,
            status = record.status.load(Ordering::Relaxed),
            machine = self.machine_of(record).unwrap_or_default(),
            outcome = outcome.name(),
            detail = outcome.detail(),
            cause = outcome.cause(),
            rule = outcome.rule(),
            attempts = record.attempts(),
            sent_bytes = record.sent.load(Ordering::Relaxed),
            received_bytes = record.received.load(Ordering::Relaxed),
            queued_ms = record.queued.milliseconds(),
            first_byte_ms = record.first_byte.milliseconds(),
            duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        );
    }

    pub(crate) fn machine_of(&self, record: &Record) -> Option<String> {
        let machine = record.machine.load(Ordering::Relaxed);
        (machine != NO_MACHINE).then(|| self.machine_name(MachineSlot(machine)))
    }
}
