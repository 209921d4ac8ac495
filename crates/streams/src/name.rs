//! The names of streams.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// A stream's name: the path below the root of the streams, without a leading slash, as in `chats/42`. Decoded: what was
/// percent-encoded in a URL is not here. Clones share the text.
///
/// A name never reaches a file system as a path. It is refused all the same if it would leave a folder there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName(Arc<str>);

/// Why a text is not a stream's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// No text at all.
    #[error("a stream's name is empty")]
    Empty,
    /// Longer than [`StreamName::BYTES_MAX`].
    #[error("a stream's name has {0} bytes, more than {max}", max = StreamName::BYTES_MAX)]
    TooLong(usize),
    /// Two slashes in a row, or one at an end.
    #[error("a stream's name has an empty segment")]
    EmptySegment,
    /// A segment that is `.` or `..`.
    #[error("a stream's name has the segment `.` or `..`, which would leave the store")]
    Leaves,
    /// NUL, another control character, or a backslash.
    #[error("a stream's name has the character {0:?}")]
    Character(char),
}

impl StreamName {
    /// As many bytes as a name may have: four times what people write, and 100 MB in memory for 100,000 streams.
    pub const BYTES_MAX: usize = 1024;

    /// Checks a decoded path.
    ///
    /// # Errors
    /// It is no name, and why.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() {
            return Err(InvalidName::Empty);
        }
        if text.len() > Self::BYTES_MAX {
            return Err(InvalidName::TooLong(text.len()));
        }
        if let Some(bad) = text.chars().find(|c| c.is_control() || *c == '\\') {
            return Err(InvalidName::Character(bad));
        }
        for segment in text.split('/') {
            match segment {
                "" => return Err(InvalidName::EmptySegment),
                "." | ".." => return Err(InvalidName::Leaves),
                _ => {}
            }
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_stay_in_the_store_are_names() {
        for text in ["a", "chats/42", "a/b/c.json", "…/ü", ".hidden/..x", &"n".repeat(1024)] {
            assert_eq!(StreamName::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn other_paths_are_refused_with_the_reason() {
        for (text, why) in [
            ("", InvalidName::Empty),
            ("/etc/passwd", InvalidName::EmptySegment),
            ("a//b", InvalidName::EmptySegment),
            ("a/", InvalidName::EmptySegment),
            ("../a", InvalidName::Leaves),
            ("a/../../b", InvalidName::Leaves),
            ("a/.", InvalidName::Leaves),
            ("a\\b", InvalidName::Character('\\')),
            ("a\0", InvalidName::Character('\0')),
            ("a\n", InvalidName::Character('\n')),
            (&"n".repeat(1025), InvalidName::TooLong(1025)),
        ] {
            assert_eq!(StreamName::parse(text), Err(why), "{text:?}");
        }
    }
}
