//! Requests one after the other on a connection, as we and as hyper understand them.
//!
//! Whatever we send on must be, to hyper, exactly one request, and the same that hyper reads at this place of the
//! client's bytes. Then no machine that reads as hyper does can be made to see a request that we did not see. Where hyper
//! accepts more than we do, nothing is compared: what we refuse ends the connection.

#![no_main]

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use libfuzzer_sys::fuzz_target;
use outlast_fuzz::{Heard, check_head, converse};

fuzz_target!(|bytes: &[u8]| {
    let heard = converse(bytes, bytes.len());
    assert_eq!(heard, converse(bytes, 1 + bytes.len() / 20), "in pieces");
    let read_by_hyper = hyper(bytes);
    for (index, ours) in heard.iter().enumerate() {
        let sent_on = hyper(&ours.bytes);
        let Some(theirs) = sent_on.first() else {
            // hyper allows fewer characters in a target than we do, and answers 400. That is the machine's to decide.
            assert!(!is_uri(ours), "hyper refuses {}", ours.bytes.escape_ascii());
            return;
        };
        assert_eq!(sent_on.len(), 1, "more than one in {}", ours.bytes.escape_ascii());
        assert!(theirs.is_whole, "less than one in {}", ours.bytes.escape_ascii());
        assert_eq!(theirs.method, *ours.target.method);
        assert_eq!(theirs.target, target(ours));
        assert_eq!(theirs.host, ours.host.as_bytes());
        let end = ours.bytes.windows(4).position(|window| window == b"\r\n\r\n");
        check_head(&ours.bytes[..end.expect("a head was sent on") + 4]);
        let Some(first) = read_by_hyper.get(index) else {
            // Nor does it allow every host in an absolute-form that RFC 3986 section 3.2.2 allows: not one with `%`.
            assert!(
                !is_authority(ours),
                "hyper does not see request {index} of {}",
                bytes.escape_ascii()
            );
            return;
        };
        // `OPTIONS http://host` becomes `OPTIONS *`, which hyper leaves to its user (RFC 9112 section 3.2.4).
        let is_same_target =
            first.target == theirs.target || (first.target == "/" && theirs.target == "*");
        assert!(
            is_same_target
                && (&first.method, &first.body) == (&theirs.method, &theirs.body)
                && first.is_whole,
            "request {index} of {}: {first:?} is sent on as {theirs:?}",
            bytes.escape_ascii()
        );
    }
});

fn target(heard: &Heard) -> String {
    match &heard.target.query {
        Some(query) => format!("{}?{query}", heard.target.path),
        None => heard.target.path.to_string(),
    }
}

fn is_uri(heard: &Heard) -> bool {
    target(heard).parse::<http::uri::PathAndQuery>().is_ok()
}

fn is_authority(heard: &Heard) -> bool {
    heard.host.parse::<http::uri::Authority>().is_ok()
}

/// A request as hyper's server understands it.
#[derive(Debug)]
struct Seen {
    method: String,
    target: String,
    host: Vec<u8>,
    body: Vec<u8>,
    is_whole: bool,
}

/// All requests that hyper's server sees in the bytes before it ends the connection.
fn hyper(bytes: &[u8]) -> Vec<Seen> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: http::Request<Incoming>| {
        let seen = Rc::clone(&seen);
        async move {
            let (head, mut body) = request.into_parts();
            let mut collected = Vec::new();
            let is_whole = loop {
                match body.frame().await {
                    None => break true,
                    Some(Ok(frame)) => collected.extend(frame.into_data().unwrap_or_default()),
                    Some(Err(_)) => break false,
                }
            };
            let target = head.uri.path_and_query().map_or("", |target| target.as_str());
            seen.borrow_mut().push(Seen {
                method: head.method.to_string(),
                target: target.to_owned(),
                host: head
                    .headers
                    .get("host")
                    .map_or_else(Vec::new, |host| host.as_bytes().to_vec()),
                body: collected,
                is_whole,
            });
            Ok::<_, Infallible>(http::Response::new(Empty::<Bytes>::new()))
        }
    });
    let mut server = http1::Builder::new();
    // So that it does not refuse what has more fields than it thinks good, nor what ends with the client's close.
    server.max_headers(256).half_close(true);
    let connection = server.serve_connection(Wire { unread: bytes.to_vec(), at: 0 }, service);
    run(connection);
    seen.take()
}

/// Polls until it is done. It never waits for anything but itself.
fn run(connection: impl Future) {
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut connection = pin!(connection);
    while woken.0.swap(false, Ordering::Relaxed) {
        if connection.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            return;
        }
    }
    panic!("hyper waits for nothing");
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The client's bytes, then its close. What hyper answers is of no interest.
struct Wire {
    unread: Vec<u8>,
    at: usize,
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &self.unread[self.at..];
        let count = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..count]);
        self.at += count;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
