//! `outlast doctor` and `outlast explain`: reads, draws, writes; what is wrong is for `outlast_doctor` to say.

mod args;
mod checklist;
mod draw;
mod draw_live;
mod live;
mod logs;
mod mend;
mod whatif;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use outlast_config::SourceText;
use outlast_doctor::{
    Files, Finding, Hints, Page, Review, Unreadable, live_pages, page, pages, report, review,
};

pub(crate) use self::args::{DoctorArgs, ExplainArgs};
use self::args::{FailOn, Format};
use crate::check::read_or_not;
use crate::diagnostics;
use crate::failure::{EXIT_CONFIG, EXIT_FAILED, Failure};
use crate::sources::{read, read_existing};

/// Reviews, and mends if asked to. Exit code 1: there is a finding at or above `--fail-on`.
pub(crate) fn run(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    if args.live.is_asked() && !args.checklist {
        return live::run(args);
    }
    refuse_other_formats(&args.file)?;
    if !args.logs.logs.is_empty() {
        return logs::run(args);
    }
    let mut fly = read_existing(&args.file).map_err(|failure| failure.hint(NAME_IT))?;
    let outlast = match &args.outlast {
        Some(path) => Some(
            read_existing(path)
                .map_err(|failure| failure.hint("--outlast names an outlast.toml"))?,
        ),
        None => read(&args.file.parent().unwrap_or(Path::new("")).join("outlast.toml"))?,
    };
    let hints = Hints::from(&args.hints);
    if args.what_if.is_asked() {
        let files = Files { fly: &fly, outlast: outlast.as_ref() };
        return whatif::run(&args.what_if, args.format, &files, &hints);
    }
    if args.fix {
        let fixed =
            match outlast_doctor::fix(&Files { fly: &fly, outlast: outlast.as_ref() }, &hints) {
                Ok(fixed) => fixed,
                Err(unreadable) => return Ok(refuse(&unreadable, &fly)),
            };
        if args.dry_run {
            return mend::show(&fly, &fixed, &hints, args.show_private);
        }
        mend::write(&args.file, &fly, &fixed)?;
        fly.text = fixed.text;
    }
    let files = Files { fly: &fly, outlast: outlast.as_ref() };
    match review(&files, &hints) {
        Ok(review) if args.checklist => checklist::run(args, &fly, &review, &hints),
        Ok(review) => tell(args, &files, &review),
        Err(unreadable) => Ok(refuse(&unreadable, &fly)),
    }
}

const NAME_IT: &str = "name the file: outlast doctor path/to/fly.toml";

/// flyctl also reads JSON and YAML, and knows them by their ending.
fn refuse_other_formats(path: &Path) -> Result<(), Failure> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if !["json", "yaml", "yml"].contains(&ending) {
        return Ok(());
    }
    let error = anyhow!("{} is no TOML by its ending, and only TOML is reviewed", path.display());
    Err(Failure::config(error).hint("`fly config save` writes the app's configuration as fly.toml"))
}

fn refuse(unreadable: &Unreadable, fly: &SourceText) -> ExitCode {
    let failure = Failure::config(anyhow!("{unreadable}"));
    let coloured = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // The exit code tells it too.
    let _told = writeln!(io::stderr(), "{}", failure.render(coloured));
    diagnostics::print(&unreadable.reasons, &[fly]);
    ExitCode::from(EXIT_CONFIG)
}

fn tell(args: &DoctorArgs, files: &Files<'_>, review: &Review) -> Result<ExitCode, Failure> {
    let name = &*files.fly.name;
    let fail_on = args.fail_on.severity();
    let text = match args.format {
        Format::Human => draw::draw(files, review, args.show_private, is_coloured()),
        Format::Json => report::json(review),
        Format::Sarif => report::sarif(review, name),
        Format::Github => report::github(review, name),
        Format::Junit => report::junit(review, name, fail_on),
    };
    print(&text)?;
    Ok(code(args.fail_on, &review.findings))
}

/// Whether standard output takes colours.
fn is_coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

fn code(fail_on: FailOn, findings: &[Finding]) -> ExitCode {
    let fails = |least| findings.iter().any(|finding| finding.severity <= least);
    if fail_on.severity().is_some_and(fails) {
        ExitCode::from(EXIT_FAILED)
    } else {
        ExitCode::SUCCESS
    }
}

fn print(text: &str) -> Result<(), Failure> {
    read_or_not(io::stdout().lock().write_all(text.as_bytes())).map_err(Failure::failed)
}

/// Prints the page of a rule, or a line for each.
pub(crate) fn explain(args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let Some(rule) = &args.rule else {
        let line = |page: &Page| format!("{}  {}\n", page.rule, page.title());
        print(&all_pages().map(line).collect::<String>())?;
        return Ok(ExitCode::SUCCESS);
    };
    let Some(page) = page(rule) else {
        let rules: Vec<_> = all_pages().map(|page| page.rule).collect();
        let failure = Failure::config(anyhow!("there is no rule {rule:?}"));
        return Err(failure.hint(match outlast_config::read::nearest(rule, &rules) {
            Some(near) => format!("did you mean {near}? `outlast explain` lists all of them"),
            None => "`outlast explain` lists all of them".to_owned(),
        }));
    };
    print(page.text)?;
    Ok(ExitCode::SUCCESS)
}

fn all_pages() -> impl Iterator<Item = &'static Page> {
    pages().iter().chain(live_pages())
}
