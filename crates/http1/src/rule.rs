//! The names of the rules that a refused message broke, for logs and metrics. They stay as they are once given.

use crate::body::BodyError;
use crate::head::HeadError;

/// Every name that [`HeadError::rule`] and [`BodyError::rule`] can give. Limits are named as the limit.
pub const RULES: [&str; 29] = [
    "ambiguous_framing",
    "chunk_bytes_max",
    "chunk_extension",
    "chunk_line_bytes_max",
    "chunk_line_end",
    "chunk_size",
    "connect",
    "connection",
    "content_length",
    "expectation",
    "fields_max",
    "forbidden_trailer",
    "head_bytes_max",
    "host",
    "interim_heads_max",
    "line_end",
    "max_forwards",
    "not_continued",
    "status",
    "syntax",
    "target",
    "target_bytes_max",
    "trailer_bytes_max",
    "trailer_section",
    "transfer_coding",
    "truncated",
    "unasked",
    "unasked_upgrade",
    "version",
];

/// A new error needs a line in its match below, and its name in the list.
fn listed(rule: &'static str) -> &'static str {
    debug_assert!(RULES.contains(&rule), "{rule} is not listed");
    rule
}

impl HeadError {
    /// The name of the rule that was broken.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        listed(match self {
            Self::Syntax(_) => "syntax",
            Self::BareLf => "line_end",
            Self::Version => "version",
            Self::TooLarge => "head_bytes_max",
            Self::TooManyFields => "fields_max",
            Self::TargetTooLong => "target_bytes_max",
            Self::Target => "target",
            Self::Host => "host",
            Self::ContentLength => "content_length",
            Self::AmbiguousFraming => "ambiguous_framing",
            Self::TransferCoding => "transfer_coding",
            Self::Connection => "connection",
            Self::Connect => "connect",
            Self::MaxForwards => "max_forwards",
            Self::Status => "status",
            Self::UnaskedUpgrade => "unasked_upgrade",
            Self::TooManyInterims => "interim_heads_max",
            Self::Unasked => "unasked",
            Self::NotContinued(_) => "not_continued",
            Self::Expectation => "expectation",
        })
    }
}

impl BodyError {
    /// The name of the rule that was broken.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        listed(match self {
            Self::ChunkSize => "chunk_size",
            Self::ChunkTooLarge => "chunk_bytes_max",
            Self::ChunkLineEnd => "chunk_line_end",
            Self::ExtensionTooLong => "chunk_line_bytes_max",
            Self::ChunkExtension => "chunk_extension",
            Self::TrailersTooLong => "trailer_bytes_max",
            Self::TrailerSection => "trailer_section",
            Self::ForbiddenTrailer => "forbidden_trailer",
            Self::Truncated => "truncated",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_that_stand_once() {
        let mut sorted = RULES.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted, RULES);
        let is_plain = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(RULES.iter().all(is_plain));
    }
}
