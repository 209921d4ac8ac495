//! Entity tags (RFC 9110 section 8.8.3): a stream's id, the piece of it, and whether it ends there.

/// Whether this value of `If-None-Match` names `tag`, by weak comparison (RFC 9110 section 13.1.2).
pub(crate) fn matches(if_none_match: &[u8], tag: &str) -> bool {
    let Ok(list) = str::from_utf8(if_none_match) else { return false };
    let list = list.trim();
    // Our tags hold no comma.
    list == "*"
        || list.split(',').any(|one| {
            let one = one.trim();
            one.strip_prefix("W/").unwrap_or(one) == tag
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_weak_tags_and_the_star_match() {
        let tag = "\"1:a:b\"";
        for value in ["\"1:a:b\"", "W/\"1:a:b\"", "\"x\", \"1:a:b\"", " * ", "\"x\",W/\"1:a:b\""] {
            assert!(matches(value.as_bytes(), tag), "{value}");
        }
        for value in ["", "\"1:a:b:c\"", "1:a:b", "w/\"1:a:b\"", "\"x\"", "\"*\"", "\"1:a:b", ","] {
            assert!(!matches(value.as_bytes(), tag), "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_value_panics(value in prop::collection::vec(any::<u8>(), 0..40)) {
            matches(&value, "\"1:a:b\"");
        }
    }
}
