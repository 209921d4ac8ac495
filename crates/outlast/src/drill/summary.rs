//! What came of a drill, in a screen of text on standard output.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use outlast_config::format_duration;
use outlast_drill::{Distribution, Report, Verdict};

/// So many violations are shown; the JSON has more.
const VIOLATIONS_SHOWN: usize = 10;

pub(super) fn print(report: &Report, coloured: bool) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(render(report, coloured).as_bytes())
}

fn render(report: &Report, coloured: bool) -> String {
    let mut text = String::new();
    counts(&mut text, report).expect("writing to a string succeeds");
    problems(&mut text, report).expect("writing to a string succeeds");
    verdict(&mut text, report, coloured).expect("writing to a string succeeds");
    text
}

fn counts(text: &mut String, report: &Report) -> std::fmt::Result {
    let sum = &report.summary;
    writeln!(text, "\n{} of {} streams completed", sum.completed, sum.planned)?;
    for (count, what) in [
        (sum.turned_away, "were turned away"),
        (sum.truncated, "broke off before their end"),
        (sum.failed, "failed"),
        (sum.stuck, "were not at their end"),
        (sum.left, "were left by their client"),
    ] {
        if count > 0 {
            writeln!(text, "  {count} {what}")?;
        }
    }
    if sum.refused > 0 {
        write!(text, "{} answers were refusals", sum.refused)?;
        if let Some(first) = report.first_refusal {
            let at = format_duration(Duration::from_millis(first.at_ms));
            let (open, stream) = (first.open, first.stream);
            write!(text, "; the first after {at}: stream {stream}, while {open} were open")?;
        }
        writeln!(text)?;
    }
    writeln!(text, "at most {} streams were open at once", sum.open_max)?;
    for (name, times) in
        [("first byte", &report.first_byte), ("gap", &report.gap), ("duration", &report.duration)]
    {
        if times.count > 0 {
            writeln!(text, "{name:>10}  {}", quantiles(times))?;
        }
    }
    Ok(())
}

fn quantiles(times: &Distribution) -> String {
    let parts = [
        ("p50", times.p50_us),
        ("p90", times.p90_us),
        ("p99", times.p99_us),
        ("max", times.max_us),
    ];
    let part = |(name, micros): (&str, u64)| {
        let unit = if micros < 10_000 { 10 } else { 1_000 };
        let time = Duration::from_micros(micros / unit * unit);
        format!("{name} {:<10}", format_duration(time))
    };
    parts.map(part).join(" ").trim_end().to_owned()
}

fn problems(text: &mut String, report: &Report) -> std::fmt::Result {
    for error in &report.errors {
        writeln!(text, "  {} × {}", error.count, error.reason)?;
    }
    for violation in report.violations.iter().take(VIOLATIONS_SHOWN) {
        writeln!(
            text,
            "  {} in stream {} at byte {}: {}",
            violation.flaw.name(),
            violation.stream,
            violation.offset,
            violation.detail
        )?;
    }
    let more = report.summary.violations().saturating_sub(VIOLATIONS_SHOWN as u64);
    if more > 0 {
        writeln!(text, "  and {more} more violations")?;
    }
    Ok(())
}

fn verdict(text: &mut String, report: &Report, coloured: bool) -> std::fmt::Result {
    let paint = |colour: &str, text: &str| {
        if coloured { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    };
    writeln!(text)?;
    for one in &report.thresholds {
        let mark = if one.held { paint("32", "held  ") } else { paint("31", "failed") };
        let measured = one.measured.as_deref().unwrap_or("nothing was measured");
        writeln!(text, "{mark}  {:28} {measured}", one.threshold)?;
    }
    for why in &report.invalid {
        writeln!(text, "{}: {why}", paint("33", "invalid"))?;
    }
    writeln!(
        text,
        "\n{}",
        match report.verdict {
            Verdict::Held => paint("1;32", "It held."),
            Verdict::Failed => paint("1;31", "It did not hold."),
            Verdict::Invalid => paint("1;33", "This drill says nothing about the server."),
        }
    )
}
