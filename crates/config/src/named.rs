//! Settings that are written as one of a few names.

use std::str::FromStr;

use crate::plan::{Accounting, AgentKind, Linger};
use crate::route::{HalfClose, QueueNotice, RefusalForm};
use crate::setting::{ParseSettingError, Setting};

/// Types that are written as one of a few names.
pub(crate) trait Named: Copy + PartialEq + 'static {
    const NAMES: &'static [&'static str];
    const ALL: &'static [Self];

    /// As it would be written, in quotes.
    const EXAMPLE: &'static str;

    fn by_name(text: &str) -> Result<Self, ParseSettingError> {
        let found = Self::NAMES.iter().position(|name| *name == text);
        let value = found.and_then(|index| Self::ALL.get(index)).copied();
        value.ok_or_else(|| ParseSettingError::UnknownName {
            given: text.to_owned(),
            known: Self::NAMES,
        })
    }

    fn as_name(self) -> &'static str {
        let index = Self::ALL.iter().position(|one| *one == self);
        index.and_then(|index| Self::NAMES.get(index)).copied().unwrap_or_default()
    }
}

impl<T: Named> Setting for T {
    const WANTED: &'static str = "a name";
    const EXAMPLE: &'static str = T::EXAMPLE;

    fn from_text(text: &str) -> Result<Self, ParseSettingError> {
        T::by_name(text)
    }

    fn show(&self) -> String {
        format!("{:?}", self.as_name())
    }
}

impl Named for Accounting {
    const NAMES: &'static [&'static str] = &["connections", "requests"];
    const ALL: &'static [Self] = &[Self::Connections, Self::Requests];
    const EXAMPLE: &'static str = "\"requests\"";
}

impl Named for Linger {
    const NAMES: &'static [&'static str] = &["hold", "evict"];
    const ALL: &'static [Self] = &[Self::Hold, Self::Evict];
    const EXAMPLE: &'static str = "\"hold\" or \"evict\"";
}

impl Named for AgentKind {
    const NAMES: &'static [&'static str] = &["auto", "scout"];
    const ALL: &'static [Self] = &[Self::Auto, Self::Scout];
    const EXAMPLE: &'static str = "\"auto\" or \"scout\"";

    fn by_name(text: &str) -> Result<Self, ParseSettingError> {
        match text {
            "auto" => Ok(Self::Auto),
            "scout" => Ok(Self::Scout),
            "claude" => Err(ParseSettingError::ClaudeLater),
            _ => Err(ParseSettingError::UnknownName { given: text.to_owned(), known: Self::NAMES }),
        }
    }
}

impl Named for HalfClose {
    const NAMES: &'static [&'static str] = &["gone", "keep"];
    const ALL: &'static [Self] = &[Self::Gone, Self::Keep];
    const EXAMPLE: &'static str = "\"gone\" or \"keep\"";
}

/// `off` stands for none.
impl Named for Option<QueueNotice> {
    const NAMES: &'static [&'static str] = &["off", "sse", "ndjson"];
    const ALL: &'static [Self] = &[None, Some(QueueNotice::Sse), Some(QueueNotice::Ndjson)];
    const EXAMPLE: &'static str = "\"off\", \"sse\" or \"ndjson\"";
}

impl Named for RefusalForm {
    const NAMES: &'static [&'static str] = &["problem", "event-stream", "no-content"];
    const ALL: &'static [Self] = &[Self::Problem, Self::EventStream, Self::NoContent];
    const EXAMPLE: &'static str = "\"problem\", \"event-stream\" or \"no-content\"";
}

impl Accounting {
    /// The word of `fly.toml`: `connections` or `requests`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.as_name()
    }
}

impl Linger {
    /// The word of `outlast.toml`: `hold` or `evict`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.as_name()
    }
}

impl AgentKind {
    /// The word of `outlast.toml`: `auto` or `scout`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.as_name()
    }
}

impl FromStr for Accounting {
    type Err = ParseSettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::by_name(text)
    }
}

impl FromStr for Linger {
    type Err = ParseSettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::by_name(text)
    }
}

impl FromStr for AgentKind {
    type Err = ParseSettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::by_name(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are_read_and_printed_alike<T: Named + std::fmt::Debug>() {
        assert_eq!(T::ALL.len(), T::NAMES.len());
        for value in T::ALL {
            assert_eq!(T::by_name(value.as_name()), Ok(*value));
        }
        assert!(T::by_name("Requests").is_err(), "names are exact");
    }

    #[test]
    fn names_are_read_and_printed_alike() {
        are_read_and_printed_alike::<Accounting>();
        are_read_and_printed_alike::<Linger>();
        are_read_and_printed_alike::<AgentKind>();
        are_read_and_printed_alike::<HalfClose>();
        are_read_and_printed_alike::<Option<QueueNotice>>();
        are_read_and_printed_alike::<RefusalForm>();
        assert_eq!("claude".parse::<AgentKind>(), Err(ParseSettingError::ClaudeLater));
    }
}
