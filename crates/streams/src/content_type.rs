//! What a stream's bytes are.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// A media type with its parameters, as given when the stream was created. Clones share the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType(Arc<str>);

/// A text that is not a media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a content type: one is `type/subtype` and parameters, in at most {max} visible bytes", max = ContentType::BYTES_MAX)]
pub struct InvalidContentType;

/// Where a stream may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundaries {
    /// Between any two bytes.
    Bytes,
    /// Between messages only: they are given out as they were appended.
    Messages,
}

impl ContentType {
    /// As many bytes as one may have.
    pub const BYTES_MAX: usize = 255;

    /// Checks the value of a `Content-Type` field (RFC 9110 section 8.3.1), roughly: that it has a type and a subtype.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, InvalidContentType> {
        let text = text.trim_matches([' ', '\t']);
        let (major, minor) = media_type(text).split_once('/').ok_or(InvalidContentType)?;
        let is_token =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic());
        let is_visible = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if text.len() > Self::BYTES_MAX || !is_token(major) || !is_token(minor) || !is_visible {
            return Err(InvalidContentType);
        }
        Ok(Self(text.into()))
    }

    /// `application/octet-stream`: nothing is known of the bytes.
    #[must_use]
    pub fn bytes() -> Self {
        Self("application/octet-stream".into())
    }

    /// The text, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both have one media type. Its case and parameters do not count.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        media_type(&self.0).eq_ignore_ascii_case(media_type(&other.0))
    }

    /// Messages are kept apart in `application/json` (Durable Streams 1.0, section 9.1).
    #[must_use]
    pub fn boundaries(&self) -> Boundaries {
        match media_type(&self.0).eq_ignore_ascii_case("application/json") {
            true => Boundaries::Messages,
            false => Boundaries::Bytes,
        }
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn media_type(text: &str) -> &str {
    text.split(';').next().unwrap_or(text).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_alone_is_compared() {
        let parse = |text| ContentType::parse(text).unwrap();
        let json = parse("application/json");
        assert!(json.matches(&parse("Application/JSON ; charset=utf-8")));
        assert!(!json.matches(&parse("application/jsonl")));
        assert_eq!(parse(" APPLICATION/JSON;x=y").boundaries(), Boundaries::Messages);
        assert_eq!(parse("text/plain").boundaries(), Boundaries::Bytes);
        assert_eq!(ContentType::bytes().boundaries(), Boundaries::Bytes);
    }

    #[test]
    fn other_texts_are_none() {
        for text in ["", "json", "/", "a/", "/b", "a/b\n", "a b/c", "ä/b", &"a/b".repeat(100)] {
            assert_eq!(ContentType::parse(text), Err(InvalidContentType), "{text:?}");
        }
    }
}
