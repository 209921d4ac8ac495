//! `cargo xtask corpus`: makes the incidents again that the doctor's diagnosis is measured by.

use anyhow::Result;

use crate::packages;
use crate::step::{self, cargo};

/// The test that makes them, and the variable that says which.
const MAKER: &str = "corpus::the_kept_cases_are_those_of_the_tables";
const VARIABLE: &str = "OUTLAST_CORPUS";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these cases, by their names
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
}

/// All of them take about six minutes. It needs root for those in which people vanish.
pub(crate) fn run(args: &Args) -> Result<()> {
    packages::install(packages::TESTS)?;
    let names = if args.only.is_empty() { "all".to_owned() } else { args.only.join(",") };
    let test = ["test", "-p", "outlast", "--test", "end_to_end", MAKER, "--", "--exact"];
    let mut make = cargo(&[&test[..], &["--nocapture"]].concat());
    make.env(VARIABLE, names);
    step::run(make)
}
