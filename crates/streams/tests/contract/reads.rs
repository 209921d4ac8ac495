//! What readers see.

use futures_util::FutureExt;
use futures_util::future::join_all;
use outlast_streams::{
    Change, ContentType, CreateOrder, Deletion, EndReason, Missing, Offset, OffsetProblem,
    ReadError, ReadFrom, Store,
};

use crate::help::{append, create, ending, joined, json, messages, name, order, read};

pub(crate) async fn messages_are_never_cut_and_bytes_anywhere(store: &dyn Store) {
    let texts = ["aaaa", "bb", "cccccccc", "d"];
    create(store, "json", CreateOrder { messages: messages(&texts), ..json() }).await;
    create(store, "bytes", CreateOrder { messages: messages(&texts), ..CreateOrder::default() })
        .await;
    let (mut from, mut chunks) = (ReadFrom::Start, Vec::new());
    loop {
        let chunk = read(store, "json", from, 6).await.expect("an offset it gave");
        if chunk.messages.is_empty() {
            break;
        }
        chunks.push(joined(&chunk));
        from = ReadFrom::Offset(chunk.next);
    }
    assert_eq!(chunks, ["aaaa|bb", "cccccccc", "d"]);
    for size in 1..17 {
        let (mut from, mut all) = (ReadFrom::Start, String::new());
        loop {
            let chunk = read(store, "bytes", from, size).await.expect("an offset it gave");
            assert!(chunk.bytes() <= size);
            all += &joined(&chunk).replace('|', "");
            from = ReadFrom::Offset(chunk.next);
            if chunk.is_at_tail {
                break;
            }
        }
        assert_eq!(all, texts.concat());
    }
    let chunk = read(store, "bytes", ReadFrom::Start, 0).await.expect("the start");
    assert_eq!(joined(&chunk), "a", "at least one byte");
}

pub(crate) async fn offsets_of_others_are_refused(store: &dyn Store) {
    create(store, "s", CreateOrder { messages: messages(&["aaaa"]), ..json() }).await;
    create(store, "t", CreateOrder { messages: messages(&["aaaabbbb"]), ..json() }).await;
    let tail = |at| store.head(&name(at)).expect("there").tail;
    let is = |refused: Result<_, ReadError>, problem| match refused {
        Err(ReadError::Offset(told)) => assert_eq!(told, problem),
        other => panic!("{problem:?}: {other:?}"),
    };
    let at = |text: String| ReadFrom::Offset(text.parse::<Offset>().expect("an offset"));
    let own = tail("s").to_string();
    is(read(store, "s", ReadFrom::Offset(tail("t")), 9).await, OffsetProblem::Foreign);
    let beyond = own.replace("_0000000000000004", "_0000000000000005");
    is(read(store, "s", at(beyond), 9).await, OffsetProblem::BeyondTail);
    let within = own.replace("_0000000000000004", "_0000000000000003");
    is(read(store, "s", at(within), 9).await, OffsetProblem::WithinMessage);
    let highest = format!("{0}_{0}", "f".repeat(16));
    is(read(store, "s", at(highest), 9).await, OffsetProblem::Foreign);
    let lowest = format!("{0}_{0}", "0".repeat(16));
    let chunk = read(store, "s", at(lowest), 9).await.expect("the beginning of any stream");
    assert_eq!(joined(&chunk), "aaaa");
    let missing = read(store, "u", ReadFrom::Start, 9).await;
    assert!(matches!(missing, Err(ReadError::Missing(Missing::Unknown))), "{missing:?}");
}

pub(crate) async fn a_watch_tells_of_appends_the_end_and_deletion(store: &dyn Store) {
    assert_eq!(store.watch(&name("s")).err(), Some(Missing::Unknown));
    create(store, "s", CreateOrder::default()).await;
    create(store, "other", CreateOrder::default()).await;
    let mut watch = store.watch(&name("s")).expect("there");
    append(store, "other", order(&["x"])).await.expect("open");
    assert_eq!(watch.changed().now_or_never(), None, "another stream is none of its business");
    append(store, "s", order(&["x"])).await.expect("open");
    assert_eq!(watch.changed().await, Change::Moved);
    assert_eq!(watch.changed().now_or_never(), None, "once");
    append(store, "s", ending(EndReason::Timeout, &[])).await.expect("open");
    assert_eq!(watch.changed().await, Change::Moved);
    store.delete(&name("s"), Deletion::Forget).await.expect("there");
    assert_eq!(watch.changed().await, Change::Gone);
    assert_eq!(watch.changed().await, Change::Gone);
}

pub(crate) async fn a_thousand_watchers_see_the_same(store: &dyn Store) {
    let content_type = Some(ContentType::parse("text/plain").expect("a type"));
    create(store, "s", CreateOrder { content_type, ..CreateOrder::default() }).await;
    let reader = async |_| {
        let mut watch = store.watch(&name("s")).expect("there");
        let (mut from, mut all) = (ReadFrom::Start, String::new());
        loop {
            let chunk = read(store, "s", from, 100).await.expect("an offset it gave");
            all += &joined(&chunk).replace('|', "");
            if let Some(end) = chunk.end() {
                return (all, end);
            }
            from = ReadFrom::Offset(chunk.next);
            if chunk.is_at_tail {
                assert_eq!(watch.changed().await, Change::Moved);
            }
        }
    };
    let writer = async {
        for number in 0..20 {
            append(store, "s", order(&[&format!("{number},")])).await.expect("open");
            tokio::task::yield_now().await;
        }
        append(store, "s", ending(EndReason::Complete, &["end"])).await.expect("open");
    };
    let ((), all) = tokio::join!(writer, join_all((0..1_000).map(reader)));
    let want: String = (0..20).map(|number| format!("{number},")).chain(["end".into()]).collect();
    for (seen, end) in all {
        assert_eq!((seen, end), (want.clone(), EndReason::Complete));
    }
}
