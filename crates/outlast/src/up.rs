//! `outlast up`: the gateway and the machines behind it, from start to drain.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use outlast_access::{Gate, Visit};
use outlast_config::{Flags, Machines, Plan};
use outlast_dashboard::Dashboard;
use outlast_gateway::{Admittance, CheckStatus, Checked, Gateway, GatewayOptions, OwnRequest};
use outlast_machines::{
    Change, CheckReport, LineThread, LogLine, MachineEvent, MachineSpec, Supervisor,
};
use outlast_observe::{CountSource, Observe};
use outlast_runtime::lossy::LostLines;
use outlast_runtime::{Phase, Phases, Tasks};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::cli::UpArgs;
use crate::data::{self, Door};
use crate::failure::{EXIT_CONFIG, EXIT_FAILED, Failure};
use crate::greeting::{Greeting, Kind};
use crate::machines::{self, Surroundings};
use crate::news::News;
use crate::signals::Signals;
use crate::sources::Read;
use crate::{descriptors, diagnostics, logging};

/// Descriptors that are not connections: listeners, logs, machines.
const DESCRIPTORS_OWN: u64 = 256;

/// Serves until a signal comes, then drains.
pub(crate) fn run(args: &UpArgs) -> Result<ExitCode, Failure> {
    let read = Read::all(args.plan.config.as_ref())?;
    let plan = match outlast_config::check(&read.with(Flags::from(&args.plan))) {
        Ok(checked) => {
            diagnostics::print(&checked.notes, &read.texts());
            checked.plan
        }
        Err(errors) => {
            diagnostics::print(&errors, &read.texts());
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    let logging = logging::start(&args.log)?;
    descriptors::raise();
    warn_of_descriptors(&plan);
    // The exchanges have threads of their own; this one starts, watches and ends them.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // At rest, sockets are looked at twice a minute: not by a new thread each time.
        .thread_keep_alive(Duration::from_mins(1))
        .build()
        .context("cannot start an event queue")
        .map_err(Failure::failed)?;
    let code = runtime.block_on(async {
        let up = Up::start(args, plan, logging.lost()).await?;
        up.serve().await
    })?;
    Ok(code)
}

/// Everything that runs.
struct Up {
    gateway: Gateway,
    supervisor: Supervisor,
    events: mpsc::Receiver<MachineEvent>,
    /// The process group of each machine that has one.
    groups: HashMap<String, String>,
    signals: Signals,
    phases: Phases,
    tasks: Tasks,
    door: Door,
    data: PathBuf,
    plan: Plan,
    observe: Arc<Observe>,
    news: News,
    admin: SocketAddr,
    lines: mpsc::Sender<LogLine>,
    line_thread: LineThread,
}

impl Up {
    async fn start(args: &UpArgs, plan: Plan, lost: LostLines) -> Result<Self, Failure> {
        let signals =
            Signals::new().context("cannot listen to signals").map_err(Failure::failed)?;
        let mut listening: Vec<_> = plan.services.iter().map(|service| service.listen).collect();
        listening.push(args.admin);
        let door = data::door(&args.access, &listening)?;
        let data = data::folder(args.access.data.as_ref())?;
        let data = std::path::absolute(&data).map_err(Failure::failed)?;
        let specs = machines::specs(
            &plan,
            &Surroundings { data: &data, access: &args.access, log: &args.log },
        )?;
        let threads = args.threads.or_else(|| std::thread::available_parallelism().ok());
        let threads = threads.map_or(1, NonZeroUsize::get);
        let names: Vec<_> = plan.services.iter().map(|service| service.name.clone()).collect();
        let observe = Observe::new(&plan.region, &names, threads);
        let (phases, tasks) = (Phases::default(), Tasks::default());
        let admin = bind_admin(args.admin).await?;
        let options = GatewayOptions {
            threads,
            admittance: own_paths_check(door.gate.clone()),
            phases: phases.clone(),
            connections_max: connections_for_descriptors(),
        };
        let gateway = Gateway::start(plan.clone(), &observe, options).map_err(bind_failure)?;
        tasks.spawn(gateway.watch_sockets());
        let admin_address = admin.local_addr().map_err(Failure::failed)?;
        let groups = specs.iter().filter_map(named_group).collect();
        let (lines, line_thread) = machine_log().map_err(Failure::failed)?;
        count_lost_lines(&observe, "stderr", lost);
        count_lost_lines(&observe, "stdout", line_thread.lost());
        serve_admin(admin, Arc::clone(&observe), &phases, door.gate.clone(), &tasks);
        let (supervisor, events) = Supervisor::start(specs, &lines, &tasks);
        let admin = admin_address;
        Ok(Self {
            gateway,
            supervisor,
            events,
            groups,
            signals,
            phases,
            tasks,
            door,
            data,
            plan,
            observe,
            news: News::new(&args.log),
            admin,
            lines,
            line_thread,
        })
    }

    async fn serve(mut self) -> Result<ExitCode, Failure> {
        tracing::info!(
            app = self.plan.app,
            listen = ?self.gateway.addresses(),
            admin = %self.admin,
            connections_max = self.gateway.connections_max(),
            machines = self.supervisor.snapshot().len(),
            "the gateway listens"
        );
        let signal = loop {
            tokio::select! {
                Some(event) = self.events.recv() => self.follow(event),
                signal = self.signals.next() => break signal,
            }
        };
        self.drain(signal).await
    }

    /// Lets the gateway know what became of a machine.
    fn follow(&self, event: MachineEvent) {
        let machine = event.machine.as_str();
        match event.change {
            Change::Ready { addrs } => {
                let group = self.groups.get(machine).map_or("", String::as_str);
                self.gateway.machine_ready(machine, group, &addrs);
                tracing::debug!(machine, ?addrs, "the machine is ready");
                if self.phases.current() == Phase::Starting {
                    self.phases.enter(Phase::Serving);
                    self.greet();
                }
            }
            Change::Starting => {}
            Change::Checked(report) => {
                self.gateway.machine_checked(machine, checked(&report));
                self.news.checked(machine, &report);
            }
            Change::Exited(report) => {
                self.gateway.machine_lost(machine);
                self.news.ended(machine, report);
            }
            Change::StartFailed(reason) => {
                self.gateway.machine_lost(machine);
                self.news.not_started(machine, &reason);
            }
            Change::Stopped => self.gateway.machine_lost(machine),
        }
    }

    /// Says where everything is, once something is there.
    fn greet(&self) {
        let is_desktop = match &self.plan.machines {
            Machines::Local(groups) => {
                groups.iter().any(|group| group.command == outlast_config::Command::Desktop)
            }
            Machines::Fixed(_) => false,
        };
        let greeting = Greeting {
            gateway: self.gateway.addresses()[0],
            admin: self.admin,
            access: self.door.access.as_ref(),
            data: &self.data,
            kind: if is_desktop { Kind::Desktop } else { Kind::App },
        };
        greeting.say();
    }

    /// Lets exchanges finish, ends the machines, and says who was late.
    async fn drain(mut self, signal: &str) -> Result<ExitCode, Failure> {
        self.phases.enter(Phase::Draining);
        tracing::info!(
            signal,
            grace = outlast_config::format_duration(self.plan.drain_grace),
            "drains: a second signal ends it at once"
        );
        let late = {
            let drained = self.gateway.drain();
            tokio::pin!(drained);
            loop {
                tokio::select! {
                    report = &mut drained => break report.late,
                    Some(event) = self.events.recv() => self.follow(event),
                    signal = self.signals.next() => {
                        tracing::warn!(signal, "the drain is cut short");
                        break self.observe.exchanges();
                    }
                }
            }
        };
        for exchange in &late {
            tracing::warn!(
                request_id = exchange.id,
                client = exchange.client,
                method = exchange.method,
                path = exchange.path,
                age_ms = exchange.age_ms,
                "cut by the drain"
            );
        }
        // Cut what is late first, so that it is told as that and not as a machine's failure.
        self.gateway.stop();
        stop_machines(&self.supervisor, &mut self.signals).await;
        self.phases.enter(Phase::Stopped);
        drop(self.lines);
        self.tasks.cancel();
        self.tasks.join().await;
        drop(self.supervisor);
        self.line_thread.join();
        tracing::info!(late = late.len(), "ended");
        Ok(if late.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
    }
}

/// From the words of who checks to those of who decides.
fn checked(report: &CheckReport) -> Checked<'_> {
    let status = match report.status {
        outlast_machines::CheckStatus::Passing => CheckStatus::Passing,
        outlast_machines::CheckStatus::Warning => CheckStatus::Warning,
        outlast_machines::CheckStatus::Critical => CheckStatus::Critical,
    };
    Checked { name: &report.name, status, output: &report.output }
}

/// Stops the machines, each in its way. Whoever asks once more does not want to wait for that.
async fn stop_machines(supervisor: &Supervisor, signals: &mut Signals) {
    let stopped = supervisor.stop();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            signal = signals.next() => {
                tracing::warn!(signal, "the machines are killed");
                supervisor.kill();
            }
        }
    }
}

/// The machines' log on standard output. Not by way of Rust's own handle, which keeps what it could not write and would write
/// it later, in the middle of something else.
fn machine_log() -> anyhow::Result<(mpsc::Sender<LogLine>, LineThread)> {
    let stdout = io::stdout().as_fd().try_clone_to_owned().context("no descriptor is left")?;
    outlast_machines::write_lines(File::from(stdout)).context("cannot start a thread")
}

fn count_lost_lines(observe: &Observe, log: &'static str, lost: LostLines) {
    observe.add_lost_lines_source(log, CountSource(Box::new(move || lost.count())));
}

fn named_group(spec: &MachineSpec) -> Option<(String, String)> {
    Some((spec.id().as_str().to_owned(), spec.group()?.to_owned()))
}

fn own_paths_check(gate: Gate) -> outlast_gateway::AdmittanceCheck {
    Box::new(move |request: &OwnRequest<'_>| {
        let visit = Visit {
            method: request.method,
            host: request.host,
            origin: request.credentials.origin.as_deref(),
            sec_fetch_site: None,
            cookie: request.credentials.cookie.as_deref(),
            authorization: request.credentials.authorization.as_deref(),
        };
        match gate.admit(&visit) {
            Ok(()) => Admittance::Granted,
            Err(denial) => {
                Admittance::Denied { status: denial.status, detail: denial.for_programs() }
            }
        }
    })
}

fn serve_admin(
    listener: TcpListener,
    observe: Arc<Observe>,
    phases: &Phases,
    gate: Gate,
    tasks: &Tasks,
) {
    let dashboard = Dashboard { observe, phases: phases.clone(), gate };
    tasks.spawn(async move {
        if let Err(error) = dashboard.serve(listener).await {
            tracing::error!(%error, "the admin listener failed");
        }
    });
}

async fn bind_admin(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} for the admin listener"))
        .map_err(|error| {
            Failure::failed(error).hint("another program has the port? choose one by --admin")
        })
}

fn bind_failure(error: outlast_gateway::BindError) -> Failure {
    let hint = match &error {
        outlast_gateway::BindError::Listen { .. } => {
            "another program has the port? move the first HTTP service by --listen, others by --port"
        }
        _ => "the operating system is out of threads or descriptors",
    };
    Failure::failed(error).hint(hint)
}

/// So many clients can each have a connection to a machine; 1 even where there are hardly any descriptors.
fn connections_for_descriptors() -> usize {
    connections_within(descriptors::limit())
}

fn connections_within(descriptors_max: Option<u64>) -> usize {
    let connections =
        descriptors_max.map_or(u64::MAX, |max| max.saturating_sub(DESCRIPTORS_OWN)) / 2;
    usize::try_from(connections.max(1)).unwrap_or(usize::MAX)
}

/// Says that more clients are allowed than can be served.
fn warn_of_descriptors(plan: &Plan) {
    let has_descriptors = connections_for_descriptors();
    let connections_max = plan.listen.connections_max.map_or(0, |max| max.get() as usize);
    if connections_max > has_descriptors {
        tracing::warn!(
            connections_max,
            has_descriptors,
            hint = "raise the limit (ulimit -n) to twice as many and 256, or lower listen.connections_max",
            "listen.connections_max allows more clients than there are descriptors for"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_descriptors_that_are_left_are_for_clients() {
        for (descriptors, connections) in
            [(Some(1024), 384), (Some(20_000), 9_872), (Some(256), 1), (Some(0), 1)]
        {
            assert_eq!(connections_within(descriptors), connections, "{descriptors:?}");
        }
        assert!(connections_within(None) > 1_000_000);
    }
}
