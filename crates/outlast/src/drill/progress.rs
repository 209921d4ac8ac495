//! A drill while it runs: redrawn in place on a terminal, else a line now and then.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use outlast_config::format_duration;
use outlast_drill::Progress;
use tokio::sync::watch;

/// So many plain lines in one drill, at most one a second.
const LINES: u32 = 20;
const LINE_EVERY_MIN: Duration = Duration::from_secs(1);
const BAR_CELLS: usize = 40;

/// Shows what is seen until the drill ends.
pub(super) async fn show(mut watching: watch::Receiver<Progress>) {
    let is_terminal = io::stderr().is_terminal();
    let (mut drawn, mut told) = (0, None);
    while watching.changed().await.is_ok() {
        let progress = watching.borrow_and_update().clone();
        if is_terminal {
            let picture = picture(&progress);
            let back = if drawn > 0 { format!("\x1b[{drawn}A") } else { String::new() };
            say(&format!("{back}\x1b[J{picture}"));
            drawn = picture.lines().count();
        } else {
            let every = (progress.end / LINES).max(LINE_EVERY_MIN);
            if told.is_none_or(|told| progress.at >= told + every) {
                told = Some(progress.at);
                say(&line(&progress));
            }
        }
    }
}

fn say(text: &str) {
    // If nobody reads standard error, nobody misses it.
    let _told = io::stderr().write_all(text.as_bytes());
}

/// Whole seconds, as a person reads them.
pub(super) fn seconds(duration: Duration) -> Duration {
    if duration < Duration::from_secs(2) {
        return Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    }
    Duration::from_secs(duration.as_secs())
}

fn line(progress: &Progress) -> String {
    let mut line = format!("{:>8}", format_duration(seconds(progress.at)));
    for (name, count) in progress.states.iter().filter(|(_, count)| *count > 0) {
        write!(line, "  {count} {name}").expect("writing to a string succeeds");
    }
    let Progress { completed, refused, violations, .. } = progress;
    writeln!(line, "  ({completed} completed, {refused} refusals, {violations} violations)")
        .expect("writing to a string succeeds");
    line
}

/// A few lines that are drawn again and again.
fn picture(progress: &Progress) -> String {
    let share = progress.at.as_secs_f64() / progress.end.as_secs_f64().max(1e-3);
    let mut text = format!(
        "  {} {} of {}\n",
        bar(share),
        format_duration(seconds(progress.at)),
        format_duration(seconds(progress.end)),
    );
    let planned = f64::from(u32::try_from(progress.planned).unwrap_or(u32::MAX)).max(1.0);
    for (name, count) in progress.states.iter().filter(|(_, count)| *count > 0) {
        writeln!(text, "  {} {count:>6} {name}", bar(f64::from(*count) / planned))
            .expect("writing to a string succeeds");
    }
    let Progress { completed, refused, broken, violations, chunks, .. } = progress;
    writeln!(
        text,
        "  {completed} completed, {refused} refusals, {broken} broken, {violations} violations, {chunks} reads"
    )
    .expect("writing to a string succeeds");
    text
}

fn bar(share: f64) -> String {
    let filled = (0..BAR_CELLS).filter(|cell| (*cell as f64 + 0.5) / (BAR_CELLS as f64) < share);
    let filled = filled.count();
    format!("{}{}", "█".repeat(filled), "░".repeat(BAR_CELLS - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_a_line_and_drawn_in_a_few() {
        let progress = Progress {
            at: Duration::from_secs(90),
            end: Duration::from_secs(180),
            states: vec![("streaming", 25), ("asleep", 0)],
            planned: 50,
            refused: 5,
            ..Progress::default()
        };
        let told = line(&progress);
        assert_eq!(told, "   1m30s  25 streaming  (0 completed, 5 refusals, 0 violations)\n");
        let drawn = picture(&progress);
        let half = format!("{}{}", "█".repeat(20), "░".repeat(20));
        let lines: Vec<_> = drawn.lines().collect();
        assert_eq!(lines[0], format!("  {half} 1m30s of 3m"));
        assert_eq!(lines[1], format!("  {half}     25 streaming"));
        assert_eq!(lines.len(), 3);
    }
}
