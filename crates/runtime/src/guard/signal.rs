//! The signals by which a process tree may be asked to end.

use std::fmt;
use std::str::FromStr;

use rustix::process::Signal;
use thiserror::Error;

/// A signal by which a process tree is asked to end: those that `kill_signal` of `fly.toml` may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are POSIX's")]
pub enum StopSignal {
    Hup,
    Int,
    Quit,
    Kill,
    Usr1,
    Usr2,
    Term,
    Stop,
}

/// A name that is not one of a [`StopSignal`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a signal that asks a process to end")]
pub struct UnknownSignal(String);

impl StopSignal {
    const ALL: [Self; 8] = [
        Self::Hup,
        Self::Int,
        Self::Quit,
        Self::Kill,
        Self::Usr1,
        Self::Usr2,
        Self::Term,
        Self::Stop,
    ];

    /// The name with its prefix: `SIGINT`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hup => "SIGHUP",
            Self::Int => "SIGINT",
            Self::Quit => "SIGQUIT",
            Self::Kill => "SIGKILL",
            Self::Usr1 => "SIGUSR1",
            Self::Usr2 => "SIGUSR2",
            Self::Term => "SIGTERM",
            Self::Stop => "SIGSTOP",
        }
    }

    pub(super) fn signal(self) -> Signal {
        match self {
            Self::Hup => Signal::HUP,
            Self::Int => Signal::INT,
            Self::Quit => Signal::QUIT,
            Self::Kill => Signal::KILL,
            Self::Usr1 => Signal::USR1,
            Self::Usr2 => Signal::USR2,
            Self::Term => Signal::TERM,
            Self::Stop => Signal::STOP,
        }
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for StopSignal {
    type Err = UnknownSignal;

    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        let known = Self::ALL.into_iter().find(|signal| signal.name() == text);
        known.ok_or_else(|| UnknownSignal(text.to_owned()))
    }
}

/// The name of any signal number, as people know it: `SIGKILL`, or `signal 34` where there is no such name.
pub(super) fn describe(number: i32) -> String {
    const NAMES: [(Signal, &str); 14] = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::TERM, "SIGTERM"),
    ];
    let known = NAMES.iter().find(|(signal, _)| signal.as_raw() == number);
    known.map_or_else(|| format!("signal {number}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_is_read_back_from_its_name() {
        for signal in StopSignal::ALL {
            assert_eq!(signal.name().parse(), Ok(signal));
        }
        assert!("INT".parse::<StopSignal>().is_err());
        assert!("SIGSEGV".parse::<StopSignal>().is_err());
    }

    #[test]
    fn numbers_are_described_for_people() {
        assert_eq!(describe(9), "SIGKILL");
        assert_eq!(describe(11), "SIGSEGV");
        assert_eq!(describe(34), "signal 34");
    }
}
