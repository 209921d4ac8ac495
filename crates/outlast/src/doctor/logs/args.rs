//! What can be said to `outlast doctor --logs`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::duration;

/// Which logs, and whether they go on.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logs")]
pub(crate) struct LogsArgs {
    /// Diagnoses a log: a file, packed with gzip or not, or - for standard input. Repeatable. FLY.TOML is evidence if it is there
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["fix", "live"])]
    pub(crate) logs: Vec<PathBuf>,
    /// Goes on reading as the log grows, and tells incidents as they begin, change and end
    #[arg(long, requires = "logs")]
    pub(crate) follow: bool,
    /// How long to follow
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "24h", requires = "follow")]
    pub(crate) span: Duration,
}
