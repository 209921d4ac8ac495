//! Times as logs write them, read with as little work as a gigabyte asks for: most lines repeat the second of the last.

use super::when::{Precision, When, Zone};

const SECOND: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;
/// `2026-11-24T08:15:00`.
const DATED_BYTES: usize = 19;
/// `08:15:00`.
const UNDATED_BYTES: usize = 8;

/// Reads times, line after line of one file.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The last dated text, and the seconds since the epoch that it stands for.
    text: [u8; DATED_BYTES],
    seconds: i64,
    /// Seconds of the last time without a date, from the midnight before the first one.
    undated: Option<i64>,
}

/// A time at the beginning of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stamp {
    pub(super) at: When,
    /// How many bytes it takes.
    pub(super) length: usize,
}

impl Clock {
    /// The time that a line begins with: RFC 3339, the same with a blank or without a zone, or `08:15:00` alone; fractions
    /// as they come.
    pub(super) fn read(&mut self, line: &[u8]) -> Option<Stamp> {
        match line.get(2)? {
            b':' => self.undated(line),
            _ if line.get(4) == Some(&b'-') => self.dated(line),
            _ => None,
        }
    }

    fn dated(&mut self, line: &[u8]) -> Option<Stamp> {
        let text = line.first_chunk::<DATED_BYTES>()?;
        if *text != self.text {
            self.seconds = seconds(text)?;
            self.text = *text;
        }
        let (fraction, precision, length) = fraction(line, DATED_BYTES)?;
        let (offset, zone, length) = offset(line, length);
        let at = (self.seconds - offset) * SECOND + fraction;
        Some(Stamp { at: When::dated(at, precision, zone), length })
    }

    fn undated(&mut self, line: &[u8]) -> Option<Stamp> {
        let of_day = time_of_day(line.first_chunk::<UNDATED_BYTES>()?)?;
        let (fraction, precision, length) = fraction(line, UNDATED_BYTES)?;
        let seconds = match self.undated {
            None => of_day,
            Some(last) => nearest(last, of_day),
        };
        self.undated = Some(seconds);
        let at = seconds * SECOND + fraction;
        Some(Stamp { at: When::undated(at, precision, Zone::Assumed), length })
    }
}

/// The time of some day that is at most half a day away from the last one.
fn nearest(last: i64, of_day: i64) -> i64 {
    let same_day = last.div_euclid(DAY_SECONDS) * DAY_SECONDS + of_day;
    match same_day - last {
        ahead if ahead > DAY_SECONDS / 2 => same_day - DAY_SECONDS,
        ahead if ahead < -DAY_SECONDS / 2 => same_day + DAY_SECONDS,
        _ => same_day,
    }
}

/// Seconds since the epoch.
fn seconds(text: &[u8; DATED_BYTES]) -> Option<i64> {
    let is_separated = text[4] == b'-' && text[7] == b'-' && matches!(text[10], b'T' | b' ');
    let year = two(text, 0)? * 100 + two(text, 2)?;
    let (month, day) = (two(text, 5)?, two(text, 8)?);
    let is_date =
        (1970..2200).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_separated || !is_date {
        return None;
    }
    let of_day = time_of_day(text.last_chunk().expect("19 bytes"))?;
    Some(days(year, month, day) * DAY_SECONDS + of_day)
}

/// Days since the epoch in the Gregorian calendar, the year taken to begin in March so that its last day is the odd one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

fn time_of_day(text: &[u8; UNDATED_BYTES]) -> Option<i64> {
    let (hour, minute, second) = (two(text, 0)?, two(text, 3)?, two(text, 6)?);
    let is_time = text[2] == b':' && text[5] == b':' && hour < 24 && minute < 60 && second <= 60;
    is_time.then_some(hour * 3_600 + minute * 60 + second)
}

fn two(text: &[u8], at: usize) -> Option<i64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    Some(digit(text[at])? * 10 + digit(text[at + 1])?)
}

/// The nanoseconds behind a point, how finely they are written, and where they end. Digits beyond the ninth are dropped.
fn fraction(line: &[u8], from: usize) -> Option<(i64, Precision, usize)> {
    if line.get(from) != Some(&b'.') {
        return Some((0, Precision::Seconds, from));
    }
    let digits = line[from + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (mut nanoseconds, mut scale) = (0, SECOND);
    for digit in &line[from + 1..from + 1 + digits.min(9)] {
        scale /= 10;
        nanoseconds += i64::from(digit - b'0') * scale;
    }
    let precision = if digits <= 3 { Precision::Milliseconds } else { Precision::Finer };
    (digits > 0).then_some((nanoseconds, precision, from + 1 + digits))
}

/// The seconds that a zone is ahead of UTC, whether one is written, and where it ends.
fn offset(line: &[u8], from: usize) -> (i64, Zone, usize) {
    let none = (0, Zone::Assumed, from);
    match line.get(from) {
        Some(b'Z') => (0, Zone::Written, from + 1),
        Some(sign @ (b'+' | b'-')) => {
            let Some(text) = line[from + 1..].first_chunk::<5>() else { return none };
            let (Some(hours), Some(minutes), b':') = (two(text, 0), two(text, 3), text[2]) else {
                return none;
            };
            let ahead = hours * 3_600 + minutes * 60;
            (if *sign == b'-' { -ahead } else { ahead }, Zone::Written, from + 6)
        }
        _ => none,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-05-31T03:04:38Z.
    const AT: i64 = 1_780_196_678;

    #[test]
    fn times_are_read_in_every_form() {
        use {Precision::*, Zone::*};
        for (text, nanoseconds, precision, zone, rest) in [
            ("2026-05-31T03:04:38Z app", 0, Seconds, Written, " app"),
            ("2026-05-31T03:04:38.378 app", 378_000_000, Milliseconds, Assumed, " app"),
            ("2026-05-31 03:04:38.880\t", 880_000_000, Milliseconds, Assumed, "\t"),
            ("2026-05-31T03:04:38.123456789Z", 123_456_789, Finer, Written, ""),
            ("2026-05-31T03:04:38.1234567891Z", 123_456_789, Finer, Written, ""),
            ("2026-05-31T06:04:38+03:00 x", 0, Seconds, Written, " x"),
            ("2026-05-30T23:34:38-03:30", 0, Seconds, Written, ""),
            ("2026-05-31T03:04:38+0x", 0, Seconds, Assumed, "+0x"),
        ] {
            let stamp = Clock::default().read(text.as_bytes()).expect(text);
            let at = When::dated(AT * SECOND + nanoseconds, precision, zone);
            assert_eq!((stamp.at, &text[stamp.length..]), (at, rest), "{text}");
        }
        for text in [
            "2026-13-31T03:04:38Z",
            "2026-05-31T24:04:38Z",
            "2026-05-31T03:04",
            "2026-05-31T03:04:38.",
            "2026/05/31 03:04:38",
            "0000-00-00T00:00:00Z",
            "1:22:33",
            "",
        ] {
            assert_eq!(Clock::default().read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (text, day) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00Z", 11_016),
            ("2000-03-01T00:00:00Z", 11_017),
            ("2100-03-01T00:00:00Z", 47_541),
        ] {
            let stamp = Clock::default().read(text.as_bytes()).expect(text);
            assert_eq!(stamp.at.nanoseconds(), day * DAY_SECONDS * SECOND, "{text}");
        }
    }

    #[test]
    fn times_without_a_date_pass_midnight_both_ways() {
        let mut clock = Clock::default();
        let mut read =
            |text: &str| clock.read(text.as_bytes()).expect("a time").at.nanoseconds() / SECOND;
        assert_eq!(read("23:59:58 [error]"), DAY_SECONDS - 2);
        assert_eq!(read("00:00:01.250"), DAY_SECONDS + 1);
        assert_eq!(read("11:00:00"), DAY_SECONDS + 11 * 3_600);
        assert_eq!(read("00:00:01"), DAY_SECONDS + 1);
        assert_eq!(read("23:59:58"), DAY_SECONDS - 2);
    }
}
