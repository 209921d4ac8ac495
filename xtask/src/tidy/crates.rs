//! Arrows between crates point down, manifests are whole, and no dependency is unused.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, Package};

use super::{Finding, files};

/// The levels of ARCHITECTURE.md. A crate uses only lower ones.
const LEVELS: &[(&str, u8)] = &[
    ("outlast", 4),
    ("outlast-gateway", 3),
    ("outlast-desktop", 3),
    ("outlast-dashboard", 3),
    ("outlast-doctor", 3),
    ("outlast-drill", 3),
    ("outlast-agent", 2),
    ("outlast-admission", 2),
    ("outlast-machines", 2),
    ("outlast-access", 2),
    ("outlast-config", 2),
    ("outlast-observe", 2),
    ("outlast-page", 2),
    ("outlast-streams", 2),
    ("outlast-http1", 1),
    ("outlast-protocol", 1),
    ("outlast-runtime", 1),
    ("outlast-sockets", 1),
];

/// Only tests may use these, and these may use anything.
const DEV_ONLY: &[&str] = &["outlast-testkit", "xtask"];

fn level(name: &str) -> Option<u8> {
    LEVELS.iter().find(|(known, _)| *known == name).map(|(_, level)| *level)
}

/// Whether one crate may use another: None if so, else why not.
fn judge(from: &str, to: &str, kind: DependencyKind) -> Option<String> {
    if DEV_ONLY.contains(&from) || kind == DependencyKind::Development {
        return None;
    }
    if DEV_ONLY.contains(&to) {
        return Some(format!("{from} uses {to}, which is for tests only"));
    }
    let (from_level, to_level) = (level(from)?, level(to)?);
    (to_level >= from_level).then(|| {
        format!(
            "{from} (level {from_level}) uses {to} (level {to_level}); arrows point down only: move what \
             both need to a lower crate"
        )
    })
}

/// Checks every arrow of the workspace.
pub(super) fn levels(metadata: &Metadata) -> Vec<Finding> {
    let packages = metadata.workspace_packages();
    let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut findings = Vec::new();
    for package in &packages {
        let manifest = relative(metadata, package);
        if level(&package.name).is_none() && !DEV_ONLY.contains(&package.name.as_str()) {
            let what =
                format!("{} has no level; give it one in xtask/src/tidy/crates.rs", package.name);
            findings.push(Finding::new(&manifest, 0, what));
        }
        let own = package.dependencies.iter().filter(|other| names.contains(&other.name.as_str()));
        let bad = own.filter_map(|other| judge(&package.name, &other.name, other.kind));
        findings.extend(bad.map(|what| Finding::new(&manifest, 0, what)));
    }
    findings
}

fn relative(metadata: &Metadata, package: &Package) -> std::path::PathBuf {
    let path = package.manifest_path.strip_prefix(&metadata.workspace_root);
    path.unwrap_or(&package.manifest_path).as_std_path().to_owned()
}

/// Checks that each manifest says what it is, takes part in the lints, and names nothing that is not used.
pub(super) fn manifests(root: &Path, metadata: &Metadata) -> Result<Vec<Finding>> {
    let sources: Vec<_> = files(root)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .collect();
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        let manifest = relative(metadata, package);
        let folder = manifest.parent().expect("a manifest lies in a folder");
        if package.description.is_none() {
            findings.push(Finding::new(&manifest, 0, "has no description"));
        }
        let text = fs::read_to_string(root.join(&manifest))
            .with_context(|| format!("cannot read {}", manifest.display()))?;
        if !text.contains("[lints]\nworkspace = true") {
            findings.push(Finding::new(&manifest, 0, "does not take the workspace's lints"));
        }
        let mut code = String::new();
        for path in sources.iter().filter(|path| path.starts_with(folder)) {
            code += &fs::read_to_string(root.join(path))?;
        }
        for dependency in &package.dependencies {
            let name = dependency.rename.as_ref().unwrap_or(&dependency.name).replace('-', "_");
            if !mentions(&code, &name) {
                let what =
                    format!("{} is a dependency and is not used; remove it", dependency.name);
                findings.push(Finding::new(&manifest, 0, what));
            }
        }
    }
    Ok(findings)
}

/// Whether a crate's name stands in code as a word.
fn mentions(code: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + name.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_point_down_only() {
        let normal = DependencyKind::Normal;
        assert_eq!(judge("outlast-gateway", "outlast-http1", normal), None);
        assert_eq!(judge("outlast-gateway", "serde", normal), None);
        assert_eq!(judge("outlast-gateway", "outlast-testkit", DependencyKind::Development), None);
        for (from, to) in [
            ("outlast-gateway", "outlast-desktop"),
            ("outlast-http1", "outlast-gateway"),
            ("outlast-config", "outlast-observe"),
            ("outlast-gateway", "outlast-testkit"),
        ] {
            assert!(judge(from, to, normal).is_some(), "{from} → {to}");
        }
    }

    #[test]
    fn a_name_is_mentioned_as_a_word() {
        for (code, is_used) in [
            ("use bytes::Bytes;", true),
            ("kilobytes", false),
            ("bytes_max", false),
            ("(bytes)", true),
        ] {
            assert_eq!(mentions(code, "bytes"), is_used, "{code}");
        }
    }
}
