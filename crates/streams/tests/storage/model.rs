//! Streams in files do what streams in memory do, whatever is asked of them, and opening them again changes nothing.

use std::fmt::Debug;

use bytes::Bytes;
use outlast_streams::{
    AppendError, AppendOrder, CreateError, CreateOrder, Created, DeleteError, Deletion, Durability,
    EndReason, ForkOrder, Limits, Memory, Offset, ProducerMark, ReadError, ReadFrom, Segments,
    Store,
};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

use crate::help::{json, name, open};

#[derive(Debug, Clone)]
enum Step {
    Create {
        at: u8,
        is_json: bool,
        count: u8,
        is_closed: bool,
    },
    Fork {
        at: u8,
        source: u8,
        known: Option<u8>,
        beyond: u8,
    },
    Append {
        at: u8,
        count: u8,
        producer: Option<(u8, u64, u64)>,
        seq: Option<u8>,
        ends: bool,
        waits: bool,
    },
    Read {
        at: u8,
        known: Option<u8>,
        bytes_max: u8,
    },
    Delete {
        at: u8,
        erases: bool,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let at = || 0..4_u8;
    prop_oneof![
        2 => (at(), any::<bool>(), 0..3_u8, any::<bool>())
            .prop_map(|(at, is_json, count, is_closed)| Step::Create { at, is_json, count, is_closed: is_closed && count == 1 }),
        2 => (at(), at(), proptest::option::of(0..20_u8), 0..4_u8)
            .prop_map(|(at, source, known, beyond)| Step::Fork { at, source, known, beyond }),
        8 => (at(), 0..4_u8, proptest::option::weighted(0.3, (0..2_u8, 0..2_u64, 0..4_u64)),
              proptest::option::weighted(0.2, 0..9_u8), 0..12_u8, any::<bool>())
            .prop_map(|(at, count, producer, seq, ends, waits)| Step::Append { at, count, producer, seq, ends: ends == 0, waits }),
        6 => (at(), proptest::option::of(0..40_u8), any::<u8>())
            .prop_map(|(at, known, bytes_max)| Step::Read { at, known, bytes_max }),
        1 => (at(), any::<bool>()).prop_map(|(at, erases)| Step::Delete { at, erases }),
        1 => Just(Step::Reopen),
    ]
}

/// Both stores, and offsets that both have given out in the same place.
struct Pair {
    memory: Memory,
    folder: tempfile::TempDir,
    segments: Option<Segments>,
    known: Vec<(Offset, Offset)>,
    written: usize,
}

/// What can be compared of an answer: not the numbers of streams and tenures.
#[derive(Debug, PartialEq)]
struct Shown(String);

impl Pair {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let segments = Some(open(folder.path()));
        let memory = Memory::new(Limits::default());
        Self { memory, folder, segments, known: Vec::new(), written: 0 }
    }

    fn both(&self) -> [&dyn Store; 2] {
        [&self.memory, self.segments.as_ref().expect("it is open between steps")]
    }

    fn messages(&mut self, count: u8) -> Vec<Bytes> {
        let mut message = |_| {
            self.written += 1;
            Bytes::from(format!("<{}{}>", self.written, "-".repeat(self.written * 5 % 40)))
        };
        (0..count).map(&mut message).collect()
    }

    fn offset(&self, known: Option<u8>) -> [Option<Offset>; 2] {
        let both = known.and_then(|known| self.known.get(usize::from(known)).copied());
        [both.map(|both| both.0), both.map(|both| both.1)]
    }

    fn learn(&mut self, [one, other]: [Option<Offset>; 2]) {
        if let (Some(one), Some(other)) = (one, other)
            && !self.known.contains(&(one, other))
        {
            self.known.push((one, other));
        }
    }

    async fn create(&mut self, at: u8, orders: [CreateOrder; 2]) {
        let name = name(&at.to_string());
        let mut answers = Vec::new();
        for (store, order) in self.both().into_iter().zip(orders) {
            answers.push(store.create(&name, order).await);
        }
        let info = |answer: &Result<Created, CreateError>| match answer {
            Ok(Created::New(info)) => Ok(("new", info.clone())),
            Ok(Created::Existed(info)) => Ok(("existed", info.clone())),
            Err(error) => Err(shown(error)),
        };
        let infos = answers.iter().map(info).collect::<Vec<_>>();
        let seen = infos.iter().map(|info| {
            info.as_ref().map(|(what, info)| {
                let (start, tail) = (info.start.position(), info.tail.position());
                (*what, start, tail, info.end, info.content_type.clone(), info.lifetime)
            })
        });
        let seen: Vec<_> = seen.collect();
        assert_eq!(seen[0], seen[1]);
        let tail = |index: usize| infos[index].as_ref().ok().map(|(_, info)| info.tail);
        self.learn([tail(0), tail(1)]);
    }

    async fn append(&mut self, at: u8, order: AppendOrder) {
        let name = name(&at.to_string());
        let mut answers = Vec::new();
        for store in self.both() {
            answers.push(store.append(&name, order.clone()).await);
        }
        let seen = answers.iter().map(|answer| match answer {
            Ok(done) => Ok((done.tail.position(), done.end, done.freshness, done.producer)),
            Err(AppendError::Closed { reason, tail }) => Err(shown(&(reason, tail.position()))),
            Err(error) => Err(shown(error)),
        });
        let seen: Vec<_> = seen.collect();
        assert_eq!(seen[0], seen[1]);
        let tail = |index: usize| answers[index].as_ref().ok().map(|done| done.tail);
        self.learn([tail(0), tail(1)]);
    }

    async fn read(&mut self, at: u8, known: Option<u8>, bytes_max: u8) {
        let name = name(&at.to_string());
        let mut answers = Vec::new();
        for (store, offset) in self.both().into_iter().zip(self.offset(known)) {
            let from = offset.map_or(ReadFrom::Start, ReadFrom::Offset);
            answers.push(store.read(&name, from, bytes_max.into()).await);
        }
        let seen = answers.iter().map(|answer| match answer {
            // Without boundaries a chunk may have its bytes in other pieces.
            Ok(chunk) => Ok((chunk.messages.concat(), chunk.next.position(), chunk.end())),
            Err(ReadError::Offset(problem)) => Err(shown(problem)),
            Err(error) => Err(shown(error)),
        });
        let seen: Vec<_> = seen.collect();
        assert_eq!(seen[0], seen[1], "from {known:?}");
        let next = |index: usize| answers[index].as_ref().ok().map(|chunk| chunk.next);
        self.learn([next(0), next(1)]);
    }

    async fn delete(&mut self, at: u8, deletion: Deletion) {
        let name = name(&at.to_string());
        let mut answers = Vec::new();
        for store in self.both() {
            let answer: Result<(), DeleteError> = store.delete(&name, deletion).await;
            answers.push(answer.map_err(|error| shown(&error)));
        }
        assert_eq!(answers[0], answers[1]);
    }

    /// Makes sure that all that was answered is durable, and opens the files again.
    fn reopen(&mut self) {
        drop(self.segments.take());
        self.segments = Some(open(self.folder.path()));
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Create { at, is_json, count, is_closed } => {
                let messages = self.messages(count);
                let end = is_closed.then_some(EndReason::Complete);
                let kind = if is_json { json() } else { CreateOrder::default() };
                let order = CreateOrder { messages, end, ..kind };
                self.create(at, [order.clone(), order]).await;
            }
            Step::Fork { at, source, known, beyond } => {
                let source = name(&source.to_string());
                let order = |at| {
                    let fork =
                        Some(ForkOrder { source: source.clone(), at, beyond: beyond.into() });
                    CreateOrder { fork, ..CreateOrder::default() }
                };
                let orders = self.offset(known).map(order);
                self.create(at, orders).await;
            }
            Step::Append { at, count, producer, seq, ends, waits } => {
                let mark = |(id, epoch, seq): (u8, u64, u64)| ProducerMark {
                    id: id.to_string(),
                    epoch,
                    seq,
                };
                let order = AppendOrder {
                    messages: self.messages(count),
                    producer: producer.map(mark),
                    stream_seq: seq.map(|seq| Bytes::from(vec![seq])),
                    end: ends.then_some(EndReason::Aborted),
                    durability: if waits { Durability::Durable } else { Durability::Relaxed },
                    ..AppendOrder::default()
                };
                self.append(at, order).await;
                self.settle(at).await;
            }
            Step::Read { at, known, bytes_max } => self.read(at, known, bytes_max).await,
            Step::Delete { at, erases } => {
                let deletion = if erases { Deletion::Erase } else { Deletion::Forget };
                self.delete(at, deletion).await;
            }
            Step::Reopen => self.reopen(),
        }
    }

    /// Waits until readers see what was appended.
    async fn settle(&self, at: u8) {
        let [memory, segments] = self.both();
        let name = name(&at.to_string());
        let Ok(want) = memory.head(&name) else { return };
        let mut watch = segments.watch(&name).expect("it is there");
        while segments.head(&name).expect("it is there").tail.position() < want.tail.position() {
            watch.changed().await;
        }
    }
}

fn shown(error: &impl Debug) -> Shown {
    Shown(format!("{error:?}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn files_do_what_memory_does(steps in vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let mut pair = Pair::new();
            for step in steps {
                pair.take(step).await;
            }
            for at in 0..4 {
                pair.read(at, None, u8::MAX).await;
            }
        });
    }
}
