//! `cargo xtask run`: from a fresh clone to a link that works.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, anyhow};

use crate::step::{self, cargo, root, target_dir};

/// The incident's own limits.
const FLY_TOML: &str = "examples/incident/fly.toml";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Builds with optimisations, which takes longer once
    #[arg(long)]
    pub(crate) release: bool,
    /// Flags and words for `outlast up`, after `--`; without any, the incident's fly.toml is served
    #[arg(last = true)]
    pub(crate) up: Vec<String>,
}

/// Builds, then becomes Outlast, so that Ctrl-C and the exit code are its own.
pub(crate) fn run(args: &Args) -> Result<()> {
    build(args)?;
    let error = outlast(args).exec();
    Err(anyhow!(error).context("cannot start outlast"))
}

/// Builds the binary.
pub(crate) fn build(args: &Args) -> Result<()> {
    let mut build = cargo(&["build", "--package", "outlast", "--locked", "--quiet"]);
    if args.release {
        build.arg("--release");
    }
    step::run(build)
}

/// Where the build puts it.
pub(crate) fn binary(args: &Args) -> PathBuf {
    target_dir().join(if args.release { "release" } else { "debug" }).join("outlast")
}

/// The command that starts it.
pub(crate) fn outlast(args: &Args) -> Command {
    let mut outlast = Command::new(binary(args));
    outlast.current_dir(root()).arg("up");
    if args.up.is_empty() {
        outlast.args(["--config", FLY_TOML]);
    }
    outlast.args(&args.up);
    outlast
}
