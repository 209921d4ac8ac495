//! What our log says of machines, beside the lines about them on standard output.

use std::io::{self, IsTerminal};
use std::time::Duration;

use outlast_machines::{CheckReport, Exit, ExitReport, Next};

use crate::cli::LogArgs;
use crate::logging;

/// How loudly news of machines are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// As what they are: the log is read by itself.
    Loud,
    /// For debugging only: the machines' own lines stand on the same screen and say it already.
    Quiet,
}

impl News {
    pub(crate) fn new(log: &LogArgs) -> Self {
        let one_screen = io::stdout().is_terminal() && io::stderr().is_terminal();
        if one_screen && logging::is_human(log) { Self::Quiet } else { Self::Loud }
    }

    pub(crate) fn ended(self, machine: &str, report: ExitReport) {
        let exit = exit(report.exit);
        let lived_ms = milliseconds(report.lived);
        let restart_in_ms = match report.next {
            Next::Restart { after } => Some(milliseconds(after)),
            Next::Stop => None,
        };
        match self {
            Self::Loud => {
                tracing::warn!(machine, exit, lived_ms, restart_in_ms, "the machine ended");
            }
            Self::Quiet => {
                tracing::debug!(machine, exit, lived_ms, restart_in_ms, "the machine ended");
            }
        }
    }

    pub(crate) fn checked(self, machine: &str, report: &CheckReport) {
        let CheckReport { name, status, changed, output } = report;
        // Many an answer tells the time, or how long the app has run.
        if !changed {
            return;
        }
        let (check, status) = (name.as_str(), status.name());
        match self {
            Self::Loud => tracing::info!(machine, check, status, output, "the machine was checked"),
            Self::Quiet => {
                tracing::debug!(machine, check, status, output, "the machine was checked");
            }
        }
    }

    pub(crate) fn not_started(self, machine: &str, reason: &str) {
        match self {
            Self::Loud => tracing::error!(machine, reason, "the machine does not start"),
            Self::Quiet => tracing::debug!(machine, reason, "the machine does not start"),
        }
    }
}

fn exit(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("code {code}"),
        Exit::Signal(number) => format!("signal {number}"),
        Exit::Unknown => "unknown".to_owned(),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
