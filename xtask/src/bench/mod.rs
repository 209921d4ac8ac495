//! `cargo xtask bench`: what held streams, chunks, requests and bytes cost, beside HAProxy and nginx in the same run.
//!
//! A proxy has one core to itself and one thread; origin and clients share the last one. Figures of one machine mean
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
use crate::run;
use proxy::{Kind, Plan, Proxy};
use report::Table;
use scenario::{Measure, SCENARIOS, Scenario, Size};

/// Two for each of 9,000 streams, at the proxies and here, and some.
const DESCRIPTORS_MIN: u64 = 19_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A fraction of the load, once, with the unoptimised binary: shows that it works, and nothing else
    #[arg(long)]
    quick: bool,
    /// Only this scenario; repeatable
    #[arg(long, value_name = "SCENARIO")]
    only: Vec<String>,
    /// Runs of each scenario, of which the median counts
    #[arg(long, value_name = "N", default_value_t = 3)]
    runs: usize,
    /// The result as JSON on standard output instead of a table
    #[arg(long)]
    json: bool,
}

/// Builds the gateway, measures all proxies in turn, and prints what came out.
pub(crate) fn run(args: &Args) -> Result<()> {
    packages::install(packages::BENCH)?;
    let scenarios = chosen(&args.only)?;
    let build = run::Args { release: !args.quick, up: Vec::new() };
    run::build(&build)?;
    raise_limit()?;
    // The last core is ours, the first ones are the proxy's.
    let cores = std::thread::available_parallelism()?.get();
    let mut own = CpuSet::new();
    own.set(cores - 1);
    sched_setaffinity(None, &own).context("cannot bind to a core")?;
    let (size, runs) = if args.quick { (Size::Quick, 1) } else { (Size::Full, args.runs.max(1)) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let plan = Plan { origin: origin::start()?, outlast: run::binary(&build), threads: 1 };
    let mut table = Table::default();
    let done = (0..runs).try_for_each(|round| {
        scenarios.iter().try_for_each(|scenario| {
            eprintln!("{} of {runs}: {}", round + 1, scenario.name);
            runtime.block_on(measure(scenario, &plan, size, &mut table))
        })
    });
    // What was measured before something failed took minutes, and is shown.
    println!("{}", if args.json { table.json()? } else { table.text() });
    done
}

fn chosen(only: &[String]) -> Result<Vec<&'static Scenario>> {
    let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    if let Some(unknown) = only.iter().find(|only| !names.contains(&only.as_str())) {
        bail!("there is no scenario {unknown}; there are {}", names.join(", "));
    }
    let is_chosen =
        |scenario: &&Scenario| only.is_empty() || only.iter().any(|only| only == scenario.name);
    Ok(SCENARIOS.iter().filter(is_chosen).collect())
}

/// One run of a scenario with all whom it is for, one after the other, so that what the machine does beside it meets all.
async fn measure(scenario: &Scenario, plan: &Plan, size: Size, table: &mut Table) -> Result<()> {
    match scenario.measure {
        Measure::Each(measure) => {
            for kind in Kind::ALL {
                let proxy = Proxy::start(kind, plan).await?;
                let figures = measure(&proxy, size).await;
                proxy.stop().await?;
                table.add(kind, figures.with_context(|| kind.name().to_owned())?);
            }
        }
        Measure::Own(measure) => table.add(Kind::Outlast, measure(plan, size).await?),
    }
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
