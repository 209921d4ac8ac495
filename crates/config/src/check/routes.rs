//! Clocks and routes: what holds for which exchanges of a service.

use std::time::Duration;

use super::{Checker, Picked};
use crate::diagnostic::Diagnostic;
use crate::duration::format_duration;
use crate::fly::HttpOptions;
use crate::outlast;
use crate::plan::ServiceKind;
use crate::read::{listed, nearest};
use crate::route::{ConnectionClocks, Route, RouteClocks, RouteSettings, Routes};
use crate::setting::Setting;
use crate::source::{Located, Origin};

/// More often a sign of life tells nothing, and costs what a chunk does.
const HEARTBEAT_MIN: Duration = Duration::from_secs(1);

/// Nothing of an exchange is over so soon, and a clock that goes off all the time is work for nothing.
const CLOCK_MIN: Duration = Duration::from_millis(10);

/// What `outlast.toml` says of clocks and routes, for whatever services there are.
#[derive(Debug, Clone)]
pub(super) struct Layers {
    pub(super) connect: Duration,
    pub(super) head: Picked<Duration>,
    pub(super) keep_alive: Duration,
    pub(super) response_head: Duration,
    pub(super) chunk_gap: Picked<Duration>,
    pub(super) lifetime: Duration,
    pub(super) write_stall: Duration,
    pub(super) routes: Vec<outlast::Route>,
}

impl Checker<'_> {
    /// What holds for the exchanges of a service.
    pub(super) fn routes(
        &mut self,
        name: &str,
        kind: ServiceKind,
        options: Option<&HttpOptions>,
        layers: &Layers,
    ) -> (ConnectionClocks, Routes) {
        let seconds = |written: Option<&Located<u64>>| {
            let written = written.filter(|seconds| seconds.value > 0)?;
            Some(Located::new(Duration::from_secs(written.value), written.span.clone()))
        };
        let head = seconds(options.and_then(|options| options.headers_read_timeout.as_ref()));
        let chunk_gap = seconds(options.and_then(|options| options.idle_timeout.as_ref()));
        let mut connection = ConnectionClocks {
            head: self.or_fly(name, "head", &layers.head, head),
            keep_alive: layers.keep_alive,
        };
        let mut rest = RouteSettings {
            clocks: RouteClocks {
                connect: layers.connect,
                response_head: on(layers.response_head),
                chunk_gap: on(self.or_fly(name, "chunk_gap", &layers.chunk_gap, chunk_gap)),
                lifetime: on(layers.lifetime),
                write_stall: on(layers.write_stall),
            },
            ..RouteSettings::default()
        };
        let mut routes = Vec::new();
        for written in layers.routes.iter().filter(|route| is_about(route, name)) {
            if kind == ServiceKind::Tcp && written.path.is_some() {
                continue;
            }
            if written.path.is_none() {
                let clocks = &written.clocks;
                connection.head = value(clocks.head.as_ref(), connection.head);
                connection.keep_alive = value(clocks.keep_alive.as_ref(), connection.keep_alive);
            }
            let settings = overlaid(&rest, written);
            let path = written.path.as_ref().map(|path| path.value.clone());
            let is_for_all = path.is_none();
            match kind {
                ServiceKind::Http => routes.push(Route { path, settings }),
                ServiceKind::Tcp => rest = settings,
            }
            // No later one counts.
            if is_for_all {
                break;
            }
        }
        (connection, Routes { routes, rest })
    }

    /// A clock that a service of `fly.toml` may have set, unless a higher layer has.
    fn or_fly(
        &mut self,
        service: &str,
        clock: &str,
        ours: &Picked<Duration>,
        fly: Option<Located<Duration>>,
    ) -> Duration {
        match fly {
            Some(fly) if ours.origin == Origin::Default => {
                let origin = self.fly_at(&fly.span);
                self.value(format!("service.{service}.clocks.{clock}"), fly.value.show(), origin);
                fly.value
            }
            _ => ours.value,
        }
    }

    /// Says what is wrong with routes, whatever service they are about.
    pub(super) fn check_routes(&mut self, layers: &Layers, services: &[(String, ServiceKind)]) {
        for (index, route) in layers.routes.iter().enumerate() {
            self.check_route_service(route, services);
            self.check_route_clocks(route);
            let shadow = layers.routes[..index].iter().find(|earlier| is_shadow(earlier, route));
            if let Some(earlier) = shadow {
                let warning = Diagnostic::warning("this route never matches: an earlier one does");
                let warning = warning.at(self.outlast_at(&route.span)).label("this one");
                let warning = warning.also(self.outlast_at(&earlier.span), "matches first, whole");
                self.say(warning.hint("put the more special one first"));
            }
            self.show_route(index + 1, route);
        }
    }

    fn check_route_service(&mut self, route: &outlast::Route, services: &[(String, ServiceKind)]) {
        let Some(service) = &route.service else { return };
        let at = self.outlast_at(&service.span);
        let Some((_, kind)) = services.iter().find(|(name, _)| *name == service.value) else {
            let names: Vec<_> = services.iter().map(|(name, _)| name.as_str()).collect();
            let error = Diagnostic::error(format!("no service is called {:?}", service.value));
            let hint = match nearest(&service.value, &names) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("the services are {}", listed(&names)),
            };
            self.say(error.at(at).hint(hint));
            return;
        };
        if let (ServiceKind::Tcp, Some(path)) = (kind, &route.path) {
            let error =
                Diagnostic::error(format!("{:?} is raw TCP and has no paths", service.value));
            let error = error.at(self.outlast_at(&path.span));
            self.say(error.hint("remove `path`: the route then holds for the whole service"));
        }
    }

    /// Refuses a clock of exchanges that is on and too short to be meant.
    pub(super) fn check_clock(&mut self, key: &str, clock: Duration, origin: Origin) {
        if clock.is_zero() || clock >= CLOCK_MIN {
            return;
        }
        let least = format_duration(CLOCK_MIN);
        let error = Diagnostic::error(format!("`{key}` is shorter than {least}")).at(origin);
        self.say(error.hint("\"0s\" turns it off; what is alive may need seconds"));
    }

    fn check_route_clocks(&mut self, route: &outlast::Route) {
        for (name, clock) in [("connect", &route.clocks.connect), ("head", &route.clocks.head)] {
            let Some(clock) = clock.as_ref().filter(|clock| clock.value.is_zero()) else {
                continue;
            };
            let error = format!("`route.clocks.{name}` is zero, and nothing happens in no time");
            let error = Diagnostic::error(error).at(self.outlast_at(&clock.span));
            self.say(error.hint("remove it: `[clocks]` then holds"));
        }
        for (name, clock) in [
            ("response_head", &route.clocks.response_head),
            ("chunk_gap", &route.clocks.chunk_gap),
            ("lifetime", &route.clocks.lifetime),
            ("write_stall", &route.clocks.write_stall),
        ] {
            let Some(clock) = clock else { continue };
            let origin = self.outlast_at(&clock.span);
            self.check_clock(&format!("route.clocks.{name}"), clock.value, origin);
        }
        if let Some(beat) = &route.heartbeat
            && !beat.value.is_zero()
            && beat.value < HEARTBEAT_MIN
        {
            let error = Diagnostic::error("`route.heartbeat` is shorter than a second");
            let error = error.at(self.outlast_at(&beat.span));
            self.say(
                error.hint("15 s are usual; nothing between here and a client waits for less"),
            );
        }
        if route.path.is_none() {
            return;
        }
        for (name, clock) in
            [("head", &route.clocks.head), ("keep_alive", &route.clocks.keep_alive)]
        {
            let Some(clock) = clock else { continue };
            let error = format!("`route.clocks.{name}` runs before there is a path");
            let error = Diagnostic::error(error).at(self.outlast_at(&clock.span));
            self.say(
                error.hint(format!("set it in a route without `path`, or as `clocks.{name}`")),
            );
        }
    }

    /// The values of a route, for `outlast check --print`.
    fn show_route(&mut self, number: usize, route: &outlast::Route) {
        let service = route.service.as_ref();
        let service = service.map(|one| (format!("{:?}", one.value), one.span.clone()));
        let clocks = &route.clocks;
        let shown = [
            ("service", service),
            ("path", shown(route.path.as_ref())),
            ("half_close", shown(route.half_close.as_ref())),
            ("heartbeat", shown(route.heartbeat.as_ref())),
            ("queue_notice", shown(route.queue_notice.as_ref())),
            ("refusal", shown(route.refusal.as_ref())),
            ("clocks.connect", shown(clocks.connect.as_ref())),
            ("clocks.head", shown(clocks.head.as_ref())),
            ("clocks.keep_alive", shown(clocks.keep_alive.as_ref())),
            ("clocks.response_head", shown(clocks.response_head.as_ref())),
            ("clocks.chunk_gap", shown(clocks.chunk_gap.as_ref())),
            ("clocks.lifetime", shown(clocks.lifetime.as_ref())),
            ("clocks.write_stall", shown(clocks.write_stall.as_ref())),
        ];
        for (key, value) in shown {
            if let Some((value, span)) = value {
                let origin = self.outlast_at(&span);
                self.value(format!("route.{number}.{key}"), value, origin);
            }
        }
    }
}

fn shown<T: Setting>(written: Option<&Located<T>>) -> Option<(String, std::ops::Range<usize>)> {
    written.map(|written| (written.value.show(), written.span.clone()))
}

fn is_about(route: &outlast::Route, service: &str) -> bool {
    route.service.as_ref().is_none_or(|wanted| wanted.value == service)
}

/// Whether whatever the later one matches, the earlier one does. `/**` does not stand for all that a route without a path
/// is about: that one's connection clocks, raw TCP, and `OPTIONS *` have no path.
fn is_shadow(earlier: &outlast::Route, later: &outlast::Route) -> bool {
    let same_service = match (&earlier.service, &later.service) {
        (None, _) => true,
        (Some(earlier), Some(later)) => earlier.value == later.value,
        (Some(_), None) => false,
    };
    let within_path = match (&earlier.path, &later.path) {
        (None, _) => true,
        (Some(earlier), Some(later)) => earlier.value.covers(&later.value),
        (Some(_), None) => false,
    };
    same_service && within_path
}

fn overlaid(rest: &RouteSettings, written: &outlast::Route) -> RouteSettings {
    let (base, clocks) = (&rest.clocks, &written.clocks);
    let clock = |written: &Option<Located<Duration>>, base: Option<Duration>| {
        written.as_ref().map_or(base, |written| on(written.value))
    };
    RouteSettings {
        clocks: RouteClocks {
            connect: value(clocks.connect.as_ref(), base.connect),
            response_head: clock(&clocks.response_head, base.response_head),
            chunk_gap: clock(&clocks.chunk_gap, base.chunk_gap),
            lifetime: clock(&clocks.lifetime, base.lifetime),
            write_stall: clock(&clocks.write_stall, base.write_stall),
        },
        half_close: value(written.half_close.as_ref(), rest.half_close),
        heartbeat: clock(&written.heartbeat, rest.heartbeat),
        queue_notice: value(written.queue_notice.as_ref(), rest.queue_notice),
        refusal: value(written.refusal.as_ref(), rest.refusal),
    }
}

fn value<T: Copy>(written: Option<&Located<T>>, otherwise: T) -> T {
    written.map_or(otherwise, |written| written.value)
}

/// A clock of zero is off.
fn on(clock: Duration) -> Option<Duration> {
    (!clock.is_zero()).then_some(clock)
}
