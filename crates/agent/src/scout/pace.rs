//! Cutting an answer into pieces, so that it streams.

use std::time::Duration;

use crate::line::TEXT_BYTES_MAX;

/// Pieces that make the answer again when put together: its paragraphs, or, when the answer is to take long, about one a
/// second, as long as there are words.
pub(super) fn pieces(answer: &str, pace: Duration) -> Vec<String> {
    let parts: Vec<&str> = if pace.is_zero() {
        paragraphs(answer)
    } else {
        answer.split_inclusive([' ', '\n']).collect()
    };
    let wanted = if pace.is_zero() {
        parts.len()
    } else {
        usize::try_from(pace.as_secs().max(2)).unwrap_or(usize::MAX)
    };
    let count = wanted.clamp(1, parts.len().max(1));
    let mut pieces = Vec::with_capacity(count);
    for index in 0..count {
        // Evenly, without a rest: the borders are those of fractions.
        let from = index * parts.len() / count;
        let to = (index + 1) * parts.len() / count;
        cut(&parts[from..to].concat(), &mut pieces);
    }
    pieces
}

fn paragraphs(answer: &str) -> Vec<&str> {
    let mut rest = answer;
    let mut paragraphs = Vec::new();
    while let Some(at) = rest.find("\n\n") {
        let (paragraph, after) = rest.split_at(at + 2);
        paragraphs.push(paragraph);
        rest = after;
    }
    paragraphs.extend((!rest.is_empty()).then_some(rest));
    paragraphs
}

/// Adds a text in pieces that fit into lines.
fn cut(text: &str, pieces: &mut Vec<String>) {
    let mut rest = text;
    while rest.len() > TEXT_BYTES_MAX {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(TEXT_BYTES_MAX));
        pieces.push(piece.to_owned());
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(rest.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_answer_comes_about_once_a_second() {
        let answer = "one two three four five six seven eight nine ten\n\neleven twelve";
        let count = |seconds| pieces(answer, Duration::from_secs(seconds)).len();
        assert_eq!((count(0), count(4), count(3_600)), (2, 4, 13));
        assert_eq!(pieces("", Duration::ZERO), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn pieces_make_the_answer_and_fit(answer in "(\\PC|\n){0,5000}", seconds in 0_u64..200) {
            let pieces = pieces(&answer, Duration::from_secs(seconds));
            prop_assert_eq!(pieces.concat(), answer);
            prop_assert!(pieces.iter().all(|piece| (1..=TEXT_BYTES_MAX).contains(&piece.len())));
        }
    }
}
