//! What an app's own access lines tell: that a request began or ended, with which status, and how long it took.
//!
//! Frameworks differ in what their time is: some tell the whole answer's, some only that of its head. Which one it is is
//! known of the usual ones; of a stream, the head's time says nothing of how long it held its place.

use std::time::Duration;

use super::event::{Kind, Origin};
use super::platform::Meaning;

/// A longer line is no access line.
const LINE_BYTES: usize = 2_048;

/// A request, run or connection of the app has ended, or its head was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Served {
    /// 0: the line does not say.
    pub status: u16,
    /// How long it took.
    pub took: Took,
    /// Whether its path or words are those of something that lasts: a chat, a stream, a socket.
    pub sounds_long: bool,
}

/// What a time in an access line is the time of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Took {
    /// From its beginning to its end.
    Whole(Duration),
    /// To its head, and told then: the rest may take any time.
    Head(Duration),
    /// To its head, and told at the end.
    HeadOfWhole(Duration),
    /// The line tells no time.
    Untold,
}

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
/// Names before a time.
const KEYS: [&str; 5] = ["rt", "request_time", "duration", "took", "elapsed"];
/// Words of paths of what lasts.
const LASTING: [&str; 10] = [
    "chat",
    "stream",
    "sse",
    "events",
    "ws",
    "socket",
    "terminal",
    "generate",
    "completion",
    "run",
];
/// Words for an end before `after 12s` or `in 12s`.
const ENDS: [&str; 7] =
    ["done", "finished", "completed", "disconnected", "closed", "ended", "took"];

/// At most so many words of a line are looked at.
const WORDS_MAX: usize = 64;

/// What a line of an app means if it is about a request. Asked only of lines in which [`super::signs`] has found a word of
/// such lines: this takes longer than all else that is asked of a line.
pub(super) fn meaning(message: &[u8]) -> Option<Meaning<'static>> {
    let message = &message[..message.len().min(LINE_BYTES)];
    let text = String::from_utf8_lossy(message);
    let kind = Kind::Served(served(text.trim_ascii())?);
    Some(Meaning { kind, origin: Origin::App, machine: b"" })
}

/// Reads a line of an app. `None`: it is no line about a request, or none that has ended.
fn served(text: &str) -> Option<Served> {
    let mut words = [""; WORDS_MAX];
    let words = split(text, &mut words);
    let (status, took) = if text.starts_with('{') { json(text)? } else { plain(text, words)? };
    Some(Served { status, took, sounds_long: sounds_long(words) })
}

/// The first words of a line.
fn split<'t, 'w>(text: &'t str, words: &'w mut [&'t str; WORDS_MAX]) -> &'w [&'t str] {
    let between = |byte: u8| matches!(byte, b' ' | b'\t' | b'|' | b'"' | b'(' | b')' | b',');
    let (mut count, mut from) = (0, 0);
    let ends = text.bytes().enumerate().filter(|(_, byte)| between(*byte)).map(|(at, _)| at);
    for end in ends.chain([text.len()]) {
        if end > from {
            words[count] = &text[from..end];
            count += 1;
        }
        from = end + 1;
        if count == WORDS_MAX {
            break;
        }
    }
    &words[..count]
}

/// By the path, or by the word for what the line is about.
fn sounds_long(words: &[&str]) -> bool {
    words.iter().any(|word| {
        let path = match word.as_bytes().first() {
            Some(b'/') => Some(*word),
            // `https://host/path`, `ws://host/path`.
            Some(b'h' | b'w') => word.split_once("://").and_then(|(_, rest)| {
                let at = rest.find('/')?;
                Some(&rest[at..])
            }),
            _ => None,
        };
        matches!(*word, "run" | "[ws]") || path.is_some_and(lasts)
    })
}

/// Whether a path has a segment that begins with a word of what lasts.
fn lasts(path: &str) -> bool {
    let mut segments = path.split(['/', '?', '-', '_', '.']);
    segments.any(|segment| LASTING.iter().any(|word| segment.starts_with(word)))
}

/// pino, Fastify, Caddy.
fn json(text: &str) -> Option<(u16, Took)> {
    let status = after(text, "\"statusCode\":").or_else(|| after(text, "\"status\":"));
    let status = status.and_then(number).filter(|status| (100.0..600.0).contains(status))?;
    let milliseconds =
        ["\"responseTime\":", "\"duration_ms\":", "\"elapsed_ms\":", "\"latency_ms\":"];
    let milliseconds = milliseconds.iter().find_map(|key| number(after(text, key)?));
    let seconds =
        || ["\"duration\":", "\"request_time\":"].iter().find_map(|key| number(after(text, key)?));
    let seconds = milliseconds.map(|time| time / 1_000.0).or_else(seconds);
    let took = seconds.and_then(|time| Duration::try_from_secs_f64(time).ok());
    Some((whole_number(status), took.map_or(Took::Untold, Took::Whole)))
}

fn plain(text: &str, words: &[&str]) -> Option<(u16, Took)> {
    let has_method = words.iter().any(|word| METHODS.contains(word));
    let status = has_method.then(|| words.iter().skip(1).find_map(|word| status(word))).flatten();
    let keyed = if text.contains('=') { words } else { &[] };
    let by_key = keyed.iter().find_map(|word| {
        let (key, value) = word.split_once('=')?;
        KEYS.contains(&key).then_some(())?;
        duration(value).or_else(|| Duration::try_from_secs_f64(value.parse().ok()?).ok())
    });
    match status {
        Some(status) => {
            let took = by_key.or_else(|| last_duration(words));
            let took = match took {
                Some(took) if words.first() == Some(&"-->") => Took::Head(took),
                // morgan's.
                Some(took) if text.contains(" ms - ") => Took::HeadOfWhole(took),
                Some(took) => Took::Whole(took),
                None => Took::Untold,
            };
            Some((status, took))
        }
        None => by_words(words).or_else(|| by_key.map(|took| (0, Took::Whole(took)))),
    }
}

/// `Sent 200 in 12ms`, `Completed 200 OK in 12ms`, `run 3f done after 312.4s`, `disconnected code=1001 after 280s`.
fn by_words(words: &[&str]) -> Option<(u16, Took)> {
    let at = words
        .windows(2)
        .rposition(|pair| matches!(pair[0], "in" | "after") && duration(pair[1]).is_some())?;
    let took = duration(words[at + 1])?;
    let before = &words[..at];
    if let Some(sent) =
        before.iter().position(|word| matches!(*word, "Sent" | "Chunked" | "Completed"))
    {
        let status = before.get(sent + 1).and_then(|word| status(word))?;
        let is_head = words[sent] != "Completed";
        return Some((status, if is_head { Took::Head(took) } else { Took::Whole(took) }));
    }
    let is_end = before.iter().rev().take(4).any(|word| ENDS.contains(&word.trim_end_matches(':')));
    is_end.then_some((0, Took::Whole(took)))
}

/// The last word that is a time: `7m32.5s`, or `12.3` before `ms`.
fn last_duration(words: &[&str]) -> Option<Duration> {
    let apart = |pair: &[&str]| {
        let unit = matches!(pair[1], "ms" | "s").then_some(pair[1])?;
        duration(&format!("{}{unit}", pair[0]))
    };
    let joined = words.iter().rev().find_map(|word| duration(word));
    joined.or_else(|| words.windows(2).rev().find_map(apart))
}

/// As Go prints one: `1h2m3.5s`, `12.3ms`, `850µs`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    if !rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        seconds += number
            * match &rest[..end] {
                "h" => 3_600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                "µs" | "μs" | "us" => 0.000_001,
                "ns" => 0.000_000_001,
                _ => return None,
            };
        rest = &rest[end..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

fn status(word: &str) -> Option<u16> {
    let status: u16 = if word.len() == 3 { word.parse().ok()? } else { return None };
    (100..600).contains(&status).then_some(status)
}

fn after<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.find(key).map(|at| &text[at + key.len()..])
}

fn number(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text[..end].parse().ok()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is a status, checked before"
)]
fn whole_number(status: f64) -> u16 {
    status as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_access_lines_are_read() {
        use Took::{Head, HeadOfWhole, Untold, Whole};
        let ms = Duration::from_millis;
        for (text, status, took) in [
            (
                "2025/10/02 11:00:00 \"POST http://a.example/api/chat HTTP/1.1\" from 203.0.113.9:4000 - 200 1200B in 7m32.5s",
                200,
                Whole(ms(452_500)),
            ),
            (
                "[GIN] 2025/10/02 - 11:00:00 | 200 |      12.5ms |    203.0.113.9 | GET     \"/\"",
                200,
                Whole(ms(12) + Duration::from_micros(500)),
            ),
            (
                "203.0.113.9 - - [02/Oct/2025:11:00:00 +0000] \"GET / HTTP/1.1\" 499 0 \"-\" \"curl/8\" rt=10.112 urt=10.112",
                499,
                Whole(ms(10_112)),
            ),
            (
                "203.0.113.9 - - [02/Oct/2025:11:00:00 +0000] \"GET / HTTP/1.1\" 504 569",
                504,
                Untold,
            ),
            ("GET /api/items 200 12.000 ms - 640", 200, HeadOfWhole(ms(12))),
            ("--> POST /api/chat 200 1s", 200, Head(ms(1_000))),
            (" GET /a 200 in 31ms", 200, Whole(ms(31))),
            ("11:00:00.123 request_id=3f [info] Sent 200 in 12ms", 200, Head(ms(12))),
            ("Completed 200 OK in 8ms (Views: 1.0ms)", 200, Whole(ms(8))),
            ("INFO:     203.0.113.9:4000 - \"GET / HTTP/1.1\" 200 OK", 200, Untold),
            ("[chat] run 3f0a12 done after 312.4s", 0, Whole(ms(312_400))),
            ("2025-10-02 11:00:00,123 INFO chat: run 3f finished in 312.4s", 0, Whole(ms(312_400))),
            ("[ws] 3f0a12 disconnected code=1001 after 280s", 0, Whole(ms(280_000))),
            (
                "{\"level\":30,\"reqId\":\"req-1\",\"res\":{\"statusCode\":200},\"responseTime\":3100.5,\"msg\":\"request completed\"}",
                200,
                Whole(ms(3_100) + Duration::from_micros(500)),
            ),
            (
                "{\"level\":\"info\",\"msg\":\"handled request\",\"duration\":0.25,\"size\":640,\"status\":200}",
                200,
                Whole(ms(250)),
            ),
        ] {
            let found = served(text).map(|served| (served.status, served.took));
            assert_eq!(found, Some((status, took)), "{text}");
        }
    }

    #[test]
    fn other_lines_with_times_are_none() {
        for text in [
            "Server listening on http://0.0.0.0:8080",
            "retrying in 5s",
            "next backup in 300s",
            "timeout of 30000ms exceeded",
            "<-- GET /api/items",
            "{\"level\":30,\"msg\":\"incoming request\",\"req\":{\"method\":\"GET\",\"url\":\"/\"}}",
            "machine started in 1.2s",
            "rt=",
            "{\"status\":",
            "GET",
            "",
        ] {
            assert_eq!(served(text), None, "{text}");
        }
    }

    #[test]
    fn what_lasts_is_known_by_its_words() {
        let sounds = |text: &str| served(text).is_some_and(|served| served.sounds_long);
        assert!(sounds("POST /api/chat 200 12.000 ms - 640"));
        assert!(!sounds("GET /api/items 200 12.000 ms - 640"));
        assert!(sounds("[chat] run 3f0a12 done after 312.4s"));
        let host = "\"GET http://chat.example/api/items HTTP/1.1\" from 203.0.113.9:4000 - 200 640B in 12ms";
        assert!(!sounds(host), "a host is no path");
    }
}
