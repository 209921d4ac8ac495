//! Where the messages of a stream end, so that something of our own may stand between two of them.
//!
//! A stream of events (WHATWG HTML section 9.2) ends each with an empty line, and a line that begins with a colon is a
//! comment that every parser ignores. A stream of lines (NDJSON, JSON Lines) ends each with a line feed, and readers skip
//! an empty one. Whatever else a response is, it is not touched.

use httparse::Header;

use crate::body::Body;
use crate::head::is;

/// Types whose messages are lines. None of them is registered, and these are the ones in use.
const LINE_TYPES: [&str; 4] =
    ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"];
/// Fields that speak of the very bytes of the content, which then have to stay what they are.
const DIGESTS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];

/// What the messages of a stream are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// Those of `text/event-stream`.
    Events,
    /// Lines of JSON, such as `application/x-ndjson`.
    Lines,
}

/// The messages of a response body, and how far the current one has come. It is shown the content in pieces, without chunk
/// sizes, and keeps none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Messages {
    Events(EventAt),
    Lines(LineAt),
}

/// The position within a stream of events. Its lines end in LF, CR LF or CR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventAt {
    /// Nothing has come, and nothing was put in.
    Start,
    /// Nothing has come yet, and something was put in: a byte order mark would now stand in the wrong place.
    Beaten,
    /// One byte, and two bytes, of such a mark have come.
    Mark1,
    Mark2,
    Line,
    /// After the CR that ended a line. An LF may belong to it.
    LineCr,
    /// After the end of a line.
    NextLine,
    /// After a CR that ended an empty line where lines end in CR LF or LF: an LF will most likely follow.
    EmptyCr,
    /// After an empty line.
    Between(LineEnd),
}

/// How the lines of a stream of events end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnd {
    Lf,
    CrLf,
    Cr,
}

/// The position within a stream of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineAt {
    Amid,
    Between,
}

impl Messages {
    /// The messages of a response, if something may stand between them: their type is known, nothing encodes them, and
    /// nothing was said about their bytes.
    pub(crate) fn of(status: u16, headers: &[Header<'_>], body: &Body) -> Option<Self> {
        if status != 200 || body.gap().is_none() {
            None
        } else {
            Self::of_content(headers, is_about_bytes)
        }
    }

    /// The same, however the body is framed, if no field forbids it.
    fn of_content(headers: &[Header<'_>], forbids: fn(&Header<'_>) -> bool) -> Option<Self> {
        let mut messages = None;
        for field in headers {
            if is(field.name, "content-type") {
                // Twice is not a type.
                if messages.replace(Self::of_type(field.value)?).is_some() {
                    return None;
                }
            } else if forbids(field) {
                return None;
            }
        }
        messages
    }

    /// The messages of a response that continues one of ours of this kind; None if it cannot. What its head says about its bytes
    /// the client will not see.
    pub(crate) fn continuing(
        kind: MessageKind,
        status: u16,
        headers: &[Header<'_>],
        body: &Body,
    ) -> Option<Self> {
        if status != 200 || body.is_until_close() {
            return None;
        }
        match (kind, Self::of_content(headers, is_about_rest)?) {
            (MessageKind::Events, Self::Events(_)) => Some(Self::Events(EventAt::Beaten)),
            (MessageKind::Lines, lines @ Self::Lines(_)) => Some(lines),
            _ => None,
        }
    }

    fn of_type(value: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(value).ok()?.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or("");
        // In other character sets a line feed may be a part of something else.
        let is_utf_8 = parts.all(|parameter| match parameter.split_once('=') {
            Some((name, charset)) if is(name.trim_end(), "charset") => {
                is(charset.trim_matches([' ', '\t', '"']), "utf-8")
            }
            _ => true,
        });
        if !is_utf_8 {
            return None;
        }
        if is(media_type, "text/event-stream") {
            return Some(Self::Events(EventAt::Start));
        }
        let is_lines = LINE_TYPES.iter().any(|line_type| is(media_type, line_type));
        is_lines.then_some(Self::Lines(LineAt::Between))
    }

    /// Shows the next piece of the content. A byte order mark is taken out of it where it would not be one any more.
    pub(crate) fn show(&mut self, content: &mut [u8]) {
        match self {
            Self::Events(at) => {
                let rest = at.show_mark(content);
                at.show(rest);
            }
            Self::Lines(at) => match content.last() {
                None => {}
                Some(b'\n') => *at = LineAt::Between,
                Some(_) => *at = LineAt::Amid,
            },
        }
    }

    /// What may be put in here, and means nothing; None within a message.
    pub(crate) fn sign_of_life(self) -> Option<&'static [u8]> {
        match self {
            // Without the empty line, which would set the client's last event id (WHATWG HTML section 9.2.6): after an event
            // it is what the event has set it to, and before the first one it is that of an earlier connection.
            Self::Events(EventAt::Start | EventAt::Beaten) => Some(b": heartbeat\n"),
            // With it, for those who split the stream by empty lines and look no further than how a part begins.
            Self::Events(EventAt::Between(LineEnd::Lf)) => Some(b": heartbeat\n\n"),
            Self::Events(EventAt::Between(LineEnd::CrLf)) => Some(b": heartbeat\r\n\r\n"),
            Self::Events(EventAt::Between(LineEnd::Cr)) => Some(b": heartbeat\r\r"),
            Self::Lines(LineAt::Between) => Some(b"\n"),
            Self::Events(_) | Self::Lines(LineAt::Amid) => None,
        }
    }

    /// A sign of life was put in.
    pub(crate) fn beaten(&mut self) {
        if *self == Self::Events(EventAt::Start) {
            *self = Self::Events(EventAt::Beaten);
        }
    }
}

impl EventAt {
    /// A parser takes a byte order mark from the start of the stream only (WHATWG HTML section 9.2.6). One that comes behind
    /// a sign of life becomes a comment of the same length. Whatever else begins like one is a line with a name that no field
    /// has: as ignored as a comment. Returns what follows.
    fn show_mark<'c>(&mut self, content: &'c mut [u8]) -> &'c mut [u8] {
        let mut seen = 0;
        for byte in &mut *content {
            (*self, *byte) = match (*self, *byte) {
                (Self::Beaten, 0xef) => (Self::Mark1, b':'),
                (Self::Mark1, 0xbb) => (Self::Mark2, b' '),
                (Self::Mark2, 0xbf) => (Self::NextLine, b'\n'),
                _ => break,
            };
            seen += 1;
        }
        &mut content[seen..]
    }

    fn show(&mut self, content: &[u8]) {
        // All that matters is how it ends: other bytes are within a line, wherever they are.
        let ends = content.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
        if ends.is_some() {
            *self = Self::Line;
        }
        for &byte in &content[ends.map_or(0, |last| last + 1)..] {
            *self = if byte == b'\n' { self.after_lf() } else { self.after_cr() };
        }
    }

    fn after_lf(self) -> Self {
        match self {
            Self::Line | Self::Mark1 | Self::Mark2 | Self::LineCr => Self::NextLine,
            Self::Start | Self::Beaten | Self::NextLine => Self::Between(LineEnd::Lf),
            Self::EmptyCr | Self::Between(LineEnd::Cr) => Self::Between(LineEnd::CrLf),
            Self::Between(LineEnd::Lf | LineEnd::CrLf) => Self::Between(LineEnd::Lf),
        }
    }

    fn after_cr(self) -> Self {
        match self {
            Self::Line | Self::Mark1 | Self::Mark2 => Self::LineCr,
            // A second CR: the first was a whole line end, and so is this one.
            Self::LineCr | Self::EmptyCr | Self::Between(LineEnd::Cr) => Self::Between(LineEnd::Cr),
            Self::Start
            | Self::Beaten
            | Self::NextLine
            | Self::Between(LineEnd::Lf | LineEnd::CrLf) => Self::EmptyCr,
        }
    }
}

/// Whether the content is encoded, or its bytes are vouched for, in the head or by a trailer field that it announces. A weak
/// entity tag allows for changes that mean nothing (RFC 9110 section 8.8.1).
fn is_about_bytes(field: &Header<'_>) -> bool {
    if is(field.name, "etag") {
        return !text(field).starts_with("W/");
    }
    is_digest(field.name) || is_about_rest(field)
}

/// Whether the content is encoded or a part of something, or a trailer field that the head announces vouches for its bytes:
/// what matters to a client that does not see the head.
fn is_about_rest(field: &Header<'_>) -> bool {
    if is(field.name, "content-encoding") {
        return !is(text(field), "identity");
    }
    if is(field.name, "trailer") {
        let mut names = text(field).split(',').map(str::trim);
        return names.any(|name| is_digest(name) || is(name, "etag"));
    }
    is(field.name, "content-range")
}

fn is_digest(name: &str) -> bool {
    DIGESTS.iter().any(|digest| is(name, digest))
}

fn text<'h>(field: &Header<'h>) -> &'h str {
    std::str::from_utf8(field.value).unwrap_or("").trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<'h>(lines: &[(&'h str, &'h str)]) -> Vec<Header<'h>> {
        let field = |&(name, value): &(&'h str, &'h str)| Header { name, value: value.as_bytes() };
        lines.iter().map(field).collect()
    }

    #[test]
    fn only_known_messages_that_nobody_vouches_for() {
        let events = Some(Messages::Events(EventAt::Start));
        let lines = Some(Messages::Lines(LineAt::Between));
        let sse = ("Content-Type", "text/event-stream");
        for (headers, want) in [
            (&[sse][..], events),
            (&[("content-type", "Text/Event-Stream ; charset=UTF-8")], events),
            (&[("content-type", "text/event-stream;charset=\"utf-8\";x=y")], events),
            (&[("content-type", "application/x-ndjson")], lines),
            (&[("content-type", "application/ndjson")], lines),
            (&[("content-type", "application/jsonl")], lines),
            (&[("content-type", "application/x-jsonlines; charset=utf-8")], lines),
            (&[sse, ("Content-Encoding", "identity")], events),
            (&[sse, ("ETag", "W/\"1\"")], events),
            (&[sse, ("Trailer", "Server-Timing")], events),
            (&[sse, ("Cache-Control", "no-cache, no-transform")], events),
            (&[], None),
            (&[sse, sse], None),
            (&[sse, ("Content-Type", "text/html")], None),
            (&[("content-type", "text/event-stream; charset=utf-16")], None),
            (&[("content-type", "application/x-ndjson;charset=latin1")], None),
            (&[("content-type", "text/event-stream, text/html")], None),
            (&[("content-type", "text/event-stream2")], None),
            (&[("content-type", "application/json")], None),
            (&[("content-type", "application/json-seq")], None),
            (&[("content-type", "text/plain")], None),
            (&[("content-type", "multipart/byteranges; boundary=a")], None),
            (&[sse, ("Content-Encoding", "gzip")], None),
            (&[sse, ("Content-Encoding", "identity, br")], None),
            (&[sse, ("Content-Encoding", "identity"), ("Content-Encoding", "gzip")], None),
            (&[sse, ("ETag", "\"1\"")], None),
            (&[sse, ("Content-Digest", "sha-256=:x:")], None),
            (&[sse, ("Repr-Digest", "sha-256=:x:")], None),
            (&[sse, ("Digest", "sha-256=x")], None),
            (&[sse, ("Content-MD5", "x")], None),
            (&[sse, ("Content-Range", "bytes 0-1/2")], None),
            (&[sse, ("Trailer", "X, content-digest")], None),
        ] {
            let headers = fields(headers);
            assert_eq!(Messages::of(200, &headers, &Body::until_close()), want, "{headers:?}");
            assert_eq!(Messages::of(206, &headers, &Body::until_close()), None);
            for body in [Body::none(), Body::length(9), Body::length(0)] {
                assert_eq!(Messages::of(200, &headers, &body), None, "{body:?}");
            }
        }
    }

    #[test]
    fn signs_of_life_stand_between_messages() {
        const LF: Option<&str> = Some(": heartbeat\n\n");
        const CRLF: Option<&str> = Some(": heartbeat\r\n\r\n");
        const CR: Option<&str> = Some(": heartbeat\r\r");
        for (pieces, want) in [
            (&["data: a\n\n"][..], LF),
            (&["data: a\r\n\r\n"], CRLF),
            (&["data: a\r\n\r", "\n"], CRLF),
            (&["data: a\r", "\n", "\r", "\n"], CRLF),
            (&["data: a\r\r"], CR),
            (&["data: a\r", "\r"], CR),
            (&["data: a\n", "\n"], LF),
            (&["data: a\n\n", ": mine\n\n"], LF),
            (&["data: a\r\r", "\n"], CRLF),
            (&["\n"], LF),
            (&["data: a\r\n\n"], LF),
            (&[""], Some(": heartbeat\n")),
            (&["data: a\n"], None),
            (&["data: a\r\n"], None),
            (&["data: a\r"], None),
            (&["data: a\r\n\r"], None),
            (&["data: a\n\r"], None),
            (&["d"], None),
            (&["data: a\n\n", "d"], None),
            (&["data: a\n\n", ": mine\n"], None),
            (&["data: a\n \n"], None),
            (&["\u{feff}"], None),
        ] {
            let mut messages = Messages::Events(EventAt::Start);
            for piece in pieces {
                messages.show(&mut piece.as_bytes().to_vec());
            }
            let want = want.map(str::as_bytes);
            assert_eq!(messages.sign_of_life(), want, "{pieces:?} {messages:?}");
        }
        for (piece, want) in
            [("", true), ("{}\n", true), ("{}\n\n", true), ("{}", false), ("{}\r", false)]
        {
            let mut messages = Messages::Lines(LineAt::Between);
            messages.show(&mut piece.as_bytes().to_vec());
            assert_eq!(messages.sign_of_life(), want.then_some(&b"\n"[..]), "{piece:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_behind_a_sign_of_life_is_a_comment() {
        let stream = "\u{feff}data: a\n\n".as_bytes();
        for cut in 0..stream.len() {
            let mut messages = Messages::Events(EventAt::Start);
            messages.beaten();
            let (mut first, mut last) = (stream[..cut].to_vec(), stream[cut..].to_vec());
            messages.show(&mut first);
            messages.show(&mut last);
            assert_eq!([first, last].concat(), b": \ndata: a\n\n", "{cut}");
            assert!(messages.sign_of_life().is_some());
        }
        let mut messages = Messages::Events(EventAt::Start);
        let mut whole = stream.to_vec();
        messages.show(&mut whole);
        assert_eq!(whole, stream, "nothing stands before it");
    }
}
