//! Log lines as `fly logs` prints them.

use std::fmt;
use std::io::{self, Write};
use std::thread::JoinHandle;

use jiff::Timestamp;
use outlast_runtime::clock;
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
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, machine, region, message, .. } = self;
        let provider = match self.provider {
            Provider::App => "app",
            Provider::Proxy => "proxy",
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

/// Writes lines with a thread of its own, so that a terminal that is held does not hold the program. At most 256 lines
/// wait; machines lose lines, and say how many, rather than wait longer than a second.
///
/// The thread ends with the writer's first error, or when every sender is gone.
///
/// # Errors
/// When no thread can be started.
pub fn write_lines<W>(writer: W) -> io::Result<(mpsc::Sender<LogLine>, JoinHandle<io::Result<()>>)>
where
    W: Write + Send + 'static,
{
    let (tx, mut rx) = mpsc::channel::<LogLine>(LINES_WAITING_MAX);
    let mut writer = writer;
    let thread = std::thread::Builder::new().name("machine-log".to_owned()).spawn(move || {
        while let Some(line) = rx.blocking_recv() {
            writeln!(writer, "{line}")?;
            if rx.is_empty() {
                writer.flush()?;
            }
        }
        writer.flush()
    })?;
    Ok((tx, thread))
}
