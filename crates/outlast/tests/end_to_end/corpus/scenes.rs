//! Incidents in which places run out, or nearly: what is built for each cause.

use super::cast::Cast;
use super::script::{Act, Chance, Machines, Part, Script, Visit, Why};

/// What a `fly.toml` says, as far as it differs between stories.
pub(super) struct Fly {
    pub(super) counts: &'static str,
    pub(super) hard: u32,
    pub(super) stop: &'static str,
    pub(super) more: &'static str,
}

impl Fly {
    pub(super) fn text(&self, cast: &Cast) -> String {
        let Cast { app, region, port, .. } = cast;
        let soft = self.hard * 4 / 5;
        let Self { counts, hard, stop, more } = self;
        format!(
            "app = \"{app}\"\nprimary_region = \"{region}\"\n\n[env]\n  PORT = \"{port}\"\n\n[http_service]\n  \
             internal_port = {port}\n  force_https = true\n  auto_stop_machines = \"{stop}\"\n  auto_start_machines = true\n  \
             min_machines_running = 0\n  processes = [\"app\"]\n\n  [http_service.concurrency]\n    type = \"{counts}\"\n    \
             hard_limit = {hard}\n    soft_limit = {soft}\n\n[[vm]]\n  size = \"shared-cpu-1x\"\n  memory = \"512mb\"\n{more}"
        )
    }
}

/// People whose answers take long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams {
    pub(super) counts: &'static str,
    pub(super) hard: u32,
    pub(super) people: u32,
    /// They come within so long.
    pub(super) within: f64,
    pub(super) length: (f64, f64),
    /// Who of them leaves when nothing comes.
    pub(super) impatient: f64,
    /// Who of them comes over a WebSocket.
    pub(super) sockets: f64,
    pub(super) path: &'static str,
    /// So many others vanish, whom the app's pings find soon.
    pub(super) lost: u32,
    /// When somebody deploys, in the hope that it helps.
    pub(super) deploy: Option<f64>,
    pub(super) pace: Pace,
}

/// How fast a story is lived, and whether in the usual measures or in small ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    Stretched,
    /// As it is, so that the gateway's own log can be kept as it is.
    AsItIs,
}

impl Pace {
    pub(super) fn scale(self, stretched: f64) -> f64 {
        if self == Self::Stretched { stretched } else { 1.0 }
    }
}

pub(super) fn streams(it: &Streams, cast: &Cast, chance: &mut Chance) -> Script {
    let end = it.within + it.length.1 + it.length.0;
    let (unit, pause) = match it.pace {
        Pace::Stretched => (1.0, (6.0, 20.0)),
        Pace::AsItIs => (0.1, (1.0, 2.0)),
    };
    let mut visits = Vec::new();
    for _ in 0..it.people {
        let (at, length) =
            (chance.between(0.0, it.within), chance.between(it.length.0, it.length.1));
        let visit = if chance.hits(it.sockets) {
            Visit::socket(at, "/ws", length)
        } else {
            Visit::stream(at, it.path, length)
        };
        let (clicks, pause) = (chance.whole(2, 8), chance.between(pause.0, pause.1));
        let leaves = chance.hits(it.impatient).then(|| chance.between(15.0, 30.0) * unit);
        visits.push(Visit { leaves, ..visit.clicking(clicks, pause) });
    }
    visits.extend(glances(0.0, end, 35.0 * unit, chance));
    let patience = if it.pace == Pace::Stretched { chance.between(36.0, 55.0) } else { 5.0 };
    let mut acts = Vec::new();
    for number in 0..it.lost {
        let lost = Visit::socket(chance.between(0.0, it.within * 0.2), "/ws", end);
        visits.push(Visit { fated: Some(number as usize), ..lost });
        acts = vec![(it.within * 0.8, Act::Vanish)];
    }
    if let Some(at) = it.deploy {
        acts.extend([(at, Act::Stop(0, 5.0, Why::Deploy)), (at + 11.0, Act::Start(0))]);
    }
    Script {
        fly: Fly { counts: it.counts, hard: it.hard, stop: "off", more: "" }.text(cast),
        scale: it.pace.scale(30.0),
        counts: it.counts,
        hard: it.hard,
        patience,
        linger: 4.0,
        pings: (30.0 * unit, 10.0 * unit),
        parts: vec![Part { acts, ..Part::running(1, visits) }],
        window: (0.0, end),
    }
}

/// What every page asks for, quickly.
pub(super) fn glances(from: f64, to: f64, gap: f64, chance: &mut Chance) -> Vec<Visit> {
    let paths = ["/", "/api/projects", "/api/session", "/assets/app.js", "/favicon.ico"];
    let times = chance.times(from, to, gap);
    let one = |at: f64| {
        let path = *chance.pick(&paths);
        let visit = Visit::plain(at, "GET", path, chance.between(0.01, 0.15));
        visit.clicking(1, 10.0)
    };
    times.into_iter().map(one).collect()
}

impl Part {
    pub(super) fn running(machines: usize, visits: Vec<Visit>) -> Self {
        let machines = Machines::Running(machines);
        Self { offset: 0.0, machines, visits, acts: Vec::new(), remarks: Vec::new() }
    }
}

/// Short requests only, whose connections stay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Idle {
    pub(super) hard: u32,
    pub(super) linger: f64,
    /// Between two requests.
    pub(super) gap: f64,
    pub(super) lasts: f64,
    /// How long a request takes.
    pub(super) takes: (f64, f64),
    /// So many streams run beside them nearly all the time, and are not what fills the places.
    pub(super) streams: u32,
    pub(super) pace: Pace,
}

pub(super) fn idle(it: &Idle, cast: &Cast, chance: &mut Chance) -> Script {
    let paths = ["/", "/api/items", "/api/items?page=2", "/api/me", "/login", "/api/search?q=ab"];
    let times = chance.times(0.0, it.lasts, it.gap);
    let one = |at: f64| {
        let method = if chance.hits(0.2) { "POST" } else { "GET" };
        let path = *chance.pick(&paths);
        let visit = Visit::plain(at, method, path, chance.between(it.takes.0, it.takes.1));
        visit.clicking(2, it.gap)
    };
    let mut visits: Vec<_> = times.into_iter().map(one).collect();
    for _ in 0..it.streams {
        let at = chance.between(0.0, it.lasts * 0.1);
        let length = it.lasts * chance.between(0.7, 0.85);
        visits.push(Visit { method: "GET", ..Visit::stream(at, "/events", length) });
    }
    Script {
        fly: Fly { counts: "connections", hard: it.hard, stop: "off", more: "" }.text(cast),
        scale: it.pace.scale(20.0),
        counts: "connections",
        hard: it.hard,
        patience: if it.pace == Pace::Stretched { chance.between(36.0, 50.0) } else { 3.0 },
        linger: it.linger,
        pings: (30.0, 10.0),
        parts: vec![Part::running(1, visits)],
        window: (0.0, it.lasts),
    }
}

/// People who vanish and keep their places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Zombies {
    pub(super) counts: &'static str,
    pub(super) hard: u32,
    /// How many of the places they take.
    pub(super) fated: u32,
    pub(super) vanish: f64,
    pub(super) pings: (f64, f64),
    pub(super) lasts: f64,
    pub(super) pace: Pace,
}

pub(super) fn zombies(it: &Zombies, cast: &Cast, chance: &mut Chance) -> Script {
    let mut visits = Vec::new();
    for number in 0..it.fated {
        let at = chance.between(0.0, it.vanish * 0.7);
        let visit = match it.pace {
            Pace::Stretched => Visit::socket(at, "/ws", it.lasts * 2.0),
            Pace::AsItIs => Visit::stream(at, "/events", it.lasts * 2.0),
        };
        visits.push(Visit { fated: Some(number as usize), method: "GET", ..visit });
    }
    let living = chance.times(it.vanish * 1.1, it.lasts - 10.0, it.lasts / 25.0);
    for at in living {
        let length = chance.between(2.0, 12.0);
        let visit = match it.pace {
            Pace::Stretched => Visit::socket(at, "/ws", length * 4.0),
            Pace::AsItIs => Visit::stream(at, "/events", length),
        };
        visits.push(Visit { method: "GET", ..visit.clicking(3, it.lasts / 40.0) });
    }
    visits.extend(glances(0.0, it.lasts, it.lasts / 20.0, chance));
    let part = Part { acts: vec![(it.vanish, Act::Vanish)], ..Part::running(1, visits) };
    Script {
        fly: Fly { counts: it.counts, hard: it.hard, stop: "off", more: "" }.text(cast),
        scale: it.pace.scale(10.0),
        counts: it.counts,
        hard: it.hard,
        patience: if it.pace == Pace::Stretched { chance.between(36.0, 45.0) } else { 6.0 },
        linger: 1.0,
        pings: it.pings,
        parts: vec![part],
        window: (0.0, it.lasts),
    }
}

/// Many short requests at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Burst {
    pub(super) hard: u32,
    pub(super) crowd: u32,
    pub(super) takes: (f64, f64),
    pub(super) bursts: u32,
}

pub(super) fn burst(it: &Burst, cast: &Cast, chance: &mut Chance) -> Script {
    let mut visits = glances(0.0, 150.0 * f64::from(it.bursts), 9.0, chance);
    for number in 0..it.bursts {
        let begins = 60.0 + 150.0 * f64::from(number) + chance.between(0.0, 20.0);
        for _ in 0..it.crowd {
            let at = begins + chance.between(0.0, 4.0);
            let takes = chance.between(it.takes.0, it.takes.1);
            visits.push(Visit::plain(at, "GET", "/api/report", takes));
        }
    }
    Script {
        fly: Fly { counts: "requests", hard: it.hard, stop: "off", more: "" }.text(cast),
        scale: 6.0,
        counts: "requests",
        hard: it.hard,
        patience: chance.between(30.0, 40.0),
        linger: 4.0,
        pings: (30.0, 10.0),
        parts: vec![Part::running(1, visits)],
        window: (0.0, 150.0 * f64::from(it.bursts)),
    }
}
