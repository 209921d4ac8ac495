//! The types of single settings: how each is written in a file, in a variable, and printed.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use toml::de::DeValue;

use crate::duration::{DurationError, format_duration, parse_duration};
use crate::pattern::PathPattern;
use crate::read::{integer_of, kind_name, listed};

/// Why a text is not the setting it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseSettingError {
    /// None of the names that are allowed.
    #[error("{given:?} is not known")]
    UnknownName {
        /// What was written.
        given: String,
        /// What may be written.
        known: &'static [&'static str],
    },
    /// `agent.kind = "claude"`.
    #[error("the agent \"claude\" is not built yet")]
    ClaudeLater,
    /// Not a duration.
    #[error("{given:?} is not a duration")]
    Duration {
        /// What was written.
        given: String,
        /// Why it is none.
        source: DurationError,
    },
    /// Not a whole number in the range.
    #[error("{given} is not a whole number from 0 to {max}")]
    Count {
        /// What was written.
        given: String,
        /// The greatest allowed.
        max: u64,
    },
    /// Not a size.
    #[error("{given:?} is not a size in bytes")]
    Bytes {
        /// What was written.
        given: String,
    },
    /// Not an address with a port.
    #[error("{given:?} is not an address with a port")]
    Address {
        /// What was written.
        given: String,
    },
    /// Not a pattern of paths.
    #[error("{given:?} is not a path pattern")]
    Path {
        /// What was written.
        given: String,
    },
    /// Not a network.
    #[error("{given:?} is not an address or a network")]
    Network {
        /// What was written.
        given: String,
    },
    /// Not a header's name.
    #[error("{given:?} is not the name of a header")]
    HeaderName {
        /// What was written.
        given: String,
    },
    /// Not a command line.
    #[error("{given:?} is not a command")]
    Command {
        /// What was written.
        given: String,
    },
    /// Another type of TOML value.
    #[error("expected {wanted}, not {got}")]
    Kind {
        /// What it should be.
        wanted: &'static str,
        /// What that looks like.
        example: &'static str,
        /// What it is.
        got: &'static str,
    },
}

impl ParseSettingError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownName { known, .. } => format!("write one of {}", listed(known)),
            Self::ClaudeLater => {
                "it arrives with the Claude Code integration; write \"auto\" or \"scout\""
                    .to_owned()
            }
            Self::Duration { source, .. } => {
                format!(
                    "{source}; write numbers with units, such as \"30s\", \"250ms\" or \"1m30s\""
                )
            }
            Self::Count { max, .. } => format!("write a number from 0 to {max}"),
            Self::Bytes { .. } => {
                "write a whole number with B, KiB, MiB or GiB (kB, MB, GB for powers of ten)"
                    .to_owned()
            }
            Self::Address { given } => match given.strip_prefix(':').unwrap_or(given).parse::<u16>() {
                Ok(port) => format!(
                    "write 127.0.0.1:{port} for this host alone, or 0.0.0.0:{port} for everybody"
                ),
                Err(_) => "write one such as 127.0.0.1:8080 or [::1]:8080; of names only localhost is known"
                    .to_owned(),
            },
            Self::Path { .. } => {
                "begin it with a slash; `*` stands for one whole segment, as in \"/api/abort/*\", and a last `**` for all that follow"
                    .to_owned()
            }
            Self::Network { .. } => "write one such as 10.0.0.0/8, fdaa::/16 or 192.0.2.7".to_owned(),
            Self::HeaderName { .. } => "write one such as \"Fly-Client-IP\"".to_owned(),
            Self::Command { .. } => {
                "write a command that a shell could split, or a list such as [\"npm\", \"start\"]"
                    .to_owned()
            }
            Self::Kind { example, .. } => format!("write it like {example}"),
        }
    }
}

/// A setting that files and variables may hold.
pub(crate) trait Setting: Sized {
    /// What it is: `a duration`.
    const WANTED: &'static str;

    /// What it looks like in TOML: `"30s"`.
    const EXAMPLE: &'static str;

    /// From a variable.
    fn from_text(text: &str) -> Result<Self, ParseSettingError>;

    /// From a TOML value. Most are strings there too.
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ParseSettingError> {
        match value {
            DeValue::String(text) => Self::from_text(text),
            _ => Err(wrong_kind::<Self>(value)),
        }
    }

    /// As it would be written in `outlast.toml`.
    fn show(&self) -> String;
}

pub(crate) fn wrong_kind<T: Setting>(value: &DeValue<'_>) -> ParseSettingError {
    ParseSettingError::Kind { wanted: T::WANTED, example: T::EXAMPLE, got: kind_name(value) }
}

impl Setting for SocketAddr {
    const WANTED: &'static str = "an address with a port";
    const EXAMPLE: &'static str = "\"127.0.0.1:8080\"";

    fn from_text(text: &str) -> Result<Self, ParseSettingError> {
        parse_address(text)
    }

    fn show(&self) -> String {
        format!("{:?}", self.to_string())
    }
}

/// Reads an address with a port. Of names only `localhost` is known, which is 127.0.0.1 whoever is asked (RFC 6761 section
/// 6.3): what another one stands for may change, and with it who can reach us.
///
/// # Errors
/// When the text is something else.
pub fn parse_address(text: &str) -> Result<SocketAddr, ParseSettingError> {
    let localhost = || {
        let port = text.strip_prefix("localhost:")?.parse().ok()?;
        Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    };
    let address = text.parse().ok().or_else(localhost);
    address.ok_or_else(|| ParseSettingError::Address { given: text.to_owned() })
}

impl Setting for Duration {
    const WANTED: &'static str = "a duration";
    const EXAMPLE: &'static str = "\"30s\"";

    fn from_text(text: &str) -> Result<Self, ParseSettingError> {
        parse_duration(text)
            .map_err(|source| ParseSettingError::Duration { given: text.to_owned(), source })
    }

    fn show(&self) -> String {
        format!("{:?}", format_duration(*self))
    }
}

/// The greatest count anywhere: far beyond what one host holds, and safe to add up.
const COUNT_MAX: u32 = 1_000_000;

impl Setting for u32 {
    const WANTED: &'static str = "a whole number";
    const EXAMPLE: &'static str = "100";

    fn from_text(text: &str) -> Result<Self, ParseSettingError> {
        let max = u64::from(COUNT_MAX);
        let count = text.parse().ok().filter(|count| *count <= COUNT_MAX);
        count.ok_or_else(|| ParseSettingError::Count { given: text.to_owned(), max })
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Self, ParseSettingError> {
        match (value, integer_of(value)) {
            (_, Some(number)) => Self::from_text(&number.to_string()),
            (DeValue::Integer(number), None) => Self::from_text(&number.to_string()),
            _ => Err(wrong_kind::<Self>(value)),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl FromStr for PathPattern {
    type Err = ParseSettingError;

    /// Reads `/api/abort/*`: a slash first, `*` only as a whole segment, and `**` only as the last one.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |segment: &str| segment == "*" || !segment.contains(['*', '?', '#']);
        let segments = text.strip_suffix("/**").unwrap_or(text);
        let begins = text.starts_with('/');
        if begins && segments.split('/').all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseSettingError::Path { given: text.to_owned() })
    }
}

impl Setting for PathPattern {
    const WANTED: &'static str = "a path";
    const EXAMPLE: &'static str = "\"/api/chat\"";

    fn from_text(text: &str) -> Result<Self, ParseSettingError> {
        text.parse()
    }

    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
}

impl Setting for Vec<PathPattern> {
    const WANTED: &'static str = "a list of paths";
    const EXAMPLE: &'static str = "[\"/api/abort/*\"]";

    fn from_text(text: &str) -> Result<Self, ParseSettingError> {
        text.split(',').map(|path| path.trim().parse()).collect()
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Self, ParseSettingError> {
        let strings = strings::<Self>(value)?;
        strings.iter().map(|path| path.parse()).collect()
    }

    fn show(&self) -> String {
        let paths: Vec<_> = self.iter().map(|path| format!("{:?}", path.0)).collect();
        format!("[{}]", paths.join(", "))
    }
}

/// A program and its arguments. Never empty, and the program has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandLine(pub(crate) Vec<String>);

impl CommandLine {
    pub(crate) fn new(words: Vec<String>) -> Option<Self> {
        words.first().is_some_and(|program| !program.is_empty()).then_some(Self(words))
    }
}

impl Setting for CommandLine {
    const WANTED: &'static str = "a command";
    const EXAMPLE: &'static str = "\"npm start\" or [\"npm\", \"start\"]";

    fn from_text(text: &str) -> Result<Self, ParseSettingError> {
        let words = shlex::split(text).and_then(Self::new);
        words.ok_or_else(|| ParseSettingError::Command { given: text.to_owned() })
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Self, ParseSettingError> {
        if let DeValue::String(text) = value {
            return Self::from_text(text);
        }
        Self::new(strings::<Self>(value)?)
            .ok_or_else(|| ParseSettingError::Command { given: String::new() })
    }

    fn show(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|word| format!("{word:?}")).collect();
        format!("[{}]", words.join(", "))
    }
}

pub(crate) fn strings<T: Setting>(value: &DeValue<'_>) -> Result<Vec<String>, ParseSettingError> {
    let DeValue::Array(items) = value else { return Err(wrong_kind::<T>(value)) };
    let text = |item: &DeValue<'_>| match item {
        DeValue::String(text) => Ok(text.to_string()),
        _ => Err(wrong_kind::<T>(item)),
    };
    items.iter().map(|item| text(item.get_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_one_segment_per_star() {
        let table = [
            ("/api/abort/*", "/api/abort/1", true),
            ("/api/abort/*", "/api/abort/", false),
            ("/api/abort/*", "/api/abort", false),
            ("/api/abort/*", "/api/abort/1/2", false),
            ("/api/runs/*/stop", "/api/runs/x/stop", true),
            ("/api/runs/*/stop", "/api/runs//stop", false),
            ("/", "/", true),
            ("/", "", false),
            ("/api/**", "/api", true),
            ("/api/**", "/api/", true),
            ("/api/**", "/api/runs/x/stop", true),
            ("/api/**", "/apis", false),
            ("/*/stop/**", "/x/stop/now", true),
            ("/*/stop/**", "/x/go/now", false),
            ("/**", "/", true),
            ("/**", "/any/path", true),
        ];
        for (pattern, path, want) in table {
            let parsed: PathPattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(path), want, "{pattern} {path}");
        }
        for bad in ["", "api", "/a*", "/a?b", "/#", "/**/a", "/a**", "**"] {
            assert!(bad.parse::<PathPattern>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn commands_are_split_as_a_shell_would() {
        let words = CommandLine::from_text("sh -c 'a b' \"c d\"").unwrap();
        assert_eq!(words.0, ["sh", "-c", "a b", "c d"]);
        assert!(CommandLine::from_text("sh 'open").is_err());
        assert!(CommandLine::from_text("").is_err());
        assert!(CommandLine::from_text("''").is_err());
    }
}
