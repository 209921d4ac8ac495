//! Incidents in which places are plenty, and machines or people come and go.

use super::cast::Cast;
use super::scenes::{Fly, glances};
use super::script::{Act, Chance, Machines, Part, Script, Visit, Why};

/// So many places that none is ever wanted.
const PLENTY: u32 = 200;

fn script(fly: &Fly, scale: f64, parts: Vec<Part>, end: f64, cast: &Cast) -> Script {
    Script {
        fly: fly.text(cast),
        scale,
        counts: fly.counts,
        hard: fly.hard,
        patience: 40.0,
        linger: 4.0,
        pings: (30.0, 10.0),
        parts,
        window: (-12.0, end),
    }
}

fn plenty(stop: &'static str, more: &'static str) -> Fly {
    Fly { counts: "requests", hard: PLENTY, stop, more }
}

/// A machine at rest is woken, and takes long to listen.
#[derive(Debug, Clone, Copy)]
pub(super) struct SlowStart {
    pub(super) boot: (f64, f64),
    pub(super) wakes: u32,
    pub(super) people: u32,
}

pub(super) fn slow_start(it: &SlowStart, cast: &Cast, chance: &mut Chance) -> Script {
    let mut parts = Vec::new();
    let mut offset = 0.0;
    for _ in 0..it.wakes {
        let boot = chance.between(it.boot.0, it.boot.1);
        let mut visits = Vec::new();
        for number in 0..it.people {
            let at = 0.2 + f64::from(number) * chance.between(0.3, 4.0);
            let visit = Visit::plain(at, "GET", "/dashboard", 0.2);
            visits.push(visit.clicking(4, chance.between(1.0, 4.0)));
        }
        visits.extend(glances(boot + 2.0, boot + 50.0, 9.0, chance));
        let acts = vec![(boot, Act::Start(0)), (boot + 130.0, Act::Stop(0, 1.2, Why::Idle))];
        parts.push(Part { offset, machines: Machines::Cold, visits, acts, remarks: Vec::new() });
        offset += chance.between(900.0, 4_000.0);
    }
    let end = parts.last().map_or(0.0, |part| part.offset + 170.0);
    Script {
        // The proxy tries 15 times.
        patience: 8.1,
        ..script(&plenty("stop", ""), 8.0, parts, end, cast)
    }
}

/// A machine that is started and never listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct FailingStart {
    pub(super) how: Failing,
    pub(super) lasts: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failing {
    /// It is woken, and hangs before it listens.
    Hangs(&'static str),
    /// A deploy brings a version that listens elsewhere.
    Deaf,
}

pub(super) fn failing_start(it: &FailingStart, cast: &Cast, chance: &mut Chance) -> Script {
    let people = |chance: &mut Chance, from: f64, gap: f64| -> Vec<Visit> {
        let times = chance.times(from, it.lasts, gap);
        let one = |at| Visit::plain(at, "GET", "/", 0.1).clicking(2, chance.between(2.0, 5.0));
        times.into_iter().map(one).collect()
    };
    match it.how {
        Failing::Hangs(says) => {
            let mut visits = people(chance, 9.0, 14.0);
            visits.push(Visit::plain(0.2, "GET", "/", 0.1).clicking(3, 2.0));
            let remarks = vec![(2.1, says.to_owned())];
            let machines = Machines::Cold;
            let part = Part { offset: 0.0, machines, visits, acts: Vec::new(), remarks };
            let whole = script(&plenty("stop", ""), 4.0, vec![part], it.lasts, cast);
            Script { patience: 8.1, ..whole }
        }
        Failing::Deaf => {
            let visits = people(chance, 0.0, 6.0);
            let acts = vec![(30.0, Act::Stop(0, 1.5, Why::Deploy)), (36.0, Act::StartDeaf(0))];
            let part = Part { acts, ..Part::running(1, visits) };
            script(&plenty("off", ""), 6.0, vec![part], it.lasts, cast)
        }
    }
}

/// A machine that ends by itself time and again.
#[derive(Debug, Clone, Copy)]
pub(super) struct CrashLoop {
    /// Of so many machines one does it.
    pub(super) machines: usize,
    pub(super) code: i32,
    pub(super) times: u32,
    /// How long it lives each time.
    pub(super) lives: (f64, f64),
    pub(super) gives_up: bool,
}

pub(super) fn crash_loop(it: &CrashLoop, cast: &Cast, chance: &mut Chance) -> Script {
    let mut acts = Vec::new();
    let mut at = chance.between(20.0, 30.0);
    for time in 1..=it.times {
        acts.push((at, Act::Crash(0, it.code)));
        if time == it.times && it.gives_up {
            acts.push((at + 1.6, Act::GiveUp(0)));
        } else {
            at += chance.between(3.2, 4.6);
            acts.push((at, Act::Start(0)));
            at += chance.between(it.lives.0, it.lives.1);
        }
    }
    let end = at + 25.0;
    let gap = (end / 60.0).max(2.5);
    let times = chance.times(0.0, end, gap);
    let one = |at: f64| match chance.whole(0, 3) {
        0 => Visit::stream(at, "/api/generate", chance.between(8.0, 25.0)).clicking(1, 3.0),
        _ => Visit::plain(at, "GET", "/api/items", chance.between(0.05, 0.6)),
    };
    let visits = times.into_iter().map(one).collect();
    let part = Part { acts, ..Part::running(it.machines, visits) };
    script(&plenty("off", ""), (end / 35.0).max(3.0), vec![part], end, cast)
}

/// The gateway's own log of a machine that ends by itself.
pub(super) fn crash_loop_as_it_is(cast: &Cast, chance: &mut Chance) -> Script {
    let times = chance.times(0.5, 40.0, 2.0);
    let visits = times.into_iter().map(|at| Visit::plain(at, "GET", "/", 0.1)).collect();
    let machines = Machines::Crashing;
    let (acts, remarks) = (Vec::new(), Vec::new());
    let part = Part { offset: 0.0, machines, visits, acts, remarks };
    let whole = script(&plenty("off", ""), 1.0, vec![part], 45.0, cast);
    Script { patience: 5.0, ..whole }
}

/// New versions arrive while people work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deploy {
    pub(super) machines: usize,
    pub(super) deploys: u32,
    pub(super) grace: f64,
    pub(super) people: u32,
    pub(super) length: (f64, f64),
    pub(super) more: &'static str,
}

pub(super) fn deploy(it: &Deploy, cast: &Cast, chance: &mut Chance) -> Script {
    let (mut acts, mut at) = (Vec::new(), 0.0);
    for _ in 0..it.deploys {
        at += chance.between(150.0, 220.0);
        for machine in 0..it.machines {
            acts.push((at, Act::Stop(machine, it.grace, Why::Deploy)));
            at += it.grace + chance.between(5.0, 8.0);
            acts.push((at, Act::Start(machine)));
            at += 6.0;
        }
    }
    let end = at + 200.0;
    let mut visits = glances(0.0, end, 12.0, chance);
    for _ in 0..it.people {
        let at = chance.between(0.0, end - 60.0);
        let visit = Visit::stream(at, "/api/chat", chance.between(it.length.0, it.length.1));
        visits.push(visit.clicking(2, 6.0));
    }
    let part = Part { acts, ..Part::running(it.machines, visits) };
    let fly = Fly { counts: "requests", hard: PLENTY, stop: "off", more: it.more };
    script(&fly, 20.0, vec![part], end, cast)
}

/// Machines that are frozen and come back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Suspend {
    pub(super) how: Frozen,
    pub(super) times: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frozen {
    /// One of two, with streams in it.
    WithStreams,
    /// The only one, when nobody is there; its own connections are dead when it comes back.
    AtRest(&'static str),
    /// The only one, when nobody is there, and nothing is wrong when it comes back.
    Harmless,
}

impl Frozen {
    /// What the app says of each request that fails.
    fn says(self) -> &'static str {
        if let Self::AtRest(says) = self { says } else { "" }
    }
}

pub(super) fn suspend(it: &Suspend, cast: &Cast, chance: &mut Chance) -> Script {
    let (mut acts, mut remarks, mut visits) = (Vec::new(), Vec::new(), Vec::new());
    let mut at = 0.0;
    for _ in 0..it.times {
        match it.how {
            Frozen::WithStreams => {
                let frozen = at + chance.between(180.0, 240.0);
                for _ in 0..8 {
                    let begins = at + chance.between(0.0, 150.0);
                    let visit = Visit::stream(begins, "/api/chat", chance.between(240.0, 400.0));
                    visits.push(visit.clicking(1, 5.0));
                }
                visits.extend(glances(at, frozen + 150.0, 15.0, chance));
                acts.push((frozen, Act::Suspend(1)));
                at = frozen + chance.between(100.0, 200.0);
                acts.push((at, Act::Resume(1)));
                at += 60.0;
            }
            Frozen::AtRest(_) | Frozen::Harmless => {
                visits.extend(glances(at, at + 60.0, 8.0, chance));
                let frozen = at + 60.0 + chance.between(130.0, 200.0);
                acts.push((frozen, Act::Suspend(0)));
                at = frozen + chance.between(150.0, 400.0);
                acts.push((at, Act::Resume(0)));
                visits.push(Visit::plain(at + 0.2, "GET", "/", 0.05));
                let failures = match it.how {
                    Frozen::AtRest(_) => chance.whole(3, 5),
                    _ => 0,
                };
                for number in 0..failures {
                    let asked = at + 0.5 + f64::from(number) * chance.between(0.4, 1.5);
                    let slow = chance.between(4.0, 9.0);
                    let failed = Visit::plain(asked, "GET", "/api/me", slow);
                    visits.push(Visit { status: 500, ..failed });
                    remarks.push((asked + slow - 0.05, it.how.says().to_owned()));
                }
                at += 40.0;
            }
        }
    }
    visits.extend(glances(at, at + 60.0, 8.0, chance));
    let machines = if it.how == Frozen::WithStreams { 2 } else { 1 };
    let part = Part { acts, remarks, ..Part::running(machines, visits) };
    script(&plenty("suspend", ""), 20.0, vec![part], at + 60.0, cast)
}

/// People who do not wait for the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aborts {
    pub(super) people: u32,
    /// How many of them.
    pub(super) share: f64,
    pub(super) stays: (f64, f64),
    pub(super) length: (f64, f64),
    pub(super) lasts: f64,
}

pub(super) fn aborts(it: &Aborts, cast: &Cast, chance: &mut Chance) -> Script {
    let mut visits = glances(0.0, it.lasts, 15.0, chance);
    for _ in 0..it.people {
        let at = chance.between(0.0, it.lasts - it.length.1);
        let visit = Visit::stream(at, "/api/generate", chance.between(it.length.0, it.length.1));
        let leaves = chance.hits(it.share).then(|| chance.between(it.stays.0, it.stays.1));
        visits.push(Visit { leaves, ..visit });
    }
    let part = Part::running(1, visits);
    script(&plenty("off", ""), 20.0, vec![part], it.lasts, cast)
}

/// Nothing is wrong.
pub(super) fn quiet(lasts: f64, cast: &Cast, chance: &mut Chance) -> Script {
    let mut visits = glances(0.0, lasts, 5.0, chance);
    for _ in 0..6 {
        let at = chance.between(0.0, lasts - 60.0);
        visits.push(Visit::stream(at, "/api/chat", chance.between(20.0, 50.0)));
    }
    script(&plenty("off", ""), 20.0, vec![Part::running(1, visits)], lasts, cast)
}
