//! Findings as a person reads them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use outlast_config::{Place, SourceText};
use outlast_doctor::{Capacity, Files, Finding, Review, Severity};

/// Every finding with its source line, then what changes of limits would give, then the count.
pub(super) fn draw(
    files: &Files<'_>,
    review: &Review,
    show_private: bool,
    coloured: bool,
) -> String {
    let fly = if show_private { files.fly.clone() } else { masked(files.fly, &review.secrets) };
    let texts: Vec<&SourceText> = [Some(&fly), files.outlast].into_iter().flatten().collect();
    let renderer = if coloured { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for finding in &review.findings {
        text.push_str(&renderer.render(&[group(finding, &texts)]));
        text.push_str("\n\n");
    }
    for capacity in &review.capacities {
        table(capacity, &mut text);
    }
    summary(review, &fly.name, &mut text);
    text
}

pub(super) fn group<'t>(finding: &'t Finding, texts: &[&'t SourceText]) -> Group<'t> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::High | Severity::Medium => Level::WARNING,
        Severity::Low | Severity::Info => Level::NOTE,
    };
    let mut group =
        Group::with_title(level.primary_title(finding.message.as_str()).id(finding.rule));
    let source = |place: &Place| texts.iter().find(|source| source.name == place.source).copied();
    if let Some((place, source)) =
        finding.at.as_ref().and_then(|place| Some((place, source(place)?)))
    {
        let primary =
            AnnotationKind::Primary.span(place.span.clone()).label(finding.label.as_deref());
        let also = finding.also.iter().filter(|(other, _)| other.source == place.source);
        let also = also.map(|(other, label)| {
            AnnotationKind::Context.span(other.span.clone()).label(label.as_str())
        });
        let snippet = Snippet::source(source.text.as_str()).path(&*source.name);
        group = group.element(snippet.annotation(primary).annotations(also));
    }
    let is_elsewhere =
        |other: &Place| finding.at.as_ref().is_none_or(|place| place.source != other.source);
    for (place, label) in finding.also.iter().filter(|(place, _)| is_elsewhere(place)) {
        group = group.element(Level::NOTE.with_name("at").message(format!("{place}: {label}")));
    }
    for evidence in &finding.evidence {
        group = group.element(Level::NOTE.with_name("seen").message(evidence.as_str()));
    }
    group = group.element(Level::NOTE.with_name("so").message(finding.consequence.as_str()));
    let by_itself = if finding.is_fixable() { " (--fix does it)" } else { "" };
    group =
        group.element(Level::HELP.with_name("fix").message(format!("{}{by_itself}", finding.fix)));
    let mut sure = format!("{}, {}", finding.severity, finding.confidence);
    if !finding.assumed.is_empty() {
        let _written = write!(sure, ": {}", finding.assumed.join("; "));
    }
    group.element(Level::INFO.with_name("sure").message(sure))
}

fn table(capacity: &Capacity, text: &mut String) {
    let Some(now) = capacity.changes.first() else { return };
    text.push_str(&format!("streams at once, {}:\n\n", capacity.service));
    let width = capacity.changes.iter().map(|change| change.what.len()).max().unwrap_or(0);
    text.push_str(&format!(
        "  {:width$}  {:>8}  {:>8}  {:>12}\n",
        "", "places", "more", "memory holds"
    ));
    for change in &capacity.changes {
        let more = i128::from(change.places) - i128::from(now.places);
        let (what, places, holds) = (&change.what, change.places, change.memory_holds);
        text.push_str(&format!("  {what:width$}  {places:>8}  {more:>+8}  {holds:>12}\n"));
    }
    text.push('\n');
    if capacity.changes.iter().any(|change| change.what.starts_with("type =")) {
        text.push_str(
            "The type alone makes room for not one more stream: under both types each holds its place \
            until its last byte.\n\
             What it ends is that idle upstream connections hold places between requests.\n",
        );
    }
    for assumed in &capacity.assumed {
        text.push_str(&format!("Assumed: {assumed}.\n"));
    }
    text.push('\n');
}

pub(super) fn summary(review: &Review, name: &str, text: &mut String) {
    let allowed = match review.allowed {
        0 => String::new(),
        allowed => format!(", and {allowed} that the file allows"),
    };
    if review.findings.is_empty() {
        text.push_str(&format!("{name}: nothing found{allowed}\n"));
        return;
    }
    let all = [Severity::Error, Severity::High, Severity::Medium, Severity::Low, Severity::Info];
    let counts = all.into_iter().filter_map(|severity| {
        let count = review.findings.iter().filter(|finding| finding.severity == severity).count();
        (count > 0).then(|| format!("{count} {severity}"))
    });
    let counts: Vec<_> = counts.collect();
    let total = review.findings.len();
    let plural = if total == 1 { "" } else { "s" };
    text.push_str(&format!("{name}: {total} finding{plural}{allowed}: {}\n", counts.join(", ")));
    let fixable = review.findings.iter().filter(|finding| finding.is_fixable()).count();
    if fixable > 0 {
        text.push_str(&format!("--fix mends {fixable} of them; --fix --dry-run shows how\n"));
    }
    let guesses = review.findings.iter().filter(|finding| !finding.assumed.is_empty());
    let flags: BTreeSet<&str> = guesses.flat_map(|finding| finding.flags.iter().copied()).collect();
    if !flags.is_empty() {
        let flags: Vec<_> = flags.into_iter().collect();
        text.push_str(&format!("{} would settle what was guessed\n", listed(&flags)));
    }
    text.push_str("outlast explain RULE tells more about each\n");
}

/// `a, b and c`.
pub(super) fn listed(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// The text with its secrets as stars, byte for byte, so that places stay what they are.
pub(super) fn masked(source: &SourceText, secrets: &[Range<usize>]) -> SourceText {
    let mut bytes = source.text.clone().into_bytes();
    for secret in secrets {
        for byte in bytes.get_mut(secret.clone()).unwrap_or_default() {
            if !matches!(*byte, b'\n' | b'\r' | b'"' | b'\'') {
                *byte = b'*';
            }
        }
    }
    let text = String::from_utf8(bytes).expect("whole characters became stars");
    SourceText { name: source.name.clone(), text }
}
