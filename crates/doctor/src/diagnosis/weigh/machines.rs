//! How machines came, went and came back.

use std::time::Duration;

use crate::capacity::count;
use crate::diagnosis::evidence as item;
use crate::diagnosis::machine::Machine;
use crate::diagnosis::sight::{START_IS_SLOW, Sight};
use crate::diagnosis::tally::Tally;
use crate::diagnosis::timeline::Entry;
use crate::diagnosis::words::{between, span, times};
use crate::logs::Name;

use super::{Around, Finds};

/// A start of which nothing more is heard for this long has come to nothing.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(15);
/// What is brought out so long after the trouble began is no cause of it, perhaps the cure.
const TOO_LATE: i64 = 30_000_000_000;
/// A new version that works has ended the trouble of its coming after this long.
const SETTLED_AFTER: Duration = Duration::from_secs(60);
/// What breaks within this long of a stop or a start has to do with it.
const TOGETHER: i64 = 90_000_000_000;

pub(super) fn weigh(tally: &Tally, around: &Around<'_>, all: &mut Finds) {
    starts(tally, around, all);
    ends(tally, all);
    versions(tally, all);
    stops(tally, all);
}

/// `machine 3d8d9930b32d89`, or `a machine`.
pub(crate) fn called(name: &Name) -> String {
    if name.is_empty() { "a machine".to_owned() } else { format!("machine {name}") }
}

fn starts(tally: &Tally, around: &Around<'_>, all: &mut Finds) {
    let refused = tally.sights().find(|(sight, _)| sight.is_port_refused()).map(|(_, span)| *span);
    if let Some(refused) = refused {
        let saw = format!("the app's port refused the proxy {}", times(refused.count));
        all.add(&item::PORT_REFUSED, saw);
    }
    let deaf = tally.machines.iter().max_by_key(|(_, machine)| machine.deaf);
    if let Some((name, machine)) = deaf.filter(|(_, machine)| machine.deaf >= 2) {
        let how_often = times(machine.deaf.into());
        let saw = format!("{} said that it listens, and refused {how_often}", called(name));
        all.add(&item::LISTENS_ELSEWHERE, saw);
    }
    let not_started: u64 = tally
        .sights()
        .filter(|(sight, _)| sight.is_failed_start())
        .map(|(_, span)| span.count)
        .sum();
    if not_started > 0 {
        let saw = format!("starting a machine failed {}", times(not_started));
        all.add(&item::DOES_NOT_START, saw);
    }
    let started = |machine: &Machine| machine.starts > 0 || machine.given_up() > 0;
    let machines: Vec<_> = tally.machines.iter().filter(|(_, machine)| started(machine)).collect();
    if machines.is_empty() {
        if not_started == 0 {
            all.add(&item::NO_START, "no line tells of a start");
        }
        return;
    }
    let goes_on = between(tally.began.nanoseconds(), around.end) >= GIVEN_UP_AFTER;
    let never = machines.iter().find(|(_, machine)| {
        !machine.has_answered() && machine.is_pending() && (goes_on || machine.given_up() > 0)
    });
    if let Some((name, machine)) = never {
        let given_up = match machine.given_up() {
            0 => String::new(),
            number => format!(", and the proxy gave it up {}", times(number.into())),
        };
        let how_often = times(machine.starts.max(1).into());
        let saw = format!("{} was started {how_often} and never answered{given_up}", called(name));
        all.add(&item::NEVER_ANSWERED, saw);
    }
    answers(&machines, all);
}

fn answers(machines: &[(&Name, &Machine)], all: &mut Finds) {
    let reached = machines.iter().filter(|(_, machine)| machine.has_answered());
    let Some((name, slowest)) = reached.max_by_key(|(_, machine)| machine.slowest) else { return };
    let took = span(slowest.slowest);
    if slowest.slowest >= START_IS_SLOW {
        let saw = format!("{} took {took} until it answered", called(name));
        all.add(&item::STARTED_SLOWLY, saw);
    } else if machines.iter().all(|(_, machine)| machine.has_answered() && machine.given_up() == 0)
    {
        all.add(&item::STARTED_QUICKLY, format!("the slowest start took {took}"));
    }
    let given_up: u32 = machines.iter().map(|(_, machine)| machine.given_up()).sum();
    if given_up > 0 {
        let saw =
            format!("given up {}, and {} answered later", times(given_up.into()), called(name));
        all.add(&item::GIVEN_UP_BUT_ANSWERED, saw);
    }
}

fn ends(tally: &Tally, all: &mut Finds) {
    let worst = tally.machines.iter().max_by_key(|(_, machine)| machine.bad_exits());
    let exits = worst.map_or(0, |(_, machine)| machine.bad_exits());
    let saw = worst.map_or_else(String::new, |(name, _)| {
        format!("the app of {} ended by itself {}", called(name), times(exits.into()))
    });
    match exits {
        0 => all.add(&item::NEVER_ENDED, "no app ended by itself"),
        1 => all.add(&item::ENDED_ONCE, saw),
        2 => all.add(&item::ENDED_TWICE, saw),
        _ => all.add(&item::ENDED_REPEATEDLY, saw),
    }
    if tally.count(Sight::OutOfMemory) > 0 {
        let how_often = times(tally.count(Sight::OutOfMemory));
        all.add(&item::OUT_OF_MEMORY, format!("no memory was left {how_often}"));
    }
}

fn versions(tally: &Tally, all: &mut Finds) {
    let began = tally.began.nanoseconds();
    let in_time = |sight| tally.span(sight).filter(|span| span.first <= began + TOO_LATE);
    let mut is_any = false;
    if let Some(steps) = in_time(Sight::Deploy) {
        let went_on = between(steps.last, tally.last);
        if went_on > SETTLED_AFTER {
            all.add(&item::STILL_FAILING, format!("it went on for {}", span(went_on)));
        }
        let machines = tally.machines.values().filter(|machine| machine.deploys > 0).count();
        let saw = format!(
            "{} of a deployment, {}",
            count(steps.count, "step"),
            count(machines as u64, "machine")
        );
        all.add(&item::NEW_VERSION, saw);
        is_any = true;
    }
    let told = tally.machines.values().filter(|machine| machine.signals > 0).count();
    if told > 0 && in_time(Sight::Signal).is_some() {
        let saw = format!("{} told to end", count(told as u64, "machine"));
        all.add(&item::TOLD_TO_END, saw);
        is_any = true;
    }
    if [Sight::DrainBegan, Sight::Draining, Sight::Cut]
        .into_iter()
        .any(|sight| in_time(sight).is_some())
    {
        let cut = tally.count(Sight::Cut);
        all.add(&item::DRAINED, format!("the gateway drained, {} cut", count(cut, "exchange")));
        is_any = true;
    }
    if !is_any {
        all.add(&item::NO_NEW_VERSION, "no line of a deployment or of a machine told to end");
    }
}

fn stops(tally: &Tally, all: &mut Finds) {
    let entries = tally.timeline.entries();
    let in_time = |entry: &&Entry| entry.first <= tally.began.nanoseconds() + TOO_LATE;
    let stops: Vec<&Entry> =
        entries.iter().filter(|entry| entry.sight.is_stop()).filter(in_time).collect();
    let Some(first) = stops.first() else {
        return all.add(&item::NEVER_SUSPENDED, "no line of a suspension or an autostop");
    };
    let suspended = |entry: &&&Entry| entry.sight != Sight::Autostop;
    if let Some(entry) = stops.iter().find(suspended) {
        let saw = format!("{} was suspended as not needed", called(&entry.machine));
        all.add(&item::SUSPENDED_BEFORE, saw);
    }
    // What is dead is found out when the machine is stopped, or when it is back.
    let turns: Vec<&Entry> = entries
        .iter()
        .filter(|entry| {
            entry.sight.is_stop()
                || (entry.first >= first.first
                    && matches!(entry.sight, Sight::Started | Sight::Reachable))
        })
        .collect();
    let breaks = entries.iter().filter(|entry| entry.sight.is_break());
    let is_near = |entry: &&Entry| {
        turns.iter().any(|turn| (0..=TOGETHER).contains(&(entry.first - turn.first)))
    };
    let broken: u64 = breaks.filter(is_near).map(|entry| entry.count).sum();
    if broken > 0 {
        let saw = format!("{} broke then", count(broken, "connection"));
        all.add(&item::BROKE_WHEN_STOPPED, saw);
    } else {
        all.add(&item::STOPPED_IN_PEACE, "no connection broke then");
    }
}
