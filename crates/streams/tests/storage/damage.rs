//! Bits that change on the disk: an error with file and place, and never other bytes.

use std::collections::HashMap;
use std::sync::Arc;

use outlast_runtime::random::Seeded;
use outlast_streams::{EndReason, Offset, ReadError, ReadFrom, Segments, StorageErrorKind, Store};

use crate::help::{all, append, closing, create, json, name, open_on, order, read, settings, text};
use crate::sim::{Sim, root, texts};

/// Offsets in a stream, and the message behind each.
type Written = HashMap<String, Vec<(Offset, String)>>;

async fn write(store: &dyn Store) -> Written {
    let mut written = Written::new();
    for at in ["a", "b", "c"] {
        let info = create(store, at, json()).await;
        let mut from = info.tail;
        for message in texts(30) {
            let message = format!("{at}{message}");
            let next = append(store, at, order(&message)).await.expect("open").tail;
            written.entry(at.to_owned()).or_default().push((from, message));
            from = next;
        }
    }
    append(store, "c", closing(EndReason::Aborted)).await.expect("open");
    written
}

/// Every message is what was written, or an error that says where. How many errors.
async fn check(store: &dyn Store, written: &Written, what: &str) -> usize {
    let mut errors = 0;
    for (at, messages) in written {
        for (from, message) in messages {
            match store.read(&name(at), ReadFrom::Offset(*from), message.len()).await {
                // What was cut off with the damaged frame: only the last of the log.
                Ok(chunk) if chunk.messages.is_empty() => errors += 1,
                Ok(chunk) => assert_eq!(text(&chunk), *message, "{what}: {at} at {from}"),
                Err(ReadError::Storage(error)) => {
                    assert_eq!(error.kind(), StorageErrorKind::Corrupt, "{what}: {error}");
                    assert!(error.to_string().contains(".seg is corrupt at byte"), "{error}");
                    errors += 1;
                }
                // The stream is lost with its first frame, or its end with the last of the log.
                Err(ReadError::Missing(_) | ReadError::Offset(_)) => errors += 1,
                Err(other) => panic!("{what}: {other:?}"),
            }
        }
    }
    errors
}

#[tokio::test]
async fn a_bit_that_flips_is_an_error_and_never_other_bytes() {
    let sim = Sim::default();
    let store = open_on(&sim);
    let written = write(&store).await;
    drop(store);
    let mut seeded = Seeded::new(7);
    let mut damaged = 0;
    for round in 0..300 {
        let sim = sim.after_crash_now();
        let segments = sim.segments();
        let mut below = |max: usize| usize::try_from(seeded.number() % max as u64).expect("small");
        let path = &segments[below(segments.len())];
        let mut flip = (0, 0);
        sim.alter(path, |bytes| {
            flip = (below(bytes.len()), below(8));
            bytes[flip.0] ^= 1 << flip.1;
        });
        let what = format!("round {round}: bit {flip:?} of {}", path.display());
        let store = open_on(&sim);
        let errors = check(&store, &written, &what).await;
        damaged += usize::from(errors > 0);
        let lost_streams = store.recovery().streams_lost;
        // One flip damages one frame, and a stream if that was its first one.
        assert!(errors <= 1 || lost_streams == 1, "{what}: {errors} messages cannot be read");
        assert!(lost_streams <= 1, "{what}");
    }
    assert!(damaged > 200, "{damaged} of 300 flips were noticed");
}

#[tokio::test]
async fn a_flip_under_a_running_store_is_noticed_when_it_is_read() {
    let sim = Sim::default();
    let store = open_on(&sim);
    let written = write(&store).await;
    let first = &sim.segments()[0];
    sim.alter(first, |bytes| bytes.iter_mut().skip(64).for_each(|byte| *byte ^= 0x80));
    let errors = check(&store, &written, "the first segment is noise").await;
    assert!((1..60).contains(&errors), "{errors}");
    assert!(all(&store, "b").await.starts_with("b<0:"), "other segments are read");
    append(&store, "a", order("more")).await.expect("and written");
    let chunk = read(&store, "a", ReadFrom::Offset(written["a"][29].0)).await.expect("the rest");
    assert!(text(&chunk).ends_with("more"));
}

#[tokio::test]
async fn what_is_no_segment_of_this_version_is_left_as_it_is() {
    let path = root().join("epochs/00000001/00000001.seg");
    let bytes = |disk: &Sim| {
        let mut found = Vec::new();
        disk.alter(&path, |bytes| found.clone_from(bytes));
        found
    };
    let noise = Sim::default();
    noise.put(&path, vec![0x55; 1_000]);
    let store = open_on(&noise);
    assert_eq!(store.recovery().records_damaged, 1);
    create(&store, "s", json()).await;
    assert_eq!(bytes(&noise), vec![0x55; 1_000]);

    let other = Sim::default();
    drop(open_on(&other));
    other.alter(&path, |bytes| {
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
    });
    let before = bytes(&other);
    let refused = Segments::open_on(Arc::new(other.clone()), &root(), settings());
    let error = refused.expect_err("it is another version");
    assert_eq!(error.kind(), StorageErrorKind::OtherVersion, "{error}");
    assert_eq!(bytes(&other), before);
}
