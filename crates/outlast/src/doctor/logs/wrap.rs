//! Lines that fit a terminal.

/// Breaks a text at blanks so that no line is longer than `width` characters; a longer word has a line of its own, and a
/// number stays with its unit. Lines after the first begin with `indent` blanks.
pub(super) fn wrap(text: &str, width: usize, indent: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    let mut length = 0;
    for word in words(text) {
        let word_length = word.chars().count();
        if length > 0 && length + 1 + word_length > width {
            wrapped.push('\n');
            wrapped.extend(std::iter::repeat_n(' ', indent));
            length = indent;
        } else if !wrapped.is_empty() {
            wrapped.push(' ');
            length += 1;
        }
        wrapped.push_str(word);
        length += word_length;
    }
    wrapped
}

/// Words, a number with the one behind it.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut begin = 0;
    for (at, _) in text.match_indices(' ') {
        let word = text[begin..at].trim_start_matches(['(', '+', '-']);
        let is_number =
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if !is_number {
            words.push(&text[begin..at]);
            begin = at + 1;
        }
    }
    words.push(&text[begin..]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_and_lines_short() {
        assert_eq!(wrap("one two three", 7, 2), "one two\n  three");
        assert_eq!(wrap("one incomprehensibility", 7, 2), "one\n  incomprehensibility");
        assert_eq!(wrap("", 7, 2), "");
        assert_eq!(wrap("in 8 min 59 s or", 10, 0), "in 8 min\n59 s or");
        assert_eq!(wrap("ää öö", 5, 0), "ää öö", "characters are counted, not bytes");
    }
}
