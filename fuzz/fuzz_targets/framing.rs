//! Bodies: followed in pieces they end where the whole does, and both end where a slow and simple decoder says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outlast_http1::{Body, BodyError, Coding, is_forwarding_claim};

/// The limits of RFC 9112 sections 7.1.1 and 7.1.2 as this project draws them.
const EXTENSION_BYTES_MAX: usize = 4096;
const TRAILER_BYTES_MAX: usize = 8192;
const FIELDS_MAX: usize = 128;
/// Of a chunk size, leading zeros excluded: 2^60.
const DIGITS_MAX: usize = 15;
/// Of a chunk size, as it is written.
const WRITTEN_MAX: usize = 16;
/// RFC 9110 section 6.5.1: fields that may only stand in a head.
const FORBIDDEN: [&str; 19] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "max-forwards",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// What became of a body.
#[derive(Debug, PartialEq, Eq)]
struct Followed {
    consumed: usize,
    forward: Vec<u8>,
    is_ended: bool,
}

/// What the simple decoder says of a chunked body.
#[derive(Debug, PartialEq, Eq)]
enum Reference {
    Whole { length: usize, data: Vec<u8> },
    Incomplete,
    Malformed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Client,
    Machine,
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (kind, cuts, stream) = input;
    match kind % 4 {
        0 => chunked(&Body::chunked_request(), cuts, stream, Sender::Client, Coding::AsIs),
        1 => {
            let body = Body::chunked_response(Coding::AsIs);
            chunked(&body, cuts, stream, Sender::Machine, Coding::AsIs);
        }
        2 => {
            let body = Body::chunked_response(Coding::Decoded);
            chunked(&body, cuts, stream, Sender::Machine, Coding::Decoded);
        }
        _ => counted(u64::from(kind / 4), cuts, stream),
    }
});

fn counted(length: u64, cuts: u8, stream: &[u8]) {
    let whole = same_in_pieces(&Body::length(length), cuts, stream).expect("any bytes will do");
    let consumed = stream.len().min(usize::try_from(length).expect("it is a byte"));
    assert_eq!(whole.forward, stream[..consumed]);
    assert_eq!((whole.consumed, whole.is_ended), (consumed, consumed as u64 == length));
}

fn chunked(body: &Body, cuts: u8, stream: &[u8], sender: Sender, coding: Coding) {
    let followed = same_in_pieces(body, cuts, stream);
    match (reference(stream, sender), followed) {
        (Reference::Whole { length, data }, Ok(followed)) => {
            assert_eq!((followed.consumed, followed.is_ended), (length, true));
            match coding {
                Coding::AsIs => assert_eq!(followed.forward, stream[..length]),
                Coding::Decoded => assert_eq!(followed.forward, data),
            }
        }
        (Reference::Incomplete, Ok(followed)) => {
            assert_eq!((followed.consumed, followed.is_ended), (stream.len(), false));
        }
        // We need not wait for the end of a line that is wrong already.
        (Reference::Incomplete | Reference::Malformed, Err(_)) => {}
        (reference, followed) => panic!("{reference:?} is followed as {followed:?}"),
    }
}

fn same_in_pieces(body: &Body, cuts: u8, stream: &[u8]) -> Result<Followed, BodyError> {
    let whole = follow(body.clone(), &[stream]);
    let pieces: Vec<&[u8]> = stream.chunks(1 + usize::from(cuts % 32)).collect();
    let in_pieces = follow(body.clone(), &pieces);
    assert_eq!(whole, in_pieces, "in pieces");
    whole
}

fn follow(mut body: Body, pieces: &[&[u8]]) -> Result<Followed, BodyError> {
    let (mut consumed, mut forward) = (0, Vec::new());
    for piece in pieces {
        let mut bytes = piece.to_vec();
        let advanced = body.advance(&mut bytes)?;
        consumed += advanced.consumed;
        forward.extend_from_slice(&bytes[..advanced.forward]);
        assert!(advanced.consumed == piece.len() || body.is_ended(), "bytes are left lying");
    }
    assert_eq!(body.close().is_ok(), body.is_ended(), "a close does not end it");
    Ok(Followed { consumed, forward, is_ended: body.is_ended() })
}

/// RFC 9112 section 7.1, line by line, as one would do it by hand.
fn reference(stream: &[u8], sender: Sender) -> Reference {
    let (mut at, mut data) = (0, Vec::new());
    loop {
        let line = match line(&stream[at..]) {
            Ok(Some(line)) => line,
            Ok(None) => return Reference::Incomplete,
            Err(Malformed) => return Reference::Malformed,
        };
        at += line.len() + 2;
        let Some(size) = chunk_size(line) else { return Reference::Malformed };
        if size == 0 {
            return match trailer_section(&stream[at..], sender) {
                Ok(Some(length)) => Reference::Whole { length: at + length, data },
                Ok(None) => Reference::Incomplete,
                Err(Malformed) => Reference::Malformed,
            };
        }
        let rest = &stream[at..];
        let Some(after) = usize::try_from(size).ok().filter(|size| *size <= rest.len()) else {
            return Reference::Incomplete;
        };
        data.extend_from_slice(&rest[..after]);
        match &rest[after..] {
            [b'\r', b'\n', ..] => at += after + 2,
            [] | [b'\r'] => return Reference::Incomplete,
            _ => return Reference::Malformed,
        }
    }
}

struct Malformed;

/// The line at the start, without its CRLF; None if its end has not come.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let line = bytes[..end].strip_suffix(b"\r").ok_or(Malformed)?;
    if line.contains(&b'\r') { Err(Malformed) } else { Ok(Some(line)) }
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let mut parts = line.splitn(2, |byte| *byte == b';');
    let size = str::from_utf8(parts.next()?).ok()?;
    let extensions = parts.next();
    let is_number = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = size.trim_start_matches('0');
    if !is_number || size.len() > WRITTEN_MAX || digits.len() > DIGITS_MAX {
        return None;
    }
    if extensions.is_some_and(|text| text.len() > EXTENSION_BYTES_MAX || !are_extensions(text)) {
        return None;
    }
    Some(if digits.is_empty() { 0 } else { u64::from_str_radix(digits, 16).ok()? })
}

/// What follows the first semicolon: `name`, `name=token` or `name="text"`, with semicolons between them.
fn are_extensions(mut text: &[u8]) -> bool {
    loop {
        let (name, rest) = token(text);
        if name.is_empty() {
            return false;
        }
        text = rest;
        if let [b'=', value @ ..] = text {
            text = match value {
                [b'"', quoted @ ..] => match after_quoted(quoted) {
                    Some(rest) => rest,
                    None => return false,
                },
                _ => match token(value) {
                    ([], _) => return false,
                    (_, rest) => rest,
                },
            };
        }
        match text {
            [] => return true,
            [b';', rest @ ..] => text = rest,
            _ => return false,
        }
    }
}

/// The token at the start, and what follows it.
fn token(text: &[u8]) -> (&[u8], &[u8]) {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    text.split_at(text.iter().position(|byte| !is_token(byte)).unwrap_or(text.len()))
}

/// What follows the quote that closes a text; None if there is none, or a control within.
fn after_quoted(mut text: &[u8]) -> Option<&[u8]> {
    let is_text = |byte: u8| byte == b'\t' || !byte.is_ascii_control();
    loop {
        text = match text {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', escaped, rest @ ..] if is_text(*escaped) => rest,
            [byte, rest @ ..] if is_text(*byte) && *byte != b'\\' => rest,
            _ => return None,
        };
    }
}

/// How long the trailer section is, with the empty line that ends it; None if that has not come.
fn trailer_section(bytes: &[u8], sender: Sender) -> Result<Option<usize>, Malformed> {
    let (mut at, mut fields, mut all_good) = (0, 0, true);
    // It is judged once it is there.
    loop {
        let Some(line) = line(&bytes[at..])? else { return Ok(None) };
        at += line.len() + 2;
        if at > TRAILER_BYTES_MAX {
            return Err(Malformed);
        }
        if line.is_empty() {
            return if all_good { Ok(Some(at)) } else { Err(Malformed) };
        }
        fields += 1;
        all_good &= fields <= FIELDS_MAX && is_trailer(line, sender);
    }
}

fn is_trailer(line: &[u8], sender: Sender) -> bool {
    let (name, rest) = token(line);
    let is_value =
        |value: &[u8]| value.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control());
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let is_claim = sender == Sender::Client && is_forwarding_claim(&name);
    !name.is_empty()
        && rest.first() == Some(&b':')
        && is_value(&rest[1..])
        && !is_claim
        && !FORBIDDEN.contains(&name.as_str())
}
