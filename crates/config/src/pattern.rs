//! Which paths a route or the reserve is about.

/// A path whose segments may be `*`, which stands for exactly one non-empty segment, and whose last segment may be `**`,
/// which stands for any further segments, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern(pub(crate) String);

impl From<&str> for PathPattern {
    fn from(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }
}

impl PathPattern {
    /// Whether `path` (without query) matches. `%74` is the `t` that every app reads it as; all else is literal.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let (pattern, takes_rest) = self.parts();
        let mut segments = path.split('/');
        let all = pattern.split('/').all(|want| match segments.next() {
            Some(got) => is_within(want, got),
            None => false,
        });
        all && (takes_rest || segments.next().is_none())
    }

    /// Whether it matches whatever the other one does.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let ((wide, takes_rest), (narrow, has_rest)) = (self.parts(), other.parts());
        let mut segments = narrow.split('/');
        let all =
            wide.split('/').all(|want| segments.next().is_some_and(|got| is_within(want, got)));
        all && (takes_rest || (!has_rest && segments.next().is_none()))
    }

    /// The segments before a last `**`, and whether there is one.
    fn parts(&self) -> (&str, bool) {
        match self.0.strip_suffix("/**") {
            Some(pattern) => (pattern, true),
            None => (self.0.as_str(), false),
        }
    }
}

fn is_within(want: &str, got: &str) -> bool {
    want == got || (want == "*" && !got.is_empty()) || is_same_but_encoded(want, got)
}

/// Whether they are the same by RFC 3986, sections 6.2.2.1 and 6.2.2.2.
fn is_same_but_encoded(one: &str, other: &str) -> bool {
    (one.contains('%') || other.contains('%')) && octets(one).eq(octets(other))
}

/// Each octet, and whether it is percent-encoded and has to be: an encoded slash is no slash.
fn octets(segment: &str) -> impl Iterator<Item = (u8, bool)> {
    let mut rest = segment.as_bytes();
    std::iter::from_fn(move || {
        if let [b'%', high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low))
        {
            rest = after;
            let octet = high << 4 | low;
            let is_unreserved = octet.is_ascii_alphanumeric() || b"-._~".contains(&octet);
            return Some((octet, !is_unreserved));
        }
        let (octet, after) = rest.split_first()?;
        rest = after;
        Some((*octet, false))
    })
}

fn hex_digit(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_that_need_no_encoding_match_encoded() {
        let table = [
            ("/lt/tick", "/l%74/tick", true),
            ("/lt/tick", "/%6C%74/%74ick", true),
            ("/lt/tick", "/%6c%74/tick", true),
            ("/l%74/tick", "/lt/tick", true),
            ("/a-b.c_d~0/**", "/a%2Db%2ec%5Fd%7E%30/x", true),
            ("/a/**", "/%61/%2F", true),
            ("/a/*", "/a/%2F", true),
            ("/a%2Fb", "/a%2fb", true),
            ("/caf%C3%A9", "/caf%c3%a9", true),
            ("/a/b", "/a%2Fb", false),
            ("/a%2Fb", "/a/b", false),
            ("/a!", "/a%21", false),
            ("/a", "/a%00", false),
            ("/lt", "/l%2574", false),
            ("/lt", "/l%7", false),
            ("/lt", "/l%74%", false),
            ("/l%zz", "/l%zz", true),
            ("/l%zz", "/l%ZZ", false),
            ("/a%7", "/a%7", true),
            ("/lt", "/LT", false),
            ("/lt", "/%4C%54", false),
            ("/lt", "//lt", false),
            ("/lt", "/lt;x", false),
            ("/lt", "/x/%2E%2E/lt", false),
            ("/x/../lt", "/x/%2E%2E/lt", true),
        ];
        for (pattern, path, want) in table {
            assert_eq!(PathPattern::from(pattern).matches(path), want, "{pattern} {path}");
        }
    }
    #[test]
    fn patterns_cover_those_that_match_no_other_path() {
        let table = [
            ("/a", "/a", true),
            ("/a", "/%61", true),
            ("/a", "/b", false),
            ("/a", "/a/", false),
            ("/a", "/*", false),
            ("/a", "/a/**", false),
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/*", true),
            ("/a/*", "/a/", false),
            ("/a/*", "/a", false),
            ("/a/*", "/a/b/c", false),
            ("/a/*", "/a/**", false),
            ("/a/*", "/a/*/**", false),
            ("/*/b", "/a/*", false),
            ("/*/*", "/*/b", true),
            ("/a/**", "/a", true),
            ("/a/**", "/a/", true),
            ("/a/**", "/a/b", true),
            ("/a/**", "/a/*/c", true),
            ("/a/**", "/a/**", true),
            ("/a/**", "/a/*/**", true),
            ("/a/**", "/ab", false),
            ("/a/**", "/**", false),
            ("/a/b/**", "/a/**", false),
            ("/a/*/**", "/a/**", false),
            ("/a/*/**", "/a/b/**", true),
            ("/a/*/**", "/a//**", false),
            ("/**", "/", true),
            ("/**", "/*", true),
            ("/**", "/**", true),
            ("/**", "/a/*/c/**", true),
        ];
        for (wide, narrow, want) in table {
            let (wide, narrow) = (PathPattern::from(wide), PathPattern::from(narrow));
            assert_eq!(wide.covers(&narrow), want, "{wide:?} {narrow:?}");
        }
    }

    #[test]
    fn what_covers_is_what_matches_all_that_the_other_does() {
        let segments = ["", "a", "b", "*"];
        let mut patterns = vec![String::new()];
        let mut paths = vec![String::new()];
        for length in 0..3 {
            let longer = |known: &[String], further: &[&str]| -> Vec<String> {
                let last = known.iter().filter(|one| one.matches('/').count() == length);
                last.flat_map(|one| further.iter().map(move |end| format!("{one}/{end}"))).collect()
            };
            patterns.extend(longer(&patterns, &segments));
            paths.extend(longer(&paths, &["", "a", "b", "c"]));
        }
        // Deep enough for one segment more than any pattern has.
        paths.extend(paths.clone().iter().map(|path| format!("{path}/c")));
        let rests = patterns.iter().map(|pattern| format!("{pattern}/**"));
        let patterns: Vec<_> = patterns.iter().skip(1).cloned().chain(rests).collect();
        let patterns: Vec<_> = patterns.iter().map(|one| PathPattern::from(one.as_str())).collect();
        for wide in &patterns {
            for narrow in &patterns {
                let mut matched = paths.iter().filter(|path| narrow.matches(path));
                let want = matched.all(|path| wide.matches(path));
                assert_eq!(wide.covers(narrow), want, "{wide:?} {narrow:?}");
            }
        }
    }
}
