//! The project's own commands: `cargo xtask run | test | dev | tidy | bench | soak | conformance |
//! corpus`.

mod bench;
mod conformance;
mod corpus;
mod dev;
mod fuzz;
mod packages;
mod peers;
mod run;
mod soak;
mod step;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Builds Outlast and starts it with the incident's own fly.toml
    Run(run::Args),
    /// Installs what the tests need and runs all of them; what CI runs
    Test(test::Args),
    /// As run, restarted whenever a source file changes and the build succeeds
    Dev(run::Args),
    /// Checks what the compiler cannot: arrows between crates, lengths, bans, dead files, links, licences
    Tidy,
    /// Measures cost beside HAProxy and nginx
    Bench(bench::Args),
    /// Runs for long what the tests do briefly: a million cancelled exchanges, the living and the dead, the fuzz targets
    Soak(fuzz::Args),
    /// Decodes every fly.toml of a folder
    Conformance(conformance::Args),
    /// Makes the incidents again that the doctor's diagnosis is measured by
    Corpus(corpus::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Dev(args) => dev::run(&args),
        Command::Tidy => tidy::run(),
        Command::Bench(args) => bench::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Conformance(args) => conformance::run(&args),
        Command::Corpus(args) => corpus::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
