//! `cargo xtask soak`: what takes too long for every change.

use anyhow::Result;

use crate::fuzz;
use crate::packages;
use crate::step::{self, cargo};

/// Exchanges that are dropped at random moments; `cargo xtask test` does a hundredth of them.
const CANCELS: &str = "1000000";
/// Processes that are killed while they write streams; `cargo xtask test` kills a dozen.
const KILLS: &str = "2000";
/// How long the living and the dead are held; 90 s in `cargo xtask test`.
const MATRIX_SECONDS: &str = "600";

pub(crate) fn run(args: &fuzz::Args) -> Result<()> {
    packages::install(packages::TESTS)?;
    let mut cancels = cargo(&["test", "-p", "outlast-gateway", "--lib", "random_cancels"]);
    cancels.env("OUTLAST_CANCELS", CANCELS);
    step::run(cancels)?;
    let mut kills = cargo(&["test", "-p", "outlast-streams", "--test", "storage", "kill"]);
    kills.env("OUTLAST_KILLS", KILLS);
    step::run(kills)?;
    let matrix = ["test", "-p", "outlast", "--test", "end_to_end", "living", "--", "--nocapture"];
    let mut matrix = cargo(&matrix);
    matrix.env("OUTLAST_MATRIX_SECONDS", MATRIX_SECONDS);
    step::run(matrix)?;
    fuzz::soak(args)
}
