//! FLY101 to FLY109: what is counted, and how much of it is allowed.

use outlast_config::fly::Concurrency;
use outlast_config::{Located, format_duration};

use super::ports::is_misnamed;
use crate::capacity::{self, Fit};
use crate::facts::{Facts, Service, Speaks};
use crate::finding::{Confidence, Finding, Severity};
use crate::fix::Change;

/// Fly's own, where none is written.
const SOFT_DEFAULT: i64 = 20;

/// A limit that was the default once, and that few people chose.
const HARD_LOW: i64 = 25;

pub(super) fn check(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for service in facts.services.iter().filter(|service| service.speaks != Speaks::Udp) {
        findings.extend(connections(facts, service));
        let Some(limits) = &service.common.concurrency else {
            findings.push(absent(facts, service));
            continue;
        };
        findings.extend(gap(facts, service, limits));
        findings.extend(low(facts, service));
        findings.extend(memory(facts, service));
        findings.extend(nonsense(facts, limits));
        findings.extend(requests_of_what(facts, service, limits));
        findings.extend(soft_beyond_memory(facts, service, limits));
        findings.extend(zero(facts, service, limits));
    }
}

fn connections(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    let kind = service.common.concurrency.as_ref().and_then(|limits| limits.kind.as_ref());
    let is_connections = kind.is_none_or(|kind| matches!(&*kind.value, "connections" | ""));
    if service.speaks != Speaks::Http || !is_connections {
        return None;
    }
    let message = match kind {
        Some(_) => {
            format!("{} counts connections, idle ones included, not requests", service.title)
        }
        None => format!("{} has no concurrency type, so Fly counts connections", service.title),
    };
    let is_high = !facts.is_without_streams() && !facts.streams.is_guessed();
    let severity = if is_high { Severity::High } else { Severity::Medium };
    let limits =
        service.common.concurrency.as_ref().map_or(&service.common.span, |limits| &limits.span);
    let places = match service.hard() {
        Some(hard) => format!("idle upstream connections may fill all {} places while nothing is asked \
        for (one public report: \
             35 of 35 held by idle ones at load 0.00)", hard.value),
        None => "idle upstream connections count toward the soft limit, and with it toward autostop and \
        autostart".to_owned(),
    };
    let finding = Finding::new("FLY101", severity, Confidence::Likely, message)
        .at(facts.source, kind.map_or(limits, |kind| &kind.span))
        .so(format!(
            "{places}; for streams alone the type changes nothing: n open streams take n places under both"
        ))
        .fix("type = \"requests\"; where connections are meant, hard_limit of ten times the steady \
        number of open ones")
        .edit(service.edit(&["concurrency", "type"], Change::Set("\"requests\"".to_owned())).filter(|_| {
            // Without limits there is no section to write it into; with a comment above it the author had a reason.
            service.common.concurrency.is_some() && !kind.is_some_and(|kind| has_comment_above(facts, kind))
        }));
    Some(finding.given(&facts.streams, "--streams"))
}

fn has_comment_above(facts: &Facts<'_>, written: &Located<String>) -> bool {
    let before = facts.source.text.get(..written.span.start).unwrap_or_default();
    before.lines().rev().nth(1).is_some_and(|line| line.trim_start().starts_with('#'))
}

fn absent(facts: &Facts<'_>, service: &Service<'_>) -> Finding {
    let memory = facts.memory(&service.common.processes);
    // Without [[vm]] an old app keeps whatever it had.
    let holds = match memory.span {
        Some(_) => format!("{} MB", memory.mb),
        None => "memory".to_owned(),
    };
    let kind = if service.speaks == Speaks::Http { "requests" } else { "connections" };
    let message = format!("{} has no concurrency limits", service.title);
    Finding::new("FLY103", Severity::Medium, Confidence::Certain, message)
        .at(facts.source, &service.common.span)
        .label("soft 20, hard none")
        .so(format!(
            "from {SOFT_DEFAULT} on a machine counts as busy: others are preferred and started, and \
            autostop reckons with it; \
             nothing is ever refused, whatever {holds} can hold"
        ))
        .fix(format!(
            "write {} with type = \"{kind}\" and the hard_limit that one machine was measured to carry, \
            soft_limit at 80 % of it",
            service.header("concurrency")
        ))
}

fn gap(facts: &Facts<'_>, service: &Service<'_>, limits: &Concurrency) -> Option<Finding> {
    let hard = service.hard()?;
    let written = limits.soft_limit.as_ref().filter(|soft| soft.value > 0);
    let soft = written.map_or(SOFT_DEFAULT, |soft| soft.value);
    let (hard_value, wanted) = (hard.value, (hard.value.saturating_mul(4) / 5).max(1));
    // In fifths: a gap of a fifth of the hard limit is enough. One place cannot be parted.
    if hard_value == 1 || soft <= wanted {
        return None;
    }
    let (severity, message) = match written {
        Some(_) if soft > hard_value => {
            (Severity::Error, format!("hard_limit ({hard_value}) is below soft_limit ({soft})"))
        }
        Some(_) => (
            Severity::Medium,
            format!("soft_limit ({soft}) is too close to hard_limit ({hard_value})"),
        ),
        None => (
            Severity::Medium,
            format!("hard_limit ({hard_value}) leaves no room above Fly's own soft_limit ({soft})"),
        ),
    };
    let between = (hard_value - soft).max(0);
    Some(
        Finding::new("FLY102", severity, Confidence::Certain, message)
            .at(facts.source, written.map_or(&hard.span, |soft| &soft.span))
            .so(format!(
                "a machine has {between} places between \"prefer others\" and \"refuse\", so it is full \
                before the proxy turns away \
                 from it: requests are retried instead of placed elsewhere"
            ))
            .fix(format!("soft_limit = {wanted}, 80 % of hard_limit"))
            .edit(service.edit(&["concurrency", "soft_limit"], Change::Set(wanted.to_string()))),
    )
}

fn low(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    let hard = service.hard()?;
    let total = hard.value.saturating_mul(i64::from(facts.machines.value));
    let peak = facts.hints.peak.map(|peak| i64::from(peak.get()));
    // A quarter more than the peak, so that the peak itself is not the limit.
    let wanted = peak.map(|peak| (peak * 5 + 3) / 4);
    let is_low = match wanted {
        Some(wanted) => total < wanted,
        None => hard.value <= HARD_LOW && !facts.is_without_streams(),
    };
    if !is_low {
        return None;
    }
    let fit = Fit::of(facts, service);
    let is_guess = peak.is_none() && facts.streams.is_guessed();
    let severity = if is_guess { Severity::Medium } else { Severity::High };
    let finding = Finding::new(
        "FLY104",
        severity,
        Confidence::Likely,
        format!(
            "hard_limit of {} lets one machine hold {} streams at once",
            hard.value, hard.value
        ),
    )
    .at(facts.source, &hard.span)
    .label("each open stream holds a place until its last byte, under both types");
    let finding = match (peak, facts.streams.value) {
        (Some(peak), _) => finding.so(format!(
            "{} × {} = {total} places for a peak of {peak}: the others wait up to a minute and get 503",
            count(facts.machines.value, "machine"),
            hard.value
        )),
        (None, Some(longest)) => finding.so(format!(
            "with streams of {} all {total} places are taken once {:.1} start per minute; whoever comes \
            then waits up to a \
             minute and gets 503",
            format_duration(longest),
            per_minute(total, longest)
        )),
        (None, None) => finding,
    };
    let finding = finding.fix(match wanted {
        Some(wanted) => format!(
            "{wanted} places in all: hard_limit = {} on {}{}",
            ceil_div(wanted, i64::from(facts.machines.value)),
            count(facts.machines.value, "machine"),
            fit.memory_note(ceil_div(wanted, i64::from(facts.machines.value)))
        ),
        None => format!(
            "hard_limit of 1.25 times the peak of `fly_app_concurrency` per machine; {} MB hold about \
            {} (--peak tells how many you need)",
            fit.mb, fit.streams
        ),
    });
    let finding = match peak {
        Some(_) => finding,
        None => finding.given(&facts.streams, "--streams"),
    };
    Some(finding.given(&facts.machines, "--machines"))
}

fn memory(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    let hard = service.hard()?;
    let fit = Fit::of(facts, service);
    let limit = u64::try_from(hard.value).unwrap_or(0);
    if limit <= fit.streams {
        return None;
    }
    let need = &facts.memory_per_stream;
    let has_streams = !facts.is_without_streams() && !facts.streams.is_guessed();
    // A guess that may be four times too high still says something.
    let far_off = limit > fit.streams.saturating_mul(4);
    let severity = match (need.is_guessed(), has_streams, far_off, &fit.span) {
        (false, true, _, Some(_)) => Severity::High,
        (true, _, false, _) | (true, _, _, None) => Severity::Low,
        _ => Severity::Medium,
    };
    let each = need.value.div_ceil(1 << 20);
    let kib = fit.mb * 1024 / limit;
    let share = if kib < 10 * 1024 { format!("{kib} KiB") } else { format!("{} MB", kib / 1024) };
    let message = format!("hard_limit of {limit} promises more than {} MB of memory hold", fit.mb);
    let finding = Finding::new("FLY105", severity, Confidence::Likely, message)
        .at(facts.source, &hard.span)
        .so(format!(
            "{share} for each place, and a stream {} {each} MB: memory ends at {} streams, and running \
            out of it kills all of them",
            if need.is_told() { "needs" } else { "is taken to need" },
            fit.streams
        ))
        .fix(format!(
            "{} MB of memory for {limit} places, or hard_limit = {} and soft_limit = {}",
            limit.saturating_mul(each).next_multiple_of(256),
            fit.streams.max(1),
            (fit.streams * 3 / 4).max(1)
        ));
    let finding = match &fit.span {
        Some(span) => finding.also(facts.source, span, format!("{} MB", fit.mb)),
        None => finding,
    };
    let mut finding = finding.given(need, "--memory-per-stream");
    if fit.span.is_none() {
        finding.confidence = Confidence::Guess;
        finding
            .assumed
            .push("no [[vm]] tells the memory; 256 MB is what a new app gets".to_owned());
    }
    Some(finding)
}

fn nonsense(facts: &Facts<'_>, limits: &Concurrency) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(kind) =
        limits.kind.as_ref().filter(|kind| !matches!(&*kind.value, "connections" | "requests" | ""))
    {
        let message = format!("there is no concurrency type {:?}", kind.value);
        let finding = Finding::new("FLY106", Severity::Error, Confidence::Certain, message);
        findings.push(
            finding
                .at(facts.source, &kind.span)
                .so("flyctl lets it pass, and the deployment fails at the API")
                .fix("write \"requests\" or \"connections\""),
        );
    }
    for (name, limit) in [("hard_limit", &limits.hard_limit), ("soft_limit", &limits.soft_limit)] {
        let Some(limit) = limit.as_ref().filter(|limit| limit.value < 0) else { continue };
        let message = format!("{name} is {}", limit.value);
        let finding = Finding::new("FLY106", Severity::Error, Confidence::Certain, message);
        findings.push(
            finding
                .at(facts.source, &limit.span)
                .so("flyctl lets it pass, and the deployment fails at the API")
                .fix("write a number from 1, or leave it out"),
        );
    }
    findings
}

fn requests_of_what(
    facts: &Facts<'_>,
    service: &Service<'_>,
    limits: &Concurrency,
) -> Option<Finding> {
    let kind = limits.kind.as_ref().filter(|kind| kind.value == "requests")?;
    if !matches!(service.speaks, Speaks::Tcp | Speaks::Tls)
        || service.ports.is_empty()
        || is_misnamed(service)
    {
        return None;
    }
    let message =
        format!("{} has no http handler, so there are no requests to count", service.title);
    Some(
        Finding::new("FLY107", Severity::High, Confidence::Certain, message)
            .at(facts.source, &kind.span)
            .so("the limits count something that the proxy cannot see; how it fills in is not documented")
            .fix("type = \"connections\", or the handler \"http\" on the port")
            .edit(service.edit(&["concurrency", "type"], Change::Set("\"connections\"".to_owned()))),
    )
}

fn soft_beyond_memory(
    facts: &Facts<'_>,
    service: &Service<'_>,
    limits: &Concurrency,
) -> Option<Finding> {
    let soft = limits.soft_limit.as_ref()?;
    service.autostop()?;
    let fit = Fit::of(facts, service);
    let limit = u64::try_from(soft.value).ok()?;
    if !facts.machines.is_told() || facts.machines.value < 2 || limit <= fit.streams {
        return None;
    }
    let message = format!("soft_limit of {limit} is more than one machine carries");
    Some(
        Finding::new("FLY108", Severity::Low, Confidence::Likely, message)
            .at(facts.source, &soft.span)
            .so(format!(
                "a stopped machine is started when all running ones are at {limit}; {} MB end at {}, so \
                it never is",
                fit.mb, fit.streams
            ))
            .fix(format!("soft_limit = {}, three quarters of what memory holds", (fit.streams * 3 / 4).max(1)))
            .given(&facts.memory_per_stream, "--memory-per-stream")
            .given(&facts.machines, "--machines"),
    )
}

fn zero(facts: &Facts<'_>, service: &Service<'_>, limits: &Concurrency) -> Option<Finding> {
    let hard: &Located<i64> = limits.hard_limit.as_ref().filter(|limit| limit.value == 0)?;
    Some(
        Finding::new(
            "FLY109",
            Severity::Low,
            Confidence::Certain,
            "hard_limit = 0 is dropped, as if it were absent",
        )
        .at(facts.source, &hard.span)
        .so("the service has no hard limit: neither \"block everything\" nor a cap")
        .fix("remove it, or write the limit that is meant")
        .edit(service.edit(&["concurrency", "hard_limit"], Change::Remove)),
    )
}

/// How many streams may start per minute before all places are taken (Little's law).
fn per_minute(places: i64, longest: std::time::Duration) -> f64 {
    let places = u32::try_from(places).unwrap_or(u32::MAX);
    f64::from(places) * 60.0 / longest.as_secs_f64().max(0.001)
}

pub(super) fn ceil_div(dividend: i64, divisor: i64) -> i64 {
    (dividend + divisor - 1) / divisor.max(1)
}

/// `1 machine`, `2 machines`.
pub(super) fn count(number: u32, what: &str) -> String {
    capacity::count(u64::from(number), what)
}
