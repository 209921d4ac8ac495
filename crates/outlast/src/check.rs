//! `outlast check`.

use std::io::{self, Write};
use std::process::ExitCode;

use outlast_config::{Flags, Value};

use crate::cli::CheckArgs;
use crate::diagnostics;
use crate::failure::{EXIT_CONFIG, Failure};
use crate::sources::Read;

/// Prints what is to be said about the configuration, and with `--print` every value.
pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let read = Read::all(args.plan.config.as_ref())?;
    match outlast_config::check(&read.with(Flags::from(&args.plan))) {
        Ok(checked) => {
            diagnostics::print(&checked.notes, &read);
            if args.print {
                read_or_not(print(&checked.values)).map_err(Failure::failed)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(errors) => {
            diagnostics::print(&errors, &read);
            Ok(ExitCode::from(EXIT_CONFIG))
        }
    }
}

/// A reader that has seen enough is no failure.
pub(crate) fn read_or_not(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Three columns: key, value, origin.
fn print(values: &[Value]) -> io::Result<()> {
    let width = |text: fn(&Value) -> &str| {
        values.iter().map(|value| text(value).chars().count()).max().unwrap_or(0)
    };
    let (keys, texts) = (width(|value| &value.key), width(|value| &value.value));
    let mut stdout = io::stdout().lock();
    for Value { key, value, origin } in values {
        writeln!(stdout, "{key:keys$}  {value:texts$}  {origin}")?;
    }
    Ok(())
}
