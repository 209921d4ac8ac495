//! Request ids: one from the error page to the log line.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use outlast_runtime::{clock, random};
use ulid::Ulid;

/// A ULID: sortable by time, as Fly's request ids are. Shown with the region behind it, as Fly does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(Ulid);

impl RequestId {
    /// A new id.
    #[must_use]
    pub fn generate() -> Self {
        let milliseconds = u64::try_from(clock::wall_now().as_millisecond()).unwrap_or(0);
        Self(Ulid::from_parts(milliseconds, CHANCE.with_borrow_mut(Chance::next)))
    }
}

impl From<RequestId> for u128 {
    fn from(id: RequestId) -> Self {
        id.0.into()
    }
}

impl From<u128> for RequestId {
    fn from(number: u128) -> Self {
        Self(number.into())
    }
}

/// Chance for so many ids is fetched at once: a system call for each was one in six of a small request's.
const CHANCE_BYTES: usize = 64 * CHANCE_BYTES_EACH;
const CHANCE_BYTES_EACH: usize = size_of::<u128>();

thread_local! {
    static CHANCE: RefCell<Chance> = const { RefCell::new(Chance { bytes: [0; CHANCE_BYTES], used: CHANCE_BYTES }) };
}

/// Bytes of the operating system's generator that have not been used.
struct Chance {
    bytes: [u8; CHANCE_BYTES],
    used: usize,
}

impl Chance {
    fn next(&mut self) -> u128 {
        if self.used == CHANCE_BYTES {
            *self = Self { bytes: random::bytes(), used: 0 };
        }
        let (each, _rest) =
            self.bytes[self.used..].split_first_chunk().expect("a whole number is left");
        self.used += CHANCE_BYTES_EACH;
        u128::from_le_bytes(*each)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RequestId {
    type Err = ulid::DecodeError;

    /// Reads an id, with or without a region behind it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = text.split_once('-').map_or(text, |(id, _region)| id);
        Ulid::from_string(id).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_comes_twice() {
        let count = 3 * CHANCE_BYTES / CHANCE_BYTES_EACH + 1;
        let ids: std::collections::HashSet<_> =
            std::iter::repeat_with(RequestId::generate).take(count).collect();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn an_id_is_read_back_with_and_without_region() {
        let id = RequestId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(format!("{id}-sjc").parse(), Ok(id));
        assert!("nonsense".parse::<RequestId>().is_err());
    }
}
