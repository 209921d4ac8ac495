//! FLY401 to FLY406: how many machines there are, and what binds them.

use std::time::Duration;

use outlast_config::format_duration;

use super::concurrency::count;
use crate::facts::{Facts, Service, Speaks};
use crate::finding::{Confidence, Finding, Severity};

/// How long the proxy tries to reach a machine that it started: 15 attempts.
const CONNECT_SECONDS: u64 = 8;

/// A start that users notice.
const SLOW_BOOT: Duration = Duration::from_secs(5);

pub(super) fn check(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for service in &facts.services {
        findings.extend(cold_start(facts, service));
    }
    findings.extend(scattered(facts));
    findings.extend(alone(facts));
    findings.extend(pinned(facts));
    findings.extend(volumes(facts));
    findings.extend(unsized_machine(facts));
}

fn cold_start(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    let stop = service.autostop()?;
    let floor = service.common.min_machines_running.as_ref();
    if floor.is_some_and(|floor| floor.value > 0) || service.speaks == Speaks::Udp {
        return None;
    }
    let slow = facts.hints.boot.is_some_and(|boot| boot > SLOW_BOOT);
    let streams = !facts.is_without_streams() && !facts.streams.is_guessed();
    let severity = if slow || streams { Severity::High } else { Severity::Medium };
    let wait = match facts.hints.boot {
        Some(boot) if boot.as_secs() >= CONNECT_SECONDS => {
            let boot = format_duration(boot);
            format!(
                "the first request fails: the app needs {boot} and the proxy gives up after about \
                {CONNECT_SECONDS} s ([PM05])"
            )
        }
        Some(boot) => format!("the first request waits {} and more", format_duration(boot)),
        None => format!(
            "the first request waits 1 to 8 s, and fails if the app needs more than about \
            {CONNECT_SECONDS} s ([PM05])"
        ),
    };
    let message = format!("{} goes down to no machine at all", service.title);
    let mut finding = Finding::new("FLY401", severity, Confidence::Certain, message)
        .at(facts.source, floor.map_or(&stop.span, |floor| &floor.span))
        .so(format!("{wait}; WebSocket clients see an error instead of a wait"))
        .fix("min_machines_running = 1")
        .given(&facts.streams, "--streams");
    // What is said of the first request holds for streams and for everything else.
    finding.confidence = Confidence::Certain;
    finding.flags.push("--boot");
    if facts.hints.boot.is_none() {
        finding.assumed.push(
            "how long the app takes to boot is not in the file; 1 to 8 s are guessed \
        (--boot tells)"
                .to_owned(),
        );
    }
    Some(finding)
}

fn scattered(facts: &Facts<'_>) -> Option<Finding> {
    let service = facts.services.iter().find(|service| service.speaks == Speaks::Http)?;
    let sticky = service.options.iter().any(|options| options.replay_cache.is_some());
    if facts.machines.value < 2 || sticky {
        return None;
    }
    let machines = facts.machines.value;
    let message = format!("nothing keeps a session on one of {}", count(machines, "machine"));
    let mut finding = Finding::new("FLY402", Severity::Medium, Confidence::Guess, message)
        .at(facts.source, &service.common.span)
        .so(format!(
            "an app that keeps sessions, runs or terminals in memory does not know {} of 100 \
        requests that belong to them",
            100 - 100 / machines
        ))
        .fix(
            "a shared store; or one machine; or fly-replay, with \
        [[http_service.http_options.replay_cache]] on a cookie",
        )
        .given(&facts.machines, "--machines");
    finding.assumed.push("whether the app keeps anything in memory is not in the file".to_owned());
    Some(finding)
}

fn alone(facts: &Facts<'_>) -> Option<Finding> {
    let service = facts.services.iter().find(|service| service.speaks != Speaks::Udp)?;
    // `fly launch` makes two machines of a service without a volume.
    if facts.machines.value > 1 || (facts.machines.is_guessed() && facts.fly.mounts.is_empty()) {
        return None;
    }
    let severity = if facts.machines.is_guessed() { Severity::Low } else { Severity::Medium };
    let total = match service.hard() {
        Some(hard) => format!("hard_limit is the total: {} for everybody", hard.value),
        None => "what it carries is the total".to_owned(),
    };
    let runs = if facts.machines.is_guessed() { "seems to run" } else { "runs" };
    Some(
        Finding::new(
            "FLY403",
            severity,
            Confidence::Certain,
            format!("{} {runs} on a single machine", service.title),
        )
        .at(facts.source, &service.common.span)
        .so(format!("{total}; each deploy and each failure of its host is an outage"))
        .fix("two or more: `fly scale count 2`")
        .given(&facts.machines, "--machines"),
    )
}

fn pinned(facts: &Facts<'_>) -> Option<Finding> {
    let mount = facts.fly.mounts.first()?;
    let name = mount.source.as_ref().map_or("a volume", |source| source.value.as_str());
    Some(
        Finding::new(
            "FLY404",
            Severity::Medium,
            Confidence::Certain,
            format!(
                "the volume {name} binds \
        its machine to one host"
            ),
        )
        .at(facts.source, mount.source.as_ref().map_or(&mount.span, |source| &source.span))
        .so("when that host fails or is full there is no second place to run; no canary, no \
            bluegreen, and the region is fixed")
        .fix(
            "accept it knowingly (`# outlast: allow(FLY404)`), or a volume for each of two \
            machines, or storage outside of them",
        ),
    )
}

fn volumes(facts: &Facts<'_>) -> Option<Finding> {
    let mount = facts.fly.mounts.first()?;
    let machines = facts.machines.value;
    if machines < 2 {
        return None;
    }
    let name = mount.source.as_ref().map_or("it", |source| source.value.as_str());
    let message = format!("{} need as many volumes named {name}", count(machines, "machine"));
    let mut finding = Finding::new("FLY405", Severity::Medium, Confidence::Guess, message)
        .at(facts.source, &mount.span)
        .so(format!("a machine without a volume of its own cannot start; with one volume {} of \
        {machines} stay down", machines - 1))
        .fix(format!("`fly volumes list` tells how many there are; `fly volumes create {name} --count {machines}`"))
        .given(&facts.machines, "--machines");
    finding.assumed.push("how many volumes there are is not in the file".to_owned());
    Some(finding)
}

fn unsized_machine(facts: &Facts<'_>) -> Option<Finding> {
    if !facts.fly.vms.is_empty() {
        return None;
    }
    let finding = Finding::new(
        "FLY406",
        Severity::Low,
        Confidence::Certain,
        "no [[vm]]: the size of \
    machines is not in this file",
    )
    .so(
        "a new app gets shared-cpu-1x with 256 MB, an old one keeps whatever it had; limits cannot \
        be judged by it",
    )
    .fix("[[vm]] with size and memory");
    Some(match &facts.fly.app {
        Some(app) => finding.at(facts.source, &app.span).label("of this app"),
        None => finding,
    })
}
