//! Who held the places of a machine that was full, and who left.

use std::time::Duration;

use crate::capacity::count;
use crate::diagnosis::evidence as item;
use crate::diagnosis::moments::Held;
use crate::diagnosis::sight::{Nature, Sight};
use crate::diagnosis::tally::Tally;
use crate::diagnosis::words::{between, lasting, span, times};
use crate::logs::Unit;

use super::{Around, Finds};

/// This share of the places, held in one way, says which way.
const MOST: f64 = 0.6;
/// Clients that have vanished hold places beside those who work: so many say enough.
const MANY_VANISHED: f64 = 0.3;
/// Fewer than this share say that something else held them.
const FEW: f64 = 0.5;
/// What began before the machine was full has ended and been logged after this long, as a rule.
const LOGGED_AFTER: Duration = Duration::from_secs(600);
/// Much of it has after this long.
const PERHAPS_LOGGED_AFTER: Duration = Duration::from_secs(120);
/// So many exchanges that were told of say that others would have been, too.
const SOME_ARE_TOLD: u64 = 5;
/// In this time Outlast has found every peer that answers nothing.
const FOUND_AFTER: Duration = Duration::from_secs(60);
/// An `idle_timeout` of more than this is long.
const LONG_IDLE: u64 = 300;
/// So many clients leave at any time.
const SOME_LEAVE: u64 = 5;

pub(super) fn weigh(tally: &Tally, around: &Around<'_>, all: &mut Finds) {
    if is_full(tally) {
        all.add(&item::AT_LIMIT, fullness(tally));
        unit(tally, around, all);
        holders(tally, around, all);
        lost(tally, around, all);
        all.add(&item::KEEP_ALIVE_IS_DEFAULT, "no header is needed to keep a connection");
        if tally.count(Sight::KeepAlive) > 0 {
            let how_often = times(tally.count(Sight::KeepAlive));
            all.add(&item::SPEAKS_OF_KEEP_ALIVE, format!("the app speaks of it {how_often}"));
        }
    } else {
        all.add(&item::NEVER_AT_LIMIT, "no line says that a machine was full");
    }
    leaving(tally, all);
}

pub(super) fn is_full(tally: &Tally) -> bool {
    !tally.limits.is_empty() || tally.count(Sight::Refused) > 0
}

fn fullness(tally: &Tally) -> String {
    let Some((machine, limit)) = tally.limits.iter().max_by_key(|(_, limit)| limit.span.count)
    else {
        let refused = tally.count(Sight::Refused);
        return format!("{} refused because there was no place", count(refused, "exchange"));
    };
    let who =
        if machine.is_empty() { "a machine".to_owned() } else { format!("machine {machine}") };
    let what = match limit.places {
        Some(places) => format!("its limit of {places}"),
        None => "its limit".to_owned(),
    };
    let how_often = times(limit.span.count);
    format!("{who} was at {what} {how_often}{}", lasting(limit.span.first, limit.span.last))
}

fn unit(tally: &Tally, around: &Around<'_>, all: &mut Finds) {
    let said = tally.limits.values().find_map(|limit| limit.unit);
    let by = match (said, around.plan) {
        (Some(_), _) => "the warning speaks of concurrent",
        (None, Some(_)) => "fly.toml counts",
        (None, None) => return,
    };
    match said.or(around.plan.map(|plan| plan.unit)) {
        Some(Unit::Requests) => all.add(&item::COUNTS_REQUESTS, format!("{by} requests")),
        Some(Unit::Connections) => {
            all.add(&item::COUNTS_CONNECTIONS, format!("{by} connections"));
            let idle = around.plan.and_then(|plan| plan.idle_timeout.as_ref());
            if let Some((seconds, place)) = idle.filter(|(seconds, _)| *seconds > LONG_IDLE) {
                let saw = format!("idle_timeout = {seconds} at {place}");
                all.add(&item::LONG_IDLE_TIMEOUT, saw);
            }
        }
        None => {}
    }
}

/// How much of a log there is after a moment: it decides what the lack of lines means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Enough,
    Some,
    Little,
}

fn holders(tally: &Tally, around: &Around<'_>, all: &mut Finds) {
    if tally.exchanges.served > 0 {
        let until = |after: Duration| around.end - i64::try_from(after.as_nanos()).unwrap_or(0);
        let enough = if around.is_over { around.end } else { until(LOGGED_AFTER) };
        let enough = tally.moments.held(enough).map(|held| (held, After::Enough));
        let some = || Some((tally.moments.held(until(PERHAPS_LOGGED_AFTER))?, After::Some));
        let little = || Some((tally.moments.held(i64::MAX)?, After::Little));
        if let Some((held, after)) = enough.or_else(some).or_else(little) {
            held_by(tally, held, after, all);
        }
        freed(tally, all);
    } else if tally.exchanges.untimed > 0 && tally.exchanges.sound_long == 0 {
        let lines = count(tally.exchanges.untimed, "line");
        all.add(&item::ONLY_HEADS_ARE_TIMED, format!("{lines} of the app about requests"));
    }
    if tally.exchanges.sound_long > 0 {
        let lines = count(tally.exchanges.sound_long, "line");
        all.add(&item::SOUNDS_LONG, format!("{lines} of the app"));
    }
}

fn held_by(tally: &Tally, held: Held, after: After, all: &mut Finds) {
    let Held { limit, long, short, vanished } = held;
    let share = |places: u32| f64::from(places) / f64::from(limit);
    let of = |places: u32, what: &str| {
        format!("{} of {limit} places were held by {what}", places.min(limit))
    };
    let longest = span(tally.exchanges.longest);
    if share(vanished) >= MANY_VANISHED {
        all.add(&item::HELD_BY_VANISHED, of(vanished, "exchanges whose clients had vanished"));
    } else if share(long) >= MOST {
        let what = format!("exchanges of 5 s or longer, up to {longest}");
        all.add(&item::HELD_BY_LONG, of(long, &what));
    } else if share(long + short) >= MOST && short > long {
        all.add(&item::HELD_BY_SHORT, of(short, "exchanges of less than 5 s"));
    } else if share(long + short + vanished) < FEW {
        let saw = of(long + short + vanished, "exchanges that were logged");
        // An app that tells of hardly any request may not tell of others, either.
        match after {
            _ if tally.exchanges.served < SOME_ARE_TOLD => {}
            After::Enough => all.add(&item::HELD_BY_NOTHING, saw),
            After::Some => all.add(&item::HELD_BY_FEW_SO_FAR, saw),
            After::Little => {}
        }
    }
}

/// What made room: a few cases are enough if they agree.
fn freed(tally: &Tally, all: &mut Finds) {
    let (ends, nothing) = (tally.freed.by_ends, tally.freed.by_nothing);
    if nothing >= 2 && nothing > 2 * ends {
        let saw =
            format!("{nothing} of {} got a place although no exchange had ended", ends + nothing);
        all.add(&item::FREED_BY_NOTHING, saw);
    } else if ends >= 2 && ends > 2 * nothing {
        let saw = format!("{ends} of {} got a place after an exchange had ended", ends + nothing);
        all.add(&item::FREED_BY_ENDS, saw);
    }
}

fn lost(tally: &Tally, around: &Around<'_>, all: &mut Finds) {
    let lost = tally.count(Sight::Released).max(tally.count(Sight::ClientVanished));
    let lost = lost.max(tally.count(Sight::PeerLost));
    let limit = tally.limits.values().filter_map(|limit| limit.places).max().unwrap_or(0);
    let saw = format!("{} answered nothing any more", count(lost, "peer"));
    if lost >= 3 && lost * 5 >= u64::from(limit) {
        all.add(&item::PEERS_LOST, saw);
    } else if lost > 0 {
        all.add(&item::FEW_PEERS_LOST, saw);
    } else if around.is_ours {
        let first = tally.moments.first().unwrap_or(tally.last);
        if around.is_over || between(first, around.end) >= FOUND_AFTER {
            all.add(&item::NO_PEER_LOST, "Outlast's own log tells of no peer that was lost");
        }
    }
}

/// Clients that left: before the trouble, after it, or instead of it.
fn leaving(tally: &Tally, all: &mut Finds) {
    let left = [Sight::Aborted, Sight::ClientGone, Sight::Broken];
    let left: Vec<_> = left.into_iter().filter_map(|sight| tally.span(sight)).collect();
    let number: u64 = left.iter().map(|span| span.count).sum();
    let Some(first) = left.iter().map(|span| span.first).min() else {
        return all.add(&item::NOBODY_LEFT, "no line tells of an abort");
    };
    let is_trouble = |sight: Sight| matches!(sight.nature(), Nature::Failure | Nature::Warning);
    let trouble = tally.sights().filter(|(sight, _)| is_trouble(*sight));
    let Some(trouble) = trouble.map(|(_, span)| span.first).min() else {
        let saw = format!("{}, and no error of a proxy or an app", count(number, "abort"));
        return all.add(&item::NOTHING_BUT_ABORTS, saw);
    };
    if first < trouble && number >= SOME_LEAVE {
        let saw = format!("the first of {number} left {} before", span(between(first, trouble)));
        all.add(&item::LEFT_BEFORE, saw);
    } else {
        let saw = format!("{} came with it or after it", count(number, "abort"));
        all.add(&item::LEFT_AFTERWARDS, saw);
    }
}
