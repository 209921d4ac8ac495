//! Everything that goes into the binary may be given on under MIT or Apache-2.0, and comes from crates.io. What is
//! allowed stands in `deny.toml`, which cargo-deny reads too; this check needs no tool and no network.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, Package};
use serde::Deserialize;
use spdx::{Expression, ParseMode};

use super::Finding;

const DENY_TOML: &str = "deny.toml";

#[derive(Debug, Deserialize)]
struct Deny {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    #[serde(default)]
    skip: Vec<Skip>,
}

/// A crate of which another version may stand beside.
#[derive(Debug, Deserialize)]
struct Skip {
    #[serde(rename = "crate")]
    name: String,
}

pub(super) fn check(root: &Path, metadata: &Metadata) -> Result<Vec<Finding>> {
    let text = fs::read_to_string(root.join(DENY_TOML)).context("cannot read deny.toml")?;
    let deny: Deny = toml::from_str(&text).context("deny.toml")?;
    let foreign: Vec<_> = metadata
        .packages
        .iter()
        .filter(|package| !metadata.workspace_members.contains(&package.id))
        .collect();
    let mut what = Vec::new();
    for package in &foreign {
        what.extend(judge_licence(&package.name, package.license.as_deref(), &deny.licenses.allow));
        if !package.source.as_ref().is_some_and(cargo_metadata::Source::is_crates_io) {
            what.push(format!("{} does not come from crates.io", package.name));
        }
    }
    what.extend(doubled(&foreign, &deny.bans.skip));
    Ok(what.into_iter().map(|what| Finding::new(Path::new(DENY_TOML), 0, what)).collect())
}

fn judge_licence(name: &str, licence: Option<&str>, allow: &[String]) -> Option<String> {
    let Some(licence) = licence else {
        return Some(format!("{name} does not say its licence"));
    };
    let expression = match Expression::parse_mode(licence, ParseMode::LAX) {
        Ok(expression) => expression,
        Err(error) => return Some(format!("{name}: the licence {licence:?} is not SPDX: {error}")),
    };
    let is_allowed = expression.evaluate(|required| allow.contains(&required.to_string()));
    (!is_allowed).then(|| format!("{name} has the licence {licence:?}, which is not allowed here"))
}

/// Crates that are there in more than one version, without an exception.
fn doubled(packages: &[&Package], skip: &[Skip]) -> Vec<String> {
    let mut names: Vec<_> = packages.iter().map(|package| package.name.as_str()).collect();
    names.sort_unstable();
    let mut doubled: Vec<_> =
        names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    doubled.dedup();
    let excused = |name: &&str| skip.iter().any(|skip| skip.name == *name);
    let mut what: Vec<_> = doubled
        .iter()
        .filter(|name| !excused(name))
        .map(|name| {
            format!("{name} is there in several versions; update, or excuse it in bans.skip")
        })
        .collect();
    let idle = skip.iter().filter(|skip| !doubled.contains(&skip.name.as_str()));
    what.extend(
        idle.map(|skip| format!("bans.skip excuses {}, which needs it no more", skip.name)),
    );
    what
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_are_allowed_as_their_expression_says() {
        let allow = ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"]
            .map(str::to_owned);
        for (licence, is_allowed) in [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0-only OR MIT", true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("MIT AND GPL-3.0-only", false),
            ("GPL-3.0-only", false),
            ("whatever", false),
        ] {
            assert_eq!(
                judge_licence("x", Some(licence), &allow).is_none(),
                is_allowed,
                "{licence}"
            );
        }
        assert!(judge_licence("x", None, &allow).is_some());
    }
}
