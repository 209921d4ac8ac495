//! What a message asks for, as far as scout understands.

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// To be shown around.
    Tour,
    /// Where this text stands.
    Search(String),
}

/// A search for less finds everything.
const NEEDLE_CHARS_MIN: usize = 2;
const NEEDLE_BYTES_MAX: usize = 200;
const PHRASES: [&str; 7] =
    ["search for ", "where is ", "where are ", "look for ", "grep for ", "grep ", "find "];

impl Ask {
    /// A quoted text is searched for, also what follows "find" and the like at the beginning; else there is a tour.
    pub(super) fn of(message: &str) -> Self {
        let message = message.trim();
        let quoted = ['`', '"', '“'].into_iter().find_map(|open| quoted(message, open));
        let lower = message.to_ascii_lowercase();
        let phrase = || {
            let phrase = PHRASES.into_iter().find(|phrase| lower.starts_with(phrase))?;
            let rest = message[phrase.len()..].lines().next().unwrap_or_default();
            Some(rest.trim().trim_end_matches(['?', '.', '!']).trim())
        };
        let needle = quoted.or_else(phrase).filter(|needle| {
            needle.chars().count() >= NEEDLE_CHARS_MIN && needle.len() <= NEEDLE_BYTES_MAX
        });
        needle.map_or(Self::Tour, |needle| Self::Search(needle.to_owned()))
    }

    pub(super) fn needle(&self) -> Option<&str> {
        match self {
            Self::Tour => None,
            Self::Search(needle) => Some(needle),
        }
    }

    /// What scout says first.
    pub(super) fn opening(&self) -> String {
        match self {
            Self::Tour => "I'll look through the files first, then at the history.\n\n".to_owned(),
            Self::Search(needle) => format!("I'll search all files for `{needle}`.\n\n"),
        }
    }
}

fn quoted(message: &str, open: char) -> Option<&str> {
    let close = if open == '“' { '”' } else { open };
    let rest = message.split_once(open)?.1;
    Some(rest.split_once(close)?.0.trim()).filter(|text| !text.contains('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts_and_plain_requests_are_searches() {
        for (message, needle) in [
            ("Where does \"hard_limit\" come from?", Some("hard_limit")),
            ("what is `Permit::linger` for", Some("Permit::linger")),
            ("find TODO", Some("TODO")),
            ("Search for fly-replay, please?", Some("fly-replay, please")),
            ("where is the queue?", Some("the queue")),
            ("Analyze this codebase", None),
            ("", None),
            ("find", None),
            ("find x", None),
            ("say \"\" to it", None),
            ("an \"unclosed quote", None),
            ("a \"quote\nof lines\"", None),
        ] {
            assert_eq!(Ask::of(message).needle(), needle, "{message}");
        }
        assert_eq!(Ask::of(&format!("find {}", "x".repeat(300))), Ask::Tour);
    }
}
