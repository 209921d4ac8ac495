//! What led to what, in the words of the explanation that won.

use crate::capacity::count;
use crate::finding::Confidence;

use super::cause::Cause;
use super::incident::failed;
use super::sight::Sight;
use super::tally::{Span, Tally};
use super::weigh::called;
use super::words::{span, times};

/// A link of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When it began, in nanoseconds as [`crate::logs::When::nanoseconds`] has them. `None`: no line says.
    pub at: Option<i64>,
    /// What happened: lowercase, no full stop.
    pub what: String,
    /// How sure it is. What a line says is certain; what explains it is as sure as the verdict.
    pub confidence: Confidence,
}

/// The conclusion in a line.
pub(crate) fn title(tally: &Tally, winner: Option<Cause>) -> String {
    let failed = match failed(tally) {
        0 => String::new(),
        failed => format!("{} failed: ", count(failed, "request")),
    };
    match winner {
        Some(cause) => format!("{failed}{}", cause.claim()),
        None => {
            let full = tally.limits.iter().next().map(|(machine, limit)| {
                let places = limit.places.map(|places| format!(" of {places}")).unwrap_or_default();
                format!("{} was at its limit{places}", called(machine))
            });
            let what = full.unwrap_or_else(|| "something went wrong".to_owned());
            format!("{what}, and there is not enough evidence to say why")
        }
    }
}

/// The chain, first things first.
pub(crate) fn chain(tally: &Tally, winner: Option<Cause>, sure: Confidence) -> Vec<Step> {
    let mut steps = Vec::new();
    match winner {
        Some(cause) if cause.fills_places() => steps.push(held(tally, cause, sure)),
        Some(Cause::SlowStart | Cause::FailingStart) => starts(tally, &mut steps),
        Some(Cause::CrashLoop) => crashes(tally, &mut steps),
        Some(Cause::Deploy) => {
            seen(
                tally,
                &[Sight::Deploy, Sight::Signal, Sight::DrainBegan, Sight::Started],
                &mut steps,
            );
        }
        Some(Cause::Suspend) => {
            seen(
                tally,
                &[Sight::Autosuspend, Sight::Suspended, Sight::Autostop, Sight::Started],
                &mut steps,
            );
        }
        _ => {}
    }
    full(tally, &mut steps);
    failures(tally, &mut steps);
    left(tally, winner, sure, &mut steps);
    steps.sort_by_key(|step| step.at.unwrap_or(i64::MIN));
    steps
}

fn certain(at: i64, what: String) -> Step {
    Step { at: Some(at), what, confidence: Confidence::Certain }
}

fn held(tally: &Tally, cause: Cause, confidence: Confidence) -> Step {
    let what = match (cause, tally.moments.held(i64::MAX)) {
        (Cause::WorkingStreams, Some(held)) => format!(
            "{} of {} places were held by exchanges at work, the longest {}",
            held.long.min(held.limit),
            held.limit,
            span(tally.exchanges.longest)
        ),
        (Cause::Zombies, Some(held)) if held.vanished > 0 => format!(
            "{} of {} places were held by exchanges whose clients had vanished",
            held.vanished.min(held.limit),
            held.limit
        ),
        _ => cause.claim().to_owned(),
    };
    let at = match cause {
        Cause::WorkingStreams => tally.exchanges.earliest,
        _ => None,
    };
    Step { at, what, confidence }
}

fn starts(tally: &Tally, steps: &mut Vec<Step>) {
    seen(tally, &[Sight::Autostop, Sight::Autosuspend, Sight::Starting], steps);
    let slowest = tally.machines.iter().max_by_key(|(_, machine)| machine.slowest);
    if let Some((name, machine)) = slowest.filter(|(_, machine)| !machine.slowest.is_zero()) {
        let what = match machine.reached {
            0 => format!(
                "{} was waited for {} and did not answer",
                called(name),
                span(machine.slowest)
            ),
            _ => format!("{} took {} until it answered", called(name), span(machine.slowest)),
        };
        let at = [Sight::Waiting, Sight::ReachableLate, Sight::Reachable];
        let at = at.into_iter().find_map(|sight| tally.span(sight)).map(|span| span.first);
        steps.push(certain(at.unwrap_or(tally.began.nanoseconds()), what));
    }
}

fn crashes(tally: &Tally, steps: &mut Vec<Step>) {
    seen(tally, &[Sight::OutOfMemory, Sight::Starting], steps);
    let worst = tally.machines.iter().max_by_key(|(_, machine)| machine.bad_exits());
    if let (Some((name, machine)), Some(span)) = (worst, tally.span(Sight::BadExit)) {
        let how = match machine.last_exit() {
            Some(crate::logs::ExitCause::Code(code)) => format!(", last with code {code}"),
            Some(crate::logs::ExitCause::Signal(signal)) => format!(", last by signal {signal}"),
            _ => String::new(),
        };
        let how_often = times(machine.bad_exits().into());
        steps.push(certain(
            span.first,
            format!("the app of {} ended by itself {how_often}{how}", called(name)),
        ));
    }
}

fn seen(tally: &Tally, sights: &[Sight], steps: &mut Vec<Step>) {
    for sight in sights {
        if let Some(span) = tally.span(*sight) {
            steps.push(certain(span.first, told(*sight, span)));
        }
    }
}

fn told(sight: Sight, span: &Span) -> String {
    match span.count {
        1 => sight.phrase().to_owned(),
        number => format!("{} ({})", sight.phrase(), times(number)),
    }
}

fn full(tally: &Tally, steps: &mut Vec<Step>) {
    let first = tally.limits.iter().min_by_key(|(_, limit)| limit.span.first);
    if let Some((name, limit)) = first {
        let places = limit.places.map(|places| format!(" of {places}")).unwrap_or_default();
        let what =
            format!("{} was at its hard limit{places} ({})", called(name), times(limit.span.count));
        steps.push(certain(limit.span.first, what));
    }
}

fn failures(tally: &Tally, steps: &mut Vec<Step>) {
    let failures = tally.sights().filter(|(sight, _)| {
        sight.is_failed_request()
            || matches!(
                sight,
                Sight::Refused
                    | Sight::NoMachine
                    | Sight::Draining
                    | Sight::MachineFailed
                    | Sight::TimedOut
                    | Sight::Cut
                    | Sight::ServerError
            )
    });
    for (sight, span) in failures {
        let code = match sight {
            Sight::Proxy(code) => format!("{code}: "),
            _ => String::new(),
        };
        steps.push(certain(span.first, format!("{code}{}", told(sight, span))));
    }
}

fn left(tally: &Tally, winner: Option<Cause>, sure: Confidence, steps: &mut Vec<Step>) {
    let left = [Sight::Aborted, Sight::ClientGone, Sight::Broken];
    let left: Vec<_> = left.into_iter().filter_map(|sight| tally.span(sight)).collect();
    let number: u64 = left.iter().map(|span| span.count).sum();
    let Some(at) = left.iter().map(|span| span.first).min() else { return };
    let (what, confidence) = match winner {
        Some(Cause::ClientAborts) => (format!("{} by clients", count(number, "abort")), sure),
        _ => (
            format!("{} by clients: a symptom, as a rule", count(number, "abort")),
            sure.max(Confidence::Likely),
        ),
    };
    steps.push(Step { at: Some(at), what, confidence });
}
