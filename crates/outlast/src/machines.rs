//! From the plan's groups to machines that can be started.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use outlast_config::format_duration;
use outlast_config::{
    Command, Group, HealthCheck, KillSignal, Machines, Plan, Probe, Service, ServiceKind,
};
use outlast_machines::{
    CheckSpec, GuardProgram, LocalSpec, MachineId, MachineSpec, ProbeSpec, Readiness, StopPolicy,
    StopSignal, default_backoff, fixed,
};

use crate::cli::{AccessArgs, LogArgs};
use crate::failure::Failure;
use crate::{data, logging};

/// What every machine is told about us.
pub(crate) struct Surroundings<'a> {
    pub(crate) data: &'a Path,
    pub(crate) access: &'a AccessArgs,
    pub(crate) log: &'a LogArgs,
}

/// Makes the machines of the plan.
pub(crate) fn specs(plan: &Plan, around: &Surroundings<'_>) -> Result<Vec<MachineSpec>, Failure> {
    let groups = match &plan.machines {
        Machines::Fixed(addresses) => {
            let checks = checks(plan, |_| true);
            return Ok(fixed(plan.services[0].internal_port, addresses, &plan.region, &checks));
        }
        Machines::Local(groups) => groups,
    };
    let guard = GuardProgram::this()
        .context("the operating system does not tell which program runs")
        .map_err(Failure::failed)?;
    let mut specs = Vec::new();
    for group in groups {
        for _ in 0..group.count.get() {
            specs.push(MachineSpec::Local(local(plan, group, &guard, around)?));
        }
    }
    Ok(specs)
}

fn local(
    plan: &Plan,
    group: &Group,
    guard: &GuardProgram,
    around: &Surroundings<'_>,
) -> Result<LocalSpec, Failure> {
    let is_meant = |groups: &[String]| groups.is_empty() || groups.contains(&group.name);
    let serves = |service: &&Service| is_meant(&service.groups);
    let mut ports = BTreeMap::new();
    for service in plan.services.iter().filter(serves) {
        let readiness = match service.kind {
            ServiceKind::Http => Readiness::Awaited,
            ServiceKind::Tcp => Readiness::NotAwaited,
        };
        let known = ports.entry(service.internal_port).or_insert(readiness);
        if readiness == Readiness::Awaited {
            *known = readiness;
        }
    }
    let checks = checks(plan, is_meant);
    let mut env = group.env.clone();
    // Where the environment names the port of a check, it is rewritten like those of services.
    for check in &checks {
        if env.values().any(|value| *value == check.port.to_string()) {
            ports.entry(check.port).or_insert(Readiness::NotAwaited);
        }
    }
    let command = match &group.command {
        Command::Program(words) => words.clone(),
        Command::Desktop => {
            let own_port =
                plan.services.iter().filter(serves).map(|service| service.internal_port).next();
            if let Some(port) = own_port {
                env.insert("PORT".to_owned(), port.to_string());
            }
            env.extend(desktop_env(plan, around));
            vec![own_program()?, "serve".to_owned()]
        }
    };
    Ok(LocalSpec {
        id: MachineId::random(),
        app: plan.app.clone(),
        group: group.name.clone(),
        region: plan.region.clone(),
        command,
        env,
        ports,
        checks,
        stop: StopPolicy { signal: stop_signal(group.kill_signal), timeout: group.kill_timeout },
        restart: default_backoff(),
        cwd: None,
        guard: guard.clone(),
    })
}

/// What is checked of a machine of which `is_meant` says whether it is of some groups. The ports of a service share its
/// checks.
fn checks(plan: &Plan, is_meant: impl Fn(&[String]) -> bool) -> Vec<CheckSpec> {
    let mut specs: Vec<CheckSpec> = Vec::new();
    for service in plan.services.iter().filter(|service| is_meant(&service.groups)) {
        for check in &service.checks {
            let known = specs.iter().position(|spec| spec.name == check.name);
            let index = known.unwrap_or_else(|| {
                specs.push(check_spec(check));
                specs.len() - 1
            });
            specs[index].exposed.push(service.listen.port());
        }
    }
    specs.extend(plan.checks.iter().filter(|check| is_meant(&check.groups)).map(check_spec));
    specs
}

fn check_spec(check: &HealthCheck) -> CheckSpec {
    let probe = match check.probe.clone() {
        Probe::Tcp => ProbeSpec::Tcp,
        Probe::Http(http) => {
            ProbeSpec::Http { method: http.method, path: http.path, headers: http.headers }
        }
    };
    CheckSpec {
        name: check.name.clone(),
        port: check.port,
        probe,
        interval: check.interval,
        timeout: check.timeout,
        grace: check.grace,
        exposed: Vec::new(),
    }
}

/// What the desktop of a machine needs to agree with us.
fn desktop_env(plan: &Plan, around: &Surroundings<'_>) -> BTreeMap<String, String> {
    let (agent, streams) = (&plan.agent, &plan.streams);
    let mut env = BTreeMap::from([
        ("OUTLAST_DATA".to_owned(), around.data.display().to_string()),
        ("OUTLAST_NO_AUTH".to_owned(), around.access.no_auth.to_string()),
        ("OUTLAST_AGENT_KIND".to_owned(), agent.kind.name().to_owned()),
        ("OUTLAST_AGENT_PACE".to_owned(), format_duration(agent.pace)),
        ("OUTLAST_AGENT_RUNS_MAX".to_owned(), agent.runs_max.to_string()),
        ("OUTLAST_STREAMS_APPEND_MAX".to_owned(), streams.append_max.to_string()),
        ("OUTLAST_STREAMS_BYTES_MAX".to_owned(), streams.bytes_max.to_string()),
        (
            "OUTLAST_STREAMS_AGE_MAX".to_owned(),
            format_duration(streams.age_max.unwrap_or_default()),
        ),
        ("OUTLAST_STREAMS_READERS_MAX".to_owned(), streams.readers_max.to_string()),
        ("OUTLAST_STREAMS_POLL_TIMEOUT".to_owned(), format_duration(streams.poll_timeout)),
        ("OUTLAST_STREAMS_EVENTS_LIFETIME".to_owned(), format_duration(streams.events_lifetime)),
    ]);
    // Its output is a pipe, and yet a person may read it.
    let format = if logging::is_human(around.log) { "human" } else { "json" };
    env.insert("OUTLAST_LOG_FORMAT".to_owned(), format.to_owned());
    // The machine is asked by the names of the gateway before it, which it cannot know.
    let listening: Vec<_> = plan.services.iter().map(|service| service.listen).collect();
    let names = data::names(around.access, &listening);
    if !names.is_empty() {
        env.insert("OUTLAST_ALLOW_HOST".to_owned(), names.join(","));
    }
    env
}

fn own_program() -> Result<String, Failure> {
    let path = std::env::current_exe()
        .context("the operating system does not tell which program runs")
        .map_err(Failure::failed)?;
    path.into_os_string().into_string().map_err(|path| {
        Failure::config(anyhow::anyhow!("our own path {} is not UTF-8", path.display()))
            .hint("move the program to a path that is")
    })
}

fn stop_signal(signal: KillSignal) -> StopSignal {
    match signal {
        KillSignal::Hup => StopSignal::Hup,
        KillSignal::Int => StopSignal::Int,
        KillSignal::Quit => StopSignal::Quit,
        KillSignal::Kill => StopSignal::Kill,
        KillSignal::Usr1 => StopSignal::Usr1,
        KillSignal::Usr2 => StopSignal::Usr2,
        KillSignal::Term => StopSignal::Term,
        KillSignal::Stop => StopSignal::Stop,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use outlast_config::Flags;

    use super::*;
    use crate::cli::{Cli, Command};

    fn desktop_of(flags: &[&str]) -> BTreeMap<String, String> {
        let line = ["outlast", "up"].iter().chain(flags);
        let Command::Up(args) = Cli::parse_from(line).command else { panic!("it is `up`") };
        let sources = outlast_config::Sources {
            fly: None,
            outlast: None,
            env: &BTreeMap::new(),
            flags: Flags::from(&args.plan),
        };
        let plan = outlast_config::check(&sources).expect("flags that hold").plan;
        let around =
            Surroundings { data: Path::new("/data"), access: &args.access, log: &args.log };
        desktop_env(&plan, &around)
    }

    /// The link that was printed for such an address was answered by 403: the door was one that did not know it.
    #[test]
    fn the_desktop_knows_the_addresses_of_the_gateway_before_it() {
        for (flags, names) in [
            (&["--listen", "127.0.0.2:80"][..], None),
            (&["--listen", "0.0.0.0:80"], None),
            (&["--listen", "192.0.2.7:80"], Some("192.0.2.7")),
            (&["--listen", "[2001:db8::7]:80", "--allow-host", "a"], Some("a,2001:db8::7")),
            (&["--allow-host", "a,b"], Some("a,b")),
        ] {
            let env = desktop_of(flags);
            assert_eq!(env.get("OUTLAST_ALLOW_HOST").map(String::as_str), names, "{flags:?}");
        }
    }
}
