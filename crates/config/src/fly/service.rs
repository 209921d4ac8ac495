//! `[http_service]`, `[[services]]` and what is under them.

use toml::de::DeValue;

use super::schema::{self, conform, count};
use super::{
    AutoStop, Common, Concurrency, Feature, HttpOptions, HttpService, Port, Service, checks,
};
use crate::diagnostic::Diagnostic;
use crate::read::{Field, Section, kind_name, truncated};
use crate::source::Located;

/// What is collected on the way: parts that are not acted on yet.
type Idle = Vec<Located<Feature>>;

/// `http_service` takes no numbers in quotes, `services` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ports {
    Strict,
    Patched,
}

pub(super) fn read_http_service(field: &Field<'_>, idle: &mut Idle) -> Option<HttpService> {
    let mut section = field.table()?;
    let common = read_common(&mut section, Ports::Strict, idle);
    let force_https = read_force_https(&mut section, idle);
    let http_options = read_http_options(&mut section, idle);
    let checked = [
        ("tls_options", schema::TLS, Feature::TlsOptions),
        ("machine_checks", schema::MACHINE_CHECKS, Feature::MachineChecks),
    ];
    read_checked(&mut section, &checked, idle);
    let checks = section.take("checks");
    let checks = checks.map(|field| checks::http_service(&field)).unwrap_or_default();
    section.finish();
    Some(HttpService { checks, common, force_https, http_options })
}

pub(super) fn read_services(field: &Field<'_>, idle: &mut Idle) -> Vec<Service> {
    let sections = field.tables_or_table().into_iter();
    sections
        .filter(|section| !section.table.is_empty())
        .map(|section| read_service(section, idle))
        .collect()
}

fn read_service(mut section: Section<'_>, idle: &mut Idle) -> Service {
    let common = read_common(&mut section, Ports::Patched, idle);
    let protocol = section.take("protocol").and_then(|field| field.text());
    let ports = section.take("ports").map(|field| field.tables_or_table()).unwrap_or_default();
    let ports = ports.into_iter().map(|port| read_port(port, idle)).collect();
    let checked = [("machine_checks", schema::MACHINE_CHECKS, Feature::MachineChecks)];
    read_checked(&mut section, &checked, idle);
    let mut checks = Vec::new();
    for (key, kind) in [("tcp_checks", "tcp"), ("http_checks", "http")] {
        let field = section.take(key);
        checks.extend(field.map(|field| checks::services(&field, kind)).unwrap_or_default());
    }
    section.finish();
    Service { common, protocol, ports, checks }
}

fn read_checked(
    section: &mut Section<'_>,
    keys: &[(&'static str, schema::Shape, Feature)],
    idle: &mut Idle,
) {
    for (key, shape, feature) in keys {
        let Some(field) = section.take(key) else { continue };
        conform(&field, *shape);
        // An empty list, which old tools wrote, asks for nothing.
        if !matches!(field.value, DeValue::Array(items) if items.is_empty()) {
            idle.push(Located::new(*feature, field.key_span));
        }
    }
}

fn read_common(section: &mut Section<'_>, ports: Ports, idle: &mut Idle) -> Common {
    let mut common = Common { span: section.span.clone(), ..Common::default() };
    common.internal_port =
        section.take("internal_port").and_then(|field| port_number(&field, ports));
    if let Some(field) = section.take("auto_stop_machines") {
        common.auto_stop_machines = read_auto_stop(&field);
        let stops =
            common.auto_stop_machines.as_ref().is_some_and(|stop| stop.value != AutoStop::Off);
        if stops {
            idle.push(Located::new(Feature::AutoStop, field.key_span));
        }
    }
    common.auto_start_machines =
        section.take("auto_start_machines").and_then(|field| field.boolean());
    common.min_machines_running =
        section.take("min_machines_running").and_then(|field| field.integer());
    common.processes =
        section.take("processes").and_then(|field| field.texts()).unwrap_or_default();
    common.concurrency =
        section.take("concurrency").and_then(|field| read_concurrency(&field, ports));
    common
}

/// A port number; under `services` also as a string or cut from a float.
fn port_number(field: &Field<'_>, ports: Ports) -> Option<Located<i64>> {
    match (ports, field.value) {
        (Ports::Patched, DeValue::String(text)) => match text.parse() {
            Ok(number) => Some(field.locate(number)),
            Err(_) => {
                let message = format!("`{}`: {text:?} is not a port", field.path);
                field.say(Diagnostic::error(message).hint("write a number from 1 to 65535"));
                None
            }
        },
        (Ports::Patched, DeValue::Float(float)) => {
            let number = float.as_str().parse().ok().and_then(truncated);
            number.map(|number| field.locate(number)).or_else(|| field.integer())
        }
        _ => field.integer(),
    }
}

fn read_auto_stop(field: &Field<'_>) -> Option<Located<AutoStop>> {
    const ALLOWED: &str = "write \"off\", \"stop\" or \"suspend\"";
    let value = match field.value {
        DeValue::Boolean(false) => AutoStop::Off,
        DeValue::Boolean(true) => AutoStop::Stop,
        DeValue::String(text) => match &**text {
            "off" => AutoStop::Off,
            "stop" => AutoStop::Stop,
            "suspend" => AutoStop::Suspend,
            _ => {
                let message = format!("`{}`: invalid autostop string value {text:?}", field.path);
                field.say(Diagnostic::error(message).hint(ALLOWED));
                return None;
            }
        },
        _ => {
            let message = format!("`{}`: autostop value is not a valid bool or string", field.path);
            field.say(Diagnostic::error(message).hint(ALLOWED));
            return None;
        }
    };
    Some(field.locate(value))
}

fn read_concurrency(field: &Field<'_>, ports: Ports) -> Option<Concurrency> {
    let mut section = match (ports, field.value) {
        (_, DeValue::Table(_)) => field.table()?,
        (Ports::Patched, DeValue::String(text)) => return old_concurrency(field, text),
        (Ports::Patched, value) => {
            let message = format!(
                "`{}`: unknown type for service concurrency: {}",
                field.path,
                kind_name(value)
            );
            let hint = format!("write a section [{}] with soft_limit and hard_limit", field.path);
            field.say(Diagnostic::error(message).hint(hint));
            return None;
        }
        (Ports::Strict, _) => field.table()?,
    };
    let mut concurrency = Concurrency { span: section.span.clone(), ..Concurrency::default() };
    concurrency.kind = section.take("type").and_then(|field| field.text());
    concurrency.hard_limit = section.take("hard_limit").and_then(|field| field.integer());
    concurrency.soft_limit = section.take("soft_limit").and_then(|field| field.integer());
    section.finish();
    Some(concurrency)
}

/// The old form `"20,25"`: soft, hard, and requests are counted.
fn old_concurrency(field: &Field<'_>, text: &str) -> Option<Concurrency> {
    let limits = text.split_once(',').map(|(soft, hard)| (soft.parse(), hard.parse()));
    let Some((Ok(soft), Ok(hard))) = limits else {
        let message = format!("`{}`: unknown value '{text}' for concurrency limits", field.path);
        field.say(Diagnostic::error(message).hint("write soft and hard limit, such as \"20,25\""));
        return None;
    };
    Some(Concurrency {
        span: field.span.clone(),
        kind: Some(field.locate("requests".to_owned())),
        hard_limit: Some(field.locate(hard)),
        soft_limit: Some(field.locate(soft)),
    })
}

fn read_port(mut section: Section<'_>, idle: &mut Idle) -> Port {
    let mut port = Port { span: section.span.clone(), ..Port::default() };
    port.port = section.take("port").and_then(|field| port_number(&field, Ports::Patched));
    port.start_port = section.take("start_port").and_then(|field| field.integer());
    port.end_port = section.take("end_port").and_then(|field| field.integer());
    port.handlers = section.take("handlers").and_then(|field| field.texts()).unwrap_or_default();
    for handler in &port.handlers {
        let feature = match handler.value.as_str() {
            "tls" => Feature::Tls,
            "pg_tls" | "proxy_proto" => Feature::PortHandlers,
            _ => continue,
        };
        idle.push(Located::new(feature, handler.span.clone()));
    }
    port.force_https = read_force_https(&mut section, idle);
    port.http_options = read_http_options(&mut section, idle);
    let checked = [
        ("tls_options", schema::TLS, Feature::TlsOptions),
        ("proxy_proto_options", schema::PROXY_PROTO_OPTIONS, Feature::PortHandlers),
    ];
    read_checked(&mut section, &checked, idle);
    section.finish();
    port
}

fn read_force_https(section: &mut Section<'_>, idle: &mut Idle) -> Option<Located<bool>> {
    let field = section.take("force_https")?;
    let value = field.boolean()?;
    if value.value {
        idle.push(Located::new(Feature::ForceHttps, field.key_span));
    }
    Some(value)
}

fn read_http_options(section: &mut Section<'_>, idle: &mut Idle) -> Option<HttpOptions> {
    let field = section.take("http_options")?;
    let mut section = field.table()?;
    let mut idle_at = |span| idle.push(Located::new(Feature::HttpOptions, span));
    let mut wish = |section: &mut Section<'_>, key| {
        let field = section.take(key)?;
        let wish = field.boolean()?;
        if wish.value {
            idle_at(field.key_span);
        }
        Some(wish)
    };
    let mut options = HttpOptions {
        idle_timeout: section.take("idle_timeout").and_then(|field| count(&field)),
        headers_read_timeout: section.take("headers_read_timeout").and_then(|field| count(&field)),
        h2_backend: wish(&mut section, "h2_backend"),
        compress: wish(&mut section, "compress"),
        ..HttpOptions::default()
    };
    if let Some(field) = section.take("response") {
        conform(&field, schema::RESPONSES);
        if let (true, Some(mut response)) = (field.is_table(), field.table()) {
            options.pristine = response.take("pristine").and_then(|field| field.boolean());
        }
        idle_at(field.key_span);
    }
    if let Some(field) = section.take("replay_cache") {
        conform(&field, schema::REPLAY_CACHES);
        options.replay_cache = Some(field.key_span.clone());
        idle_at(field.key_span);
    }
    section.finish();
    Some(options)
}
