//! One question to a machine: does its port accept, does it answer well?
//!
//! A probe takes no place, waits for none, follows no redirect and keeps no connection.

use std::io;
use std::net::SocketAddr;

use outlast_runtime::clock::{self, Instant};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::check::{CheckSpec, ProbeSpec};
use crate::lapse::rounded;

/// A response head that is longer is none, as in the gateway.
const HEAD_BYTES_MAX: usize = 32 * 1024;
const FIELDS_MAX: usize = 128;
const INTERIMS_MAX: u32 = 16;
/// Of a body so much is read, to be polite to who writes it, and so much of it is kept, for who asks why.
const BODY_BYTES_MAX: usize = 64 * 1024;
const BODY_BYTES_SHOWN: usize = 256;
/// The verdict stands with the head; the body may take no longer than this.
const BODY_PATIENCE: Duration = Duration::from_secs(1);

/// What came of a probe: what the machine said, or why it failed.
pub(crate) type Verdict = Result<String, String>;

/// Asks once. It takes at most the timeout of the check.
///
/// Cancel safety: dropping the future closes the connection.
pub(crate) async fn probe(check: &CheckSpec, address: SocketAddr) -> Verdict {
    let deadline = clock::now() + check.timeout;
    let connected = clock::timeout_at(deadline, TcpStream::connect(address)).await;
    let mut stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(format!("cannot connect: {error}")),
        Err(_elapsed) => return Err(format!("cannot connect within {}", rounded(check.timeout))),
    };
    let ProbeSpec::Http { method, path, headers } = &check.probe else {
        return Ok("connected".to_owned());
    };
    let request = request(method, path, headers, address);
    let asked = async {
        stream.write_all(request.as_bytes()).await?;
        Answer::read(&mut stream).await
    };
    let mut answer = match clock::timeout_at(deadline, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(format!("no response: {error}")),
        Err(_elapsed) => return Err(format!("no response within {}", rounded(check.timeout))),
    };
    if method != "HEAD" {
        answer.read_body(&mut stream, deadline.min(clock::now() + BODY_PATIENCE)).await;
    }
    let text = answer.text();
    if (200..300).contains(&answer.status) { Ok(text) } else { Err(text) }
}

/// What is configured wins over what every request has.
fn request(method: &str, path: &str, headers: &[(String, String)], address: SocketAddr) -> String {
    let host = SocketAddr::new(address.ip(), address.port()).to_string();
    let mut own = vec![
        ("Host", host.as_str()),
        ("User-Agent", concat!("outlast-check/", env!("CARGO_PKG_VERSION"))),
        ("Accept", "*/*"),
    ];
    if !matches!(method, "GET" | "HEAD" | "OPTIONS") {
        own.push(("Content-Length", "0"));
    }
    own.retain(|(name, _)| !headers.iter().any(|(other, _)| name.eq_ignore_ascii_case(other)));
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in own {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    for (name, value) in headers {
        if !name.eq_ignore_ascii_case("connection") {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    text.push_str("Connection: close\r\n\r\n");
    text
}

/// A response as far as it is of interest.
struct Answer {
    status: u16,
    framing: Framing,
    body: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    Close,
}

impl Answer {
    /// Reads up to the end of the head, past interim ones.
    async fn read(stream: &mut TcpStream) -> io::Result<Self> {
        let (mut bytes, mut interims) = (Vec::new(), 0);
        loop {
            while let Some((answer, length)) = Self::parse(&bytes)? {
                bytes.drain(..length);
                // RFC 9110 section 15.2: the final one follows; 101 is final, and nobody asked for it.
                if !(100..200).contains(&answer.status) || answer.status == 101 {
                    return Ok(Self { body: bytes, ..answer });
                }
                interims += 1;
                if interims > INTERIMS_MAX {
                    return Err(io::Error::other("no final response follows its interim ones"));
                }
            }
            if bytes.len() >= HEAD_BYTES_MAX {
                return Err(io::Error::other("its head has no end"));
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::Error::other("the connection was closed"));
            }
        }
    }

    /// The head at the beginning and its length, once all of it is there.
    fn parse(bytes: &[u8]) -> io::Result<Option<(Self, usize)>> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        let parsed = response.parse(bytes);
        let parsed =
            parsed.map_err(|error| io::Error::other(format!("it is not HTTP: {error}")))?;
        let httparse::Status::Complete(length) = parsed else { return Ok(None) };
        let status = response.code.unwrap_or_default();
        let field = |name: &str| {
            let field = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            field.map(|field| String::from_utf8_lossy(field.value).into_owned())
        };
        let framing = if matches!(status, 204 | 304) {
            Framing::Length(0)
        } else if field("transfer-encoding").is_some() {
            Framing::Chunked
        } else {
            let length = field("content-length").and_then(|length| length.trim().parse().ok());
            length.map_or(Framing::Close, Framing::Length)
        };
        Ok(Some((Self { status, framing, body: Vec::new() }, length)))
    }

    fn is_whole(&self) -> bool {
        self.body.len() >= BODY_BYTES_MAX
            || match self.framing {
                Framing::Length(length) => self.body.len() >= length,
                Framing::Chunked => self.body.ends_with(b"0\r\n\r\n"),
                Framing::Close => false,
            }
    }

    async fn read_body(&mut self, stream: &mut TcpStream, deadline: Instant) {
        while !self.is_whole() {
            match clock::timeout_at(deadline, stream.read_buf(&mut self.body)).await {
                Ok(Ok(read)) if read > 0 => {}
                // However it ends: the status was the verdict.
                _ => return,
            }
        }
    }

    /// One line: the status, and the first bytes of the body.
    fn text(&self) -> String {
        let body = match self.framing {
            Framing::Chunked => {
                let line = self.body.windows(2).position(|end| end == b"\r\n");
                let data = &self.body[line.map_or(0, |line| line + 2)..];
                data.split(|byte| *byte == b'\r').next().unwrap_or_default()
            }
            Framing::Length(_) | Framing::Close => &self.body,
        };
        let body = String::from_utf8_lossy(&body[..body.len().min(BODY_BYTES_SHOWN)]);
        let body = body.replace(|c: char| c.is_control(), " ");
        match body.trim() {
            "" => format!("HTTP {}", self.status),
            body => format!("HTTP {}: {body}", self.status),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use outlast_runtime::Tasks;
    use tokio::net::TcpListener;

    use super::*;

    fn check(path: &str, headers: &[(&str, &str)]) -> CheckSpec {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let headers = headers.collect();
        let (method, path) = ("GET".to_owned(), path.to_owned());
        CheckSpec {
            name: "alive".to_owned(),
            port: 8080,
            probe: ProbeSpec::Http { method, path, headers },
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(20),
            grace: Duration::ZERO,
            exposed: Vec::new(),
        }
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// The verdict about a machine that answers so, and the request that it saw.
    async fn judged(check: &CheckSpec, answer: &str) -> (Verdict, String) {
        let (listener, address) = listener().await;
        let machine = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                assert!(stream.read_buf(&mut seen).await.unwrap() > 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(seen).unwrap()
        };
        tokio::join!(probe(check, address), machine)
    }

    #[tokio::test]
    async fn a_status_of_2xx_passes_and_no_other() {
        for (answer, verdict) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine", Ok("HTTP 200: fine")),
            ("HTTP/1.1 204 No Content\r\n\r\n", Ok("HTTP 204")),
            ("HTTP/1.0 200 OK\r\n\r\nuntil\r\nthe end\n", Ok("HTTP 200: until  the end")),
            (
                "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                Ok("HTTP 200"),
            ),
            (
                "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n4\r\naway\r\n0\r\n\r\n",
                Err("HTTP 503: away"),
            ),
            ("HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", Err("HTTP 301")),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", Err("HTTP 101")),
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Err("HTTP 404")),
            ("SSH-2.0-OpenSSH\r\n\r\n", Err("no response: it is not HTTP: invalid HTTP version")),
            ("HTTP/1.1 200", Err("no response: the connection was closed")),
        ] {
            let (judged, _) = judged(&check("/", &[]), answer).await;
            let verdict = verdict.map(ToOwned::to_owned).map_err(ToOwned::to_owned);
            assert_eq!(judged, verdict, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn the_request_is_as_configured() {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let (_, plain) = judged(&check("/up?deep=1", &[]), ok).await;
        assert!(plain.starts_with("GET /up?deep=1 HTTP/1.1\r\nHost: 127.0.0.1:"), "{plain}");
        assert!(plain.contains("\r\nUser-Agent: outlast-check/"), "{plain}");
        let headers =
            [("host", "example.com"), ("X-Forwarded-Proto", "https"), ("Connection", "x")];
        let (_, seen) = judged(&check("/", &headers), ok).await;
        assert!(seen.contains("\r\nhost: example.com\r\nX-Forwarded-Proto: https\r\n"), "{seen}");
        assert!(!seen.contains("Host: 127") && !seen.contains("Connection: x"), "{seen}");
        assert!(seen.ends_with("Connection: close\r\n\r\n"), "{seen}");
    }

    #[tokio::test]
    async fn a_machine_that_refuses_hangs_or_never_ends_holds_nothing_up() {
        let (listener, address) = listener().await;
        drop(listener);
        let refused = probe(&check("/", &[]), address).await.unwrap_err();
        assert!(refused.starts_with("cannot connect: "), "{refused}");

        // It accepts by its backlog, and says nothing.
        let (hanging, address) = self::listener().await;
        let short = CheckSpec { timeout: Duration::from_millis(50), ..check("/", &[]) };
        assert_eq!(probe(&short, address).await, Err("no response within 50ms".to_owned()));
        let connects = CheckSpec { probe: ProbeSpec::Tcp, ..short.clone() };
        assert_eq!(probe(&connects, address).await, Ok("connected".to_owned()));
        drop(hanging);

        let (flooding, address) = self::listener().await;
        let tasks = Tasks::default();
        tasks.spawn(async move {
            let (mut stream, _) = flooding.accept().await.unwrap();
            let never: Result<Infallible, _> = async {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                loop {
                    stream.write_all(&[b'x'; 1024]).await?;
                }
            }
            .await;
            // The probe has seen enough of it.
            let _gone: io::Error = never.unwrap_err();
        });
        let long = probe(&check("/", &[]), address).await.unwrap();
        assert_eq!(long, format!("HTTP 200: {}", "x".repeat(BODY_BYTES_SHOWN)));
        tasks.join().await;

        let endless = "HTTP/1.1 200 OK\r\nX: ".to_owned() + &"y".repeat(HEAD_BYTES_MAX);
        let (judged, _) = judged(&check("/", &[]), &endless).await;
        assert_eq!(judged, Err("no response: its head has no end".to_owned()));
    }
}
