//! Durations as a person reads them in a log.

use std::time::Duration;

/// Three significant digits below a minute, whole seconds up to an hour, whole minutes beyond: `2.6ms`, `655ms`, `12.3s`,
/// `3m51s`, `2h5m`.
pub(crate) fn rounded(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1_000.0;
    // What would be rounded up to the next unit is told in that one.
    if milliseconds < 999.5 {
        return format!("{}ms", three_digits(milliseconds));
    }
    if milliseconds < 59_950.0 {
        return format!("{}s", three_digits(milliseconds / 1_000.0));
    }
    let seconds = (duration + Duration::from_millis(500)).as_secs();
    match seconds / 60 {
        minutes @ ..60 => format!("{minutes}m{}s", seconds % 60),
        minutes => format!("{}h{}m", minutes / 60, minutes % 60),
    }
}

/// Of a number below 1,000, without zeros at its end.
fn three_digits(number: f64) -> String {
    let decimals = match number {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => return format!("{number:.0}"),
    };
    format!("{number:.decimals$}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_as_long_as_a_person_wants_them() {
        for (nanoseconds, text) in [
            (0, "0ms"),
            (250_000_000, "250ms"),
            (2_595_160, "2.6ms"),
            (2_515_160, "2.52ms"),
            (9_999_000, "10ms"),
            (99_990_000, "100ms"),
            (654_912_345, "655ms"),
            (999_600_000, "1s"),
            (12_345_678_901, "12.3s"),
            (59_960_000_000, "1m0s"),
            (230_595_791_715, "3m51s"),
            (7_530_000_000_000, "2h5m"),
        ] {
            assert_eq!(rounded(Duration::from_nanos(nanoseconds)), text, "{nanoseconds} ns");
        }
    }
}
