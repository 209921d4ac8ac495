//! What must be true of every head that we send on, told without our own parser.

/// Checks a head, with or without its empty line.
///
/// # Panics
/// When a line of it does not end in CRLF, a control character is in it, or it is framed twice.
pub fn check_head(head: &[u8]) {
    let text = head.strip_suffix(b"\r\n\r\n").or_else(|| head.strip_suffix(b"\r\n"));
    let text = text.expect("a head ends in CRLF");
    let mut framings = 0;
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(!line.is_empty(), "an empty line within a head: {}", head.escape_ascii());
        let is_clean = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
        assert!(line.iter().all(is_clean), "a control character: {}", head.escape_ascii());
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let frames = |framing: &str| name.eq_ignore_ascii_case(framing.as_bytes());
        framings += usize::from(
            ["content-length", "transfer-encoding"].iter().any(|framing| frames(framing)),
        );
    }
    let lines = text.split(|byte| *byte == b'\n').count();
    let ends = text.windows(2).filter(|pair| pair == b"\r\n").count();
    assert_eq!(lines, ends + 1, "a bare LF: {}", head.escape_ascii());
    assert!(framings <= 1, "framed twice: {}", head.escape_ascii());
}
