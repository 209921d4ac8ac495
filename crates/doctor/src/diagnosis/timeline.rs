//! What happened, line by line, with what repeats folded into one.

use crate::logs::{Name, Position};

use super::sight::{Nature, Sight};

/// What follows its like within this long is the same entry.
const GAP: i64 = 60_000_000_000;
/// Entries of an incident. Beyond, what happens again is folded into the last of its kind, wherever that stands.
const ENTRIES_MAX: usize = 64;

/// One thing, perhaps many times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub(crate) sight: Sight,
    /// Of which machine. Empty: no line said.
    pub machine: Name,
    /// How often.
    pub count: u64,
    /// When first, in nanoseconds as [`crate::logs::When::nanoseconds`] has them.
    pub first: i64,
    /// When last.
    pub last: i64,
    /// Where the first of them stands.
    pub position: Position,
}

impl Entry {
    /// What happened: lowercase, no full stop.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.sight.phrase()
    }
}

/// The entries in the order in which they began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timeline {
    entries: Vec<Entry>,
}

impl Timeline {
    pub(crate) fn see(&mut self, sight: Sight, machine: Name, at: i64, position: Position) {
        if sight.nature() == Nature::Traffic {
            return;
        }
        let is_full = self.entries.len() >= ENTRIES_MAX;
        let same = self.entries.iter_mut().rev().find(|entry| {
            entry.sight == sight
                && (entry.machine == machine || is_full)
                && (is_full || (at - entry.last).abs() <= GAP)
        });
        if let Some(entry) = same {
            entry.count += 1;
            entry.first = entry.first.min(at);
            entry.last = entry.last.max(at);
        } else if self.entries.len() < 2 * ENTRIES_MAX {
            // Kinds are few: this leaves room for the first of each when the rest is full.
            self.entries.push(Entry { sight, machine, count: 1, first: at, last: at, position });
        }
    }

    /// When something was seen last.
    pub(crate) fn last(&self, sight: Sight, machine: Name) -> Option<i64> {
        let is_same = |entry: &&Entry| entry.sight == sight && entry.machine == machine;
        self.entries.iter().rev().find(is_same).map(|entry| entry.last)
    }

    /// The entries, first things first.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut entries = self.entries.clone();
        entries.sort_by_key(|entry| (entry.first, entry.position));
        entries
    }
}
