//! What made room in a machine that was full: an exchange that ended, or nothing of the kind.
//!
//! Whoever gets a place after a moment at the limit has it from somebody. If between the two no exchange ended, it was no
//! exchange that had held it.

use std::collections::VecDeque;

/// Exchanges that are remembered; who began before the first of them ended tells nothing.
const ENDED_MAX: usize = 256;

/// The counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Freed {
    /// When exchanges began and ended.
    ended: VecDeque<(i64, i64)>,
    is_partial: bool,
    /// Exchanges that got a place after one had ended that had held one when the machine was full.
    pub(crate) by_ends: u64,
    /// Exchanges that got a place without that.
    pub(crate) by_nothing: u64,
}

impl Freed {
    /// An exchange ended, or was found to be gone: then nobody knows when it began.
    pub(crate) fn ended(&mut self, from: i64, to: i64) {
        if self.ended.len() == ENDED_MAX {
            self.ended.pop_front();
            self.is_partial = true;
        }
        self.ended.push_back((from, to));
    }

    /// An exchange got its place at `at`; the machine was full last at `full`. Times of different lines may differ by
    /// `blur` without meaning it.
    pub(crate) fn began(&mut self, at: i64, full: i64, blur: i64) {
        let is_known = !self.is_partial || self.ended.front().is_some_and(|(_, to)| *to < full);
        if !is_known {
            return;
        }
        // What began after the machine was full has its own place from somebody, and passes it on.
        let made_room = |(from, to): &(i64, i64)| {
            *from <= full + blur && (full - blur..=at + blur).contains(to)
        };
        if self.ended.iter().any(made_room) {
            self.by_ends += 1;
        } else {
            self.by_nothing += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_place_has_been_somebody_s_unless_nobody_left() {
        let mut freed = Freed::default();
        freed.ended(2 * SECOND, 10 * SECOND);
        freed.began(12 * SECOND, 11 * SECOND, SECOND);
        assert_eq!((freed.by_ends, freed.by_nothing), (1, 0), "within the blur");
        freed.began(20 * SECOND, 15 * SECOND, SECOND);
        assert_eq!((freed.by_ends, freed.by_nothing), (1, 1));
        freed.ended(20 * SECOND, 21 * SECOND);
        freed.began(23 * SECOND, 15 * SECOND, SECOND);
        assert_eq!((freed.by_ends, freed.by_nothing), (1, 2), "it only passed its place on");
        for number in 0..2 * ENDED_MAX as i64 {
            freed.ended(0, (100 + number) * SECOND);
        }
        freed.began(60 * SECOND, 50 * SECOND, SECOND);
        assert_eq!((freed.by_ends, freed.by_nothing), (1, 2), "what is forgotten tells nothing");
    }
}
