//! The gateway's own paths under `/.outlast/`. They are for people and pages that have been let in, not for the app.

use outlast_http1::Request;

use crate::answer::Answer;
use crate::gateway::{Admittance, OwnRequest, Shared};

/// The pool beside the page: as `/api/pool` of the admin listener.
const POOL: &str = "/.outlast/pool";

pub(crate) fn answer(shared: &Shared, request: &Request) -> Answer {
    let empty = outlast_http1::Credentials::default();
    let credentials = request.credentials.as_deref().unwrap_or(&empty);
    let own_request =
        OwnRequest { host: &request.host, method: &request.target.method, credentials };
    match (shared.admittance)(&own_request) {
        Admittance::Denied { status, detail } => return problem(status, &detail),
        Admittance::Granted => {}
    }
    match (&*request.target.method, &*request.target.path) {
        ("GET" | "HEAD", POOL) => match shared.observe.pool(outlast_observe::PoolPart::All) {
            Some(pool) => json(serde_json::to_string(&pool).expect("a pool is plain data")),
            None => problem(503, "the pool is not known yet"),
        },
        (_, POOL) => problem(405, "only GET and HEAD are allowed here"),
        _ => problem(404, "the gateway has no such path"),
    }
}

fn json(body: String) -> Answer {
    let (content_type, lines) = ("application/json", String::new());
    Answer { status: 200, content_type, lines, retry_after: None, body }
}

fn problem(status: u16, detail: &str) -> Answer {
    let body = serde_json::json!({
        "type": "about:blank",
        "status": status,
        "detail": detail,
    });
    let lines = match status {
        401 => "WWW-Authenticate: Bearer\r\n".to_owned(),
        405 => "Allow: GET, HEAD\r\n".to_owned(),
        _ => String::new(),
    };
    let (content_type, body) = ("application/problem+json", format!("{body}\n"));
    Answer { status, content_type, lines, retry_after: None, body }
}
