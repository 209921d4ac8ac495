//! What Outlast's own lines mean, for people and for programs (docs/interface.md, "Log lines").

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::event::{ExitCause, Health, Kind, Origin};
use super::name::Name;
use super::ours::{Drain, Exchange, ExchangeOutcome, LedgerMismatch, Release};
use super::platform::Meaning;
use super::scan::{find, leading, number_after};
use super::text::number;

/// The fields of our lines that are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Attempts,
    Cause,
    Check,
    Client,
    Detail,
    DurationMs,
    Exit,
    FirstByteMs,
    Late,
    Lines,
    Machine,
    Mismatch,
    Outcome,
    Path,
    QueuedMs,
    Reason,
    ReceivedBytes,
    RequestId,
    RestartInMs,
    SentBytes,
    Service,
    Status,
}

pub(super) const KEYS: usize = 22;

impl Key {
    const NAMED: [(&str, Self); KEYS] = [
        ("attempts", Self::Attempts),
        ("cause", Self::Cause),
        ("check", Self::Check),
        ("client", Self::Client),
        ("detail", Self::Detail),
        ("duration_ms", Self::DurationMs),
        ("exit", Self::Exit),
        ("first_byte_ms", Self::FirstByteMs),
        ("late", Self::Late),
        ("lines", Self::Lines),
        ("machine", Self::Machine),
        ("mismatch", Self::Mismatch),
        ("outcome", Self::Outcome),
        ("path", Self::Path),
        ("queued_ms", Self::QueuedMs),
        ("reason", Self::Reason),
        ("received_bytes", Self::ReceivedBytes),
        ("request_id", Self::RequestId),
        ("restart_in_ms", Self::RestartInMs),
        ("sent_bytes", Self::SentBytes),
        ("service", Self::Service),
        ("status", Self::Status),
    ];

    pub(super) fn named(name: &[u8]) -> Option<Self> {
        let found = Self::NAMED.iter().find(|(known, _)| known.as_bytes() == name);
        found.map(|(_, key)| *key)
    }

    fn name(self) -> &'static str {
        Self::NAMED[self as usize].0
    }
}

/// Where the fields of a line are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fields<'a, 'f> {
    /// An object's, by key.
    Object(&'f [&'a [u8]; KEYS]),
    /// ` name=value` behind the message, in the order of their names, values as they are.
    Text(&'a [u8]),
}

impl<'a> Fields<'a, '_> {
    /// Empty where there is none.
    pub(super) fn get(self, key: Key) -> &'a [u8] {
        match self {
            Self::Object(values) => values[key as usize],
            Self::Text(text) => text_field(text, key.name()),
        }
    }

    fn milliseconds(self, key: Key) -> Duration {
        Duration::from_millis(number(self.get(key)).unwrap_or(0))
    }
}

/// A value ends where the next name begins.
fn text_field<'a>(text: &'a [u8], name: &str) -> &'a [u8] {
    let is_here = |at: &usize| {
        let before = text[..*at].last() == Some(&b' ');
        before && text.get(at + name.len()) == Some(&b'=')
    };
    let Some(at) = memchr::memmem::find_iter(text, name.as_bytes()).find(is_here) else {
        return b"";
    };
    let value = &text[at + name.len() + 1..];
    let ends = |at: &usize| {
        let next = &value[at + 1..];
        let name = next.iter().take_while(|byte| byte.is_ascii_lowercase() || **byte == b'_');
        let length = name.count();
        length > 0 && next.get(length) == Some(&b'=')
    };
    let end = memchr::memchr_iter(b' ', value).find(ends).unwrap_or(value.len());
    &value[..end]
}

/// What a line of ours means that is neither an exchange nor one of Fly's. `None`: nothing that matters here.
pub(super) fn meaning<'a>(message: &[u8], fields: Fields<'a, '_>) -> Option<Meaning<'a>> {
    let name = |key| Name::new(fields.get(key));
    let begins = |text: &str| message.starts_with(text.as_bytes());
    let kind = match message.first()? {
        b'a' if begins("a peer has vanished") => Kind::Release(Box::new(Release {
            reason: name(Key::Reason),
            client: address(fields.get(Key::Client)),
            service: name(Key::Service),
        })),
        b'a' if begins("accepting pauses") => Kind::Shortage { of: name(Key::Reason) },
        b'c' if begins("cut by the drain") => Kind::Drain(Drain::Cut),
        b'd' if begins("drains: ") => Kind::Drain(Drain::Began),
        b'e' if begins("ended") => {
            let late = number(fields.get(Key::Late))?;
            Kind::Drain(Drain::Ended { late })
        }
        b'l' if begins("log lines were lost") => {
            Kind::LinesLost { lines: number(fields.get(Key::Lines)).unwrap_or(1) }
        }
        b'n' if begins("no ") => {
            let end = find(message, b" is left for a connection to a machine")?;
            Kind::Shortage { of: Name::new(&message[3..end.max(3)]) }
        }
        b'p' if begins("permits, gauge and sockets disagree") => {
            let mismatch =
                LedgerMismatch { mismatch: name(Key::Mismatch), service: name(Key::Service) };
            Kind::LedgerMismatch(Box::new(mismatch))
        }
        b't' => machine(message, fields)?,
        _ => return None,
    };
    Some(Meaning { kind, origin: Origin::Outlast, machine: fields.get(Key::Machine) })
}

fn machine(message: &[u8], fields: Fields<'_, '_>) -> Option<Kind> {
    let rest = message.strip_prefix(b"the machine ")?;
    let begins = |text: &str| rest.starts_with(text.as_bytes());
    Some(match rest.first()? {
        b'e' if begins("ended") => {
            let exit = fields.get(Key::Exit);
            let code = number_after(exit, "code ").map(ExitCause::Code);
            let cause = code.or_else(|| number_after(exit, "signal ").map(ExitCause::Signal));
            let restarts = !fields.get(Key::RestartInMs).is_empty();
            Kind::Exited { cause: cause.unwrap_or(ExitCause::Unknown), restarts: Some(restarts) }
        }
        b'd' if begins("does not start") => Kind::NotStarted,
        b'w' if begins("was checked") => {
            let status = match fields.get(Key::Status) {
                b"passing" => Health::Passing,
                b"warning" => Health::Warning,
                _ => Health::Failing,
            };
            Kind::Health { status, check: Name::new(fields.get(Key::Check)) }
        }
        b'i' if begins("is ejected") => Kind::Ejected,
        b'i' if begins("is no longer ejected") => Kind::EjectionEnded,
        _ => return None,
    })
}

/// The exchange of a line of `outlast::access`.
pub(super) fn exchange(fields: Fields<'_, '_>) -> Exchange {
    let count = |key| number(fields.get(key)).unwrap_or(0);
    let first_byte = fields.milliseconds(Key::FirstByteMs);
    Exchange {
        outcome: outcome(fields.get(Key::Outcome)),
        detail: Name::new(fields.get(Key::Detail)),
        has_vanished: fields.get(Key::Cause) == b"vanished",
        status: number(fields.get(Key::Status)).unwrap_or(0),
        client: address(fields.get(Key::Client)),
        service: Name::new(fields.get(Key::Service)),
        path: Name::new(fields.get(Key::Path)),
        attempts: number(fields.get(Key::Attempts)).unwrap_or(0),
        sent_bytes: count(Key::SentBytes),
        received_bytes: count(Key::ReceivedBytes),
        queued: fields.milliseconds(Key::QueuedMs),
        // Our log has 0 for never, too.
        first_byte: Some(first_byte).filter(|first_byte| !first_byte.is_zero()),
        duration: fields.milliseconds(Key::DurationMs),
    }
}

fn outcome(name: &[u8]) -> ExchangeOutcome {
    match name {
        b"completed" => ExchangeOutcome::Completed,
        b"refused" => ExchangeOutcome::Refused,
        b"client_gone" => ExchangeOutcome::ClientGone,
        b"machine_failed" => ExchangeOutcome::MachineFailed,
        b"timed_out" => ExchangeOutcome::TimedOut,
        b"cut_by_drain" => ExchangeOutcome::CutByDrain,
        b"ended_by" => ExchangeOutcome::Ended,
        b"internal" => ExchangeOutcome::Internal,
        _ => ExchangeOutcome::Other,
    }
}

/// An address, with or without a port.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let with_port = text.parse::<SocketAddr>().map(|address| address.ip());
    with_port.or_else(|_| text.parse()).ok()
}

/// The exchange of a line for people, and its request: `200 POST /api/chat completed 1.2 MB after 8 min 3 s, queued 2.0 s
/// 127.0.0.1:4711 01GRKW1WB9KFDZK0FVA89W9HC1-local`.
pub(super) fn exchange_for_people(line: &[u8]) -> Option<(Exchange, &[u8])> {
    let (status, rest) = line.split_at_checked(3)?;
    let (_method, rest) = split(rest.strip_prefix(b" ")?)?;
    let (path, rest) = split(rest)?;
    let (name, mut rest) = split(rest)?;
    let mut detail: &[u8] = b"";
    if let Some(inner) = rest.strip_prefix(b"(") {
        let end = find(inner, b") ")?;
        (detail, rest) = (&inner[..end], &inner[end + 2..]);
        // Behind it is the rule that was broken.
        detail = find(detail, b": ").map_or(detail, |end| &detail[..end]);
    }
    let (sent_bytes, rest) = size(rest)?;
    let (duration, mut rest) = time(rest.strip_prefix(b" after ")?)?;
    let mut queued = Duration::ZERO;
    if let Some(inner) = rest.strip_prefix(b", queued ") {
        (queued, rest) = time(inner)?;
    }
    let (client, request) = split(rest.strip_prefix(b" ")?)?;
    let exchange = Exchange {
        outcome: outcome(name),
        detail: Name::new(detail),
        has_vanished: false,
        status: number(status).unwrap_or(0),
        client: address(client),
        service: Name::EMPTY,
        path: Name::new(path),
        attempts: 0,
        sent_bytes,
        received_bytes: 0,
        queued,
        first_byte: None,
        duration,
    };
    Some((exchange, request))
}

fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b' ', text)?;
    Some((&text[..end], &text[end + 1..]))
}

/// `1.2 MB`, and what follows.
fn size(text: &[u8]) -> Option<(u64, &[u8])> {
    let (tenths, rest) = tenths(text)?;
    let unit = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let bytes = match &rest[..unit] {
        b"B" => 1,
        b"kB" => 1_000,
        b"MB" => 1_000_000,
        b"GB" => 1_000_000_000,
        _ => return None,
    };
    Some((tenths.saturating_mul(bytes) / 10, &rest[unit..]))
}

/// `12 ms`, `2.0 s` or `8 min 3 s`, and what follows.
fn time(text: &[u8]) -> Option<(Duration, &[u8])> {
    let (count, rest) = tenths(text)?;
    if let Some(rest) = rest.strip_prefix(b"ms") {
        return Some((Duration::from_millis(count / 10), rest));
    }
    if let Some(rest) = rest.strip_prefix(b"s") {
        return Some((Duration::from_millis(count.saturating_mul(100)), rest));
    }
    let (seconds, rest) = tenths(rest.strip_prefix(b"min ")?)?;
    let seconds = (count / 10).saturating_mul(60).saturating_add(seconds / 10);
    Some((Duration::from_secs(seconds), rest.strip_prefix(b"s")?))
}

/// A number of at most one digit behind the point, in tenths, and what follows the blank behind it.
fn tenths(text: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = split(text)?;
    let whole: u64 = leading(number)?;
    let point = memchr::memchr(b'.', number);
    let tenth = point.map_or(Some(0), |at| leading(&number[at + 1..]).filter(|tenth| *tenth < 10));
    Some((whole.checked_mul(10)?.checked_add(tenth?)?, rest))
}
