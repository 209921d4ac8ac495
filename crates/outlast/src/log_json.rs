//! Log lines for programs: one JSON object each.
//!
//! Written straight into the line: an access log line is written for every request, and tracing-subscriber's own JSON
//! goes through serde and checks every piece for UTF-8.

use std::cell::RefCell;
use std::fmt::{self, Write};

use outlast_runtime::clock;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

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
        let metadata = event.metadata();
        writer.write_str("{\"timestamp\":\"")?;
        write_time(&mut writer)?;
        write!(writer, "\",\"level\":\"{}\"", metadata.level().as_str())?;
        let mut fields = Fields { out: writer, result: Ok(()) };
        event.record(&mut fields);
        let Fields { mut out, result } = fields;
        result?;
        out.write_str(",\"target\":")?;
        write_text(&mut out, metadata.target())?;
        out.write_str("}\n")
    }
}

/// The text of a second serves all its lines.
struct Second {
    number: i64,
    /// As `2026-11-24T08:15:00`.
    text: String,
}

thread_local! {
    static SECOND: RefCell<Second> = const { RefCell::new(Second { number: i64::MIN, text: String::new() }) };
}

/// The wall clock in RFC 3339, to the microsecond.
fn write_time(out: &mut impl Write) -> fmt::Result {
    let now = clock::wall_now();
    let number = now.as_millisecond().div_euclid(1_000);
    let microseconds = now.as_microsecond().rem_euclid(1_000_000);
    SECOND.with_borrow_mut(|second| {
        if second.number != number {
            second.number = number;
            second.text = now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        }
        write!(out, "{}.{microseconds:06}Z", second.text)
    })
}

struct Fields<W> {
    out: W,
    result: fmt::Result,
}

impl<W: Write> Fields<W> {
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut W) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self
                .out
                .write_str(",\"")
                // A field's name is an identifier.
                .and_then(|()| self.out.write_str(field.name()))
                .and_then(|()| self.out.write_str("\":"))
                .and_then(|()| value(&mut self.out));
        }
    }
}

impl<W: Write> Visit for Fields<W> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, |out| write_text(out, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, |out| write!(out, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, |out| write!(out, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, |out| write!(out, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field, |out| match value.is_finite() {
            true => write!(out, "{value}"),
            // JSON has no name for the others.
            false => out.write_str("null"),
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, |out| {
            out.write_char('"')?;
            write!(Escaped(&mut *out), "{value:?}")?;
            out.write_char('"')
        });
    }
}

fn write_text(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    Escaped(&mut *out).write_str(text)?;
    out.write_char('"')
}

/// Writes text as the inside of a JSON string (RFC 8259 section 7).
struct Escaped<'w, W>(&'w mut W);

impl<W: Write> Write for Escaped<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let must_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
        let mut rest = text;
        // All that is escaped is one byte long, so that both sides of it are text.
        while let Some(at) = rest.bytes().position(must_escape) {
            self.0.write_str(&rest[..at])?;
            match rest.as_bytes()[at] {
                b'"' => self.0.write_str("\\\"")?,
                b'\\' => self.0.write_str("\\\\")?,
                control => write!(self.0, "\\u{control:04x}")?,
            }
            rest = &rest[at + 1..];
        }
        self.0.write_str(rest)
    }
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
