//! What is so about a service: the rival explanations, each confirmed or ruled out, then who it is and what they need.

use std::collections::BTreeMap;

use outlast_protocol::pool::Exchange;

use super::places::unanswered;
use super::words::{Names, are, count, either, host, lasting, time};
use super::{ServiceView, Statement, View};
use crate::finding::Confidence;

/// So many clients and paths are told of, and so many exchanges quoted.
const TOP: usize = 3;
const LEDGER: &str = "the gateway's own places, each with its holder, compared with the kernel's \
    sockets every second";

pub(super) fn of(view: &mut View<'_>, names: &mut Names) -> ServiceView {
    let places = &view.places;
    let mut statements = vec![taken(view)];
    if places.taken > 0 || !places.queued.is_empty() {
        statements.extend([working(view), zombies(view), slow_readers(view), idle(view)]);
    }
    statements.extend(queue(view));
    statements.extend(refusals(view));
    if places.held() > 0 {
        statements.push(holders(view, names));
        statements.push(paths(view, names));
    }
    // A service that nobody uses is not worth three lines.
    if view.demand.is_some() || view.is_short() {
        statements.push(demand(view));
    }
    ServiceView {
        name: view.service.name.clone(),
        accounting: view.service.accounting.clone(),
        places: places.hard,
        taken: places.taken,
        working: places.working(),
        slow_readers: places.slow.len() as u64,
        zombies: places.zombies.len() as u64,
        idle_connections: places.lingering,
        waiting: places.queued.len() as u64,
        refused: view.refused.lately(),
        need: view.demand.as_ref().map(|demand| demand.need),
        statements,
    }
}

fn statement(about: &'static str, says: String, evidence: Vec<String>) -> Statement {
    Statement { about, says, evidence, confidence: Confidence::Certain }
}

fn taken(view: &View<'_>) -> Statement {
    let places = &view.places;
    let says = match places.hard {
        Some(hard) => {
            format!("{} of {} {} taken", places.taken, count(hard, "place"), are(places.taken))
        }
        None => format!(
            "{} {} taken, and there is no limit",
            count(places.taken, "place"),
            are(places.taken)
        ),
    };
    let ready =
        view.service.machines.iter().filter(|machine| machine.state == "ready").count() as u64;
    let limit = view
        .service
        .limits
        .hard
        .map_or_else(|| "no hard limit".to_owned(), |hard| format!("a hard limit of {hard} each"));
    let machines = format!(
        "{} that {} traffic, {limit}",
        count(ready, "machine"),
        either(ready, "takes", "take")
    );
    statement("places", says, vec![LEDGER.to_owned(), machines])
}

fn working(view: &View<'_>) -> Statement {
    let places = &view.places;
    let working = places.working();
    let mut says = format!(
        "{} {}",
        count(working, "place"),
        either(working, "holds a working stream", "hold working streams")
    );
    if let Some(oldest) = places.active.iter().chain(&places.silent).map(|one| one.age_ms).max() {
        says.push_str(&format!(", the oldest {} old", time(oldest)));
    }
    let mut evidence = vec![format!("{} had a byte within 5 s", places.active.len())];
    if let Some(longest) = places.silent.iter().map(|one| one.idle_ms).max() {
        let silent = places.silent.len();
        evidence.push(format!(
            "{silent} {} silent for up to {} with everything acknowledged, as an agent at work is",
            are(silent as u64),
            time(longest)
        ));
    }
    statement("working_streams", says, evidence)
}

fn zombies(view: &View<'_>) -> Statement {
    let places = &view.places;
    let zombies = places.zombies.len() as u64;
    let (held, seen) = (places.held(), places.seen_by_kernel);
    if zombies > 0 {
        let longest = places.zombies.iter().map(|one| unanswered(one)).max().unwrap_or_default();
        let says = format!(
            "{} {} held by {}, unanswered for up to {}",
            count(zombies, "place"),
            are(zombies),
            either(zombies, "a zombie", "zombies"),
            time(longest)
        );
        return statement("zombies", says, quoted(&places.zombies));
    }
    if let Some(why) = view.evidence_missing {
        return Statement {
            confidence: Confidence::Guess,
            ..statement(
                "zombies",
                "whether there are zombies cannot be known".to_owned(),
                vec![format!("the kernel tells nothing of connections: {why}")],
            )
        };
    }
    let kernel = format!(
        "the kernel tells of the clients of {seen} of {held} exchanges: none has left bytes or \
            probes unanswered for 10 s"
    );
    let confidence = if seen == held { Confidence::Certain } else { Confidence::Likely };
    Statement {
        confidence,
        ..statement("zombies", "no place is held by a zombie".to_owned(), vec![kernel])
    }
}

fn slow_readers(view: &View<'_>) -> Statement {
    let slow = view.places.slow.len() as u64;
    if slow > 0 {
        let says = format!(
            "{} {} held by {}: alive, and not taking what waits",
            count(slow, "place"),
            are(slow),
            either(slow, "a slow reader", "slow readers"),
        );
        return statement("slow_readers", says, quoted(&view.places.slow));
    }
    let says = "no place is held by a slow reader".to_owned();
    match view.evidence_missing {
        None => statement(
            "slow_readers",
            says,
            vec!["no socket has bytes that have waited for 2 s".to_owned()],
        ),
        Some(why) => Statement {
            confidence: Confidence::Guess,
            ..statement(
                "slow_readers",
                "whether there are slow readers cannot be known".to_owned(),
                vec![format!("the kernel tells nothing of connections: {why}")],
            )
        },
    }
}

fn idle(view: &View<'_>) -> Statement {
    let (idle, accounting) = (view.places.lingering, &view.service.accounting);
    let evidence = if accounting == "connections" {
        "type connections: a connection to a machine keeps its place after its exchange, until \
            it closes"
    } else {
        "type requests: a place comes free with the last byte, whatever becomes of the connection"
    };
    let says = match idle {
        0 => "no place is held by an idle connection".to_owned(),
        _ => format!(
            "{} {} held by {} to machines that nobody uses",
            count(idle, "place"),
            are(idle),
            either(idle, "a connection", "connections")
        ),
    };
    statement("idle_connections", says, vec![evidence.to_owned()])
}

/// What the gateway says of the first few, in its own words.
pub(super) fn quoted(exchanges: &[&Exchange]) -> Vec<String> {
    let mut exchanges = exchanges.to_vec();
    exchanges.sort_by_key(|exchange| std::cmp::Reverse(exchange.age_ms));
    let mut quotes: Vec<_> = exchanges
        .iter()
        .take(TOP)
        .map(|one| format!("{} ({} old): {}", one.id, time(one.age_ms), one.evidence))
        .collect();
    if let Some(more) = exchanges.len().checked_sub(TOP).filter(|more| *more > 0) {
        quotes.push(format!("and {more} more of the same kind"));
    }
    quotes
}

fn queue(view: &View<'_>) -> Option<Statement> {
    let first = view.places.queued.first()?;
    let waiting = view.places.queued.len() as u64;
    let says = format!(
        "{} {} for a place, the longest for {}",
        count(waiting, "exchange"),
        either(waiting, "waits", "wait"),
        time(first.queue.map_or(first.age_ms, |queue| queue.waited_ms))
    );
    let estimate = match view.service.queue_estimate_ms {
        Some(estimate) => {
            format!("one more would wait about {}, as places came free lately", time(estimate))
        }
        None => {
            "no place has come free yet while all were taken, so nobody knows how long".to_owned()
        }
    };
    Some(statement("queue", says, vec![estimate]))
}

fn refusals(view: &View<'_>) -> Option<Statement> {
    let refused = &view.refused;
    if refused.since_start == 0 {
        return None;
    }
    let reasons: Vec<_> =
        refused.by_reason.iter().map(|(reason, count)| format!("{count} by {reason}")).collect();
    let says = match refused.within {
        Some(within) => format!(
            "{} refused in the {} that were watched, {} since the start",
            count(refused.lately(), "exchange"),
            lasting(within),
            refused.since_start
        ),
        None => format!("{} refused since the start", count(refused.since_start, "exchange")),
    };
    Some(statement(
        "refusals",
        says,
        if reasons.is_empty() { vec!["outlast_refusals_total".to_owned()] } else { reasons },
    ))
}

/// Places by client.
pub(super) fn by_client<'s>(view: &View<'s>) -> Vec<(&'s str, Vec<&'s Exchange>)> {
    grouped(view.places.holders(), |exchange| host(&exchange.client).to_owned())
        .into_iter()
        .filter_map(|(_, group)| Some((&*group.first()?.client, group)))
        .collect()
}

/// The largest group first; among equals in the order of their names.
fn grouped<'s>(
    exchanges: impl Iterator<Item = &'s Exchange>,
    key: impl Fn(&Exchange) -> String,
) -> Vec<(String, Vec<&'s Exchange>)> {
    let mut groups: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for exchange in exchanges {
        groups.entry(key(exchange)).or_default().push(exchange);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.len()));
    groups
}

fn holders(view: &View<'_>, names: &mut Names) -> Statement {
    let clients = by_client(view);
    let held = view.places.held();
    let oldest = view.places.oldest().map_or(0, |oldest| oldest.age_ms);
    let says = format!(
        "{} {} from {}, the oldest {} old",
        count(held, "exchange"),
        either(held, "comes", "come"),
        count(clients.len() as u64, "client"),
        time(oldest)
    );
    let evidence = clients.iter().take(TOP).map(|(client, group)| {
        let oldest = group.iter().map(|one| one.age_ms).max().unwrap_or_default();
        format!("{} has {}, the oldest {} old", names.client(client), group.len(), time(oldest))
    });
    statement("clients", says, evidence.collect())
}

fn paths(view: &View<'_>, names: &Names) -> Statement {
    let groups = grouped(view.places.holders(), |exchange| {
        format!("{} {}", exchange.method, names.path(&exchange.path)).trim_end().to_owned()
    });
    let evidence = |group: &(String, Vec<_>)| format!("{} × {}", group.1.len(), group.0);
    let evidence: Vec<_> = groups.iter().take(TOP).map(evidence).collect();
    match &groups[..] {
        [(path, _)] => statement("paths", format!("all of them are {path}"), Vec::new()),
        _ => {
            let says = format!("they are of {}", count(groups.len() as u64, "kind"));
            statement("paths", says, evidence)
        }
    }
}

fn demand(view: &View<'_>) -> Statement {
    let Some(demand) = &view.demand else {
        let says = "too few came to tell how many places they need".to_owned();
        return Statement {
            confidence: Confidence::Guess,
            ..statement("demand", says, vec!["fewer than 10 since the start".to_owned()])
        };
    };
    let within = lasting(demand.within);
    let least = if demand.is_least() { "at least " } else { "about " };
    let says = format!(
        "at this arrival rate {least}{} {} needed",
        count(demand.need, "place"),
        are(demand.need)
    );
    let when = if demand.is_watched { "while it was watched" } else { "since the start" };
    let mean = time(super::demand::round(demand.mean_ms));
    let time = match demand.ended {
        0 => format!("none has ended; they have held their places for {mean} on average"),
        ended => format!(
            "one holds its place for {least}{mean}, by {ended} that ended and those that have not"
        ),
    };
    let load = format!(
        "{:.1} places are held on average (arrivals × time), and two square roots more leave \
            room for bursts",
        demand.load
    );
    let arrivals = format!(
        "{} came in {within}, {when}; those who were refused and try again count each time",
        demand.arrivals
    );
    Statement {
        confidence: demand.confidence(),
        ..statement("demand", says, vec![arrivals, time, load])
    }
}
