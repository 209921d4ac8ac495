//! What is wrong with a running gateway: the rules whose ids begin with `LIVE`.

use super::View;
use super::snapshot::Snapshot;
use super::statements::{by_client, quoted};
use super::words::{Names, are, count, either, host, lasting, time};
use crate::finding::{Confidence, Finding, Severity};

/// From so many percent of the places on a service is nearly full: where the alerts of most people begin.
const NEARLY_FULL: u64 = 80;

/// One that starts admits as soon as a machine takes traffic.
pub(super) fn is_ending(snapshot: &Snapshot) -> bool {
    ["draining", "stopped"].contains(&&*snapshot.pool.phase)
}

/// What concerns all services.
pub(super) fn of_gateway(snapshot: &Snapshot, version: &str) -> Vec<Finding> {
    let pool = &snapshot.pool;
    let mut findings = Vec::new();
    if pool.ledger_mismatches > 0 {
        let message = format!(
            "places, permits and sockets disagreed {}",
            count(pool.ledger_mismatches, "time")
        );
        findings.push(
            Finding::new("LIVE201", Severity::High, Confidence::Certain, message)
                .by(["outlast_ledger_mismatch_total is not 0".to_owned()])
                .so("each was logged with its history and set right; the numbers here can be \
                    trusted again, and it should never happen")
                .fix(
                    "it is a defect of Outlast: report it with the log lines `permits, gauge \
                    and sockets disagree`",
                ),
        );
    }
    if is_ending(snapshot) {
        let message = format!("the gateway is {} and admits nobody", pool.phase);
        findings.push(
            Finding::new("LIVE202", Severity::Medium, Confidence::Certain, message)
                .by([format!("its phase, {} after its start", time(pool.uptime_ms))])
                .so("whoever comes is refused; exchanges in progress have drain.grace to finish, \
                    then they are cut")
                .fix(
                    "if nobody stopped it on purpose, look who sent it a signal; start it again \
                    when it has ended",
                ),
        );
    }
    if let Some(why) = &pool.evidence_missing {
        let message = "the kernel tells nothing of connections";
        findings.push(
            Finding::new("LIVE203", Severity::Low, Confidence::Certain, message)
                .by([why.clone()])
                .so("zombies and slow readers cannot be seen, and clients that vanish hold their \
                    places for longer")
                .fix("load the module tcp_diag, or allow netlink in the sandbox"),
        );
    }
    if pool.version != version {
        let theirs = if pool.version.is_empty() { "an earlier one" } else { &pool.version };
        let message = format!("the gateway's version is {theirs}, and this is {version}");
        findings.push(
            Finding::new("LIVE204", Severity::Info, Confidence::Certain, message)
                .by(["version of /api/pool".to_owned()])
                .so("what only one of the two knows is missing here; fields are only ever added")
                .fix("use the outlast that the gateway was started with"),
        );
    }
    findings
}

/// What concerns one service.
pub(super) fn of_service(view: &View<'_>, names: &mut Names) -> Vec<Finding> {
    let found = [
        machines(view),
        full(view).or_else(|| nearly_full(view)),
        idle_connections(view),
        zombies(view),
        slow_readers(view),
        one_client(view, names),
        refusals(view),
        queue(view),
        demand(view),
    ];
    found.into_iter().flatten().collect()
}

fn finding(rule: &'static str, severity: Severity, view: &View<'_>, says: &str) -> Finding {
    let message = format!("{}: {says}", view.service.name);
    Finding::new(rule, severity, Confidence::Certain, message)
}

fn machines(view: &View<'_>) -> Option<Finding> {
    let machines = &view.service.machines;
    let idle: Vec<_> = machines.iter().filter(|machine| machine.state != "ready").collect();
    let is_none_left = idle.len() == machines.len();
    // A machine that is being stopped with its gateway is no news.
    if view.is_ending || (idle.is_empty() && !machines.is_empty()) {
        return None;
    }
    let is_starting = !idle.is_empty() && idle.iter().all(|machine| machine.state == "checking");
    let severity = match (is_none_left, is_starting) {
        (true, false) => Severity::Error,
        (false, true) => Severity::Medium,
        _ => Severity::High,
    };
    let states = idle.iter().map(|machine| {
        let mut says = format!("{} is {} since {}", machine.id, machine.state, machine.since);
        // Not what checks said: it may be anything.
        let failed = machine.checks.iter().filter(|check| check.gates && check.status != "passing");
        failed.for_each(|check| says.push_str(&format!(", by its check {}", check.name)));
        if let Some(ejected) = &machine.ejected {
            says.push_str(&format!(", until {}: {}", ejected.until, ejected.reason));
        }
        says
    });
    let (idle_count, all) = (idle.len() as u64, machines.len() as u64);
    let says = if is_none_left {
        "no machine takes traffic".to_owned()
    } else {
        format!(
            "{idle_count} of {} {} no traffic",
            count(all, "machine"),
            either(idle_count, "takes", "take")
        )
    };
    let consequence = if is_none_left {
        "whoever comes is refused with 503"
    } else {
        "its places are missing: the other machines have all the load"
    };
    Some(finding("LIVE109", severity, view, &says).by(states).so(consequence).fix(
        "look at the machine's own log at that time, and at its check: does the path \
                answer 200 within the timeout?",
    ))
}

/// What to do about places that are held: it depends on who holds the most.
fn remedy(view: &View<'_>) -> &'static str {
    let places = &view.places;
    let rivals = [
        (places.working(), WORKING),
        (
            places.lingering,
            "count requests, or let waiting exchanges have the places of idle connections \
                (upstream.linger = \"evict\")",
        ),
        (
            places.zombies.len() as u64,
            "nothing: a client that vanished is released within 40 s. Look which network is down",
        ),
        (
            places.slow.len() as u64,
            "clocks.write_stall ends those who take nothing; else raise hard_limit",
        ),
    ];
    rivals.into_iter().max_by_key(|(held, _)| *held).map_or(WORKING, |(_, remedy)| remedy)
}

const WORKING: &str = "raise hard_limit as far as memory holds, or add machines; the type \
    changes nothing about working streams";

fn full(view: &View<'_>) -> Option<Finding> {
    let places = &view.places;
    let hard = places.hard.filter(|_| places.is_full())?;
    let says = format!("all {} {} taken", count(hard, "place"), are(hard));
    let queued = places.queued.len() as u64;
    let so = match queued {
        0 => "whoever comes now waits, and is refused with 503 after queue.timeout".to_owned(),
        _ => format!(
            "{} {} now; after queue.timeout they are refused with 503",
            count(queued, "exchange"),
            either(queued, "waits", "wait")
        ),
    };
    Some(finding("LIVE101", Severity::High, view, &says).by(held_by(view)).so(so).fix(remedy(view)))
}

fn nearly_full(view: &View<'_>) -> Option<Finding> {
    let (hard, usage) = (view.places.hard?, view.places.usage()?);
    if usage < NEARLY_FULL {
        return None;
    }
    let says = format!("{} of {} are taken ({usage} %)", view.places.taken, count(hard, "place"));
    let left = hard - view.places.taken;
    Some(
        finding("LIVE102", Severity::Medium, view, &says)
            .by(held_by(view))
            .so(format!(
                "{} {} left before exchanges wait and are refused",
                count(left, "place"),
                are(left)
            ))
            .fix(remedy(view)),
    )
}

/// Who holds the places, the most first.
fn held_by(view: &View<'_>) -> Vec<String> {
    let places = &view.places;
    let mut holders = [
        (places.working(), "working stream"),
        (places.lingering, "idle connection"),
        (places.zombies.len() as u64, "zombie"),
        (places.slow.len() as u64, "slow reader"),
    ];
    holders.sort_by_key(|(held, _)| std::cmp::Reverse(*held));
    let holders = holders.iter().filter(|(held, _)| *held > 0);
    let holders: Vec<_> = holders.map(|(held, what)| count(*held, what)).collect();
    vec![format!("held by {}", holders.join(", "))]
}

fn idle_connections(view: &View<'_>) -> Option<Finding> {
    let (idle, hard) = (view.places.lingering, view.places.hard?);
    // A fifth of the places, and somebody who misses them.
    if idle * 5 < hard || idle == 0 || !view.is_short() {
        return None;
    }
    let severity = if view.places.is_full() { Severity::High } else { Severity::Medium };
    let says =
        format!("{idle} of {} are held by idle connections to machines", count(hard, "place"));
    Some(
        finding("LIVE103", severity, view, &says)
            .by([format!(
                "{idle} upstream connections linger: their exchanges are over, and type \
                connections counts them until they close"
            )])
            .so("places are missing that nobody uses")
            .fix(
                "type = \"requests\" in fly.toml; here alone, upstream.linger = \"evict\" or a \
                shorter upstream.idle_timeout",
            ),
    )
}

fn zombies(view: &View<'_>) -> Option<Finding> {
    let zombies = &view.places.zombies;
    let number = zombies.len() as u64;
    if number == 0 {
        return None;
    }
    let severity = if view.places.is_full() { Severity::High } else { Severity::Medium };
    let says = format!(
        "{} {} held by {}",
        count(number, "place"),
        are(number),
        either(number, "a zombie", "zombies")
    );
    Some(
        finding("LIVE104", severity, view, &says)
            .by(quoted(zombies))
            .so("they are released 30 to 40 s after their peer vanished, later only where its \
                window was closed; until then nobody else has the places")
            .fix(
                "many at once: a network is down. To end one now: DELETE /api/exchanges/ID of \
                the admin listener",
            ),
    )
}

fn slow_readers(view: &View<'_>) -> Option<Finding> {
    let slow = &view.places.slow;
    let number = slow.len() as u64;
    if number == 0 {
        return None;
    }
    let severity = if view.is_short() { Severity::Medium } else { Severity::Low };
    let says = format!(
        "{} {} held by {}",
        count(number, "place"),
        are(number),
        either(number, "a slow reader", "slow readers")
    );
    Some(
        finding("LIVE105", severity, view, &says)
            .by(quoted(slow))
            .so("they live and take less than the machine sends; each keeps its place for as \
                long as it likes")
            .fix(
                "clocks.write_stall ends those who take nothing at all, such as \"5m\"; a \
                laptop that sleeps looks the same",
            ),
    )
}

fn one_client(view: &View<'_>, names: &mut Names) -> Option<Finding> {
    let hard = view.places.hard?;
    let clients = by_client(view);
    let (client, group) = clients.first()?;
    let held = group.len() as u64;
    // Alone it is all who come: nobody else misses the places.
    let others = view.places.queued.iter().any(|one| !is_of(one, client)) || clients.len() > 1;
    if held * 2 < hard || held < 2 || !others || !view.is_short() {
        return None;
    }
    let says = format!("{} holds {held} of {}", names.client(client), count(hard, "place"));
    let oldest = group.iter().map(|one| one.age_ms).max().unwrap_or_default();
    Some(
        finding("LIVE106", Severity::Medium, view, &says)
            .by([format!(
                "{held} exchanges come from its address, the oldest {} \
                old",
                time(oldest)
            )])
            .so("others wait or are refused while one has most of the places; behind a proxy, \
                all who come through it look like one")
            .fix(
                "listen.connections_per_client_max bounds one address; name a proxy in \
                listen.trusted_proxies (--show-private shows the address)",
            ),
    )
}

fn is_of(exchange: &outlast_protocol::pool::Exchange, client: &str) -> bool {
    host(&exchange.client) == host(client)
}

fn refusals(view: &View<'_>) -> Option<Finding> {
    let refused = view.refused.now();
    let within = view.refused.within?;
    if refused == 0 {
        return None;
    }
    let seconds = lasting(within);
    let says = format!(
        "{} {} refused within {seconds}",
        count(refused, "exchange"),
        either(refused, "was", "were")
    );
    let reasons =
        view.refused.by_reason.iter().map(|(reason, count)| format!("{count} by {reason}"));
    Some(finding("LIVE107", Severity::High, view, &says).by(reasons).so("users see 503 now").fix(
        "limit, queue_full and queue_deadline are about places: see who holds them. \
                none_healthy is about machines; docs/gateway.md tells of the others",
    ))
}

fn queue(view: &View<'_>) -> Option<Finding> {
    let first = view.places.queued.first()?;
    let waiting = view.places.queued.len() as u64;
    let waited = first.queue.map_or(first.age_ms, |queue| queue.waited_ms);
    let says =
        format!("{} {} for a place", count(waiting, "exchange"), either(waiting, "waits", "wait"));
    let deadline = first.queue.map(|queue| queue.deadline_ms);
    let mut evidence = vec![format!("the longest has waited for {}", time(waited))];
    if let Some(estimate) = view.service.queue_estimate_ms {
        evidence.push(format!("one more would wait about {}", time(estimate)));
    }
    let so = deadline.map_or_else(
        || "who waits too long is refused with 503".to_owned(),
        |deadline| {
            format!(
                "the first of them is refused with 503 in {} unless a place comes free",
                time(deadline)
            )
        },
    );
    Some(finding("LIVE108", Severity::Medium, view, &says).by(evidence).so(so).fix(remedy(view)))
}

fn demand(view: &View<'_>) -> Option<Finding> {
    let (demand, hard) = (view.demand.as_ref()?, view.places.hard?);
    if demand.need <= hard || !view.is_short() {
        return None;
    }
    let is_too_much = super::demand::round(demand.load.ceil()) > hard;
    let severity = match (is_too_much, demand.confidence()) {
        (true, Confidence::Guess) | (false, Confidence::Certain | Confidence::Likely) => {
            Severity::Medium
        }
        (true, _) => Severity::High,
        (false, Confidence::Guess) => Severity::Low,
    };
    let least = if demand.is_least() { "at least" } else { "about" };
    let says = format!(
        "{least} {} are needed at this arrival rate, and there {} {hard}",
        count(demand.need, "place"),
        are(hard)
    );
    let machines = view.service.machines.len().max(1) as u64;
    let each = demand.need.div_ceil(machines);
    let on_each = match machines {
        1 => String::new(),
        machines => format!(" on each of {machines} machines"),
    };
    let mut finding = finding("LIVE110", severity, view, &says)
        .by([
            format!("{} came in {}", demand.arrivals, lasting(demand.within)),
            format!(
                "one holds its place for {least} {}",
                time(super::demand::round(demand.mean_ms))
            ),
            format!(
                "so {:.1} places are held on average, and two square roots more for bursts",
                demand.load
            ),
        ])
        .so(if is_too_much {
            "more comes than ever leaves: the queue fills whatever its length"
        } else {
            "bursts are refused"
        })
        .fix(format!(
            "hard_limit = {each}{on_each}, if memory holds it: outlast doctor --peak {} \
             --memory-per-stream SIZE",
            demand.need
        ));
    finding.confidence = demand.confidence();
    Some(finding)
}
