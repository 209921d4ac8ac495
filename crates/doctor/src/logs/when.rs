//! When a line was written, and how much of that the line itself says.

use std::cmp::Ordering;
use std::time::Duration;

/// A time in a log. Two are comparable only if both have a date or neither has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct When {
    nanoseconds: i64,
    has_date: bool,
    /// How finely it is written.
    pub precision: Precision,
    /// Whether the zone is written.
    pub zone: Zone,
}

/// How finely a time is written: what happened within one such step has no order but that of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// Whole seconds: `fly logs`.
    Seconds,
    /// Milliseconds: the dashboard, Grafana.
    Milliseconds,
    /// Finer: the log stream, and Outlast's JSON.
    Finer,
}

/// Whether a zone is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Zone {
    /// It is, and the time is UTC by it.
    Written,
    /// It is not, and UTC is assumed. The dashboard shows UTC; Grafana the zone of the browser.
    Assumed,
}

impl When {
    /// A time of a line with a date: nanoseconds since the Unix epoch.
    #[must_use]
    pub fn dated(nanoseconds: i64, precision: Precision, zone: Zone) -> Self {
        Self { nanoseconds, has_date: true, precision, zone }
    }

    /// A time of a line without a date: nanoseconds since the midnight before the first line.
    #[must_use]
    pub fn undated(nanoseconds: i64, precision: Precision, zone: Zone) -> Self {
        Self { nanoseconds, has_date: false, precision, zone }
    }

    /// Whether the line has a date.
    #[must_use]
    pub fn has_date(self) -> bool {
        self.has_date
    }

    /// Nanoseconds since the Unix epoch, UTC. Without a date: since the midnight before the first line of the file; from
    /// line to line the nearest day is taken, so that a log that passes midnight goes on.
    #[must_use]
    pub fn nanoseconds(self) -> i64 {
        self.nanoseconds
    }

    /// How long after `earlier` this is; negative spans are `None`, as are those between a time with and one without a date.
    #[must_use]
    pub fn since(self, earlier: Self) -> Option<Duration> {
        let span = self.nanoseconds.checked_sub(earlier.nanoseconds)?;
        let span = (self.has_date == earlier.has_date).then_some(span)?;
        u64::try_from(span).ok().map(Duration::from_nanos)
    }

    /// Which came first; `None` between a time with and one without a date.
    #[must_use]
    pub fn order(self, other: Self) -> Option<Ordering> {
        (self.has_date == other.has_date).then(|| self.nanoseconds.cmp(&other.nanoseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_of_one_kind_compare() {
        let at =
            |seconds: i64| When::dated(seconds * 1_000_000_000, Precision::Seconds, Zone::Written);
        let undated = When::undated(0, Precision::Milliseconds, Zone::Assumed);
        assert_eq!(at(7).since(at(4)), Some(Duration::from_secs(3)));
        assert_eq!(at(4).since(at(7)), None);
        assert_eq!(at(4).order(at(7)), Some(Ordering::Less));
        assert_eq!((at(7).since(undated), at(7).order(undated)), (None, None));
    }
}
