//! Log lines on standard error: readable on a terminal, JSON elsewhere.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};

use anyhow::Context;
use outlast_runtime::clock;
use outlast_runtime::lossy::Loss;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::{LogArgs, LogFormat};
use crate::failure::Failure;
use crate::log_json::Json;
use crate::log_writer::{LogThread, LogWriter, Tell};

const LOST: &str = "log lines were lost";

/// Starts to log.
pub(crate) fn start(args: &LogArgs) -> Result<LogThread, Failure> {
    let filter = EnvFilter::builder().parse(&args.log).map_err(|error| {
        let error = anyhow::Error::from(error).context(format!("`{}` is no log filter", args.log));
        Failure::config(error).hint("--log takes a level such as info, or target=level, by commas")
    })?;
    let writer = LogWriter::default();
    let tell: Tell = if is_human(args) { Box::new(lost_human) } else { Box::new(lost_json) };
    let thread = writer
        .start(io::stderr(), tell)
        .context("cannot start a thread")
        .map_err(Failure::failed)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    if is_human(args) {
        let coloured = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        builder.with_ansi(coloured).event_format(Human).init();
    } else {
        builder.event_format(Json).init();
    }
    log_panics();
    Ok(thread)
}

/// A panic ends one exchange and is a defect of ours: it belongs into the log with everything else, on one line.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(
            target: "outlast::panic",
            location,
            thread = thread.name().unwrap_or_default(),
            reason = panic.payload_as_str().unwrap_or_default(),
            "a defect was met: please report it"
        );
    }));
}

/// Whether a person reads the log.
pub(crate) fn is_human(args: &LogArgs) -> bool {
    match args.log_format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    }
}

/// Not by way of an event: the filter may hold it back, and it would stand behind lines that it comes before.
fn lost_json(loss: Loss<'_>) -> String {
    serde_json::json!({
        "timestamp": format!("{:.6}", clock::wall_now()),
        "level": "WARN",
        "message": LOST,
        "lines": loss.lines,
        "why": loss.why,
        "target": "outlast::log",
    })
    .to_string()
}

fn lost_human(loss: Loss<'_>) -> String {
    let mut fields = Fields::default();
    for (name, value) in
        [("message", LOST.to_owned()), ("lines", loss.lines.to_string()), ("why", loss.why.into())]
    {
        fields.0.insert(name, value);
    }
    other(&fields, Level::WARN, Paint(false))
}

/// One line for a person: exchanges by their outcome, the proxy's remarks as Fly prints them, the rest as it comes.
struct Human;

impl<S, N> FormatEvent<S, N> for Human
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
        let mut fields = Fields::default();
        event.record(&mut fields);
        let paint = Paint(writer.has_ansi_escapes());
        let line = match event.metadata().target() {
            "outlast::access" => exchange(&fields, paint),
            "outlast::proxy" => proxy(&fields, *event.metadata().level()),
            _ => other(&fields, *event.metadata().level(), paint),
        };
        writeln!(writer, "{line}")
    }
}

/// The fields of an event, as text.
#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Fields {
    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> u64 {
        self.get(name).parse().unwrap_or(0)
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), clean(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), clean(&format!("{value:?}")));
    }
}

/// A client's path must not move the cursor or forge a line.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn time() -> String {
    format!("{:.0}", clock::wall_now())
}

fn exchange(fields: &Fields, paint: Paint) -> String {
    let outcome = fields.get("outcome");
    let colour = match outcome {
        "completed" => "32",
        "refused" | "client_gone" | "ended_by" => "33",
        _ => "31",
    };
    let status = match fields.get("status") {
        "0" => "---",
        status => status,
    };
    let what = match (outcome, fields.get("detail"), fields.get("rule")) {
        (outcome, "", _) => outcome.to_owned(),
        (outcome, detail, "") => format!("{outcome} ({detail})"),
        (outcome, detail, rule) => format!("{outcome} ({detail}: {rule})"),
    };
    let mut line = format!(
        "{} {} {} {} {} {} after {}",
        paint.with("2", &time()),
        paint.with(colour, status),
        fields.get("method"),
        fields.get("path"),
        paint.with(colour, &what),
        bytes(fields.number("sent_bytes")),
        milliseconds(fields.number("duration_ms")),
    );
    let queued = fields.number("queued_ms");
    if queued > 0 {
        write!(line, ", queued {}", milliseconds(queued)).expect("writing to a string succeeds");
    }
    let rest = format!("{} {}", fields.get("client"), fields.get("request_id"));
    format!("{line} {}", paint.with("2", &rest))
}

fn proxy(fields: &Fields, level: Level) -> String {
    let (machine, region) = (fields.get("machine"), fields.get("region"));
    let level = match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        _ => "info",
    };
    format!("{} proxy[{machine}] {region} [{level}]{}", time(), fields.get("message"))
}

fn other(fields: &Fields, level: Level, paint: Paint) -> String {
    let level = match level {
        Level::ERROR => paint.with("1;31", "error"),
        Level::WARN => paint.with("1;33", "warning"),
        Level::INFO => paint.with("36", "info"),
        _ => paint.with("2", "debug"),
    };
    let mut line = format!("{} {level}: {}", paint.with("2", &time()), fields.get("message"));
    for (name, value) in fields.0.iter().filter(|(name, _)| **name != "message") {
        write!(line, " {}", paint.with("2", &format!("{name}={value}")))
            .expect("writing to a string succeeds");
    }
    line
}

/// A size for people, in decimal units.
fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        1_000_000..1_000_000_000 => {
            format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
        }
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000),
    }
}

/// A time for people.
fn milliseconds(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use outlast_doctor::logs::{Code, Drain, ExchangeOutcome, ExitCause, Kind, Reader};

    use super::*;

    #[test]
    fn sizes_and_times_are_short() {
        for (number, text) in
            [(999, "999 B"), (1_250, "1.2 kB"), (25_990_000, "25.9 MB"), (1_100_000_000, "1.1 GB")]
        {
            assert_eq!(bytes(number), text);
        }
        for (number, text) in [(999, "999 ms"), (1_250, "1.2 s"), (61_000, "1 min 1 s")] {
            assert_eq!(milliseconds(number), text);
        }
    }

    #[test]
    fn what_clients_send_stays_on_its_line() {
        assert_eq!(clean("/a\r\n\x1b[2Jb"), "/a\u{fffd}\u{fffd}\u{fffd}[2Jb");
    }

    #[test]
    fn a_refused_exchange_reads_as_one_line() {
        let mut fields = Fields::default();
        for (name, value) in [
            ("outcome", "refused"),
            ("detail", "queue_deadline"),
            ("status", "503"),
            ("method", "POST"),
            ("path", "/api/chat"),
            ("sent_bytes", "512"),
            ("duration_ms", "2004"),
            ("queued_ms", "0"),
            ("client", "127.0.0.1:9"),
            ("request_id", "01X-sjc"),
        ] {
            fields.0.insert(name, value.to_owned());
        }
        let line = exchange(&fields, Paint(false));
        let end =
            " 503 POST /api/chat refused (queue_deadline) 512 B after 2.0 s 127.0.0.1:9 01X-sjc";
        assert!(line.ends_with(end), "{line}");
        fields.0.insert("detail", "bad_request".to_owned());
        fields.0.insert("rule", "host".to_owned());
        let line = exchange(&fields, Paint(false));
        assert!(line.contains(" refused (bad_request: host) "), "{line}");
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What the doctor reads in what `say` logs, coloured or not, for people and for programs.
    fn read_back(say: impl Fn()) -> [Vec<Kind>; 3] {
        let read = |is_human: bool, is_coloured: bool| {
            let lines = Lines::default();
            let made = lines.clone();
            let builder = tracing_subscriber::fmt().with_writer(move || made.clone());
            if is_human {
                let subscriber = builder.with_ansi(is_coloured).event_format(Human).finish();
                tracing::subscriber::with_default(subscriber, &say);
            } else {
                let subscriber = builder.event_format(Json).finish();
                tracing::subscriber::with_default(subscriber, &say);
            }
            let (mut reader, mut kinds) = (Reader::new(0), Vec::new());
            reader.feed(&lines.0.lock().expect("no panic"), &mut |event| kinds.push(event.kind));
            let summary = reader.finish(&mut |_| {}).expect("our own log");
            assert_eq!(summary.not_understood, 0, "{:?}", summary.examples);
            kinds
        };
        [read(false, false), read(true, false), read(true, true)]
    }

    #[test]
    fn the_doctor_reads_what_we_log() {
        let kinds = read_back(|| {
            tracing::info!(
                target: "outlast::access",
                request_id = "01JKA-local",
                client = "127.0.0.1:4711",
                method = "POST",
                path = "/api/chat",
                status = 503,
                outcome = "refused",
                detail = "queue_deadline",
                sent_bytes = 1_200_u64,
                queued_ms = 30_000_u64,
                duration_ms = 63_000_u64,
            );
            tracing::warn!(target: "outlast::proxy", machine = "m", region = "local", "Instance m reached hard limit of 25 concurrent connections.");
            tracing::error!(target: "outlast::proxy", region = "local", "[PR04] could not find a good candidate within 75ms");
            let (exit, restart_in_ms) = ("code 7", Some(100_u64));
            tracing::warn!(
                machine = "m",
                exit,
                lived_ms = 1_u64,
                restart_in_ms,
                "the machine ended"
            );
            tracing::info!(
                signal = "SIGTERM",
                grace = "30s",
                "drains: a second signal ends it at once"
            );
        });
        for kinds in kinds {
            let [Kind::Exchange(exchange), rest @ ..] = &kinds[..] else { panic!("{kinds:?}") };
            assert_eq!((exchange.outcome, exchange.status), (ExchangeOutcome::Refused, 503));
            assert_eq!(
                (&*exchange.detail.to_string(), exchange.sent_bytes),
                ("queue_deadline", 1_200)
            );
            assert_eq!((exchange.queued.as_secs(), exchange.duration.as_secs()), (30, 63));
            let ended = Kind::Exited { cause: ExitCause::Code(7), restarts: Some(true) };
            assert!(
                matches!(rest, [Kind::HardLimit { limit: Some(25), .. }, Kind::ProxyError { code: Code::PR04, .. }, exited, Kind::Drain(Drain::Began)] if *exited == ended),
                "{rest:?}"
            );
        }
    }
}
