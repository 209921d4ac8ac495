//! The fuzz targets have a lock file of their own, and are to run the versions that we ship.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Finding;

const SHIPPED: &str = "Cargo.lock";
const FUZZED: &str = "fuzz/Cargo.lock";

#[derive(Debug, Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
}

pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let read = |path: &str| -> Result<Lock> {
        let text = fs::read_to_string(root.join(path)).with_context(|| path.to_owned())?;
        toml::from_str(&text).with_context(|| path.to_owned())
    };
    let different = different(&read(SHIPPED)?, &read(FUZZED)?);
    Ok(different.into_iter().map(|what| Finding::new(Path::new(FUZZED), 0, what)).collect())
}

/// Packages of `fuzzed` of which `shipped` has other versions only.
fn different(shipped: &Lock, fuzzed: &Lock) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in &shipped.package {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    let differs = |package: &&Package| {
        let ours = versions.get(&*package.name);
        ours.is_some_and(|ours| !ours.contains(&&*package.version))
    };
    let tell = |Package { name, version }: &Package| {
        let ours = versions[&**name].join(", ");
        format!(
            "{name} {version} is fuzzed and {ours} is shipped; `cargo update --manifest-path \
             fuzz/Cargo.toml {name} --precise {ours}`"
        )
    };
    fuzzed.package.iter().filter(differs).map(tell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fuzzed_is_what_is_shipped() {
        let lock = |packages: &[(&str, &str)]| Lock {
            package: packages
                .iter()
                .map(|(name, version)| Package { name: (*name).into(), version: (*version).into() })
                .collect(),
        };
        let shipped = lock(&[("httparse", "1.10.1"), ("syn", "2.0.0"), ("syn", "3.0.0")]);
        let fuzzed = lock(&[("httparse", "1.10.1"), ("syn", "2.0.0"), ("hyper", "1.0.0")]);
        assert_eq!(different(&shipped, &fuzzed), [""; 0]);
        let old = different(&shipped, &lock(&[("httparse", "1.9.0")]));
        assert_eq!(old.len(), 1);
        assert!(old[0].contains("httparse 1.9.0 is fuzzed and 1.10.1 is shipped"), "{}", old[0]);
    }
}
