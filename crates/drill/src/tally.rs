//! What is remembered of streams while they run: their states, the counts, the histograms.
//!
//! Each worker thread has a tally of its own, so that its lock is free whenever it is wanted.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::check::Finding;
use crate::result::{Distribution, FirstRefusal, Summary, VIOLATIONS_MAX, Violation};

/// More changes of state than this are not remembered of one stream: 8 bytes each.
const MOVES_MAX: usize = 1_000;
/// Three digits up to a week in microseconds: 240 KiB.
const DIGITS: u8 = 3;
const WEEK_US: u64 = 7 * 24 * 60 * 60 * 1_000_000;
/// Reasons that are told apart.
const REASONS_MAX: usize = 100;

/// Where a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Connecting,
    Waiting,
    Streaming,
    Silent,
    Asleep,
    /// Never heard of again; its socket is still open.
    Vanished,
    Refused,
    TurnedAway,
    Broken,
    /// Over, in order.
    Over,
}

impl State {
    /// Those that are shown, the more worrying the later.
    pub(crate) const SHOWN: [Self; 9] = [
        Self::Connecting,
        Self::Waiting,
        Self::Streaming,
        Self::Silent,
        Self::Asleep,
        Self::Vanished,
        Self::Refused,
        Self::TurnedAway,
        Self::Broken,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Waiting => "waiting for an answer",
            Self::Streaming => "streaming",
            Self::Silent => "open, silent",
            Self::Asleep => "asleep",
            Self::Vanished => "vanished",
            Self::Refused => "refused, will click again",
            Self::TurnedAway => "turned away",
            Self::Broken => "broken off or failed",
            Self::Over => "over",
        }
    }

    /// Whether nothing more will happen to the stream.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Vanished | Self::TurnedAway | Self::Broken | Self::Over)
    }
}

/// The one way a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Completed,
    TurnedAway,
    /// Broken off, with what the connection said. None: it looked whole.
    Truncated(Option<String>),
    Failed(String),
    Left,
    Vanished,
}

/// One stream's way through its states.
#[derive(Debug, Clone, Default)]
pub(crate) struct Track {
    /// Which of all streams it is, from 0.
    pub(crate) number: usize,
    pub(crate) planned_ms: u32,
    /// When it was to end.
    pub(crate) until_ms: u32,
    /// When it entered each state.
    pub(crate) moves: Vec<(u32, State)>,
    /// 0: no byte yet.
    last_byte_us: u64,
}

impl Track {
    pub(crate) fn new(number: usize, at: Duration, length: Duration) -> Self {
        let (planned_ms, until_ms) = (milliseconds(at), milliseconds(at + length));
        Self { number, planned_ms, until_ms, moves: Vec::new(), last_byte_us: 0 }
    }

    pub(crate) fn state(&self) -> Option<State> {
        self.moves.last().map(|(_, state)| *state)
    }

    fn enter(&mut self, at_us: u64, state: State) {
        let at = milliseconds(Duration::from_micros(at_us));
        if self.moves.len() < MOVES_MAX {
            self.moves.push((at, state));
        } else if let Some(last) = self.moves.last_mut() {
            *last = (at, state);
        }
    }

    /// Says afterwards that it was silent, once it has been for long enough.
    fn note_silence(&mut self, now_us: u64, silent_us: u64) {
        let is_silent = self.state() == Some(State::Streaming)
            && self.last_byte_us > 0
            && now_us.saturating_sub(self.last_byte_us) >= silent_us;
        if is_silent {
            self.enter(self.last_byte_us + silent_us, State::Silent);
        }
    }
}

/// Saturates after 49 days.
pub(crate) fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// What one worker thread has seen.
pub(crate) struct Tally {
    pub(crate) tracks: Vec<Track>,
    pub(crate) summary: Summary,
    pub(crate) first_byte: Histogram<u64>,
    pub(crate) gap: Histogram<u64>,
    pub(crate) duration: Histogram<u64>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) errors: BTreeMap<String, u64>,
    /// When an answer was a refusal, in milliseconds.
    pub(crate) refusals: Vec<u32>,
    pub(crate) first_refusal: Option<FirstRefusal>,
    pub(crate) starved: u64,
    /// How late planned starts were, in microseconds.
    pub(crate) start_lag: Histogram<u64>,
    silent_us: u64,
}

pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, WEEK_US, DIGITS).expect("the bounds are in order")
}

impl Tally {
    /// `silent`: a stream without a byte for so long is silent.
    pub(crate) fn new(tracks: Vec<Track>, silent: Duration) -> Self {
        Self {
            tracks,
            summary: Summary::default(),
            first_byte: histogram(),
            gap: histogram(),
            duration: histogram(),
            violations: Vec::new(),
            errors: BTreeMap::new(),
            refusals: Vec::new(),
            first_refusal: None,
            starved: 0,
            start_lag: histogram(),
            silent_us: microseconds(silent).max(1),
        }
    }

    pub(crate) fn enter(&mut self, index: usize, at_us: u64, state: State) {
        let track = &mut self.tracks[index];
        track.note_silence(at_us, self.silent_us);
        track.enter(at_us, state);
    }

    /// Bytes of a body came.
    pub(crate) fn heard(&mut self, index: usize, at_us: u64, bytes: usize) {
        let track = &mut self.tracks[index];
        self.summary.chunks += 1;
        self.summary.bytes += bytes as u64;
        if track.last_byte_us > 0 {
            self.gap.saturating_record(at_us.saturating_sub(track.last_byte_us));
            track.note_silence(at_us, self.silent_us);
        }
        track.last_byte_us = at_us.max(1);
        if track.state() != Some(State::Streaming) {
            track.enter(at_us, State::Streaming);
        }
    }

    /// A connection ended: the time to the next one's bytes is no gap between two reads.
    pub(crate) fn disconnected(&mut self, index: usize) {
        self.tracks[index].last_byte_us = 0;
    }

    pub(crate) fn refused(&mut self, index: usize, at_us: u64, open: u64) {
        let at_ms = milliseconds(Duration::from_micros(at_us));
        self.summary.refused += 1;
        self.refusals.push(at_ms);
        let stream = self.tracks[index].number as u64 + 1;
        let first = FirstRefusal { at_ms: u64::from(at_ms), open, stream };
        self.first_refusal.get_or_insert(first);
    }

    /// Keeps the first violations and counts all.
    pub(crate) fn violated(&mut self, stream: &str, at_us: u64, findings: Vec<Finding>) {
        for finding in findings {
            self.summary.count(finding.flaw);
            if self.violations.len() < VIOLATIONS_MAX {
                self.violations.push(Violation {
                    flaw: finding.flaw,
                    stream: stream.to_owned(),
                    at_ms: at_us / 1_000,
                    offset: finding.offset,
                    detail: finding.detail,
                });
            }
        }
    }

    pub(crate) fn ended(&mut self, index: usize, at_us: u64, outcome: Outcome) {
        let planned_us = u64::from(self.tracks[index].planned_ms) * 1_000;
        let state = match &outcome {
            Outcome::Completed => {
                self.summary.completed += 1;
                self.duration.saturating_record(at_us.saturating_sub(planned_us));
                State::Over
            }
            Outcome::Left => {
                self.summary.left += 1;
                State::Over
            }
            Outcome::Vanished => {
                self.summary.left += 1;
                State::Vanished
            }
            Outcome::TurnedAway => {
                self.summary.turned_away += 1;
                State::TurnedAway
            }
            Outcome::Truncated(_) => {
                self.summary.truncated += 1;
                State::Broken
            }
            Outcome::Failed(_) => {
                self.summary.failed += 1;
                State::Broken
            }
        };
        if let Outcome::Truncated(Some(reason)) | Outcome::Failed(reason) = outcome {
            self.complain(reason);
        }
        self.enter(index, at_us, state);
    }

    pub(crate) fn complain(&mut self, reason: String) {
        let is_room = self.errors.len() < REASONS_MAX || self.errors.contains_key(&reason);
        let reason = if is_room { reason } else { "other reasons".to_owned() };
        *self.errors.entry(reason).or_default() += 1;
    }

    /// The drill is over: what is not at its end is stuck.
    pub(crate) fn close(&mut self, at_us: u64) {
        for track in &mut self.tracks {
            track.note_silence(at_us, self.silent_us);
            let is_open = track.state().is_some_and(|state| !state.is_final());
            self.summary.stuck += u64::from(is_open);
        }
    }

    /// Adds what another thread has seen.
    pub(crate) fn merge(&mut self, other: Self) {
        self.tracks.extend(other.tracks);
        add(&mut self.summary, &other.summary);
        let pairs = [
            (&mut self.first_byte, other.first_byte),
            (&mut self.gap, other.gap),
            (&mut self.duration, other.duration),
            (&mut self.start_lag, other.start_lag),
        ];
        for (mine, theirs) in pairs {
            mine.add(theirs).expect("both have the same bounds");
        }
        self.violations.extend(other.violations);
        self.violations.sort_by_key(|violation| violation.at_ms);
        self.violations.truncate(VIOLATIONS_MAX);
        for (reason, count) in other.errors {
            *self.errors.entry(reason).or_default() += count;
        }
        self.refusals.extend(other.refusals);
        let firsts = [self.first_refusal, other.first_refusal];
        self.first_refusal = firsts.into_iter().flatten().min_by_key(|first| first.at_ms);
        self.starved += other.starved;
    }
}

fn add(sum: &mut Summary, other: &Summary) {
    let pairs = [
        (&mut sum.started, other.started),
        (&mut sum.completed, other.completed),
        (&mut sum.refused, other.refused),
        (&mut sum.turned_away, other.turned_away),
        (&mut sum.truncated, other.truncated),
        (&mut sum.failed, other.failed),
        (&mut sum.stuck, other.stuck),
        (&mut sum.left, other.left),
        (&mut sum.resumed, other.resumed),
        (&mut sum.chunks, other.chunks),
        (&mut sum.bytes, other.bytes),
        (&mut sum.lost, other.lost),
        (&mut sum.doubled, other.doubled),
        (&mut sum.reordered, other.reordered),
        (&mut sum.foreign, other.foreign),
        (&mut sum.corrupt, other.corrupt),
        (&mut sum.false_ends, other.false_ends),
    ];
    for (mine, theirs) in pairs {
        *mine += theirs;
    }
}

/// Saturates after half a million years.
pub(crate) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Writes a histogram down.
pub(crate) fn distribution(histogram: &Histogram<u64>) -> Distribution {
    if histogram.is_empty() {
        return Distribution::default();
    }
    // From a tenth of a millisecond, each bucket a third wider.
    let values = histogram.iter_log(100, 4.0 / 3.0);
    let buckets =
        values.map(|value| (value.value_iterated_to(), value.count_since_last_iteration()));
    Distribution {
        count: histogram.len(),
        min_us: histogram.min(),
        mean_us: histogram.mean(),
        p50_us: histogram.value_at_quantile(0.5),
        p90_us: histogram.value_at_quantile(0.9),
        p99_us: histogram.value_at_quantile(0.99),
        p999_us: histogram.value_at_quantile(0.999),
        max_us: histogram.max(),
        buckets: buckets.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Flaw;

    const SILENT: Duration = Duration::from_secs(5);

    fn tally(count: usize) -> Tally {
        let track = Track::new(0, Duration::from_secs(1), Duration::from_secs(10));
        Tally::new(vec![track; count], SILENT)
    }

    #[test]
    fn silence_is_noted_when_it_began() {
        let mut tally = tally(1);
        tally.enter(0, 1_000_000, State::Connecting);
        for second in [2, 3, 9] {
            tally.heard(0, second * 1_000_000, 10);
        }
        tally.ended(0, 10_000_000, Outcome::Completed);
        let want = [
            (1_000, State::Connecting),
            (2_000, State::Streaming),
            (8_000, State::Silent),
            (9_000, State::Streaming),
            (10_000, State::Over),
        ];
        assert_eq!(tally.tracks[0].moves, want);
        assert_eq!((tally.gap.len(), tally.summary.chunks, tally.summary.bytes), (2, 3, 30));
        let duration = distribution(&tally.duration);
        assert!((8_990_000..9_010_000).contains(&duration.p50_us), "{duration:?}");
    }

    #[test]
    fn what_has_not_ended_is_stuck() {
        let mut tally = tally(3);
        tally.enter(0, 1, State::Waiting);
        tally.ended(1, 1, Outcome::TurnedAway);
        tally.close(60_000_000);
        assert_eq!(
            (tally.summary.stuck, tally.summary.turned_away),
            (1, 1),
            "the third is to come"
        );
    }

    #[test]
    fn two_threads_tell_one_story() {
        let (mut one, mut two) = (tally(1), tally(1));
        one.refused(0, 9_000, 25);
        two.refused(0, 4_000, 24);
        two.ended(0, 5_000, Outcome::Failed("status 500".to_owned()));
        let finding = Finding { flaw: Flaw::Lost, offset: 7, detail: String::new() };
        two.violated("drill-1", 5_000, vec![finding]);
        one.merge(two);
        assert_eq!(one.first_refusal.map(|first| first.open), Some(24));
        assert_eq!((one.summary.refused, one.summary.failed, one.summary.lost), (2, 1, 1));
        assert_eq!((one.tracks.len(), one.violations.len(), one.errors["status 500"]), (2, 1, 1));
    }
}
