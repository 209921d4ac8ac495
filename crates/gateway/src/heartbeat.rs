//! Signs of life in a response that is silent, where its route asks for them.
//!
//! The timer is not set anew for every chunk: when it goes off, the last byte is looked at, and if it was too recently the timer
//! waits for the rest of the time. A sign of life is no progress, so that the clocks and the states see the silence behind it.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use outlast_http1::{Beat, Exchange, Failure, Transport};
use outlast_observe::Record;
use outlast_runtime::clock;

/// The clock of the next sign of life. None while there is nothing to put one into.
#[derive(Debug, Default)]
pub(crate) struct Heartbeat(Option<Pin<Box<clock::Sleep>>>);

impl Heartbeat {
    /// Puts a sign of life into a response that has been silent for `interval`, again and again; `sent` hears of each. To be
    /// polled whenever the exchange has been and is not done.
    pub(crate) fn poll<C: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        interval: Option<Duration>,
        (exchange, client): (&mut Exchange, &mut C),
        record: &Record,
        sent: impl Fn(),
    ) -> Result<(), Failure> {
        let Some(interval) = interval.filter(|_| exchange.may_beat()) else { return Ok(()) };
        let timer = self.0.get_or_insert_with(|| Box::pin(clock::sleep(interval)));
        while timer.as_mut().poll(cx).is_ready() {
            let due = record.last_progress() + interval;
            if due > clock::now() {
                timer.as_mut().reset(due);
                continue;
            }
            // Where it is withheld there is a message to be ended or a client to catch up: both are progress, after which this
            // time begins anew.
            if exchange.beat(cx, client, record)? == Beat::Sent {
                sent();
            }
            timer.as_mut().reset(clock::now() + interval);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::task::Poll;

    use outlast_http1::{
        HeartbeatRule, Inbox, ReadHead, RepeatRule, ReplayRule, ResponseRules, Version,
    };
    use outlast_observe::{ExchangeStart, Observe, Outcome, RecordGuard, RequestId};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(15);
    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n";

    /// A response in the middle of which time passes.
    struct Scene {
        heartbeat: Heartbeat,
        exchange: Exchange,
        inbox: Inbox,
        guard: RecordGuard,
        client: DuplexStream,
        machine: DuplexStream,
        far_client: DuplexStream,
        far_machine: DuplexStream,
        beats: Cell<usize>,
    }

    impl Scene {
        async fn new(head: &str) -> Self {
            let (mut client, mut far_client) = duplex(4096);
            let (machine, far_machine) = duplex(4096);
            far_client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("room");
            let mut inbox = Inbox::default();
            let read = poll_fn(|cx| inbox.poll_request(cx, &mut client, |_| false)).await;
            let ReadHead::Request(mut request) = read else { panic!("no request: {read:?}") };
            let rules = ResponseRules {
                is_head: false,
                client_version: Version::Http11,
                keep_alive: true,
                lines: Box::default(),
                replay: ReplayRule::Ignore,
                repeat: RepeatRule::Never,
                heartbeat: HeartbeatRule::BetweenMessages,
                begun: None,
                buffer_max: 16 * 1024,
                upgrade: None,
            };
            let exchange = Exchange::new(&mut request, b"", rules, &mut inbox).expect("no body");
            let observe: Arc<Observe> = Observe::new("local", &["http".to_owned()], 1);
            let start = ExchangeStart {
                id: RequestId::generate(),
                service: 0,
                client: "127.0.0.1:1".parse().expect("an address"),
                method: "GET".into(),
                path: "/".into(),
            };
            let (guard, heartbeat) = (observe.begin(0, start), Heartbeat::default());
            let beats = Cell::new(0);
            let mut scene = Self {
                heartbeat,
                exchange,
                inbox,
                guard,
                client,
                machine,
                far_client,
                far_machine,
                beats,
            };
            scene.pass(60).await;
            assert!(scene.heartbeat.0.is_none(), "there is no response yet");
            scene.say(head).await;
            scene
        }

        /// The machine says something.
        async fn say(&mut self, text: &str) {
            self.far_machine.write_all(text.as_bytes()).await.expect("room");
            self.pass(0).await;
        }

        /// Lets so many seconds pass. How many signs of life there were.
        async fn pass(&mut self, seconds: u64) -> usize {
            self.beats.set(0);
            let Self { heartbeat, exchange, inbox, guard, client, machine, beats, .. } = self;
            let relay = poll_fn(|cx| {
                let record = guard.record();
                assert!(exchange.poll(cx, client, inbox, machine, &**record).is_pending());
                let sent = || beats.set(beats.get() + 1);
                heartbeat
                    .poll(cx, Some(INTERVAL), (exchange, client), record, sent)
                    .expect("the client is there");
                Poll::<()>::Pending
            });
            let passed = clock::timeout(Duration::from_secs(seconds), relay).await;
            passed.expect_err("it goes on");
            self.beats.get()
        }

        async fn end(mut self) -> String {
            drop(self.client);
            self.guard.finish(Outcome::Completed);
            let mut got = String::new();
            self.far_client.read_to_string(&mut got).await.expect("text");
            let begun = got.find("\r\n\r\n").expect("a head") + 4;
            got.split_off(begun)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_interrupted_once_in_each_interval() {
        let mut scene = Scene::new(HEAD).await;
        assert_eq!((scene.pass(14).await, scene.pass(2).await), (0, 1));
        assert_eq!((scene.pass(13).await, scene.pass(2).await), (0, 1));
        assert_eq!(scene.pass(150).await, 10);
        assert_eq!(scene.guard.record().last_progress(), clock::now() - Duration::from_secs(181));
        scene.say("{}\n").await;
        assert_eq!((scene.pass(14).await, scene.pass(2).await), (0, 1), "from the last byte on");
        assert_eq!(scene.end().await, format!("{}{{}}\n\n", "\n".repeat(12)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_moves_gets_none() {
        let mut scene = Scene::new(HEAD).await;
        for _ in 0..100 {
            scene.say("{}\n").await;
            assert_eq!(scene.pass(14).await, 0);
        }
        assert_eq!(scene.end().await, "{}\n".repeat(100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_in_pieces_is_waited_for_and_then_its_silence_counts() {
        let mut scene = Scene::new(HEAD).await;
        scene.say("{\"a\":").await;
        assert_eq!(scene.pass(50).await, 0);
        scene.say("1}\n").await;
        assert_eq!((scene.pass(14).await, scene.pass(2).await), (0, 1));
        assert_eq!(scene.end().await, "{\"a\":1}\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn other_responses_have_no_clock() {
        let mut scene = Scene::new(&HEAD.replace("application/x-ndjson", "text/html")).await;
        assert_eq!(scene.pass(600).await, 0);
        assert!(scene.heartbeat.0.is_none());
        assert_eq!(scene.end().await, "");
    }

    /// The cost of a silent stream: nothing but a pointer where there are no heartbeats, and else one timer.
    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Heartbeat>(), 8);
        assert!(size_of::<clock::Sleep>() <= 120, "{}", size_of::<clock::Sleep>());
    }
}
