//! What should be so before a deploy, and how much of it the files and a running gateway show.
//!
//! An item is done only where something shows it: that no rule speaks against it is not enough if the rules had to guess.

use crate::finding::{Confidence, Finding, Severity};
use crate::hints::Hints;
use crate::live::Live;
use crate::review::Review;

/// Something that should be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub id: &'static str,
    /// What should be so.
    pub title: &'static str,
    /// How to find out, or what to do.
    pub how: &'static str,
    /// The rules that speak against it.
    pub rules: &'static [&'static str],
    /// Who can show it.
    pub shown_by: ShownBy,
    /// What must have been told for the rules not to guess.
    flags: &'static [&'static str],
}

/// Who can show an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownBy {
    /// `fly.toml` and `outlast.toml`, with the flags.
    File,
    /// A running gateway.
    Live,
    /// Nobody but a person.
    Person,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It is shown to be so.
    Done,
    /// It is shown not to be so.
    Wrong,
    /// Somebody must look.
    Open,
}

impl Mark {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Wrong => "wrong",
            Self::Open => "open",
        }
    }
}

/// An item and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// What should be so.
    pub item: &'static Item,
    /// What became of it.
    pub mark: Mark,
    /// Why, a sentence each. Empty: it is done.
    pub why: Vec<String>,
    /// The findings that speak against it.
    pub findings: Vec<Finding>,
}

const fn file(
    id: &'static str,
    title: &'static str,
    how: &'static str,
    rules: &'static [&'static str],
    flags: &'static [&'static str],
) -> Item {
    Item { id, title, how, rules, shown_by: ShownBy::File, flags }
}

const fn live(
    id: &'static str,
    title: &'static str,
    how: &'static str,
    rules: &'static [&'static str],
) -> Item {
    Item { id, title, how, rules, shown_by: ShownBy::Live, flags: &[] }
}

const fn person(id: &'static str, title: &'static str, how: &'static str) -> Item {
    Item { id, title, how, rules: &[], shown_by: ShownBy::Person, flags: &[] }
}

const ITEMS: &[Item] = &[
    file(
        "decodes",
        "Fly decodes the file, and knows each of its keys",
        "mend what `outlast doctor` names; `outlast doctor --fix` does the spelling",
        &[
            "FLY306", "FLY503", "FLY507", "FLY601", "FLY602", "FLY603", "FLY606", "FLY608",
            "FLY690", "FLY691", "OUT691",
        ],
        &[],
    ),
    file(
        "limits",
        "Each service says what it counts, and how much of it",
        "measure how many streams a machine carries, and write that down as hard_limit",
        &["FLY101", "FLY102", "FLY103", "FLY106", "FLY107", "FLY109"],
        &[],
    ),
    file(
        "places",
        "There are places for all streams of the busiest minute",
        "tell --streams, --machines and --peak; a running gateway tells the peak: `outlast doctor --live`",
        &["FLY104", "FLY108"],
        &["--streams", "--machines", "--peak"],
    ),
    file(
        "memory",
        "Memory holds as many streams as the limits let in",
        "measure what a stream needs, its processes included, and tell --memory-per-stream",
        &["FLY105", "FLY406", "FLY607", "FLY609"],
        &["--memory-per-stream"],
    ),
    file(
        "autostop",
        "Nothing stops or suspends a machine that streams",
        "tell --streams; with streams, auto_stop_machines = \"off\"",
        &["FLY201", "FLY202", "FLY206"],
        &["--streams"],
    ),
    file(
        "cold-start",
        "A machine runs before the first request, and comes back if it ends",
        "tell --streams and --boot; min_machines_running = 1",
        &["FLY207", "FLY208", "FLY209", "FLY210", "FLY401", "FLY610"],
        &["--streams", "--boot"],
    ),
    file(
        "drain",
        "A deploy gives streams the time to end",
        "tell --streams and --machines; kill_timeout up to 300, a signal that the app handles, strategy rolling",
        &["FLY203", "FLY204", "FLY205", "FLY211", "FLY212", "FLY213", "OUT101", "OUT103"],
        &["--streams", "--machines"],
    ),
    file(
        "checks",
        "Every service has a check that a healthy app passes, and nobody takes it for more",
        "an http check on a cheap path, every 10 to 30 s; tell --boot",
        &["FLY502", "FLY504", "FLY505", "FLY509", "FLY510", "FLY511"],
        &["--boot"],
    ),
    file(
        "silence",
        "Silence ends no stream, and nothing holds its bytes back",
        "tell --streams; a heartbeat every 15 to 25 s, no compression of streams",
        &["FLY501", "FLY506", "FLY508", "OUT104", "OUT106"],
        &["--streams"],
    ),
    file(
        "ports",
        "Each public port has its handlers, and the app listens behind it",
        "mend what `outlast doctor` names; a raw port is on the internet as it is",
        &[
            "FLY301", "FLY302", "FLY303", "FLY304", "FLY305", "FLY307", "FLY308", "FLY309",
            "FLY310", "FLY311", "FLY312", "FLY313",
        ],
        &[],
    ),
    file(
        "machines",
        "One machine may fail, and no session with it",
        "tell --machines; two or more, each with its volume, and sessions where all find them",
        &["FLY402", "FLY403", "FLY404", "FLY405"],
        &["--machines"],
    ),
    file(
        "secrets",
        "No secret stands in the file",
        "`fly secrets set NAME=…`, and take it out of [env]",
        &["FLY604", "FLY605"],
        &[],
    ),
    file(
        "waiting",
        "Whoever finds no place waits in a queue that is fair",
        "queue.timeout above zero; behind a proxy listen.trusted_proxies",
        &["OUT102", "OUT105"],
        &[],
    ),
    live(
        "ready",
        "Every machine takes traffic",
        "`outlast doctor --live` names the machine, its state and the check that failed",
        &["LIVE109", "LIVE202"],
    ),
    live(
        "room",
        "Fewer than four fifths of the places are taken, and nobody waits or is refused",
        "docs/runbook.md",
        &["LIVE101", "LIVE102", "LIVE106", "LIVE107", "LIVE108", "LIVE110"],
    ),
    live(
        "peers",
        "Every place is held by somebody who is there and reads",
        "docs/troubleshooting.md",
        &["LIVE103", "LIVE104", "LIVE105"],
    ),
    live(
        "books",
        "The gateway's books agree with the sockets, and the kernel tells of them",
        "docs/admission.md tells of the ledger",
        &["LIVE201", "LIVE203", "LIVE204"],
    ),
    person(
        "signal",
        "The app finishes its streams when it gets kill_signal",
        "`outlast up`, open a stream, stop it with Ctrl-C: the log names whoever was cut",
    ),
    person(
        "resume",
        "Clients pick up a stream that was cut, and come again after a 503",
        "cut one: DELETE /api/exchanges/ID; and look whether the client keeps to Retry-After",
    ),
    person(
        "rehearsed",
        "The busiest hour was rehearsed with this very file",
        "`outlast up --no-auth`, then `outlast drill incident --url http://127.0.0.1:8080`",
    ),
    person(
        "alarm",
        "Somebody is woken at 80 % of the places, before users see 503",
        "outlast_slots over outlast_slots_limit; on Fly fly_app_concurrency over hard_limit",
    ),
    person(
        "back",
        "The way back is known, and who may take it",
        "`fly releases --image` names the image before; `fly deploy --image IMAGE` goes back",
    ),
];

/// All of them, in the order of docs/deploy-checklist.md.
#[must_use]
pub fn items() -> &'static [Item] {
    ITEMS
}

/// What became of each, by the review of the files and, if one was asked, a running gateway.
#[must_use]
pub fn check(review: &Review, hints: &Hints, live: Option<&Live>) -> Vec<Checked> {
    let of = |item: &'static Item| match (item.shown_by, live) {
        (ShownBy::File, _) => by_file(item, review, hints),
        (ShownBy::Live, Some(live)) => decide(item, against(item, &live.findings), &[]),
        (ShownBy::Live, None) => open(item, "--live asks a running gateway".to_owned()),
        (ShownBy::Person, _) => open(item, item.how.to_owned()),
    };
    ITEMS.iter().map(of).collect()
}

fn open(item: &'static Item, why: String) -> Checked {
    Checked { item, mark: Mark::Open, why: vec![why], findings: Vec::new() }
}

/// What is worth knowing speaks against nothing.
fn against(item: &Item, findings: &[Finding]) -> Vec<Finding> {
    let against = findings
        .iter()
        .filter(|finding| item.rules.contains(&finding.rule) && finding.severity != Severity::Info);
    against.cloned().collect()
}

fn by_file(item: &'static Item, review: &Review, hints: &Hints) -> Checked {
    let findings = against(item, &review.findings);
    if !review.is_decoded && findings.is_empty() {
        return open(item, "Fly cannot decode the file, so it shows nothing".to_owned());
    }
    let untold: Vec<_> = item.flags.iter().copied().filter(|flag| !hints.tell(flag)).collect();
    decide(item, findings, &untold)
}

fn decide(item: &'static Item, findings: Vec<Finding>, untold: &[&'static str]) -> Checked {
    let is_shown = findings.iter().any(|finding| finding.confidence != Confidence::Guess);
    let mut why: Vec<_> = findings.iter().map(told).collect();
    let mark = match (is_shown, findings.is_empty() && untold.is_empty()) {
        (true, _) => Mark::Wrong,
        (false, true) => Mark::Done,
        (false, false) => Mark::Open,
    };
    if mark == Mark::Open {
        let would = if findings.is_empty() { "nothing speaks against it yet; " } else { "" };
        why.push(match untold {
            [] => "it rests on a guess: look yourself".to_owned(),
            flags => format!("{would}{} would tell", flags.join(" ")),
        });
    }
    Checked { item, mark, why, findings }
}

fn told(finding: &Finding) -> String {
    match &finding.at {
        Some(at) => format!("{}: {} ({at})", finding.rule, finding.message),
        None => format!("{}: {}", finding.rule, finding.message),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rules::{live_pages, pages};

    #[test]
    fn every_rule_speaks_against_one_item() {
        let rules: Vec<_> = ITEMS.iter().flat_map(|item| item.rules).copied().collect();
        let distinct: BTreeSet<_> = rules.iter().copied().collect();
        assert_eq!(rules.len(), distinct.len(), "none speaks against two");
        assert_eq!(distinct, pages().iter().chain(live_pages()).map(|page| page.rule).collect());
    }

    #[test]
    fn the_document_has_these_items_in_this_order() {
        let page = include_str!("../../../docs/deploy-checklist.md");
        let mut lines = page.lines();
        let mut found = Vec::new();
        while let Some(line) = lines.next() {
            if line.starts_with("- [ ] ") {
                found.push((line.to_owned(), lines.next().unwrap_or_default().to_owned()));
            }
        }
        let line = |item: &Item| {
            let rules: Vec<_> = item.rules.iter().map(|rule| format!("`{rule}`")).collect();
            let rules =
                if rules.is_empty() { String::new() } else { format!(" ({})", rules.join(", ")) };
            (format!("- [ ] **{}**: {}{rules}", item.id, item.title), format!("  {}", item.how))
        };
        assert_eq!(found, ITEMS.iter().map(line).collect::<Vec<_>>());
    }
}
