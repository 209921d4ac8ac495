//! What can be said to `outlast doctor --what-if`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use outlast_config::Spread;
use outlast_doctor::whatif::{RUNS_MAX, parse_rate};

use crate::cli::{at_least_one, duration};

/// What is changed, and what comes in.
#[derive(Debug, Args)]
#[command(next_help_heading = "What-if")]
pub(crate) struct WhatIfArgs {
    /// Predicts what other limits would do, such as hard=60,soft=45 or type=requests or machines=2. Repeatable, side by side
    #[arg(long, value_name = "CHANGES")]
    pub(crate) what_if: Vec<String>,
    /// How many users come, such as 12/min
    #[arg(long, value_name = "RATE", value_parser = parse_rate, requires = "holding")]
    pub(crate) arrivals: Option<f64>,
    /// How long each stream takes: 8m, uniform:5m:10m, exponential:5m, lognormal:7m:p95=10m
    #[arg(long, value_name = "SPREAD")]
    pub(crate) holding: Option<Spread>,
    /// For how long users come
    #[arg(
        long, value_name = "DURATION", value_parser = duration, default_value = "1h",
        requires = "arrivals"
    )]
    pub(crate) during: Duration,
    /// A preset or a plan of `outlast drill`: its users come
    #[arg(long, value_name = "PRESET|FILE", conflicts_with_all = ["arrivals", "retry", "patience"])]
    pub(crate) load: Option<PathBuf>,
    /// A log of `outlast up`: its exchanges come as they came. `-`: standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["arrivals", "load"])]
    pub(crate) records: Option<PathBuf>,
    /// How long who is refused waits before it tries again, such as uniform:10s:30s [default: it gives up]
    #[arg(long, value_name = "SPREAD")]
    pub(crate) retry: Option<Spread>,
    /// How often it tries again
    #[arg(long, value_name = "N", default_value = "20", value_parser = at_least_one, requires = "retry")]
    pub(crate) retries: NonZeroU32,
    /// Who tries again waits at least as long as Retry-After says
    #[arg(long, requires = "retry")]
    pub(crate) heed_retry_after: bool,
    /// How long users wait for a place before they leave for good [default: as long as the queue lets them]
    #[arg(long, value_name = "SPREAD")]
    pub(crate) patience: Option<Spread>,
    /// The service [default: the first with a hard limit]
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// The share that may be refused where a limit suffices
    #[arg(long, value_name = "PERCENT", default_value = "0.1%", value_parser = percent)]
    pub(crate) refused_max: f64,
    /// How often chance is asked anew [default: 20, fewer for more than 50,000 users]
    #[arg(long, value_name = "N", value_parser = runs)]
    pub(crate) runs: Option<NonZeroU32>,
    /// Gives the same prediction again
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) seed: u64,
}

impl WhatIfArgs {
    /// Whether a prediction is asked for.
    pub(crate) fn is_asked(&self) -> bool {
        !self.what_if.is_empty()
            || self.arrivals.is_some()
            || self.load.is_some()
            || self.records.is_some()
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let share = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    let share = share.filter(|share| (0.0..=100.0).contains(share));
    share.map(|share| share / 100.0).ok_or_else(|| "write a share such as 0.1% or 0%".to_owned())
}

fn runs(text: &str) -> Result<NonZeroU32, String> {
    let runs = text.parse::<NonZeroU32>().ok().filter(|runs| runs.get() <= RUNS_MAX);
    runs.ok_or_else(|| format!("write a whole number from 1 to {RUNS_MAX}"))
}
