//! `cargo xtask bench`: what held streams, chunks, requests and bytes cost, beside HAProxy in the same run.
//!
//! The proxy has one core to itself and one thread; origin and clients share the other. Figures of one machine mean
//! little: read the ratios.

mod client;
mod origin;
mod proxy;
mod report;
mod scenario;

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::packages;
use crate::step::{cargo, run as run_command};
use proxy::{Kind, Proxy};
use report::Table;
use scenario::{SCENARIOS, Size};

/// Two for each of 9,000 streams, at the proxies and here, and some.
const DESCRIPTORS_MIN: u64 = 19_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A tenth of the streams, once: shows that it works, and nothing else
    #[arg(long)]
    quick: bool,
    /// Only this scenario; repeatable
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Runs of each scenario, of which the median counts
    #[arg(long, value_name = "N", default_value_t = 3)]
    runs: usize,
    /// The result as JSON on standard output instead of a table
    #[arg(long)]
    json: bool,
}

/// Builds the gateway, measures both proxies in turn, and prints what came out.
pub(crate) fn run(args: &Args) -> Result<()> {
    packages::install(packages::BENCH)?;
    run_command(cargo(&["build", "--release", "--package", "outlast", "--locked", "--quiet"]))?;
    raise_limit()?;
    // The last core is ours, the first one is the proxy's.
    let cores = std::thread::available_parallelism()?.get();
    let mut own = CpuSet::new();
    own.set(cores - 1);
    sched_setaffinity(None, &own).context("cannot bind to a core")?;
    let size = if args.quick { Size::Quick } else { Size::Full };
    let runs = if args.quick { 1 } else { args.runs.max(1) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let origin = origin::start()?;
    let mut table = Table::default();
    for round in 0..runs {
        for scenario in SCENARIOS {
            if !args.only.is_empty() && !args.only.iter().any(|only| only == scenario.name) {
                continue;
            }
            for kind in [Kind::Outlast, Kind::Haproxy] {
                eprintln!("{} of {runs}: {} with {}", round + 1, scenario.name, kind.name());
                let figures = runtime.block_on(async {
                    let proxy = Proxy::start(kind, origin).await?;
                    let figures = (scenario.measure)(&proxy, size).await;
                    proxy.stop().await?;
                    figures
                })?;
                table.add(kind, figures);
            }
        }
    }
    if table.is_empty() {
        let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        bail!("no scenario of that name; there are {}", names.join(", "));
    }
    println!("{}", if args.json { table.json()? } else { table.text() });
    Ok(())
}

/// Our limit is inherited by the proxies.
fn raise_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|maximum| maximum < DESCRIPTORS_MIN) {
        let raised = Rlimit { current: Some(DESCRIPTORS_MIN), maximum: Some(DESCRIPTORS_MIN) };
        return setrlimit(Resource::Nofile, raised).with_context(|| {
            format!("{DESCRIPTORS_MIN} open files are needed; raise the hard limit (ulimit -Hn)")
        });
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("cannot raise the limit of open files")
}
