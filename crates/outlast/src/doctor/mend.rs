//! Writing a mended file, so that a crash leaves the old one or the new one and nothing between.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use outlast_config::SourceText;
use outlast_doctor::{Files, Fixed, Hints, review};

use super::draw::{listed, masked};
use super::print;
use crate::failure::{EXIT_FAILED, Failure};

/// Prints what would change. Exit code 1: something would.
pub(super) fn show(
    before: &SourceText,
    fixed: &Fixed,
    hints: &Hints,
    show_private: bool,
) -> Result<ExitCode, Failure> {
    if fixed.text == before.text {
        return Ok(ExitCode::SUCCESS);
    }
    let mut shown = (before.clone(), fixed.clone());
    if !show_private {
        shown.0 = mask(before.clone(), hints);
        let after = SourceText { name: before.name.clone(), text: fixed.text.clone() };
        shown.1.text = mask(after, hints).text;
    }
    print(&shown.1.diff(&shown.0))?;
    Ok(ExitCode::from(EXIT_FAILED))
}

/// A file that cannot be read has no secrets that we know of; it was read just before.
fn mask(source: SourceText, hints: &Hints) -> SourceText {
    match review(&Files { fly: &source, outlast: None }, hints) {
        Ok(review) => masked(&source, &review.secrets),
        Err(_unreadable) => source,
    }
}

/// Puts the new text in the place of the old one.
pub(super) fn write(path: &Path, before: &SourceText, fixed: &Fixed) -> Result<(), Failure> {
    if fixed.text == before.text {
        return Ok(());
    }
    replace(path, &fixed.text)
        .with_context(|| format!("cannot write {}", path.display()))
        .map_err(|error| {
            Failure::config(error)
                .hint("nothing was changed; --fix --dry-run prints the difference")
        })?;
    let rules: Vec<_> = fixed.rules.iter().copied().collect();
    // It is in the file.
    let _told = writeln!(io::stderr(), "fixed in {}: {}", path.display(), listed(&rules));
    Ok(())
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A link stays one, and leads to the new text.
    let path = fs::canonicalize(path)?;
    let draft = draft(&path);
    let written = write_draft(&draft, &path, text).and_then(|()| fs::rename(&draft, &path));
    if written.is_err() {
        // What is left of a failure is in nobody's way but untidy; the failure itself is told.
        let _gone_or_never_there = fs::remove_file(&draft);
        return written;
    }
    // The rename itself is on disk once its folder is.
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn write_draft(draft: &Path, path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).open(draft)?;
    file.set_permissions(fs::metadata(path)?.permissions())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn draft(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.outlast", std::process::id()))
}
