//! Numbers and names as people say them.

use std::collections::BTreeMap;
use std::time::Duration;

/// `4.2 s`, `31 s`, `8 min`, `3 h 12 min`: as exact as anybody needs it.
pub(super) fn time(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    match seconds {
        0..10 => format!("{:.1} s", Duration::from_millis(milliseconds).as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// `1 place`, `3 places`.
pub(super) fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// The same of a duration.
pub(super) fn lasting(duration: Duration) -> String {
    time(duration.as_millis().try_into().unwrap_or(u64::MAX))
}

/// The word for one, or that for none and for more.
pub(super) fn either<'w>(number: u64, one: &'w str, more: &'w str) -> &'w str {
    if number == 1 { one } else { more }
}

/// `is` or `are`.
pub(super) fn are(number: u64) -> &'static str {
    either(number, "is", "are")
}

/// Names of clients and paths that tell nobody who somebody is.
#[derive(Debug, Default)]
pub(super) struct Names {
    show_private: bool,
    clients: BTreeMap<String, usize>,
}

impl Names {
    pub(super) fn new(show_private: bool) -> Self {
        Self { show_private, clients: BTreeMap::new() }
    }

    /// The same address has the same name in the whole report. Ports are left out: they tell tabs apart, and no people.
    pub(super) fn client(&mut self, address: &str) -> String {
        let host = host(address);
        if self.show_private {
            return host.to_owned();
        }
        let next = self.clients.len() + 1;
        let number = self.clients.entry(host.to_owned()).or_insert(next);
        format!("client-{number}")
    }

    /// A segment that looks like an id is a star: paths of one kind are told together, and nobody's session is shown.
    pub(super) fn path(&self, path: &str) -> String {
        if self.show_private {
            return path.to_owned();
        }
        let segments = path.split('/').map(|segment| if is_id(segment) { "*" } else { segment });
        segments.collect::<Vec<_>>().join("/")
    }
}

/// The address without its port.
pub(super) fn host(address: &str) -> &str {
    match address.rsplit_once(':') {
        Some((host, _)) if host.starts_with('[') || !host.contains(':') => {
            host.trim_start_matches('[').trim_end_matches(']')
        }
        _ => address,
    }
}

/// Long ones, and those with more than one digit.
fn is_id(segment: &str) -> bool {
    segment.len() >= 16 || segment.chars().filter(char::is_ascii_digit).count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_exact_as_anybody_needs() {
        for (milliseconds, text) in [
            (0, "0.0 s"),
            (4_249, "4.2 s"),
            (31_900, "31 s"),
            (119_999, "119 s"),
            (480_000, "8 min"),
            (7_199_999, "119 min"),
            (11_530_000, "3 h 12 min"),
        ] {
            assert_eq!(time(milliseconds), text);
        }
    }

    #[test]
    fn people_are_numbered_in_the_order_in_which_they_are_told_of() {
        let mut names = Names::new(false);
        assert_eq!(names.client("203.0.113.9:4711"), "client-1");
        assert_eq!(names.client("[2001:db8::7]:80"), "client-2");
        assert_eq!(names.client("203.0.113.9:4712"), "client-1");
        assert_eq!(names.path("/api/runs/3f9a77/events"), "/api/runs/*/events");
        assert_eq!(names.path("/v1/chat"), "/v1/chat");
        assert_eq!(names.path("/t/abcdefghijklmnop"), "/t/*");
        let mut open = Names::new(true);
        assert_eq!(open.client("[2001:db8::7]:80"), "2001:db8::7");
        assert_eq!(open.client("2001:db8::7"), "2001:db8::7");
        assert_eq!(open.path("/api/runs/3f9a77/events"), "/api/runs/3f9a77/events");
    }
}
