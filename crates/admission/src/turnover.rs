//! How fast places come free while all are taken: what a wait is estimated by.
//!
//! Only the time in which a service is full counts. An idle night says nothing about how long its exchanges last, and a place
//! that nobody had to wait for has not been freed for anybody.

use std::time::Duration;

use outlast_runtime::clock;

use crate::state::Freed;

/// The weight of the past falls by so much with each place: about the last sixteen count.
const KEPT: f64 = 1.0 - 1.0 / 16.0;

/// The rate of one service.
#[derive(Debug, Default)]
pub(crate) struct Turnover {
    /// Since when all places have been taken, or since when none of them has come free.
    full_since: Option<clock::Instant>,
    /// Places that came free, the older the less.
    places: f64,
    /// In so many seconds, with the same weights.
    seconds: f64,
}

impl Turnover {
    /// The service has changed. To be told after every change; `freed` is a place that came free in it.
    pub(crate) fn changed(&mut self, is_full: bool, freed: Freed) {
        if freed == Freed::Place
            && let Some(since) = self.full_since.take()
        {
            self.places = self.places * KEPT + 1.0;
            self.seconds = self.seconds * KEPT + since.elapsed().as_secs_f64();
        }
        if is_full {
            self.full_since.get_or_insert_with(clock::now);
        } else {
            self.full_since = None;
        }
    }

    /// From one place that comes free to the next; None before the first.
    pub(crate) fn gap(&self) -> Option<Duration> {
        if self.places == 0.0 {
            return None;
        }
        let usual = self.seconds / self.places;
        let pending = self.full_since.map_or(0.0, |since| since.elapsed().as_secs_f64());
        // Nothing has come free for longer than usual: as if it did now.
        let gap = match pending > usual {
            true => (self.seconds + pending) / (self.places + 1.0),
            false => usual,
        };
        Some(Duration::from_secs_f64(gap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn after(turnover: &mut Turnover, seconds: u64, is_full: bool, freed: Freed) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        turnover.changed(is_full, freed);
    }

    fn seconds(turnover: &Turnover) -> u128 {
        (turnover.gap().expect("known").as_millis() + 500) / 1_000
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_not_known_before_a_place_came_free_that_somebody_could_have_waited_for() {
        let mut turnover = Turnover::default();
        after(&mut turnover, 1, false, Freed::Place).await;
        after(&mut turnover, 1, true, Freed::Nothing).await;
        after(&mut turnover, 1, true, Freed::Nothing).await;
        assert_eq!(turnover.gap(), None);
        after(&mut turnover, 1, true, Freed::Place).await;
        assert_eq!(turnover.gap(), Some(2 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_in_which_places_are_free_does_not_count() {
        let mut turnover = Turnover::default();
        for _ in 0..5 {
            after(&mut turnover, 0, true, Freed::Nothing).await;
            after(&mut turnover, 3, false, Freed::Place).await;
            after(&mut turnover, 1_000, false, Freed::Place).await;
        }
        assert_eq!(seconds(&turnover), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn it_follows_what_changes_and_grows_while_nothing_comes_free() {
        let mut turnover = Turnover::default();
        turnover.changed(true, Freed::Nothing);
        for _ in 0..100 {
            after(&mut turnover, 2, true, Freed::Place).await;
        }
        assert_eq!(seconds(&turnover), 2);
        for _ in 0..50 {
            after(&mut turnover, 10, true, Freed::Place).await;
        }
        assert!((9..=10).contains(&seconds(&turnover)), "{:?}", turnover.gap());
        let usual = turnover.gap().expect("known");
        tokio::time::advance(8 * SECOND).await;
        assert_eq!(turnover.gap(), Some(usual), "it is not yet late");
        tokio::time::advance(1_000 * SECOND).await;
        assert!(turnover.gap().expect("known") > 5 * usual);
    }
}
