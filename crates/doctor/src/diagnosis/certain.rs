//! What the lines prove by themselves, and what they leave open.

use std::time::Duration;

use crate::capacity::count;
use crate::logs::Unit;

use super::incident::failed;
use super::judge::Verdict;
use super::sight::{Nature, Sight};
use super::tally::Tally;
use super::weigh::{Around, called};
use super::words::{between, lasting, span, times};

/// A sentence for each thing that needs no inference.
pub(crate) fn certain(tally: &Tally, around: &Around<'_>) -> Vec<String> {
    let mut all = Vec::new();
    for (machine, limit) in tally.limits.iter().take(4) {
        let what = match (limit.places, limit.unit) {
            (Some(places), Some(Unit::Connections)) => format!("{places} connections"),
            (Some(places), Some(Unit::Requests)) => format!("{places} requests"),
            (Some(places), None) => format!("{places}"),
            (None, _) => "unknown height".to_owned(),
        };
        let how_often = times(limit.span.count);
        let when = lasting(limit.span.first, limit.span.last);
        let who = match machine.is_empty() {
            true => "; no line says by which machine".to_owned(),
            false => format!(" by {}", called(machine)),
        };
        all.push(format!("the limit of {what} was reached {how_often}{when}{who}"));
    }
    let failed = failed(tally);
    if failed > 0 {
        let waited = match tally.waited.max(Some(tally.exchanges.longest_queued)) {
            Some(waited) if waited > Duration::ZERO => {
                format!(", after up to {}", span(waited))
            }
            _ => String::new(),
        };
        all.push(format!("{} failed{waited}", count(failed, "request")));
    }
    let attempts = tally.sights().filter(|(sight, _)| sight.is_failed_attempt());
    let attempts: u64 = attempts.map(|(_, span)| span.count).sum();
    if attempts > 0 {
        let attempts = count(attempts, "attempt");
        all.push(format!("{attempts} of the proxy to reach or to start a machine failed"));
    } else if failed == 0 && tally.of(Nature::Failure) + tally.of(Nature::Warning) > 0 {
        all.push("no line tells of a request that failed".to_owned());
    }
    if let Some(plan) = around.plan
        && let Some((hard, place)) = &plan.hard_limit
        && !tally.limits.is_empty()
    {
        let unit = match plan.unit {
            Unit::Connections => "connections",
            Unit::Requests => "requests",
        };
        all.push(format!("{} sets {hard} {unit} per machine ({place})", plan.name));
    }
    all
}

/// A sentence for each thing that would matter and that no line tells.
pub(crate) fn open(tally: &Tally, around: &Around<'_>, verdict: &Verdict) -> Vec<String> {
    let mut all = Vec::new();
    let is_full = !tally.limits.is_empty();
    if verdict.winner().is_none() {
        if is_full && tally.exchanges.served == 0 {
            all.push(
                "what held the places: streams at work, idle connections and clients that had vanished look \
                 the same in these lines"
                    .to_owned(),
            );
        } else if is_full {
            all.push(
                "what held the places: the exchanges that were logged do not settle it".to_owned(),
            );
        } else {
            all.push("why: the lines name what failed and not what made it fail".to_owned());
        }
    }
    if is_full && tally.limits.values().map(|limit| limit.span.count).sum::<u64>() < 6 {
        let from = tally.limits.values().map(|limit| limit.span.first).min().unwrap_or_default();
        let to = tally.limits.values().map(|limit| limit.span.last).max().unwrap_or_default();
        if from < to {
            let gap = span(between(from, to));
            all.push(format!(
                "whether the machine was full all the {gap}: the warning comes when somebody is turned away, not while \
                 places are taken"
            ));
        }
    }
    if tally.unlike_fly > 0 && !around.is_ours {
        all.push(unlike(tally));
    }
    if tally.count(Sight::LinesLost) > 0 {
        all.push("what stood in the lines that are missing from the log".to_owned());
    }
    all
}

/// What the incident's own lines are: quoted from memory, or written by something else than Fly.
fn unlike(tally: &Tally) -> String {
    let mut marks = Vec::new();
    if !tally.began.has_date() {
        marks.push("no date");
    }
    if tally.limits.keys().any(|machine| machine.is_empty()) {
        marks.push("no machine");
    }
    if tally.waited.is_some() && tally.attempts.is_none() {
        marks.push("a wait in milliseconds where Fly counts attempts");
    }
    format!(
        "whether the lines are whole: Fly prints none in this form ({}), so they may be quoted or shortened",
        marks.join(", ")
    )
}
