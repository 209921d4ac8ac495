//! Heads of requests and of responses: any bytes are survived, a head in pieces is judged as the whole, and what is sent
//! on is clean and means what was read.

#![no_main]

use std::task::{Context, Poll, Waker};

use libfuzzer_sys::fuzz_target;
use outlast_fuzz::{Answered, Pieces, answer, check_head};
use outlast_http1::{
    Failure, HEAD_BYTES_MAX, HeadError, Inbox, ReadHead, Request, Version, is_forwarding_claim,
};

fuzz_target!(|bytes: &[u8]| {
    request(bytes);
    for method in ["GET", "HEAD"] {
        for version in [Version::Http10, Version::Http11] {
            response(bytes, method, version);
        }
    }
});

fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, HeadError> {
    Request::parse(bytes, is_forwarding_claim)
}

fn request(bytes: &[u8]) {
    let whole = parse(bytes);
    // Every cut of a short head, and sixty-four of a long one.
    for cut in (0..bytes.len()).step_by(1 + bytes.len() / 64) {
        match (parse(&bytes[..cut]), &whole) {
            (Ok(None), _) | (Err(_), Err(_)) => {}
            (Ok(Some((_, part))), Ok(Some((_, all)))) => assert_eq!(part, *all),
            (part, whole) => panic!("{cut} bytes are {part:?}, and all of them {whole:?}"),
        }
    }
    match (whole, in_pieces(bytes)) {
        (Ok(Some((request, length))), ReadHead::Request(same)) => {
            assert_eq!(request.wire, same.wire);
            assert!(parse(&bytes[..length - 1]).is_ok_and(|head| head.is_none()));
            // Empty lines before the first are not part of the head (RFC 9112 section 2.2).
            let start = bytes.iter().position(|byte| !b"\r\n".contains(byte));
            check_head(&bytes[start.expect("a head is not empty")..length]);
            accepted(&request);
        }
        (Ok(None), ReadHead::Truncated) | (Err(_), ReadHead::Refused(_)) => {}
        (Ok(None), ReadHead::Closed) => assert!(bytes.is_empty()),
        (whole, pieces) => panic!("in pieces {pieces:?}, and as a whole {whole:?}"),
    }
}

fn in_pieces(bytes: &[u8]) -> ReadHead {
    let mut cx = Context::from_waker(Waker::noop());
    let mut client = Pieces::closing(bytes, 1 + bytes.len() / 20);
    match Inbox::default().poll_request(&mut cx, &mut client, is_forwarding_claim) {
        Poll::Ready(read) => read,
        Poll::Pending => unreachable!("the client is never silent"),
    }
}

fn accepted(request: &Request) {
    check_head(&request.wire);
    let hosts = request.wire.split(|byte| *byte == b'\n');
    let is_host = |line: &&[u8]| line.len() >= 5 && line[..5].eq_ignore_ascii_case(b"host:");
    assert_eq!(hosts.filter(is_host).count(), usize::from(!request.host.is_empty()), "one Host");
    let wire = [&request.wire[..], b"\r\n"].concat();
    match parse(&wire) {
        // It may pass one hop less.
        _ if matches!(&*request.target.method, "OPTIONS" | "TRACE") && has_max_forwards(&wire) => {}
        Ok(Some((again, length))) => {
            assert_eq!(length, wire.len());
            assert_eq!((&again.target, &again.host), (&request.target, &request.host));
            assert_eq!((&again.body, &again.wire), (&request.body, &request.wire));
        }
        // It is given blanks after the colons, and in HTTP/1.0 the Host of its target: that may be too much. Without either
        // the gateway names one, as it knows where the request goes.
        Err(HeadError::TooLarge | HeadError::TooManyFields)
            if request.version == Version::Http10 || wire.len() > HEAD_BYTES_MAX => {}
        Err(HeadError::Host) if request.host.is_empty() => {
            assert_eq!(request.version, Version::Http10);
        }
        other => panic!("{} is read as {other:?}", wire.escape_ascii()),
    }
}

fn has_max_forwards(wire: &[u8]) -> bool {
    wire.to_ascii_lowercase().windows(15).any(|window| window == b"\nmax-forwards: ")
}

fn response(bytes: &[u8], method: &str, version: Version) {
    let whole = answer(bytes, bytes.len(), method, version);
    let pieces = answer(bytes, 1 + bytes.len() / 20, method, version);
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => {
            assert_eq!(whole, pieces);
            relayed(&whole, method, version);
        }
        (Err(_), Err(_)) => {}
        (whole, pieces) => panic!("in pieces {pieces:?}, and as a whole {whole:?}"),
    }
}

fn relayed(answered: &Answered, method: &str, version: Version) {
    after_heads(&answered.bytes);
    match answer(&answered.bytes, answered.bytes.len(), method, version) {
        // What was chunked is not told apart from what was not, and the connection may be kept now.
        Ok(again) if version == Version::Http10 => {
            assert_eq!(again.status, answered.status);
            assert_eq!(after_heads(&again.bytes), after_heads(&answered.bytes));
        }
        Ok(again) => assert_eq!(&again, answered, "it means what was read"),
        // It is told that the connection closes, which may be one field too many.
        Err(Failure::ResponseHead(HeadError::TooLarge | HeadError::TooManyFields)) => {}
        Err(failure) => panic!("{} is refused: {failure:?}", answered.bytes.escape_ascii()),
    }
}

/// What follows the final head. Every head on the way is looked at.
fn after_heads(mut bytes: &[u8]) -> &[u8] {
    loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let (head, rest) = bytes.split_at(end.expect("a final head was relayed") + 4);
        check_head(head);
        if !head.starts_with(b"HTTP/1.1 1") {
            return rest;
        }
        bytes = rest;
    }
}
