//! What is done with a proxy, and what is measured.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Result, bail};
use outlast_runtime::clock;

use super::client::{self, Reuse, Streams};
use super::proxy::Proxy;

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
    /// At most this.
    Most(f64),
    /// At most this many times what the peer needs.
    Ratio(f64),
}

type Measured<'a> = Pin<Box<dyn Future<Output = Result<Vec<Figure>>> + 'a>>;

pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) measure: for<'a> fn(&'a Proxy, Size) -> Measured<'a>,
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "hold", measure: |proxy, size| Box::pin(hold(proxy, size)) },
    Scenario { name: "silent", measure: |proxy, size| Box::pin(silent(proxy, size)) },
    Scenario { name: "requests", measure: |proxy, size| Box::pin(requests(proxy, size)) },
    Scenario { name: "connections", measure: |proxy, size| Box::pin(connections(proxy, size)) },
    Scenario { name: "bulk", measure: |proxy, size| Box::pin(bulk(proxy, size)) },
];

/// After the last stream is open, until what that took has been paid.
const SETTLE: Duration = Duration::from_secs(2);

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Kibibytes by which memory rose.
fn kib(before: u64, after: u64) -> f64 {
    (after as f64 - before as f64) / 1024.0
}

/// Streams with a chunk a second, and what is left of their memory after them.
async fn hold(proxy: &Proxy, size: Size) -> Result<Vec<Figure>> {
    let count = size.of(5_000, 500);
    // The first one pays for what is needed once.
    client::paced(proxy.address, Reuse::KeepAlive, 1, 10, Duration::from_secs(1)).await?;
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
            value: micros(after.cpu - before.cpu) / chunks as f64,
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
    client::paced(proxy.address, Reuse::KeepAlive, 1, 10, Duration::from_secs(1)).await?;
    let idle = proxy.usage()?;
    let streams = Streams::open(proxy.address, "/silent", count).await?;
    clock::sleep(SETTLE).await;
    let before = proxy.usage()?;
    let window = size.of(Duration::from_secs(10), Duration::from_secs(2));
    clock::sleep(window).await;
    let after = proxy.usage()?;
    if streams.open_count() != count {
        bail!("{} of {count} streams are left", streams.open_count());
    }
    streams.close().await;
    let share = (after.cpu - before.cpu).as_secs_f64() / window.as_secs_f64();
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
    let names = ["request: CPU µs", "request: p50 µs", "request: p99 µs"];
    let goals = [Goal::Ratio(0.9), Goal::Ratio(1.0), Goal::Ratio(2.0)];
    let values = paced(proxy, size, Reuse::KeepAlive, 4_000).await?;
    let figure =
        |index: usize| Figure { name: names[index], value: values[index], goal: goals[index] };
    Ok(vec![figure(0), figure(1), figure(2)])
}

async fn connections(proxy: &Proxy, size: Size) -> Result<Vec<Figure>> {
    let [cpu, ..] = paced(proxy, size, Reuse::New, 1_500).await?;
    let name = "request on a new connection: CPU µs";
    Ok(vec![Figure { name, value: cpu, goal: Goal::Ratio(1.0) }])
}

/// CPU per request, and latencies from the planned start.
async fn paced(proxy: &Proxy, size: Size, reuse: Reuse, rate: u32) -> Result<[f64; 3]> {
    let warm = Duration::from_secs(1);
    client::paced(proxy.address, reuse, 50, rate, warm).await?;
    let before = proxy.usage()?;
    let duration = size.of(Duration::from_secs(8), Duration::from_secs(2));
    let latencies = client::paced(proxy.address, reuse, 50, rate, duration).await?;
    let cpu = proxy.usage()?.cpu - before.cpu;
    let at = |percent: usize| micros(latencies[latencies.len() * percent / 100]);
    Ok([micros(cpu) / latencies.len() as f64, at(50), at(99)])
}

async fn bulk(proxy: &Proxy, size: Size) -> Result<Vec<Figure>> {
    let bytes = size.of(4_000_000_000, 400_000_000);
    client::bulk(proxy.address, 1_000_000).await?;
    let before = proxy.usage()?;
    client::bulk(proxy.address, bytes).await?;
    let cpu = (proxy.usage()?.cpu - before.cpu).as_secs_f64();
    let value = cpu / (bytes as f64 / 1e9);
    Ok(vec![Figure { name: "bulk: CPU s per GB", value, goal: Goal::Ratio(0.5) }])
}
