//! How long to wait before the next attempt, given how many failed in a row.
//!
//! Pure: the caller brings the random number, so a test sees every delay exactly.

use std::time::Duration;

use thiserror::Error;

/// Delays that double from a minimum to a maximum, with jitter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    jitter: f64,
}

/// Why a [`Backoff`] was refused.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum InvalidBackoff {
    /// It would spin.
    #[error("the minimum delay must be above zero")]
    MinIsZero,
    /// The range is empty.
    #[error("the minimum delay ({min:?}) is above the maximum ({max:?})")]
    MinAboveMax {
        /// The minimum asked for.
        min: Duration,
        /// The maximum asked for.
        max: Duration,
    },
    /// A share of the delay lies between nothing and all of it.
    #[error("the jitter must be between 0 and 1, not {0}")]
    Jitter(f64),
}

impl Backoff {
    /// Delays from `min` to `max`; each is shortened at random by at most the share `jitter` (0 to 1) of itself,
    /// so that many who failed together don't come back together.
    ///
    /// # Errors
    /// A minimum of zero, an empty range, and a jitter outside 0 to 1 are refused.
    pub fn try_new(min: Duration, max: Duration, jitter: f64) -> Result<Self, InvalidBackoff> {
        if min.is_zero() {
            return Err(InvalidBackoff::MinIsZero);
        }
        if min > max {
            return Err(InvalidBackoff::MinAboveMax { min, max });
        }
        if !(0.0..=1.0).contains(&jitter) {
            return Err(InvalidBackoff::Jitter(jitter));
        }
        Ok(Self { min, max, jitter })
    }

    /// The delay after `failures` failures in a row: `min` after the first, doubling from there, never outside
    /// `min` to `max`. `random` is any number, all equally likely.
    #[must_use]
    pub fn delay(&self, failures: u32, random: u64) -> Duration {
        let doublings = failures.saturating_sub(1);
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        let whole = self.min.saturating_mul(factor).min(self.max);
        whole.saturating_sub(whole.mul_f64(self.jitter * share(random))).max(self.min)
    }
}

/// A [`Backoff`] and the number of failures in a row.
#[derive(Debug, Clone)]
pub struct Attempts {
    backoff: Backoff,
    failures: u32,
}

impl Attempts {
    /// Nothing has failed yet.
    #[must_use]
    pub fn new(backoff: Backoff) -> Self {
        Self { backoff, failures: 0 }
    }

    /// Counts a failure and tells how long to wait before the next attempt.
    pub fn failed(&mut self, random: u64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.backoff.delay(self.failures, random)
    }

    /// Forgets the failures: it works again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How many attempts failed in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

/// Maps all of `u64` to 0 (included) to 1 (excluded).
fn share(random: u64) -> f64 {
    // The upper 32 bits are plenty, and convert without loss.
    let upper = u32::try_from(random >> 32).expect("32 bits remain");
    f64::from(upper) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(250);
    const MAX: Duration = Duration::from_secs(30);

    fn backoff(jitter: f64) -> Backoff {
        Backoff::try_new(MIN, MAX, jitter).unwrap()
    }

    #[test]
    fn nonsense_is_refused() {
        let zero = Duration::ZERO;
        assert_eq!(Backoff::try_new(zero, MAX, 0.0), Err(InvalidBackoff::MinIsZero));
        assert_eq!(
            Backoff::try_new(MAX, MIN, 0.0),
            Err(InvalidBackoff::MinAboveMax { min: MAX, max: MIN })
        );
        for jitter in [-0.1, 1.1, f64::INFINITY] {
            assert_eq!(Backoff::try_new(MIN, MAX, jitter), Err(InvalidBackoff::Jitter(jitter)));
        }
        assert!(matches!(Backoff::try_new(MIN, MAX, f64::NAN), Err(InvalidBackoff::Jitter(_))));
        assert!(Backoff::try_new(MIN, MIN, 1.0).is_ok());
    }

    #[test]
    fn delays_double_up_to_the_maximum() {
        let mut attempts = Attempts::new(backoff(0.0));
        let delays: Vec<_> = (0..9).map(|_| attempts.failed(u64::MAX).as_millis()).collect();
        assert_eq!(delays, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(attempts.failures(), 9);

        attempts.reset();
        assert_eq!(attempts.failures(), 0);
        assert_eq!(attempts.failed(0), MIN);
    }

    #[test]
    fn no_number_of_failures_overflows() {
        assert_eq!(backoff(0.0).delay(u32::MAX, 0), MAX);
        let long = Backoff::try_new(Duration::MAX, Duration::MAX, 0.0).unwrap();
        assert_eq!(long.delay(33, 0), Duration::MAX);
    }

    #[test]
    fn jitter_shortens_by_at_most_its_share_and_never_below_the_minimum() {
        let backoff = backoff(0.5);
        assert_eq!(backoff.delay(3, 0), Duration::from_secs(1));
        assert_eq!(backoff.delay(3, 1 << 63), Duration::from_millis(750));
        let shortest = backoff.delay(3, u64::MAX);
        assert!((Duration::from_millis(500)..Duration::from_millis(501)).contains(&shortest));
        assert_eq!(backoff.delay(1, u64::MAX), MIN);
        assert_eq!(backoff.delay(99, 1 << 63), Duration::from_millis(22_500));
    }
}
