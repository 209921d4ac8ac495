//! Lines that prove themselves: each names its stream, its place in it, and the checksum of both and of its text.
//!
//! `{"stream":"ID","seq":7,"text":"…","sum":"0123456789abcdef"}`; the last one has `"end":true` in place of a text.
//! The text follows from stream and place alone, so that of a damaged line the very byte can be told.

use std::io::Write;

use outlast_runtime::random::Seeded;

use crate::plan::Kind;

/// The response field by which the built-in origin says that its lines prove themselves.
pub(crate) const MARK: &str = "outlast-drill";

/// `,"sum":"` and sixteen digits and `"}`.
const SUM_BYTES: usize = 8 + 16 + 2;
const SUM_KEY: &[u8] = b",\"sum\":\"";
const CHAT_OPEN: &[u8] = b"{\"type\":\"claude_json\",\"data\":";

/// What a line is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A text of so many characters.
    Text(usize),
    /// Nothing but the word that this is the end.
    End,
}

/// Appends one line of a stream, in the form of its kind.
pub(crate) fn push(wire: &mut Vec<u8>, kind: Kind, id: &str, seq: u32, content: Content) {
    match kind {
        Kind::Chat => wire.extend_from_slice(CHAT_OPEN),
        Kind::Sse => write(wire, format_args!("id: {seq}\ndata: ")),
        Kind::Ndjson | Kind::Plain => {}
    }
    push_bare(wire, id, seq, content);
    wire.extend_from_slice(match (kind, content) {
        (Kind::Chat, Content::Text(_)) => b"}\n",
        (Kind::Chat, Content::End) => b"}\n{\"type\":\"done\"}\n",
        (Kind::Sse, _) => b"\n\n",
        (Kind::Ndjson | Kind::Plain, _) => b"\n",
    });
}

fn write(wire: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    wire.write_fmt(text).expect("writing to a vector succeeds");
}

fn push_bare(wire: &mut Vec<u8>, id: &str, seq: u32, content: Content) {
    let start = wire.len();
    write(wire, format_args!("{{\"stream\":\"{id}\",\"seq\":{seq},"));
    match content {
        Content::Text(length) => {
            wire.extend_from_slice(b"\"text\":\"");
            push_text(wire, id, seq, length);
            wire.push(b'"');
        }
        Content::End => wire.extend_from_slice(b"\"end\":true"),
    }
    let sum = checksum(&wire[start..]);
    write(wire, format_args!(",\"sum\":\"{sum:016x}\"}}"));
}

/// Letters that follow from stream and place; a longer text begins with the shorter one.
fn push_text(wire: &mut Vec<u8>, id: &str, seq: u32, length: usize) {
    let mut chance = Seeded::new(checksum(id.as_bytes()) ^ u64::from(seq));
    let mut left = length;
    while left > 0 {
        let mut bits = chance.number();
        for _ in 0..left.min(12) {
            let letter = u8::try_from(bits & 31).expect("five bits remain");
            wire.push(b"abcdefghijklmnopqrstuvwxyz .,-+*"[usize::from(letter)]);
            bits >>= 5;
        }
        left = left.saturating_sub(12);
    }
}

/// FNV-1a, 64 bits: against accidents, not against attackers.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A line as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen<'l> {
    /// One of ours, whole.
    Proven { id: &'l [u8], seq: u32, is_end: bool },
    /// Nothing that a stream is made of: blank, or a field of an event that carries no data.
    Filler,
    /// The last line of a chat.
    ChatEnd,
    /// Not what was sent.
    Damaged {
        /// Where in the line the first wrong byte is, as far as can be told.
        at: usize,
    },
}

/// Judges a line without its line feed.
pub(crate) fn see(kind: Kind, line: &[u8]) -> Seen<'_> {
    let (bare, skipped) = match kind {
        Kind::Chat => match line.strip_prefix(CHAT_OPEN) {
            Some(rest) => match rest.strip_suffix(b"}") {
                Some(bare) => (bare, CHAT_OPEN.len()),
                None => return Seen::Damaged { at: line.len() },
            },
            None if line == b"{\"type\":\"done\"}" => return Seen::ChatEnd,
            None => (line, 0),
        },
        Kind::Sse => match line.strip_prefix(b"data: ") {
            Some(bare) => (bare, 6),
            None if line.starts_with(b"id: ") || line.starts_with(b":") => return Seen::Filler,
            None => (line, 0),
        },
        Kind::Ndjson | Kind::Plain => (line, 0),
    };
    if line.is_empty() {
        return Seen::Filler;
    }
    proven(bare).unwrap_or_else(|| Seen::Damaged { at: skipped + first_wrong(bare) })
}

fn proven(bare: &[u8]) -> Option<Seen<'_>> {
    let (body, tail) = bare.split_at_checked(bare.len().checked_sub(SUM_BYTES)?)?;
    let digits = tail.strip_prefix(SUM_KEY)?.strip_suffix(b"\"}")?;
    let sum = u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    if sum != checksum(body) {
        return None;
    }
    let (id, seq, rest) = named(body)?;
    Some(Seen::Proven { id, seq, is_end: rest.starts_with(b"\"end\"") })
}

/// Stream, place, and what follows them.
fn named(body: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let rest = body.strip_prefix(b"{\"stream\":\"")?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    let (id, rest) = rest.split_at(end);
    let rest = rest.strip_prefix(b"\",\"seq\":")?;
    let digits = rest.iter().position(|byte| *byte == b',')?;
    let seq = str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    Some((id, seq, &rest[digits + 1..]))
}

/// The first byte that differs from what such a line holds. Without stream and place that cannot be known: its begin.
fn first_wrong(bare: &[u8]) -> usize {
    let Some((id, seq, _)) = named(bare) else { return 0 };
    let Ok(id) = str::from_utf8(id) else { return 0 };
    let mut whole = Vec::new();
    push_bare(&mut whole, id, seq, Content::Text(bare.len()));
    bare.iter().zip(&whole).position(|(seen, sent)| seen != sent).unwrap_or(bare.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(kind: Kind, content: Content) -> Vec<Vec<u8>> {
        let mut wire = Vec::new();
        push(&mut wire, kind, "drill-7", 3, content);
        assert_eq!(wire.pop(), Some(b'\n'));
        wire.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn each_kind_is_seen_as_it_was_sent() {
        for kind in Kind::ALL {
            for content in [Content::Text(100), Content::Text(0), Content::End] {
                let lines = lines(kind, content);
                let mut seen = lines.iter().map(|line| see(kind, line));
                let seen = seen.find(|seen| *seen != Seen::Filler);
                let is_end = content == Content::End;
                assert_eq!(seen, Some(Seen::Proven { id: b"drill-7", seq: 3, is_end }), "{kind:?}");
            }
        }
        let end = lines(Kind::Chat, Content::End);
        assert_eq!(see(Kind::Chat, &end[1]), Seen::ChatEnd);
    }

    #[test]
    fn of_a_damaged_line_the_byte_is_told() {
        let line = lines(Kind::Ndjson, Content::Text(40)).remove(0);
        // Within the text, where the same letter does not follow.
        let at = (30..60).find(|at| line[*at] != line[at + 1]).unwrap();
        let doubled = [&line[..=at], &line[at..]].concat();
        assert_eq!(see(Kind::Ndjson, &doubled), Seen::Damaged { at: at + 1 });
        let mut changed = line.clone();
        changed[at] ^= 1;
        assert_eq!(see(Kind::Ndjson, &changed), Seen::Damaged { at });
        for length in 1..line.len() {
            let cut = see(Kind::Ndjson, &line[..length]);
            assert!(matches!(cut, Seen::Damaged { .. }), "{length}: {cut:?}");
        }
        assert_eq!(see(Kind::Ndjson, b"<html>"), Seen::Damaged { at: 0 });
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(line in proptest::collection::vec(0_u8..=255, 0..80)) {
            for kind in Kind::ALL {
                let _seen = see(kind, &line);
            }
        }

        #[test]
        fn any_changed_byte_is_found(at in 0_usize..100, flip in 1_u8..=255) {
            let mut line = lines(Kind::Ndjson, Content::Text(80)).remove(0);
            let at = at % line.len();
            line[at] ^= flip;
            let damaged = matches!(see(Kind::Ndjson, &line), Seen::Damaged { .. });
            proptest::prop_assert!(damaged);
        }
    }
}
