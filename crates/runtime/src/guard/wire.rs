//! What crosses the borders between owner, guard and the step before the command: arguments and short lines.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::StopPolicy;
use super::signal::describe;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal of this number.
    Signal(i32),
    /// Unknown, because its guard was killed.
    Unknown,
}

impl Exit {
    /// The exit code by which a shell would tell it: 128 and the number for a signal.
    #[must_use]
    pub fn code(self) -> u8 {
        let code = match self {
            Self::Code(code) => code,
            Self::Signal(number) => 128 + number,
            Self::Unknown => 128 + 9,
        };
        u8::try_from(code).unwrap_or(u8::MAX)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with exit code {code}"),
            Self::Signal(number) => write!(f, "was killed by {}", describe(*number)),
            Self::Unknown => f.write_str("was killed because its guard process was"),
        }
    }
}

/// What the program is asked to be by the arguments after `guard`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Own the tree of a command.
    Guard { policy: StopPolicy, command: Vec<OsString> },
    /// Become the command, as the child of the guard `parent`.
    Exec { parent: u32, command: Vec<OsString> },
}

/// The arguments or a line made no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum WireError {
    #[error("`outlast guard` is started by outlast itself; its arguments make no sense: {0:?}")]
    Arguments(Vec<OsString>),
    #[error("a line that makes no sense: {0:?}")]
    Line(String),
}

impl Role {
    /// The arguments after `guard`, from which [`Role::parse`] makes the same role again.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let (head, command): (Vec<String>, _) = match self {
            Self::Guard { policy: StopPolicy { signal, timeout }, command } => {
                (vec![signal.name().to_owned(), millis(*timeout).to_string()], command)
            }
            Self::Exec { parent, command } => {
                (vec!["--exec".to_owned(), parent.to_string()], command)
            }
        };
        let head = head.into_iter().chain(["--".to_owned()]).map(OsString::from);
        head.chain(command.iter().cloned()).collect()
    }

    pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, WireError> {
        let args: Vec<OsString> = args.into_iter().collect();
        Self::understand(&args).ok_or(WireError::Arguments(args))
    }

    fn understand(args: &[OsString]) -> Option<Self> {
        let [first, second, separator, command @ ..] = args else { return None };
        if separator != "--" || command.is_empty() {
            return None;
        }
        let command = command.to_vec();
        let (first, second) = (first.to_str()?, second.to_str()?);
        if first == "--exec" {
            return Some(Self::Exec { parent: second.parse().ok()?, command });
        }
        let policy = StopPolicy {
            signal: first.parse().ok()?,
            timeout: Duration::from_millis(second.parse().ok()?),
        };
        Some(Self::Guard { policy, command })
    }
}

/// A line from the owner to the guard: end the tree in this way. More than one may come; the shortest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stop(pub(super) StopPolicy);

impl Stop {
    pub(super) fn line(self) -> String {
        format!("stop {} {}\n", self.0.signal, millis(self.0.timeout))
    }

    pub(super) fn parse(line: &str) -> Result<Self, WireError> {
        let understood = || {
            let (signal, timeout) = line.strip_prefix("stop ")?.split_once(' ')?;
            let timeout = Duration::from_millis(timeout.parse().ok()?);
            Some(Self(StopPolicy { signal: signal.parse().ok()?, timeout }))
        };
        understood().ok_or_else(|| WireError::Line(line.to_owned()))
    }
}

/// A line from the guard to the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    /// The command runs, under this process id.
    Started(u32),
    /// The command could not be started: the operating system's error number.
    Failed(i32),
    /// The command's main process ended. What is left of its tree ends next, then the guard.
    Ended(Exit),
}

impl Report {
    pub(super) fn line(self) -> String {
        match self {
            Self::Started(pid) => format!("started {pid}\n"),
            Self::Failed(errno) => format!("failed {errno}\n"),
            Self::Ended(Exit::Code(code)) => format!("exited {code}\n"),
            Self::Ended(Exit::Signal(number)) => format!("killed {number}\n"),
            Self::Ended(Exit::Unknown) => "unknown 0\n".to_owned(),
        }
    }

    pub(super) fn parse(line: &str) -> Result<Self, WireError> {
        let understood = || {
            let (word, number) = line.split_once(' ')?;
            Some(match word {
                "started" => Self::Started(number.parse().ok()?),
                "failed" => Self::Failed(number.parse().ok()?),
                "exited" => Self::Ended(Exit::Code(number.parse().ok()?)),
                "killed" => Self::Ended(Exit::Signal(number.parse().ok()?)),
                "unknown" => Self::Ended(Exit::Unknown),
                _ => return None,
            })
        };
        understood().ok_or_else(|| WireError::Line(line.to_owned()))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::StopSignal;

    const POLICY: StopPolicy =
        StopPolicy { signal: StopSignal::Int, timeout: Duration::from_millis(5_000) };

    fn args(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn arguments_are_read_back() {
        let command = args(&["sh", "-c", "--", "exit 3"]);
        let guard = Role::Guard { policy: POLICY, command: command.clone() };
        assert_eq!(guard.arguments()[..3], args(&["SIGINT", "5000", "--"]));
        assert_eq!(Role::parse(guard.arguments()), Ok(guard));
        let exec = Role::Exec { parent: 17, command };
        assert_eq!(Role::parse(exec.arguments()), Ok(exec));
    }

    #[test]
    fn arguments_of_nobody_are_refused() {
        for words in [
            &[][..],
            &["SIGINT", "5000", "--"],
            &["SIGINT", "5000", "sh", "x"],
            &["SIGNAL", "5000", "--", "sh"],
            &["SIGINT", "-1", "--", "sh"],
            &["--exec", "me", "--", "sh"],
        ] {
            assert_eq!(Role::parse(args(words)), Err(WireError::Arguments(args(words))));
        }
    }

    #[test]
    fn lines_are_read_back() {
        assert_eq!(Stop(POLICY).line(), "stop SIGINT 5000\n");
        assert_eq!(Stop::parse("stop SIGINT 5000"), Ok(Stop(POLICY)));
        for report in [
            Report::Started(4_711),
            Report::Failed(2),
            Report::Ended(Exit::Code(3)),
            Report::Ended(Exit::Signal(9)),
            Report::Ended(Exit::Unknown),
        ] {
            assert_eq!(Report::parse(report.line().trim_end()), Ok(report));
        }
    }

    #[test]
    fn lines_of_nobody_are_refused() {
        for line in ["", "stop", "stop SIGINT", "stop SIGINT soon", "go SIGINT 1"] {
            assert_eq!(Stop::parse(line), Err(WireError::Line(line.to_owned())));
        }
        for line in ["", "started", "started x", "ended 1"] {
            assert_eq!(Report::parse(line), Err(WireError::Line(line.to_owned())));
        }
    }

    #[test]
    fn exits_become_the_codes_a_shell_would_give() {
        assert_eq!(Exit::Code(3).code(), 3);
        assert_eq!(Exit::Signal(9).code(), 137);
        assert_eq!(Exit::Signal(15).code(), 143);
        assert_eq!(Exit::Unknown.code(), 137);
    }
}
