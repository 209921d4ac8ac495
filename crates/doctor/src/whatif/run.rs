//! What one run of a simulation saw.

use std::time::Duration;

/// What one run saw.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Run {
    /// Requests that were sent, first ones and further ones.
    pub(super) attempts: u64,
    /// Users who got what they came for.
    pub(super) served: u64,
    /// Refusals at once, where nobody may wait.
    pub(super) refused_by_limit: u64,
    pub(super) refused_by_full_queue: u64,
    pub(super) refused_by_deadline: u64,
    /// Users who were refused and came no more.
    pub(super) turned_away: u64,
    /// Users who would not wait any longer.
    pub(super) left: u64,
    /// Attempts that waited in the queue.
    pub(super) queued: u64,
    pub(super) queue_max: usize,
    /// From a user's first attempt to its place, of those who had to wait or to try again.
    pub(super) waits: Vec<Duration>,
    /// In the queue, of those who got a place by it.
    pub(super) queue_waits: Vec<Duration>,
    /// Places taken at once, lingering connections included.
    pub(super) peak: usize,
    /// Streams open at once.
    pub(super) peak_open: usize,
    /// The same on the fullest machine.
    pub(super) machine_peak: u32,
    pub(super) machine_peak_open: u32,
    /// How many attempts found so many places taken.
    pub(super) found: Vec<u32>,
    pub(super) first_refusal: Option<FirstRefusal>,
    /// When everything was over.
    pub(super) ended: Duration,
    /// It was given up before its end.
    pub(super) is_cut: bool,
}

/// The first time that somebody had no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstRefusal {
    /// When, from the start.
    pub at: Duration,
    /// How many streams were open then.
    pub open: usize,
}

impl Run {
    pub(super) fn find(&mut self, taken: usize) {
        if self.found.len() <= taken {
            self.found.resize(taken + 1, 0);
        }
        self.found[taken] += 1;
    }

    /// Attempts that came to nothing: refused, or left.
    pub(super) fn lost(&self) -> u64 {
        self.refused() + self.left
    }

    /// Answers that said no.
    pub(super) fn refused(&self) -> u64 {
        self.refused_by_limit + self.refused_by_full_queue + self.refused_by_deadline
    }
}
