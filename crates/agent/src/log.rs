//! The lines of a run, kept for whoever follows it, now or later.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use outlast_protocol::chat::{ChatLine, LinesSum};
use outlast_runtime::clock;
use tokio::sync::watch;

/// The most that a run may write; with 256 runs 1 GiB at worst, and scout writes some 20 KiB.
const LOG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a run writes. Exactly one last line ends it.
#[derive(Debug)]
pub(crate) struct Log {
    state: Mutex<State>,
    /// How many lines there are; tells followers that there are more.
    count: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<Bytes>,
    bytes: usize,
    is_ended: bool,
}

/// Whether a line was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Taken,
    /// The log has its last line: whatever the run still says is not heard.
    Ended,
}

impl Log {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), count: watch::Sender::new(0) })
    }

    /// Adds a line. The last line of any kind wins, and one that would pass the bound is replaced by an error.
    pub(crate) fn write(&self, line: &ChatLine) -> Written {
        let mut state = self.lock();
        if state.is_ended {
            return Written::Ended;
        }
        let mut text = encode(line);
        let mut is_last = line.is_last();
        if !is_last && state.bytes + text.len() > LOG_BYTES_MAX {
            let error = format!("the run wrote more than {LOG_BYTES_MAX} bytes and was stopped");
            text = encode(&ChatLine::Error { error });
            is_last = true;
        }
        state.bytes += text.len();
        state.lines.push(text);
        state.is_ended = is_last;
        let count = state.lines.len();
        drop(state);
        self.count.send_replace(count);
        if is_last && !line.is_last() { Written::Ended } else { Written::Taken }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.lock().is_ended
    }

    /// What its lines take.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// The lines so far.
    pub(crate) fn sum(&self) -> LinesSum {
        let mut sum = LinesSum::default();
        for line in &self.lock().lines {
            sum.add(line.strip_suffix(b"\n").unwrap_or(line));
        }
        sum
    }

    /// Follows from the first line on.
    pub(crate) fn follow(self: &Arc<Self>, heartbeat: Duration) -> Follower {
        let count = self.count.subscribe();
        Follower { log: Arc::clone(self), count, read: 0, heartbeat }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }
}

fn encode(line: &ChatLine) -> Bytes {
    let mut text = serde_json::to_vec(line).expect("a line is plain data");
    text.push(b'\n');
    text.into()
}

/// Reads a run's lines from the first on, at its own speed. Dropping it changes nothing for the run.
#[derive(Debug)]
pub struct Follower {
    log: Arc<Log>,
    count: watch::Receiver<usize>,
    read: usize,
    heartbeat: Duration,
}

impl Follower {
    /// The next line with its line end; a line end alone after a heartbeat's time of silence; None after the last line.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing; the time of silence begins anew.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            {
                let state = self.log.lock();
                if let Some(line) = state.lines.get(self.read) {
                    self.read += 1;
                    return Some(line.clone());
                }
                if state.is_ended {
                    return None;
                }
            }
            let read = self.read;
            let more = self.count.wait_for(|count| *count > read);
            match clock::timeout(self.heartbeat, more).await {
                Ok(_more) => {}
                Err(_elapsed) => return Some(Bytes::from_static(b"\n")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use outlast_runtime::Tasks;

    use super::*;

    const BEAT: Duration = Duration::from_secs(15);

    fn text(line: &Bytes) -> &str {
        std::str::from_utf8(line).unwrap()
    }

    #[tokio::test]
    async fn followers_read_everything_at_their_own_speed() {
        let log = Log::new();
        let mut early = log.follow(BEAT);
        log.write(&ChatLine::ClaudeJson { data: 1.into() });
        assert_eq!(text(&early.next().await.unwrap()), "{\"type\":\"claude_json\",\"data\":1}\n");
        let tasks = Tasks::default();
        let writer = Arc::clone(&log);
        tasks.spawn(async move {
            writer.write(&ChatLine::ClaudeJson { data: 2.into() });
            assert_eq!(writer.write(&ChatLine::Done), Written::Taken);
            assert_eq!(writer.write(&ChatLine::Aborted), Written::Ended);
        });
        let mut late = log.follow(BEAT);
        for (follower, count) in [(&mut early, 2), (&mut late, 3)] {
            let mut lines = Vec::new();
            while let Some(line) = follower.next().await {
                lines.push(line);
            }
            assert_eq!((lines.len(), text(&lines[count - 1])), (count, "{\"type\":\"done\"}\n"));
        }
        assert!(late.next().await.is_none());
        tasks.join().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_run_says_that_it_lives() {
        let log = Log::new();
        let mut follower = log.follow(BEAT);
        let start = clock::now();
        for beat in 1..=3 {
            assert_eq!(text(&follower.next().await.unwrap()), "\n");
            assert_eq!(start.elapsed(), BEAT * beat);
        }
        log.write(&ChatLine::Aborted);
        assert_eq!(text(&follower.next().await.unwrap()), "{\"type\":\"aborted\"}\n");
    }

    #[tokio::test]
    async fn a_run_that_writes_without_end_is_ended() {
        let log = Log::new();
        let line = ChatLine::ClaudeJson { data: "x".repeat(1024 * 1024).into() };
        let mut written = 0;
        while log.write(&line) == Written::Taken {
            written += 1;
        }
        assert_eq!(written, 3);
        let mut follower = log.follow(BEAT);
        let mut last = Bytes::new();
        while let Some(line) = follower.next().await {
            last = line;
        }
        assert!(text(&last).contains("wrote more than"), "{last:?}");
    }
}
