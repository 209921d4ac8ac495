//! `outlast doctor --logs`: reads logs, draws what `outlast_doctor::diagnosis` makes of them, and follows those that grow.

mod args;
mod draw;
mod follow;
mod inputs;
mod wrap;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use outlast_doctor::diagnosis::{Beside, Diagnosed, Diagnosis, Names, report};

pub(crate) use self::args::LogsArgs;
use self::draw::Style;
use self::inputs::Inputs;
use super::args::{DoctorArgs, Format};
use super::print;
use crate::failure::{EXIT_FAILED, Failure};
use crate::sources::read;

/// Lines are at most this long where nobody says how wide the terminal is.
const WIDTH: usize = 100;
/// Narrower and wider lines cannot be read.
const WIDTHS: std::ops::RangeInclusive<usize> = 60..=140;

/// Diagnoses. Exit code 1: there was an incident at or above `--fail-on`.
pub(super) fn run(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let plan = read(&args.file)?.as_ref().and_then(Beside::read);
    if args.logs.follow {
        return follow::run(args, plan);
    }
    let mut inputs = Inputs::open(&args.logs.logs)?;
    let mut diagnosis = Diagnosis::new(plan, names_of(args));
    while let Some(event) = inputs.next()? {
        diagnosis.observe(&event);
    }
    let diagnosed = diagnosis.finish();
    tell(args, &diagnosed, &inputs.names())?;
    remark(&inputs.notes());
    Ok(code(args, &diagnosed))
}

/// Says what was wrong with the logs, beside the report.
fn remark(notes: &[String]) {
    for note in notes {
        // The report is what was asked for.
        let _told = writeln!(io::stderr(), "note: {note}");
    }
}

fn names_of(args: &DoctorArgs) -> Names {
    if args.show_private { Names::Shown } else { Names::Hidden }
}

fn tell(args: &DoctorArgs, diagnosed: &Diagnosed, names: &[String]) -> Result<(), Failure> {
    print(&match args.format {
        Format::Human => draw::draw(diagnosed, names, style()),
        Format::Json => report::json(diagnosed, names),
        Format::Sarif => report::sarif(diagnosed, names),
        Format::Github => report::github(diagnosed, names),
        Format::Junit => report::junit(diagnosed, names, args.fail_on.severity()),
    })
}

fn style() -> Style {
    let stdout = io::stdout();
    let coloured = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let columns = rustix::termios::tcgetwinsize(&stdout).map(|size| usize::from(size.ws_col));
    let width = match columns {
        Ok(columns) if columns > 0 => columns.clamp(*WIDTHS.start(), *WIDTHS.end()),
        _ => WIDTH,
    };
    Style { coloured, width }
}

fn code(args: &DoctorArgs, diagnosed: &Diagnosed) -> ExitCode {
    let worst = diagnosed.worst.zip(args.fail_on.severity());
    if worst.is_some_and(|(worst, least)| worst <= least) {
        ExitCode::from(EXIT_FAILED)
    } else {
        ExitCode::SUCCESS
    }
}
