//! FLY201 to FLY213: how machines stop, start and are replaced.

use std::time::Duration;

use outlast_config::fly::{AutoStop, GoDuration, Restart};
use outlast_config::{Located, format_duration};

use super::concurrency::count;
use crate::facts::{Facts, Service, Speaks};
use crate::finding::{Confidence, Finding, Severity};
use crate::fix::{Change, Edit};

/// Fly's own, and the most it grants.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
const KILL_TIMEOUT_MAX: Duration = Duration::from_secs(300);

/// What Fly can suspend.
const SUSPEND_MB_MAX: u64 = 2048;

pub(super) fn check(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for service in &facts.services {
        findings.extend(suspend(facts, service));
        findings.extend(stop_under_load(facts, service));
        findings.extend(suspend_too_large(facts, service));
        findings.extend(start_off(facts, service));
        findings.extend(floor(facts, service));
    }
    if !facts.services.is_empty() {
        findings.extend(kill_timeout(facts));
        findings.extend(kill_signal(facts));
    }
    findings.extend(deploy(facts));
}

fn suspend(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    let stop = service.autostop().filter(|stop| stop.value == AutoStop::Suspend)?;
    if facts.is_without_streams() {
        return None;
    }
    let severity = if facts.streams.is_guessed() { Severity::Medium } else { Severity::High };
    Some(
        Finding::new("FLY201", severity, Confidence::Likely, format!("{} may suspend machines that hold \
        streams", service.title))
            .at(facts.source, &stop.span)
            .so("the app gets no signal and cannot drain: open connections freeze and are dead after \
            the resume without notice, \
                 and the clock is behind for seconds; a machine that is alone is suspended only when \
                 nothing is open, one of several \
                 also with streams")
            .fix("auto_stop_machines = \"off\"; or \"stop\", with an app that drains within kill_timeout")
            .given(&facts.streams, "--streams"),
    )
}

fn stop_under_load(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    let stop = service.autostop()?;
    let machines = facts.machines.value;
    if machines < 2 || facts.is_without_streams() {
        return None;
    }
    let soft = service.common.concurrency.as_ref().and_then(|limits| limits.soft_limit.as_ref());
    let soft = soft.map_or(20, |soft| soft.value);
    let severity = if facts.streams.is_guessed() { Severity::Medium } else { Severity::High };
    let finding = Finding::new(
        "FLY202",
        severity,
        Confidence::Certain,
        "autostop may stop one of several machines while it holds streams",
    );
    Some(
        finding
            .at(facts.source, &stop.span)
            .so(format!(
                "every few minutes one of {} is stopped unless all but one are at {soft} or more: one \
                with {} live streams \
                 counts as excess, and they are cut",
                count(machines, "machine"),
                soft.saturating_sub(1).max(1)
            ))
            .fix("auto_stop_machines = \"off\", or a process group of its own for what streams or works \
            in the background")
            .given(&facts.streams, "--streams")
            .given(&facts.machines, "--machines"),
    )
}

fn kill_timeout(facts: &Facts<'_>) -> Option<Finding> {
    let written = facts.fly.kill_timeout.as_ref();
    let grace = written.map_or(KILL_TIMEOUT, |written| duration(written.value));
    if let Some(written) = written.filter(|_| grace > KILL_TIMEOUT_MAX) {
        let message = format!("kill_timeout of {} is more than Fly grants", format_duration(grace));
        return Some(
            Finding::new("FLY204", Severity::Medium, Confidence::Certain, message)
                .at(facts.source, &written.span)
                .so("flyctl does not refuse it, and the machine is killed after 300 s")
                .fix("kill_timeout = 300; streams that last longer must be resumable")
                .edit(Edit::keys(&["kill_timeout"], Change::Set("300".to_owned()))),
        );
    }
    let longest = facts.streams.value?;
    let wanted = longest.min(KILL_TIMEOUT_MAX);
    // Whoever wrote one has thought of it; a guess is no reason to doubt that.
    if grace >= wanted || (written.is_some() && !facts.streams.is_told()) {
        return None;
    }
    let severity = if facts.streams.is_guessed() { Severity::Low } else { Severity::High };
    let (message, service) = match written {
        Some(_) => {
            (format!("kill_timeout of {} is shorter than a stream", format_duration(grace)), None)
        }
        None => {
            ("kill_timeout is absent: streams have 5 s to end".to_owned(), facts.services.first())
        }
    };
    let at = written.map(|written| &written.span).or(service.map(|service| &service.common.span))?;
    let seconds = wanted.as_secs() + u64::from(wanted.subsec_nanos() > 0);
    let beyond = if longest > KILL_TIMEOUT_MAX {
        "; 300 s are the most, so what lasts longer must be resumable"
    } else {
        ""
    };
    let finding = Finding::new("FLY203", severity, Confidence::Certain, message)
        .at(facts.source, at)
        .so(format!(
            "each deploy and each stop cuts every stream that is not done within {}; with streams of {} \
            each loses up to that much work",
            format_duration(grace),
            format_duration(longest)
        ))
        .fix(format!("kill_timeout = {seconds} at the top, and an app that drains on the signal{beyond}"))
        .edit(Edit::keys(&["kill_timeout"], Change::Set(seconds.to_string())).filter(|_| facts.streams.is_told()));
    Some(finding.given(&facts.streams, "--streams"))
}

fn kill_signal(facts: &Facts<'_>) -> Option<Finding> {
    const KNOWN: &[&str] =
        &["SIGHUP", "SIGINT", "SIGQUIT", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGTERM", "SIGSTOP"];
    let written = facts.fly.kill_signal.as_ref().filter(|signal| !signal.value.is_empty());
    let (confidence, severity, message, so) = match written.map(|signal| signal.value.as_str()) {
        None => (
            Confidence::Likely,
            Severity::Medium,
            "kill_signal is absent: the app gets SIGINT".to_owned(),
            "many servers drain on SIGTERM and do not trap SIGINT: they run until kill_timeout ends and \
            are killed, or die at once",
        ),
        Some("SIGKILL" | "SIGSTOP") => (
            Confidence::Certain,
            Severity::Medium,
            "kill_signal cannot be handled by any program".to_owned(),
            "the app cannot drain: every stream is cut at each deploy and stop",
        ),
        Some("SIGINT") => (
            Confidence::Guess,
            Severity::Low,
            "kill_signal is SIGINT, which few servers drain on".to_owned(),
            "whether this app does is not in the file; one that does not trap it dies at once, with its streams",
        ),
        Some(name) if !KNOWN.contains(&name) => (
            Confidence::Certain,
            Severity::Medium,
            format!("there is no kill_signal {name:?}"),
            "flyctl does not check the name; the API knows SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGUSR1, \
            SIGUSR2 and SIGTERM",
        ),
        Some(_) => return None,
    };
    let at = written
        .map(|signal| &signal.span)
        .or(facts.services.first().map(|service| &service.common.span))?;
    Some(
        Finding::new("FLY205", severity, confidence, message)
            .at(facts.source, at)
            .so(so)
            .fix("kill_signal = \"SIGTERM\" at the top, and a handler that stops accepting and lets streams end"),
    )
}

fn suspend_too_large(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    let stop = service.autostop().filter(|stop| stop.value == AutoStop::Suspend)?;
    let memory = facts.memory(&service.common.processes);
    let swap = facts.fly.swap_size_mb.as_ref().filter(|swap| swap.value > 0);
    let gpu = facts.fly.vms.iter().find_map(|vm| vm.gpus.as_ref().filter(|gpus| gpus.value > 0));
    let (why, span) = match (swap, gpu) {
        (Some(swap), _) => ("swap".to_owned(), Some(&swap.span)),
        (_, Some(gpu)) => ("a GPU".to_owned(), Some(&gpu.span)),
        _ if memory.mb > SUSPEND_MB_MAX => {
            (format!("{} MB of memory", memory.mb), memory.span.as_ref())
        }
        _ => return None,
    };
    let finding = Finding::new(
        "FLY206",
        Severity::Medium,
        Confidence::Likely,
        format!(
            "a machine with \
    {why} cannot be suspended"
        ),
    )
    .at(facts.source, &stop.span)
    .so(format!(
        "it is stopped instead: a cold start of seconds where a resume of a few hundred ms \
        was meant ({SUSPEND_MB_MAX} MB \
             are the most; no swap, no GPU)"
    ))
    .fix("auto_stop_machines = \"stop\", which is what happens, or a smaller machine")
    .edit(service.edit(&["auto_stop_machines"], Change::Set("\"stop\"".to_owned())));
    Some(match span {
        Some(span) => finding.also(facts.source, span, why),
        None => finding,
    })
}

fn start_off(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    let start = service.common.auto_start_machines.as_ref().filter(|start| !start.value)?;
    if let Some(stop) = service.autostop() {
        let message = format!("{} stops machines and starts none", service.title);
        return Some(
            Finding::new("FLY207", Severity::High, Confidence::Certain, message)
                .at(facts.source, &start.span)
                .also(facts.source, &stop.span, "what stops them")
                .so("once idle for a few minutes a machine stays down, and every request gets 503 until \
                somebody starts it by hand")
                .fix("auto_start_machines = true, or auto_stop_machines = \"off\""),
        );
    }
    if is_always_restarted(facts, service) {
        return None;
    }
    let message = format!("{} does not start machines that ended by themselves", service.title);
    Some(
        Finding::new("FLY208", Severity::Medium, Confidence::Guess, message)
            .at(facts.source, &start.span)
            .so("an app that exits with code 0, or too often, stays down, and traffic does not bring it back")
            .fix("auto_start_machines = true; with auto_stop_machines off it costs nothing"),
    )
}

/// A restart policy brings its app back however it ended, so that traffic need not.
fn is_always_restarted(facts: &Facts<'_>, service: &Service<'_>) -> bool {
    let always =
        facts.fly.restarts.iter().filter(|restart| {
            restart.policy.as_ref().is_some_and(|policy| policy.value == "always")
        });
    let groups = &service.common.processes;
    let covers = |restart: &Restart, group: &Located<String>| {
        restart.processes.iter().any(|name| name.value == group.value)
    };
    always.into_iter().any(|restart| {
        restart.processes.is_empty()
            || (!groups.is_empty() && groups.iter().all(|group| covers(restart, group)))
    })
}

fn floor(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    let floor = service.common.min_machines_running.as_ref().filter(|floor| floor.value > 0)?;
    if service.autostop().is_none() {
        return Some(
            Finding::new("FLY209", Severity::Info, Confidence::Certain, "min_machines_running has no \
            effect while autostop is off")
                .at(facts.source, &floor.span)
                .so("nothing is stopped, so nothing needs a floor; it neither starts nor limits machines")
                .fix("remove it, and keep the number by `fly scale count`"),
        );
    }
    if facts.fly.primary_region.as_ref().is_some_and(|region| !region.value.is_empty()) {
        return None;
    }
    Some(
        Finding::new(
            "FLY210",
            Severity::Medium,
            Confidence::Likely,
            "min_machines_running without primary_region",
        )
        .at(facts.source, &floor.span)
        .so(format!(
            "the floor of {} holds in the primary region alone, and none is named: machines \
            may all go to 0",
            floor.value
        ))
        .fix("primary_region = \"…\", three letters, at the top"),
    )
}

fn deploy(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(deploy) = &facts.fly.deploy else { return Vec::new() };
    let mut findings = Vec::new();
    if let Some(strategy) = &deploy.strategy {
        findings.extend(strategy_of(facts, strategy));
    }
    let machines = facts.machines.value;
    let many = deploy
        .max_unavailable
        .as_ref()
        .filter(|many| many.value >= 1.0 && many.value >= f64::from(machines));
    if let Some(many) = many.filter(|_| !facts.machines.is_guessed()) {
        let message = format!(
            "max_unavailable of {} takes all {} down together",
            many.value,
            count(machines, "machine")
        );
        findings.push(
            Finding::new("FLY213", Severity::Medium, Confidence::Certain, message)
                .at(facts.source, &many.span)
                .so("each deploy is an outage: no machine is left while all are replaced")
                .fix("a fraction such as 0.33, or a count below the number of machines")
                .given(&facts.machines, "--machines"),
        );
    }
    findings
}

fn strategy_of(facts: &Facts<'_>, strategy: &Located<String>) -> Option<Finding> {
    let finding = |severity, message: &str| {
        let rule = if strategy.value == "immediate" { "FLY211" } else { "FLY212" };
        Finding::new(rule, severity, Confidence::Certain, message).at(facts.source, &strategy.span)
    };
    let rolling = "strategy = \"rolling\"";
    match (strategy.value.as_str(), facts.fly.mounts.first()) {
        ("immediate", _) => Some(
            finding(
                Severity::Medium,
                "all machines are replaced at once, and no check is waited for",
            )
            .so(
                "a broken version replaces every machine, and the proxy may see no healthy one for \
                a while ([PR01])",
            )
            .fix(rolling),
        ),
        ("canary" | "bluegreen", Some(mount)) => Some(
            finding(Severity::Error, "machines with mounts cannot be deployed this way")
                .also(facts.source, &mount.span, "a volume belongs to one machine")
                .so("the deployment is refused: a second machine would need the first one's volume")
                .fix(rolling),
        ),
        ("bluegreen", None) => {
            let mut services =
                facts.services.iter().filter(|service| service.speaks != Speaks::Udp);
            let is_checked =
                !facts.fly.checks.is_empty() || services.any(|service| !service.checks.is_empty());
            (!is_checked).then(|| {
                finding(Severity::Error, "bluegreen needs a health check, and there is none")
                    .so("flyctl finds out only while it deploys, and refuses")
                    .fix("add one, such as [[http_service.checks]], or strategy = \"rolling\"")
            })
        }
        _ => None,
    }
}

pub(super) fn duration(written: GoDuration) -> Duration {
    Duration::from_nanos(u64::try_from(written.0).unwrap_or(0))
}
