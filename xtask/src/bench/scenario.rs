//! What is done with a proxy, and what is measured.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Result, bail};
use outlast_runtime::clock;

use super::client::{self, Load, Reuse, Streams};
use super::proxy::{Kind, Plan, Proxy, Usage, Used};

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Full,
    Quick,
}

impl Size {
    fn of<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

/// One measured number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figure {
    /// What, with its unit.
    pub(super) name: &'static str,
    pub(super) value: f64,
    /// What is aimed at.
    pub(super) goal: Goal,
}

/// What is aimed at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    /// Nothing: it is shown.
    None,
    /// At most this.
    Most(f64),
    /// At most this many times what HAProxy needs.
    Ratio(f64),
}

type Measured<'a> = Pin<Box<dyn Future<Output = Result<Vec<Figure>>> + 'a>>;

pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) measure: Measure,
}

/// With whom it is measured.
pub(super) enum Measure {
    /// With each proxy in turn.
    Each(for<'a> fn(&'a Proxy, Size) -> Measured<'a>),
    /// With Outlast alone, which it starts itself.
    Own(for<'a> fn(&'a Plan, Size) -> Measured<'a>),
}

pub(super) const SCENARIOS: &[Scenario] = &[
    each("hold", |proxy, size| Box::pin(hold(proxy, size))),
    each("silent", |proxy, size| Box::pin(silent(proxy, size))),
    each("requests", |proxy, size| Box::pin(requests(proxy, size))),
    each("connections", |proxy, size| Box::pin(connections(proxy, size))),
    each("posts", |proxy, size| Box::pin(posts(proxy, size))),
    each("down", |proxy, size| Box::pin(down(proxy, size))),
    each("up", |proxy, size| Box::pin(up(proxy, size))),
    Scenario { name: "threads", measure: Measure::Own(|plan, size| Box::pin(threads(plan, size))) },
];

const fn each(
    name: &'static str,
    measure: for<'a> fn(&'a Proxy, Size) -> Measured<'a>,
) -> Scenario {
    Scenario { name, measure: Measure::Each(measure) }
}

/// Connections that carry the small requests.
const CLIENTS: u32 = 64;
/// What one core of each proxy can do without a queue before it.
const REQUESTS_RATE: u32 = 4_000;
const CONNECTIONS_RATE: u32 = 1_500;
/// After the last stream is open, until what that took has been paid.
const SETTLE: Duration = Duration::from_secs(2);

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Kibibytes by which memory rose.
fn kib(before: u64, after: u64) -> f64 {
    (after as f64 - before as f64) / 1024.0
}

fn mib(before: u64, after: u64) -> f64 {
    kib(before, after) / 1024.0
}

/// Streams with a chunk a second, and what is left of their memory after them.
async fn hold(proxy: &Proxy, size: Size) -> Result<Vec<Figure>> {
    let count = size.of(5_000, 500);
    // The first one pays for what is needed once.
    Load::get(Reuse::KeepAlive, 1, 100).send(proxy.address, 10).await?;
    let idle = proxy.usage()?;
    let streams = Streams::open(proxy.address, "/hold", count).await?;
    clock::sleep(SETTLE).await;
    let (before, chunks_before) = (proxy.usage()?, streams.chunks());
    clock::sleep(size.of(Duration::from_secs(10), Duration::from_secs(2))).await;
    let (after, chunks) = (proxy.usage()?, streams.chunks() - chunks_before);
    if streams.open_count() != count || chunks == 0 {
        bail!("{} of {count} streams are left, with {chunks} chunks", streams.open_count());
    }
    streams.close().await;
    clock::sleep(size.of(Duration::from_secs(30), Duration::from_secs(2))).await;
    let left = proxy.usage()?;
    let rise = kib(idle.pss, after.pss);
    Ok(vec![
        Figure { name: "held: KiB per stream", value: rise / count as f64, goal: Goal::Most(2.5) },
        Figure {
            name: "held: CPU µs per chunk",
            value: micros(after.cpu_since(&before)?) / chunks as f64,
            goal: Goal::Ratio(1.0),
        },
        Figure {
            name: "held: share of memory left after",
            value: kib(idle.pss, left.pss) / rise,
            goal: Goal::Most(0.25),
        },
    ])
}

/// Streams in which nothing happens.
async fn silent(proxy: &Proxy, size: Size) -> Result<Vec<Figure>> {
    let count = size.of(9_000, 900);
    Load::get(Reuse::KeepAlive, 1, 100).send(proxy.address, 10).await?;
    let idle = proxy.usage()?;
    let streams = Streams::open(proxy.address, "/silent", count).await?;
    clock::sleep(SETTLE).await;
    let before = proxy.usage()?;
    // A gateway at rest looks at its sockets twice a minute: there is one look in it.
    let window = size.of(Duration::from_secs(30), Duration::from_secs(2));
    clock::sleep(window).await;
    let after = proxy.usage()?;
    if streams.open_count() != count {
        bail!("{} of {count} streams are left", streams.open_count());
    }
    streams.close().await;
    let share = after.cpu_since(&before)?.as_secs_f64() / window.as_secs_f64();
    Ok(vec![
        Figure {
            name: "silent: KiB per stream",
            value: kib(idle.pss, after.pss) / count as f64,
            goal: Goal::Most(2.5),
        },
        Figure { name: "silent: % of a core", value: share * 100.0, goal: Goal::Most(0.1) },
    ])
}

async fn requests(proxy: &Proxy, size: Size) -> Result<Vec<Figure>> {
    let load = Load::get(Reuse::KeepAlive, CLIENTS, REQUESTS_RATE);
    let values = loaded(proxy, &load, size.of(32_000, 2_000)).await?;
    let names = ["request: CPU µs", "request: memory MiB", "request: p50 µs", "request: p99 µs"];
    Ok(small_figures(names, values, Goal::Ratio(0.9)))
}

async fn connections(proxy: &Proxy, size: Size) -> Result<Vec<Figure>> {
    let load = Load::get(Reuse::New, CLIENTS, CONNECTIONS_RATE);
    let values = loaded(proxy, &load, size.of(20_000, 1_000)).await?;
    let names = [
        "request on a new connection: CPU µs",
        "request on a new connection: memory MiB",
        "request on a new connection: p50 µs",
        "request on a new connection: p99 µs",
    ];
    Ok(small_figures(names, values, Goal::Ratio(1.0)))
}

async fn posts(proxy: &Proxy, size: Size) -> Result<Vec<Figure>> {
    let load = Load::post(2048, CLIENTS, REQUESTS_RATE);
    let values = loaded(proxy, &load, size.of(20_000, 2_000)).await?;
    let names = [
        "POST of 2 KiB: CPU µs",
        "POST of 2 KiB: memory MiB",
        "POST of 2 KiB: p50 µs",
        "POST of 2 KiB: p99 µs",
    ];
    Ok(small_figures(names, values, Goal::Ratio(0.9)))
}

fn small_figures(names: [&'static str; 4], values: [f64; 4], cpu: Goal) -> Vec<Figure> {
    let goals = [cpu, Goal::None, Goal::Ratio(1.0), Goal::Ratio(2.0)];
    let figure = |((name, value), goal)| Figure { name, value, goal };
    names.into_iter().zip(values).zip(goals).map(figure).collect()
}

/// CPU per request, memory above idle, and latencies from the planned start.
async fn loaded(proxy: &Proxy, load: &Load, count: u32) -> Result<[f64; 4]> {
    let idle = proxy.usage()?;
    load.send(proxy.address, count.div_ceil(8)).await?;
    let (latencies, used) = proxy.watch(load.send(proxy.address, count)).await?;
    let at = |percent: usize| micros(latencies[latencies.len() * percent / 100]);
    Ok([micros(used.cpu) / latencies.len() as f64, mib(idle.pss, used.pss), at(50), at(99)])
}

async fn down(proxy: &Proxy, size: Size) -> Result<Vec<Figure>> {
    let bytes = size.of(2 * GIB, GIB / 8);
    let idle = proxy.usage()?;
    client::download(proxy.address, 1_000_000).await?;
    let ((), used) = proxy.watch(client::download(proxy.address, bytes)).await?;
    Ok(bulk_figures(["bulk down: CPU s per GB", "bulk down: memory MiB"], bytes, &idle, used))
}

/// Bodies as a browser sends files.
async fn up(proxy: &Proxy, size: Size) -> Result<Vec<Figure>> {
    let (bodies, body_bytes) = (size.of(64, 4), GIB / 64);
    let idle = proxy.usage()?;
    client::upload(proxy.address, 1, 1_000_000).await?;
    let ((), used) = proxy.watch(client::upload(proxy.address, bodies, body_bytes)).await?;
    let names = ["bulk up: CPU s per GB", "bulk up: memory MiB"];
    Ok(bulk_figures(names, bodies * body_bytes, &idle, used))
}

const GIB: usize = 1024 * 1024 * 1024;

fn bulk_figures(names: [&'static str; 2], bytes: usize, idle: &Usage, used: Used) -> Vec<Figure> {
    let cpu = used.cpu.as_secs_f64() / (bytes as f64 / 1e9);
    vec![
        Figure { name: names[0], value: cpu, goal: Goal::Ratio(0.5) },
        Figure { name: names[1], value: mib(idle.pss, used.pss), goal: Goal::None },
    ]
}

/// Small requests with one thread and with two: what sharing costs, and how even it is.
async fn threads(plan: &Plan, size: Size) -> Result<Vec<Figure>> {
    let load = Load::get(Reuse::KeepAlive, CLIENTS, REQUESTS_RATE);
    let count = size.of(32_000, 2_000);
    let one = Proxy::start(Kind::Outlast, plan).await?;
    let [one_cpu, ..] = loaded(&one, &load, count).await?;
    one.stop().await?;
    let two = Proxy::start(Kind::Outlast, &Plan { threads: 2, ..plan.clone() }).await?;
    load.send(two.address, count.div_ceil(8)).await?;
    let before = workers(&two)?;
    let (_latencies, used) = two.watch(load.send(two.address, count)).await?;
    let after = workers(&two)?;
    two.stop().await?;
    let loads: Vec<f64> =
        after.iter().zip(&before).map(|(after, before)| micros(*after - *before)).collect();
    let even = loads.iter().sum::<f64>() / loads.len() as f64;
    let most = loads.iter().copied().fold(0.0, f64::max);
    Ok(vec![
        Figure {
            name: "two threads: CPU per request, of one thread's",
            value: micros(used.cpu) / f64::from(count) / one_cpu,
            goal: Goal::Most(1.15),
        },
        Figure {
            name: "two threads: load of the busier one, of an even share",
            value: most / even,
            goal: Goal::Most(1.1),
        },
    ])
}

/// The CPU time of each worker thread.
fn workers(proxy: &Proxy) -> Result<Vec<Duration>> {
    let mut threads = proxy.threads()?;
    threads.retain(|thread| thread.name.starts_with("gateway-"));
    threads.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(threads.iter().map(|thread| thread.cpu).collect())
}
