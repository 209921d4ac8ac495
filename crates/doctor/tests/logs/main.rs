//! Logs in every form that is known, and what is no log. All of them are written by us.

mod bad_input;
mod forms;
mod outlast;
mod random;

use outlast_doctor::logs::{Event, Form, Level, Reader, Summary, Unreadable, When};

/// Reads a log whole, and in pieces of several sizes, which must come to the same.
fn read(bytes: &[u8]) -> (Vec<Event>, Result<Summary, Unreadable>) {
    let whole = in_pieces(bytes, usize::MAX);
    for size in [1, 2, 13, 300] {
        assert_eq!(in_pieces(bytes, size), whole, "in pieces of {size} bytes");
    }
    whole
}

fn in_pieces(bytes: &[u8], size: usize) -> (Vec<Event>, Result<Summary, Unreadable>) {
    let (mut reader, mut events) = (Reader::new(0), Vec::new());
    for piece in bytes.chunks(size) {
        reader.feed(piece, &mut |event| events.push(event));
    }
    let summary = reader.finish(&mut |event| events.push(event));
    (events, summary)
}

/// The events of a log, one line each, and its summary.
fn told(text: &str) -> (Vec<String>, Summary) {
    let (events, summary) = read(text.as_bytes());
    let summary = summary.unwrap_or_else(|unreadable| panic!("{unreadable}"));
    (events.iter().map(line).collect(), summary)
}

/// How many records came in which form.
fn forms(summary: &Summary) -> Vec<(Form, u64)> {
    let all = Form::ALL.map(|form| (form, summary.records(form)));
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// `1 03:04:38.5 Proxy Warn 8e40d3b769e2d8/dfw HardLimit { … }`.
fn line(event: &Event) -> String {
    let at = event.at.map_or("-".to_owned(), time);
    let level = match event.level {
        Level::Unknown => "-".to_owned(),
        level => format!("{level:?}"),
    };
    let mut line = format!("{} {at} {:?} {level}", event.position.line, event.origin);
    for (mark, name) in [(' ', event.machine), ('/', event.region), ('#', event.request)] {
        if !name.is_empty() {
            line.push_str(&format!("{mark}{name}"));
        }
    }
    format!("{line} {:?}", event.kind)
}

/// The time of the day. A `d` tells that there is a date.
fn time(at: When) -> String {
    let (seconds, nanoseconds) =
        (at.nanoseconds() / 1_000_000_000, at.nanoseconds() % 1_000_000_000);
    let date = if at.has_date() { "d" } else { "" };
    let clock = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{date}{:02}:{:02}:{:02}", clock.0, clock.1, clock.2);
    if nanoseconds > 0 {
        text.push_str(format!(".{nanoseconds:09}").trim_end_matches('0'));
    }
    text
}
