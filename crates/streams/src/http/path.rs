//! The path of a stream's URL: decoded once, and never one that could leave the store.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::name::{InvalidName, StreamName};

/// Where the streams are.
pub const PREFIX: &str = "/v1/stream/";

/// Names that begin so are the protocol's own (protocol section 6).
const RESERVED: &str = "__ds";

/// Why a path is no stream's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPath {
    /// It lies elsewhere.
    #[error("it is no stream of this server: those are under /v1/stream/")]
    Foreign,
    /// It is reserved.
    #[error("names under __ds are the protocol's own, for subscriptions, which are not served")]
    Reserved,
    /// A slash would be one of the name only once it is decoded.
    #[error("the path has a slash that is percent-encoded")]
    EncodedSlash,
    /// It is no text.
    #[error("the path is not percent-encoded UTF-8")]
    NotText,
    /// It is no name.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

/// The name of the stream at this path of a URL, without query.
pub(crate) fn name(path: &str) -> Result<StreamName, BadPath> {
    let encoded = path.strip_prefix(PREFIX).ok_or(BadPath::Foreign)?;
    let segments = encoded.split('/').map(segment).collect::<Result<Vec<_>, _>>()?;
    let name = StreamName::parse(&segments.join("/"))?;
    if segments[0] == RESERVED { Err(BadPath::Reserved) } else { Ok(name) }
}

fn segment(encoded: &str) -> Result<Cow<'_, str>, BadPath> {
    let is_escape = |rest: &str| {
        let mut digits = rest.bytes();
        let mut is_digit = || digits.next().is_some_and(|byte| byte.is_ascii_hexdigit());
        is_digit() && is_digit()
    };
    // The decoder leaves a percent sign that encodes nothing as it is.
    if !encoded.split('%').skip(1).all(is_escape) {
        return Err(BadPath::NotText);
    }
    let decoded = percent_decode_str(encoded).decode_utf8().map_err(|_| BadPath::NotText)?;
    if decoded.contains('/') { Err(BadPath::EncodedSlash) } else { Ok(decoded) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_decoded_once() {
        for (path, wanted) in [
            ("/v1/stream/a", "a"),
            ("/v1/stream/a/b-c_d.e~", "a/b-c_d.e~"),
            ("/v1/stream/%C3%A9%20x", "é x"),
            ("/v1/stream/%252e%252e", "%2e%2e"),
            ("/v1/stream/...", "..."),
            ("/v1/stream/a/__ds", "a/__ds"),
        ] {
            assert_eq!(name(path).unwrap().as_str(), wanted, "{path}");
        }
    }

    #[test]
    fn a_path_that_tries_to_leave_the_store_is_refused() {
        for (path, wanted) in [
            ("", BadPath::Name(InvalidName::Empty)),
            ("/", BadPath::Name(InvalidName::EmptySegment)),
            ("/a", BadPath::Name(InvalidName::EmptySegment)),
            ("a//b", BadPath::Name(InvalidName::EmptySegment)),
            ("..", BadPath::Name(InvalidName::Leaves)),
            ("../x", BadPath::Name(InvalidName::Leaves)),
            ("a/../b", BadPath::Name(InvalidName::Leaves)),
            ("%2e%2e", BadPath::Name(InvalidName::Leaves)),
            ("a/.%2E", BadPath::Name(InvalidName::Leaves)),
            ("a/%2e/b", BadPath::Name(InvalidName::Leaves)),
            ("a%5cb", BadPath::Name(InvalidName::Character('\\'))),
            ("%00", BadPath::Name(InvalidName::Character('\0'))),
            ("a%0ab", BadPath::Name(InvalidName::Character('\n'))),
            ("a%2fb", BadPath::EncodedSlash),
            ("..%2F..%2Fetc", BadPath::EncodedSlash),
            ("%", BadPath::NotText),
            ("%2", BadPath::NotText),
            ("%zz", BadPath::NotText),
            ("%ff", BadPath::NotText),
            ("%c0%ae%c0%ae", BadPath::NotText),
            ("__ds", BadPath::Reserved),
            ("%5f_ds/subscriptions/1", BadPath::Reserved),
        ] {
            assert_eq!(name(&format!("{PREFIX}{path}")), Err(wanted), "{path}");
        }
        for path in ["/v1/streams/a", "/v1/stream", "v1/stream/a", "/.outlast/stream/a", ""] {
            assert_eq!(name(path), Err(BadPath::Foreign), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_name_leaves_the_store(path in "[./%\\\\a2eEfF5cC0_é]{0,24}|.{0,24}") {
            if let Ok(name) = name(&format!("{PREFIX}{path}")) {
                let is_safe = |segment: &str| !matches!(segment, "" | "." | "..");
                let name = name.as_str();
                prop_assert!(name.split('/').all(is_safe) && !name.contains(['\\', '\0']), "{name}");
            }
        }
    }
}
