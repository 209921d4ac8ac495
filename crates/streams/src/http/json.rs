//! JSON mode (protocol section 9.1): a body is one message, or an array of them; an answer is an array.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;

/// The messages of a body: the elements of an array, or the one value. An empty array has none. Each is a slice of the
/// body, spelled as it was sent.
///
/// # Errors
/// The body is not one JSON value (RFC 8259).
pub(crate) fn messages(body: &Bytes) -> Result<Vec<Bytes>, serde_json::Error> {
    let is_array = body.iter().find(|byte| !is_space(**byte)) == Some(&b'[');
    let values: Vec<&RawValue> =
        if is_array { serde_json::from_slice(body)? } else { vec![serde_json::from_slice(body)?] };
    Ok(values.iter().map(|value| body.slice_ref(value.get().as_bytes())).collect())
}

/// An array of these messages.
pub(crate) fn array(messages: &[Bytes]) -> Bytes {
    part(messages, Part { is_first: true, is_last: true })
}

/// Which part of an array some messages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
}

/// A part of an array. Only the first part of all may be without messages.
pub(crate) fn part(messages: &[Bytes], part: Part) -> Bytes {
    let commas_and_brackets = messages.len() + 2;
    let bytes: usize = messages.iter().map(Bytes::len).sum();
    let mut array = BytesMut::with_capacity(bytes + commas_and_brackets);
    let mut before = if part.is_first { b'[' } else { b',' };
    for message in messages {
        array.put_u8(before);
        array.put_slice(message);
        before = b',';
    }
    if part.is_first && messages.is_empty() {
        array.put_u8(b'[');
    }
    if part.is_last {
        array.put_u8(b']');
    }
    array.freeze()
}

/// White space of JSON (RFC 8259 section 2).
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(body: &str) -> Option<Vec<String>> {
        let messages = messages(&Bytes::copy_from_slice(body.as_bytes())).ok()?;
        Some(messages.iter().map(|message| String::from_utf8(message.to_vec()).unwrap()).collect())
    }

    #[test]
    fn one_level_of_an_array_is_flattened() {
        for (body, wanted) in [
            (r#"{"a":1}"#, vec![r#"{"a":1}"#]),
            (r#" [ {"a": 1} , {"b":2}]"#, vec![r#"{"a": 1}"#, r#"{"b":2}"#]),
            ("[[1,2],[3,4]]", vec!["[1,2]", "[3,4]"]),
            ("[[[1,2,3]]]", vec!["[[1,2,3]]"]),
            ("1e400", vec!["1e400"]),
            ("null", vec!["null"]),
            ("[]", vec![]),
            ("\n[ ]\n", vec![]),
        ] {
            assert_eq!(texts(body).unwrap(), wanted, "{body}");
        }
    }

    #[test]
    fn what_is_not_one_value_is_refused() {
        for body in
            ["", " ", "{", "[1,]", "1 2", "[1][2]", "nul", "{\"a\":\"\n\"}", "[1", "\u{feff}1"]
        {
            assert_eq!(texts(body), None, "{body:?}");
        }
        assert!(messages(&Bytes::from_static(b"\"\xff\"")).is_err(), "it must be UTF-8");
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(texts(&deep).unwrap().len(), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(body in prop::collection::vec(any::<u8>(), 0..64)) {
            messages(&Bytes::from(body)).ok();
        }

        #[test]
        fn what_was_flattened_comes_back_as_the_same_values(numbers in prop::collection::vec(any::<i32>(), 0..9)) {
            let body = Bytes::from(serde_json::to_vec(&numbers).unwrap());
            let messages = messages(&body).unwrap();
            let again = array(&messages);
            prop_assert_eq!(serde_json::from_slice::<Vec<i32>>(&again).unwrap(), numbers);
            let (one, other) = messages.split_at(messages.len() / 2);
            let one = part(one, Part { is_first: true, is_last: other.is_empty() });
            let other = match other {
                [] => Bytes::new(),
                other => part(other, Part { is_first: false, is_last: true }),
            };
            let whole = [one, other].concat();
            prop_assume!(messages.len() != 1);
            prop_assert_eq!(Bytes::from(whole), again);
        }
    }
}
