//! `cargo xtask conformance`: other people's files, which are not in this repository.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use outlast_config::decode_fly;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A folder of fly.toml files: everything in it that ends in .toml
    #[arg(long, value_name = "DIR", required = true)]
    fly_toml: PathBuf,
}

/// Decodes each, and fails if one does not.
pub(crate) fn run(args: &Args) -> Result<()> {
    let folder = &args.fly_toml;
    let entries = folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    if paths.is_empty() {
        bail!("there is no .toml file in {}", folder.display());
    }
    let mut failures = 0;
    for path in &paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        match decode_fly(&name, &text) {
            Ok(written) => println!("ok    {name} ({} notes)", written.notes.len()),
            Err(errors) => {
                failures += 1;
                println!("FAILS {name}");
                errors.iter().for_each(|error| println!("{error}"));
            }
        }
    }
    println!("{} of {} decode", paths.len() - failures, paths.len());
    if failures > 0 {
        bail!("{failures} files do not decode");
    }
    Ok(())
}
