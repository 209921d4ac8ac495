//! The matrix as it is printed, and stands in the documents.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::rows::rows;
use super::story::Story;
use super::subjects::{Row, Side, Subject, Truth};

/// Of each state.
const EXAMPLES_MAX: usize = 6;

/// Truth, who, and how: the first cells of a row.
pub(super) fn names(side: Side, row: &Row) -> Vec<String> {
    let truth = if row.truth == Truth::Living { "living" } else { "dead" };
    let who = match side {
        Side::Client => "client",
        Side::Machine => "machine",
    };
    vec![truth.to_owned(), who.to_owned(), row.name.to_owned()]
}

/// Counts of truth and verdict, and the rows.
pub(super) fn matrix(subjects: &[Subject], stories: &[Story], hold: Duration) -> String {
    let mut text = format!("held for {} s, {} exchanges\n\n", hold.as_secs(), subjects.len());
    text.push_str("| | kept | released |\n| --- | --- | --- |\n");
    for (truth, is_living) in [("living", true), ("dead", false)] {
        let count = |is_kept: bool| {
            let all = subjects.iter().zip(stories);
            let of = all.filter(|(subject, _)| (subject.row.truth == Truth::Living) == is_living);
            of.filter(|(_, story)| (story.outcome() == "completed") == is_kept).count()
        };
        writeln!(text, "| {truth} | {} | {} |", count(true), count(false)).expect("memory");
    }
    text.push_str("\n| Truth | Who | What | Streams | Shown | Done | After |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
    for (side, row) in rows() {
        let all: Vec<_> = subjects
            .iter()
            .zip(stories)
            .filter(|(subject, _)| std::ptr::eq(subject.row, row))
            .collect();
        let kinds: Vec<_> = all.iter().map(|(subject, _)| subject.kind.name()).collect();
        let stories: Vec<_> = all.iter().map(|(_, story)| *story).collect();
        let cells = [
            names(side, row).join(" | "),
            kinds.join(", "),
            states(&stories),
            done(&stories),
            after(&stories),
        ];
        writeln!(text, "| {} |", cells.join(" | ")).expect("memory");
    }
    text
}

/// The words of the gateway: the last evidence of each state, and of releases.
pub(super) fn examples(stories: &[Story], releases: &[Value]) -> String {
    let mut evidence: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for shown in stories.iter().flat_map(|story| &story.shown) {
        evidence.entry(&shown.state).or_default().insert(&shown.evidence);
    }
    let mut text = String::new();
    for (state, words) in evidence {
        let few: Vec<_> =
            words.iter().step_by(words.len().div_ceil(EXAMPLES_MAX)).copied().collect();
        writeln!(text, "{state}:\n  {}", few.join("\n  ")).expect("memory");
    }
    text.push_str("released:\n");
    for release in releases {
        let words = release["evidence"].as_str().unwrap_or_default();
        writeln!(text, "  {}: {words}", release["reason"].as_str().unwrap_or_default())
            .expect("memory");
    }
    text
}

/// Everything that was shown, in the order of its first appearance.
fn states(stories: &[&Story]) -> String {
    let shown = stories.iter().flat_map(|story| &story.shown);
    let states = distinct(shown.map(|shown| shown.state.as_str()));
    if states.is_empty() { "–".to_owned() } else { states }
}

fn done(stories: &[&Story]) -> String {
    distinct(stories.iter().map(|story| match story.outcome() {
        "completed" => "kept",
        other => other,
    }))
}

fn distinct<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut found: Vec<&str> = Vec::new();
    for word in words {
        if !found.contains(&word) {
            found.push(word);
        }
    }
    found.join(", ")
}

/// The shortest and the longest time to a release.
fn after(stories: &[&Story]) -> String {
    let times = stories.iter().filter_map(|story| story.released_after());
    let mut times: Vec<_> = times.map(|time| time.as_secs_f64()).collect();
    times.sort_by(f64::total_cmp);
    let (Some(min), Some(max)) = (times.first(), times.last()) else { return "–".to_owned() };
    if *max < 2.0 {
        return format!("< {:.0} s", max.ceil());
    }
    let (min, max) = (format!("{min:.0}"), format!("{max:.0} s"));
    if max.starts_with(&min) { max } else { format!("{min}–{max}") }
}
