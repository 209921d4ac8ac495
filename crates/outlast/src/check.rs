//! `outlast check`.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::anyhow;
use clap::CommandFactory;
use clap::parser::ValueSource;
use outlast_config::{Flags, Origin, Value};

use crate::cli::{CheckArgs, Cli};
use crate::failure::{EXIT_CONFIG, Failure};
use crate::sources::Read;
use crate::{data, diagnostics};

/// Prints what is to be said about the configuration, and with `--print` every value.
pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let read = Read::all(args.plan.config.as_ref())?;
    match outlast_config::check(&read.with(Flags::from(&args.plan))) {
        Ok(checked) => {
            diagnostics::print(&checked.notes, &read.texts());
            if args.print {
                let values = [checked.values, switches()?].concat();
                read_or_not(print(&values)).map_err(Failure::failed)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(errors) => {
            diagnostics::print(&errors, &read.texts());
            Ok(ExitCode::from(EXIT_CONFIG))
        }
    }
}

/// What `up` would take from variables beside the plan: where it keeps things, who may come in, what it logs.
fn switches() -> Result<Vec<Value>, Failure> {
    let mut command = Cli::command();
    let matches = command.clone().try_get_matches_from(["outlast", "up"]);
    let matches = matches.map_err(|error| {
        // The first line tells it; the others are about how to get help.
        let text = error.render().to_string();
        let line = text.lines().next().unwrap_or_default();
        Failure::config(anyhow!("{}", line.trim_start_matches("error: ").to_owned()))
    })?;
    let (_, given) = matches.subcommand().expect("`up` was asked for");
    let up = command.find_subcommand_mut("up").expect("there is `up`");
    let mut values = Vec::new();
    for arg in up.get_arguments() {
        let Some(variable) = arg.get_env() else { continue };
        let written: Vec<_> = given.get_raw(arg.get_id().as_str()).into_iter().flatten().collect();
        let written = written.join(OsStr::new(",")).to_string_lossy().into_owned();
        let origin = match given.value_source(arg.get_id().as_str()) {
            Some(ValueSource::EnvVariable) => {
                Origin::Variable(variable.to_string_lossy().into_owned())
            }
            _ => Origin::Default,
        };
        let value = match arg.get_id().as_str() {
            "data" if written.is_empty() => data::folder(None)?.display().to_string(),
            "threads" if written.is_empty() => "one per core".to_owned(),
            _ if written.is_empty() => "none".to_owned(),
            _ => written,
        };
        values.push(Value { key: arg.get_id().to_string(), value, origin });
    }
    Ok(values)
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
