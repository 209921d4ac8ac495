//! What a machine writes, on its way to the log.

use outlast_runtime::guard::Output;
use outlast_runtime::{Tasks, clock};
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::mpsc;

use crate::MachineId;
use crate::line::{Level, LogLine, Provider};

/// A longer line is cut into several.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// How long a machine's line waits for the log before lines are dropped. The machine itself never waits: its output is
/// read on.
const PATIENCE: Duration = Duration::from_secs(1);

/// One who speaks in the log, about one machine.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    lines: mpsc::Sender<LogLine>,
    machine: MachineId,
    region: String,
    dropped: u64,
}

impl Voice {
    pub(crate) fn new(machine: &MachineId, region: &str, lines: mpsc::Sender<LogLine>) -> Self {
        Self { lines, machine: machine.clone(), region: region.to_owned(), dropped: 0 }
    }

    /// Says a line. If the log takes none for a second, this one and the next are dropped, and then their number is told.
    pub(crate) async fn say(&mut self, provider: Provider, level: Level, message: String) {
        let line = self.line(provider, level, message);
        if self.dropped > 0 && self.lines.try_send(self.confession()).is_err() {
            self.dropped += 1;
            return;
        }
        self.dropped = 0;
        if clock::timeout(PATIENCE, self.lines.send(line)).await.is_err() {
            self.dropped = 1;
        }
    }

    fn line(&self, provider: Provider, level: Level, message: String) -> LogLine {
        LogLine::now(provider, &self.machine, &self.region, level, message)
    }

    fn confession(&self) -> LogLine {
        let text = format!("dropped {} lines: the log was not read in time", self.dropped);
        self.line(Provider::Runner, Level::Warn, text)
    }

    async fn confess(&mut self) {
        if self.dropped > 0 {
            let confession = self.confession();
            // If nobody reads the log even now, nobody misses anything.
            let _told = clock::timeout(PATIENCE, self.lines.send(confession)).await;
            self.dropped = 0;
        }
    }
}

/// Reads both outputs until no process has them open. The returned tasks end then.
pub(crate) fn forward(output: Output, voice: &Voice) -> Tasks {
    let tasks = Tasks::default();
    tasks.spawn_uncancelled(read(output.stdout, voice.clone()));
    tasks.spawn_uncancelled(read(output.stderr, voice.clone()));
    tasks
}

async fn read(output: impl AsyncRead + Unpin, mut voice: Voice) {
    let mut output = BufReader::with_capacity(LINE_BYTES_MAX, output);
    let mut line = Vec::new();
    // An error of a pipe is its end.
    while let Ok(true) = next_line(&mut output, &mut line).await {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        voice.say(Provider::App, Level::Info, text.to_owned()).await;
        line.clear();
    }
    voice.confess().await;
}

/// Appends a line, or as much of a line as may be one. False at the end, if nothing was left.
async fn next_line(
    output: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> std::io::Result<bool> {
    loop {
        let available = output.fill_buf().await?;
        if available.is_empty() {
            return Ok(!line.is_empty());
        }
        let room = LINE_BYTES_MAX - line.len();
        let end = available.iter().take(room).position(|byte| *byte == b'\n');
        let count = end.map_or(available.len().min(room), |end| end + 1);
        line.extend_from_slice(&available[..count]);
        output.consume(count);
        if end.is_some() || line.len() == LINE_BYTES_MAX {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MachineId;

    fn voice(lines: mpsc::Sender<LogLine>) -> Voice {
        let machine = "3d8d9930b32d89".parse::<MachineId>().unwrap();
        Voice { lines, machine, region: "sjc".to_owned(), dropped: 0 }
    }

    async fn lines_of(bytes: &[u8]) -> Vec<String> {
        let (tx, mut rx) = mpsc::channel(1_000);
        read(bytes, voice(tx)).await;
        let mut lines = Vec::new();
        while let Some(line) = rx.recv().await {
            lines.push(line.message);
        }
        lines
    }

    #[tokio::test]
    async fn lines_are_what_a_person_calls_one() {
        assert_eq!(lines_of(b"one\r\ntwo\n\nthree").await, ["one", "two", "", "three"]);
        assert_eq!(lines_of(b"").await, Vec::<String>::new());
        assert_eq!(lines_of(b"a\xffb\n").await, ["a\u{fffd}b"]);
        let long = vec![b'x'; 1024 * 1024];
        let lines = lines_of(&long).await;
        assert_eq!(lines.len(), 64);
        assert!(lines.iter().all(|line| line.len() == LINE_BYTES_MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_that_nobody_reads_loses_lines_and_says_how_many() {
        let (tx, mut rx) = mpsc::channel(2);
        let tasks = Tasks::default();
        let start = clock::now();
        tasks.spawn(async move { read(&b"1\n2\n3\n4\n5\n"[..], voice(tx)).await });
        clock::sleep(Duration::from_millis(1_500)).await;
        let mut lines = Vec::new();
        while let Some(line) = rx.recv().await {
            lines.push(line.message);
        }
        assert_eq!(lines, ["1", "2", "dropped 3 lines: the log was not read in time"]);
        assert!(start.elapsed() < Duration::from_secs(3), "only the first waited");
        tasks.join().await;
    }
}
