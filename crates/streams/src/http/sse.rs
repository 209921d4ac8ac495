//! Server-sent events (protocol section 5.8; WHATWG HTML section 9.2).
//!
//! A piece of a stream is one `data` event and one `control` event. Both carry the offset behind the piece as their id,
//! so that an `EventSource` which reconnects goes on exactly there. The one that tells of the end has an id of its own:
//! only who was told of it may be told to come no more.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use memchr::memchr2_iter;
use serde::Serialize;

/// Sent into a silent stream, so that both ends see that the other lives.
pub(crate) const HEARTBEAT: Bytes = Bytes::from_static(b":\n\n");

/// What stands behind the offset in the id of the event that tells of the end.
const END: &str = "-end";

/// How bytes are written into `data` events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As the UTF-8 text they are.
    Text,
    /// In base64 (RFC 4648 section 4).
    Base64,
}

/// The payload of a `control` event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Control<'a> {
    /// From which offset to go on.
    pub(crate) stream_next_offset: &'a str,
    /// The cursor to send back. None: nobody is meant to come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stream_cursor: Option<String>,
    /// Present where nothing more is there yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) up_to_date: Option<True>,
    /// Present where nothing more will ever come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stream_closed: Option<True>,
    /// Why the stream ended, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end_reason: Option<&'static str>,
}

/// `true`, which the fields of [`Control`] are whenever they are present.
#[derive(Debug, Clone, Copy)]
pub(crate) struct True;

impl Serialize for True {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }
}

/// Appends a `data` event. Text that is not UTF-8 gets U+FFFD in place of what is wrong, as in every decoder of UTF-8.
pub(crate) fn put_data(out: &mut BytesMut, id: &str, payload: &[u8], encoding: Encoding) {
    put_line(out, b"id: ", id.as_bytes());
    put_line(out, b"event: ", b"data");
    match encoding {
        Encoding::Base64 => put_line(out, b"data:", STANDARD.encode(payload).as_bytes()),
        Encoding::Text => put_text(out, &String::from_utf8_lossy(payload)),
    }
    out.put_u8(b'\n');
}

/// Appends a `control` event.
pub(crate) fn put_control(out: &mut BytesMut, control: &Control<'_>) {
    let end = if control.stream_closed.is_some() { END } else { "" };
    put_line(out, b"id: ", [control.stream_next_offset, end].concat().as_bytes());
    put_line(out, b"event: ", b"control");
    let json = serde_json::to_vec(control).expect("strings and truths are JSON");
    put_line(out, b"data:", &json);
    out.put_u8(b'\n');
}

/// What the id of the last event tells that a reader has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// All up to the offset.
    Bytes,
    /// The end, too.
    End,
}

/// The offset in an id, and what else it tells.
pub(crate) fn parse_id(id: &str) -> (&str, Told) {
    match id.strip_suffix(END) {
        Some(offset) => (offset, Told::End),
        None => (id, Told::Bytes),
    }
}

/// A line of data for each line of the text, so that no text can end its event or begin another. A line ends by LF, CR
/// or CR LF; the reader sees each as LF. A leading space is doubled, as the reader takes one away.
fn put_text(out: &mut BytesMut, text: &str) {
    let bytes = text.as_bytes();
    let mut start = 0;
    for end in memchr2_iter(b'\n', b'\r', bytes) {
        let is_second_of_two = bytes[end] == b'\n' && end > 0 && bytes[end - 1] == b'\r';
        if !is_second_of_two {
            put_data_line(out, &bytes[start..end]);
        }
        start = end + 1;
    }
    put_data_line(out, &bytes[start..]);
}

fn put_data_line(out: &mut BytesMut, line: &[u8]) {
    let name: &[u8] = if line.first() == Some(&b' ') { b"data: " } else { b"data:" };
    put_line(out, name, line);
}

fn put_line(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 2);
    out.put_slice(name);
    out.put_slice(value);
    out.put_u8(b'\n');
}

/// How many bytes at the end are the beginning of a character whose rest is still to come (0 to 3).
pub(crate) fn unfinished(text: &[u8]) -> usize {
    let tail = &text[text.len().saturating_sub(3)..];
    match tail.iter().rposition(|byte| byte & 0b1100_0000 != 0b1000_0000) {
        Some(at) if wanted(tail[at]) > tail.len() - at => match str::from_utf8(&tail[at..]) {
            // Only what may become a character is waited for.
            Err(error) if error.error_len().is_none() => tail.len() - at,
            _ => 0,
        },
        _ => 0,
    }
}

/// The length of the character that begins by this byte.
fn wanted(first: u8) -> usize {
    match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(payload: &[u8], encoding: Encoding) -> String {
        let mut out = BytesMut::new();
        put_data(&mut out, "7", payload, encoding);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn text_can_not_end_its_event() {
        let wanted = "id: 7\nevent: data\ndata:a\ndata:\ndata:event: control\ndata:  b\ndata:\n\n";
        assert_eq!(event(b"a\r\n\revent: control\n b\n", Encoding::Text), wanted);
        assert_eq!(event(b"\xff\x00", Encoding::Base64), "id: 7\nevent: data\ndata:/wA=\n\n");
    }

    #[test]
    fn control_tells_only_what_holds() {
        let mut out = BytesMut::new();
        let control = Control {
            stream_next_offset: "7",
            stream_cursor: None,
            up_to_date: Some(True),
            stream_closed: Some(True),
            end_reason: Some("complete"),
        };
        put_control(&mut out, &control);
        assert_eq!(parse_id("7-end"), ("7", Told::End));
        assert_eq!(parse_id("7"), ("7", Told::Bytes));
        let wanted = "id: 7-end\nevent: control\ndata:{\"streamNextOffset\":\"7\",\"upToDate\":true,\
                      \"streamClosed\":true,\"endReason\":\"complete\"}\n\n";
        assert_eq!(out, wanted);
    }

    #[test]
    fn only_the_beginning_of_a_character_is_waited_for() {
        for (text, wanted) in [
            (&b""[..], 0),
            (b"abc", 0),
            ("é".as_bytes(), 0),
            (b"a\xc3", 1),
            (b"a\xe2\x82", 2),
            (b"\xf0\x9f\x98", 3),
            (b"\xf0\x9f\x98\x80", 0),
            (b"\xff", 0),
            (b"\x80\x80\x80", 0),
            (b"\xe0\x80", 0),
            (b"\xed\xa0", 0),
        ] {
            assert_eq!(unfinished(text), wanted, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_reader_gets_the_text_back(text in "[ab :\\r\\n é]{0,40}") {
            let event = event(text.as_bytes(), Encoding::Text);
            let body = event.strip_prefix("id: 7\nevent: data\n").unwrap().strip_suffix("\n\n").unwrap();
            let lines = body.split('\n').map(|line| {
                let value = line.strip_prefix("data:").unwrap();
                value.strip_prefix(' ').unwrap_or(value)
            });
            let read = lines.collect::<Vec<_>>().join("\n");
            prop_assert_eq!(read, text.replace("\r\n", "\n").replace('\r', "\n"));
        }

        #[test]
        fn text_cut_anywhere_is_put_together_again(text in "\\PC{0,20}", cut in 0usize..80) {
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            let whole = cut - unfinished(&bytes[..cut]);
            prop_assert!(str::from_utf8(&bytes[..whole]).is_ok());
            prop_assert!(cut - whole < 4);
        }
    }
}
