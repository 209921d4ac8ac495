//! The clocks of an exchange at a machine.
//!
//! However many of them run, an exchange has one timer, and it is not set anew for every chunk: when it goes off, each clock is
//! read, and the timer set to when the first of them could run out. A clock that does not run now could start at once, and
//! then runs out its whole time later at the earliest.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use outlast_config::RouteClocks;
use outlast_http1::{Exchange, Tunnel};
use outlast_observe::{Record, TimedClock};
use outlast_runtime::clock::{self, Instant};

/// What an exchange does at this moment, as far as clocks care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Situation {
    pub(crate) phase: Phase,
    /// Whether bytes wait for the client.
    pub(crate) waits_for_client: bool,
    /// Whether bytes wait for the machine.
    pub(crate) waits_for_machine: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The machine takes the request.
    Requesting,
    /// It has all of it, and no final head has come.
    Answering,
    /// The response, or a tunnel.
    Streaming,
}

impl From<&Exchange> for Situation {
    fn from(exchange: &Exchange) -> Self {
        let phase = if exchange.has_final_head() {
            Phase::Streaming
        } else if exchange.is_request_taken() {
            Phase::Answering
        } else {
            Phase::Requesting
        };
        let (waits_for_client, waits_for_machine) =
            (exchange.waits_for_client(), exchange.waits_for_machine());
        Self { phase, waits_for_client, waits_for_machine }
    }
}

impl From<&Tunnel> for Situation {
    fn from(tunnel: &Tunnel) -> Self {
        Self {
            phase: Phase::Streaming,
            waits_for_client: tunnel.waits_for_client(),
            waits_for_machine: tunnel.waits_for_machine(),
        }
    }
}

/// The clocks that run. Takes no memory where none may.
#[derive(Debug, Default)]
pub(crate) struct Clocks(Option<Box<Running>>);

#[derive(Debug)]
struct Running {
    timer: Pin<Box<clock::Sleep>>,
    /// Since when the exchange is at a machine.
    dispatched: Instant,
    /// Since when the machine has had the whole request.
    taken: Option<Instant>,
    /// Since when bytes wait for the client, and what it had taken then.
    stalled: Option<(Instant, u64)>,
}

impl Clocks {
    /// Ready with the clock that has run out. To be polled whenever the exchange has been and is not done.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        clocks: &RouteClocks,
        record: &Record,
        situation: impl FnOnce() -> Situation,
    ) -> Poll<TimedClock> {
        let Some(shortest) = shortest(clocks) else { return Poll::Pending };
        let situation = situation();
        let running = self.0.get_or_insert_with(|| {
            // One that runs already may have little time left: how little is read when the timer goes off at once.
            let timer = Box::pin(clock::sleep(Duration::ZERO));
            let dispatched = clock::now();
            Box::new(Running { timer, dispatched, taken: None, stalled: None })
        });
        running.notice(situation, record);
        while running.timer.as_mut().poll(cx).is_ready() {
            let mut next = clock::now() + shortest;
            for (clock, time) in each(clocks) {
                let Some(start) = running.start(clock, situation, record) else { continue };
                if start.elapsed() >= time {
                    return Poll::Ready(clock);
                }
                next = next.min(start + time);
            }
            running.timer.as_mut().reset(next);
        }
        Poll::Pending
    }
}

impl Running {
    /// Keeps what only a moment tells.
    fn notice(&mut self, situation: Situation, record: &Record) {
        match situation.phase {
            Phase::Answering => {
                self.taken.get_or_insert_with(clock::now);
            }
            Phase::Requesting | Phase::Streaming => self.taken = None,
        }
        let sent = record.bytes_sent();
        match self.stalled {
            _ if !situation.waits_for_client => self.stalled = None,
            Some((_, then)) if then == sent => {}
            _ => self.stalled = Some((clock::now(), sent)),
        }
    }

    /// Since when a clock runs. None: it does not.
    fn start(&self, clock: TimedClock, situation: Situation, record: &Record) -> Option<Instant> {
        let moves = !situation.waits_for_client && !situation.waits_for_machine;
        match clock {
            TimedClock::Lifetime => Some(record.started()),
            TimedClock::ResponseHead => self.taken,
            TimedClock::ChunkGap => {
                let runs = situation.phase == Phase::Streaming && moves;
                runs.then(|| record.last_progress().max(self.dispatched))
            }
            TimedClock::WriteStall => self.stalled.map(|(since, _)| since),
            // They run before the exchange is at a machine.
            TimedClock::Connect | TimedClock::Head => None,
        }
    }
}

/// The clocks that are on.
fn each(clocks: &RouteClocks) -> impl Iterator<Item = (TimedClock, Duration)> {
    let all = [
        (TimedClock::Lifetime, clocks.lifetime),
        (TimedClock::ResponseHead, clocks.response_head),
        (TimedClock::ChunkGap, clocks.chunk_gap),
        (TimedClock::WriteStall, clocks.write_stall),
    ];
    all.into_iter().filter_map(|(clock, time)| Some((clock, time?)))
}

fn shortest(clocks: &RouteClocks) -> Option<Duration> {
    each(clocks).map(|(_, time)| time).min()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::sync::Arc;

    use outlast_http1::Observer;
    use outlast_observe::{ExchangeStart, Observe, Outcome, RecordGuard, RequestId};

    use super::*;

    const fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    const OFF: RouteClocks = RouteClocks {
        connect: Duration::from_secs(5),
        response_head: None,
        chunk_gap: None,
        lifetime: None,
        write_stall: None,
    };
    const REQUESTING: Situation =
        Situation { phase: Phase::Requesting, waits_for_client: false, waits_for_machine: false };
    const ANSWERING: Situation = Situation { phase: Phase::Answering, ..REQUESTING };
    const STREAMING: Situation = Situation { phase: Phase::Streaming, ..REQUESTING };
    const STALLED: Situation = Situation { waits_for_client: true, ..STREAMING };

    struct Scene {
        clocks: Clocks,
        ours: RouteClocks,
        guard: RecordGuard,
        situation: Cell<Situation>,
    }

    impl Scene {
        fn new(ours: RouteClocks) -> Self {
            let observe: Arc<Observe> = Observe::new("local", &["http".to_owned()], 1);
            let start = ExchangeStart {
                id: RequestId::generate(),
                service: 0,
                client: "127.0.0.1:1".parse().expect("an address"),
                method: "GET".into(),
                path: "/".into(),
            };
            let (guard, situation) = (observe.begin(0, start), Cell::new(REQUESTING));
            Self { clocks: Clocks::default(), ours, guard, situation }
        }

        /// Lets so many seconds pass in a situation. What ran out, and in which second.
        async fn pass(&mut self, situation: Situation, seconds: u64) -> Option<(TimedClock, u64)> {
            self.situation.set(situation);
            let start = clock::now();
            let Self { clocks, ours, guard, situation } = self;
            let poll = poll_fn(|cx| clocks.poll(cx, ours, guard.record(), || situation.get()));
            let ended = clock::timeout(Duration::from_secs(seconds), poll).await;
            Some((ended.ok()?, start.elapsed().as_secs()))
        }

        fn end(self) {
            self.guard.finish(Outcome::Completed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn none_runs_by_default_and_takes_no_memory() {
        let mut scene = Scene::new(OFF);
        for situation in [REQUESTING, ANSWERING, STREAMING, STALLED] {
            assert_eq!(scene.pass(situation, 36_000).await, None);
        }
        assert!(scene.clocks.0.is_none());
        assert_eq!(size_of::<Clocks>(), 8);
        scene.end();
    }

    #[tokio::test(start_paused = true)]
    async fn response_head_runs_from_the_last_byte_of_the_request() {
        let mut scene = Scene::new(RouteClocks { response_head: seconds(10), ..OFF });
        assert_eq!(scene.pass(REQUESTING, 25).await, None, "an upload may take its time");
        assert_eq!(scene.pass(ANSWERING, 60).await, Some((TimedClock::ResponseHead, 10)));
        scene.end();
        let mut scene = Scene::new(RouteClocks { response_head: seconds(10), ..OFF });
        assert_eq!(scene.pass(ANSWERING, 9).await, None);
        assert_eq!(scene.pass(STREAMING, 600).await, None);
        scene.end();
    }

    #[tokio::test(start_paused = true)]
    async fn chunk_gap_runs_while_everybody_takes_what_there_is() {
        let mut scene = Scene::new(RouteClocks { chunk_gap: seconds(10), ..OFF });
        assert_eq!(scene.pass(ANSWERING, 600).await, None, "the response has not begun");
        for _ in 0..5 {
            scene.guard.record().sent(1);
            assert_eq!(scene.pass(STREAMING, 9).await, None);
        }
        scene.guard.record().received(1);
        assert_eq!(scene.pass(STREAMING, 9).await, None, "bytes of either side count");
        assert_eq!(scene.pass(STALLED, 600).await, None, "that is no silence of the machine");
        scene.guard.record().sent(1);
        assert_eq!(scene.pass(STREAMING, 60).await, Some((TimedClock::ChunkGap, 10)));
        scene.end();
    }

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_that_waited_for_its_place_has_its_whole_gap() {
        let mut scene = Scene::new(RouteClocks { chunk_gap: seconds(10), ..OFF });
        clock::sleep(Duration::from_secs(9)).await;
        assert_eq!(scene.pass(STREAMING, 60).await, Some((TimedClock::ChunkGap, 10)));
        scene.end();
    }

    #[tokio::test(start_paused = true)]
    async fn write_stall_runs_while_the_client_takes_nothing() {
        let mut scene = Scene::new(RouteClocks { write_stall: seconds(10), ..OFF });
        assert_eq!(scene.pass(STREAMING, 600).await, None, "silence is no stall");
        for _ in 0..5 {
            assert_eq!(scene.pass(STALLED, 9).await, None, "a slow reader is not a stalled one");
            scene.guard.record().sent(1);
        }
        assert_eq!(scene.pass(STREAMING, 60).await, None);
        assert_eq!(scene.pass(STALLED, 60).await, Some((TimedClock::WriteStall, 10)));
        scene.end();
    }

    #[tokio::test(start_paused = true)]
    async fn lifetime_runs_from_the_beginning_whatever_happens() {
        let mut scene = Scene::new(RouteClocks { lifetime: seconds(100), ..OFF });
        clock::sleep(Duration::from_secs(30)).await;
        assert_eq!(scene.pass(ANSWERING, 30).await, None);
        scene.guard.record().sent(1);
        assert_eq!(scene.pass(STALLED, 30).await, None);
        assert_eq!(scene.pass(STREAMING, 60).await, Some((TimedClock::Lifetime, 10)));
        scene.end();
    }

    /// The one timer is set for the clock that can run out first, also for one that does not run yet.
    #[tokio::test(start_paused = true)]
    async fn a_short_clock_is_not_overlooked_beside_a_long_one() {
        let mut scene =
            Scene::new(RouteClocks { lifetime: seconds(3600), chunk_gap: seconds(7), ..OFF });
        assert_eq!(scene.pass(ANSWERING, 61).await, None);
        scene.guard.record().sent(1);
        assert_eq!(scene.pass(STREAMING, 60).await, Some((TimedClock::ChunkGap, 7)));
        scene.end();
    }
}
