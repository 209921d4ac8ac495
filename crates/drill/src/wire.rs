//! A light HTTP/1.1 client: one request on one connection, read through a buffer that all streams of a thread share.
//!
//! A stream that is silent owns no buffer. It keeps bytes only while a head or a line is not whole.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use outlast_http1::{Body, Coding, HEAD_BYTES_MAX};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::line::MARK;

/// One read takes at most so much.
const SCRATCH_BYTES: usize = 64 * 1024;
const FIELDS_MAX: usize = 100;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into());
}

/// What a response head says, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) body: Body,
    pub(crate) retry_after: Option<Duration>,
    /// Whether the lines of the body prove themselves.
    pub(crate) is_marked: bool,
}

/// Sends a request on a connection of its own.
///
/// # Errors
/// The address does not take the connection or the bytes.
pub(crate) async fn send(address: SocketAddr, request: &[u8]) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(request).await?;
    Ok(stream)
}

/// Waits for bytes and shows at most `limit` of them; none: the other side has ended.
///
/// # Errors
/// The connection broke.
///
/// # Cancel safety
/// Dropping the future loses no bytes.
pub(crate) async fn read<T>(
    stream: &mut TcpStream,
    limit: usize,
    mut take: impl FnMut(&mut [u8]) -> T,
) -> io::Result<T> {
    poll_fn(|context| {
        SCRATCH.with_borrow_mut(|scratch| {
            let room = limit.min(scratch.len());
            let mut buffer = ReadBuf::new(&mut scratch[..room]);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
            Poll::Ready(Ok(take(buffer.filled_mut())))
        })
    })
    .await
}

/// Asks once and reads no further than the status.
///
/// # Errors
/// The connection broke, or the answer is none.
pub(crate) async fn status(address: SocketAddr, request: &[u8]) -> io::Result<u16> {
    let mut stream = send(address, request).await?;
    let mut bytes = Vec::new();
    loop {
        let count = read(&mut stream, SCRATCH_BYTES, |read| {
            bytes.extend_from_slice(read);
            read.len()
        });
        let count = count.await?;
        match parse_head(&bytes).map_err(io::Error::other)? {
            Some((head, _)) => return Ok(head.status),
            None if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => {}
        }
    }
}

/// Asks once and reads the whole answer, of at most so many bytes.
///
/// # Errors
/// The connection broke, or the answer is none, or is longer.
pub(crate) async fn fetch(
    address: SocketAddr,
    request: &[u8],
    bytes_max: usize,
) -> io::Result<(Head, Vec<u8>)> {
    let mut stream = send(address, request).await?;
    let (mut bytes, mut found) = (Vec::new(), None::<Head>);
    // Of the bytes, so many are of the body and have been taken from its framing.
    let mut done = 0;
    loop {
        let is_end = read(&mut stream, SCRATCH_BYTES, |read| {
            bytes.extend_from_slice(read);
            read.is_empty()
        });
        let is_end = is_end.await?;
        if bytes.len() > bytes_max {
            let why = format!("an answer of more than {bytes_max} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        if found.is_none()
            && let Some((head, length)) = parse_head(&bytes).map_err(io::Error::other)?
        {
            bytes.drain(..length);
            found = Some(head);
        }
        if let Some(head) = &mut found {
            let advanced = head.body.advance(&mut bytes[done..]).map_err(io::Error::other)?;
            done += advanced.forward;
            bytes.truncate(done);
            if is_end {
                head.body.close().map_err(io::Error::other)?;
            }
        } else if is_end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(head) = found.take_if(|head| head.body.is_ended()) {
            return Ok((head, bytes));
        }
    }
}

/// Reads a head from the beginning of `bytes`: the head and its length, or nothing yet. Interim responses are skipped.
///
/// # Errors
/// It is no head, in words for a person.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, String> {
    let mut skipped = 0;
    loop {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        let parsed = response.parse(&bytes[skipped..]);
        let length = match parsed.map_err(|error| format!("no HTTP response: {error}"))? {
            httparse::Status::Complete(length) => skipped + length,
            httparse::Status::Partial if bytes.len() - skipped > HEAD_BYTES_MAX => {
                return Err(format!("a response head of more than {HEAD_BYTES_MAX} bytes"));
            }
            httparse::Status::Partial => return Ok(None),
        };
        let status = response.code.unwrap_or_default();
        if !(100..200).contains(&status) {
            return Ok(Some((head(status, response.headers)?, length)));
        }
        skipped = length;
    }
}

/// RFC 9112 section 6.3.
fn head(status: u16, fields: &[httparse::Header<'_>]) -> Result<Head, String> {
    let field = |name: &str| {
        let found = fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| str::from_utf8(field.value).unwrap_or_default().trim())
    };
    let body = match (field("transfer-encoding"), field("content-length")) {
        _ if status == 204 || status == 304 => Body::none(),
        (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => {
            Body::chunked_response(Coding::Decoded)
        }
        (Some(coding), _) => return Err(format!("the transfer coding {coding:?}")),
        (None, Some(length)) => {
            Body::length(length.parse().map_err(|_| format!("the length {length:?}"))?)
        }
        (None, None) => Body::until_close(),
    };
    Ok(Head {
        status,
        body,
        // RFC 9110 section 10.2.3; dates are not needed by those we drill.
        retry_after: field("retry-after")
            .and_then(|text| text.parse().ok())
            .map(Duration::from_secs),
        is_marked: field(MARK).is_some(),
    })
}

#[cfg(test)]
mod tests {
    use outlast_testkit::ScriptedMachine;

    use super::*;

    #[test]
    fn heads_are_read_with_what_matters() {
        let parse = |text: &str| parse_head(text.as_bytes());
        let text = "HTTP/1.1 503 Full\r\nRetry-After: 5\r\nContent-Length: 3\r\n\r\n";
        let (head, length) = parse(&format!("{text}abc")).unwrap().unwrap();
        assert_eq!((head.status, length), (503, text.len()));
        assert_eq!(head.retry_after, Some(Duration::from_secs(5)));
        assert_eq!(head.body, Body::length(3));
        let interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\noutlast-drill: 1\r\n\r\n";
        let both = format!("{interim}{chunked}");
        let (head, length) = parse(&both).unwrap().unwrap();
        assert_eq!((head.status, head.is_marked, length), (200, true, both.len()));
        assert!(parse("HTTP/1.1 200 OK\r\n\r\n").unwrap().unwrap().0.body.is_until_close());
        for partial in ["", "HTTP/1.1 200", interim] {
            assert_eq!(parse(partial), Ok(None), "{partial:?}");
        }
        for wrong in [
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(HEAD_BYTES_MAX));
        assert!(parse(&endless).is_err());
    }

    #[tokio::test]
    async fn an_answer_is_read_whole_whatever_its_pieces_up_to_a_bound() {
        let machine = ScriptedMachine::start().await;
        let (to, request) = (machine.address(), b"GET / HTTP/1.1\r\n\r\n");
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = async |pieces: &[&str]| {
            let mut wire = machine.accept().await;
            wire.read_head().await;
            for piece in pieces {
                wire.send(piece).await;
            }
            wire.finish().await;
        };
        for (pieces, body) in [
            (&[chunked, "3\r\nab", "c\r\n2", "\r\nde\r\n0\r\n", "\r\n"][..], "abcde"),
            (&["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", "cd"], "abcd"),
            (&["HTTP/1.1 200 OK\r\n\r\nab", "c"], "abc"),
            (&["HTTP/1.1 204 No Content\r\n\r\n"], ""),
        ] {
            let (fetched, ()) = tokio::join!(fetch(to, request, 1_000), answer(pieces));
            assert_eq!(fetched.unwrap().1, body.as_bytes());
        }
        for (pieces, wrong) in [
            (&[chunked, "3\r\nabc\r\n"][..], "before the end"),
            (&["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab"], "before the end"),
            (&["HTTP/1.1 200 OK\r\n\r\n", &"x".repeat(2_000)], "more than 1000 bytes"),
        ] {
            let (fetched, ()) = tokio::join!(fetch(to, request, 1_000), answer(pieces));
            let error = fetched.unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[tokio::test]
    async fn reads_show_at_most_what_is_asked_for() {
        let machine = ScriptedMachine::start().await;
        let mut stream = send(machine.address(), b"hello").await.unwrap();
        let mut wire = machine.accept().await;
        assert_eq!(wire.read_exact(5).await, "hello");
        wire.send("abcdef").await;
        wire.finish().await;
        let mut seen = Vec::new();
        while let Some(bytes) = read(&mut stream, 4, |bytes| bytes.to_vec())
            .await
            .map(|bytes| Some(bytes).filter(|bytes| !bytes.is_empty()))
            .unwrap()
        {
            seen.push(bytes);
        }
        assert!(seen.iter().all(|bytes| bytes.len() <= 4) && seen.concat() == b"abcdef");
    }
}
