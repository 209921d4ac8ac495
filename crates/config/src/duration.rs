//! Durations as people write them, `30s` or `1m30s`, and as Go prints them.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// A number was expected.
    #[error("a number is missing")]
    NoNumber,
    /// A number without a unit, other than `0`.
    #[error("a unit is missing")]
    NoUnit,
    /// The unit is none of `h`, `m`, `s`, `ms`, `us`, `ns`.
    #[error("the unit is unknown")]
    UnknownUnit,
    /// It is below zero.
    #[error("it is negative")]
    Negative,
    /// It is longer than 292 years, or finer than can be counted.
    #[error("it is too long")]
    TooLong,
}

/// Reads a duration: decimal numbers, each with its unit, such as `30s`, `250ms`, `1m30s`, `1.5h`; `0` needs no unit.
///
/// # Errors
/// When the text is something else, is negative, or exceeds 292 years.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let nanoseconds = parse_go(text)?;
    u64::try_from(nanoseconds).map(Duration::from_nanos).map_err(|_| DurationError::Negative)
}

/// Writes a duration the way it is read: `1m30s`, `250ms`, `0s`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let mut text = String::new();
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let nanoseconds = duration.subsec_nanos();
    let fine = [
        (nanoseconds / 1_000_000, "ms"),
        (nanoseconds / 1000 % 1000, "us"),
        (nanoseconds % 1000, "ns"),
    ];
    let fine = fine.map(|(count, unit)| (u64::from(count), unit));
    for (count, unit) in parts.into_iter().chain(fine) {
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Reads what Go's `time.ParseDuration` reads, in nanoseconds: the same, and a sign.
pub(crate) fn parse_go(text: &str) -> Result<i64, DurationError> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1 } else { 1 };
    match unsigned {
        "" => return Err(DurationError::Empty),
        "0" => return Ok(0),
        _ => {}
    }
    let mut rest = unsigned;
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let units = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(units);
        total += part(number, unit_nanoseconds(number, unit)?)?;
        if total > i128::from(i64::MAX) {
            return Err(DurationError::TooLong);
        }
        rest = next;
    }
    i64::try_from(total * sign).map_err(|_| DurationError::TooLong)
}

fn unit_nanoseconds(number: &str, unit: &str) -> Result<i128, DurationError> {
    match unit {
        _ if number.is_empty() => Err(DurationError::NoNumber),
        "ns" => Ok(1),
        "us" | "µs" | "μs" => Ok(1000),
        "ms" => Ok(1_000_000),
        "s" => Ok(1_000_000_000),
        "m" => Ok(60_000_000_000),
        "h" => Ok(3_600_000_000_000),
        "" => Err(DurationError::NoUnit),
        _ => Err(DurationError::UnknownUnit),
    }
}

/// One number with its unit. Digits beyond the nanosecond are dropped.
fn part(number: &str, unit: i128) -> Result<i128, DurationError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(DurationError::NoNumber);
    }
    // Nineteen digits exceed the longest duration in its finest unit.
    let whole = whole.trim_start_matches('0');
    if whole.len() > 19 {
        return Err(DurationError::TooLong);
    }
    let whole: i128 = if whole.is_empty() { 0 } else { digits(whole)? };
    let fraction = &fraction[..fraction.len().min(15)];
    let scale = 10_i128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    let fraction = if fraction.is_empty() { 0 } else { digits(fraction)? };
    Ok(whole * unit + fraction * unit / scale)
}

fn digits(text: &str) -> Result<i128, DurationError> {
    text.parse().map_err(|_| DurationError::NoNumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        let table: &[(&str, Result<u64, DurationError>)] = &[
            ("30s", Ok(30_000)),
            ("5m", Ok(300_000)),
            ("250ms", Ok(250)),
            ("0s", Ok(0)),
            ("0", Ok(0)),
            ("1m30s", Ok(90_000)),
            ("1m21s", Ok(81_000)),
            ("1.5h", Ok(5_400_000)),
            (".5s", Ok(500)),
            ("1.s", Ok(1000)),
            ("+3s", Ok(3000)),
            ("1000us", Ok(1)),
            ("1000µs", Ok(1)),
            ("", Err(DurationError::Empty)),
            ("-", Err(DurationError::Empty)),
            ("30", Err(DurationError::NoUnit)),
            ("1m30", Err(DurationError::NoUnit)),
            ("s", Err(DurationError::NoNumber)),
            (".s", Err(DurationError::NoNumber)),
            ("1.2.3s", Err(DurationError::NoNumber)),
            ("30 s", Err(DurationError::UnknownUnit)),
            ("30sec", Err(DurationError::UnknownUnit)),
            ("2d", Err(DurationError::UnknownUnit)),
            ("off", Err(DurationError::NoNumber)),
            ("-3s", Err(DurationError::Negative)),
            ("2562048h", Err(DurationError::TooLong)),
            ("99999999999999999999999999s", Err(DurationError::TooLong)),
        ];
        for (text, want) in table {
            let want = want.map(Duration::from_millis);
            assert_eq!(parse_duration(text), want, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(nanoseconds in 0..i64::MAX.unsigned_abs()) {
            let duration = Duration::from_nanos(nanoseconds);
            proptest::prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9.a-zµ ]{0,40}|.*") {
            let _unused = parse_go(&text);
        }
    }
}
