//! Why something is no log.

use super::record::Form;
use super::summary::{Example, Summary};

/// Why nothing could be read as a log. The message lists the forms that are known.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// There is nothing, or nothing but empty lines.
    #[error("it is empty: there is no line to read")]
    Empty,
    /// It could not be unpacked.
    #[error("it begins like gzip and cannot be unpacked: {reason}")]
    Packed {
        /// What the decoder says.
        reason: String,
    },
    /// It is no text.
    #[error("it is binary, first seen in line {line}: a log is text, or text packed with gzip")]
    Binary {
        /// Where that shows.
        line: u64,
    },
    /// It is text of another kind.
    #[error(
        "nothing here that I can read as a log: none of {lines} lines, line {} is `{}`; these forms are known: {}",
        .first.position.line, .first.excerpt, known()
    )]
    NotALog {
        /// How many lines there are.
        lines: u64,
        /// The first that is not empty.
        first: Example,
    },
}

impl Unreadable {
    /// The summary of what has records, else why there are none.
    pub(super) fn check(summary: Summary) -> Result<Summary, Self> {
        if summary.records_total() > 0 {
            return Ok(summary);
        }
        if let Some((_, reason)) = summary.broken {
            return Err(Self::Packed { reason });
        }
        let is_binary = summary.nul.count > 0 || summary.not_utf8.count * 2 > summary.lines;
        if let Some(first) = summary.nul.first.or(summary.not_utf8.first).filter(|_| is_binary) {
            return Err(Self::Binary { line: first.line });
        }
        match summary.examples.into_iter().next() {
            Some(first) => Err(Self::NotALog { lines: summary.lines, first }),
            None => Err(Self::Empty),
        }
    }
}

fn known() -> String {
    Form::ALL.map(Form::name).join(", ")
}
