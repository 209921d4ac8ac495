//! What apps write about their requests, each framework in its own way.
//!
//! They differ in what they tell: some know how long the whole answer took, some only how long its head took, some nothing.

use super::cast::Cast;
use super::drive::Exchange;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// Go, chi: one line at the end.
    Chi,
    /// Node, Fastify: JSON at the beginning and at the end.
    Fastify,
    /// nginx in front of the app, in the same machine: one line at the end, with the request time.
    Nginx,
    /// Node, Hono: lines at the head, which say nothing of the rest; the app itself tells of its runs.
    HonoRuns,
    /// Node, morgan's `dev`: a line at the end with the time that the head took.
    Morgan,
    /// Go, Gin: one line at the end.
    Gin,
    /// Node, pino-http: JSON at the end.
    Pino,
    /// Next.js: one line at the end.
    Next,
    /// Caddy in front of the app: JSON at the end.
    Caddy,
    /// Python, uvicorn: a line at the head without a time; the app itself tells of its runs.
    UvicornRuns,
    /// Elixir, Phoenix: two lines, the second one with the head.
    Phoenix,
}

/// How it was for the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Whole,
    ClientGone,
    /// The app itself came to its end, and writes nothing.
    Cut,
}

/// A line: when, and what.
pub(super) type Said = (f64, String);

/// What the app writes about an exchange that came to it.
pub(super) fn say(voice: Voice, one: &Exchange, end: f64, cast: &Cast) -> Vec<Said> {
    let ending = match &*one.outcome {
        "completed" => Ending::Whole,
        "client_gone" => Ending::ClientGone,
        _ => Ending::Cut,
    };
    if one.status == 101 {
        return socket(voice, one, end, ending, cast);
    }
    let mut said = begin(voice, one, cast);
    let at_head = matches!(voice, Voice::HonoRuns | Voice::UvicornRuns | Voice::Phoenix);
    match ending {
        Ending::Whole => {
            let when = if at_head { one.head } else { end };
            said.push((when, whole(voice, one, end, cast)));
        }
        Ending::ClientGone => said.extend(gone(voice, one, end, cast).map(|text| (end, text))),
        Ending::Cut => {}
    }
    said.extend(run_ends(voice, one, end, ending, cast).map(|text| (end, text)));
    said
}

fn begin(voice: Voice, one: &Exchange, cast: &Cast) -> Vec<Said> {
    let (Exchange { method, path, .. }, at) = (one, one.served);
    let short = cast.short(&one.id);
    let text = match voice {
        Voice::Fastify => format!(
            r#"{{"level":30,"time":{},"pid":637,"hostname":"{}","reqId":"req-{short}","req":{{"method":"{method}","url":"{path}","host":"{}","remoteAddress":"172.16.7.2","remotePort":{}}},"msg":"incoming request"}}"#,
            cast.unix_ms(at),
            cast.machine(one.machine.unwrap_or(0)),
            cast.host(),
            cast.port(&one.id)
        ),
        Voice::HonoRuns => format!("<-- {method} {path}"),
        Voice::Phoenix => {
            format!("{} request_id={short} [info] {method} {path}", cast.clock_ms(at))
        }
        Voice::UvicornRuns if is_run(one) => {
            format!("{} INFO chat: run {short} started", cast.python(at))
        }
        _ => return Vec::new(),
    };
    let mut said = vec![(at, text)];
    if voice == Voice::HonoRuns && is_run(one) {
        said.push((at, format!("[chat] run {short} started")));
    }
    said
}

/// Whether the app makes a run of it.
fn is_run(one: &Exchange) -> bool {
    one.method == "POST"
}

fn run_ends(voice: Voice, one: &Exchange, end: f64, ending: Ending, cast: &Cast) -> Option<String> {
    let (short, took) = (cast.short(&one.id), end - one.served);
    match (voice, ending) {
        _ if !is_run(one) => None,
        (Voice::HonoRuns, Ending::Whole) => {
            Some(format!("[chat] run {short} done after {took:.1}s"))
        }
        (Voice::UvicornRuns, Ending::Whole) => {
            Some(format!("{} INFO chat: run {short} finished in {took:.1}s", cast.python(end)))
        }
        (Voice::UvicornRuns, Ending::ClientGone) => {
            let why = "client disconnected";
            Some(format!("{} WARNING chat: run {short} cancelled: {why}", cast.python(end)))
        }
        _ => None,
    }
}

fn whole(voice: Voice, one: &Exchange, end: f64, cast: &Cast) -> String {
    let Exchange { method, path, status, bytes, .. } = one;
    let (took, head) = (end - one.served, one.head - one.served);
    let (ms, head_ms) = (took * 1_000.0, head * 1_000.0);
    let short = cast.short(&one.id);
    match voice {
        Voice::Chi => format!(
            "{} \"{method} http://{}{path} HTTP/1.1\" from {}:{} - {status} {bytes}B in {}",
            cast.go(end),
            cast.host(),
            cast.client(&one.id),
            cast.port(&one.id),
            go_duration(took)
        ),
        Voice::Fastify => format!(
            r#"{{"level":30,"time":{},"pid":637,"hostname":"{}","reqId":"req-{short}","res":{{"statusCode":{status}}},"responseTime":{ms:.6},"msg":"request completed"}}"#,
            cast.unix_ms(end),
            cast.machine(one.machine.unwrap_or(0))
        ),
        Voice::Nginx => nginx(one, *status, end, cast),
        Voice::HonoRuns if head < 1.0 => format!("--> {method} {path} {status} {head_ms:.0}ms"),
        Voice::HonoRuns => format!("--> {method} {path} {status} {head:.0}s"),
        // It tells a length only where the response has one.
        Voice::Morgan if one.is_chunked() => {
            format!("{method} {path} {status} {head_ms:.3} ms - -")
        }
        Voice::Morgan => format!("{method} {path} {status} {head_ms:.3} ms - {bytes}"),
        Voice::Gin => format!(
            "[GIN] {} | {status} | {:>13} | {:>15} | {method:<7}  \"{path}\"",
            cast.gin(end),
            go_duration(took),
            cast.client(&one.id)
        ),
        Voice::Pino => format!(
            r#"{{"level":30,"time":{},"pid":318,"hostname":"{}","req":{{"id":"{short}","method":"{method}","url":"{path}","remoteAddress":"::ffff:172.16.5.10"}},"res":{{"statusCode":{status}}},"responseTime":{ms:.0},"msg":"request completed"}}"#,
            cast.unix_ms(end),
            cast.machine(one.machine.unwrap_or(0))
        ),
        Voice::Next => format!(" {method} {path} {status} in {ms:.0}ms"),
        Voice::Caddy => caddy(one, *status, end, cast),
        Voice::UvicornRuns => format!(
            "INFO:     {}:{} - \"{method} {path} HTTP/1.1\" {status} {}",
            cast.client(&one.id),
            cast.port(&one.id),
            reason(*status)
        ),
        Voice::Phoenix => {
            let how = if one.is_chunked() { "Chunked" } else { "Sent" };
            let at = cast.clock_ms(one.head);
            format!("{at} request_id={short} [info] {how} {status} in {head_ms:.0}ms")
        }
    }
}

fn reason(status: u64) -> &'static str {
    match status {
        500 => "Internal Server Error",
        504 => "Gateway Timeout",
        _ => "OK",
    }
}

/// What is written of a client that has left.
fn gone(voice: Voice, one: &Exchange, end: f64, cast: &Cast) -> Option<String> {
    let Exchange { method, path, .. } = one;
    let short = cast.short(&one.id);
    Some(match voice {
        Voice::Chi => format!(
            "{} ERROR stream ended early path={path} err=\"context canceled\"",
            cast.go(end)
        ),
        Voice::Fastify => format!(
            r#"{{"level":30,"time":{},"pid":637,"hostname":"{}","reqId":"req-{short}","msg":"stream closed prematurely"}}"#,
            cast.unix_ms(end),
            cast.machine(one.machine.unwrap_or(0))
        ),
        Voice::Nginx => nginx(one, 499, end, cast),
        Voice::HonoRuns => {
            format!("[chat] run {short} failed: AbortError: The operation was aborted")
        }
        Voice::Morgan => format!("{method} {path} - - ms - -"),
        Voice::Gin => format!("Error #01: write tcp 172.16.5.10:8080: write: broken pipe ({path})"),
        Voice::Pino => format!(
            r#"{{"level":30,"time":{},"pid":318,"hostname":"{}","req":{{"id":"{short}","method":"{method}","url":"{path}"}},"res":{{"statusCode":null}},"responseTime":{:.0},"msg":"request aborted"}}"#,
            cast.unix_ms(end),
            cast.machine(one.machine.unwrap_or(0)),
            (end - one.served) * 1_000.0
        ),
        Voice::Next => "Error: aborted { code: 'ECONNRESET' }".to_owned(),
        Voice::Caddy => caddy(one, 499, end, cast),
        // The run's own line says it.
        Voice::UvicornRuns => return None,
        Voice::Phoenix => format!(
            "{} request_id={short} [info] {method} {path} closed by peer",
            cast.clock_ms(end)
        ),
    })
}

fn nginx(one: &Exchange, status: u64, end: f64, cast: &Cast) -> String {
    let took = end - one.served;
    format!(
        "{} - - [{}] \"{} {} HTTP/1.1\" {status} {} \"-\" \"{}\" rt={took:.3} urt={took:.3}",
        cast.client(&one.id),
        cast.common(end),
        one.method,
        one.path,
        one.bytes,
        cast.browser(&one.id)
    )
}

fn caddy(one: &Exchange, status: u64, end: f64, cast: &Cast) -> String {
    format!(
        r#"{{"level":"info","ts":{:.6},"logger":"http.log.access","msg":"handled request","request":{{"remote_ip":"172.16.5.10","client_ip":"{}","proto":"HTTP/1.1","method":"{}","host":"{}","uri":"{}"}},"bytes_read":0,"duration":{:.6},"size":{},"status":{status}}}"#,
        cast.unix_ms(end) as f64 / 1_000.0,
        cast.client(&one.id),
        one.method,
        cast.host(),
        one.path,
        end - one.served,
        one.bytes
    )
}

/// WebSockets are told of by the app, whatever serves them.
fn socket(voice: Voice, one: &Exchange, end: f64, ending: Ending, cast: &Cast) -> Vec<Said> {
    let (short, took) = (cast.short(&one.id), end - one.served);
    let began = match voice {
        Voice::UvicornRuns => format!(
            "INFO:     ('{}', {}) - \"WebSocket {}\" [accepted]",
            cast.client(&one.id),
            cast.port(&one.id),
            one.path
        ),
        _ => format!("[ws] {short} connected path={}", one.path),
    };
    let mut said = vec![(one.head, began)];
    if ending != Ending::Cut {
        let code = if ending == Ending::Whole { 1000 } else { 1001 };
        said.push((end, format!("[ws] {short} disconnected code={code} after {took:.0}s")));
    }
    said
}

/// What the app writes when a ping was not answered.
pub(super) fn no_pong(
    voice: Voice,
    request: &str,
    at: f64,
    pings: (f64, f64),
    cast: &Cast,
) -> String {
    let short = cast.short(request);
    match voice {
        Voice::HonoRuns | Voice::Fastify => {
            format!("[ws] No pong from {short} within {:.0}s, terminating dead connection", pings.1)
        }
        Voice::Morgan => format!("socket.io: {short} disconnect: ping timeout"),
        Voice::UvicornRuns => format!(
            "{} ERROR websockets.server: keepalive ping failed for {short}: keepalive ping timeout; no close frame received",
            cast.python(at)
        ),
        _ => format!(
            "{} ws: {short}: no pong for {:.0}s, dropping client: i/o timeout",
            cast.go(at),
            pings.0 + pings.1
        ),
    }
}

/// As Go prints a duration.
fn go_duration(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.6}ms", s * 1_000.0),
        s if s < 60.0 => format!("{s:.9}s"),
        s if s < 3_600.0 => format!("{}m{:.9}s", (s / 60.0).floor(), s % 60.0),
        s => format!("{}h{}m{:.9}s", (s / 3_600.0).floor(), (s % 3_600.0 / 60.0).floor(), s % 60.0),
    }
}
