//! `outlast serve`: the desktop, until it is asked to end.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use outlast_agent::{Kind, Runs, Settings};
use outlast_config::{AgentKind, Flags, Plan};
use outlast_desktop::{Desktop, PaceRequest};
use outlast_runtime::{Phase, Phases, Tasks};
use outlast_streams::http::Streams;
use outlast_streams::{Limits, Segments, segments};
use tokio::net::TcpListener;

use crate::cli::ServeArgs;
use crate::data;
use crate::failure::{EXIT_CONFIG, Failure};
use crate::signals::Signals;
use crate::sources::Read;
use crate::{diagnostics, greeting, link, logging};

/// A run that is silent for so long says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Serves until a signal comes.
pub(crate) fn run(args: &ServeArgs) -> Result<ExitCode, Failure> {
    let read = Read::without_fly(Path::new(""))?;
    let plan = match outlast_config::check(&read.with(Flags::from(&args.agent))) {
        Ok(checked) => checked.plan,
        Err(errors) => {
            diagnostics::print(&errors, &read.texts());
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    let _logging = logging::start(&args.log)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start an event queue")
        .map_err(Failure::failed)?;
    runtime.block_on(serve(args, &plan))
}

/// The durable streams, which are kept in the data folder.
fn streams(
    args: &ServeArgs,
    plan: &Plan,
    phases: &Phases,
    tasks: &Tasks,
) -> Result<Streams, Failure> {
    let plan = &plan.streams;
    let limits = Limits {
        append_bytes_max: plan.append_max,
        bytes_max: plan.bytes_max,
        ..Limits::default()
    };
    let kept =
        segments::Settings { limits, age_max: plan.age_max, ..segments::Settings::default() };
    let folder = data::folder(args.access.data.as_ref())?.join("streams");
    let store = Segments::open(&folder, kept)
        .with_context(|| format!("cannot keep streams in {}", folder.display()))
        .map_err(|error| Failure::failed(error).hint("name another data folder by --data"))?;
    let found = store.recovery();
    tracing::info!(
        streams = found.streams,
        segments_read = found.segments_read,
        bytes_cut = found.bytes_cut,
        records_damaged = found.records_damaged,
        streams_lost = found.streams_lost,
        "the store of streams is open"
    );
    let served = outlast_streams::http::Settings {
        append_bytes_max: plan.append_max,
        readers_max: plan.readers_max,
        poll_timeout: plan.poll_timeout,
        events_lifetime: plan.events_lifetime,
    };
    Ok(Streams::new(Arc::new(store), served, phases, tasks))
}

async fn serve(args: &ServeArgs, plan: &Plan) -> Result<ExitCode, Failure> {
    let mut signals =
        Signals::new().context("cannot listen to signals").map_err(Failure::failed)?;
    let workspace = args.workspace.clone().unwrap_or_else(|| ".".into());
    let workspace = workspace
        .canonicalize()
        .with_context(|| format!("cannot work in {}", workspace.display()))
        .map_err(|error| Failure::config(error).hint("--workspace names a directory"))?;
    let address = SocketAddr::new(args.bind, args.port);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
        .map_err(|error| Failure::failed(error).hint("choose another port by --port or PORT"))?;
    let address = listener.local_addr().map_err(Failure::failed)?;
    let door = data::door(&args.access, &[address])?;
    let (tasks, phases) = (Tasks::default(), Phases::default());
    let settings = Settings {
        workspace,
        kind: match plan.agent.kind {
            AgentKind::Auto => Kind::Auto,
            AgentKind::Scout => Kind::Scout,
        },
        pace: plan.agent.pace,
        runs_max: plan.agent.runs_max,
        heartbeat: HEARTBEAT,
    };
    let runs = Runs::new(settings, &tasks);
    let streams = streams(args, plan, &phases, &tasks)?;
    let machine = std::env::var("FLY_MACHINE_ID").ok();
    // Behind a gateway it is the gateway that is opened.
    if let Some(access) = door.access.as_ref().filter(|_| machine.is_none()) {
        let link = link::login(access, &format!("http://{address}"));
        greeting::say(format_args!("Open {link}"));
    }
    let desktop = Desktop {
        runs: runs.clone(),
        streams,
        gate: door.gate,
        pace_request: if door.access.is_none() {
            PaceRequest::Allowed
        } else {
            PaceRequest::Refused
        },
        access: door.access,
        machine,
    };
    tracing::info!(%address, agent = runs.agent_name(), "the desktop listens");
    phases.enter(Phase::Serving);
    let serving = desktop.serve(listener, &phases);
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => {
            ended.context("the listener failed").map_err(Failure::failed)?;
        }
        signal = signals.next() => {
            tracing::info!(signal, "the desktop ends: runs are stopped");
            phases.enter(Phase::Draining);
            runs.stop_all().await;
            tokio::select! {
                ended = &mut serving => ended.context("the listener failed").map_err(Failure::failed)?,
                signal = signals.next() => tracing::warn!(signal, "ends at once"),
            }
        }
    }
    phases.enter(Phase::Stopped);
    tasks.cancel();
    tasks.join().await;
    Ok(ExitCode::SUCCESS)
}
