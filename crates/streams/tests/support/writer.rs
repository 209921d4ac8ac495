//! Appends to three streams of a folder until it is killed, and tells what was answered.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use outlast_streams::{
    AppendOrder, CreateOrder, Durability, ReadFrom, Segments, Settings, Store, StreamName,
};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = std::env::args().nth(1).expect("a folder");
    let settings = Settings {
        segment_bytes: 5_000,
        sync_delay_max: Duration::from_millis(1),
        ..Settings::default()
    };
    let store = Segments::open(Path::new(&folder), settings).expect("it can be written");
    join_all((0..3).map(|at| write(&store, at))).await;
}

async fn write(store: &Segments, at: usize) {
    let name = StreamName::parse(&at.to_string()).expect("a name");
    store.create(&name, CreateOrder::default()).await.expect("it can be made");
    let chunk = store.read(&name, ReadFrom::Start, usize::MAX).await.expect("it is there");
    let mut count = chunk.messages.concat().iter().filter(|byte| **byte == b';').count();
    loop {
        // The third one's are answered at once now and then, and told of only when a durable one follows.
        let is_relaxed = at == 2 && count % 3 != 0;
        let durability = if is_relaxed { Durability::Relaxed } else { Durability::Durable };
        let messages = vec![Bytes::from(format!("{count};"))];
        let order = AppendOrder { messages, durability, ..AppendOrder::default() };
        store.append(&name, order).await.expect("it is open");
        count += 1;
        if !is_relaxed {
            let mut out = std::io::stdout().lock();
            writeln!(out, "{at} {count}.").expect("somebody reads");
        }
    }
}
