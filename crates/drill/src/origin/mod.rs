//! The built-in origin: a server that sends what it is told to, in lines that prove themselves.
//!
//! It answers `/ndjson`, `/sse`, `/plain` and `POST /api/chat`. What it sends, when, and how it breaks off follows from a
//! script (see [`HELP`]), in the query or in the field `Outlast-Drill-Script`. It forgets everything between two requests: the same
//! script gives the same bytes.

mod script;

use std::io;
use std::time::Duration;

use outlast_protocol::chat::ChatRequest;
use outlast_runtime::random::Seeded;
use outlast_runtime::{Tasks, clock};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::desk::SCRIPT;
use crate::line::{Content, push};
use crate::plan::Kind;
use crate::wire;
pub use script::HELP;
use script::Script;

/// A request that is longer is none.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;
const FIELDS_MAX: usize = 100;
/// After an accept that failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the future is dropped, and with it every connection.
///
/// # Errors
/// The listener itself fails.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let tasks = Owned(Tasks::default());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => tasks.0.spawn(async move {
                // A client that leaves is no error here.
                let _left = answer_all(stream).await;
            }),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(error),
            Err(_) => clock::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Ends its tasks when it is dropped.
struct Owned(Tasks);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What a request asks for.
struct Asked {
    kind: Kind,
    id: String,
    script: Script,
}

/// Why a request is not answered with a stream.
struct Refusal {
    status: u16,
    text: String,
}

async fn answer_all(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut ahead = Vec::new();
    // What is short is boxed: a stream that is sent for hours keeps no room for it.
    while let Some(asked) = Box::pin(read_request(&mut stream, &mut ahead)).await? {
        match asked {
            Ok(asked) if asked.script.status != 200 => refuse(&mut stream, &asked.script).await?,
            Ok(asked) if asked.kind == Kind::Plain => plain(&mut stream, &asked).await?,
            Ok(asked) => {
                ahead.shrink_to_fit();
                if send_stream(&mut stream, &asked).await? == Sent::Cut {
                    return Ok(());
                }
            }
            Err(refusal) => {
                let text = refusal.text;
                let head =
                    head(refusal.status, "text/plain", &format!("Content-Length: {}", text.len()));
                stream.write_all(format!("{head}{text}").as_bytes()).await?;
            }
        }
    }
    Ok(())
}

/// Head and body of the next request; None when the client has closed.
async fn read_request(
    stream: &mut TcpStream,
    ahead: &mut Vec<u8>,
) -> io::Result<Option<Result<Asked, Refusal>>> {
    loop {
        let whole = match request_length(ahead) {
            Ok(whole) => whole,
            Err(text) => return Ok(Some(Err(Refusal { status: 400, text }))),
        };
        if let Some((head, length)) = whole.filter(|(_, length)| *length <= ahead.len()) {
            let rest = ahead.split_off(length);
            let request = std::mem::replace(ahead, rest);
            return Ok(Some(understand(&request[..head], &request[head..])));
        }
        if ahead.len() > REQUEST_BYTES_MAX {
            let text = "the request is too long\n".to_owned();
            return Ok(Some(Err(Refusal { status: 413, text })));
        }
        let read = wire::read(stream, REQUEST_BYTES_MAX, |bytes| {
            ahead.extend_from_slice(bytes);
            bytes.len()
        });
        if read.await? == 0 {
            return Ok(None);
        }
    }
}

/// The lengths of the head and of the whole, once the head is there.
fn request_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, String> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(bytes).map_err(|error| format!("no HTTP request: {error}\n"))?;
    let httparse::Status::Complete(head) = parsed else { return Ok(None) };
    let length = match field(request.headers, "content-length") {
        Some(length) => length.parse::<usize>().map_err(|error| format!("{error}\n"))?,
        None => 0,
    };
    Ok(Some((head, head.saturating_add(length))))
}

fn field<'h>(fields: &[httparse::Header<'h>], name: &str) -> Option<&'h str> {
    let found = fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
    str::from_utf8(found.value).ok()
}

fn understand(head: &[u8], body: &[u8]) -> Result<Asked, Refusal> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(head);
    debug_assert!(parsed.is_ok_and(|parsed| parsed.is_complete()), "it was parsed before");
    let target = request.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let wrong = |status, text: String| Refusal { status, text };
    let kind = Kind::ALL.into_iter().find(|kind| kind.default_path() == path);
    let kind = kind.ok_or_else(|| wrong(404, HELP.to_owned()))?;
    let mut script = Script::default();
    if kind == Kind::Chat {
        let pace = field(request.headers, "outlast-drill-pace");
        script.pace(pace.unwrap_or("2s")).map_err(|text| wrong(400, text))?;
    }
    let told = field(request.headers, SCRIPT).unwrap_or_default();
    for text in [told, query] {
        script.read(text).map_err(|text| wrong(400, text))?;
    }
    let mut id = script.id.clone();
    if kind == Kind::Chat {
        let chat: ChatRequest =
            serde_json::from_slice(body).map_err(|error| wrong(400, format!("{error}\n")))?;
        id = chat.request_id;
    }
    Ok(Asked { kind, id, script })
}

fn head(status: u16, kind: &str, framing: &str) -> String {
    format!(
        "HTTP/1.1 {status} Scripted\r\nContent-Type: {kind}\r\nOutlast-Drill: 1\r\n\
         Cache-Control: no-store\r\n{framing}\r\n\r\n"
    )
}

async fn refuse(stream: &mut TcpStream, script: &Script) -> io::Result<()> {
    let framing = format!("Retry-After: {}\r\nContent-Length: 0", script.retry_after);
    stream.write_all(head(script.status, "text/plain", &framing).as_bytes()).await
}

async fn plain(stream: &mut TcpStream, asked: &Asked) -> io::Result<()> {
    let mut body = Vec::new();
    push(&mut body, Kind::Plain, &asked.id, 0, Content::Text(asked.script.bytes));
    push(&mut body, Kind::Plain, &asked.id, 1, Content::End);
    let mut chance = Seeded::new(asked.script.seed);
    clock::sleep(asked.script.first.draw(&mut chance)).await;
    let head = head(200, "application/x-ndjson", &format!("Content-Length: {}", body.len()));
    stream.write_all(&[head.as_bytes(), &body].concat()).await
}

#[derive(PartialEq, Eq)]
enum Sent {
    Whole,
    /// The connection is to be closed within the response.
    Cut,
}

async fn send_stream(stream: &mut TcpStream, asked: &Asked) -> io::Result<Sent> {
    let Asked { kind, id, script } = asked;
    let content_type = match kind {
        Kind::Sse => "text/event-stream",
        _ => "application/x-ndjson",
    };
    let head = head(200, content_type, "Transfer-Encoding: chunked");
    stream.write_all(head.as_bytes()).await?;
    let mut chance = Seeded::new(script.seed);
    let mut due = clock::now() + script.first.draw(&mut chance);
    for seq in 0..=script.lines {
        // Who goes on later has its gaps counted from there, and drawn as they were.
        if seq > 0 {
            let gap = script.gap.draw(&mut chance);
            due += if seq > script.from { gap } else { Duration::ZERO };
        }
        if seq < script.from {
            continue;
        }
        if let Some((_, stall)) = script.stall.filter(|(line, _)| *line == seq) {
            due += stall;
        }
        clock::sleep_until(due).await;
        if script.cut == Some(seq) {
            return Ok(Sent::Cut);
        }
        if script.false_end == Some(seq) {
            break;
        }
        let is_end = seq == script.lines;
        let content = if is_end { Content::End } else { Content::Text(script.bytes) };
        stream.write_all(&chunk(*kind, id, seq, content)).await?;
    }
    stream.write_all(b"0\r\n\r\n").await?;
    Ok(Sent::Whole)
}

fn chunk(kind: Kind, id: &str, seq: u32, content: Content) -> Vec<u8> {
    let mut line = Vec::with_capacity(256);
    push(&mut line, kind, id, seq, content);
    let mut chunk = format!("{:x}\r\n", line.len()).into_bytes();
    chunk.extend_from_slice(&line);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use outlast_testkit::Wire;

    use super::*;

    async fn origin(tasks: &Tasks) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tasks.spawn(async move { serve(listener).await.unwrap() });
        address
    }

    async fn ask(wire: &mut Wire, target: &str) -> String {
        wire.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        wire.read_head().await
    }

    #[tokio::test]
    async fn it_sends_what_the_script_says() {
        let tasks = Tasks::default();
        let mut wire = Wire::connect(origin(&tasks).await).await;
        let head = ask(&mut wire, "/ndjson?id=a&lines=2&gap=1ms&bytes=5").await;
        assert!(head.contains("200") && head.contains("application/x-ndjson"), "{head}");
        for (seq, part) in [(0, "\"text\":\""), (1, "\"text\":\""), (2, "\"end\":true")] {
            let line = wire.read_chunk().await;
            let begin = format!("{{\"stream\":\"a\",\"seq\":{seq},{part}");
            assert!(line.starts_with(&begin), "{line}");
        }
        assert_eq!(wire.read_exact(5).await, "0\r\n\r\n");
        // The same connection serves on: from a line, as whole too early, as events.
        ask(&mut wire, "/sse?id=a&lines=3&gap=1ms&from=2&false_end=3").await;
        assert!(wire.read_chunk().await.starts_with("id: 2\ndata: {\"stream\":\"a\",\"seq\":2,"));
        assert_eq!(wire.read_exact(5).await, "0\r\n\r\n");
        let head = ask(&mut wire, "/ndjson?status=503&retry_after=7").await;
        assert!(head.contains("503") && head.contains("Retry-After: 7"), "{head}");
        for (target, status) in [("/nothing", "404"), ("/ndjson?gap=x", "400"), ("/sse?x=1", "400")]
        {
            wire.send(format!("GET {target} HTTP/1.1\r\n\r\n")).await;
            let (head, body) = wire.read_message().await;
            assert!(head.contains(status) && !body.is_empty(), "{target}: {head}{body}");
        }
        ask(&mut wire, "/ndjson?lines=5&gap=1ms&cut=1").await;
        wire.read_chunk().await;
        assert_eq!(wire.read_to_end().await, Ok(String::new()), "closed within the response");
        tasks.cancel();
    }

    #[tokio::test]
    async fn a_chat_has_the_form_of_the_desktop() {
        let tasks = Tasks::default();
        let mut wire = Wire::connect(origin(&tasks).await).await;
        let body = r#"{"message":"x","requestId":"me"}"#;
        let length = body.len();
        wire.send(format!(
            "POST /api/chat HTTP/1.1\r\nOutlast-Drill-Pace: 4ms\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
        .await;
        wire.read_head().await;
        let text = wire.read_until("0\r\n\r\n").await;
        assert!(text.contains(r#"{"type":"claude_json","data":{"stream":"me","seq":0,"#), "{text}");
        assert!(text.contains("{\"type\":\"done\"}\n"), "{text}");
        tasks.cancel();
    }
}
