//! Small readers of what stands in a message.

use std::time::Duration;

use memchr::memchr_iter;
use outlast_config::parse_duration;

use super::text::number;

/// Where a text first is. Messages are short: to prepare a faster search for each would take longer than this one.
pub(super) fn find(text: &[u8], mark: &[u8]) -> Option<usize> {
    let first = *mark.first()?;
    memchr_iter(first, text).find(|at| text[*at..].starts_with(mark))
}

/// What follows the first `mark`.
pub(super) fn after<'a>(text: &'a [u8], mark: &str) -> Option<&'a [u8]> {
    find(text, mark.as_bytes()).map(|at| &text[at + mark.len()..])
}

/// What stands between the first `begin` and the next `end`.
pub(super) fn between<'a>(text: &'a [u8], begin: &str, end: &str) -> Option<&'a [u8]> {
    let rest = after(text, begin)?;
    find(rest, end.as_bytes()).map(|at| &rest[..at])
}

/// The number that a text begins with.
pub(super) fn leading<N: std::str::FromStr>(text: &[u8]) -> Option<N> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    number(&text[..digits])
}

/// The number behind the first `mark`.
pub(super) fn number_after<N: std::str::FromStr>(text: &[u8], mark: &str) -> Option<N> {
    leading(after(text, mark)?)
}

/// The duration that a text begins with, as Go and Rust print them: `1.5s`, `864ms`, `1m3s`.
pub(super) fn duration(text: &[u8]) -> Option<Duration> {
    let is_end = |byte: &u8| matches!(byte, b' ' | b')' | b',' | b';' | b':');
    let end = text.iter().take(40).position(is_end).unwrap_or(text.len().min(40));
    let text = std::str::from_utf8(&text[..end]).ok()?;
    parse_duration(text.trim_end_matches('.')).ok()
}

/// The duration behind the first `mark`.
pub(super) fn duration_after(text: &[u8], mark: &str) -> Option<Duration> {
    duration(after(text, mark)?)
}

/// The word that a text begins with.
pub(super) fn word(text: &[u8]) -> &[u8] {
    let length = text.iter().take_while(|byte| !matches!(byte, b' ' | b'.' | b',' | b';'));
    &text[..length.count()]
}
