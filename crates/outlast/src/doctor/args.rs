//! What can be said to `outlast doctor` and `outlast explain`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use outlast_config::ByteSize;
use outlast_doctor::{Hints, Severity};

use super::live::LiveArgs;
use super::logs::LogsArgs;
use super::whatif::WhatIfArgs;
use crate::cli::{at_least_one, duration, setting};

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The file to review
    #[arg(value_name = "FLY.TOML", default_value = "fly.toml")]
    pub(crate) file: PathBuf,
    /// The outlast.toml to review with it [default: the one beside it, if it exists]
    #[arg(long, value_name = "FILE")]
    pub(crate) outlast: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) logs: LogsArgs,
    #[command(flatten)]
    pub(crate) hints: HintArgs,
    #[command(flatten)]
    pub(crate) live: LiveArgs,
    /// Ticks what should be so before a deploy, as far as the files, and with --live a gateway, show it
    #[arg(long, conflicts_with_all = ["fix", "logs", "what_if"])]
    pub(crate) checklist: bool,
    #[command(flatten)]
    pub(crate) what_if: WhatIfArgs,
    /// For whom the result is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: Format,
    /// The least finding that makes the exit code 1
    #[arg(long, value_name = "SEVERITY", default_value = "warning")]
    pub(crate) fail_on: FailOn,
    /// Applies the edits that are safe, and reviews what is left
    #[arg(long)]
    pub(crate) fix: bool,
    /// With --fix: prints the difference and writes nothing
    #[arg(long, requires = "fix")]
    pub(crate) dry_run: bool,
    /// Shows values of [env] that look like secrets
    #[arg(long)]
    pub(crate) show_private: bool,
}

/// What the file cannot say.
#[derive(Debug, Args)]
pub(crate) struct HintArgs {
    /// How long the longest stream or WebSocket lasts, such as 8m; 0s: there are none
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    streams: Option<Duration>,
    /// How long the app takes from its start until it answers
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    boot: Option<Duration>,
    /// How many machines there are
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    machines: Option<NonZeroU32>,
    /// What a stream needs, such as 48MB
    #[arg(long, value_name = "SIZE", value_parser = setting::<ByteSize>)]
    memory_per_stream: Option<ByteSize>,
    /// How many streams are open at once, on all machines together
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    peak: Option<NonZeroU32>,
}

impl From<&HintArgs> for Hints {
    fn from(args: &HintArgs) -> Self {
        Self {
            streams: args.streams,
            boot: args.boot,
            machines: args.machines,
            memory_per_stream: args.memory_per_stream,
            peak: args.peak,
        }
    }
}

/// For whom findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A person: source lines, causes, consequences, fixes
    Human,
    /// One JSON object
    Json,
    /// SARIF 2.1.0
    Sarif,
    /// GitHub's workflow commands
    Github,
    /// JUnit's XML, a test case for each rule
    Junit,
}

/// From which severity on it has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// The deployment or the first request fails
    Error,
    /// Users will see failures
    High,
    /// Users may see failures: high and medium
    #[value(alias = "medium")]
    Warning,
    /// Not as meant
    Low,
    /// Everything
    #[value(alias = "info")]
    Note,
    /// Nothing
    Never,
}

impl FailOn {
    /// The least severity that fails.
    pub(crate) fn severity(self) -> Option<Severity> {
        Some(match self {
            Self::Error => Severity::Error,
            Self::High => Severity::High,
            Self::Warning => Severity::Medium,
            Self::Low => Severity::Low,
            Self::Note => Severity::Info,
            Self::Never => return None,
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The rule, such as FLY101 [default: all of them, a line each]
    #[arg(value_name = "RULE")]
    pub(crate) rule: Option<String>,
}
