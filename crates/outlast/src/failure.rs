//! Why a command could not do its work.

use std::fmt::Write as _;
use std::process::ExitCode;

/// A configuration or an argument is wrong; nothing was started.
pub(crate) const EXIT_CONFIG: u8 = 2;
/// It went wrong while it ran.
pub(crate) const EXIT_FAILED: u8 = 1;

/// An error for a person: what, why, and what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    error: anyhow::Error,
    hint: Option<String>,
    code: u8,
}

impl Failure {
    /// Nothing could be started.
    pub(crate) fn config(error: impl Into<anyhow::Error>) -> Self {
        Self { error: error.into(), hint: None, code: EXIT_CONFIG }
    }

    /// It stopped working.
    pub(crate) fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self { error: error.into(), hint: None, code: EXIT_FAILED }
    }

    /// Adds what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }

    /// The lines to print, without a final newline.
    pub(crate) fn render(&self, coloured: bool) -> String {
        let (red, bold, off) =
            if coloured { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        let mut text = format!("{red}error{off}{bold}: {}{off}", self.error);
        for cause in self.error.chain().skip(1) {
            write!(text, "\n  because: {cause}").expect("writing to a string succeeds");
        }
        if let Some(hint) = &self.hint {
            write!(text, "\n{bold}hint{off}: {hint}").expect("writing to a string succeeds");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_what_why_and_what_to_do() {
        let source = std::io::Error::from(std::io::ErrorKind::AddrInUse);
        let error = anyhow::Error::from(source).context("cannot listen on 127.0.0.1:1");
        let failure = Failure::failed(error).hint("choose another port");
        assert_eq!(
            failure.render(false),
            "error: cannot listen on 127.0.0.1:1\n  because: address in use\nhint: choose another port"
        );
        assert!(failure.render(true).starts_with("\x1b[1;31merror"));
    }
}
