//! What the store costs: `cargo bench -p outlast-streams`. Prints the time on the clock and, what matters more where others work too, of
//! the processors, all threads together.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use outlast_runtime::clock;
use outlast_streams::{
    AppendOrder, CreateOrder, Durability, EndReason, ReadFrom, Segments, Settings, Store,
    StreamName,
};
use tempfile::TempDir;

const RECORD: usize = 300;
const WRITERS: usize = 64;
const READERS: usize = 1_000;

fn main() {
    // As a test it is quick, so that it never rots.
    let scale = if std::env::args().any(|argument| argument == "--bench") { 1 } else { 100 };
    appends("64 writers, durable", Durability::Durable, 100_000 / scale);
    appends("64 writers, relaxed", Durability::Relaxed, 1_000_000 / scale);
    tail(2_000 / scale);
    resume(100_000 / scale);
    many(5_000 / scale);
}

fn name(number: usize) -> StreamName {
    StreamName::parse(&format!("bench/{number}")).expect("a name")
}

fn store() -> (TempDir, Segments) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Segments::open(folder.path(), Settings::default()).expect("it can be written");
    (folder, store)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

/// Of all threads of the process.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("it counts up");
    Duration::new(seconds, u32::try_from(time.tv_nsec).expect("below a second"))
}

/// Tells what one of so many costs.
fn measure<T>(what: &str, count: usize, work: impl FnOnce() -> T) -> T {
    let (began, processors) = (clock::now(), processor_time());
    let result = work();
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    let (clock, processors) = (began.elapsed(), processor_time() - processors);
    println!(
        "{what:40} {count:>9} times {:>10.2} µs each, {:>8.2} µs of processors",
        each(clock),
        each(processors)
    );
    result
}

fn record() -> AppendOrder {
    AppendOrder { messages: vec![Bytes::from_static(&[b'x'; RECORD])], ..AppendOrder::default() }
}

fn appends(what: &str, durability: Durability, count: usize) {
    let (_folder, store) = store();
    let writer = async |number: usize| {
        let name = name(number);
        for _ in 0..count / WRITERS {
            let order = AppendOrder { durability, ..record() };
            store.append(&name, order).await.expect("it is open");
        }
    };
    run(async {
        for number in 0..WRITERS {
            store.create(&name(number), CreateOrder::default()).await.expect("it is new");
        }
    });
    measure(what, count, || {
        run(async {
            join_all((0..WRITERS).map(&writer)).await;
            // Nothing is left to be written.
            let end = Some(EndReason::Complete);
            let order = AppendOrder { end, ..AppendOrder::default() };
            store.append(&name(0), order).await.expect("it is open");
        });
    });
}

fn tail(count: usize) {
    let (_folder, store) = store();
    run(async {
        let name = name(0);
        store.create(&name, CreateOrder::default()).await.expect("it is new");
    });
    let reader = async |_| {
        let name = name(0);
        let mut watch = store.watch(&name).expect("it is there");
        let (mut from, mut bytes) = (ReadFrom::Start, 0);
        loop {
            let chunk = store.read(&name, from, 1 << 16).await.expect("it gave the offset");
            bytes += chunk.bytes();
            if chunk.end().is_some() {
                return bytes;
            }
            from = ReadFrom::Offset(chunk.next);
            if chunk.is_at_tail {
                watch.changed().await;
            }
        }
    };
    let writer = async {
        for number in 0..count {
            let end = (number + 1 == count).then_some(EndReason::Complete);
            store.append(&name(0), AppendOrder { end, ..record() }).await.expect("it is open");
        }
    };
    let delivered = measure("1,000 readers of one stream, delivered", count * READERS, || {
        run(async { tokio::join!(writer, join_all((0..READERS).map(reader))).1 })
    });
    assert!(delivered.iter().all(|bytes| *bytes == count * RECORD));
}

fn resume(count: usize) {
    let (folder, store) = store();
    let middle = run(async {
        store.create(&name(0), CreateOrder::default()).await.expect("it is new");
        let mut middle = None;
        for number in 0..count {
            let order = AppendOrder { durability: Durability::Relaxed, ..record() };
            let appended = store.append(&name(0), order).await.expect("it is open");
            middle = middle.or((number > count / 2).then_some(appended.tail));
        }
        middle.expect("there are two")
    });
    drop(store);
    let open = || Segments::open(folder.path(), Settings::default()).expect("it is a store");
    let store = measure("opening after a kill, per record", count, open);
    let first = || {
        run(async {
            let from = ReadFrom::Offset(middle);
            store.read(&name(0), from, 1 << 16).await.expect("an offset it gave").bytes()
        })
    };
    assert!(measure("first 64 KiB from the middle", 1, first) > RECORD);
    let all = || {
        run(async {
            let (mut from, mut bytes) = (ReadFrom::Start, 0);
            loop {
                let chunk = store.read(&name(0), from, 1 << 18).await.expect("an offset it gave");
                bytes += chunk.bytes();
                from = ReadFrom::Offset(chunk.next);
                if chunk.is_at_tail {
                    return bytes;
                }
            }
        })
    };
    assert_eq!(measure("reading all, per record", count, all), count * RECORD);
}

fn many(count: usize) {
    let (_folder, store) = store();
    let before = resident();
    run(async {
        let streams = (0..count).map(async |number| {
            store.create(&name(number), CreateOrder::default()).await.expect("it is new");
            for _ in 0..10 {
                let order = AppendOrder { durability: Durability::Relaxed, ..record() };
                store.append(&name(number), order).await.expect("it is open");
            }
        });
        join_all(streams).await;
    });
    let each = resident().saturating_sub(before) as f64 / count as f64;
    println!(
        "{count} open streams with 10 records each: {each:.2} KiB of memory each, 8 MiB of the log included"
    );
}

/// KiB of memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has it");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}
