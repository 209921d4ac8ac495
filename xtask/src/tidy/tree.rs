//! Which files the compiler reads: those that a `mod` leads to.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The files that were reached.
#[derive(Debug, Default)]
pub(super) struct Reached(BTreeSet<PathBuf>);

impl Reached {
    pub(super) fn contains(&self, path: &Path) -> bool {
        self.0.contains(path)
    }

    /// Follows a target from its first file.
    pub(super) fn target(&mut self, path: &Path) -> Result<()> {
        let folder = path.parent().context("a target lies in a folder")?;
        self.file(path, folder)
    }

    /// Follows the modules of a file; `folder` is where theirs are.
    fn file(&mut self, path: &Path, folder: &Path) -> Result<()> {
        if !self.0.insert(path.to_owned()) {
            return Ok(());
        }
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        // What does not parse is told by another check.
        let Ok(file) = syn::parse_file(&text) else { return Ok(()) };
        self.items(&file.items, folder)
    }

    fn items(&mut self, items: &[syn::Item], folder: &Path) -> Result<()> {
        for item in items {
            let syn::Item::Mod(module) = item else { continue };
            let name = module.ident.to_string();
            let inner = folder.join(&name);
            match &module.content {
                Some((_, items)) => self.items(items, &inner)?,
                None => {
                    let flat = folder.join(format!("{name}.rs"));
                    let path = if flat.exists() { flat } else { inner.join("mod.rs") };
                    self.file(&path, &inner)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_followed_and_the_rest_is_dead() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for (path, text) in [
            ("lib.rs", "mod flat; mod deep; mod inline { mod inner; }"),
            ("flat.rs", "mod below;"),
            ("flat/below.rs", ""),
            ("deep/mod.rs", "mod leaf;"),
            ("deep/leaf.rs", ""),
            ("inline/inner.rs", ""),
            ("dead.rs", ""),
        ] {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), text).unwrap();
        }
        let mut reached = Reached::default();
        reached.target(&at("lib.rs")).unwrap();
        for path in ["flat.rs", "flat/below.rs", "deep/mod.rs", "deep/leaf.rs", "inline/inner.rs"] {
            assert!(reached.contains(&at(path)), "{path}");
        }
        assert!(!reached.contains(&at("dead.rs")));
    }
}
