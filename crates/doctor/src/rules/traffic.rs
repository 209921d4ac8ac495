//! FLY501 to FLY511: silence, checks, and what is done to responses.

use std::time::Duration;

use outlast_config::fly::{Check, GoDuration};
use outlast_config::{Located, format_duration};

use super::lifecycle::duration;
use crate::facts::{Facts, Service, Speaks};
use crate::finding::{Confidence, Finding, Severity};
use crate::fix::{Change, Step};

/// Of silence, after which users still see streams cut.
const SILENCE: Duration = Duration::from_secs(60);

/// Up to here a hard limit is filled by a few clients that hang.
const HARD_SMALL: i64 = 100;

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn check(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for service in &facts.services {
        if service.speaks == Speaks::Udp {
            continue;
        }
        findings.extend(silence(facts, service));
        findings.extend(unchecked(facts, service));
        findings.extend(idle_timeout(facts, service));
        findings.extend(options(facts, service));
        findings.extend(green_is_not_free(facts, service));
        for (index, check) in service.checks.iter().enumerate() {
            findings.extend(bare_numbers(facts, service, check, index));
            findings.extend(service_check(facts, service, check));
            findings.extend(grace(facts, check));
        }
    }
    findings.extend(bare_deploy(facts));
    findings.extend(facts.fly.checks.iter().flat_map(|check| top_check(facts, check)));
    findings.extend(nobody_restarts(facts));
}

fn silence(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    let beats = facts
        .outlast
        .is_some_and(|(_, outlast)| outlast.routes.iter().any(|route| route.heartbeat.is_some()));
    let is_said = service.options.iter().any(|options| options.idle_timeout.is_some());
    if service.speaks != Speaks::Http || beats || is_said || facts.is_without_streams() {
        return None;
    }
    let severity = if facts.streams.is_guessed() { Severity::Low } else { Severity::Medium };
    let message = format!("nothing says how long a stream of {} may be silent", service.title);
    Some(
        Finding::new("FLY501", severity, Confidence::Likely, message)
            .at(facts.source, &service.common.span)
            .so("the default of idle_timeout is not documented, and users still see streams cut after \
            60 s of silence")
            .fix(format!(
                "a heartbeat every 15 to 25 s (a comment of SSE, an empty line of NDJSON, a ping); or \
                idle_timeout = 300, in seconds, \
                 under {}",
                service.header(if service.section == "services" { "ports.http_options" } else { "http_options" })
            ))
            .given(&facts.streams, "--streams"),
    )
}

fn unchecked(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    if !service.checks.is_empty() || (service.ports.is_empty() && service.section == "services") {
        return None;
    }
    let below = match (service.section, service.speaks) {
        ("http_service", _) => "[[http_service.checks]]",
        (_, Speaks::Http) => "[[services.http_checks]]",
        _ => "[[services.tcp_checks]]",
    };
    let path = if below.contains("tcp") { "" } else { " on a cheap path" };
    let top = if facts.fly.checks.is_empty() { "" } else { " ([checks] at the top do not route)" };
    Some(
        Finding::new(
            "FLY502",
            Severity::High,
            Confidence::Certain,
            format!(
                "{} has no health \
        check",
                service.title
            ),
        )
        .at(facts.source, &service.common.span)
        .so(format!(
            "a dead app stays in routing and gets every request, and a deploy that serves \
            nothing \"succeeds\"{top}"
        ))
        .fix(format!(
            "{below}{path}, interval = \"15s\", timeout = \"5s\", and a grace_period \
            longer than the boot"
        )),
    )
}

fn idle_timeout(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    let written = service.options.iter().find_map(|options| options.idle_timeout.as_ref())?;
    let seconds = written.value;
    let kind = service.common.concurrency.as_ref().and_then(|limits| limits.kind.as_ref());
    let is_connections = kind.is_none_or(|kind| kind.value != "requests");
    let hard = service.hard().filter(|hard| hard.value <= HARD_SMALL);
    if let (true, true, Some(hard)) = (seconds > 300, is_connections, hard) {
        let message =
            format!("clients that hang may hold one of {} places for {seconds} s", hard.value);
        return Some(
            Finding::new("FLY506", Severity::Medium, Confidence::Likely, message)
                .at(facts.source, &written.span)
                .also(facts.source, &hard.span, "the places")
                .so(format!(
                    "{} clients that vanish without a word fill the machine until the timeout \
                ends (one public outage had 600 s)",
                    hard.value
                ))
                .fix("idle_timeout = 120, and a heartbeat for what is silent longer"),
        );
    }
    let is_short = seconds > 0 && seconds < SILENCE.as_secs() && !facts.is_without_streams();
    is_short.then(|| {
        let severity = if facts.streams.is_guessed() { Severity::Low } else { Severity::Medium };
        let message = format!("a stream that is silent for {seconds} s is cut");
        Finding::new("FLY506", severity, Confidence::Likely, message)
            .at(facts.source, &written.span)
            .so("a chat that thinks, a build or a tool call is silent longer than that, unless \
            heartbeats fill the gaps")
            .fix("a heartbeat more often than that, or idle_timeout above the longest silence")
            .given(&facts.streams, "--streams")
    })
}

fn options(facts: &Facts<'_>, service: &Service<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for options in &service.options {
        let compress = options.compress.as_ref().filter(|compress| compress.value);
        if let Some(compress) = compress.filter(|_| !facts.is_without_streams()) {
            let severity =
                if facts.streams.is_guessed() { Severity::Medium } else { Severity::High };
            findings.push(
                Finding::new("FLY508", severity, Confidence::Certain, "compression buffers responses, streams too")
                    .at(facts.source, &compress.span)
                    .so("the response is buffered before it is compressed: events arrive late, or all at the end")
                    .fix("compress = false, or Content-Encoding: none on the responses that stream")
                    .given(&facts.streams, "--streams"),
            );
        }
        if let Some(pristine) = options.pristine.as_ref().filter(|pristine| pristine.value) {
            findings.push(
                Finding::new("FLY510", Severity::Info, Confidence::Certain, "responses do not carry Fly-Request-Id")
                    .at(facts.source, &pristine.span)
                    .so("a user's report cannot be found in the logs by it; Server and Via are missing too")
                    .fix("leave pristine out, unless clients must not see Fly"),
            );
        }
    }
    findings
}

/// A check goes around the limits, so it says nothing of them.
fn green_is_not_free(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    let hard = service.hard().filter(|hard| hard.value <= HARD_SMALL)?;
    let check = service.checks.first()?;
    if facts.is_without_streams() {
        return None;
    }
    Some(
        Finding::new(
            "FLY511",
            Severity::Info,
            Confidence::Likely,
            "this check stays green while every \
        request is refused",
        )
        .at(facts.source, &check.span)
        .also(facts.source, &hard.span, "what it does not see")
        .so(format!(
            "checks reach the machine past the proxy's accounting: at {} of {} places they \
            pass, and users get 503",
            hard.value, hard.value
        ))
        .fix("alert on `fly_app_concurrency` at 80 % of hard_limit"),
    )
}

fn lapses(check: &Check) -> [(&'static str, Option<&Located<GoDuration>>); 3] {
    [
        ("interval", check.interval.as_ref()),
        ("timeout", check.timeout.as_ref()),
        ("grace_period", check.grace_period.as_ref()),
    ]
}

fn bare_numbers(
    facts: &Facts<'_>,
    service: &Service<'_>,
    check: &Check,
    index: usize,
) -> Vec<Finding> {
    if service.section != "http_service" {
        return Vec::new();
    }
    let bare = lapses(check).into_iter().filter_map(|(key, written)| {
        let written = written.filter(|written| facts.is_bare(written) && written.value.0 != 0)?;
        // Thousands were meant as milliseconds, as the documentation has it; what less was meant as, nobody knows.
        let meant = (written.value.0 >= 1000)
            .then(|| format_duration(Duration::from_millis(written.value.0.unsigned_abs())));
        let mut path = service.path.clone();
        path.extend([Step::Key("checks"), Step::Item(index), Step::Key(key)]);
        let edit = meant
            .as_ref()
            .map(|meant| crate::fix::Edit { path, change: Change::Set(format!("{meant:?}")) });
        Some(nanoseconds(facts, key, written, meant.as_deref()).edit(edit))
    });
    bare.collect()
}

fn nanoseconds(
    facts: &Facts<'_>,
    key: &str,
    written: &Located<GoDuration>,
    meant: Option<&str>,
) -> Finding {
    let number = facts.text(&written.span);
    let fix = match meant {
        Some(meant) => format!("{key} = \"{meant}\""),
        None => format!("{key} = \"{number}s\", if seconds are meant"),
    };
    Finding::new("FLY503", Severity::High, Confidence::Likely, format!("{key} = {number} means \
    {}", format_duration(duration(written.value))))
        .at(facts.source, &written.span)
        .label("nanoseconds, as a number without quotes")
        .so("flyctl raises what is too short to 1 s with a warning that scrolls by; elsewhere nothing catches it")
        .fix(fix)
}

fn bare_deploy(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(deploy) = &facts.fly.deploy else { return Vec::new() };
    let timeouts = [
        ("wait_timeout", &deploy.wait_timeout),
        ("release_command_timeout", &deploy.release_command_timeout),
    ];
    let bare = timeouts.into_iter().filter_map(|(key, written)| {
        let written =
            written.as_ref().filter(|written| facts.is_bare(written) && written.value.0 != 0)?;
        Some(nanoseconds(facts, key, written, None).so("the deployment gives up before it began"))
    });
    bare.collect()
}

fn service_check(facts: &Facts<'_>, service: &Service<'_>, check: &Check) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (key, written) in lapses(check) {
        let Some(written) = written else { continue };
        if facts.is_bare(written) && service.section == "http_service" {
            continue;
        }
        let asked = duration(written.value);
        let what = if asked > SILENCE {
            "lowered to 1 minute"
        } else if asked < SECOND && !(key == "grace_period" && asked.is_zero()) {
            "raised to 1 second"
        } else {
            continue;
        };
        let message = format!("{key} of {} is {what}", format_duration(asked));
        findings.push(
            Finding::new("FLY504", Severity::Low, Confidence::Certain, message)
                .at(facts.source, &written.span)
                .so("flyctl warns, and the check is not the one that is written here")
                .fix(if key == "grace_period" {
                    "at most \"1m\""
                } else {
                    "10 to 30 s between checks, and 2 to 5 s to answer"
                }),
        );
    }
    findings.extend(overlapping(facts, check));
    findings
}

fn overlapping(facts: &Facts<'_>, check: &Check) -> Option<Finding> {
    let (interval, timeout) = (check.interval.as_ref()?, check.timeout.as_ref()?);
    if timeout.value < interval.value || (facts.is_bare(timeout) != facts.is_bare(interval)) {
        return None;
    }
    let (every, within) =
        (format_duration(duration(interval.value)), format_duration(duration(timeout.value)));
    Some(
        Finding::new(
            "FLY504",
            Severity::Low,
            Confidence::Certain,
            format!("a check every {every} has {within} to answer"),
        )
        .at(facts.source, &timeout.span)
        .also(facts.source, &interval.span, "how often")
        .so("checks overlap, and a hung app is noticed late")
        .fix("a timeout of 2 to 5 s, below the interval"),
    )
}

fn top_check(facts: &Facts<'_>, check: &Check) -> Vec<Finding> {
    let name = &check.name;
    let mut findings = Vec::new();
    let mut refused = |written: &Located<GoDuration>, message: String| {
        findings.push(
            Finding::new("FLY504", Severity::Error, Confidence::Certain, message)
                .at(facts.source, &written.span)
                .so("flyctl refuses the file")
                .fix("10 to 30 s between checks, and 2 to 5 s to answer"),
        );
    };
    if let Some(written) = check.interval.as_ref().filter(|one| duration(one.value) < 2 * SECOND) {
        let asked = format_duration(duration(written.value));
        refused(
            written,
            format!("Check '{name}' interval is too short: {asked}, minimum is 2 seconds"),
        );
    }
    if let Some(written) = check.timeout.as_ref().filter(|one| duration(one.value) > SILENCE) {
        let asked = format_duration(duration(written.value));
        refused(
            written,
            format!("Check '{name}' timeout is too long: {asked}, maximum is 60 seconds"),
        );
    }
    findings.extend(overlapping(facts, check));
    findings
}

fn grace(facts: &Facts<'_>, check: &Check) -> Vec<Finding> {
    const GUARDED: &[&str] = &["login", "signin", "auth", "admin", "dashboard", "account"];
    let mut findings = Vec::new();
    if let (Some(boot), Some(grace)) = (facts.hints.boot, &check.grace_period) {
        let given = duration(grace.value);
        if given < boot {
            let mut finding = Finding::new(
                "FLY505",
                Severity::Medium,
                Confidence::Certain,
                format!(
                    "grace_period of {} is shorter than a boot of {}",
                    format_duration(given),
                    format_duration(boot)
                ),
            );
            finding.flags.push("--boot");
            findings.push(
                finding
                    .at(facts.source, &grace.span)
                    .so("a machine that is still booting counts as failed: deploys fail, and traffic flaps")
                    .fix(format!("grace_period = \
                    {:?}", format_duration(boot.saturating_mul(2).min(SILENCE).max(boot)))),
            );
        }
    }
    let path = check.path.as_ref();
    let guarded = path.filter(|path| {
        path.value.to_ascii_lowercase().split('/').any(|part| GUARDED.contains(&part))
    });
    if let Some(path) = guarded {
        findings.push(
            Finding::new(
                "FLY505",
                Severity::Medium,
                Confidence::Guess,
                format!("{} seems to need a login, or to redirect to one", path.value),
            )
            .at(facts.source, &path.span)
            .so("a check wants 2xx and follows no redirect: it fails although the app is well")
            .fix("a path of its own that answers 200 to anybody, such as /health"),
        );
    }
    findings
}

fn nobody_restarts(facts: &Facts<'_>) -> Option<Finding> {
    let mut policies = facts.fly.restarts.iter().filter_map(|restart| restart.policy.as_ref());
    let never = policies.find(|policy| policy.value == "never")?;
    let check = facts.services.iter().find_map(|service| service.checks.first())?;
    Some(
        Finding::new("FLY509", Severity::Info, Confidence::Certain, "a machine whose check fails is not \
        restarted by it")
            .at(facts.source, &check.span)
            .also(facts.source, &never.span, "and nothing else restarts it")
            .so("a failing check only takes the machine out of routing; a process that hangs stays that way")
            .fix("policy = \"on-failure\", and an app that exits when it cannot go on"),
    )
}
