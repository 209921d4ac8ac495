//! OUT101 to OUT106 and OUT691: `outlast.toml`, by itself and beside `fly.toml`.

use std::time::Duration;

use outlast_config::outlast::{Clocks, Written};
use outlast_config::{Diagnostic, Located, SourceText, format_duration};

use super::lifecycle::duration;
use crate::facts::Facts;
use crate::finding::{Confidence, Finding, Severity};

const DRAIN_GRACE: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(60);

/// Why it could not be read. The rest is reviewed all the same.
pub(crate) fn broken(source: &SourceText, errors: &[Diagnostic]) -> Vec<Finding> {
    let finding = |error: &Diagnostic| {
        let finding =
            Finding::new("OUT691", Severity::Error, Confidence::Certain, error.message.clone())
                .so("`outlast up` does not start with it")
                .fix(error.hint.clone().unwrap_or_else(|| "write another value".to_owned()));
        match error.span() {
            Some(span) => finding.at(source, &span),
            None => finding,
        }
    };
    errors.iter().map(finding).collect()
}

pub(super) fn check(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some((source, written)) = facts.outlast else { return };
    findings.extend(drain(facts, source, written));
    findings.extend(one_address(source, written));
    let routes = written.routes.iter().map(|route| &route.clocks);
    for clocks in std::iter::once(&written.clocks).chain(routes) {
        findings.extend(lifetime(facts, source, clocks));
        findings.extend(chunk_gap(facts, source, clocks));
    }
    findings.extend(no_queue(source, written));
    let beats = written.routes.iter().filter_map(|route| route.heartbeat.as_ref());
    findings.extend(beats.filter(|beat| beat.value >= SILENCE).map(|beat| late(source, beat)));
}

fn drain(facts: &Facts<'_>, source: &SourceText, written: &Written) -> Option<Finding> {
    let grace = written.drain_grace.as_ref()?;
    let kill = facts.fly.kill_timeout.as_ref();
    let given = kill
        .map_or(Duration::from_secs(5), |kill| duration(kill.value))
        .min(Duration::from_secs(300));
    if grace.value <= given {
        return None;
    }
    let message = format!(
        "a drain of {} has {} on Fly",
        format_duration(grace.value),
        format_duration(given)
    );
    let finding = Finding::new("OUT101", Severity::Medium, Confidence::Likely, message)
        .at(source, &grace.span)
        .so("a machine is killed when kill_timeout ends: streams that drain.grace promised time to are \
        cut without a word")
        .fix(format!("kill_timeout of {} or more in fly.toml (300 s at most), or a shorter grace than \
        {}", format_duration(grace.value), format_duration(DRAIN_GRACE.min(given))));
    Some(match kill {
        Some(kill) => finding.also(facts.source, &kill.span, "what Fly grants"),
        None => finding,
    })
}

fn one_address(source: &SourceText, written: &Written) -> Option<Finding> {
    let limit =
        written.listen_connections_per_client_max.as_ref().filter(|limit| limit.value > 0)?;
    let trusted =
        written.listen_trusted_proxies.as_ref().is_some_and(|proxies| !proxies.value.is_empty());
    if trusted {
        return None;
    }
    let mut finding = Finding::new(
        "OUT102",
        Severity::Medium,
        Confidence::Guess,
        format!("behind a proxy all clients together get {} connections", limit.value),
    )
    .at(source, &limit.span)
    .so("without listen.trusted_proxies a proxy in front is one client: the limit resets everybody's \
    connections at once")
    .fix("listen.trusted_proxies with the proxy's network, such as fdaa::/16 on Fly");
    finding.assumed.push("whether a proxy stands in front is not in the file".to_owned());
    Some(finding)
}

fn lifetime(facts: &Facts<'_>, source: &SourceText, clocks: &Clocks) -> Option<Finding> {
    let written = clocks.lifetime.as_ref().filter(|lifetime| !lifetime.value.is_zero())?;
    let longest = facts.streams.value.filter(|longest| written.value < *longest)?;
    let severity = if facts.streams.is_guessed() { Severity::Medium } else { Severity::High };
    let message =
        format!("clocks.lifetime of {} is shorter than a stream", format_duration(written.value));
    Some(
        Finding::new("OUT103", severity, Confidence::Certain, message)
            .at(source, &written.span)
            .so(format!(
                "a stream of {} is cut in the middle, however lively it is",
                format_duration(longest)
            ))
            .fix(format!("{:?} or more, or \"0s\"", format_duration(longest)))
            .given(&facts.streams, "--streams"),
    )
}

fn chunk_gap(facts: &Facts<'_>, source: &SourceText, clocks: &Clocks) -> Option<Finding> {
    let written =
        clocks.chunk_gap.as_ref().filter(|gap| !gap.value.is_zero() && gap.value < SILENCE)?;
    if facts.is_without_streams() {
        return None;
    }
    let message =
        format!("clocks.chunk_gap cuts what is silent for {}", format_duration(written.value));
    Some(
        Finding::new("OUT104", Severity::Medium, Confidence::Likely, message)
            .at(source, &written.span)
            .so("a model that thinks, a build or a tool call says nothing for a minute and more; our \
            own heartbeats do not count for it")
            .fix("\"5m\", or \"0s\"")
            .given(&facts.streams, "--streams"),
    )
}

fn no_queue(source: &SourceText, written: &Written) -> Option<Finding> {
    let timeout = written
        .queue_timeout
        .as_ref()
        .filter(|timeout| timeout.value.is_zero())
        .map(|one| &one.span);
    let depth =
        written.queue_depth_max.as_ref().filter(|depth| depth.value == 0).map(|one| &one.span);
    let span = timeout.or(depth)?;
    Some(
        Finding::new("OUT105", Severity::Low, Confidence::Certain, "nobody waits for a place")
            .at(source, span)
            .so("at the hard limit every request gets 503 at once, also when a place comes free within a second")
            .fix("queue.timeout = \"30s\", unless something else queues"),
    )
}

fn late(source: &SourceText, beat: &Located<Duration>) -> Finding {
    let message = format!("a heartbeat every {} comes too late", format_duration(beat.value));
    Finding::new("OUT106", Severity::Medium, Confidence::Likely, message)
        .at(source, &beat.span)
        .so("proxies and NATs on the way cut what is silent for 60 s; the first beat comes after that")
        .fix("\"20s\"")
}
