//! Positions in streams, as clients keep them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A place between two bytes of a stream, valid for as long as the stream is.
///
/// As text it is `{tenure}_{position}`, 16 lowercase hex digits each. The position counts the stream's bytes. The tenure
/// is the number of who wrote the byte before it: each stream, each fork and each process that goes on with a stream of
/// an earlier one writes under a number of its own, greater than all before it and never used again. Thus
///
/// * of two offsets of a stream the one that is less as text comes first;
/// * a fork has its source's offsets up to where it forks;
/// * an offset of a stream that was deleted, or of bytes that a crash has lost, is never mistaken for one of the bytes
///   that now have its position: it is refused.
///
/// Durable Streams 1.0, section 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Offset {
    pub(crate) tenure: u64,
    pub(crate) position: u64,
}

/// A text that no store gives as an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "not an offset: one is two times 16 lowercase hex digits with `_` between them, as a response gave it"
)]
pub struct InvalidOffset;

impl Offset {
    /// The beginning of any stream. Nothing was read before it, so that it can bring no wrong bytes. Clients may write it by
    /// themselves, as 32 zeros (the public conformance suite does).
    pub const START: Self = Self { tenure: 0, position: 0 };

    /// How many bytes of the stream are before it, those of a fork's source included.
    #[must_use]
    pub fn position(self) -> u64 {
        self.position
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}_{:016x}", self.tenure, self.position)
    }
}

impl FromStr for Offset {
    type Err = InvalidOffset;

    fn from_str(text: &str) -> Result<Self, InvalidOffset> {
        let (tenure, position) = text.split_once('_').ok_or(InvalidOffset)?;
        Ok(Self { tenure: number(tenure)?, position: number(position)? })
    }
}

fn number(digits: &str) -> Result<u64, InvalidOffset> {
    let are_digits = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if digits.len() != 16 || !are_digits {
        return Err(InvalidOffset);
    }
    u64::from_str_radix(digits, 16).map_err(|_not_a_number| InvalidOffset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_sort_as_offsets_do_and_come_back() {
        let numbers = [0, 1, 9, 10, 255, 256, 1 << 32, u64::MAX];
        let all = numbers.map(|tenure| numbers.map(|position| Offset { tenure, position }));
        let all = all.as_flattened();
        for one in all {
            assert_eq!(one.to_string().parse(), Ok(*one));
            for other in all {
                assert_eq!(one.cmp(other), one.to_string().cmp(&other.to_string()));
            }
        }
    }

    #[test]
    fn other_texts_are_no_offsets() {
        let good = "0000000100000001_000000000000002a";
        assert!(good.parse::<Offset>().is_ok());
        let upper = good.to_uppercase();
        let sign = good.replace("_0", "_+");
        for text in ["", "-1", "now", "_", "1_2", &good[1..], &upper, &sign, &format!("{good}0")] {
            assert_eq!(text.parse::<Offset>(), Err(InvalidOffset), "{text}");
        }
    }
}
