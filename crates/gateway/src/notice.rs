//! Telling a client that waits for its place that it does, within the response it waits for.
//!
//! The response begins before there is a machine to answer: the status is 200 whatever comes, and the fields of the machine's
//! head are lost. So it is done only where a route says so, and for a client that asks for the very type and sent nothing that
//! another answer could suit better; and only once it has waited for a while. A machine's body follows in the same response if
//! it is of that type. Whatever else happens is told by a last message, and the response is cut: it never looks whole.

use std::future::{Future, poll_fn};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use outlast_config::QueueNotice;
use outlast_http1::{Inbox, MessageKind, Observer as _, Request, Transport, Version};
use outlast_observe::Record;
use outlast_protocol::pool::Queued;
use outlast_runtime::clock;

use crate::answer::{self, Answer};
use crate::fields::{asks_for, has_any, value_of};
use crate::gateway::Lane;
use crate::headers;
use crate::refusal::{EVENT_STREAM, event};
use crate::watch::{Interrupted, watching_and};

/// Who waits no longer than this gets its answer as if it had not waited: with its own status and head.
const DELAY: Duration = Duration::from_secs(1);
/// How often it is looked whether there is something to tell.
const INTERVAL: Duration = Duration::from_secs(1);
/// A position that does not change is told again after so long: a sign of life.
const REPEAT: Duration = Duration::from_secs(10);

/// The types in which a client may ask for lines.
const LINE_TYPES: [&str; 2] = ["application/x-ndjson", "application/ndjson"];
/// Fields to which an answer other than 200 may be the right one.
const CONDITIONS: [&str; 7] = [
    "range",
    "if-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "expect",
];

/// What a client that waits is told, and has been told.
#[derive(Debug)]
pub(crate) struct Notice {
    form: QueueNotice,
    /// The head, until it is sent.
    head: Option<String>,
    /// What the client has not taken yet.
    unsent: Vec<u8>,
    told: Option<(usize, clock::Instant)>,
}

impl Notice {
    /// What a client can be told, if its route offers it and its request fits.
    pub(crate) fn offered(
        form: Option<QueueNotice>,
        request: &Request,
        lines: impl FnOnce() -> String,
    ) -> Option<Self> {
        let form = form?;
        let types: &[&str] = match form {
            QueueNotice::Sse => &[EVENT_STREAM],
            QueueNotice::Ndjson => &LINE_TYPES,
        };
        let fits = request.version == Version::Http11
            && matches!(&*request.target.method, "GET" | "POST")
            && request.upgrade.is_none()
            && !request.expects_continue
            && asks_for(&request.wire, types)
            && !has_any(&request.wire, &CONDITIONS)
            && is_of_this_origin(request);
        fits.then(|| {
            let close = if request.keep_alive { "" } else { "Connection: close\r\n" };
            let head = format!(
                "HTTP/1.1 200 OK\r\nServer: outlast\r\nContent-Type: {}\r\nCache-Control: no-store\r\n\
                 X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n{}{close}\r\n",
                types[0],
                lines(),
            );
            Self { form, head: Some(head), unsent: Vec::new(), told: None }
        })
    }

    /// What the client has got already.
    pub(crate) fn begun(&self) -> Option<QueueNotice> {
        self.head.is_none().then_some(self.form)
    }

    /// Waits for `place`, and tells the client meanwhile. As [`watching`](crate::watch::watching) otherwise.
    pub(crate) async fn tell_while<T: Transport, F: Future>(
        &mut self,
        lane: &Lane,
        client: &mut T,
        inbox: &mut Inbox,
        record: &Record,
        place: F,
    ) -> Result<F::Output, Interrupted> {
        let mut timer = Box::pin(clock::sleep(DELAY));
        let told = watching_and(client, inbox, record, place, |cx, client: &mut T| {
            loop {
                ready!(self.poll_flush(cx, client, record))?;
                ready!(timer.as_mut().poll(cx));
                self.look(lane, record);
                timer.as_mut().reset(clock::now() + INTERVAL);
            }
        });
        let place = told.await?;
        self.flush(client, record).await?;
        Ok(place)
    }

    /// Puts down what there is to tell now.
    fn look(&mut self, lane: &Lane, record: &Record) {
        let Some(queued) = lane.service.queued_now(record.id()) else { return };
        let is_told = |(position, at): (usize, clock::Instant)| {
            position == queued.position && at.elapsed() < REPEAT
        };
        if self.told.is_some_and(is_told) {
            return;
        }
        self.told = Some((queued.position, clock::now()));
        if let Some(head) = self.head.take() {
            self.unsent.extend_from_slice(head.as_bytes());
            record.answered(200, 0);
        }
        self.unsent.extend_from_slice(&chunk(&message(self.form, queued)));
    }

    fn poll_flush<T: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut T,
        record: &Record,
    ) -> Poll<Result<(), Interrupted>> {
        while !self.unsent.is_empty() {
            match ready!(client.poll_write(cx, &self.unsent)) {
                Ok(written) if written > 0 => {
                    self.unsent.drain(..written);
                    record.sent(written);
                }
                Ok(_) => return Poll::Ready(Err(Interrupted::gone(None))),
                Err(error) => return Poll::Ready(Err(Interrupted::gone(Some(&error)))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what is left, before anything else is. It is little.
    pub(crate) async fn flush<T: Transport>(
        &mut self,
        client: &mut T,
        record: &Record,
    ) -> Result<(), Interrupted> {
        // What was written is known at every moment: who gives up amid a chunk must not put a last word into it.
        let flush = poll_fn(|cx| self.poll_flush(cx, client, record));
        let flushed = clock::timeout(answer::CLOSE_TIMEOUT, flush).await;
        flushed.unwrap_or(Err(Interrupted::gone(None)))
    }
}

/// Pages of other origins may read a response only if its head says so, and that head would be the machine's.
fn is_of_this_origin(request: &Request) -> bool {
    let Some(origin) = value_of(&request.wire, "origin") else { return true };
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(&request.host))
}

/// What a machine's response has to be to follow.
pub(crate) fn kind(form: QueueNotice) -> MessageKind {
    match form {
        QueueNotice::Sse => MessageKind::Events,
        QueueNotice::Ndjson => MessageKind::Lines,
    }
}

/// The head for a machine whose response has to follow as it is: with nothing encoded.
pub(crate) fn ask_for_identity(request: &mut Request) {
    request.wire = crate::fields::without(&request.wire, "accept-encoding");
    request.wire.extend_from_slice(b"Accept-Encoding: identity\r\n");
}

/// The last message of a response that has begun, and whose body will not come: what would have been answered. Nothing ends
/// the response after it.
pub(crate) fn last_word(form: QueueNotice, answer: &Answer) -> Vec<u8> {
    let problem = answer.body.trim_end();
    chunk(&match form {
        QueueNotice::Sse => event("error", answer.retry_after, problem),
        QueueNotice::Ndjson => {
            let problem: serde_json::Value =
                serde_json::from_str(problem).expect("a problem is JSON of ours");
            let line = serde_json::json!({
                "type": "error",
                "error": problem["detail"],
                "problem": problem,
            });
            format!("{line}\n")
        }
    })
}

fn message(form: QueueNotice, queued: Queued) -> String {
    let mut data = serde_json::to_value(queued).expect("plain data");
    match form {
        QueueNotice::Sse => event("outlast-queue", None, &data.to_string()),
        QueueNotice::Ndjson => {
            data["type"] = "outlast_queue".into();
            format!("{data}\n")
        }
    }
}

fn chunk(data: &str) -> Vec<u8> {
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}

/// The gateway's own lines of a head that begins before the machine's.
pub(crate) fn lines(lane: &Lane, record: &Record) -> String {
    headers::for_client(lane.shared.observe.region(), record.id())
}
