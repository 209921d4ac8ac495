//! FLY301 to FLY312, but for single ports: who is reached how, and which process answers.

use std::ops::Range;

use outlast_config::fly::Port;

use super::ports::{claimed_twice, datagrams, handlers, is_misnamed, numbers};
use crate::facts::{Facts, Service, Speaks, handles};
use crate::finding::{Confidence, Finding, Severity};
use crate::fix::{Change, Step};

pub(super) fn check(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for service in &facts.services {
        findings.extend(raw(facts, service));
        findings.extend(redirect_of_http_service(facts, service));
        findings.extend(internal_port(facts, service));
        findings.extend(environment(facts, service));
        findings.extend(h2(facts, service));
        findings.extend(datagrams(facts, service));
        findings.extend(unreachable(facts, service));
        findings.extend(groups(facts, service));
        for (index, port) in service.ports.iter().enumerate() {
            if service.speaks != Speaks::Udp && !is_misnamed(service) {
                findings.extend(standard_port(facts, service, port));
                findings.extend(redirect(facts, service, port, index));
            }
            findings.extend(numbers(facts, port));
            findings.extend(handlers(facts, port));
        }
    }
    findings.extend(claimed_twice(facts));
    findings.extend(side_by_side(facts));
}

/// The port as written, or the first of a range.
fn first_port(port: &Port) -> Option<(i64, &Range<usize>)> {
    let written = port.port.as_ref().or(port.start_port.as_ref())?;
    Some((written.value, &written.span))
}

/// Whether the app itself seems to end TLS: it listens on the port that is for it.
fn ends_tls(service: &Service<'_>) -> bool {
    service.common.internal_port.as_ref().is_some_and(|port| matches!(port.value, 443 | 8443))
}

fn raw(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    if service.speaks != Speaks::Tcp
        || service.ports.is_empty()
        || ends_tls(service)
        || is_misnamed(service)
    {
        return None;
    }
    let (port, span) = first_port(&service.ports[0])?;
    let limits = match service.common.concurrency {
        Some(_) => "it has limits of its own",
        None => "it has limits of its own (soft 20, no hard one)",
    };
    let message = format!("port {port} has no handlers: bytes pass through as they are");
    Some(
        Finding::new("FLY301", Severity::High, Confidence::Likely, message)
            .at(facts.source, span)
            .so(format!(
                "plaintext on the internet unless the app ends TLS itself; IPv4 clients need a \
                dedicated address; no headers tell \
                 who the client is; {limits} and its own say in autostop"
            ))
            .fix(
                "serve a WebSocket through the HTTP service, on a path of its own; or handlers = \
            [\"tls\"]; or leave the port out",
            ),
    )
}

fn standard_port(facts: &Facts<'_>, service: &Service<'_>, port: &Port) -> Option<Finding> {
    let written = port.port.as_ref()?;
    let (missing, lost) = match written.value {
        80 if !handles(port, "http") => {
            ("http", "nothing redirects to https, and there are no requests to see")
        }
        443 if !["tls", "pg_tls"].iter().any(|name| handles(port, name)) => {
            ("tls", "Fly's certificate is not used")
        }
        _ => return None,
    };
    let deliberate = written.value == 443 && ends_tls(service);
    let severity = if deliberate { Severity::Info } else { Severity::High };
    let message = format!("port {} without the handler {missing}", written.value);
    let fix = match missing {
        _ if deliberate => "nothing, if so; else handlers = [\"tls\", \"http\"]",
        "http" => "handlers = [\"http\"]",
        _ => "handlers = [\"tls\", \"http\"]",
    };
    let lost =
        if deliberate { "the app seems to end TLS itself, and then this is right" } else { lost };
    Some(
        Finding::new("FLY302", severity, Confidence::Likely, message)
            .at(facts.source, &written.span)
            .so(format!("{lost}; IPv4 clients need a dedicated address"))
            .fix(fix),
    )
}

fn redirect_of_http_service(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    let http = facts.fly.http_service.as_ref().filter(|_| service.section == "http_service")?;
    let force = http.force_https.as_ref();
    if force.is_some_and(|force| force.value) {
        return None;
    }
    let span = force.map_or(&http.common.span, |force| &force.span);
    Some(plain(facts, span, "http_service answers on port 80 without a redirect to https"))
}

fn plain(facts: &Facts<'_>, span: &Range<usize>, message: &str) -> Finding {
    Finding::new("FLY303", Severity::Medium, Confidence::Certain, message)
        .at(facts.source, span)
        .so("cookies and tokens of whoever types the name without https:// cross the network in the clear")
        .fix("force_https = true: 301 from port 80")
}

fn redirect(
    facts: &Facts<'_>,
    service: &Service<'_>,
    port: &Port,
    index: usize,
) -> Option<Finding> {
    let force = port.force_https.as_ref().filter(|force| force.value);
    let Some(force) = force else {
        let is_plain =
            handles(port, "http") && port.port.as_ref().is_some_and(|port| port.value == 80);
        return is_plain
            .then(|| plain(facts, &port.span, "port 80 answers without a redirect to https"));
    };
    let remove = service.edit(&["ports"], Change::Remove).map(|mut edit| {
        edit.path.extend([Step::Item(index), Step::Key("force_https")]);
        edit
    });
    if !handles(port, "http") {
        return Some(
            Finding::new(
                "FLY303",
                Severity::Error,
                Confidence::Certain,
                "force_https needs the handler http",
            )
            .at(facts.source, &force.span)
            .so("the deployment fails")
            .fix("handlers = [\"http\"], or no force_https")
            .edit(remove),
        );
    }
    handles(port, "tls").then(|| {
        Finding::new(
            "FLY303",
            Severity::Info,
            Confidence::Certain,
            "force_https has nothing to do on a port that speaks TLS",
        )
        .at(facts.source, &force.span)
        .so("only plain HTTP is redirected, which is on port 80")
        .fix("move it to port 80")
    })
}

fn environment(facts: &Facts<'_>, service: &Service<'_>) -> Vec<Finding> {
    const ADDRESSES: &[&str] = &[
        "HOST",
        "BIND",
        "BIND_ADDR",
        "BIND_ADDRESS",
        "LISTEN",
        "LISTEN_ADDR",
        "LISTEN_ADDRESS",
        "HOSTNAME",
        "ROCKET_ADDRESS",
    ];
    let mut findings = Vec::new();
    if service.speaks != Speaks::Http
        || facts.services.iter().filter(|other| other.speaks == Speaks::Http).count() > 1
    {
        return findings;
    }
    let internal = service.common.internal_port.as_ref().filter(|port| port.value != 0);
    if let (Some(internal), Some(port)) = (internal, facts.fly.env.get("PORT"))
        && let Some(asked) =
            port.value.trim().parse::<i64>().ok().filter(|asked| *asked != internal.value)
    {
        let message =
            format!("internal_port is {}, and PORT tells the app {asked}", internal.value);
        findings.push(
            Finding::new("FLY305", Severity::Error, Confidence::Likely, message)
                .at(facts.source, &internal.span)
                .also(facts.source, &port.span, "what the app is told")
                .so("connections to the app are refused: [PC01], and 502 for every request")
                .fix(format!("internal_port = {asked}, if the app listens there")),
        );
    }
    let is_local = |text: &str| {
        ["127.0.0.1", "localhost", "::1", "[::1]"].iter().any(|local| {
            text == *local
                || text
                    .strip_prefix(local)
                    .is_some_and(|rest| rest.starts_with(':') && !rest.starts_with("::"))
        })
    };
    for name in ADDRESSES {
        let Some(value) = facts.fly.env.get(*name).filter(|value| is_local(&value.value)) else {
            continue;
        };
        let message =
            format!("{name} binds the app to {}, where the proxy cannot reach it", value.value);
        findings.push(
            Finding::new("FLY305", Severity::Error, Confidence::Likely, message)
                .at(facts.source, &value.span)
                .so("connections to the app are refused: [PC01], and 502 for every request")
                .fix(format!("{name} = \"0.0.0.0\", or \"::\"")),
        );
    }
    findings
}

fn internal_port(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    let written = service.common.internal_port.as_ref();
    if written.is_some_and(|port| port.value != 0) {
        return None;
    }
    let message = format!("{} has no internal_port", service.title);
    let finding = Finding::new("FLY306", Severity::Error, Confidence::Likely, message)
        .at(facts.source, written.map_or(&service.common.span, |port| &port.span))
        .so("flyctl sends 0: the proxy does not know where the app listens (8080 is documented as the \
        default, and not what happens)")
        .fix("internal_port = 8080, or wherever the app listens");
    Some(finding)
}

fn h2(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    let h2 = service
        .options
        .iter()
        .find_map(|options| options.h2_backend.as_ref().filter(|h2| h2.value));
    if let (Some(h2), false) = (h2, service.speaks == Speaks::Http) {
        return Some(
            Finding::new(
                "FLY307",
                Severity::High,
                Confidence::Certain,
                "h2_backend without the handler http",
            )
            .at(facts.source, &h2.span)
            .so("there is no HTTP to speak in version 2: the option has no effect")
            .fix("handlers = [\"tls\", \"http\"]"),
        );
    }
    let is_grpc = |text: &str| text.to_ascii_lowercase().contains("grpc");
    let app = facts.fly.app.as_ref().map(|app| ("the app's name", app.value.as_str()));
    let names = facts.fly.env.keys().map(|name| ("a variable's name", name.as_str()));
    let commands =
        facts.fly.processes.values().map(|command| ("a command", command.value.as_str()));
    let (what, _) = app.into_iter().chain(names).chain(commands).find(|(_, text)| is_grpc(text))?;
    if h2.is_some() || service.speaks != Speaks::Http {
        return None;
    }
    let message =
        format!("{what} speaks of gRPC, and {} speaks HTTP/1.1 to the app", service.title);
    Some(
        Finding::new("FLY307", Severity::Medium, Confidence::Guess, message)
            .at(facts.source, &service.common.span)
            .so("gRPC needs HTTP/2 up to the app: over HTTP/1.1 every call fails")
            .fix(format!(
                "h2_backend = true under {}, and an app that speaks h2c",
                service.header("http_options")
            )),
    )
}

fn unreachable(facts: &Facts<'_>, service: &Service<'_>) -> Option<Finding> {
    if service.section == "http_service" || !service.ports.is_empty() {
        return None;
    }
    Some(
        Finding::new("FLY309", Severity::High, Confidence::Certain, "a service without ports")
            .at(facts.source, &service.common.span)
            .so("nobody can reach it; flyctl warns, and deploys")
            .fix("add [[services.ports]] with port and handlers"),
    )
}

fn groups(facts: &Facts<'_>, service: &Service<'_>) -> Vec<Finding> {
    let defined = &facts.fly.processes;
    let mut findings = Vec::new();
    if service.common.processes.is_empty() && !defined.is_empty() {
        let only = defined.keys().next().filter(|_| defined.len() == 1);
        let message = match only {
            Some(only) => format!(
                "{} does not say that it belongs to the process group {only:?}",
                service.title
            ),
            None => format!(
                "{} does not say which of {} process groups it belongs to",
                service.title,
                defined.len()
            ),
        };
        findings.push(
            Finding::new("FLY310", Severity::Error, Confidence::Certain, message)
                .at(facts.source, &service.common.span)
                .so("flyctl refuses the file")
                .fix(format!("processes = [{:?}]", only.map_or("…", String::as_str)))
                .edit(only.and_then(|only| {
                    service.edit(&["processes"], Change::Set(format!("[{only:?}]")))
                })),
        );
    }
    for group in &service.common.processes {
        let is_known =
            defined.contains_key(&group.value) || (defined.is_empty() && group.value == "app");
        if !is_known {
            let message = format!(
                "{} belongs to the process group {:?}, which is not in [processes]",
                service.title, group.value
            );
            findings.push(
                Finding::new("FLY310", Severity::Error, Confidence::Certain, message)
                    .at(facts.source, &group.span)
                    .so("flyctl refuses the file")
                    .fix("name a group of [processes], or add it there"),
            );
        }
    }
    findings
}

/// Several TCP services of one machine that take the same kind of work.
fn side_by_side(facts: &Facts<'_>) -> Option<Finding> {
    let same_group = |one: &&Service<'_>, other: &&Service<'_>| {
        let (left, right) = (&one.common.processes, &other.common.processes);
        (left.is_empty() && right.is_empty())
            || left.iter().any(|group| right.iter().any(|name| name.value == group.value))
    };
    let tcp: Vec<_> =
        facts.services.iter().filter(|service| service.speaks != Speaks::Udp).collect();
    let (second, first) = tcp.iter().enumerate().find_map(|(index, service)| {
        tcp[..index].iter().find(|other| same_group(service, other)).map(|other| (service, other))
    })?;
    let limit = |service: &Service<'_>| match service.hard() {
        Some(hard) => format!("{} has a hard limit of {}", service.title, hard.value),
        None => format!("{} has no hard limit", service.title),
    };
    let message =
        format!("{} and {} count on their own, on the same machines", first.title, second.title);
    Some(
        Finding::new("FLY312", Severity::Low, Confidence::Certain, message)
            .at(facts.source, &second.common.span)
            .also(facts.source, &first.common.span, "the other service")
            .so(format!(
                "{}, {}: nothing bounds their sum, which is what the machine's memory has to hold; \
                autostop looks at each",
                limit(first),
                limit(second)
            ))
            .fix(
                "one service if it is one workload; else limits that fit together into one machine",
            ),
    )
}
