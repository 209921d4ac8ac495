//! `outlast doctor --checklist`: what should be so before a deploy, and what shows it.

use std::process::ExitCode;

use anyhow::anyhow;
use outlast_config::SourceText;
use outlast_doctor::checklist::{Checked, Mark, check};
use outlast_doctor::{Finding, Hints, Review, report};

use super::args::{DoctorArgs, Format};
use super::{code, is_coloured, live, print};
use crate::failure::Failure;

/// Ticks and tells. Exit code 1: something is shown to be wrong by a finding at or above `--fail-on`.
pub(super) fn run(
    args: &DoctorArgs,
    fly: &SourceText,
    review: &Review,
    hints: &Hints,
) -> Result<ExitCode, Failure> {
    let seen = match args.live.is_asked() {
        true => Some(live::look(&args.live, args.show_private)?),
        false => None,
    };
    let checked = check(review, hints, seen.as_ref().map(|seen| &seen.live));
    let text = match args.format {
        Format::Human => draw(&checked, &fly.name, is_coloured()),
        Format::Json => report::json_checklist(&checked),
        Format::Sarif | Format::Github | Format::Junit => {
            let error = anyhow!("a checklist is for people or JSON");
            return Err(
                Failure::config(error).hint("leave --checklist out: findings have every format")
            );
        }
    };
    print(&text)?;
    let wrong = checked.into_iter().filter(|one| one.mark == Mark::Wrong);
    let findings: Vec<Finding> = wrong.flat_map(|one| one.findings).collect();
    Ok(code(args.fail_on, &findings))
}

fn draw(checked: &[Checked], name: &str, coloured: bool) -> String {
    let mut text = format!("{name}, before a deploy\n\n");
    let width = checked.iter().map(|one| one.item.id.len()).max().unwrap_or(0);
    for one in checked {
        let (mark, colour) = match one.mark {
            Mark::Done => ("[x]", "\x1b[32m"),
            Mark::Wrong => ("[!]", "\x1b[1;31m"),
            Mark::Open => ("[ ]", "\x1b[33m"),
        };
        let (colour, off) = if coloured { (colour, "\x1b[0m") } else { ("", "") };
        text.push_str(&format!(
            "  {colour}{mark}{off} {:width$}  {}\n",
            one.item.id, one.item.title
        ));
        for why in &one.why {
            text.push_str(&format!("      {:width$}  {why}\n", ""));
        }
    }
    let count = |mark| checked.iter().filter(|one| one.mark == mark).count();
    let (done, wrong, open) = (count(Mark::Done), count(Mark::Wrong), count(Mark::Open));
    text.push_str(&format!("\n{done} done, {wrong} wrong, {open} for you to look at\n"));
    text
}
