//! Outlast: streams that outlast their connections.
//!
//! The binary alone knows arguments, environment, home directory, terminal and exit codes; the crates below know none of
//! them.

mod check;
mod cli;
mod data;
mod descriptors;
mod diagnostics;
mod doctor;
mod drill;
mod failure;
mod greeting;
#[cfg(test)]
mod interface;
mod link;
mod log_json;
mod log_writer;
mod logging;
mod machines;
mod news;
mod serve;
mod signals;
mod sources;
mod up;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use outlast_runtime::guard;

use crate::cli::{Cli, Command};

// 30 % less memory per held stream than glibc's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // A guard is started once for each machine and must not parse more than it needs.
    if std::env::args_os().nth(1).is_some_and(|first| first == guard::SUBCOMMAND) {
        return guard::main(std::env::args_os().skip(2));
    }
    let done = match Cli::parse().command {
        Command::Up(args) => up::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Link(args) => link::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Explain(args) => doctor::explain(&args),
        Command::Drill(args) => drill::run(args),
    };
    match done {
        Ok(code) => code,
        Err(failure) => {
            let text = failure.render(io::stderr().is_terminal());
            // The exit code tells it too.
            let _read_or_not = writeln!(io::stderr(), "{text}");
            failure.code()
        }
    }
}
