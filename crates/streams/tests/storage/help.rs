//! Short ways to ask a store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use outlast_streams::segments::disk::Disk;
use outlast_streams::{
    AppendError, AppendOrder, Appended, Chunk, ContentType, CreateOrder, Created, Durability,
    EndReason, Info, ReadError, ReadFrom, Segments, Settings, Store, StreamName,
};

/// Small segments, so that a test fills many.
pub(crate) fn settings() -> Settings {
    Settings {
        segment_bytes: 2_000,
        sync_delay_max: Duration::from_millis(1),
        recent_bytes_max: 500,
        ..Settings::default()
    }
}

pub(crate) fn open(folder: &Path) -> Segments {
    Segments::open(folder, settings()).expect("the folder can be written")
}

pub(crate) fn open_on(disk: &(impl Disk + Clone)) -> Segments {
    let opened = Segments::open_on(Arc::new(disk.clone()), &crate::sim::root(), settings());
    opened.expect("the disk can be written")
}

pub(crate) fn name(text: &str) -> StreamName {
    StreamName::parse(text).expect("a name")
}

pub(crate) fn json() -> CreateOrder {
    let content_type = Some(ContentType::parse("application/json").expect("a type"));
    CreateOrder { content_type, ..CreateOrder::default() }
}

pub(crate) fn order(text: &str) -> AppendOrder {
    let messages = vec![Bytes::copy_from_slice(text.as_bytes())];
    AppendOrder { messages, ..AppendOrder::default() }
}

pub(crate) fn relaxed(text: &str) -> AppendOrder {
    AppendOrder { durability: Durability::Relaxed, ..order(text) }
}

pub(crate) fn closing(reason: EndReason) -> AppendOrder {
    AppendOrder { end: Some(reason), ..AppendOrder::default() }
}

pub(crate) async fn create(store: &dyn Store, at: &str, order: CreateOrder) -> Info {
    match store.create(&name(at), order).await.expect("it can be created") {
        Created::New(info) => info,
        Created::Existed(info) => panic!("it is there already: {info:?}"),
    }
}

pub(crate) async fn append(
    store: &dyn Store,
    at: &str,
    order: AppendOrder,
) -> Result<Appended, AppendError> {
    store.append(&name(at), order).await
}

pub(crate) async fn read(store: &dyn Store, at: &str, from: ReadFrom) -> Result<Chunk, ReadError> {
    store.read(&name(at), from, usize::MAX).await
}

/// All of a stream.
pub(crate) async fn all(store: &dyn Store, at: &str) -> String {
    text(&read(store, at, ReadFrom::Start).await.expect("it can be read"))
}

pub(crate) fn text(chunk: &Chunk) -> String {
    String::from_utf8(chunk.messages.concat()).expect("text")
}
