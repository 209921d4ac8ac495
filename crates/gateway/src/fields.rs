//! Looking something up in a request's head, for those few who ask: the head is kept as it goes to the machine.

/// A field line's name and value, without blanks around it; None for a request line.
pub(crate) fn field(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = str::from_utf8(&line[..colon]).ok().filter(|name| !name.contains(' '))?;
    Some((name, line[colon + 1..].trim_ascii()))
}

/// The lines of a head, each with its end.
pub(crate) fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split_inclusive(|byte| *byte == b'\n')
}

/// Whether the head has a field of one of these names, which are in lower case.
pub(crate) fn has_any(head: &[u8], names: &[&str]) -> bool {
    let is_one = |name: &str| names.iter().any(|other| name.eq_ignore_ascii_case(other));
    lines(head).filter_map(field).any(|(name, _)| is_one(name))
}

/// The value of the last field of a name, which is in lower case.
pub(crate) fn value_of<'h>(head: &'h [u8], name: &str) -> Option<&'h str> {
    let own = lines(head).filter_map(field).filter(|(other, _)| name.eq_ignore_ascii_case(other));
    own.last().and_then(|(_, value)| str::from_utf8(value).ok())
}

/// The head without the fields of a name, which is in lower case.
pub(crate) fn without(head: &[u8], name: &str) -> Vec<u8> {
    let is_other =
        |line: &&[u8]| field(line).is_none_or(|(other, _)| !name.eq_ignore_ascii_case(other));
    lines(head).filter(is_other).flatten().copied().collect()
}

/// Whether the client asks for one of these media types by its name (RFC 9110 section 12.5.1). Who takes anything has not
/// asked for it.
pub(crate) fn asks_for(head: &[u8], types: &[&str]) -> bool {
    let accepted =
        lines(head).filter_map(field).filter(|(name, _)| name.eq_ignore_ascii_case("accept"));
    let is_wanted = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or("");
        let refuses = |weight: &str| {
            let weight = weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.bytes().all(|byte| matches!(byte, b'0' | b'.')))
        };
        types.iter().any(|wanted| media.eq_ignore_ascii_case(wanted)) && !parts.any(refuses)
    };
    let mut values = accepted.filter_map(|(_, value)| str::from_utf8(value).ok());
    values.any(|value| value.split(',').any(is_wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_a_type_names_it() {
        for (value, want) in [
            ("text/event-stream", true),
            ("Text/Event-Stream", true),
            ("text/html, text/event-stream;q=0.5, */*", true),
            ("application/json,text/event-stream ; charset=utf-8", true),
            ("text/event-stream;q=0", false),
            ("text/event-stream; q=0.000", false),
            ("*/*", false),
            ("text/*", false),
            ("text/event-stream2", false),
            ("", false),
        ] {
            let head = format!("GET /?a:b HTTP/1.1\r\nHost: a\r\naccept: {value}\r\n");
            assert_eq!(asks_for(head.as_bytes(), &["text/event-stream"]), want, "{value}");
        }
        let head = b"GET / HTTP/1.1\r\nX-Accept: text/event-stream\r\nRANGE: bytes=0-\r\n";
        assert!(!asks_for(head, &["text/event-stream"]));
        assert!(has_any(head, &["if-match", "range"]) && !has_any(head, &["accept"]));
        assert_eq!(value_of(head, "range"), Some("bytes=0-"));
        assert_eq!(without(head, "range"), head[..head.len() - 17]);
    }
}
