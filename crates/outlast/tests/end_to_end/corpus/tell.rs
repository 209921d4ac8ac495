//! What a log of the platform says of what was seen: the proxy's, the runner's and the app's own lines, and nothing that the
//! platform does not tell.

use super::cast::Cast;
use super::drive::{Exchange, Fact, What};
use super::machine;
use super::script::{Chance, Script};
use super::voice::{self, Voice};

/// One line of a log, whatever its form.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) at: f64,
    /// `app`, `proxy`, `runner` or `health`.
    pub(super) who: &'static str,
    pub(super) machine: Option<usize>,
    pub(super) level: &'static str,
    pub(super) text: String,
    /// A code such as `PR04`, of an error of the proxy.
    pub(super) code: Option<&'static str>,
    /// Method and id of the request that an error is about.
    pub(super) request: Option<(String, String)>,
}

impl Record {
    pub(super) fn new(
        at: f64,
        who: &'static str,
        machine: usize,
        level: &'static str,
        text: impl Into<String>,
    ) -> Self {
        let (machine, text) = (Some(machine), text.into());
        Self { at, who, machine, level, text, code: None, request: None }
    }

    pub(super) fn app(at: f64, machine: usize, text: impl Into<String>) -> Self {
        Self::new(at, "app", machine, "info", text)
    }

    pub(super) fn error(
        at: f64,
        machine: usize,
        code: &'static str,
        text: impl Into<String>,
    ) -> Self {
        Self { code: Some(code), ..Self::new(at, "proxy", machine, "error", text) }
    }
}

/// How a story is told.
pub(super) struct Telling {
    pub(super) voice: Voice,
    /// How often the proxy tries before it gives up.
    pub(super) attempts: u32,
    /// Whether the app's own lines are there at all.
    pub(super) app: AppLines,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AppLines {
    Told,
    Silent,
}

/// Everything that the window shows, in its order.
pub(super) fn tell(
    script: &Script,
    facts: &[Fact],
    telling: &Telling,
    cast: &Cast,
    chance: &mut Chance,
) -> Vec<Record> {
    let mut records = Vec::new();
    let mut teller = machine::Teller::new(script, telling.voice, cast, chance);
    let mut ordered: Vec<_> = facts.iter().collect();
    ordered.sort_by(|one, other| one.at.total_cmp(&other.at));
    for fact in &ordered {
        let at = fact.at;
        match &fact.what {
            What::Exchange(one) => {
                records.extend(app_lines(one, at, telling, cast));
                records.extend(teller.failure(one, at));
            }
            What::HardLimit(machine) => records.push(hard_limit(at, *machine, script, cast)),
            What::NoCandidate if teller.is_cold() => {}
            What::NoCandidate => records.push(no_candidate(at, telling)),
            What::NoPong { machine, request } => {
                let text = voice::no_pong(telling.voice, request, at, script.pings, cast);
                records.push(Record::app(at, *machine, text));
            }
            What::Starting => teller.starting(at, &ordered, &mut records),
            What::Act(act) => teller.act(at, *act, &mut records),
            What::Remark(text) => records.push(Record::app(at, 0, text.as_str())),
        }
    }
    if telling.app == AppLines::Silent {
        records.retain(|record| record.who != "app");
    }
    let (from, to) = script.window;
    records.retain(|record| (from..=to).contains(&record.at));
    arrive(records, chance)
}

/// Lines come by way of several hosts, so that a log is not quite in order.
fn arrive(records: Vec<Record>, chance: &mut Chance) -> Vec<Record> {
    let mut arrivals: Vec<_> = records
        .into_iter()
        .map(|record| {
            let late = if record.who == "app" { 0.0 } else { 0.7 };
            (record.at + chance.between(0.0, late), record)
        })
        .collect();
    arrivals.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    arrivals.into_iter().map(|(_, record)| record).collect()
}

fn app_lines(one: &Exchange, end: f64, telling: &Telling, cast: &Cast) -> Vec<Record> {
    let Some(machine) = one.machine else { return Vec::new() };
    let said = voice::say(telling.voice, one, end, cast);
    said.into_iter().map(|(at, text)| Record::app(at, machine, text)).collect()
}

fn hard_limit(at: f64, machine: usize, script: &Script, cast: &Cast) -> Record {
    let text = format!(
        "Instance {} reached hard limit of {} concurrent {}. This usually indicates your app is not closing connections \
         properly or is not closing them fast enough for the traffic levels it is handling. Scaling resources, number of \
         instances or increasing your hard limit might help.",
        cast.machine(machine),
        script.hard,
        script.counts
    );
    Record::new(at, "proxy", machine, "warn", text)
}

fn no_candidate(at: f64, telling: &Telling) -> Record {
    let text = format!(
        "could not find a good candidate within {} attempts at load balancing",
        telling.attempts
    );
    Record::error(at, 0, "PR04", text)
}
