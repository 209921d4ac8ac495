//! Log lines for programs: one JSON object each.
//!
//! Written straight into the line: an access log line is written for every request, and tracing-subscriber's own JSON
//! goes through serde and checks every piece for UTF-8.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write};

use outlast_runtime::clock;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// A line of this length keeps its memory for the next one of its thread.
const LINE_KEPT_MAX: usize = 4 * 1024;

/// Time, level, the event's fields in their order, target.
pub(crate) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // Taken, and not borrowed: what is formatted may itself log.
        let mut line = LINE.take();
        line.clear();
        let written = write_line(&mut line, event.metadata(), |fields| event.record(fields))
            .and_then(|()| writer.write_str(&line));
        if line.capacity() <= LINE_KEPT_MAX {
            LINE.set(line);
        }
        written
    }
}

fn write_line(
    line: &mut String,
    metadata: &Metadata<'_>,
    record: impl FnOnce(&mut Fields<'_>),
) -> fmt::Result {
    line.push_str("{\"timestamp\":\"");
    write_time(line);
    line.push_str("\",\"level\":\"");
    line.push_str(metadata.level().as_str());
    line.push('"');
    let mut fields = Fields { line, result: Ok(()) };
    record(&mut fields);
    fields.result?;
    line.push_str(",\"target\":");
    write_text(line, metadata.target());
    line.push_str("}\n");
    Ok(())
}

/// The text of a second serves all its lines.
struct Second {
    number: i64,
    /// As `2026-11-24T08:15:00`.
    text: String,
}

thread_local! {
    /// The memory of the last line.
    static LINE: Cell<String> = const { Cell::new(String::new()) };
    static SECOND: RefCell<Second> = const { RefCell::new(Second { number: i64::MIN, text: String::new() }) };
}

/// The wall clock in RFC 3339, to the microsecond.
fn write_time(line: &mut String) {
    let now = clock::wall_now();
    let number = now.as_millisecond().div_euclid(1_000);
    let microseconds = now.as_microsecond().rem_euclid(1_000_000);
    SECOND.with_borrow_mut(|second| {
        if second.number != number {
            second.number = number;
            second.text = now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        }
        line.push_str(&second.text);
    });
    // A one before it keeps its leading zeros.
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(1_000_000 + microseconds);
    line.push('.');
    line.push_str(&digits[1..]);
    line.push('Z');
}

/// Writes fields straight into the line: the machinery of `write!` costs more than most of them.
struct Fields<'l> {
    line: &'l mut String,
    result: fmt::Result,
}

impl Fields<'_> {
    fn name(&mut self, field: &Field) -> &mut String {
        self.line.push_str(",\"");
        // A field's name is an identifier.
        self.line.push_str(field.name());
        self.line.push_str("\":");
        self.line
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        write_text(self.name(field), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field).push_str(itoa::Buffer::new().format(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.name(field).push_str(itoa::Buffer::new().format(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.name(field).push_str(if value { "true" } else { "false" });
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let line = self.name(field);
        let written = match value.is_finite() {
            true => write!(line, "{value}"),
            // JSON has no name for the others.
            false => line.write_str("null"),
        };
        self.result = self.result.and(written);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let line = self.name(field);
        line.push('"');
        let written = write!(Escaped(line), "{value:?}");
        line.push('"');
        self.result = self.result.and(written);
    }
}

fn write_text(line: &mut String, text: &str) {
    line.push('"');
    escape(line, text);
    line.push('"');
}

/// Text as the inside of a JSON string (RFC 8259 section 7).
struct Escaped<'l>(&'l mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

fn escape(line: &mut String, text: &str) {
    let must_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    let mut rest = text;
    // All that is escaped is one byte long, so that both sides of it are text.
    while let Some(at) = rest.bytes().position(must_escape) {
        line.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => line.push_str("\\\""),
            b'\\' => line.push_str("\\\\"),
            control => {
                line.push_str("\\u00");
                line.push(char::from_digit(u32::from(control >> 4), 16).expect("below 2"));
                line.push(char::from_digit(u32::from(control & 15), 16).expect("below 16"));
            }
        }
        rest = &rest[at + 1..];
    }
    line.push_str(rest);
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn whatever_a_client_sends_is_one_line_of_json() {
        let lines = Lines::default();
        let made = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().event_format(Json).with_writer(move || made.clone()).finish();
        let path = "/a\"b\\c\n\u{1}\u{7f}é";
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(
                target: "outlast::test",
                path,
                shown = %path,
                bytes = u64::MAX,
                below = -1,
                share = 0.5,
                none = f64::NAN,
                is_late = true,
                "said \"so\""
            );
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(text.ends_with("}\n") && text.lines().count() == 1, "{text}");
        let line: serde_json::Map<_, _> = serde_json::from_str(&text).unwrap();
        let time = line["timestamp"].as_str().unwrap();
        assert!(time.len() == "2026-11-24T08:15:00.000000Z".len() && time.ends_with('Z'), "{time}");
        for (name, value) in [
            ("level", json!("WARN")),
            ("target", json!("outlast::test")),
            ("message", json!("said \"so\"")),
            ("path", json!(path)),
            ("shown", json!(path)),
            ("bytes", json!(u64::MAX)),
            ("below", json!(-1)),
            ("share", json!(0.5)),
            ("none", json!(null)),
            ("is_late", json!(true)),
        ] {
            assert_eq!(line[name], value, "{text}");
        }
    }
}
