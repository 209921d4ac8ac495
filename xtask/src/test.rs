//! `cargo xtask test`: everything that must hold before a change lands.

use anyhow::{Result, bail};

use crate::step::{self, cargo, is_installed, target_dir};
use crate::{fuzz, packages, peers, tidy};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this step; repeatable
    #[arg(long, value_name = "STEP", value_parser = NAMES)]
    only: Vec<String>,
}

const NAMES: [&str; 11] = [
    "install", "fmt", "clippy", "tidy", "build", "tests", "benches", "bench", "docs", "model",
    "fuzz",
];

/// Runs the steps in order, the quick ones first.
fn run_step(name: &str) -> Result<()> {
    match name {
        "install" => packages::install(packages::TESTS).and_then(|()| peers::install()),
        "fmt" => {
            step::run(cargo(&["fmt", "--all", "--check"]))?;
            step::run(cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))
        }
        "clippy" => step::run(cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ])),
        "tidy" => tidy::run(),
        "build" => {
            step::run(cargo(&["build", "--workspace", "--all-targets", "--locked", "--quiet"]))
        }
        "tests" => tests(),
        // As tests: every benchmark runs once.
        "benches" => step::run(cargo(&[
            "bench",
            "--package",
            "outlast-admission",
            "--locked",
            "--profile",
            "dev",
            "--",
            "--test",
        ])),
        // A process of its own: it binds itself to a core. Takes 3 s, and once what the peers' installation takes.
        "bench" => step::run(cargo(&["xtask", "bench", "--quick", "--only", "requests"])),
        "docs" => {
            let mut docs = cargo(&["doc", "--workspace", "--no-deps", "--locked", "--quiet"]);
            docs.env("RUSTDOCFLAGS", "-D warnings");
            step::run(docs)
        }
        "model" => model(),
        "fuzz" => fuzz::brief(),
        other => bail!("there is no step {other}"),
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    for name in NAMES {
        if args.only.is_empty() || args.only.iter().any(|only| only == name) {
            run_step(name)?;
        }
    }
    eprintln!("\nAll is well.");
    Ok(())
}

/// Property tests try the same values each time, so that a commit's result is its own. Without this step's environment they
/// try others.
const PROPERTY_SEED: &str = "2026";

/// With nextest where it is installed, which runs tests of all crates side by side; else crate by crate.
fn tests() -> Result<()> {
    let mut tests = if is_installed("cargo-nextest") {
        cargo(&["nextest", "run", "--workspace", "--locked"])
    } else {
        cargo(&["test", "--workspace", "--locked", "--quiet", "--all-targets"])
    };
    tests.env("PROPTEST_RNG_SEED", PROPERTY_SEED);
    step::run(tests)?;
    step::run(cargo(&["test", "--workspace", "--locked", "--quiet", "--doc"]))
}

/// The schedules of admission's handle, explored by shuttle.
fn model() -> Result<()> {
    let mut model = cargo(&["test", "--manifest-path", "crates/admission/model/Cargo.toml"]);
    model.args(["--quiet", "--lib", "model", "--target-dir"]).arg(target_dir().join("shuttle"));
    model.env("RUSTFLAGS", "--cfg shuttle");
    step::run(model)
}
