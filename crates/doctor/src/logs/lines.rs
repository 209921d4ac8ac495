//! Bytes, as they come, in lines, as they are.

use memchr::memchr;

/// Of a line so many bytes are read, and the rest is skipped. A page of the logs API is one line of a hundred records.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// Cuts bytes into lines. Holds at most one line.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    /// Bytes of it that were too many.
    skipped: u64,
}

/// A line without its line feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) text: &'a [u8],
    /// How many bytes were too many for it.
    pub(super) skipped: u64,
}

impl Lines {
    /// Hands on the lines that end within the bytes.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Line<'_>)) {
        while let Some(end) = memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if self.begun.is_empty() && line.len() <= LINE_BYTES_MAX {
                each(Line { text: line, skipped: 0 });
            } else {
                self.add(line);
                self.end(&mut each);
            }
        }
        self.add(bytes);
    }

    /// Hands on a line that has not ended, if there is one.
    pub(super) fn end(&mut self, mut each: impl FnMut(Line<'_>)) {
        if !self.begun.is_empty() {
            each(Line { text: &self.begun, skipped: self.skipped });
        }
        self.begun.clear();
        self.skipped = 0;
    }

    fn add(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX - self.begun.len();
        let (kept, over) = bytes.split_at(bytes.len().min(room));
        self.begun.extend_from_slice(kept);
        self.skipped += over.len() as u64;
    }

    /// Whether a line has begun and not ended.
    pub(super) fn is_within(&self) -> bool {
        !self.begun.is_empty()
    }
}

/// Writes a line without the colours and cursor movements of a terminal (ECMA-48 section 5.4 and 8.3.89) and without
/// NUL bytes.
pub(super) fn clean(line: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut rest = line;
    while let Some(at) = memchr::memchr2(ESCAPE, 0, rest) {
        out.extend_from_slice(&rest[..at]);
        let after = &rest[at + 1..];
        let length = match (rest[at], after.first()) {
            (ESCAPE, Some(b'[')) => {
                let is_final = |byte: &u8| (0x40..=0x7e).contains(byte);
                after[1..].iter().position(is_final).map_or(after.len(), |at| at + 2)
            }
            // An operating system command, such as a link, ends in BEL or ESC \.
            (ESCAPE, Some(b']')) => {
                let end = memchr::memchr2(7, ESCAPE, after);
                let mark = |at: usize| if after[at] == ESCAPE { 2 } else { 1 };
                end.map_or(after.len(), |at| at + mark(at)).min(after.len())
            }
            (ESCAPE, Some(_)) => 1,
            _ => 0,
        };
        rest = &after[length..];
    }
    out.extend_from_slice(rest);
}

/// What begins all that is for the terminal and not for the reader.
pub(super) const ESCAPE: u8 = 0x1b;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<(usize, u64)> {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.feed(piece, |line| seen.push((line.text.len(), line.skipped)));
            assert!(lines.begun.len() <= LINE_BYTES_MAX);
        }
        lines.end(|line| seen.push((line.text.len(), line.skipped)));
        seen
    }

    #[test]
    fn lines_are_the_same_however_they_come() {
        assert_eq!(lines(&[b"ab\n\ncde"]), [(2, 0), (0, 0), (3, 0)]);
        assert_eq!(lines(&[b"a", b"b\n", b"\nc", b"d", b"e"]), [(2, 0), (0, 0), (3, 0)]);
        assert_eq!(lines(&[b"ab\n"]), [(2, 0)]);
        assert_eq!(lines(&[b""]), []);
    }

    #[test]
    fn the_rest_of_a_long_line_is_counted_and_not_kept() {
        let long = vec![b'x'; LINE_BYTES_MAX + 3];
        assert_eq!(lines(&[&long, b"yy\nz\n"]), [(LINE_BYTES_MAX, 5), (1, 0)]);
        let whole = [&long[..], b"\nz\n"].concat();
        assert_eq!(lines(&[&whole]), [(LINE_BYTES_MAX, 3), (1, 0)]);
    }

    #[test]
    fn what_is_for_the_terminal_goes() {
        let mut out = Vec::new();
        for (line, wanted) in [
            ("\u{1b}[2m2026\u{1b}[0m \u{1b}[38;5;1m[error]\u{1b}[0mx", "2026 [error]x"),
            ("a\0b\0", "ab"),
            ("\u{1b}]8;;http://a\u{7}link\u{1b}]8;;\u{1b}\\.", "link."),
            ("cut\u{1b}[3", "cut"),
            ("cut\u{1b}]8;", "cut"),
            ("end\u{1b}", "end"),
        ] {
            clean(line.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), wanted);
        }
    }
}
