//! What is asked of a run, checked once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::StartError;

/// One mebibyte, eight times what the CLI takes as an argument.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
const REQUEST_ID_CHARS_MAX: usize = 128;

/// What is asked of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOrder {
    /// Names the run.
    pub request_id: String,
    /// What is asked.
    pub message: String,
    /// The session to go on with. None: a new one.
    pub session_id: Option<String>,
    /// Where to work: below the workspace, relative or absolute. None: the workspace.
    pub working_directory: Option<String>,
    /// About how long it is to take. None: as the settings say.
    pub pace: Option<Duration>,
}

impl RunOrder {
    /// Checks everything but the numbers of runs, and returns where it is to work.
    pub(crate) fn check(&self, workspace: &Path) -> Result<PathBuf, StartError> {
        let id_chars = self.request_id.chars().count();
        if !(1..=REQUEST_ID_CHARS_MAX).contains(&id_chars)
            || self.request_id.chars().any(char::is_control)
        {
            return Err(StartError::BadRequestId);
        }
        if self.message.trim().is_empty() {
            return Err(StartError::EmptyMessage);
        }
        if self.message.len() > MESSAGE_BYTES_MAX {
            return Err(StartError::LongMessage {
                bytes: self.message.len(),
                max: MESSAGE_BYTES_MAX,
            });
        }
        let told = Path::new(self.working_directory.as_deref().unwrap_or(""));
        // An absolute path replaces the workspace here, and is judged by where it leads.
        let directory = workspace.join(told);
        let real =
            directory.canonicalize().map_err(|_| StartError::NoDirectory(told.to_owned()))?;
        if !real.starts_with(workspace) {
            return Err(StartError::Outside(told.to_owned()));
        }
        if !real.is_dir() {
            return Err(StartError::NotADirectory(told.to_owned()));
        }
        Ok(real)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> RunOrder {
        RunOrder {
            request_id: "a".to_owned(),
            message: "hello".to_owned(),
            session_id: None,
            working_directory: None,
            pace: None,
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let workspace = tempfile::tempdir().unwrap();
        let workspace = workspace.path().canonicalize().unwrap();
        assert_eq!(order().check(&workspace), Ok(workspace.clone()));
        for message in ["", " \n\t"] {
            let order = RunOrder { message: message.to_owned(), ..order() };
            assert_eq!(order.check(&workspace), Err(StartError::EmptyMessage));
        }
        let long = RunOrder { message: "a".repeat(MESSAGE_BYTES_MAX + 1), ..order() };
        assert!(matches!(long.check(&workspace), Err(StartError::LongMessage { .. })));
        for id in ["", "a\nb", "\u{7f}", &"a".repeat(129)] {
            let order = RunOrder { request_id: id.to_owned(), ..order() };
            assert_eq!(order.check(&workspace), Err(StartError::BadRequestId), "{id:?}");
        }
    }

    #[test]
    fn runs_stay_in_the_workspace() {
        let outer = tempfile::tempdir().unwrap();
        let outer = outer.path().canonicalize().unwrap();
        let workspace = outer.join("workspace");
        for directory in ["workspace/sub", "workspace-2"] {
            std::fs::create_dir_all(outer.join(directory)).unwrap();
        }
        std::fs::write(workspace.join("file"), "").unwrap();
        std::os::unix::fs::symlink(&outer, workspace.join("way-out")).unwrap();
        let check = |directory: &str| {
            RunOrder { working_directory: Some(directory.to_owned()), ..order() }.check(&workspace)
        };
        let inside = workspace.join("sub");
        assert_eq!(check(inside.to_str().unwrap()), Ok(inside.clone()));
        assert_eq!(check("sub"), Ok(inside));
        for outside in ["..", "sub/../..", "../workspace-2", "/", "way-out"] {
            assert_eq!(check(outside), Err(StartError::Outside(outside.into())));
        }
        assert_eq!(check("nowhere"), Err(StartError::NoDirectory("nowhere".into())));
        assert_eq!(check("a\0b"), Err(StartError::NoDirectory("a\0b".into())));
        assert_eq!(check("file"), Err(StartError::NotADirectory("file".into())));
    }
}
