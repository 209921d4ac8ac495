//! HTTP clients, by hand, so that what is on the wire is what is judged.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use outlast_runtime::clock::timeout;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// The longest that a client waits for the next byte.
const BYTE_TIMEOUT: Duration = Duration::from_secs(40);

/// A response, read as far as it came.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    stream: BufReader<TcpStream>,
}

impl Response {
    async fn open(address: SocketAddr, request: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let mut stream = BufReader::new(stream);
        stream.write_all(request.as_bytes()).await?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push_str(&line(&mut stream).await?);
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { status, head, stream })
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The next chunk; None after the last one. Anything else is an error: a cut response never looks whole.
    async fn chunk(&mut self) -> io::Result<Option<String>> {
        let size = line(&mut self.stream).await?;
        let size = usize::from_str_radix(size.trim_end(), 16)
            .map_err(|_| io::Error::other(format!("{size:?} is no chunk size")))?;
        let mut data = vec![0; size + 2];
        within(self.stream.read_exact(&mut data)).await?;
        data.truncate(size);
        let data = String::from_utf8(data).map_err(io::Error::other)?;
        Ok((size > 0).then_some(data))
    }

    /// The whole body, however it is framed.
    pub(crate) async fn body(&mut self) -> io::Result<String> {
        if let Some(length) = self.field("content-length") {
            let mut body = vec![0; length.parse().map_err(io::Error::other)?];
            within(self.stream.read_exact(&mut body)).await?;
            return String::from_utf8(body).map_err(io::Error::other);
        }
        let mut body = String::new();
        while let Some(chunk) = self.chunk().await? {
            body.push_str(&chunk);
        }
        Ok(body)
    }
}

async fn within<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(BYTE_TIMEOUT, step).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(within(stream.read_u8()).await?);
    }
    String::from_utf8(line).map_err(io::Error::other)
}

/// One request on a connection of its own.
pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> io::Result<Response> {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if method != "GET" {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    Response::open(address, &(text + body)).await
}

/// Status and body of a GET.
pub(crate) async fn get(address: SocketAddr, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let mut response = request(address, "GET", path, fields, "").await.unwrap();
    let body = response.body().await.unwrap();
    (response.status, body)
}

/// A chat, line by line.
#[derive(Debug)]
pub(crate) struct Chat {
    pub(crate) response: Response,
    ahead: Vec<Value>,
}

impl Chat {
    /// Asks, and waits for the response head.
    pub(crate) async fn ask(
        address: SocketAddr,
        id: &str,
        fields: &[(&str, &str)],
    ) -> io::Result<Self> {
        let body = json!({ "message": "Analyze this codebase", "requestId": id }).to_string();
        let mut all = vec![("Content-Type", "application/json")];
        all.extend(fields);
        let response = request(address, "POST", "/api/chat", &all, &body).await?;
        Ok(Self { response, ahead: Vec::new() })
    }

    /// The next line that is not blank; None after the last one of a whole response.
    pub(crate) async fn line(&mut self) -> io::Result<Option<Value>> {
        while self.ahead.is_empty() {
            let Some(chunk) = self.response.chunk().await? else { return Ok(None) };
            assert!(chunk.ends_with('\n'), "a chunk holds whole lines: {chunk:?}");
            for line in chunk.lines().filter(|line| !line.is_empty()) {
                self.ahead.push(serde_json::from_str(line).map_err(io::Error::other)?);
            }
        }
        Ok(Some(self.ahead.remove(0)))
    }

    /// Reads to the end: the last line's type, if the response came whole.
    pub(crate) async fn end(mut self) -> io::Result<String> {
        let mut last = "nothing".to_owned();
        while let Some(line) = self.line().await? {
            line["type"].as_str().unwrap().clone_into(&mut last);
        }
        Ok(last)
    }

    /// Vanishes as a killed process does: the kernel closes its socket, with a reset if bytes are unread.
    pub(crate) fn leave(self) {
        drop(self);
    }
}
