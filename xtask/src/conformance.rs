//! `cargo xtask conformance`: other people's files, which are not in this repository.

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

/// How many findings there are about the files that are there. Whoever changes a rule looks at them again.
const FINDINGS: &[(&str, usize)] = &[
    ("01-my-jarvis-desktop.toml", 15),
    ("02-my-jarvis-erez.toml", 7),
    ("03-cratesio-mcp.toml", 6),
    ("04-gitlawb-node.toml", 8),
    ("05-specter.toml", 12),
    ("06-tunnelto.toml", 14),
    ("07-plyr-fm.toml", 5),
    ("08-corrosion-example.toml", 2),
    ("09-ccg-relay.toml", 8),
    ("10-flyctl-full-reference.toml", 23),
    ("11-duragraph.toml", 15),
];

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
    let mut failures = 0;
    for path in &paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        match decode_fly(&name, &text) {
            Ok(written) => {
                let found = findings(&name, text)?;
                println!("ok    {name} ({} notes, {found} findings)", written.notes.len());
                let wanted = FINDINGS.iter().find(|(known, _)| name == *known);
                if let Some((_, wanted)) = wanted.filter(|(_, wanted)| *wanted != found) {
                    failures += 1;
                    println!("FAILS {name}: {wanted} findings were expected");
                }
            }
            Err(errors) => {
                failures += 1;
                println!("FAILS {name}");
                errors.iter().for_each(|error| println!("{error}"));
            }
        }
    }
    println!("{} of {} are as expected", paths.len() - failures, paths.len());
    if failures > 0 {
        bail!("{failures} files do not decode, or are reviewed differently");
    }
    Ok(())
}

/// How many, and that mending leaves nothing to mend.
fn findings(name: &str, text: String) -> Result<usize> {
    let source = SourceText::new(name, text);
    let hints = Hints::default();
    let found = review(&Files { fly: &source, outlast: None }, &hints)?;
    let mended = fix(&Files { fly: &source, outlast: None }, &hints)?;
    let mended = SourceText::new(name, mended.text);
    let left = review(&Files { fly: &mended, outlast: None }, &hints)?;
    if let Some(finding) = left.findings.iter().find(|finding| finding.is_fixable()) {
        bail!("{name}: {finding} is left after mending");
    }
    Ok(found.findings.len())
}
