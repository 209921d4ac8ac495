//! Short ways to ask a store.

use bytes::Bytes;
use outlast_streams::{
    AppendError, AppendOrder, Appended, Chunk, ContentType, CreateOrder, Created, EndReason,
    ForkOrder, Info, Limits, Offset, ProducerMark, ReadError, ReadFrom, Store, StreamName,
};

pub(crate) fn limits() -> Limits {
    Limits { streams_max: 20, append_bytes_max: 10_000, producers_max: 3, bytes_max: 102_000 }
}

pub(crate) fn name(text: &str) -> StreamName {
    StreamName::parse(text).expect("a name")
}

pub(crate) fn json() -> CreateOrder {
    let content_type = Some(ContentType::parse("application/json").expect("a type"));
    CreateOrder { content_type, ..CreateOrder::default() }
}

pub(crate) fn fork(source: &str, at: Option<Offset>, beyond: u64) -> CreateOrder {
    let fork = Some(ForkOrder { source: name(source), at, beyond });
    CreateOrder { fork, ..CreateOrder::default() }
}

pub(crate) fn messages(texts: &[&str]) -> Vec<Bytes> {
    texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect()
}

pub(crate) fn order(texts: &[&str]) -> AppendOrder {
    AppendOrder { messages: messages(texts), ..AppendOrder::default() }
}

pub(crate) fn from_producer(id: &str, epoch: u64, seq: u64, texts: &[&str]) -> AppendOrder {
    let producer = Some(ProducerMark { id: id.to_owned(), epoch, seq });
    AppendOrder { producer, ..order(texts) }
}

pub(crate) fn ending(reason: EndReason, texts: &[&str]) -> AppendOrder {
    AppendOrder { end: Some(reason), ..order(texts) }
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

pub(crate) async fn read(
    store: &dyn Store,
    at: &str,
    from: ReadFrom,
    bytes_max: usize,
) -> Result<Chunk, ReadError> {
    store.read(&name(at), from, bytes_max).await
}

/// All of a stream, its messages parted by `|`.
pub(crate) async fn all(store: &dyn Store, at: &str) -> String {
    let chunk = read(store, at, ReadFrom::Start, usize::MAX).await.expect("it can be read");
    assert!(chunk.is_at_tail);
    joined(&chunk)
}

pub(crate) fn joined(chunk: &Chunk) -> String {
    let texts = chunk.messages.iter().map(|bytes| std::str::from_utf8(bytes).expect("text"));
    texts.collect::<Vec<_>>().join("|")
}
