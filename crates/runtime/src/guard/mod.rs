//! The guard: a small process that owns one process tree and never leaves a part of it behind.
//!
//! A command started directly by a long-lived server outlives it when the server is killed with `SIGKILL`, and its
//! daemonised grandchildren outlive everything. So the server starts a guard instead, which is the same program run
//! once more as `PROGRAM guard …` ([`main`]). The guard starts the command, holds the other end of a socket whose
//! closing tells that the owner has died, is the subreaper to which orphans of the tree return, and ends only when
//! nothing of the tree is left.
//!
//! It promises: however the owner ends, the tree is gone within the stop timeout and the moment that `SIGKILL`
//! takes. It does not promise so when it is itself killed with `SIGKILL`: then the main process dies at once
//! (`PR_SET_PDEATHSIG`) and the owner, if it lives, sweeps up the rest by an environment mark ([`Guarded`]).
//!
//! Outside Linux there are no subreapers and no `/proc`: only the process group of the command is ended.

mod exec;
mod owner;
mod process;
mod signal;
mod tree;
mod wire;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

pub use owner::{Guarded, GuardedCommand, Notice, Output, StartError};
pub use signal::StopSignal;
pub use tree::{MARK, Member, descendants};
pub use wire::Exit;

/// The first argument by which a program is asked to be a guard.
pub const SUBCOMMAND: &str = "guard";

/// A program whose first argument `guard` leads to [`main`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardProgram(PathBuf);

impl GuardProgram {
    /// Another program than the running one, as tests need.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The running program itself; on Linux also after its file was replaced.
    ///
    /// # Errors
    /// When the operating system does not tell which program runs.
    pub fn this() -> std::io::Result<Self> {
        if cfg!(target_os = "linux") {
            return Ok(Self(PathBuf::from("/proc/self/exe")));
        }
        std::env::current_exe().map(Self)
    }
}

/// How a tree is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopPolicy {
    /// The polite signal.
    pub signal: StopSignal,
    /// How long after it the tree is killed. From the signal on.
    pub timeout: std::time::Duration,
}

/// Runs the guard, or the small step between it and its command, with the arguments after `guard`. Returns when
/// nothing of the tree is left: the command's exit code, or 128 and its signal's number.
///
/// Must be called on the main thread, which lives as long as the process: the command is bound to it.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match wire::Role::parse(args) {
        Ok(wire::Role::Guard { policy, command }) => process::run(policy, &command),
        Ok(wire::Role::Exec { parent, command }) => exec::run(parent, &command),
        Err(error) => {
            process::complain(&error.to_string());
            ExitCode::from(2)
        }
    }
}
