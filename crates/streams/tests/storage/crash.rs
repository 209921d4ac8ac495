//! The power goes at any moment, and of what was not synced any part is there.

use outlast_streams::{Deletion, EndReason, Offset, ReadFrom, Store};

use crate::help::{all, append, closing, create, json, name, open_on, order, read, relaxed, text};
use crate::sim::{Contents, Fate, Sim, texts};

/// What is known to be durable behind so many events of the disk.
struct Known {
    events: usize,
    contents: Contents,
    closed: bool,
    /// An offset of the stream `a` that was given out, and what is before it.
    seen: Option<(Offset, String)>,
}

/// Streams that grow side by side; one is closed, one deleted, one created anew, one forked.
async fn work(store: &dyn Store, sim: &Sim) -> Vec<Known> {
    let mut known = Vec::new();
    let mut contents = Contents::new();
    let mut closed = false;
    let note = |contents: &Contents, closed, seen| Known {
        events: sim.events(),
        contents: contents.clone(),
        closed,
        seen,
    };
    for at in ["a", "b", "c"] {
        create(store, at, json()).await;
        contents.insert(at.to_owned(), String::new());
        known.push(note(&contents, closed, None));
    }
    for (number, message) in texts(60).iter().enumerate() {
        let at = ["a", "b", "a", "c"][number % 4];
        if number == 41 {
            store.delete(&name("b"), Deletion::Forget).await.expect("there");
            contents.remove("b");
            known.push(note(&contents, closed, None));
            create(store, "b", json()).await;
            contents.insert("b".to_owned(), String::new());
        }
        if at == "c" && number % 3 == 0 {
            append(store, at, relaxed("r")).await.expect("open");
            contents.get_mut(at).expect("created").push('r');
        }
        append(store, at, order(message)).await.expect("open");
        contents.get_mut(at).expect("created").push_str(message);
        let chunk = read(store, "a", ReadFrom::Start).await.expect("there");
        known.push(note(&contents, closed, Some((chunk.next, text(&chunk)))));
    }
    append(store, "a", closing(EndReason::Complete)).await.expect("open");
    closed = true;
    known.push(note(&contents, closed, None));
    known
}

/// What of all messages a stream may have: a beginning of them, and at least what is known.
async fn check(store: &dyn Store, known: &Known, end: &Contents, deleted_b: &str, what: &str) {
    for (at, least) in &known.contents {
        // Between its deletion and its creation a stream need not be there.
        let Ok(info) = store.head(&name(at)) else {
            assert!(at == "b" && !deleted_b.is_empty(), "{what}: {at} is gone");
            continue;
        };
        let found = all(store, at).await;
        let is_old =
            at == "b" && deleted_b.starts_with(&found) && found.starts_with(least.as_str());
        let is_new = end[at].starts_with(&found) && found.starts_with(least.as_str());
        let is_anew = at == "b" && end[at].starts_with(&found) && least == deleted_b;
        assert!(is_old || is_new || is_anew, "{what}: {at} has {found:?}, known is {least:?}");
        if at == "a" {
            assert!(info.end.is_some() || !known.closed, "{what}: the end is lost");
        }
    }
    if let Some((offset, before)) = &known.seen {
        let rest = read(store, "a", ReadFrom::Offset(*offset)).await;
        let rest = rest.unwrap_or_else(|error| panic!("{what}: {offset} was given out: {error}"));
        assert_eq!(format!("{before}{}", text(&rest)), all(store, "a").await, "{what}");
    }
}

#[tokio::test]
async fn what_was_answered_survives_a_crash_at_every_sync_and_every_tear() {
    let sim = Sim::default();
    let store = open_on(&sim);
    let known = work(&store, &sim).await;
    drop(store);
    let end = &known.last().expect("much").contents;
    let deleted_b = known.iter().rev().find(|known| !known.contents.contains_key("b"));
    let before = deleted_b.map(|gone| gone.events).expect("b was deleted");
    let full_b = known.iter().rfind(|known| known.events < before);
    let full_b = full_b.expect("b was there").contents["b"].clone();
    let first = known[0].events;
    let mut tried = 0;
    for events in first..=sim.events() {
        let last = known.iter().rev().find(|known| known.events <= events).expect("the first");
        let is_whole = events == sim.events() || sim.is_sync(events);
        let fates = [Fate::Lost, Fate::Kept].into_iter().filter(|_| is_whole);
        let torn = (0..if is_whole { 3 } else { 1 }).map(|n| Fate::Torn(events as u64 * 3 + n));
        for fate in fates.chain(torn) {
            let what = format!("{fate:?} behind {events} of {}", sim.events());
            let crashed = sim.after_crash(events, fate);
            let store = open_on(&crashed);
            assert_eq!(store.recovery().records_damaged, 0, "{what}");
            check(&store, last, end, &full_b, &what).await;
            // It goes on, and what goes on is kept, too.
            let is_open = store.head(&name("a")).expect("there").end.is_none();
            let before = all(&store, "a").await;
            if is_open {
                append(&store, "a", order("more")).await.expect("open");
            }
            drop(store);
            let store = open_on(&crashed.after_crash_now());
            let more = if is_open { "more" } else { "" };
            assert_eq!(all(&store, "a").await, format!("{before}{more}"), "{what}");
            tried += 1;
        }
    }
    assert!(tried > 300, "{tried} crashes");
}
