//! What a log is like, beside its events: how much of it was understood, and what was wrong with it.

use std::collections::BTreeMap;

use super::event::{Origin, Position};
use super::input::Packing;
use super::record::Form;
use super::times::Times;
use super::when::When;

/// How many lines that were not understood are shown.
const EXAMPLES_KEPT: usize = 5;
/// How much of each.
const EXCERPT_CHARS_MAX: usize = 60;
/// A word of so many letters and digits could be a secret.
const SECRET_CHARS_MIN: usize = 20;
/// How many minutes are told apart: two weeks. Fly keeps a week.
const MINUTES_MAX: usize = 20_160;
const MINUTE: i64 = 60_000_000_000;

/// What was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// How the file is packed.
    pub packing: Packing,
    /// Bytes, unpacked.
    pub bytes: u64,
    /// Lines, empty ones included.
    pub lines: u64,
    /// Lines with nothing in them.
    pub blank: u64,
    /// Records that are events.
    pub events: u64,
    /// Lines of no known form.
    pub not_understood: u64,
    /// The first of them.
    pub examples: Vec<Example>,
    /// Lines beyond [`LINE_BYTES_MAX`](super::LINE_BYTES_MAX), and the first of them.
    pub long: Seen,
    /// Lines that are not UTF-8, and the first of them.
    pub not_utf8: Seen,
    /// Lines with NUL bytes, and the first of them.
    pub nul: Seen,
    /// Lines with more than one record, and the first of them.
    pub shared: Seen,
    /// Records without a time.
    pub untimed: u64,
    /// How the times with a date run.
    pub dated: Times,
    /// How the times without a date run.
    pub undated: Times,
    /// Whether the first line seems to have lost its beginning.
    pub first_is_cut: bool,
    /// Whether the last line has no end, or is only the beginning of something.
    pub last_is_cut: bool,
    /// Why the file could not be unpacked to its end, and after which line.
    pub broken: Option<(u64, String)>,
    /// Records in minutes beyond the two weeks that [`Summary::activity`] tells apart.
    pub minutes_lost: u64,
    records: [u64; Form::ALL.len()],
    activity: BTreeMap<Minute, Activity>,
    current: Option<(Minute, Activity)>,
}

/// How many lines have something, and where the first one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// How many.
    pub count: u64,
    /// The first.
    pub first: Option<Position>,
}

/// A line that was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Where it is.
    pub position: Position,
    /// Its beginning: no control characters, no long words.
    pub excerpt: String,
}

/// A minute: of the epoch, or, without a date, since the midnight before the first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute {
    /// Whether it has a date.
    pub has_date: bool,
    /// Its number.
    pub number: i64,
}

/// How many records of a minute are whose, events or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity([u32; ORIGINS]);

const ORIGINS: usize = 6;

impl Activity {
    /// How many are of this origin.
    #[must_use]
    pub fn of(&self, origin: Origin) -> u32 {
        self.0[origin as usize]
    }
}

impl Summary {
    /// How many records came in this form.
    #[must_use]
    pub fn records(&self, form: Form) -> u64 {
        self.records[form as usize]
    }

    /// How many records there are.
    #[must_use]
    pub fn records_total(&self) -> u64 {
        self.records.iter().sum()
    }

    /// Who spoke how often in which minute, events or not.
    pub fn activity(&self) -> impl Iterator<Item = (Minute, Activity)> + '_ {
        self.activity.iter().map(|(minute, activity)| (*minute, *activity))
    }

    pub(super) fn record(
        &mut self,
        form: Form,
        origin: Origin,
        at: Option<When>,
        position: Position,
    ) {
        self.records[form as usize] += 1;
        let Some(at) = at else {
            self.untimed += 1;
            return;
        };
        let times = if at.has_date() { &mut self.dated } else { &mut self.undated };
        times.see(at, position);
        let number = at.nanoseconds().div_euclid(MINUTE);
        let minute = Minute { has_date: at.has_date(), number };
        match &mut self.current {
            Some((current, activity)) if *current == minute => activity.0[origin as usize] += 1,
            _ => {
                self.settle();
                let mut activity = Activity::default();
                activity.0[origin as usize] = 1;
                self.current = Some((minute, activity));
            }
        }
    }

    /// Adds the minute that is being counted to the others.
    pub(super) fn settle(&mut self) {
        let Some((minute, activity)) = self.current.take() else { return };
        if self.activity.len() == MINUTES_MAX && !self.activity.contains_key(&minute) {
            self.minutes_lost += activity.0.iter().map(|count| u64::from(*count)).sum::<u64>();
            return;
        }
        let sum = self.activity.entry(minute).or_default();
        sum.0.iter_mut().zip(activity.0).for_each(|(sum, more)| *sum = sum.saturating_add(more));
    }

    pub(super) fn not_understood(&mut self, position: Position, line: &[u8]) {
        self.not_understood += 1;
        if self.examples.len() < EXAMPLES_KEPT {
            self.examples.push(Example { position, excerpt: excerpt(line) });
        }
    }
}

impl Seen {
    pub(super) fn at(&mut self, position: Position) {
        self.count += 1;
        self.first.get_or_insert(position);
    }
}

/// The beginning of a line, safe for a terminal, and without what could be a secret.
fn excerpt(line: &[u8]) -> String {
    // Of what is cut anyway no more than could be shown: a character has at most four bytes.
    let begin = &line[..line.len().min(EXCERPT_CHARS_MAX * 8)];
    let text = String::from_utf8_lossy(begin);
    let mut shown = String::new();
    for piece in text.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
        let word = piece.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        match word.len() < SECRET_CHARS_MIN {
            true => shown.push_str(word),
            false => shown.extend(word.chars().take(4).chain(['…'])),
        }
        shown.extend(
            piece[word.len()..].chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }),
        );
    }
    match shown.char_indices().nth(EXCERPT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_and_safe() {
        for (line, wanted) in [
            ("plain text", "plain text".to_owned()),
            ("a\u{7}b\t\u{1b}[31m", "a\u{fffd}b\u{fffd}\u{fffd}[31m".to_owned()),
            ("token=sk_live_0123456789abcdef!", "token=sk_l…!".to_owned()),
            (&"ab ".repeat(40), format!("{}…", "ab ".repeat(20))),
        ] {
            assert_eq!(excerpt(line.as_bytes()), wanted);
        }
        assert_eq!(excerpt(b"\xff\xfeab"), "\u{fffd}\u{fffd}ab");
    }
}
