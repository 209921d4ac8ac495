//! How streams come and go.

use std::time::Duration;

use outlast_runtime::clock;
use outlast_streams::{
    AppendError, Change, ContentType, CreateError, CreateOrder, Created, Deletion, EndReason,
    Lifetime, Limit, LimitKind, Missing, OffsetProblem, ReadError, ReadFrom, Store,
};

use crate::help::{all, append, create, ending, json, messages, name, order, read};

pub(crate) async fn creating_again_is_no_error_if_nothing_differs(store: &dyn Store) {
    let ttl = Some(Lifetime::Ttl(Duration::from_secs(60)));
    let asked = CreateOrder { lifetime: ttl, messages: messages(&["a"]), ..json() };
    let new = create(store, "s", asked.clone()).await;
    let content_type = ContentType::parse("application/JSON; charset=utf-8").ok();
    let again = CreateOrder { content_type, messages: messages(&["b"]), ..asked.clone() };
    let again = store.create(&new.name, again).await.expect("it matches");
    assert_eq!(again, Created::Existed(new.clone()));
    assert_eq!(all(store, "s").await, "a", "nothing was added");
    for (what, other) in [
        ("content type", CreateOrder { content_type: None, ..asked.clone() }),
        ("lifetime", CreateOrder { lifetime: None, ..asked.clone() }),
        ("being closed", CreateOrder { end: Some(EndReason::Complete), ..asked.clone() }),
    ] {
        match store.create(&new.name, other).await {
            Err(CreateError::Differs(told)) => assert_eq!(told, what),
            other => panic!("{what}: {other:?}"),
        }
    }
    append(store, "s", ending(EndReason::Aborted, &[])).await.expect("open");
    let closed = CreateOrder { end: Some(EndReason::Complete), ..asked };
    let closed = store.create(&new.name, closed).await.expect("it is closed, too");
    assert!(matches!(closed, Created::Existed(info) if info.end == Some(EndReason::Aborted)));
}

pub(crate) async fn there_are_as_many_streams_as_there_may_be(store: &dyn Store) {
    for number in 0..20 {
        create(store, &number.to_string(), CreateOrder::default()).await;
    }
    match store.create(&name("one more"), CreateOrder::default()).await {
        Err(CreateError::Limit(limit)) => {
            assert_eq!(limit, Limit { what: LimitKind::Streams, max: 20 });
        }
        other => panic!("{other:?}"),
    }
    store.delete(&name("7"), Deletion::Forget).await.expect("there");
    create(store, "one more", CreateOrder::default()).await;
}

pub(crate) async fn a_stream_lives_as_long_as_it_is_used(store: &dyn Store) {
    let ttl = Some(Lifetime::Ttl(Duration::from_secs(10)));
    let first = create(store, "s", CreateOrder { lifetime: ttl, ..json() }).await;
    for use_it in 0..3 {
        tokio::time::advance(Duration::from_secs(9)).await;
        match use_it {
            0 => drop(append(store, "s", order(&["a"])).await.expect("there")),
            1 => drop(read(store, "s", ReadFrom::Tail, 1).await.expect("there")),
            _ => drop(store.create(&first.name, CreateOrder { lifetime: ttl, ..json() }).await),
        }
    }
    tokio::time::advance(Duration::from_secs(9)).await;
    store.head(&first.name).expect("there, and looking at it does not renew its time");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(store.head(&first.name).err(), Some(Missing::Unknown));
    assert_eq!(store.list(None, 9), vec![]);
    let late = append(store, "s", order(&["b"])).await;
    assert!(matches!(late, Err(AppendError::Missing(Missing::Unknown))), "{late:?}");
    let second = create(store, "s", json()).await;
    assert_ne!(first.id, second.id);
    assert_eq!(all(store, "s").await, "");

    let wall_now = clock::wall_now();
    let past = Some(Lifetime::ExpiresAt(wall_now - Duration::from_secs(1)));
    create(store, "past", CreateOrder { lifetime: past, ..json() }).await;
    assert_eq!(store.head(&name("past")).err(), Some(Missing::Unknown));
    let later = Some(Lifetime::ExpiresAt(wall_now + Duration::from_secs(3_600)));
    let info = create(store, "later", CreateOrder { lifetime: later, ..json() }).await;
    assert_eq!(store.head(&info.name).expect("there").lifetime, later);
}

pub(crate) async fn a_name_is_free_after_deletion_and_its_offsets_are_not(store: &dyn Store) {
    let first = create(store, "s", CreateOrder { messages: messages(&["aaaa"]), ..json() }).await;
    let mut watch = store.watch(&first.name).expect("there");
    store.delete(&first.name, Deletion::Erase).await.expect("there");
    assert_eq!(watch.changed().await, Change::Gone);
    store.delete(&first.name, Deletion::Forget).await.expect_err("once");
    let second = create(store, "s", CreateOrder { messages: messages(&["bbbb"]), ..json() }).await;
    assert!(second.id > first.id);
    for offset in [first.start, first.tail] {
        match read(store, "s", ReadFrom::Offset(offset), 9).await {
            Err(ReadError::Offset(problem)) => assert_eq!(problem, OffsetProblem::Foreign),
            other => panic!("{offset}: {other:?}"),
        }
    }
    assert_eq!(all(store, "s").await, "bbbb");
}

pub(crate) async fn streams_are_listed_by_name(store: &dyn Store) {
    for at in ["c", "a", "b/2", "b/1", "d"] {
        create(store, at, CreateOrder::default()).await;
    }
    store.delete(&name("d"), Deletion::Forget).await.expect("there");
    let names = |after: Option<&str>, count| {
        let listed = store.list(after.map(name).as_ref(), count);
        listed.iter().map(|info| info.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 9), ["a", "b/1", "b/2", "c"]);
    assert_eq!(names(None, 2), ["a", "b/1"]);
    assert_eq!(names(Some("b/1"), 2), ["b/2", "c"]);
    assert_eq!(names(Some("c"), 2), Vec::<String>::new());
}
