//! Streams that begin with others.

use std::time::Duration;

use futures_util::FutureExt;
use outlast_streams::{
    AppendError, ContentType, CreateError, CreateOrder, Created, DeleteError, Deletion, EndReason,
    Lifetime, Missing, ReadError, ReadFrom, Store,
};

use crate::help::{
    all, append, create, ending, fork, from_producer, json, messages, name, order, read,
};

pub(crate) async fn a_fork_has_its_sources_offsets_up_to_where_it_leaves(store: &dyn Store) {
    create(store, "s", json()).await;
    let one = append(store, "s", from_producer("p", 0, 0, &["one"])).await.expect("open");
    let two = append(store, "s", ending(EndReason::Complete, &["two"])).await.expect("open");
    let forked = create(store, "f", fork("s", Some(one.tail), 0)).await;
    assert_eq!((forked.tail, forked.end), (one.tail, None), "open, with the source's offset");
    let mut watch = store.watch(&forked.name).expect("there");
    assert_eq!(watch.changed().now_or_never(), None);
    // Producers begin anew in a fork.
    let own = append(store, "f", from_producer("p", 0, 0, &["2"])).await.expect("its first");
    assert!(own.tail > one.tail && own.tail != two.tail);
    assert_eq!(all(store, "f").await, "one|2");
    let foreign = read(store, "f", ReadFrom::Offset(two.tail), 9).await;
    assert!(
        matches!(foreign, Err(ReadError::Offset(_))),
        "what the source has behind the fork is not the fork's: {foreign:?}"
    );
    assert_eq!(all(store, "s").await, "one|two");
    let chunk = read(store, "f", ReadFrom::Start, 3).await.expect("the start");
    assert_eq!(chunk.next, one.tail);
    let rest =
        read(store, "f", ReadFrom::Offset(chunk.next), 9).await.expect("the source's offset");
    assert_eq!(rest.next, own.tail);
    let whole = create(store, "g", fork("s", None, 0)).await;
    assert_eq!(whole.tail, two.tail);
    let again = store.create(&whole.name, fork("s", None, 0)).await.expect("the same");
    assert!(matches!(again, Created::Existed(_)));
}

pub(crate) async fn a_fork_begins_within_a_batch(store: &dyn Store) {
    let texts = messages(&["one", "two", "three"]);
    let info = create(store, "json", CreateOrder { messages: texts.clone(), ..json() }).await;
    create(store, "f", fork("json", Some(info.start), 2)).await;
    assert_eq!(all(store, "f").await, "one|two");
    append(store, "f", order(&["drei"])).await.expect("open");
    assert_eq!(all(store, "f").await, "one|two|drei");
    let info =
        create(store, "bytes", CreateOrder { messages: texts, ..CreateOrder::default() }).await;
    create(store, "g", fork("bytes", Some(info.start), 5)).await;
    assert_eq!(all(store, "g").await.replace('|', ""), "onetw");
    for source in ["json", "bytes"] {
        let beyond = store.create(&name("h"), fork(source, None, 1)).await;
        assert!(matches!(beyond, Err(CreateError::ForkBeyond)), "{source}: {beyond:?}");
    }
}

pub(crate) async fn a_forks_order_is_checked(store: &dyn Store) {
    let ttl = Some(Lifetime::Ttl(Duration::from_secs(60)));
    let source = CreateOrder { lifetime: ttl, messages: messages(&["aa"]), ..json() };
    let source = create(store, "s", source).await;
    let other = create(store, "o", CreateOrder { messages: messages(&["bbb"]), ..json() }).await;
    let unknown = store.create(&name("f"), fork("nobody", None, 0)).await;
    assert!(matches!(unknown, Err(CreateError::SourceUnknown)), "{unknown:?}");
    let foreign = store.create(&name("f"), fork("s", Some(other.tail), 0)).await;
    assert!(matches!(foreign, Err(CreateError::ForkOffset(_))), "{foreign:?}");
    let content_type = ContentType::parse("text/plain").ok();
    let differs = CreateOrder { content_type, ..fork("s", None, 0) };
    let differs = store.create(&name("f"), differs).await;
    assert!(matches!(differs, Err(CreateError::SourceContentType)), "{differs:?}");
    let inherits = create(store, "f", fork("s", None, 0)).await;
    assert_eq!((inherits.lifetime, inherits.content_type), (ttl, source.content_type));
    let longer = Some(Lifetime::Ttl(Duration::from_secs(90)));
    let own = create(store, "g", CreateOrder { lifetime: longer, ..fork("s", None, 0) }).await;
    assert_eq!(own.lifetime, longer);
    let not_a_fork = store.create(&name("f"), CreateOrder { lifetime: ttl, ..json() }).await;
    assert!(matches!(not_a_fork, Err(CreateError::Differs(_))), "{not_a_fork:?}");
}

pub(crate) async fn a_source_is_kept_for_its_forks(store: &dyn Store) {
    create(store, "s", CreateOrder { messages: messages(&["one"]), ..json() }).await;
    create(store, "f", fork("s", None, 0)).await;
    let erased = store.delete(&name("s"), Deletion::Erase).await;
    assert!(matches!(erased, Err(DeleteError::HasForks { forks: 1 })), "{erased:?}");
    store.delete(&name("s"), Deletion::Forget).await.expect("there");
    assert_eq!(store.head(&name("s")).err(), Some(Missing::Deleted));
    let refused = append(store, "s", order(&["x"])).await;
    assert!(matches!(refused, Err(AppendError::Missing(Missing::Deleted))), "{refused:?}");
    let again = store.delete(&name("s"), Deletion::Forget).await;
    assert!(matches!(again, Err(DeleteError::Missing(Missing::Deleted))), "{again:?}");
    let blocked = store.create(&name("s"), json()).await;
    assert!(matches!(blocked, Err(CreateError::Blocked)), "{blocked:?}");
    let source = store.create(&name("g"), fork("s", None, 0)).await;
    assert!(matches!(source, Err(CreateError::SourceDeleted)), "{source:?}");
    assert_eq!(all(store, "f").await, "one");
    store.delete(&name("f"), Deletion::Forget).await.expect("there");
    assert_eq!(store.head(&name("s")).err(), Some(Missing::Unknown));
    create(store, "s", json()).await;
}

pub(crate) async fn forks_of_forks_read_through(store: &dyn Store) {
    create(store, "0", json()).await;
    append(store, "0", order(&["a0"])).await.expect("open");
    for number in 1..10 {
        let (source, own) = ((number - 1).to_string(), number.to_string());
        create(store, &own, fork(&source, None, 0)).await;
        append(store, &own, order(&[&format!("a{number}")])).await.expect("open");
        append(store, &source, order(&["later"])).await.expect("open");
    }
    let want: Vec<_> = (0..10).map(|number| format!("a{number}")).collect();
    assert_eq!(all(store, "9").await, want.join("|"));
    let (mut from, mut last) = (ReadFrom::Start, String::new());
    for text in &want {
        let chunk = read(store, "9", from, 1).await.expect("an offset it gave");
        assert_eq!(chunk.messages, messages(&[text]));
        assert!(chunk.next.to_string() > last, "offsets grow through all forks");
        last = chunk.next.to_string();
        from = ReadFrom::Offset(chunk.next);
    }
    // All but the last are deleted, in any order, and stay as long as it does.
    for number in [3, 0, 8, 1, 2, 7, 4, 6, 5] {
        store.delete(&name(&number.to_string()), Deletion::Forget).await.expect("there");
    }
    assert_eq!(all(store, "9").await, want.join("|"));
    store.delete(&name("9"), Deletion::Forget).await.expect("there");
    for number in 0..10 {
        assert_eq!(store.head(&name(&number.to_string())).err(), Some(Missing::Unknown));
    }
}
