//! Whole drills, in one process, before the built-in origin.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod behaviours;
mod intervals;
mod mutants;
mod proxy;

use std::net::SocketAddr;

use outlast_config::SourceText;
use outlast_drill::{Drill, Options, Progress, Report, Results, Target, origin, read_plan};
use outlast_runtime::Tasks;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Starts the origin for as long as `work` takes.
async fn with_origin<T>(work: impl AsyncFnOnce(SocketAddr, &Tasks) -> T) -> T {
    let tasks = Tasks::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move { origin::serve(listener).await.unwrap() });
    let results = work(address, &tasks).await;
    tasks.cancel();
    tasks.join().await;
    results
}

/// Drills what listens there, to the end of the plan.
async fn drill_at(address: SocketAddr, plan: &str) -> Report {
    results_at(address, plan).await.report
}

/// The same, with all that it leaves behind.
async fn results_at(address: SocketAddr, plan: &str) -> Results {
    let plan = read_plan(&SourceText::new("test", plan)).unwrap();
    let options = Options {
        target: Target::resolve(&format!("http://{address}"), None).unwrap(),
        fields: Vec::new(),
        body: None,
        seed: Some(7),
        threads: Some(1),
        admin: None,
    };
    let drill = Drill::prepare(plan, options, None).await.unwrap();
    let progress = watch::Sender::new(Progress::default());
    drill.run(&progress, std::future::pending()).await.unwrap()
}
