//! Incidents as a person reads them: the conclusion first, then what is certain, how it came, and why it was nothing else.

use std::fmt::Write as _;

use annotate_snippets::{Group, Level, Origin, Renderer};
use outlast_doctor::diagnosis::report::{beside, percent, spoken, time};
use outlast_doctor::diagnosis::{Diagnosed, Found, Incident, PlanUse, Rival};
use outlast_doctor::{Confidence, Severity};

use super::wrap::wrap;

/// How a report is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) coloured: bool,
    /// Characters in a line.
    pub(super) width: usize,
}

/// Rivals below this are told together, each by what speaks against it most.
const HARDLY: f64 = 0.01;
/// Of each rival so many pieces of evidence are shown; JSON has all.
const SHOWN: usize = 3;

/// Every incident, then the count.
pub(super) fn draw(diagnosed: &Diagnosed, names: &[String], style: Style) -> String {
    let mut text = String::new();
    for incident in &diagnosed.incidents {
        text.push_str(&one(incident, names, style));
    }
    summary(diagnosed, names, style, &mut text);
    text
}

/// One incident.
pub(super) fn one(incident: &Incident, names: &[String], style: Style) -> String {
    let mut text = head(incident, names, style);
    text.push('\n');
    chain(incident, style, &mut text);
    rivals(incident, style, &mut text);
    actions(incident, style, &mut text);
    text
}

fn head(incident: &Incident, names: &[String], style: Style) -> String {
    let level = match incident.severity {
        Severity::Error => Level::ERROR,
        Severity::High | Severity::Medium => Level::WARNING,
        Severity::Low | Severity::Info => Level::NOTE,
    };
    // "   = certain: " stands before a note.
    let fit = |label: &str, text: &str| wrap(text, style.width.saturating_sub(7 + label.len()), 0);
    let title = wrap(&incident.title, style.width.saturating_sub(10 + incident.cause().len()), 0);
    let place = incident.position;
    let file = names.get(usize::from(place.file)).map_or("log", |name| name);
    let origin = Origin::path(file).line(usize::try_from(place.line).unwrap_or(usize::MAX));
    let notes = [("when", when(incident)), ("sure", sure(incident))].into_iter();
    let certain = incident.certain.iter().map(|text| ("certain", text.clone()));
    let open = incident.open.iter().map(|text| ("open", text.clone()));
    let notes = notes.chain(certain).chain(open);
    let notes = notes.map(|(label, text)| Level::NOTE.with_name(label).message(fit(label, &text)));
    let title = level.primary_title(title).id(incident.cause());
    let group = Group::with_title(title).element(origin).elements(notes);
    let renderer = if style.coloured { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group]) + "\n"
}

fn when(incident: &Incident) -> String {
    let began = incident.began;
    let lasted = i64::try_from(incident.lasted.as_nanos()).unwrap_or(i64::MAX);
    let ended = time(beside(began, began.nanoseconds().saturating_add(lasted)));
    let begins = time(began);
    match begins == ended {
        true => begins,
        false => format!("{begins} to {ended}, {}", spoken(incident.lasted)),
    }
}

fn sure(incident: &Incident) -> String {
    let share = percent(incident.verdict.share());
    match incident.verdict.winner() {
        Some(_) => format!("{}, {share} %", incident.confidence()),
        None => {
            let first = incident.verdict.rivals.first().map_or("", |rival| rival.cause.title());
            format!("not enough: the likeliest, {first}, has {share} %")
        }
    }
}

fn chain(incident: &Incident, style: Style, text: &mut String) {
    for step in &incident.chain {
        let at = step.at.map(|at| time(beside(incident.began, at)));
        let at = at.unwrap_or_else(|| "because".to_owned());
        // The date stands above; a chain goes from minute to minute.
        let at = at.rsplit('T').next().unwrap_or_default().trim_end_matches('Z');
        let sure = match step.confidence {
            Confidence::Certain => String::new(),
            other => format!(" ({other})"),
        };
        let what = wrap(&format!("{}{sure}", step.what), style.width.saturating_sub(12), 0);
        line(text, &format!("  {at:8}  "), &what);
    }
    text.push('\n');
}

/// A text of several lines behind something that stands before the first.
fn line(text: &mut String, before: &str, what: &str) {
    let indent = before.chars().count();
    for (number, piece) in what.lines().enumerate() {
        match number {
            0 => text.push_str(before),
            _ => text.extend(std::iter::repeat_n(' ', indent)),
        }
        text.push_str(piece);
        text.push('\n');
    }
}

fn rivals(incident: &Incident, style: Style, text: &mut String) {
    let (likely, hardly): (Vec<&Rival>, Vec<&Rival>) =
        incident.verdict.rivals.iter().partition(|rival| rival.share >= HARDLY);
    let width = likely.iter().map(|rival| rival.cause.title().len()).max().unwrap_or(0);
    let alike = alike(&likely);
    for rival in &likely {
        let share = percent(rival.share);
        let mut before = format!("  {share:>3} %  {:width$}  ", rival.cause.title());
        let telling = |side: &[(Found, i32)]| -> Vec<(Found, i32)> {
            let telling = side.iter().filter(|(found, _)| !alike.contains(&found.item.id));
            telling.take(SHOWN).cloned().collect()
        };
        let shown = [telling(&rival.supports), telling(&rival.objections)].concat();
        for (found, weight) in &shown {
            let lead = format!("{before}{weight:+3}  ");
            let fit = wrap(&reason(found), style.width.saturating_sub(lead.len()), 0);
            line(text, &lead, &fit);
            before = " ".repeat(before.len());
        }
        if shown.is_empty() {
            text.push_str(before.trim_end());
            text.push('\n');
        }
    }
    for (found, weight) in likely.first().into_iter().flat_map(|rival| &rival.supports) {
        if alike.contains(&found.item.id) {
            let what = format!("{weight:+} for each of them: {}", reason(found));
            line(text, "  ", &wrap(&what, style.width.saturating_sub(2), 0));
        }
    }
    if !hardly.is_empty() {
        let told = format!("hardly: {}", grouped(&hardly));
        line(text, "  ", &wrap(&told, style.width.saturating_sub(2), 8));
    }
    text.push('\n');
}

/// `zombies, idle connections (10 of 10 places …); a slow start (no line …)`: by what speaks against them most.
fn grouped(rivals: &[&Rival]) -> String {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for rival in rivals {
        let why = rival.objections.first().map_or("", |(found, _)| &found.saw);
        match groups.iter_mut().find(|(other, _)| *other == why) {
            Some((_, titles)) => titles.push(rival.cause.title()),
            None => groups.push((why, vec![rival.cause.title()])),
        }
    }
    let told = groups.into_iter().map(|(why, titles)| match why {
        "" => titles.join(", "),
        why => format!("{} ({why})", titles.join(", ")),
    });
    told.collect::<Vec<_>>().join("; ")
}

/// Evidence that speaks for all of the likely ones alike, and tells them apart in nothing.
fn alike(likely: &[&Rival]) -> Vec<&'static str> {
    let Some((first, others)) = likely.split_first().filter(|(_, others)| !others.is_empty())
    else {
        return Vec::new();
    };
    let same = |found: &Found, weight: i32| {
        others.iter().all(|rival| found.item.weight(rival.cause) == weight)
    };
    let supports = first.supports.iter().filter(|(found, weight)| same(found, *weight));
    supports.map(|(found, _)| found.item.id).collect()
}

fn reason(found: &Found) -> String {
    format!("{}: {}", found.saw, found.item.why)
}

fn actions(incident: &Incident, style: Style, text: &mut String) {
    let label = |name: &str| match style.coloured {
        true => format!("\u{1b}[1m{name}\u{1b}[0m"),
        false => name.to_owned(),
    };
    for advice in &incident.advice {
        let what = format!("{} ({})", advice.what, advice.rule);
        let what = wrap(&what, style.width.saturating_sub(6), 0);
        line(text, "  do: ", &what);
        if let Some(command) = &advice.command {
            text.push_str(&format!("      {}\n", label(command)));
        }
    }
    for collect in &incident.collect {
        let why = wrap(&collect.why, style.width.saturating_sub(11), 0);
        line(text, "  collect: ", &why);
        // A command is one line, to be copied.
        text.push_str(&format!("      {}\n", label(&collect.command)));
    }
    if !incident.advice.is_empty() || !incident.collect.is_empty() {
        text.push('\n');
    }
}

fn summary(diagnosed: &Diagnosed, names: &[String], style: Style, text: &mut String) {
    let mut said = format!("{}: ", names.join(", "));
    let count = diagnosed.incidents.len();
    match count {
        0 => said.push_str("no incident"),
        1 => said.push_str("1 incident"),
        _ => {
            let _written = write!(said, "{count} incidents");
        }
    }
    let further: u64 = diagnosed.untold.values().sum();
    if further > 0 {
        let _written = write!(said, ", and {further} more that are not told one by one");
    }
    let _written = write!(said, " in {} events", diagnosed.events);
    if let Some((from, to)) = diagnosed.span {
        let _written = write!(said, " from {} to {}", time(from), time(to));
    }
    text.push_str(&wrap(&said, style.width, 0));
    text.push('\n');
    match &diagnosed.plan {
        Some((plan, PlanUse::Evidence)) => {
            text.push_str(&format!("{} was used as evidence\n", plan.name));
        }
        Some((plan, PlanUse::OtherLimit)) => {
            let said =
                format!("{} was not used: its limit is another one than the log's", plan.name);
            text.push_str(&wrap(&said, style.width, 0));
            text.push('\n');
        }
        None => {}
    }
    if count > 0 {
        text.push_str(
            "weights are decibans: +10 is ten times as likely; docs/diagnosis.md has them all\n",
        );
    }
}
