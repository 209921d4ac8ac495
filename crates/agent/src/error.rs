//! Why a run does not start.

use std::path::PathBuf;

use thiserror::Error;

/// Why a run does not start. The text is for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is nothing to do.
    #[error("the message is empty; ask something, such as \"Analyze this codebase\"")]
    EmptyMessage,
    /// Nobody writes so much by hand.
    #[error("the message has {bytes} bytes, and at most {max} are taken")]
    LongMessage {
        /// Its length.
        bytes: usize,
        /// The most.
        max: usize,
    },
    /// Runs are named by their request id.
    #[error("the requestId must have 1 to 128 characters and no control characters")]
    BadRequestId,
    /// There is no such directory.
    #[error("the working directory {} does not exist or cannot be entered", .0.display())]
    NoDirectory(PathBuf),
    /// It is a file.
    #[error("the working directory {} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// Runs stay in the workspace.
    #[error("the working directory {} is outside of the workspace; start `outlast serve` with another --workspace", .0.display())]
    Outside(PathBuf),
    /// Even waiting is bounded.
    #[error("{runs} runs are in progress or waiting already; stop some, or try again later")]
    TooMany {
        /// How many there are.
        runs: usize,
    },
    /// Everything is being stopped.
    #[error("the server is being stopped; try again in a moment")]
    Stopping,
}
