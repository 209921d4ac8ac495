//! `cargo xtask tidy`: what the compiler cannot check about the tree.

mod crates;
mod licences;
mod links;
mod locks;
mod source;
mod tree;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::step::{command, root};

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: PathBuf,
    /// From 1; 0: the whole file.
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &Path, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path.display(), self.what),
            line => write!(f, "{}:{line}: {}", self.path.display(), self.what),
        }
    }
}

/// Checks everything and tells all that was found.
pub(crate) fn run() -> Result<()> {
    eprintln!("\n==> tidy");
    let root = root();
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .other_options(vec!["--locked".to_owned()])
        .exec()
        .context("cargo does not tell about the workspace")?;
    // What its own packages need is not of interest here.
    let fuzz = MetadataCommand::new()
        .manifest_path(root.join("fuzz/Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo does not tell about the fuzz targets")?;
    let files = files(&root)?;
    let mut findings = check(&root, &metadata, &fuzz, &files)?;
    findings.sort();
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} things are not tidy", findings.len());
    }
    eprintln!("    {} files, {} packages", files.len(), metadata.packages.len());
    Ok(())
}

fn check(
    root: &Path,
    metadata: &Metadata,
    fuzz: &Metadata,
    files: &[PathBuf],
) -> Result<Vec<Finding>> {
    let mut findings = crates::levels(metadata);
    findings.extend(crates::manifests(root, metadata)?);
    findings.extend(licences::check(root, metadata)?);
    findings.extend(locks::check(root)?);
    let mut reached = tree::Reached::default();
    let packages = metadata.workspace_packages().into_iter().chain(fuzz.workspace_packages());
    for target in packages.flat_map(|package| &package.targets) {
        reached.target(target.src_path.as_std_path())?;
    }
    for path in files {
        let full = root.join(path);
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => {
                let text = std::fs::read_to_string(&full)
                    .with_context(|| format!("cannot read {}", full.display()))?;
                findings.extend(source::check(path, &text));
                if !reached.contains(&full) {
                    let what = "no `mod` leads here; delete it, or name it in its parent";
                    findings.push(Finding::new(path, 0, what));
                }
            }
            Some("md") => {
                let text = std::fs::read_to_string(&full)
                    .with_context(|| format!("cannot read {}", full.display()))?;
                findings.extend(links::check(path, &text, &|link| root.join(link).exists()));
            }
            _ => {}
        }
    }
    Ok(findings)
}

/// All files that belong to the repository or soon will, by path from its root.
pub(crate) fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut git = command("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output = git.current_dir(root).output().context("cannot start git")?;
    if !output.status.success() {
        bail!("git does not list the files: {}", String::from_utf8_lossy(&output.stderr));
    }
    let list = String::from_utf8(output.stdout).context("a file's name is not UTF-8")?;
    let files = list.split_terminator('\0').map(PathBuf::from);
    // One that was deleted is listed until that is committed.
    Ok(files.filter(|path| root.join(path).exists()).collect())
}
