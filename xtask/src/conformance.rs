//! `cargo xtask conformance`: other people's files, which are not in this repository.

mod agreement;
mod logs;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use outlast_config::{SourceText, decode_fly};
use outlast_doctor::{Files, Hints, fix, review};

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Args {
    /// A folder of fly.toml files: everything in it that ends in .toml
    #[arg(long, value_name = "DIR")]
    fly_toml: Option<PathBuf>,
    /// A folder of logs: everything in it that ends in .txt or .ndjson
    #[arg(long, value_name = "DIR")]
    fly_logs: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if let Some(folder) = &args.fly_toml {
        fly_toml(folder)?;
    }
    if let Some(folder) = &args.fly_logs {
        logs::run(folder)?;
    }
    Ok(())
}

/// The files of a folder that end so, in order. It is an error if there are none.
fn files(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let entries = folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let is_meant = |extension: &std::ffi::OsStr| extensions.iter().any(|meant| extension == *meant);
    paths.retain(|path| path.extension().is_some_and(is_meant));
    paths.sort();
    if paths.is_empty() {
        bail!("there is no .{} file in {}", extensions.join(" or ."), folder.display());
    }
    Ok(paths)
}

/// Decodes and reviews each, and fails if one does not decode, or if findings came or went.
fn fly_toml(folder: &Path) -> Result<()> {
    let paths = files(folder, &["toml"])?;
    let agreement = agreement::agreement()?;
    let mut failures = 0;
    for path in &paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        match decode_fly(&name, &text) {
            Ok(written) => {
                let found = findings(&name, text)?;
                println!("ok    {name} ({} notes, {} findings)", written.notes.len(), found.len());
                let complaints = agreement::complaints(&agreement, &name, &found);
                failures += usize::from(!complaints.is_empty());
                complaints.iter().for_each(|complaint| println!("FAILS {name}: {complaint}"));
            }
            Err(errors) => {
                failures += 1;
                println!("FAILS {name}");
                errors.iter().for_each(|error| println!("{error}"));
            }
        }
    }
    println!("{} of {} are as judged", paths.len() - failures, paths.len());
    if failures > 0 {
        bail!("{failures} files do not decode, or are reviewed differently");
    }
    Ok(())
}

/// Each as rule, line and severity; and that mending leaves nothing to mend.
fn findings(name: &str, text: String) -> Result<Vec<String>> {
    let source = SourceText::new(name, text);
    let hints = Hints::default();
    let found = review(&Files { fly: &source, outlast: None }, &hints)?;
    let mended = fix(&Files { fly: &source, outlast: None }, &hints)?;
    let mended = SourceText::new(name, mended.text);
    let left = review(&Files { fly: &mended, outlast: None }, &hints)?;
    if let Some(finding) = left.findings.iter().find(|finding| finding.is_fixable()) {
        bail!("{name}: {finding} is left after mending");
    }
    let lines = found.findings.iter().map(|finding| {
        let line = finding.at.as_ref().map_or(0, |place| place.line);
        format!("{} {line} {}", finding.rule, finding.severity)
    });
    Ok(lines.collect())
}
