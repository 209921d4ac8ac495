//! Request ids: one from the error page to the log line.

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
        Self(Ulid::from_parts(milliseconds, u128::from_le_bytes(random::bytes())))
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
    fn an_id_is_read_back_with_and_without_region() {
        let id = RequestId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(format!("{id}-sjc").parse(), Ok(id));
        assert!("nonsense".parse::<RequestId>().is_err());
    }
}
