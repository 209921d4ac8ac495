//! Stores that are opened again, by the next process or by two at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use outlast_streams::{
    AppendError, Boundaries, CreateOrder, Deletion, EndReason, Freshness, Lifetime, Limits,
    Missing, ProducerMark, ReadError, ReadFrom, Segments, Settings, Store,
};

use crate::help::{all, append, closing, create, json, name, open, order, read, settings, text};
use crate::sim::texts;

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let epochs = fs::read_dir(folder.join("epochs")).expect("a store");
    for epoch in epochs {
        let epoch = epoch.expect("an epoch").path();
        let names =
            fs::read_dir(&epoch).expect("a folder").map(|entry| entry.expect("a file").path());
        found.extend(names.filter(|path| path.to_string_lossy().ends_with(ending)));
    }
    found.sort();
    found
}

fn bytes_of(files: &[PathBuf]) -> u64 {
    files.iter().map(|file| fs::metadata(file).expect("it is there").len()).sum()
}

/// Something of everything.
async fn fill(store: &dyn Store) -> String {
    let ttl = Some(Lifetime::Ttl(Duration::from_secs(600)));
    create(store, "open", CreateOrder { lifetime: ttl, ..json() }).await;
    create(store, "closed", CreateOrder::default()).await;
    create(store, "deleted", json()).await;
    let mut want = String::new();
    for (seq, message) in texts(50).iter().enumerate() {
        let producer = Some(ProducerMark { id: "p".to_owned(), epoch: 3, seq: seq as u64 });
        let mut append_order = order(message);
        append_order.producer = producer;
        append_order.stream_seq = Some(format!("{seq:03}").into());
        append(store, "open", append_order).await.expect("open");
        append(store, "closed", order(message)).await.expect("open");
        append(store, "deleted", order(message)).await.expect("open");
        want += message;
    }
    append(store, "closed", closing(EndReason::Timeout)).await.expect("open");
    store.delete(&name("deleted"), Deletion::Forget).await.expect("there");
    want
}

async fn check(store: &dyn Store, want: &str) {
    assert_eq!(all(store, "open").await, want);
    assert_eq!(all(store, "closed").await, want);
    let info = store.head(&name("open")).expect("there");
    assert_eq!(info.lifetime, Some(Lifetime::Ttl(Duration::from_secs(600))));
    assert_eq!(info.content_type.boundaries(), Boundaries::Messages);
    let closed = store.head(&name("closed")).expect("there");
    assert_eq!(closed.end, Some(EndReason::Timeout));
    assert_eq!(store.head(&name("deleted")).err(), Some(Missing::Unknown));
    let mut again = order("again");
    again.producer = Some(ProducerMark { id: "p".to_owned(), epoch: 3, seq: 49 });
    let again = append(store, "open", again).await.expect("a duplicate");
    assert_eq!(again.freshness, Freshness::Duplicate);
    let mut old = order("x");
    old.stream_seq = Some("049".into());
    let old = append(store, "open", old).await;
    assert!(matches!(old, Err(AppendError::Sequence)), "{old:?}");
}

#[tokio::test]
async fn a_store_is_found_as_it_was_with_its_index_and_without() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let want = fill(&store).await;
    let offset = read(&store, "open", ReadFrom::Start).await.expect("there").next;
    drop(store);
    for (round, index) in ["kept", "kept", "removed", "noise", "kept"].iter().enumerate() {
        let found = files(folder.path(), "index.redb");
        assert_eq!(found.len(), 1, "one process has one");
        match *index {
            "removed" => fs::remove_file(&found[0]).expect("it is there"),
            "noise" => fs::write(&found[0], "noise".repeat(1000)).expect("it is there"),
            _ => {}
        }
        let store = open(folder.path());
        let recovery = store.recovery();
        match *index {
            "kept" if round > 0 => assert!(recovery.segments_read <= 1, "{recovery:?}"),
            "kept" => {}
            _ => assert!(recovery.segments_read > 5, "{index}: {recovery:?}"),
        }
        assert_eq!((recovery.records_damaged, recovery.streams_lost), (0, 0), "{recovery:?}");
        check(&store, &want).await;
        let rest = read(&store, "open", ReadFrom::Offset(offset)).await.expect("an old offset");
        assert_eq!(text(&rest), "");
    }
}

#[tokio::test]
async fn each_process_has_its_own_streams_and_the_next_one_has_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let one = open(folder.path());
    create(&one, "one", json()).await;
    append(&one, "one", order("1")).await.expect("open");
    let two = open(folder.path());
    create(&two, "two", json()).await;
    append(&two, "two", order("2")).await.expect("open");
    append(&one, "one", order("1")).await.expect("still its own");
    drop(one);
    // Who comes while the second lives has what the first has left.
    let three = open(folder.path());
    assert_eq!(all(&three, "one").await, "11");
    append(&three, "one", order("3")).await.expect("taken over");
    append(&two, "two", order("2")).await.expect("undisturbed");
    drop(three);
    drop(two);
    let four = open(folder.path());
    let at_first = read(&four, "one", ReadFrom::Start).await.expect("there");
    assert_eq!(text(&at_first), "113");
    assert_eq!(all(&four, "two").await, "22");
    append(&four, "one", order("4")).await.expect("open");
    let rest = read(&four, "one", ReadFrom::Offset(at_first.next)).await.expect("an offset");
    assert_eq!(text(&rest), "4");
    assert!(rest.next > at_first.next);
}

#[tokio::test]
async fn deleted_streams_give_their_place_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = open(folder.path());
    create(&store, "kept", json()).await;
    let mut want = String::new();
    for round in 0..40 {
        let at = format!("short-{round}");
        create(&store, &at, json()).await;
        for message in texts(20) {
            append(&store, &at, order(&message)).await.expect("open");
        }
        append(&store, "kept", order("k")).await.expect("open");
        want += "k";
        store.delete(&name(&at), Deletion::Forget).await.expect("there");
        if round % 10 == 9 {
            drop(store);
            store = open(folder.path());
            assert_eq!(all(&store, "kept").await, want);
        }
    }
    // All that was written is many times that.
    let segments = |folder: &Path| bytes_of(&files(folder, ".seg"));
    let bound = |store: &Segments| {
        let kept = store.head(&name("kept")).expect("there").tail.position();
        // A message takes 64 bytes; and the keeper may be a segment behind.
        2 * (kept * 64 + 200) + 4 * 2_500
    };
    while segments(folder.path()) > bound(&store) {
        append(&store, "kept", order("k")).await.expect("open");
        want += "k";
        assert!(want.len() < 2_000, "{} bytes", segments(folder.path()));
    }
    assert_eq!(all(&store, "kept").await, want);
    drop(store);
    for index in files(folder.path(), "index.redb") {
        fs::remove_file(index).expect("it is there");
    }
    let store = open(folder.path());
    assert_eq!(all(&store, "kept").await, want, "without an index, too");
    assert_eq!(store.list(None, 99).len(), 1);
}

#[tokio::test]
async fn what_is_erased_is_in_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = "the password is swordfish";
    let holds = |files: &[PathBuf], text: &str| {
        let has = |file: &PathBuf| {
            let bytes = fs::read(file).expect("it is there");
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        };
        files.iter().filter(|file| has(file)).count()
    };
    let store = open(folder.path());
    create(&store, "private", json()).await;
    create(&store, "public", json()).await;
    let mut want = String::new();
    for message in texts(60) {
        append(&store, "private", order(&format!("{message}{secret}"))).await.expect("open");
        append(&store, "public", order(&message)).await.expect("open");
        want += &message;
    }
    let segments = files(folder.path(), ".seg");
    assert!(holds(&segments, secret) > 3, "it is in many");
    store.delete(&name("private"), Deletion::Erase).await.expect("there");
    assert_eq!(holds(&files(folder.path(), ".seg"), secret), 0);
    assert_eq!(holds(&files(folder.path(), ".seg"), "private"), 0, "nor is its name");
    assert_eq!(all(&store, "public").await, want);
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.recovery().records_damaged, 0, "what was erased is not damaged");
    assert_eq!(all(&store, "public").await, want);
    let gone = read(&store, "private", ReadFrom::Start).await;
    assert!(matches!(gone, Err(ReadError::Missing(Missing::Unknown))), "{gone:?}");
}

#[tokio::test]
async fn streams_go_when_they_are_old() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    create(&store, "s", json()).await;
    drop(store);
    let old = Settings { age_max: Some(Duration::ZERO), ..settings() };
    let store = Segments::open(folder.path(), old).expect("a store");
    match store.watch(&name("s")) {
        Ok(mut watch) => while watch.changed().await != outlast_streams::Change::Gone {},
        Err(missing) => assert_eq!(missing, Missing::Unknown),
    }
    assert_eq!(store.list(None, 9), vec![]);
}

#[tokio::test]
async fn closed_streams_make_room_for_new_ones_the_oldest_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = Limits { streams_max: 3, bytes_max: 2_000, ..Limits::default() };
    let few = Settings { limits, ..settings() };
    let store = Segments::open(folder.path(), few).expect("a folder");
    for at in ["open", "first", "second"] {
        create(&store, at, json()).await;
    }
    for at in ["first", "second"] {
        append(&store, at, closing(EndReason::Complete)).await.expect("open");
    }
    append(&store, "open", order("there are as many as there may be")).await.expect("no more");
    let names = || store.list(None, 9).iter().map(|info| info.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(), ["first", "open", "second"], "an append needs no place for a stream");
    create(&store, "third", json()).await;
    assert_eq!(names(), ["open", "second", "third"]);
    append(&store, "open", order(&"x".repeat(1_600))).await.expect("the second makes room");
    assert_eq!(names(), ["open", "third"]);
    let refused = append(&store, "third", order(&"x".repeat(1_500))).await;
    assert!(matches!(refused, Err(AppendError::Limit(_))), "open ones are kept: {refused:?}");
    assert_eq!(names(), ["open", "third"]);
}
