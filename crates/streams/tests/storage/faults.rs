//! A disk that is full, cannot be written, or fails to sync.

use std::path::Path;
use std::process::Command;

use outlast_streams::{
    AppendError, CreateError, EndReason, Segments, StorageError, StorageErrorKind, Store,
};

use crate::help::{all, append, closing, create, json, name, open_on, order, relaxed, settings};
use crate::sim::{Faults, Sim, texts};

fn storage<T: std::fmt::Debug>(refused: Result<T, AppendError>) -> StorageError {
    match refused {
        Err(AppendError::Storage(error)) => error,
        other => panic!("the storage fails, and is told {other:?}"),
    }
}

#[tokio::test]
async fn a_full_disk_refuses_appends_and_nothing_else() {
    let sim = Sim::default();
    let store = open_on(&sim);
    create(&store, "s", json()).await;
    let mut want = String::new();
    for (round, message) in texts(40).iter().enumerate() {
        // Room for some bytes of the next frame, another number each time.
        sim.set(Faults { room: Some(sim.bytes() + round * 3 % 50), ..Faults::default() });
        let error = storage(append(&store, "s", order(message)).await);
        assert_eq!(error.kind(), StorageErrorKind::DiskFull, "{error}");
        assert!(error.to_string().contains("free some"), "{error}");
        assert_eq!(all(&store, "s").await, want);
        let refused = store.create(&name("t"), json()).await;
        assert!(matches!(refused, Err(CreateError::Storage(_))), "{refused:?}");
        assert!(store.head(&name("t")).is_err(), "what was refused is not there");
        sim.set(Faults::default());
        append(&store, "s", order(message)).await.expect("there is room again");
        want += message;
        assert_eq!(all(&store, "s").await, want);
    }
    drop(store);
    let store = open_on(&sim.after_crash_now());
    assert_eq!(all(&store, "s").await, want);
    assert_eq!(store.recovery().records_damaged, 0);
}

#[tokio::test]
async fn what_a_failed_sync_leaves_is_never_shown() {
    let sim = Sim::default();
    let store = open_on(&sim);
    create(&store, "s", json()).await;
    let mut want = String::new();
    for message in texts(40) {
        sim.set(Faults { syncs_fail: true, ..Faults::default() });
        // The second one needs a new segment, which cannot be made either.
        for _ in 0..2 {
            let error = storage(append(&store, "s", order("never kept")).await);
            assert_eq!(error.kind(), StorageErrorKind::Io, "{error}");
        }
        assert_eq!(all(&store, "s").await, want);
        sim.set(Faults::default());
        append(&store, "s", order(&message)).await.expect("syncs work again");
        want += &message;
        let other = open_on(&sim.after_crash_now());
        assert_eq!(all(&other, "s").await, want);
    }
}

#[tokio::test]
async fn a_disk_that_becomes_read_only_goes_on_being_read() {
    let sim = Sim::default();
    let store = open_on(&sim);
    create(&store, "s", json()).await;
    append(&store, "s", order("before")).await.expect("writable");
    sim.set(Faults { is_read_only: true, ..Faults::default() });
    let error = storage(append(&store, "s", closing(EndReason::Complete)).await);
    assert_eq!(error.kind(), StorageErrorKind::ReadOnly);
    assert!(error.to_string().contains("mount it writable"), "{error}");
    assert_eq!(all(&store, "s").await, "before");
    assert_eq!(store.head(&name("s")).expect("there").end, None);
    let refused = Segments::open_on(std::sync::Arc::new(sim), Path::new("/other"), settings());
    assert_eq!(refused.err().map(|error| error.kind()), Some(StorageErrorKind::ReadOnly));
}

#[tokio::test]
async fn a_relaxed_append_that_is_lost_is_told_of_before_the_next() {
    let sim = Sim::default();
    let store = open_on(&sim);
    for at in ["s", "t"] {
        create(&store, at, json()).await;
        append(&store, at, order("kept")).await.expect("writable");
    }
    sim.set(Faults { room: Some(0), ..Faults::default() });
    append(&store, "s", relaxed("lost")).await.expect("it is answered at once");
    // This one waits, and thereby for the one before.
    storage(append(&store, "t", order("refused")).await);
    sim.set(Faults::default());
    let lost = append(&store, "s", order("after the gap")).await;
    let Err(AppendError::Lost { tail }) = lost else { panic!("{lost:?}") };
    assert_eq!(tail.position(), 4);
    assert_eq!(all(&store, "s").await, "kept");
    append(&store, "s", order(", and on")).await.expect("told once");
    append(&store, "t", order(", and on")).await.expect("it was told by its own answer");
    for at in ["s", "t"] {
        assert_eq!(all(&store, at).await, "kept, and on");
    }
}

/// A file system of its own, which goes with the value. Only root may mount it.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(size: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path())
            .status();
        assert!(mounted.is_ok_and(|status| status.success()), "root may mount a tmpfs");
        Self(folder)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()),
            "what was mounted can be unmounted"
        );
    }
}

#[tokio::test]
async fn a_small_file_system_is_filled_and_freed() {
    // The index takes a megabyte and a half of its own.
    let mount = Mount::new("4m");
    let store = Segments::open(mount.0.path(), outlast_streams::Settings::default());
    let store = store.expect("there is room for that");
    create(&store, "s", json()).await;
    let message = "m".repeat(100_000);
    let mut count = 0;
    let error = loop {
        match append(&store, "s", order(&message)).await {
            Ok(_) => count += 1,
            refused => break storage(refused),
        }
    };
    assert_eq!(error.kind(), StorageErrorKind::DiskFull, "{error}");
    assert!(count > 5, "{count}");
    // A smaller one may fit still.
    while append(&store, "s", order("x")).await.is_ok() {}
    let before = all(&store, "s").await;
    assert!(before.starts_with(&message.repeat(count)));
    drop(store);
    let remounted =
        Command::new("mount").args(["-o", "remount,size=16m"]).arg(mount.0.path()).status();
    assert!(remounted.is_ok_and(|status| status.success()), "root may remount it");
    let store = Segments::open(mount.0.path(), outlast_streams::Settings::default());
    let store = store.expect("there is room");
    append(&store, "s", order("after")).await.expect("there is room");
    assert_eq!(all(&store, "s").await, before + "after");
}
