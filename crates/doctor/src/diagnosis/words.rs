//! Numbers as people say them.

use std::time::Duration;

/// `75 ms`, `8.2 s`, `3 min 7 s`, `2 h 5 min`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 if span.subsec_millis() > 0 || span.is_zero() => format!("{} ms", span.as_millis()),
        0 => "less than 1 ms".to_owned(),
        1..20 if span.subsec_millis() >= 50 => format!("{:.1} s", span.as_secs_f64()),
        1..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        _ => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    }
}

/// Between two times in nanoseconds; what goes backwards is no time.
pub(crate) fn between(from: i64, to: i64) -> Duration {
    Duration::from_nanos(u64::try_from(to.saturating_sub(from)).unwrap_or(0))
}

/// `once`, `twice`, `3 times`.
pub(crate) fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{count} times"),
    }
}

/// ` for 3 min 7 s`, or nothing where it was a moment.
pub(crate) fn lasting(from: i64, to: i64) -> String {
    match between(from, to) {
        Duration::ZERO => String::new(),
        lasted => format!(" in {}", span(lasted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_two_units_at_most() {
        for (milliseconds, told) in [
            (0, "0 ms"),
            (75, "75 ms"),
            (1_000, "1 s"),
            (8_170, "8.2 s"),
            (19_960, "20.0 s"),
            (42_500, "42 s"),
            (180_000, "3 min"),
            (187_000, "3 min 7 s"),
            (3_600_000, "1 h"),
            (7_500_000, "2 h 5 min"),
        ] {
            assert_eq!(span(Duration::from_millis(milliseconds)), told);
        }
        assert_eq!(span(Duration::from_nanos(5)), "less than 1 ms");
        assert_eq!(between(5, 3), Duration::ZERO, "nothing lasts less than nothing");
    }
}
