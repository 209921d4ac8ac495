//! Health checks, by Fly's rules and in its words.

use std::time::Duration;

use super::services::{FLY_INTERNAL_PORT, HTTP_SERVICE};
use super::{Checker, Fly, Picked};
use crate::diagnostic::Diagnostic;
use crate::duration::format_duration;
use crate::fly::{self, GoDuration};
use crate::health::{HealthCheck, HttpProbe, Probe};
use crate::plan::Service;
use crate::source::Located;

/// Fly documents no defaults. These stand in what `fly launch` has written for years.
const INTERVAL: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(2);
const GRACE: Duration = Duration::from_secs(1);

/// Between these Fly keeps the durations of services' checks.
const SERVICE_MIN: Duration = Duration::from_secs(1);
const SERVICE_MAX: Duration = Duration::from_secs(60);

/// What Fly allows to checks at the top.
const TOP_INTERVAL_MIN: Duration = Duration::from_secs(2);
const TOP_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Whether zero stands for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zero {
    Allowed,
    Raised,
}

impl Checker<'_> {
    /// The checks of a service. `before` counts those of the services before it, for their names.
    pub(super) fn service_checks(
        &mut self,
        written: &[fly::Check],
        port: u16,
        before: &mut usize,
    ) -> Vec<Picked<HealthCheck>> {
        let mut checks = Vec::with_capacity(written.len());
        for check in written {
            let kind = check.kind.as_ref().map_or("http", |kind| &kind.value);
            let name = format!("servicecheck-{before:02}-{kind}-{port}");
            *before += 1;
            let proto = kind.to_uppercase();
            let mut within = |value, default, what, zero| {
                self.within_a_minute(value, default, (&proto, what), zero)
            };
            let (interval, timeout, grace) = (
                within(&check.interval, INTERVAL, "an interval", Zero::Raised),
                within(&check.timeout, TIMEOUT, "a timeout", Zero::Raised),
                within(&check.grace_period, GRACE, "a grace period", Zero::Allowed),
            );
            let origin = self.fly_at(&check.span);
            let Some(probe) = self.probe(check, kind) else { continue };
            let groups = Vec::new();
            let value = HealthCheck { name, port, probe, interval, timeout, grace, groups };
            checks.push(Picked { value, origin });
        }
        checks
    }

    /// Fly changes such durations, and says so.
    fn within_a_minute(
        &mut self,
        written: &Option<Located<GoDuration>>,
        default: Duration,
        (proto, what): (&str, &str),
        zero: Zero,
    ) -> Duration {
        let Some(written) = written else { return default };
        let asked = Duration::from_nanos(u64::try_from(written.value.0).unwrap_or(0));
        let (relation, change, value) = if asked > SERVICE_MAX {
            ("greater than 1 minute", "lowered to 1 minute", SERVICE_MAX)
        } else if asked < SERVICE_MIN && !(written.value.0 == 0 && zero == Zero::Allowed) {
            ("less than 1 second", "raised to 1 second", SERVICE_MIN)
        } else {
            return asked;
        };
        let message = format!(
            "Service {proto} check has {what} {relation} ({}); this will be {change}",
            format_duration(asked)
        );
        let warning = Diagnostic::warning(message).at(self.fly_at(&written.span));
        self.say(warning.hint("write a string with a unit, such as \"15s\""));
        value
    }

    /// `[checks]`.
    pub(super) fn top_checks(&mut self, fly: &Fly, services: &[Service]) -> Vec<HealthCheck> {
        let Some(fly) = fly else { return Vec::new() };
        let mut checks = Vec::new();
        for written in &fly.checks {
            self.check_groups_of_check(fly, written);
            let Some(check) = self.top_check(written, fly, services) else { continue };
            if checks
                .iter()
                .chain(services.iter().flat_map(|one| &one.checks))
                .any(|other: &HealthCheck| other.name == check.name)
            {
                let error = Diagnostic::error(format!("there are two checks named {}", check.name));
                self.say(
                    error.at(self.fly_at(&written.span)).hint("give one of them another name"),
                );
                continue;
            }
            self.show_check(&check, self.fly_at(&written.span));
            checks.push(check);
        }
        checks
    }

    fn top_check(
        &mut self,
        check: &fly::Check,
        fly: &fly::Written,
        services: &[Service],
    ) -> Option<HealthCheck> {
        let name = &check.name;
        let kind = check.kind.as_ref().map_or("", |kind| &kind.value);
        if !matches!(kind, "http" | "tcp") {
            let span = check.kind.as_ref().map_or(&check.span, |kind| &kind.span);
            let message = format!(
                "Can't process top level check '{name}': Missing or invalid check type, must be 'http' or 'tcp'"
            );
            self.say(Diagnostic::error(message).at(self.fly_at(span)));
            return None;
        }
        let port = self.top_port(check, fly, services);
        let [interval, timeout, grace] =
            [(&check.interval, INTERVAL), (&check.timeout, TIMEOUT), (&check.grace_period, GRACE)]
                .map(|(written, default)| self.not_negative(written, default));
        if interval < TOP_INTERVAL_MIN {
            let asked = format_duration(interval);
            let message =
                format!("Check '{name}' interval is too short: {asked}, minimum is 2 seconds");
            self.say(Diagnostic::error(message).at(self.at_duration(&check.interval, check)));
        }
        if timeout > TOP_TIMEOUT_MAX {
            let asked = format_duration(timeout);
            let message =
                format!("Check '{name}' timeout is too long: {asked}, maximum is 60 seconds");
            self.say(Diagnostic::error(message).at(self.at_duration(&check.timeout, check)));
        }
        if timeout.is_zero() {
            let error = Diagnostic::error(format!("Check '{name}' has no time to pass"));
            let at = self.at_duration(&check.timeout, check);
            self.say(error.at(at).hint("write a timeout such as \"2s\""));
        }
        let probe = self.probe(check, kind)?;
        let (name, port) = (name.clone(), port?);
        let groups = check.processes.iter().map(|group| group.value.clone()).collect();
        Some(HealthCheck { name, port, probe, interval, timeout, grace, groups })
    }

    fn at_duration(
        &self,
        written: &Option<Located<GoDuration>>,
        check: &fly::Check,
    ) -> crate::source::Origin {
        self.fly_at(written.as_ref().map_or(&check.span, |written| &written.span))
    }

    fn not_negative(
        &mut self,
        written: &Option<Located<GoDuration>>,
        default: Duration,
    ) -> Duration {
        let Some(written) = written else { return default };
        u64::try_from(written.value.0).map_or_else(
            |_| {
                let error = Diagnostic::error("a duration of a check is negative");
                let at = self.fly_at(&written.span);
                self.say(error.at(at).hint("write one such as \"15s\""));
                default
            },
            Duration::from_nanos,
        )
    }

    /// As written, or that of `http_service`; with `--to` that one stands for the port of the address.
    fn top_port(
        &mut self,
        check: &fly::Check,
        fly: &fly::Written,
        services: &[Service],
    ) -> Option<u16> {
        let name = &check.name;
        let http = services.iter().find(|service| service.name == HTTP_SERVICE);
        if let Some(port) = &check.port {
            let asked = self.port(&format!("checks.{name}.port"), port.value, &port.span)?;
            let written = fly.http_service.as_ref().map(|http| &http.common.internal_port);
            let is_http = written.is_some_and(|written| {
                written.as_ref().map_or(FLY_INTERNAL_PORT.into(), |port| port.value) == port.value
            });
            return Some(http.filter(|_| is_http).map_or(asked, |http| http.internal_port));
        }
        // One that is wrong has been told of where it stands.
        if http.is_none() && fly.http_service.is_none() {
            let message = format!(
                "Check '{name}' has no port set and there is no http_service to take it from"
            );
            let at = self.fly_at(&check.span);
            self.say(Diagnostic::error(message).at(at).hint("write port = 8080"));
        }
        http.map(|http| http.internal_port)
    }

    fn check_groups_of_check(&mut self, fly: &fly::Written, check: &fly::Check) {
        for group in &check.processes {
            let (name, check) = (&group.value, &check.name);
            if !Self::is_group(fly, name) {
                let message = format!(
                    "Check '{check}' specifies '{name}' as one of its processes, but no processes are defined with that name"
                );
                self.say(Diagnostic::error(message).at(self.fly_at(&group.span)));
            }
        }
    }

    fn probe(&mut self, check: &fly::Check, kind: &str) -> Option<Probe> {
        if kind == "tcp" {
            return Some(Probe::Tcp);
        }
        let http = self.http_probe(check)?;
        match check.protocol.as_ref().map(|protocol| (protocol.value.as_str(), protocol)) {
            None | Some(("http" | "", _)) => Some(Probe::Http(http)),
            Some(("https", protocol)) => {
                let warning = "a check by https only connects: TLS to machines is not built yet";
                let hint = "it passes whatever the app answers; \"http\" asks for the path";
                let at = self.fly_at(&protocol.span);
                self.say(Diagnostic::warning(warning).at(at).hint(hint));
                Some(Probe::Tcp)
            }
            Some((other, protocol)) => {
                let error = Diagnostic::error(format!("{other:?} is no protocol of a check"));
                let at = self.fly_at(&protocol.span);
                self.say(error.at(at).hint("write \"http\" or \"https\""));
                None
            }
        }
    }

    fn http_probe(&mut self, check: &fly::Check) -> Option<HttpProbe> {
        let errors = self.errors();
        let text = |written: &Option<Located<String>>| {
            written.as_ref().map(|one| one.value.clone()).filter(|text| !text.is_empty())
        };
        let method = text(&check.method).map_or_else(|| "GET".to_owned(), |one| one.to_uppercase());
        if let Some(written) = check.method.as_ref().filter(|_| !is_token(&method)) {
            let error = Diagnostic::error(format!("{:?} is no method of HTTP", written.value));
            self.say(error.at(self.fly_at(&written.span)).hint("write \"GET\" or \"HEAD\""));
        }
        let path = text(&check.path).unwrap_or_else(|| "/".to_owned());
        let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        if let Some(written) = check.path.as_ref().filter(|_| !is_path) {
            let error = Diagnostic::error(format!("{path:?} is no path of a request"));
            let hint = "begin it with a slash, and encode what is not ASCII: \"/health\"";
            self.say(error.at(self.fly_at(&written.span)).hint(hint));
        }
        for (name, value) in &check.headers {
            let is_value = !value.value.chars().any(|c| c.is_control() && c != '\t');
            if !is_token(name) || !is_value {
                let error = Diagnostic::error(format!("the header {name:?} of a check is none"));
                let hint = "names have no blanks, and values no line ends";
                self.say(error.at(self.fly_at(&value.span)).hint(hint));
            }
        }
        let headers = check.headers.iter().map(|(name, value)| (name.clone(), value.value.clone()));
        let headers = headers.collect();
        (self.errors() == errors).then_some(HttpProbe { method, path, headers })
    }

    /// Once, also where several ports of a service share it.
    pub(super) fn show_check(&mut self, check: &HealthCheck, origin: crate::source::Origin) {
        let key = format!("check.{}", check.name);
        if !self.values.iter().any(|value| value.key == key) {
            self.value(key, check.to_string(), origin);
        }
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_mark = |byte| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_mark(byte))
}
