//! What the platform says: its proxy, its runner, its health checks, the init that it runs in each machine.
//!
//! Texts are those of public logs. A code decides where one is written; a text only where none is.

use super::event::{Autostop, Deploy, ExitCause, Health, Kind, Origin, Unit};
use super::name::{Code, Name};
use super::scan::{after, between, duration_after, find, leading, number_after, word};

/// What a message means.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Meaning<'a> {
    pub(super) kind: Kind,
    /// Who says such a thing.
    pub(super) origin: Origin,
    /// The machine that the message names.
    pub(super) machine: &'a [u8],
}

impl<'a> Meaning<'a> {
    fn new(origin: Origin, kind: Kind) -> Self {
        Self { kind, origin, machine: b"" }
    }

    fn of(self, machine: &'a [u8]) -> Self {
        Self { machine, ..self }
    }
}

/// How texts without a code begin, and the code that such a text has today.
const TEXTS: [(&str, &str); 13] = [
    ("could not find a good candidate", "PR04"),
    ("no known healthy instances", "PR01"),
    ("could not complete HTTP request to instance", "PU02"),
    ("could not make HTTP request to instance", "PU02"),
    ("could not send HTTP request to instance", "PU02"),
    ("could not finish reading HTTP body from instance", "PU05"),
    ("could not wake up machine due to a timeout", "PM03"),
    ("failed to connect to machine", "PM05"),
    ("failed to change machine state", "PM07"),
    ("failed to connect to instance after", "PC07"),
    ("instance refused connection", "PC01"),
    ("machine is in a non-startable state", "PM08"),
    ("machine was recently stopped and is unavailable", "PM11"),
];

/// What a message of the platform means. `None`: nothing that matters here, or it is none of the platform's.
pub(super) fn meaning(message: &[u8]) -> Option<Meaning<'_>> {
    use Origin::{Proxy, Runner};
    let begins = |text: &str| message.starts_with(text.as_bytes());
    let kind = |origin, kind| Some(Meaning::new(origin, kind));
    match message.first()? {
        b'[' => coded(message),
        b'I' if begins("Instance ") => hard_limit(message),
        b'A' if begins("App ") => autostop(message),
        b'H' if begins("Health check ") => health(message),
        b'S' if begins("Starting machine") => kind(Proxy, Kind::Starting),
        b'S' if begins("Sending signal ") => init(message),
        b'D' if begins("Dropped a connection destined") => kind(Proxy, Kind::BacklogFull),
        b'w' if begins("waiting for machine to be reachable") => {
            kind(Proxy, Kind::WaitingForReachable { waited: duration_after(message, "(waited ") })
        }
        b'M' if begins("Machine started in ") => kind(Runner, started(message)),
        b'M' if begins("Machine created and started in ") => {
            kind(Runner, Kind::Deploy(Deploy::Created))
        }
        b'V' if begins("Virtual machine has been suspended") => kind(Runner, Kind::Suspended),
        b'T' if begins("Trial machine stopping") => kind(Runner, Kind::TrialStop),
        b'P' if begins("Pulling container image") => kind(Runner, Kind::Deploy(Deploy::Pulling)),
        b'C' if begins("Configuring ") => kind(Runner, Kind::Deploy(Deploy::Configuring)),
        b'l' if begins("lost ") => {
            let is_ours = find(message, b" lines of this log").is_some();
            let lines = number_after(message, "lost ").filter(|_| is_ours)?;
            kind(Runner, Kind::LinesLost { lines })
        }
        b'm' => machine(message).or_else(|| uncoded(message)),
        b'c' | b'f' | b'i' | b'n' => uncoded(message),
        _ => None,
    }
}

/// `[PR04] …`.
fn coded(message: &[u8]) -> Option<Meaning<'_>> {
    let code = Code::new(message.get(1..5)?)?;
    let text = message[5..].strip_prefix(b"]")?;
    Some(Meaning::new(Origin::Proxy, error(code, true, text)))
}

fn uncoded(message: &[u8]) -> Option<Meaning<'_>> {
    let known = TEXTS.iter().find(|(begin, _)| message.starts_with(begin.as_bytes()));
    let code = match known {
        // Whatever was to be sent, the connection for it timed out.
        Some(_) if find(message, b": connection error: timed out").is_some() => "PC05",
        Some((_, code)) => code,
        // The app may speak of an API, too: the rest of the text is Fly's.
        None if message.starts_with(b"machines API returned an error") => "PM01",
        None => return None,
    };
    let code = Code::new(code.as_bytes()).expect("the table has codes");
    Some(Meaning::new(Origin::Proxy, error(code, false, message)))
}

fn error(code: Code, is_written: bool, text: &[u8]) -> Kind {
    let cause = after(text, "last error: [").and_then(|rest| Code::new(rest.get(..4)?));
    // What is said of the cause is not said of the whole.
    let own = find(text, b"last error: ").map_or(text, |at| &text[..at]);
    let within = after(own, " within ").or_else(|| after(own, " after "));
    let attempts = within.filter(|rest| after(rest, " attempts").is_some()).and_then(leading);
    let waited = duration_after(own, "(in ");
    let waited = waited.or_else(|| duration_after(own, " within ").filter(|_| attempts.is_none()));
    Kind::ProxyError { code, is_written, cause, attempts, waited }
}

/// `Instance 5683776a714d8e reached hard limit of 25 concurrent connections. …`; the incident's lines name no instance.
fn hard_limit(message: &[u8]) -> Option<Meaning<'_>> {
    let limit = after(message, "reached hard limit of ")?;
    let unit = after(limit, " concurrent ").and_then(|rest| match word(rest) {
        b"connections" => Some(Unit::Connections),
        b"requests" => Some(Unit::Requests),
        _ => None,
    });
    let machine = between(message, "Instance ", " reached").unwrap_or(b"");
    let kind = Kind::HardLimit { limit: leading(limit), unit };
    Some(Meaning::new(Origin::Proxy, kind).of(machine))
}

/// `App x has excess capacity, autostopping machine y. 0 out of 1 machines left running (…)`.
fn autostop(message: &[u8]) -> Option<Meaning<'_>> {
    let rest = after(message, " has excess capacity, auto")?;
    let how = match word(rest) {
        b"stopping" => Autostop::Stop,
        b"suspending" => Autostop::Suspend,
        _ => return None,
    };
    let rest = after(rest, " machine ")?;
    let machine = word(rest);
    let counts = rest[machine.len()..].strip_prefix(b". ").unwrap_or(b"");
    let kind = Kind::Autostop { how, left: leading(counts), of: number_after(counts, " out of ") };
    Some(Meaning::new(Origin::Proxy, kind).of(machine))
}

/// `Health check 'servicecheck-00-http-8080' on port 8080 has failed. …`.
fn health(message: &[u8]) -> Option<Meaning<'_>> {
    let status = if find(message, b" is now passing").is_some() {
        Health::Passing
    } else if find(message, b" has failed").is_some() {
        Health::Failing
    } else if find(message, b"'warning' state").is_some() {
        Health::Warning
    } else {
        return None;
    };
    let check = match between(message, "Health check '", "'") {
        Some(name) => Name::new(name),
        None => {
            let port = after(message, " on ").unwrap_or(b"");
            let length = port.iter().skip(5).take_while(|byte| byte.is_ascii_digit()).count();
            Name::new(&port[..port.len().min(5 + length)])
        }
    };
    Some(Meaning::new(Origin::Health, Kind::Health { status, check }))
}

fn started(message: &[u8]) -> Kind {
    Kind::Started { took: duration_after(message, "tarted in ") }
}

/// What begins with `machine`.
fn machine(message: &[u8]) -> Option<Meaning<'_>> {
    use Origin::{Proxy, Runner};
    let rest = message.strip_prefix(b"machine ")?;
    let begins = |text: &str| rest.starts_with(text.as_bytes());
    let (origin, kind) = match rest.first()? {
        b's' if begins("started in ") => (Proxy, started(message)),
        b'b' if begins("became reachable in ") => {
            (Proxy, Kind::Reachable { took: duration_after(rest, "reachable in ") })
        }
        b'e' if begins("exited with exit code") => {
            let code = number_after(rest, "code: ").or_else(|| number_after(rest, "code "));
            (Runner, exited(code.map_or(ExitCause::Unknown, ExitCause::Code), rest))
        }
        b'w' if begins("was killed by signal ") => {
            let signal = number_after(rest, "signal ");
            (Runner, exited(signal.map_or(ExitCause::Unknown, ExitCause::Signal), rest))
        }
        b'a' if begins("and guard were killed") => (Runner, exited(ExitCause::Unknown, rest)),
        b'h' if begins("has reached its max restart count") => (Runner, Kind::NotStarted),
        b'w' if begins("was in a non-started state prior to the update") => {
            (Runner, Kind::Deploy(Deploy::Replaced))
        }
        _ => return None,
    };
    Some(Meaning::new(origin, kind))
}

fn exited(cause: ExitCause, text: &[u8]) -> Kind {
    let restarts = if find(text, b"not restarting").is_some() {
        Some(false)
    } else {
        find(text, b"restart").map(|_| true)
    };
    Kind::Exited { cause, restarts }
}

/// What Fly's init says, in the machine and so in the app's name, from where it gets interesting; and what the kernel does.
pub(super) fn init(text: &[u8]) -> Option<Meaning<'_>> {
    let begins = |begin: &str| text.starts_with(begin.as_bytes());
    let kind = if begins("Sending signal ") {
        let signal = after(text, "signal ").map_or(&b""[..], word);
        // Of an app's own text this is the sign.
        find(text, b" to main child process")?;
        Kind::Signal { name: Name::new(signal) }
    } else if begins("Main child exited") {
        let code = number_after(text, "with code: ").map(ExitCause::Code);
        let signal = || {
            let name = between(text, "signal '", "'")?;
            SIGNALS.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, number)| *number)
        };
        let cause = code.or_else(|| signal().map(ExitCause::Signal));
        Kind::Exited { cause: cause.unwrap_or(ExitCause::Unknown), restarts: None }
    } else if OUT_OF_MEMORY.into_iter().any(begins) {
        Kind::OutOfMemory
    } else {
        return None;
    };
    Some(Meaning::new(Origin::App, kind))
}

/// Of Fly's init, of the kernel, of a runtime of JavaScript.
const OUT_OF_MEMORY: [&str; 3] = ["OOM killed", "Out of memory: Kill", "heap out of memory"];

/// Those that end processes in practice, with their numbers on Linux.
const SIGNALS: [(&str, i32); 10] = [
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGILL", 4),
    ("SIGABRT", 6),
    ("SIGBUS", 7),
    ("SIGKILL", 9),
    ("SIGSEGV", 11),
    ("SIGPIPE", 13),
    ("SIGTERM", 15),
];
