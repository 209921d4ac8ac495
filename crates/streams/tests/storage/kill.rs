//! A process that is killed while it writes: what it was answered is there.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use outlast_runtime::random::Seeded;
use outlast_streams::Store;

use crate::help::{all, append, name, open, order};

/// How many processes are killed; `cargo xtask soak` sets more.
const KILLS: &str = "OUTLAST_KILLS";

#[tokio::test]
async fn what_was_answered_before_a_kill_is_there() {
    let kills = std::env::var(KILLS).map_or(12, |count| count.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut seeded = Seeded::new(11);
    let (mut rounds, mut known) = (0, [0; 3]);
    while rounds < kills {
        let mut child = Command::new(env!("CARGO_BIN_EXE_writer-for-streams-tests"))
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        // Each line tells a stream and how many messages of it were answered.
        let answers = seeded.number() % 400;
        let mut lines = output.lines();
        for _ in 0..answers {
            note(&mut known, &lines.next().expect("it goes on for ever").expect("text"));
        }
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        lines.map_while(Result::ok).for_each(|line| note(&mut known, &line));
        let store = open(folder.path());
        for (at, known) in known.iter_mut().enumerate() {
            let Ok(info) = store.head(&name(&at.to_string())) else {
                assert_eq!(*known, 0, "stream {at} is lost");
                continue;
            };
            let found = all(&store, &at.to_string()).await;
            let count = found.matches(';').count();
            let want: String = (0..count).map(|number| format!("{number};")).collect();
            assert_eq!(found, want, "no gap, nothing twice, nothing torn");
            assert!(count >= *known, "stream {at} has {count}, {known} were answered");
            assert_eq!(info.tail.position(), want.len() as u64);
            *known = count;
            // This process writes, too, and ends in peace.
            append(&store, &at.to_string(), order(&format!("{count};"))).await.expect("open");
            *known += 1;
        }
        rounds += 1;
    }
    assert!(known.iter().all(|count| *count > kills), "{known:?}");
}

fn note(known: &mut [usize; 3], line: &str) {
    // The last line may be torn.
    let Some((at, count)) = line.split_once(' ').filter(|(_, count)| count.ends_with('.')) else {
        return;
    };
    let at: usize = at.parse().expect("a stream");
    known[at] = known[at].max(count.trim_end_matches('.').parse().expect("a number"));
}
