//! Texts, and places in them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A configuration file's name and contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// The name as diagnostics print it, such as `fly.toml`.
    pub name: Arc<str>,
    /// The whole text, a byte order mark and carriage returns included.
    pub text: String,
}

impl SourceText {
    /// Names a text.
    #[must_use]
    pub fn new(name: &str, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Finds the line and column of a byte range. A range outside the text is clamped to it.
    #[must_use]
    pub fn place(&self, span: Range<usize>) -> Place {
        let text = &self.text;
        let start = text.floor_char_boundary(span.start);
        let end = text.ceil_char_boundary(span.end.max(start));
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        // The mark is not a character of the first line to anyone who counts.
        let line_text = before[line_start..].trim_start_matches('\u{feff}');
        Place {
            source: Arc::clone(&self.name),
            span: start..end,
            line: before.matches('\n').count() + 1,
            column: line_text.chars().count() + 1,
        }
    }
}

/// A place in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub source: Arc<str>,
    /// The bytes of its text.
    pub span: Range<usize>,
    /// The line of the first byte, from 1.
    pub line: usize,
    /// Its column in characters, from 1. A tab is one character.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source, self.line, self.column)
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A command line flag, such as `--hard-limit`.
    Flag(&'static str),
    /// An environment variable, such as `OUTLAST_HARD_LIMIT`.
    Variable(String),
    /// A place in a file.
    File(Place),
    /// Nobody wrote it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => f.write_str(name),
            Self::Variable(name) => f.write_str(name),
            Self::File(place) => place.fmt(f),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and the bytes it was written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// What was written.
    pub value: T,
    /// Where, in bytes of the file's text.
    pub span: Range<usize>,
}

impl<T> Located<T> {
    /// Puts a value at its place.
    #[must_use]
    pub fn new(value: T, span: Range<usize>) -> Self {
        Self { value, span }
    }

    /// Changes the value and keeps the place.
    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: change(self.value), span: self.span }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_forgive_marks_returns_and_wild_spans() {
        let table: &[(&str, Range<usize>, usize, usize)] = &[
            ("a = 1", 0..1, 1, 1),
            ("a = 1\nb = 2", 10..11, 2, 5),
            ("a = 1\r\nb = 2\r\n", 11..12, 2, 5),
            ("\u{feff}a = 1", 3..4, 1, 1),
            ("\tü = 1", 3..4, 1, 3),
            ("ü", 1..1, 1, 1),
            ("a\n", 2..2, 2, 1),
            ("a", 90..99, 1, 2),
            ("", 0..0, 1, 1),
        ];
        for (text, span, line, column) in table {
            let place = SourceText::new("x", *text).place(span.clone());
            assert_eq!((place.line, place.column), (*line, *column), "{text:?} {span:?}");
            assert!(text.get(place.span.clone()).is_some(), "{text:?} {:?}", place.span);
        }
    }
}
