//! How long a part of an exchange took, in the four bytes that a record has for it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use outlast_runtime::clock;

/// It was not come to.
const NEVER: u32 = u32::MAX;

/// Microseconds, or never. 71 minutes; what takes longer is told as that.
#[derive(Debug)]
pub(crate) struct Lapse(AtomicU32);

impl Lapse {
    pub(crate) const fn never() -> Self {
        Self(AtomicU32::new(NEVER))
    }

    pub(crate) fn set(&self, time: Duration) {
        let microseconds = u32::try_from(time.as_micros()).unwrap_or(NEVER).min(NEVER - 1);
        self.0.store(microseconds, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Option<Duration> {
        let microseconds = self.0.load(Ordering::Relaxed);
        (microseconds != NEVER).then(|| Duration::from_micros(microseconds.into()))
    }

    /// For the log, where never is 0.
    pub(crate) fn milliseconds(&self) -> u32 {
        let microseconds = self.0.load(Ordering::Relaxed);
        if microseconds == NEVER { 0 } else { microseconds / 1_000 }
    }
}

/// An exchange in the queue. Dropping it ends the wait, whatever that one ended in.
#[derive(Debug)]
#[must_use = "dropping it ends the wait"]
pub struct InQueue<'a> {
    told: &'a Lapse,
    since: clock::Instant,
}

impl<'a> InQueue<'a> {
    pub(crate) fn new(told: &'a Lapse) -> Self {
        Self { told, since: clock::now() }
    }
}

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        self.told.set(self.since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_is_not_never() {
        let lapse = Lapse::never();
        assert_eq!((lapse.get(), lapse.milliseconds()), (None, 0));
        for time in [Duration::ZERO, Duration::from_micros(1_900), Duration::from_secs(71 * 60)] {
            lapse.set(time);
            assert_eq!(lapse.get(), Some(time));
        }
        lapse.set(Duration::from_secs(72 * 60));
        assert_eq!(lapse.milliseconds(), 4_294_967);
    }
}
