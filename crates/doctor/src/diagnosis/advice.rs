//! What to do about an incident, and what to collect where the lines do not settle it.

use super::cause::Cause;
use super::judge::Verdict;
use super::sight::Sight;
use super::tally::Tally;
use super::weigh::Around;
use super::words::between;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// The rule of the review that tells more, such as `FLY104`.
    pub rule: &'static str,
    /// What: lowercase, no full stop.
    pub what: &'static str,
    /// The command that does it, or that tells what it would give.
    pub command: Option<String>,
}

/// Something to collect, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collect {
    /// What it settles: lowercase, no full stop.
    pub why: String,
    /// The command that collects it.
    pub command: String,
}

/// What to do, the most useful first.
pub(crate) fn advice(tally: &Tally, winner: Option<Cause>) -> Vec<Advice> {
    let list = match winner {
        Some(cause) if cause.fills_places() => of_places(cause),
        Some(Cause::CrashLoop) if tally.count(Sight::OutOfMemory) > 0 => {
            &[("FLY105", "raise memory, or lower hard_limit to what it holds")]
        }
        Some(cause) => of_lives(cause),
        None => &[],
    };
    let mut all: Vec<_> =
        list.iter().map(|(rule, what)| Advice { rule, what, command: None }).collect();
    if let Some(first) = all.first_mut().filter(|_| winner == Some(Cause::WorkingStreams)) {
        first.command = what_if(tally);
    }
    all
}

/// Predicts what twice the limit would give, with what came and how long the longest took. Who was refused is not among
/// what came: it may have tried again.
fn what_if(tally: &Tally) -> Option<String> {
    let hard = tally.limits.values().filter_map(|limit| limit.places).max()?.saturating_mul(2);
    let from = tally.exchanges.earliest?;
    let minutes = between(from, tally.heard).as_secs().div_ceil(60).max(1);
    let rate = tally.exchanges.served.div_ceil(minutes).max(1);
    let holding = tally.exchanges.longest.as_secs().max(1);
    Some(format!(
        "outlast doctor --what-if hard={hard},soft={} --arrivals {rate}/min --holding {holding}s",
        hard / 4 * 3
    ))
}

type List = &'static [(&'static str, &'static str)];

fn of_places(cause: Cause) -> List {
    match cause {
        Cause::WorkingStreams => &[
            (
                "FLY104",
                "raise hard_limit to the streams that are open at once, and a margin; the type alone makes no \
                 room for one more",
            ),
            (
                "FLY105",
                "give memory for as many, or the limit promises what the machine cannot hold",
            ),
            ("FLY403", "or add machines: places add up"),
        ],
        Cause::Zombies => &[
            (
                "FLY501",
                "send heartbeats, and end what does not answer: a ping each 30 s, an answer within 10 s",
            ),
            ("FLY506", "let a shorter idle_timeout end what is silent, as far as heartbeats allow"),
        ],
        Cause::LimitTooLowForBurst => &[
            ("FLY104", "raise hard_limit above the burst, or spread it over machines"),
            (
                "FLY102",
                "keep soft_limit at 75 to 80 % of it, so that other machines are started in time",
            ),
        ],
        _ => &[
            (
                "FLY101",
                "count requests: type = \"requests\", so that a connection without one has no place",
            ),
            ("FLY506", "or let idle connections end sooner: a shorter idle_timeout"),
        ],
    }
}

fn of_lives(cause: Cause) -> List {
    match cause {
        Cause::SlowStart => &[
            ("FLY401", "keep one machine running: min_machines_running = 1"),
            (
                "FLY505",
                "let the app listen before it is warm, and give its check the time it needs",
            ),
        ],
        Cause::FailingStart => &[
            ("FLY305", "let the app listen on 0.0.0.0 and on internal_port"),
            ("FLY502", "add a check, so that a deployment with such a version does not go through"),
        ],
        Cause::CrashLoop => &[
            ("FLY610", "read the app's last lines before each end: no setting mends it"),
            ("FLY502", "add a check, so that a version that ends like this is not brought out"),
        ],
        Cause::Deploy => &[
            (
                "FLY203",
                "raise kill_timeout to the longest stream, 300 s at most, and let clients take up where it stopped",
            ),
            ("FLY205", "set a kill_signal that the app handles, and let it drain"),
            ("FLY211", "roll: strategy = \"rolling\" waits for checks"),
        ],
        Cause::Suspend => &[
            (
                "FLY201",
                "do not suspend what holds streams: auto_stop_machines = \"off\", or \"stop\" with an app that drains",
            ),
            ("FLY202", "or move what needs no streams to a process group of its own"),
        ],
        _ => &[(
            "FLY501",
            "send heartbeats: a client or something between gives up what is silent, often after 60 s",
        )],
    }
}

/// What would tell the rivals apart.
pub(crate) fn collect(tally: &Tally, around: &Around<'_>, verdict: &Verdict) -> Vec<Collect> {
    let mut all = Vec::new();
    let settled = verdict.winner().is_some();
    let mut add = |why: &str, command: &str| {
        all.push(Collect { why: why.to_owned(), command: command.to_owned() });
    };
    let is_full = !tally.limits.is_empty() || tally.count(Sight::Refused) > 0;
    if settled && verdict.confidence() == crate::finding::Confidence::Certain {
        return all;
    }
    if is_full && !settled {
        let port = around.plan.and_then(|plan| plan.internal_port).unwrap_or(8080);
        add(
            "while it is full: which of the connections that hold places move bytes, and which are idle",
            &format!("fly ssh console -C \"ss -tnoi state established '( sport = :{port} )'\""),
        );
        add("the same from outside: places, states and their evidence", "outlast doctor --live");
    }
    if is_full && tally.exchanges.served == 0 {
        add(
            "how long each exchange lasted: let the app log the end of each with status, bytes and duration",
            "fly logs --json > fly.log",
        );
    }
    if !settled && !is_full {
        add("the lines from ten minutes before to ten minutes after", "fly logs --json > fly.log");
        add(
            "when machines were started, stopped and replaced, and by whom",
            "fly machine list && fly machine status MACHINE",
        );
    }
    if around.plan.is_none() && !settled {
        add("what is counted and where the limit is", "outlast doctor fly.toml --logs fly.log");
    }
    all
}
