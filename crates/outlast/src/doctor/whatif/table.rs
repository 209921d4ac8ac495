//! A prediction as a person reads it: the variants side by side, within 80 columns.

use std::time::Duration;

use outlast_config::format_duration;
use outlast_doctor::whatif::{Answer, Base, Column, Erlang, Estimate, Quantiles, remarks};

/// Wider tables are cut into several below each other.
const WIDTH: usize = 80;
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const OFF: &str = "\x1b[0m";

/// A value, and how good that is.
struct Cell(String, Tone);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tone {
    Plain,
    Good,
    Bad,
}

struct Row {
    label: &'static str,
    cells: Vec<Cell>,
}

/// The table, then what is to be said about it.
pub(super) fn draw(base: &Base, told: &str, answer: &Answer, coloured: bool) -> String {
    let mut text = wrapped(&format!("What if, service {}: {told}", base.service)) + "\n";
    let rows = rows(base, answer);
    let label = rows.iter().map(|row| row.label.len()).max().unwrap_or(0);
    let widths: Vec<_> = answer
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cells = rows.iter().map(|row| row.cells[index].0.chars().count());
            cells.max().unwrap_or(0).max(column.name.chars().count())
        })
        .collect();
    let mut from = 0;
    while from < widths.len() {
        let mut until = from + 1;
        let mut width = 2 + label + 2 + widths[from];
        while until < widths.len() && width + 2 + widths[until] <= WIDTH {
            width += 2 + widths[until];
            until += 1;
        }
        let names = answer.columns[from..until].iter().map(|column| &*column.name);
        line(&mut text, label, "", names.map(|name| (name, BOLD)), &widths[from..], coloured);
        for row in &rows {
            let cells = row.cells[from..until].iter().map(|Cell(value, tone)| {
                let colour = match tone {
                    Tone::Plain => "",
                    Tone::Good => GREEN,
                    Tone::Bad => RED,
                };
                (&**value, colour)
            });
            line(&mut text, label, row.label, cells, &widths[from..], coloured);
        }
        text.push('\n');
        from = until;
    }
    for remark in remarks(base, answer) {
        text.push_str(&wrapped(&remark));
    }
    text
}

fn line<'c>(
    text: &mut String,
    label_width: usize,
    label: &str,
    cells: impl Iterator<Item = (&'c str, &'c str)>,
    widths: &[usize],
    coloured: bool,
) {
    let mut line = format!("  {label:label_width$}");
    for ((value, colour), width) in cells.zip(widths) {
        let padding = " ".repeat(2 + width - value.chars().count());
        let (on, off) = if coloured && !colour.is_empty() { (colour, OFF) } else { ("", "") };
        line.push_str(&format!("{padding}{on}{value}{off}"));
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

fn rows(base: &Base, answer: &Answer) -> Vec<Row> {
    let mut rows = settings(answer);
    rows.extend(refusals(answer));
    rows.extend(waits(answer));
    rows.extend(peaks(base, answer));
    rows.extend(theory(answer));
    rows.push(plain(answer, "would suffice", &|column| format!("hard={}", column.sufficient.hard)));
    rows.push(row(answer, "  needs memory", &|column| {
        memory(base, column, column.sufficient.machine_peak_open)
    }));
    rows
}

fn row(answer: &Answer, label: &'static str, cell: &dyn Fn(&Column) -> Cell) -> Row {
    Row { label, cells: answer.columns.iter().map(cell).collect() }
}

fn plain(answer: &Answer, label: &'static str, value: &dyn Fn(&Column) -> String) -> Row {
    row(answer, label, &|column| Cell(value(column), Tone::Plain))
}

fn any(answer: &Answer, is: &dyn Fn(&Column) -> bool) -> bool {
    answer.columns.iter().any(is)
}

/// What somebody compares is shown, and of the rest only what differs.
fn settings(answer: &Answer) -> Vec<Row> {
    let always = ["type", "hard", "soft", "machines", "queue"];
    let first = answer.columns[0].variant.values();
    let shown = first.iter().enumerate().filter(|(index, (name, value))| {
        always.contains(name) || any(answer, &|column| column.variant.values()[*index].1 != *value)
    });
    let shown = shown.map(|(index, (name, _))| {
        plain(answer, name, &|column| column.variant.values()[index].1.clone())
    });
    shown.collect()
}

fn refusals(answer: &Answer) -> Vec<Row> {
    let first = |column: &Column| column.figures.first_refusal;
    let mut rows = vec![
        plain(answer, "users", &|column| rounded(column.figures.users)),
        plain(answer, "requests", &|column| rounded(column.figures.attempts)),
        row(answer, "refused", &|column| {
            let tone = if column.figures.refused.mean > 0.0 { Tone::Bad } else { Tone::Good };
            Cell(estimate(column.figures.refused, 1.0), tone)
        }),
        plain(answer, "refused, %", &|column| estimate(column.figures.refused_share, 100.0)),
    ];
    if any(answer, &|column| first(column).is_some()) {
        rows.push(plain(answer, "  first after", &|column| {
            first(column).map_or_else(nothing, |first| short(first.at))
        }));
        rows.push(plain(answer, "  for stream", &|column| {
            first(column).map_or_else(nothing, |first| grouped(first.open as u64 + 1))
        }));
    }
    rows.push(plain(answer, "users turned away", &|column| rounded(column.figures.turned_away)));
    rows
}

fn waits(answer: &Answer) -> Vec<Row> {
    let mut rows = Vec::new();
    if any(answer, &|column| column.figures.left > 0.0) {
        rows.push(plain(answer, "users who left", &|column| rounded(column.figures.left)));
    }
    rows.push(plain(answer, "users who waited", &|column| rounded(column.figures.waited)));
    let quantile = |label, value: fn(&Quantiles) -> Duration| {
        plain(answer, label, &|column| {
            let wait = column.figures.wait.as_ref();
            wait.map_or_else(nothing, |wait| short(value(wait)))
        })
    };
    if any(answer, &|column| column.figures.wait.is_some()) {
        rows.push(quantile("  half of them", |wait| wait.p50));
        rows.push(quantile("  95 % of them", |wait| wait.p95));
        rows.push(quantile("  the longest", |wait| wait.max));
    }
    rows
}

fn peaks(base: &Base, answer: &Answer) -> Vec<Row> {
    let mut rows =
        vec![plain(answer, "streams at once", &|column| grouped(column.figures.peak_open as u64))];
    if any(answer, &|column| column.figures.peak != column.figures.peak_open) {
        rows.push(plain(answer, "places at once", &|column| grouped(column.figures.peak as u64)));
    }
    if any(answer, &|column| column.variant.machines.get() > 1) {
        rows.push(plain(answer, "  fullest machine", &|column| {
            grouped(column.figures.machine_peak.into())
        }));
    }
    rows.push(row(answer, "memory at the peak", &|column| {
        memory(base, column, column.figures.machine_peak_open)
    }));
    rows.push(plain(answer, "  there is", &|column| {
        column.variant.memory_mb.map_or_else(nothing, |mb| format!("{} MB", grouped(mb)))
    }));
    rows
}

fn theory(answer: &Answer) -> Vec<Row> {
    if !any(answer, &|column| column.erlang.is_some()) {
        return Vec::new();
    }
    let value = |label, value: fn(&Erlang) -> String| {
        plain(answer, label, &|column| column.erlang.as_ref().map_or_else(nothing, value))
    };
    vec![
        value("offered, erlang", |erlang| rounded(erlang.load)),
        value("Erlang B refuses", |erlang| percent(erlang.blocked)),
        value("Erlang C makes wait", |erlang| percent(erlang.waits)),
    ]
}

fn nothing() -> String {
    "–".to_owned()
}

/// What so many streams need on one machine.
fn memory(base: &Base, column: &Column, streams: u32) -> Cell {
    let mb = (u64::from(streams) * base.memory_per_stream).div_ceil(1 << 20);
    let is_too_much = column.variant.memory_mb.is_some_and(|has| mb > has);
    Cell(format!("{} MB", grouped(mb)), if is_too_much { Tone::Bad } else { Tone::Plain })
}

fn estimate(estimate: Estimate, factor: f64) -> String {
    let mean = estimate.mean * factor;
    match estimate.plus_minus.map(|plus_minus| plus_minus * factor) {
        Some(plus_minus) if plus_minus > 0.0 => {
            let digits = digits(mean);
            format!("{} ±{plus_minus:.digits$}", rounded(mean))
        }
        _ => rounded(mean),
    }
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent > 0.0 && percent < 0.01 => "<0.01 %".to_owned(),
        percent => format!("{} %", rounded(percent)),
    }
}

/// Digits behind the point, so that there are three that mean something.
fn digits(number: f64) -> usize {
    match number.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    }
}

/// Three digits that mean something, and thousands apart.
pub(super) fn rounded(number: f64) -> String {
    let digits = digits(number);
    let text = format!("{number:.digits$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
    match fraction.trim_end_matches('0') {
        "" => whole,
        fraction => format!("{whole}.{fraction}"),
    }
}

/// `12345` as `12,345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Whole seconds from ten seconds on, else tenths.
fn short(duration: Duration) -> String {
    let step = if duration.as_secs() < 10 { 0.1 } else { 1.0 };
    format_duration(Duration::from_secs_f64((duration.as_secs_f64() / step).round() * step))
}

fn wrapped(sentence: &str) -> String {
    let mut text = String::new();
    let mut length = 0;
    for word in sentence.split_whitespace() {
        let width = word.chars().count();
        if length > 0 && length + 1 + width > WIDTH {
            text.push('\n');
            length = 0;
        } else if length > 0 {
            text.push(' ');
            length += 1;
        }
        text.push_str(word);
        length += width;
    }
    text + "\n"
}
