//! Records that are lines of text: who, where, how loudly, then the message.

use memchr::{memchr, memmem};

use super::event::{Level, Origin};
use super::record::{Form, Record, level, origin};
use super::stamp::Clock;
use super::when::{When, Zone};

/// `proxy`, `runner` and their like are short; a longer word is no provider.
const PROVIDER_BYTES_MAX: usize = 16;
const MACHINE_BYTES_MAX: usize = 64;
const REGION_BYTES_MAX: usize = 32;
/// What `fly logs` prints before the time of a record that has an error's message.
pub(super) const ERROR_FIRST: &[u8] = b"error.message=\"";

/// What a line that begins with a time is.
#[derive(Clone, Copy)]
pub(super) enum Timed<'a> {
    /// A record: anyone's but Outlast's own.
    Record(Record<'a>),
    /// A time and a tab: the message is on the next line.
    Stamp(When),
    /// Outlast's own line for people, without its time.
    Outlast(When, &'a [u8]),
    /// A time, and something that says neither who nor how loudly.
    Bare(When, &'a [u8]),
}

/// Reads a line that begins with a time.
pub(super) fn timed<'a>(clock: &mut Clock, line: &'a [u8]) -> Option<Timed<'a>> {
    let stamp = clock.read(line)?;
    let (at, rest) = (stamp.at, &line[stamp.length..]);
    if let Some(message) = rest.strip_prefix(b"\t") {
        let message = message.trim_ascii();
        return Some(match message.is_empty() {
            true => Timed::Stamp(at),
            false => Timed::Record(Record::new(Form::Grafana, Some(at), message)),
        });
    }
    let Some(rest) = rest.strip_prefix(b" ") else {
        return rest.is_empty().then_some(Timed::Stamp(at));
    };
    if let Some(record) = headed(at, rest) {
        return Some(Timed::Record(record));
    }
    if at.zone == Zone::Written && is_outlast(rest) {
        return Some(Timed::Outlast(at, rest));
    }
    Some(match bracketed(rest) {
        Some((level, message)) => {
            let record = Record::new(Form::Stamped, Some(at), message.trim_ascii_start());
            Timed::Record(Record { level, ..record })
        }
        None => Timed::Bare(at, rest),
    })
}

/// `proxy[8e40d3b769e2d8] dfw [info]` and what follows it.
fn headed<'a>(at: When, line: &'a [u8]) -> Option<Record<'a>> {
    let word =
        line.iter().take(PROVIDER_BYTES_MAX + 1).take_while(|byte| byte.is_ascii_lowercase());
    let (provider, mut rest) = line.split_at(word.count());
    let mut machine: &[u8] = b"";
    if let Some(inner) = rest.strip_prefix(b"[").filter(|_| !provider.is_empty()) {
        let end = memchr(b']', &inner[..inner.len().min(MACHINE_BYTES_MAX)])?;
        (machine, rest) = (&inner[..end], &inner[end + 1..]);
    }
    let rest = rest.strip_prefix(b" ")?;
    let end = memchr(b' ', &rest[..rest.len().min(REGION_BYTES_MAX)])?;
    let (region, rest) = rest.split_at(end);
    let (level, message) = bracketed(&rest[1..])?;
    let form = if at.zone == Zone::Written { Form::FlyText } else { Form::Dashboard };
    let origin = origin(provider).unwrap_or(Origin::Unknown);
    let record = Record { origin, level, machine, region, ..Record::new(form, Some(at), message) };
    Some(match form {
        Form::Dashboard => {
            Record { message: message.strip_prefix(b" ").unwrap_or(message), ..record }
        }
        _ => with_fields(record),
    })
}

/// `[info]` and what follows it.
fn bracketed(line: &[u8]) -> Option<(Level, &[u8])> {
    let rest = line.strip_prefix(b"[")?;
    let end = rest.iter().take(8).position(|byte| *byte == b']')?;
    Some((level(&rest[..end])?, &rest[end + 1..]))
}

/// Takes the fields off the message that `fly logs` prints before it.
fn with_fields(mut record: Record<'_>) -> Record<'_> {
    while let Some((name, value, rest)) = field(record.message) {
        match name {
            b"request.id" => record.request = value,
            b"response.status" => record.status = number(value).unwrap_or(0),
            _ => {}
        }
        record.message = rest;
    }
    record
}

/// `request.id="…" ` or `response.status=503 `: name, value and what follows.
fn field(message: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    const NAMES: [&[u8]; 5] =
        [b"error.code", b"request.method", b"request.url", b"request.id", b"response.status"];
    if !matches!(message.first(), Some(b'e' | b'r')) {
        return None;
    }
    let name = NAMES.iter().find(|name| message.starts_with(name))?;
    let rest = message[name.len()..].strip_prefix(b"=")?;
    let (value, rest) = match rest.strip_prefix(b"\"") {
        Some(quoted) => {
            let end = memchr(b'"', quoted)?;
            (&quoted[..end], &quoted[end + 1..])
        }
        None => rest.split_at(memchr(b' ', rest).unwrap_or(rest.len())),
    };
    Some((name, value, rest.strip_prefix(b" ").unwrap_or(rest)))
}

/// `error.message="…" 2026-05-31T03:12:36Z proxy[…] dfw [error]`, and what follows it. The text may have quotation marks
/// of its own.
pub(super) fn error_first<'a>(clock: &mut Clock, line: &'a [u8]) -> Option<(Record<'a>, &'a [u8])> {
    let text = line.strip_prefix(ERROR_FIRST)?;
    for end in memmem::find_iter(text, b"\" ") {
        if let Some(Timed::Record(record)) = timed(clock, &text[end + 2..])
            && record.form == Form::FlyText
        {
            return Some((Record { message: &text[..end], ..record }, record.message));
        }
    }
    None
}

/// `200 POST /api/chat completed …`, or `warning: a peer has vanished …`.
fn is_outlast(rest: &[u8]) -> bool {
    outlast_level(rest).is_some() || is_exchange(rest)
}

/// The level of Outlast's own line for people, and the message.
pub(super) fn outlast_level(rest: &[u8]) -> Option<(Level, &[u8])> {
    let end = rest.iter().take(9).position(|byte| *byte == b':')?;
    let message = rest[end + 1..].strip_prefix(b" ")?;
    let is_lower = rest[..end].iter().all(u8::is_ascii_lowercase);
    Some((level(&rest[..end]).filter(|_| is_lower)?, message))
}

/// A status, or the dashes of none, and a method.
fn is_exchange(rest: &[u8]) -> bool {
    let Some((status, rest)) = rest.split_at_checked(3) else { return false };
    let is_status = status == b"---" || number::<u16>(status).is_some();
    is_status && rest.first() == Some(&b' ') && rest.get(1).is_some_and(u8::is_ascii_uppercase)
}

/// A decimal number, whole.
pub(super) fn number<N: std::str::FromStr>(text: &[u8]) -> Option<N> {
    std::str::from_utf8(text)
        .ok()
        .filter(|text| text.starts_with(|c: char| c.is_ascii_digit()))?
        .parse()
        .ok()
}
