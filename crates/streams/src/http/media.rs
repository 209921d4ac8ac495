//! How content types are written into server-sent events.

use super::sse::Encoding;
use crate::content_type::{Boundaries, ContentType};

/// How a stream of this type goes into server-sent events: text and JSON as they are (protocol section 5.8).
pub(crate) fn encoding(content_type: &ContentType) -> Encoding {
    let is_text =
        content_type.as_str().get(..5).is_some_and(|main| main.eq_ignore_ascii_case("text/"));
    match content_type.boundaries() {
        Boundaries::Messages => Encoding::Text,
        Boundaries::Bytes if is_text => Encoding::Text,
        Boundaries::Bytes => Encoding::Base64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_json_go_as_they_are() {
        for text in ["text/plain", "Text/X;y=z", "application/json", "Application/JSON ;charset=x"]
        {
            assert_eq!(encoding(&ContentType::parse(text).unwrap()), Encoding::Text, "{text}");
        }
        for binary in ["application/octet-stream", "application/x-ndjson", "image/png", "textual/x"]
        {
            let content_type = ContentType::parse(binary).unwrap();
            assert_eq!(encoding(&content_type), Encoding::Base64, "{binary}");
        }
    }
}
