//! What a client reads when there is no answer of a machine: RFC 9457 bodies and RFC 9209 `Proxy-Status`.

use std::time::Duration;

use outlast_admission::Refusal;
use outlast_config::RefusalForm;
use outlast_http1::{BodyError, HeadError, Request};
use outlast_observe::{MachineFault, Outcome, RefusalReason, RequestId, Shortage, TimedClock};
use serde_json::json;

use crate::answer::Answer;
use crate::fields::asks_for;
use crate::shortage::singular;

/// How long a refused client should stay away, in seconds.
const RETRY_AFTER_SECONDS: u64 = 5;
/// What an `EventSource` asks for.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";
/// A drain is followed by a start.
const RETRY_AFTER_DRAIN_SECONDS: u64 = 1;

struct Problem<'a> {
    status: u16,
    kind: &'a str,
    title: &'a str,
    detail: String,
    proxy_error: &'a str,
    retry_after: Option<u64>,
}

/// The answer to an exchange that was not admitted (rule 4).
pub(crate) fn refused(refusal: Refusal, id: RequestId, region: &str) -> Answer {
    let (error, detail) = match refusal {
        Refusal::Limit => {
            ("connection_limit_reached", "all machines are at their hard limit".to_owned())
        }
        Refusal::QueueFull => (
            "connection_limit_reached",
            "all machines are at their hard limit and the queue is full".to_owned(),
        ),
        Refusal::QueueDeadline { waited } => (
            "connection_limit_reached",
            format!("all machines stayed at their hard limit for {}", milliseconds(waited)),
        ),
        Refusal::NoneHealthy { waited } => (
            "destination_unavailable",
            format!("no machine took traffic for {}", milliseconds(waited)),
        ),
        Refusal::Draining => ("connection_refused", "the gateway is shutting down".to_owned()),
    };
    let retry_after = match refusal {
        Refusal::Draining => RETRY_AFTER_DRAIN_SECONDS,
        _ => RETRY_AFTER_SECONDS,
    };
    let problem = Problem {
        status: 503,
        kind: reason(refusal).name(),
        title: "the service has no place for this request now",
        detail,
        proxy_error: error,
        retry_after: Some(retry_after),
    };
    problem.answer(Some((id, region)))
}

/// How a client is answered that an answer of ours says to come again, where its route says how: an `EventSource` knows
/// nothing of statuses, and gives up for good at all of them but 200 (WHATWG HTML section 9.2).
pub(crate) fn in_form(form: RefusalForm, answer: Answer) -> Answer {
    let Some(seconds) = answer.retry_after else { return answer };
    match form {
        RefusalForm::Problem => answer,
        RefusalForm::NoContent => {
            Answer { status: 204, retry_after: None, body: String::new(), ..answer }
        }
        RefusalForm::EventStream => Answer {
            status: 200,
            content_type: EVENT_STREAM,
            retry_after: None,
            body: event("outlast-refused", Some(seconds), answer.body.trim_end()),
            ..answer
        },
    }
}

/// What the client of a request can understand of what its route offers.
pub(crate) fn form_for(form: RefusalForm, request: &Request) -> RefusalForm {
    let is_event_source =
        || &*request.target.method == "GET" && asks_for(&request.wire, &[EVENT_STREAM]);
    if form != RefusalForm::Problem && is_event_source() { form } else { RefusalForm::Problem }
}

/// An event of one line of data, after which a client that loses the connection waits so long.
pub(crate) fn event(name: &str, retry_seconds: Option<u64>, data: &str) -> String {
    let retry = retry_seconds.map_or_else(String::new, |seconds| format!("retry: {seconds}000\n"));
    format!("{retry}event: {name}\ndata: {data}\n\n")
}

/// The reason as the record names it.
pub(crate) fn reason(refusal: Refusal) -> RefusalReason {
    match refusal {
        Refusal::Limit => RefusalReason::Limit,
        Refusal::QueueFull => RefusalReason::QueueFull,
        Refusal::QueueDeadline { .. } => RefusalReason::QueueDeadline,
        Refusal::NoneHealthy { .. } => RefusalReason::NoneHealthy,
        Refusal::Draining => RefusalReason::Draining,
    }
}

/// The log line of an exchange that found no place, in Fly's words; None for a drain, which says so once itself.
pub(crate) fn log_line(refusal: Refusal) -> Option<String> {
    let waited = match refusal {
        Refusal::Limit | Refusal::QueueFull => Duration::ZERO,
        Refusal::QueueDeadline { waited } | Refusal::NoneHealthy { waited } => waited,
        Refusal::Draining => return None,
    };
    Some(format!("[PR04] could not find a good candidate within {}", milliseconds(waited)))
}

/// The answer where a machine failed before its response began; None where that is the client's own doing.
pub(crate) fn failed(outcome: Outcome, id: RequestId, region: &str) -> Option<Answer> {
    let (status, error, detail) = match outcome {
        Outcome::MachineFailed(_, MachineFault::Connect) => {
            (502, "connection_refused", "the machine refused the connection")
        }
        Outcome::MachineFailed(_, MachineFault::Closed) => {
            (502, "connection_terminated", "the machine closed the connection before it answered")
        }
        Outcome::MachineFailed(_, MachineFault::Vanished) => {
            (504, "connection_read_timeout", "the machine does not answer any more")
        }
        Outcome::MachineFailed(_, MachineFault::Response(_)) => {
            (502, "http_protocol_error", "the machine's response is not valid HTTP/1.1")
        }
        Outcome::MachineFailed(_, MachineFault::Replay) => (
            502,
            "destination_not_found",
            "the machine sent the request on to one that is not there or has had it",
        ),
        Outcome::TimedOut(TimedClock::Connect) => {
            (504, "connection_timeout", "the machine did not accept the connection in time")
        }
        Outcome::TimedOut(TimedClock::ResponseHead) => {
            (504, "http_response_timeout", "the machine did not begin its response in time")
        }
        Outcome::TimedOut(TimedClock::Lifetime) => {
            (504, "http_response_timeout", "the exchange took longer than one may")
        }
        Outcome::TimedOut(TimedClock::Head) => {
            return Some(late("the request body did not come", Some((id, region))));
        }
        Outcome::Refused(RefusalReason::Shortage(missing)) => {
            return Some(short_of(missing, id, region));
        }
        _ => return None,
    };
    let problem = Problem {
        status,
        kind: outcome.name(),
        title: match outcome {
            // It may not have reached any machine.
            Outcome::TimedOut(TimedClock::Lifetime) => "the exchange took too long",
            _ => "the machine did not answer",
        },
        detail: detail.to_owned(),
        proxy_error: error,
        retry_after: None,
    };
    Some(problem.answer(Some((id, region))))
}

/// What would have been answered where a machine's response cannot continue what its client was told while it waited.
pub(crate) fn not_continued(status: u16, id: RequestId, region: &str) -> Answer {
    let problem = Problem {
        status: 502,
        kind: "not_continued",
        title: "the machine's response cannot follow",
        detail: format!(
            "the machine answered {status}, which cannot continue a response that has begun"
        ),
        proxy_error: "http_protocol_error",
        retry_after: None,
    };
    problem.answer(Some((id, region)))
}

/// The answer where we lack something for a connection to a machine: our own trouble, and no machine's.
fn short_of(missing: Shortage, id: RequestId, region: &str) -> Answer {
    let what = singular(missing);
    let problem = Problem {
        status: 503,
        kind: RefusalReason::Shortage(missing).name(),
        title: "the service has no place for this request now",
        detail: format!("the gateway has no {what} left for a connection to a machine"),
        proxy_error: "proxy_internal_error",
        retry_after: Some(RETRY_AFTER_SECONDS),
    };
    problem.answer(Some((id, region)))
}

/// The answer to a head that breaks a rule.
pub(crate) fn bad_request(error: &HeadError) -> Answer {
    let problem = Problem {
        status: error.status(),
        kind: "bad_request",
        title: "the request cannot be relayed",
        detail: error.to_string(),
        proxy_error: "http_request_error",
        retry_after: None,
    };
    problem.answer(None)
}

/// The answer to a request body that breaks the chunked coding before the response began.
pub(crate) fn bad_body(error: &BodyError, id: RequestId, region: &str) -> Answer {
    let problem = Problem {
        status: 400,
        kind: "bad_request",
        title: "the request cannot be relayed",
        detail: error.to_string(),
        proxy_error: "http_request_error",
        retry_after: None,
    };
    problem.answer(Some((id, region)))
}

/// The answer to a head that did not come in time.
pub(crate) fn head_timeout() -> Answer {
    late("the request head was not complete", None)
}

/// RFC 9110 section 15.5.9.
fn late(what: &str, id: Option<(RequestId, &str)>) -> Answer {
    let problem = Problem {
        status: 408,
        kind: "head_timeout",
        title: "the request did not come in time",
        detail: format!("{what} within clocks.head"),
        proxy_error: "http_request_error",
        retry_after: None,
    };
    problem.answer(id)
}

impl Problem<'_> {
    fn answer(&self, id: Option<(RequestId, &str)>) -> Answer {
        let request_id = id.map(|(id, region)| format!("{id}-{region}"));
        let body = json!({
            "type": format!("urn:outlast:problem:{}", self.kind),
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
        });
        Answer {
            status: self.status,
            content_type: "application/problem+json",
            retry_after: self.retry_after,
            lines: format!(
                "Proxy-Status: outlast; error={}; details=\"{}\"\r\n",
                self.proxy_error,
                self.detail.replace(['"', '\\'], "'"),
            ),
            body: format!("{body}\n"),
        }
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}
