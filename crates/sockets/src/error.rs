//! Why the kernel told nothing.

use std::io;

use thiserror::Error;

/// Why there is no dump, or not a whole one. What was shown before may be used; the next dump begins anew.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DumpError {
    /// There is no such thing on this operating system.
    #[error("this operating system has no sock_diag; only Linux tells of the state of connections")]
    Platform,
    /// The kernel has no such sockets, or its modules are not there.
    #[error("the kernel has no {missing}")]
    Unsupported {
        /// What is missing, as one would look for it in a kernel's configuration.
        missing: &'static str,
        /// The kernel's own word.
        source: io::Error,
    },
    /// A rule of the system (a seccomp filter, SELinux, a sandbox) forbids it.
    #[error("a sandbox or a security policy forbids sock_diag")]
    Forbidden(#[source] io::Error),
    /// The kernel does not like the question.
    #[error("the kernel refused the dump")]
    Refused(#[source] io::Error),
    /// Sockets came and went while the kernel looked, and it has lost its place.
    #[error("the dump was interrupted and is not whole")]
    Interrupted,
    /// A message was longer than the buffer.
    #[error("a message of {length} bytes does not fit the buffer")]
    Truncated {
        /// How long it was.
        length: usize,
    },
    /// It is not what sock_diag says.
    #[error("the kernel's answer is not understood: {0}")]
    Malformed(&'static str),
    /// The kernel did not answer at all.
    #[error("the kernel did not answer")]
    NoAnswer,
    /// Something else.
    #[error("cannot ask the kernel")]
    Io(#[source] io::Error),
}

impl DumpError {
    /// Whether another try will fare no better, so that it need not be made every second.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Platform
            | Self::Unsupported { .. }
            | Self::Forbidden(_)
            | Self::Refused(_)
            | Self::Malformed(_)
            | Self::NoAnswer => true,
            Self::Interrupted | Self::Truncated { .. } | Self::Io(_) => false,
        }
    }
}
