//! What is told when permits, gauge and sockets disagree, and by whom a place was held.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::outcome::Outcome;
use crate::record::{Observe, Record};

/// Two columns of the ledger disagree (rule 6 of docs/admission.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mismatch {
    /// A place is taken for an exchange that is over, and no connection of it lingers.
    PlaceWithoutExchange,
    /// A place is taken for an exchange that has lost its connection to the machine and does not know it.
    PlaceWithoutSocket,
    /// An exchange is listed that waits for no place and has none.
    ExchangeWithoutPlace,
    /// A connection to a machine is open that serves nobody and that no pool keeps.
    SocketWithoutExchange,
    /// A place was given back twice.
    ReleasedTwice,
    /// Permits, gauge and sockets add up to different numbers.
    Sums,
}

impl Mismatch {
    /// The name in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PlaceWithoutExchange => "place without exchange",
            Self::PlaceWithoutSocket => "place without socket",
            Self::ExchangeWithoutPlace => "exchange without place",
            Self::SocketWithoutExchange => "socket without exchange",
            Self::ReleasedTwice => "released twice",
            Self::Sums => "sums",
        }
    }

    /// What is done about it.
    fn remedy(self) -> &'static str {
        match self {
            Self::PlaceWithoutExchange => "the place was taken back",
            Self::PlaceWithoutSocket => "the place was taken back, and its record closed",
            Self::ExchangeWithoutPlace => "its record was closed",
            Self::SocketWithoutExchange => "none: it stays open until the process ends",
            Self::ReleasedTwice => "none needed: the second time changed nothing",
            Self::Sums => "the sums were set to what the places say",
        }
    }
}

impl Observe {
    /// Permits, gauge and sockets were seen to disagree, and `detail` says in what: counted, and logged with the history
    /// of the holder.
    pub fn ledger_mismatch(
        &self,
        service: usize,
        mismatch: Mismatch,
        holder: Option<&Record>,
        detail: &str,
    ) {
        self.metrics.ledger_mismatches[service].inc();
        let id = holder.map(|record| format!("{}-{}", record.id, self.region));
        tracing::error!(
            service = self.services[service],
            mismatch = mismatch.name(),
            remedy = mismatch.remedy(),
            detail,
            request_id = id.as_deref().unwrap_or_default(),
            client = holder.map(|record| record.client.to_string()).unwrap_or_default(),
            method = holder.map_or("", |record| &*record.method),
            path = holder.map_or("", |record| &*record.path),
            machine = holder.and_then(|record| self.machine_of(record)).unwrap_or_default(),
            history = holder.map(Record::history).unwrap_or_default(),
            "permits, gauge and sockets disagree: this is a defect, please report it"
        );
    }

    /// So many mismatches stand after what was done about them.
    pub fn set_ledger_unhealed(&self, count: usize) {
        self.unhealed.store(count, Ordering::Relaxed);
    }

    /// How many mismatches stand now.
    #[must_use]
    pub fn ledger_unhealed(&self) -> usize {
        self.unhealed.load(Ordering::Relaxed)
    }

    /// Closes a record that nobody owns any more; should its guard be dropped after all, that changes nothing. False if
    /// it was closed meanwhile.
    pub fn close(&self, record: &Arc<Record>) -> bool {
        let place = || {
            let in_shard = |shard: &crate::record::Shard| {
                let shard = shard.lock();
                shard.iter().find(|(_, other)| Arc::ptr_eq(other, record)).map(|(key, _)| key)
            };
            let mut shards = self.shards.iter().enumerate();
            shards
                .find_map(|(index, shard)| Some((index, in_shard(shard)?)))
                .expect("a record stays in its place until it is closed, which is done once")
        };
        self.settle(record, Outcome::Internal, place)
    }
}

impl Record {
    /// How far the exchange has come, and when, as far as that is kept.
    #[must_use]
    pub fn history(&self) -> String {
        let seconds = |ms: u32| f64::from(ms) / 1_000.0;
        let short = |time: Duration| format!("{:.3} s", time.as_secs_f64());
        let (age, progress) = (self.elapsed_ms(), self.progress_ms.load(Ordering::Relaxed));
        let mut text = format!("began {:.1} s ago", seconds(age));
        let mut add = |step: std::fmt::Arguments<'_>| {
            text.push_str(", ");
            text.write_fmt(step).expect("writing to a string succeeds");
        };
        match self.queued.get() {
            Some(Duration::ZERO) => add(format_args!("had its place at once or waits for it")),
            Some(queued) => add(format_args!("queued for {}", short(queued))),
            None => add(format_args!("asked for no place")),
        }
        if let Some(port) = self.port() {
            add(format_args!("connected from port {port}"));
        }
        if let Some(first_byte) = self.first_byte.get() {
            let status = self.status.load(Ordering::Relaxed);
            add(format_args!("response {status} after {}", short(first_byte)));
        }
        if progress > 0 {
            let (sent, received) =
                (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed));
            let ago = seconds(age.saturating_sub(progress));
            add(format_args!("last byte {ago:.1} s ago, {received} received and {sent} sent"));
        }
        let stage = self.stage().name();
        match self.is_over() {
            true => add(format_args!("over, in stage {stage}")),
            false => add(format_args!("in stage {stage}")),
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use outlast_http1::{Observer, Stage};

    use super::*;
    use crate::id::RequestId;
    use crate::record::{ExchangeStart, RecordGuard};

    fn begin(observe: &Arc<Observe>) -> RecordGuard {
        observe.begin(
            0,
            ExchangeStart {
                id: RequestId::generate(),
                service: 0,
                client: "127.0.0.1:1".parse().expect("an address"),
                method: "GET".into(),
                path: "/".into(),
            },
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_history_tells_what_is_kept() {
        let observe = Observe::new("sjc", &["http".to_owned()], 1);
        let guard = begin(&observe);
        let record = Arc::clone(guard.record());
        assert_eq!(record.history(), "began 0.0 s ago, asked for no place, in stage queued");
        record.asks_for_place();
        let queued = record.queue();
        tokio::time::advance(Duration::from_millis(1_500)).await;
        drop(queued);
        record.enter(Stage::Waiting);
        record.connected(Some(40_000));
        tokio::time::advance(Duration::from_secs(1)).await;
        record.responded(200);
        record.sent(10);
        tokio::time::advance(Duration::from_secs(60)).await;
        guard.finish(Outcome::Completed);
        assert_eq!(
            record.history(),
            "began 62.5 s ago, queued for 1.500 s, connected from port 40000, response 200 after \
             2.500 s, last byte 60.0 s ago, 0 received and 10 sent, over, in stage streaming"
        );
    }

    #[test]
    fn a_lost_record_is_closed_once_and_nobody_elses_with_it() {
        let observe = Observe::new("sjc", &["http".to_owned()], 2);
        let lost = begin(&observe);
        let record = Arc::clone(lost.record());
        assert!(observe.close(&record));
        assert!(!observe.close(&record), "once");
        assert_eq!(observe.live(), 0);
        let next = begin(&observe);
        drop(lost);
        assert_eq!(observe.live(), 1, "the next exchange has the place of the lost one");
        assert_eq!(observe.exchanges()[0].id, format!("{}-sjc", next.record().id()));
        next.finish(Outcome::Completed);
        let text = observe.metrics_text();
        for outcome in ["internal", "completed"] {
            let line =
                format!("outlast_exchanges_total{{service=\"http\",outcome=\"{outcome}\"}} 1");
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}
