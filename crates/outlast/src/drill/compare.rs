//! `outlast drill compare`: two results beside each other.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use outlast_config::format_duration;
use outlast_drill::{Report, SCHEMA, Verdict, comparison_page};

use super::args::CompareArgs;
use super::write_file;
use crate::failure::Failure;

/// Prints both, and writes the page.
pub(super) fn run(args: &CompareArgs) -> Result<ExitCode, Failure> {
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    let labels = (name(&args.before), name(&args.after));
    if let Some(path) = &args.html {
        let page = comparison_page((&labels.0, &before), (&labels.1, &after));
        write_file(path, page.as_bytes())?;
    }
    let table = table((&labels.0, &before), (&labels.1, &after));
    io::stdout().lock().write_all(table.as_bytes()).map_err(Failure::failed)?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<Report, Failure> {
    let hint = "name two files that `outlast drill … --json FILE` has written";
    let what = || format!("{} is no result of a drill", path.display());
    let bytes = std::fs::read(path)
        .with_context(|| format!("cannot read {}", path.display()))
        .map_err(|error| Failure::config(error).hint(hint))?;
    let report: Report = serde_json::from_slice(&bytes)
        .with_context(what)
        .map_err(|error| Failure::config(error).hint(hint))?;
    if report.schema > SCHEMA {
        let error = anyhow!("{} was written by a later version", path.display());
        return Err(Failure::config(error).hint("compare it with that version"));
    }
    Ok(report)
}

/// The file's name without folder and ending.
fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn verdict(report: &Report) -> &'static str {
    match report.verdict {
        Verdict::Held => "held",
        Verdict::Failed => "did not hold",
        Verdict::Invalid => "says nothing",
    }
}

/// A line's name, and what it tells of a report.
type Row = (&'static str, fn(&Report) -> String);

fn time(micros: u64) -> String {
    format_duration(Duration::from_millis(micros.div_ceil(1_000)))
}

fn table(before: (&str, &Report), after: (&str, &Report)) -> String {
    let rows: [Row; 9] = [
        ("verdict", |report| verdict(report).to_owned()),
        ("completed", |report| {
            format!("{} of {}", report.summary.completed, report.summary.planned)
        }),
        ("refusals", |report| report.summary.refused.to_string()),
        ("turned away", |report| report.summary.turned_away.to_string()),
        ("broken off", |report| report.summary.truncated.to_string()),
        ("failed or stuck", |report| (report.summary.failed + report.summary.stuck).to_string()),
        ("violations", |report| report.summary.violations().to_string()),
        ("open at once", |report| report.summary.open_max.to_string()),
        ("first byte p99", |report| time(report.first_byte.p99_us)),
    ];
    let mut text = format!("{:16}{:>16}{:>16}\n", "", before.0, after.0);
    for (name, value) in rows {
        text.push_str(&format!("{name:16}{:>16}{:>16}\n", value(before.1), value(after.1)));
    }
    text
}
