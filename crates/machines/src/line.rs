//! Log lines as `fly logs` prints them.

use std::fmt;
use std::io::{self, Write};
use std::thread::JoinHandle;

use jiff::Timestamp;
use outlast_runtime::clock;
use outlast_runtime::lossy::{Loss, LossyOutput, LostLines};
use tokio::sync::mpsc;

use crate::MachineId;

/// How many lines may wait to be written: with the longest lines 4 MiB.
const LINES_WAITING_MAX: usize = 256;

/// A line of a machine's log. Its text form is that of `fly logs`, without a line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was read or written.
    pub at: Timestamp,
    /// Who says it.
    pub provider: Provider,
    /// About which machine.
    pub machine: MachineId,
    /// Where that one is.
    pub region: String,
    /// How grave it is. What a machine writes is always `info`.
    pub level: Level,
    /// One line, at most 16 KiB long.
    pub message: String,
}

/// Who says a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// The machine itself, on its standard output or error.
    App,
    /// Who waits for the machine to be reachable.
    Proxy,
    /// Who checks the machine's health.
    Health,
    /// Who starts and stops the machine.
    Runner,
}

/// How grave a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Level {
    Info,
    Warn,
    Error,
}

impl LogLine {
    pub(crate) fn now(
        provider: Provider,
        machine: &MachineId,
        region: &str,
        level: Level,
        message: String,
    ) -> Self {
        let (machine, region) = (machine.clone(), region.to_owned());
        Self { at: clock::wall_now(), provider, machine, region, level, message }
    }

    /// The line that tells, before this one, what was lost.
    fn confession(&self, loss: Loss<'_>) -> Self {
        let message = format!("lost {} lines of this log: {}", loss.lines, loss.why);
        Self::now(Provider::Runner, &self.machine, &self.region, Level::Warn, message)
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, machine, region, message, .. } = self;
        let provider = match self.provider {
            Provider::App => "app",
            Provider::Proxy => "proxy",
            Provider::Health => "health",
            Provider::Runner => "runner",
        };
        let level = match self.level {
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        // No blank after the level: one appears only if the message begins with it.
        write!(f, "{at:.0} {provider}[{machine}] {region} [{level}]{message}")
    }
}

/// The thread that writes the machines' log.
#[derive(Debug)]
pub struct LineThread {
    thread: JoinHandle<()>,
    lost: LostLines,
}

impl LineThread {
    /// How many lines are lost, now and later, because they could not be written.
    #[must_use]
    pub fn lost(&self) -> LostLines {
        self.lost.clone()
    }

    /// Waits until everything is written. It ends when every sender is gone.
    ///
    /// # Panics
    /// When the thread has, which is a defect.
    pub fn join(self) {
        self.thread.join().expect("the writer does not panic");
    }
}

/// Writes lines with a thread of its own, so that a terminal that is held does not hold the program. At most 256 lines
/// wait; machines lose lines, and say how many, rather than wait longer than a second.
///
/// A line that cannot be written is lost, and how many were is told with the next that can. `writer` must not buffer.
///
/// # Errors
/// When no thread can be started.
pub fn write_lines<W>(writer: W) -> io::Result<(mpsc::Sender<LogLine>, LineThread)>
where
    W: Write + Send + 'static,
{
    let (tx, mut rx) = mpsc::channel::<LogLine>(LINES_WAITING_MAX);
    let lost = LostLines::default();
    let mut output = LossyOutput::new(writer, lost.clone());
    let thread = std::thread::Builder::new().name("machine-log".to_owned()).spawn(move || {
        let mut last = None;
        while let Some(line) = rx.blocking_recv() {
            output.write(format!("{line}\n").as_bytes(), |loss| line.confession(loss).to_string());
            last = Some(line);
        }
        if let Some(line) = last {
            output.write(&[], |loss| line.confession(loss).to_string());
        }
    })?;
    Ok((tx, LineThread { thread, lost }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_in_the_words_of_the_log() {
        let (machine, region) = (MachineId::random(), "sjc");
        let text = "hello".to_owned();
        let line = LogLine::now(Provider::App, &machine, region, Level::Info, text);
        let told = line.confession(Loss { lines: 3, why: "disk full" }).to_string();
        let end = format!(" runner[{machine}] sjc [warn]lost 3 lines of this log: disk full");
        assert!(told.ends_with(&end), "{told}");
    }
}
