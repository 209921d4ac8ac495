//! `outlast drill`: the plan is read, the load is sent, the verdict is the exit code.

mod args;
mod compare;
mod progress;
mod summary;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use outlast_config::SourceText;
use outlast_drill::{
    DiskError, Drill, Options, PRESETS, Plan, Results, RunError, Server, ServerCommand,
    ServerError, Target, TargetError, Verdict, origin, read_plan, report_page,
};
use outlast_runtime::Tasks;
use outlast_runtime::guard::GuardProgram;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) use args::DrillArgs;
use args::{DrillCommand, OriginArgs, PresetsArgs, RunArgs};

use crate::failure::{EXIT_CONFIG, EXIT_FAILED, Failure};
use crate::signals::Signals;
use crate::{descriptors, diagnostics, sources};

/// Runs a drill, or what helps to.
pub(crate) fn run(args: DrillArgs) -> Result<ExitCode, Failure> {
    descriptors::raise();
    match (args.command, args.run) {
        (Some(DrillCommand::Origin(args)), _) => runtime()?.block_on(serve_origin(&args)),
        (Some(DrillCommand::Compare(args)), _) => compare::run(&args),
        (Some(DrillCommand::Presets(args)), _) => presets(&args),
        (None, Some(args)) => drill(args),
        (None, None) => {
            let error = anyhow!("there is nothing to drill");
            Err(Failure::config(error)
                .hint("name a preset and a --url; see `outlast drill --help`"))
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().context("cannot start an event queue");
    runtime.map_err(Failure::config)
}

fn drill(args: RunArgs) -> Result<ExitCode, Failure> {
    let Some(mut plan) = plan(&args.plan)? else { return Ok(ExitCode::from(EXIT_CONFIG)) };
    plan.hold.extend(args.hold.iter().cloned());
    let plan = plan.faster(args.time_scale);
    let owned = args.i_own_this_target.as_deref();
    let resolve = |url: &str| Target::resolve(url, owned).map_err(wrong_target);
    let options = Options {
        target: resolve(&args.url)?,
        fields: args.headers,
        body: args.body,
        seed: args.seed,
        threads: args.threads.map(usize::from),
        admin: args.admin.as_deref().map(resolve).transpose()?,
    };
    let command = server_command(args.server, args.server_log.as_deref(), args.server_disk)?;
    let Results { report, hdr } = runtime()?.block_on(hold(plan, options, command))?;
    if let Some(path) = &args.json {
        let json = serde_json::to_vec(&report).map_err(Failure::config)?;
        write_file(path, &json)?;
    }
    if let Some(path) = &args.html {
        write_file(path, report_page(&report).as_bytes())?;
    }
    if let Some(path) = &args.hdr {
        write_file(path, &hdr)?;
    }
    let is_terminal = io::stdout().is_terminal();
    summary::print(&report, is_terminal).map_err(Failure::config)?;
    Ok(match report.verdict {
        Verdict::Held => ExitCode::SUCCESS,
        Verdict::Failed => ExitCode::from(EXIT_FAILED),
        Verdict::Invalid => ExitCode::from(EXIT_CONFIG),
    })
}

/// The plan of this name or file. None: what is wrong with it is told.
pub(crate) fn plan(name: &str) -> Result<Option<Plan>, Failure> {
    let source = match PRESETS.iter().find(|preset| preset.name == name) {
        Some(preset) => SourceText::new(preset.name, preset.text),
        None => sources::read(Path::new(name))?.ok_or_else(|| unknown_plan(name))?,
    };
    match read_plan(&source) {
        Ok(plan) => Ok(Some(plan)),
        Err(errors) => {
            diagnostics::print(&errors, &[&source]);
            Ok(None)
        }
    }
}

fn unknown_plan(name: &str) -> Failure {
    let names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
    let hint = match outlast_config::read::nearest(name, &names) {
        Some(near) => format!("did you mean the preset {near}?"),
        None => format!("presets are {}", names.join(", ")),
    };
    Failure::config(anyhow!("there is no preset and no file {name:?}")).hint(hint)
}

fn wrong_target(error: TargetError) -> Failure {
    let hint = error.hint();
    Failure::config(error).hint(hint)
}

fn wrong_run(error: RunError) -> Failure {
    let hint = error.hint();
    Failure::config(error).hint(hint)
}

/// The server to start, if there is one.
fn server_command(
    command: Vec<OsString>,
    log: Option<&Path>,
    disk: Option<PathBuf>,
) -> Result<Option<ServerCommand>, Failure> {
    if command.is_empty() {
        return Ok(None);
    }
    let log = log.map(|path| {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()));
        file.map_err(Failure::config)
    });
    let guard = GuardProgram::this().map_err(Failure::config)?;
    Ok(Some(ServerCommand { command, guard, log: log.transpose()?, disk }))
}

async fn start_server(command: ServerCommand, target: &Target) -> Result<Server, Failure> {
    let started = Server::start(command, target).await;
    started.map_err(|error| {
        let hint = match error {
            ServerError::Disk(DiskError::Refused { .. }) => {
                "a disk needs root, and `unshare`, `nsenter` and `mount` of util-linux"
            }
            ServerError::Disk(_) => "name a folder that is there: --server-disk DIR",
            _ => "--server-log FILE keeps what it says",
        };
        Failure::config(error).hint(hint)
    })
}

async fn hold(
    plan: Plan,
    options: Options,
    command: Option<ServerCommand>,
) -> Result<Results, Failure> {
    let mut signals =
        Signals::new().context("cannot listen to signals").map_err(Failure::config)?;
    let (name, url) = (plan.name.clone(), options.target.url.clone());
    let server = match command {
        Some(command) => Some(start_server(command, &options.target).await?),
        None => None,
    };
    let drill = Drill::prepare(plan, options, server).await.map_err(wrong_run)?;
    let length = outlast_config::format_duration(progress::seconds(drill.length()));
    let (streams, seed) = (drill.streams(), drill.seed());
    eprintln!("{name}: {streams} streams in {length} to {url}; --seed {seed} gives the same again");
    let (progress, watching) = watch::channel(outlast_drill::Progress::default());
    let tasks = Tasks::default();
    tasks.spawn_uncancelled(progress::show(watching));
    let results = drill.run(&progress, async move {
        let _signal = signals.next().await;
    });
    let results = results.await.map_err(wrong_run);
    drop(progress);
    tasks.join().await;
    results
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = std::fs::write(path, bytes);
    written.with_context(|| format!("cannot write {}", path.display())).map_err(Failure::config)
}

fn presets(args: &PresetsArgs) -> Result<ExitCode, Failure> {
    let mut stdout = io::stdout().lock();
    let written = match &args.name {
        Some(name) => {
            let preset = PRESETS.iter().find(|preset| preset.name == name);
            stdout.write_all(preset.ok_or_else(|| unknown_plan(name))?.text.as_bytes())
        }
        None => PRESETS.iter().try_for_each(|preset| {
            let plan = read_plan(&SourceText::new(preset.name, preset.text));
            let story = plan.map(|plan| plan.story).unwrap_or_default();
            writeln!(stdout, "{:14} {story}", preset.name)
        }),
    };
    written.map_err(Failure::config)?;
    Ok(ExitCode::SUCCESS)
}

async fn serve_origin(args: &OriginArgs) -> Result<ExitCode, Failure> {
    let mut signals =
        Signals::new().context("cannot listen to signals").map_err(Failure::config)?;
    if !args.listen.ip().is_loopback() {
        let error = anyhow!("{} would let everybody make this host send", args.listen);
        return Err(Failure::config(error).hint("listen on a loopback address"));
    }
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))
        .map_err(|error| Failure::config(error).hint("choose another port by --listen"))?;
    let address = listener.local_addr().map_err(Failure::config)?;
    println!("Serving http://{address}\n\n{}", origin::HELP);
    tokio::select! {
        ended = origin::serve(listener) => ended.context("the listener failed").map_err(Failure::failed)?,
        _signal = signals.next() => {}
    }
    Ok(ExitCode::SUCCESS)
}
