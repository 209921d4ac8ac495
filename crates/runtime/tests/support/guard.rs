//! A program that can be a guard, as the tests need one.

use std::process::ExitCode;

use outlast_runtime::guard;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    assert_eq!(args.next(), Some(guard::SUBCOMMAND.into()), "this is only a guard");
    guard::main(args)
}
