//! Cursors, by which caches between us and many readers collapse their live reads into one (protocol section 10.1).
//!
//! A cursor is the number of the interval of time in which the answer was made. A reader sends it back, so that the next
//! answer has another cache key; where the interval is still the same, the cursor moves on all the same.

use std::time::Duration;

use jiff::Timestamp;

/// What intervals are counted from: 9 October 2024, 00:00:00 UTC.
const EPOCH_SECONDS: i64 = 1_728_432_000;

/// The length of an interval.
const INTERVAL: Duration = Duration::from_secs(20);

/// How far a cursor that is not behind the clock is moved on: 1 s to an hour, as whole intervals.
const JITTER_SECONDS_MAX: u64 = 3_600;

/// The greatest cursor that is taken from a reader: what JavaScript can count.
const CURSOR_MAX: u64 = (1 << 53) - 1;

/// The cursor of an answer made `now` to a reader who sent `sent`; always greater than that. `random` chooses the jitter.
pub(crate) fn next(now: Timestamp, sent: Option<u64>, random: u64) -> u64 {
    let seconds = u64::try_from(now.as_second() - EPOCH_SECONDS).unwrap_or(0);
    let current = seconds / INTERVAL.as_secs();
    match sent {
        Some(sent) if sent >= current => {
            let jitter = 1 + random % JITTER_SECONDS_MAX;
            sent + (jitter / INTERVAL.as_secs()).max(1)
        }
        _ => current,
    }
}

/// The cursor that a reader sent. What is none of ours counts as none: it only chooses a cache key.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|cursor| is_number && *cursor <= CURSOR_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_the_number_of_the_interval() {
        let epoch: Timestamp = "2024-10-09T00:00:00Z".parse().unwrap();
        assert_eq!(next(epoch, None, 0), 0);
        assert_eq!(next(epoch + Duration::from_secs(59), None, 0), 2);
        assert_eq!(next(epoch + Duration::from_secs(59), Some(1), 0), 2, "a reader behind");
        assert_eq!(next(epoch - Duration::from_secs(59), None, 0), 0, "a clock that is wrong");
    }

    proptest! {
        #[test]
        fn it_never_goes_back_nor_stays(second in any::<u32>(), text in "[0-9]{1,20}|.{0,9}", random in any::<u64>()) {
            let now = Timestamp::from_second(i64::from(second)).unwrap();
            let sent = parse(&text);
            let cursor = next(now, sent, random);
            prop_assert!(sent.is_none_or(|sent| cursor > sent));
            prop_assert!(sent.is_none_or(|sent| cursor - sent.min(cursor) <= 180 || sent < cursor - 180));
        }
    }
}
