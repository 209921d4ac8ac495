//! Responses that are the gateway's own.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::task::{Poll, ready};
use std::time::Duration;

use outlast_http1::Transport;
use outlast_observe::{ConnectionClose, RequestId};
use outlast_runtime::clock;

/// How long a client may take to read an answer and to close after it.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// So much is thrown away after an answer: more than was on its way when the client could read it, 125 MB/s over 100 ms.
const CLOSE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// It is thrown away in pieces of so much.
const CLOSE_READ_BYTES: usize = 16 * 1024;

const WRITES: &str = "writing to a string succeeds";

/// What happens to the client's connection after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It may carry another request.
    KeepAlive,
    /// It is closed after what was written has been taken.
    Close,
    /// It is closed at once: the client is gone, or sees what is missing.
    Drop,
}

/// A complete response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    /// Complete field lines.
    pub(crate) lines: String,
    /// When the client may try again, in seconds.
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: String,
}

impl Answer {
    /// The bytes on the wire, with or without body.
    fn wire(&self, id: Option<(RequestId, &str)>, next: Next, include: Include) -> Vec<u8> {
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nServer: outlast\r\nVia: 1.1 outlast\r\nCache-Control: no-store\r\n",
            self.status,
            reason(self.status),
        );
        // RFC 9110 section 8.6: where there can be no body, none is described.
        if self.status != 204 {
            let (content_type, length) = (self.content_type, self.body.len());
            write!(head, "Content-Type: {content_type}\r\nContent-Length: {length}\r\n")
                .expect(WRITES);
        }
        if let Some(seconds) = self.retry_after {
            write!(head, "Retry-After: {seconds}\r\n").expect(WRITES);
        }
        head.push_str(&self.lines);
        if let Some((id, region)) = id {
            write!(head, "Fly-Request-Id: {id}-{region}\r\n").expect(WRITES);
        }
        if next != Next::KeepAlive {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        if include == Include::Body {
            head.push_str(&self.body);
        }
        head.into_bytes()
    }

    /// Writes the answer. Returns how many bytes, and what is left to do with the connection.
    pub(crate) async fn send<T: Transport>(
        &self,
        client: &mut T,
        id: Option<(RequestId, &str)>,
        next: Next,
        include: Include,
    ) -> (usize, Next) {
        let wire = self.wire(id, next, include);
        let written = write(client, &wire).await;
        (written, if written == wire.len() { next } else { Next::Drop })
    }
}

/// Writes a few bytes to a client, and says how many it took: one that does not take a kilobyte in this time does not wait
/// for it.
pub(crate) async fn write<T: Transport>(client: &mut T, wire: &[u8]) -> usize {
    let mut written = 0;
    let write = poll_fn(|cx| {
        while written < wire.len() {
            match client.poll_write(cx, &wire[written..]) {
                Poll::Ready(Ok(count)) if count > 0 => written += count,
                Poll::Ready(_failed) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    });
    let _in_time = clock::timeout(CLOSE_TIMEOUT, write).await;
    written
}

/// Whether the body is sent: not in answer to `HEAD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Include {
    Body,
    HeadOnly,
}

/// Closes so that the client gets everything: FIN, then its remaining bytes are thrown away until it closes too. A plain
/// close with unread bytes would be a reset, which may overtake the answer (RFC 9112 section 9.6).
///
/// # Errors
/// The client did not close, and a limit did.
pub(crate) async fn close_politely<T: Transport>(client: &mut T) -> Result<(), ConnectionClose> {
    let closed = async {
        if poll_fn(|cx| client.poll_finish(cx)).await.is_err() {
            return Ok(());
        }
        let mut left = CLOSE_BYTES_MAX;
        poll_fn(|cx| {
            // Only while something is read: a client that is waited for holds no buffer.
            let mut buffer = [0; CLOSE_READ_BYTES];
            loop {
                match ready!(client.poll_read(cx, &mut buffer)) {
                    Ok(0) | Err(_) => return Poll::Ready(Ok(())),
                    Ok(read) if read < left => left -= read,
                    Ok(_) => return Poll::Ready(Err(ConnectionClose::CloseBytesMax)),
                }
            }
        })
        .await
    };
    let closed = clock::timeout(CLOSE_TIMEOUT, closed).await;
    closed.unwrap_or(Err(ConnectionClose::CloseTimeout))
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    }
}
