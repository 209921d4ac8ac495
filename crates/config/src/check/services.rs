//! Which services are served, and where they listen.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::limits::{Base, Overrides};
use super::routes::Layers;
use super::{Checker, Fly, Picked};
use crate::diagnostic::Diagnostic;
use crate::fly;
use crate::health::HealthCheck;
use crate::plan::{Service, ServiceKind};
use crate::source::{Located, Origin};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The name of `http_service`, and of the one service without a `fly.toml`.
pub(super) const HTTP_SERVICE: &str = "http";

/// Where that service listens by default.
const HTTP_PORT: u16 = 8080;

/// Where the desktop listens in its machine when there is no `fly.toml`.
const DESKTOP_PORT: u16 = 8081;

/// Where Fly's HTTP services listen in their machines when nothing is written.
pub(super) const FLY_INTERNAL_PORT: u16 = 8080;

/// Ports below 1024 belong to root. 80 and 443 thus become 8080 and 8443, as people expect.
const PRIVILEGED_SHIFT: u16 = 8000;
const PRIVILEGED_END: u16 = 1024;

/// How far a hint moves a port away from a collision.
const HINT_SHIFT: u16 = 10_000;

/// The ports on which Fly itself serves `http_service`.
const FLY_HTTP_PORTS: [u16; 2] = [80, 443];

/// A service on its way into the plan.
struct Draft<'a> {
    name: String,
    kind: ServiceKind,
    /// The port of `[[services.ports]]`; `http_service` has none of its own.
    public: Option<u16>,
    listen: Picked<SocketAddr>,
    internal_port: Picked<u16>,
    base: Base<'a>,
    groups: Vec<Located<String>>,
    options: Option<&'a fly::HttpOptions>,
    checks: Vec<Picked<HealthCheck>>,
    /// Where it is written.
    at: Origin,
}

impl Draft<'_> {
    fn title(&self) -> String {
        self.public
            .map_or_else(|| "http_service".to_owned(), |port| format!("services port {port}"))
    }
}

impl Checker<'_> {
    pub(super) fn services(&mut self, fly: &Fly, layers: &Layers) -> Vec<Service> {
        let errors = self.errors();
        let mut drafts = match fly {
            Some(fly) => self.drafts(fly),
            None => vec![own_draft()],
        };
        let http = drafts.iter().position(|draft| draft.kind == ServiceKind::Http);
        if let Some(index) = http {
            let first = drafts.remove(index);
            drafts.insert(0, first);
        }
        let names: Vec<_> = drafts.iter().map(|draft| (draft.name.clone(), draft.kind)).collect();
        self.check_routes(layers, &names);
        if let Some(address) = self.sources.flags.to.first().copied() {
            drafts = self.first_http_only(drafts, address);
        } else if drafts.is_empty() && self.errors() == errors {
            let error = Diagnostic::error("nothing to serve: fly.toml has no service for us");
            let hint = "add [http_service] with its internal_port, or name a running app by --to HOST:PORT";
            self.say(error.hint(hint));
        }
        self.move_ports(&mut drafts);
        let mut overrides = self.override_first(&mut drafts);
        self.note_shifted(&drafts);
        self.find_collisions(&drafts);
        let finish = |draft| self.finish(draft, overrides.take().unwrap_or_default(), layers);
        drafts.into_iter().map(finish).collect()
    }

    /// Flags and variables are for the first HTTP service. What they say of its limits is left to [`Self::limits`].
    fn override_first(&mut self, drafts: &mut [Draft<'_>]) -> Option<Overrides> {
        let overrides = self.overrides();
        let listen = self.pick_flag("OUTLAST_LISTEN", self.sources.flags.listen);
        match drafts.first_mut() {
            Some(first) if first.kind == ServiceKind::Http => {
                if let Some(listen) = listen {
                    first.listen = listen;
                }
                return Some(overrides);
            }
            // That nothing is served has been said.
            None => {}
            Some(_) => self.refuse_overrides(listen.map(|listen| listen.origin), overrides),
        }
        None
    }

    fn drafts<'f>(&mut self, fly: &'f fly::Written) -> Vec<Draft<'f>> {
        let mut drafts = Vec::new();
        let mut checks = 0;
        if let Some(http) = &fly.http_service {
            drafts.extend(self.http_draft(http, &mut checks));
        }
        for service in &fly.services {
            self.check_groups(fly, &service.common);
            let before = drafts.len();
            drafts.extend(self.service_drafts(service, &mut checks));
            let limited = service.common.concurrency.is_some();
            if limited && drafts.len() > before + 1 {
                let note = Diagnostic::note("each port of this service is limited on its own here");
                let note = note.hint("on Fly all ports of a service share its limits");
                self.say(note.at(self.fly_at(&service.common.span)));
            }
        }
        if let Some(http) = &fly.http_service {
            self.check_groups(fly, &http.common);
            self.warn_claimed_twice(&drafts);
        }
        drafts
    }

    fn http_draft<'f>(
        &mut self,
        http: &'f fly::HttpService,
        checks: &mut usize,
    ) -> Option<Draft<'f>> {
        let common = &http.common;
        let written = common.internal_port.as_ref().filter(|port| port.value != 0);
        let internal_port = match written {
            Some(port) => Picked {
                value: self.port("http_service.internal_port", port.value, &port.span)?,
                origin: self.fly_at(&port.span),
            },
            None => {
                let note = format!(
                    "http_service has no internal_port; {FLY_INTERNAL_PORT} it is, as Fly documents"
                );
                self.say(Diagnostic::note(note).at(self.fly_at(&common.span)));
                Picked { value: FLY_INTERNAL_PORT, origin: Origin::Default }
            }
        };
        let listen = SocketAddr::new(LOOPBACK, HTTP_PORT);
        let checks = self.service_checks(&http.checks, internal_port.value, checks);
        Some(Draft {
            name: HTTP_SERVICE.to_owned(),
            kind: ServiceKind::Http,
            public: None,
            listen: Picked { value: listen, origin: Origin::Default },
            internal_port,
            base: Base::Fly(common.concurrency.as_ref()),
            groups: common.processes.clone(),
            options: http.http_options.as_ref(),
            checks,
            at: self.fly_at(&common.span),
        })
    }

    fn service_drafts<'f>(
        &mut self,
        service: &'f fly::Service,
        checks: &mut usize,
    ) -> Vec<Draft<'f>> {
        let at = self.fly_at(&service.common.span);
        let protocol = service.protocol.as_ref();
        match protocol.map_or("", |protocol| &protocol.value) {
            "tcp" | "" => {}
            "udp" => {
                let note = "a UDP service is not served: only TCP passes through here";
                self.say(Diagnostic::note(note).at(at));
                return Vec::new();
            }
            other => {
                let span =
                    protocol.map_or_else(|| service.common.span.clone(), |one| one.span.clone());
                let error = Diagnostic::error(format!("{other:?} is no protocol of a service"));
                self.say(error.at(self.fly_at(&span)).hint("write \"tcp\" or \"udp\""));
                return Vec::new();
            }
        }
        if service.ports.is_empty() {
            let warning = "a service without ports is not reachable, and not served";
            self.say(
                Diagnostic::warning(warning).at(at).hint("add [[services.ports]] with its port"),
            );
            return Vec::new();
        }
        let Some(internal_port) = self.internal_port(&service.common) else { return Vec::new() };
        let checks = self.service_checks(&service.checks, internal_port.value, checks);
        let draft = |port| {
            let draft = self.port_draft(service, port, internal_port.clone())?;
            Some(Draft { checks: checks.clone(), ..draft })
        };
        service.ports.iter().filter_map(draft).collect()
    }

    fn internal_port(&mut self, common: &fly::Common) -> Option<Picked<u16>> {
        let Some(written) = &common.internal_port else {
            let error = Diagnostic::error("a service has no internal_port");
            let hint = "write the port on which the app listens in its machine";
            self.say(error.at(self.fly_at(&common.span)).hint(hint));
            return None;
        };
        let value = self.port("services.internal_port", written.value, &written.span)?;
        Some(Picked { value, origin: self.fly_at(&written.span) })
    }

    fn port_draft<'f>(
        &mut self,
        service: &'f fly::Service,
        port: &'f fly::Port,
        internal_port: Picked<u16>,
    ) -> Option<Draft<'f>> {
        let range = port.start_port.as_ref().or(port.end_port.as_ref());
        if let Some(range) = range {
            let note = Diagnostic::note("a range of ports is not served");
            self.say(note.at(self.fly_at(&range.span)).hint("name single ports by `port`"));
        }
        let Some(written) = &port.port else {
            if range.is_none() {
                let warning =
                    Diagnostic::warning("[[services.ports]] without a port is not served");
                self.say(warning.at(self.fly_at(&port.span)).hint("write port = 3001"));
            }
            return None;
        };
        let public = self.port("services.ports.port", written.value, &written.span)?;
        let origin = self.fly_at(&written.span);
        let kind = self.kind(&port.handlers);
        let prefix = if kind == ServiceKind::Http { "http" } else { "tcp" };
        let local = if public < PRIVILEGED_END { public + PRIVILEGED_SHIFT } else { public };
        Some(Draft {
            name: format!("{prefix}-{public}"),
            kind,
            public: Some(public),
            listen: Picked { value: SocketAddr::new(LOOPBACK, local), origin: origin.clone() },
            internal_port,
            base: Base::Fly(service.common.concurrency.as_ref()),
            groups: service.common.processes.clone(),
            options: port.http_options.as_ref().filter(|_| kind == ServiceKind::Http),
            checks: Vec::new(),
            at: origin,
        })
    }

    fn kind(&mut self, handlers: &[Located<String>]) -> ServiceKind {
        const KNOWN: [&str; 5] = ["http", "tls", "pg_tls", "proxy_proto", "tcp"];
        for handler in handlers.iter().filter(|handler| !KNOWN.contains(&handler.value.as_str())) {
            let warning =
                Diagnostic::warning(format!("the handler {:?} is not known", handler.value));
            let hint = "the handlers are http, tls, pg_tls and proxy_proto";
            self.say(warning.at(self.fly_at(&handler.span)).hint(hint));
        }
        if handlers.iter().any(|handler| handler.value == "http") {
            ServiceKind::Http
        } else {
            ServiceKind::Tcp
        }
    }

    /// With `--to` there is one service, at the address given.
    fn first_http_only<'f>(&mut self, drafts: Vec<Draft<'f>>, to: SocketAddr) -> Vec<Draft<'f>> {
        let (mut kept, mut dropped) = (Vec::new(), Vec::new());
        for draft in drafts {
            if kept.is_empty() && draft.kind == ServiceKind::Http {
                kept.push(draft);
            } else {
                dropped.push(draft);
            }
        }
        if let Some(first) = dropped.first() {
            let names: Vec<_> = dropped.iter().map(|draft| draft.name.as_str()).collect();
            let note = format!(
                "--to serves the first HTTP service only, so these are not served: {}",
                names.join(", ")
            );
            self.say(Diagnostic::note(note).at(first.at.clone()));
        }
        let mut draft = kept.pop().unwrap_or_else(own_draft);
        draft.internal_port = Picked { value: to.port(), origin: Origin::Flag("--to") };
        for check in &mut draft.checks {
            check.value.port = to.port();
        }
        // Groups are of local machines.
        draft.groups.clear();
        vec![draft]
    }

    /// `--port`.
    fn move_ports(&mut self, drafts: &mut [Draft<'_>]) {
        for (public, local) in &self.sources.flags.ports {
            let mut found = false;
            for draft in drafts.iter_mut().filter(|draft| draft.public == Some(*public)) {
                draft.listen.value.set_port(*local);
                draft.listen.origin = Origin::Flag("--port");
                found = true;
            }
            if !found {
                let ports: Vec<_> = drafts.iter().filter_map(|draft| draft.public).collect();
                let hint = match ports.as_slice() {
                    [] => "use --listen to move the HTTP service".to_owned(),
                    _ => format!("the public ports are {ports:?}; --listen moves http_service"),
                };
                let error = Diagnostic::error(format!("no service has the public port {public}"));
                self.say(error.at(Origin::Flag("--port")).hint(hint));
            }
        }
    }

    /// Says which ports were shifted and stayed so.
    fn note_shifted(&mut self, drafts: &[Draft<'_>]) {
        for draft in drafts {
            let Some(public) = draft.public.filter(|public| *public < PRIVILEGED_END) else {
                continue;
            };
            if draft.listen.origin == draft.at {
                let listen = draft.listen.value;
                let note =
                    format!("port {public} is served on {listen}: ports below 1024 are root's");
                let hint = format!("--port {public}={public} serves it there all the same");
                self.say(Diagnostic::note(note).at(draft.at.clone()).hint(hint));
            }
        }
    }

    fn find_collisions(&mut self, drafts: &[Draft<'_>]) {
        for (index, second) in drafts.iter().enumerate() {
            let same = |first: &&Draft<'_>| overlap(first.listen.value, second.listen.value);
            let Some(first) = drafts[..index].iter().find(same) else { continue };
            let address = second.listen.value;
            let message =
                format!("{} and {} both listen on {address}", first.title(), second.title());
            let port = address.port();
            let free = port.checked_add(HINT_SHIFT).unwrap_or_else(|| port - HINT_SHIFT);
            let hint = match (first.public, second.public) {
                (Some(a), Some(b)) if a == b => {
                    "keep one of them in fly.toml; on Fly it is undefined which one wins".to_owned()
                }
                (_, Some(public)) | (Some(public), None) => {
                    format!("move one of them: --port {public}={free}")
                }
                (None, None) => "move one of them by --listen".to_owned(),
            };
            let error = Diagnostic::error(message).at(second.at.clone()).label(second.title());
            self.say(error.also(first.at.clone(), first.title()).hint(hint));
        }
    }

    /// On Fly `http_service` has the ports 80 and 443. Here it has another, so that the clash would go unnoticed.
    fn warn_claimed_twice(&mut self, drafts: &[Draft<'_>]) {
        let Some(http) = drafts.iter().find(|draft| draft.public.is_none()) else { return };
        for draft in drafts {
            let Some(public) = draft.public.filter(|port| FLY_HTTP_PORTS.contains(port)) else {
                continue;
            };
            let warning = format!("http_service has port {public} on Fly already");
            let warning = Diagnostic::warning(warning).at(draft.at.clone());
            let warning = warning.also(http.at.clone(), http.title());
            self.say(warning.hint("keep one of them; on Fly it is undefined which one wins"));
        }
    }

    fn finish(&mut self, draft: Draft<'_>, overrides: Overrides, layers: &Layers) -> Service {
        let Draft { name, kind, listen, internal_port, base, groups, options, checks, .. } = draft;
        self.value(format!("service.{name}.listen"), listen.value.to_string(), listen.origin);
        let port = internal_port.value.to_string();
        self.value(format!("service.{name}.internal_port"), port, internal_port.origin);
        let limits = self.limits(&name, kind, base, overrides);
        let groups = groups.into_iter().map(|group| group.value).collect();
        let (listen, internal_port) = (listen.value, internal_port.value);
        let (clocks, routes) = self.routes(&name, kind, options, layers);
        for check in &checks {
            self.show_check(&check.value, check.origin.clone());
        }
        let checks = checks.into_iter().map(|check| check.value).collect();
        Service { name, kind, listen, internal_port, limits, groups, clocks, routes, checks }
    }
}

/// The one service without a `fly.toml`.
fn own_draft<'a>() -> Draft<'a> {
    let listen = SocketAddr::new(LOOPBACK, HTTP_PORT);
    Draft {
        name: HTTP_SERVICE.to_owned(),
        kind: ServiceKind::Http,
        public: None,
        listen: Picked { value: listen, origin: Origin::Default },
        internal_port: Picked { value: DESKTOP_PORT, origin: Origin::Default },
        base: Base::Own,
        groups: Vec::new(),
        options: None,
        checks: Vec::new(),
        at: Origin::Default,
    }
}

/// Whether two listeners are in each other's way. Port 0 is a new port each time.
pub(super) fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let any = |address: SocketAddr| address.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || any(a) || any(b))
}
