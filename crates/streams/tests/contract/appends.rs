//! What may be added to a stream.

use bytes::Bytes;
use outlast_streams::{
    AppendError, AppendOrder, ContentType, CreateOrder, EndReason, Freshness, Limit, LimitKind,
    Missing, ProducerState, ReadFrom, Store,
};

use crate::help::{all, append, create, ending, from_producer, json, order, read};

pub(crate) async fn what_is_appended_is_read_with_its_offsets(store: &dyn Store) {
    let info = create(store, "s", json()).await;
    assert_eq!((info.start, info.end), (info.tail, None));
    let first = append(store, "s", order(&["one", "two"])).await.expect("in order");
    assert_eq!(first.freshness, Freshness::Fresh);
    assert_eq!(first.tail.position(), 6);
    assert!(first.tail.to_string() > info.tail.to_string());
    let second = append(store, "s", order(&["three"])).await.expect("in order");
    assert_eq!(all(store, "s").await, "one|two|three");
    let rest = read(store, "s", ReadFrom::Offset(first.tail), 100).await.expect("an offset");
    assert_eq!(rest.messages, vec![Bytes::from("three")]);
    assert_eq!((rest.from, rest.next, rest.is_at_tail), (first.tail, second.tail, true));
    let now = read(store, "s", ReadFrom::Tail, 100).await.expect("the tail");
    assert_eq!((now.messages, now.next), (vec![], second.tail));
    let head = store.head(&info.name).expect("there");
    assert_eq!((head.tail, head.id), (second.tail, info.id));
}

pub(crate) async fn an_append_is_refused_in_the_order_of_the_checks(store: &dyn Store) {
    let missing = append(store, "s", order(&["a"])).await;
    assert!(matches!(missing, Err(AppendError::Missing(Missing::Unknown))), "{missing:?}");
    create(store, "s", json()).await;
    let empty = append(store, "s", order(&[])).await;
    assert!(matches!(empty, Err(AppendError::Empty)), "{empty:?}");
    let empty = append(store, "s", order(&["a", ""])).await;
    assert!(matches!(empty, Err(AppendError::Empty)), "{empty:?}");
    let text = Some(ContentType::parse("text/plain").expect("a type"));
    // The content type is looked at before the producer, and the closed state before both.
    let wrong = AppendOrder { content_type: text, ..from_producer("p", 0, 7, &["a"]) };
    let refused = append(store, "s", wrong.clone()).await;
    assert!(matches!(refused, Err(AppendError::ContentType)), "{refused:?}");
    append(store, "s", ending(EndReason::Complete, &[])).await.expect("open");
    let refused = append(store, "s", wrong).await;
    assert!(matches!(refused, Err(AppendError::Closed { .. })), "{refused:?}");
    assert_eq!(all(store, "s").await, "");
}

pub(crate) async fn a_producer_that_sends_twice_appends_once(store: &dyn Store) {
    create(store, "s", json()).await;
    let send = |epoch, seq, text| append(store, "s", from_producer("p", epoch, seq, text));
    let gap = send(0, 1, &["x"]).await;
    assert!(matches!(gap, Err(AppendError::Gap { expected: 0, received: 1 })), "{gap:?}");
    for seq in 0..3 {
        let fresh = send(0, seq, &["m"]).await.expect("the next one");
        assert_eq!(fresh.freshness, Freshness::Fresh);
        assert_eq!(fresh.producer, Some(ProducerState { epoch: 0, seq }));
    }
    let tail = read(store, "s", ReadFrom::Tail, 1).await.expect("there").next;
    let again = send(0, 1, &["m"]).await.expect("a duplicate is no error");
    assert_eq!((again.freshness, again.tail), (Freshness::Duplicate, tail));
    assert_eq!(again.producer, Some(ProducerState { epoch: 0, seq: 2 }), "the highest accepted");
    let gap = send(0, 5, &["x"]).await;
    assert!(matches!(gap, Err(AppendError::Gap { expected: 3, received: 5 })), "{gap:?}");
    let start = send(2, 1, &["x"]).await;
    assert!(matches!(start, Err(AppendError::EpochStart)), "{start:?}");
    send(2, 0, &["n"]).await.expect("a new epoch");
    let stale = send(1, 0, &["x"]).await;
    assert!(matches!(stale, Err(AppendError::StaleEpoch { current: 2 })), "{stale:?}");
    // Another producer of the same stream counts for itself.
    append(store, "s", from_producer("q", 9, 0, &["o"])).await.expect("its first");
    assert_eq!(all(store, "s").await, "m|m|m|n|o");
}

pub(crate) async fn a_closed_stream_tells_why_and_takes_nothing(store: &dyn Store) {
    for reason in EndReason::ALL {
        let at = reason.name();
        create(store, at, json()).await;
        append(store, at, order(&["a"])).await.expect("open");
        let closed = append(store, at, ending(reason, &["b"])).await.expect("open");
        assert_eq!(closed.end, Some(reason));
        let first = read(store, at, ReadFrom::Start, 1).await.expect("there");
        assert_eq!((first.end(), first.info.end), (None, Some(reason)), "it goes on");
        let last = read(store, at, ReadFrom::Offset(first.next), 1).await.expect("there");
        assert_eq!(last.end(), Some(reason));
        let refused = append(store, at, order(&["c"])).await;
        let Err(AppendError::Closed { reason: told, tail }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((told, tail), (reason, closed.tail));
        // To close it again changes nothing, not even the reason.
        let again = append(store, at, ending(EndReason::Aborted, &[])).await.expect("idempotent");
        assert_eq!((again.end, again.freshness), (Some(reason), Freshness::Duplicate));
        let refused = append(store, at, ending(reason, &["c"])).await;
        assert!(matches!(refused, Err(AppendError::Closed { .. })), "{refused:?}");
        assert_eq!(all(store, at).await, "a|b");
    }
}

pub(crate) async fn the_append_that_closed_a_stream_may_be_sent_again(store: &dyn Store) {
    create(store, "s", json()).await;
    let last =
        AppendOrder { end: Some(EndReason::Complete), ..from_producer("p", 0, 0, &["last"]) };
    append(store, "s", last.clone()).await.expect("open");
    let again = append(store, "s", last.clone()).await.expect("the same");
    assert_eq!(again.freshness, Freshness::Duplicate);
    assert_eq!(again.producer, Some(ProducerState { epoch: 0, seq: 0 }));
    let next = AppendOrder { end: last.end, ..from_producer("p", 0, 1, &[]) };
    let refused = append(store, "s", next).await;
    assert!(matches!(refused, Err(AppendError::Closed { .. })), "{refused:?}");
    assert_eq!(all(store, "s").await, "last");
}

pub(crate) async fn sequences_only_grow(store: &dyn Store) {
    create(store, "s", CreateOrder::default()).await;
    let with = |seq: &str, text| AppendOrder {
        stream_seq: Some(Bytes::copy_from_slice(seq.as_bytes())),
        ..order(text)
    };
    append(store, "s", with("2", &["a"])).await.expect("the first");
    for seq in ["2", "10", ""] {
        let refused = append(store, "s", with(seq, &["x"])).await;
        assert!(matches!(refused, Err(AppendError::Sequence)), "{seq}: {refused:?}");
    }
    append(store, "s", with("20", &["b"])).await.expect("greater as bytes");
    append(store, "s", order(&["c"])).await.expect("none is no sequence");
    // The duplicate of a producer's append is one before its sequence is looked at.
    let both = AppendOrder { stream_seq: Some("3".into()), ..from_producer("p", 0, 0, &["d"]) };
    append(store, "s", both.clone()).await.expect("fresh");
    let again = append(store, "s", both).await.expect("a duplicate");
    assert_eq!(again.freshness, Freshness::Duplicate);
    assert_eq!(all(store, "s").await.replace('|', ""), "abcd");
}

pub(crate) async fn too_much_is_refused_and_nothing_is_lost(store: &dyn Store) {
    create(store, "s", CreateOrder::default()).await;
    append(store, "s", order(&["a"])).await.expect("little");
    let is = |refused: Result<_, AppendError>, what, max| match refused {
        Err(AppendError::Limit(limit)) => assert_eq!(limit, Limit { what, max }),
        other => panic!("{what:?}: {other:?}"),
    };
    let long = "x".repeat(6_000);
    is(append(store, "s", order(&[&long, &long])).await, LimitKind::AppendBytes, 10_000);
    let long = "x".repeat(300);
    let named = from_producer(&long, 0, 0, &["x"]);
    is(append(store, "s", named).await, LimitKind::ProducerIdBytes, 255);
    let sequence = AppendOrder { stream_seq: Some(long.into()), ..order(&["x"]) };
    is(append(store, "s", sequence).await, LimitKind::SequenceBytes, 255);
    for producer in ["p", "q", "r"] {
        append(store, "s", from_producer(producer, 0, 0, &["b"])).await.expect("one of three");
    }
    is(append(store, "s", from_producer("t", 0, 0, &["x"])).await, LimitKind::Producers, 3);
    let block = "y".repeat(9_000);
    for _ in 0..11 {
        append(store, "s", order(&[&block])).await.expect("there is room");
    }
    is(append(store, "s", order(&[&block])).await, LimitKind::StoreBytes, 102_000);
    assert_eq!(all(store, "s").await.replace('|', ""), "abbb".to_owned() + &block.repeat(11));
}
