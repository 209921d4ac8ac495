//! Objects of JSON that take several lines: `fly logs --json`.

use memchr::memchr3;

use super::lines::LINE_BYTES_MAX;
use super::text::ERROR_FIRST;

/// Lines that may be one object.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Lines {
    /// Each ends in a line feed.
    pub(super) text: Vec<u8>,
    /// Which the first one is.
    pub(super) line: u64,
}

/// What became of a line.
#[derive(Debug, PartialEq)]
pub(super) enum Collected {
    /// No object has begun.
    NotCollecting,
    /// It is part of one that goes on.
    More,
    /// It is the last of one.
    Whole(Lines),
    /// It is no part of what had begun.
    GivenUp(Lines),
}

/// Collects the lines of an object. Holds at most [`LINE_BYTES_MAX`].
#[derive(Debug, Default)]
pub(super) struct Collector {
    lines: Option<Lines>,
    depth: Depth,
}

impl Collector {
    pub(super) fn is_collecting(&self) -> bool {
        self.lines.is_some()
    }

    /// Begins with a line that an object begins in. False: it is too long.
    pub(super) fn begin(&mut self, text: &[u8], line: u64) -> bool {
        if text.len() >= LINE_BYTES_MAX {
            return false;
        }
        self.depth = Depth::default();
        self.depth.follow(text);
        self.lines = Some(Lines { text: [text, b"\n"].concat(), line });
        true
    }

    pub(super) fn add(&mut self, text: &[u8]) -> Collected {
        let Some(lines) = &mut self.lines else { return Collected::NotCollecting };
        let is_full = lines.text.len() + text.len() >= LINE_BYTES_MAX;
        if is_full || is_other(&lines.text, text) {
            return self.take().map_or(Collected::NotCollecting, Collected::GivenUp);
        }
        lines.text.extend_from_slice(text);
        lines.text.push(b'\n');
        self.depth.follow(text);
        if self.depth.open > 0 {
            return Collected::More;
        }
        self.take().map_or(Collected::NotCollecting, Collected::Whole)
    }

    pub(super) fn take(&mut self) -> Option<Lines> {
        self.lines.take()
    }
}

/// Whether a line begins something else: what lies within an object of several lines is indented.
fn is_other(begun: &[u8], line: &[u8]) -> bool {
    match line.first() {
        Some(b'{') => begun.first() == Some(&b'{'),
        Some(b'e') => line.starts_with(ERROR_FIRST),
        Some(b'0'..=b'9') => line.get(4) == Some(&b'-') || line.get(2) == Some(&b':'),
        _ => false,
    }
}

/// How many objects and lists are open.
#[derive(Debug, Default)]
struct Depth {
    open: u64,
    is_in_string: bool,
}

impl Depth {
    /// A string does not go on in the next line.
    fn follow(&mut self, line: &[u8]) {
        self.is_in_string = false;
        let mut at = 0;
        while let Some(byte) = line.get(at) {
            match byte {
                b'"' => self.is_in_string = !self.is_in_string,
                b'\\' => at += 1,
                b'{' | b'[' if !self.is_in_string => self.open += 1,
                b'}' | b']' if !self.is_in_string => self.open = self.open.saturating_sub(1),
                _ if self.is_in_string => {
                    let rest = memchr3(b'"', b'\\', b'"', &line[at..]);
                    at = rest.map_or(line.len(), |found| at + found);
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
    }
}
