//! FLY304, FLY308, FLY311 and FLY313: what is written about single ports.

use std::ops::Range;

use outlast_config::fly::Port;

use crate::facts::{Facts, Service, Speaks};
use crate::finding::{Confidence, Finding, Severity};
use crate::fix::{Change, Step};

/// The API's page also has tcp, and files have edge_http, of which nothing is known.
const HANDLERS: &[&str] = &["http", "tls", "pg_tls", "proxy_proto", "tcp", "edge_http"];

pub(super) fn claimed_twice(facts: &Facts<'_>) -> Vec<Finding> {
    let mut claims: Vec<(bool, i64, i64, &Range<usize>, &str)> = Vec::new();
    let mut findings: Vec<Finding> = Vec::new();
    for service in &facts.services {
        let udp = service.speaks == Speaks::Udp;
        let own = &service.common.span;
        let mut ports: Vec<_> = service.ports.iter().filter_map(range).collect();
        if service.section == "http_service" {
            ports = vec![(80, 80, own), (443, 443, own)];
        }
        for (first, last, span) in ports {
            let other =
                claims.iter().find(|claim| claim.0 == udp && claim.1 <= last && first <= claim.2);
            if let Some((_, _, _, other_span, title)) = other {
                let message = format!(
                    "port {} is claimed by {title} already",
                    first.max(other.map_or(0, |claim| claim.1))
                );
                findings.push(
                    Finding::new("FLY304", Severity::High, Confidence::Certain, message)
                        .at(facts.source, span)
                        .also(facts.source, other_span, "the first claim")
                        .so("which of the two sets of limits, checks and handlers holds is not \
                        documented, and flyctl says nothing")
                        .fix("keep one of them"),
                );
            }
            claims.push((udp, first, last, span, &service.title));
        }
    }
    findings
}

fn range(port: &Port) -> Option<(i64, i64, &Range<usize>)> {
    if let Some(port) = &port.port {
        return Some((port.value, port.value, &port.span));
    }
    let (start, end) = (port.start_port.as_ref()?, port.end_port.as_ref()?);
    Some((start.value, end.value, &start.span))
}

pub(super) fn datagrams(facts: &Facts<'_>, service: &Service<'_>) -> Vec<Finding> {
    if service.speaks != Speaks::Udp {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, port) in service.ports.iter().enumerate() {
        if let Some(handler) = port.handlers.first() {
            let remove = service.edit(&["ports"], Change::Remove).map(|mut edit| {
                edit.path.extend([Step::Item(index), Step::Key("handlers")]);
                edit
            });
            findings.push(
                Finding::new(
                    "FLY308",
                    Severity::Error,
                    Confidence::Certain,
                    "a UDP port has no handlers",
                )
                .at(facts.source, &handler.span)
                .so("handlers are about TCP; the deployment is refused")
                .fix("leave handlers out")
                .edit(remove),
            );
        }
        let (Some(outer), Some(inner)) = (&port.port, &service.common.internal_port) else {
            continue;
        };
        if outer.value != inner.value {
            let message = format!(
                "UDP port {} leads to {}, and datagrams keep their port",
                outer.value, inner.value
            );
            findings.push(
                Finding::new("FLY308", Severity::Error, Confidence::Certain, message)
                    .at(facts.source, &outer.span)
                    .also(facts.source, &inner.span, "where the app listens")
                    .so("the app receives nothing")
                    .fix("the same number for both, and an app bound to fly-global-services"),
            );
        }
    }
    findings
}

pub(super) fn numbers(facts: &Facts<'_>, port: &Port) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut say = |span: &Range<usize>, message: String, fix: &str| {
        let finding = Finding::new("FLY311", Severity::Error, Confidence::Certain, message);
        findings.push(
            finding
                .at(facts.source, span)
                .so("flyctl lets it pass, and the deployment fails at the API")
                .fix(fix),
        );
    };
    for written in [&port.port, &port.start_port, &port.end_port].into_iter().flatten() {
        if !(1..=65535).contains(&written.value) {
            say(&written.span, format!("{} is no port", written.value), "ports are 1 to 65535");
        }
    }
    match (&port.port, &port.start_port, &port.end_port) {
        (Some(_), Some(other), _) | (Some(_), None, Some(other)) => {
            say(&other.span, "a port together with a range".to_owned(), "keep one of them");
        }
        (None, Some(start), Some(end)) if start.value > end.value => {
            say(
                &start.span,
                format!("the range from {} to {} is empty", start.value, end.value),
                "the lower one first",
            );
        }
        (None, Some(one), None) | (None, None, Some(one)) => {
            say(
                &one.span,
                "half a range of ports".to_owned(),
                "write start_port and end_port, or port",
            );
        }
        _ => {}
    }
    findings
}

pub(super) fn handlers(facts: &Facts<'_>, port: &Port) -> Vec<Finding> {
    let unknown =
        port.handlers.iter().filter(|handler| !HANDLERS.contains(&handler.value.as_str()));
    let finding = |handler: &outlast_config::Located<String>| {
        let fix = match handler.value.to_ascii_lowercase().as_str() {
            "https" => "[\"tls\", \"http\"] is what https is".to_owned(),
            _ => "write some of http, tls, pg_tls and proxy_proto".to_owned(),
        };
        Finding::new(
            "FLY313",
            Severity::Error,
            Confidence::Certain,
            format!("there is no handler {:?}", handler.value),
        )
        .at(facts.source, &handler.span)
        .so("flyctl lets it pass, and the deployment fails at the API")
        .fix(fix)
    };
    unknown.map(finding).collect()
}

/// Whether a handler has a name that does not exist. Which one was meant is not for other rules to guess.
pub(super) fn is_misnamed(service: &Service<'_>) -> bool {
    let mut handlers = service.ports.iter().flat_map(|port| &port.handlers);
    handlers.any(|handler| !HANDLERS.contains(&handler.value.as_str()))
}
