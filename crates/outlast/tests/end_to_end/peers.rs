//! The gateway between peers that somebody else wrote: an app on Node.js, and WebSockets of tungstenite.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tungstenite::Message;

use crate::support::Outlast;

/// So long may a client of ours wait for the rest of an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Attacks are sent side by side: half of them are no whole request, and end only by the clock of the head.
const ATTACKERS: u64 = 32;
const ATTACKS: u64 = 250;
const CLOCKS: (&str, &str) =
    ("outlast.toml", "[clocks]\nhead = \"250ms\"\nkeep_alive = \"250ms\"\n");

/// Requests as they should be. Each hostile one is made of these.
const BASES: [&str; 8] = [
    "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "POST /e HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
     21;x=y\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\nX-T: y\r\n\r\n",
    "GET http://b/f HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /g HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nX: y\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
];

/// What attackers put between, in place of, and behind the bytes of a request.
const TOKENS: [&str; 28] = [
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    " ",
    "\t",
    "\0",
    "\u{b}",
    ":",
    ";",
    ",",
    "0\r\n\r\n",
    "0",
    "5\r\n",
    "-1",
    "+3",
    "0x3",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length : 5\r\n",
    "Content_Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding:\tchunked\r\n",
    "Transfer-Encoding: chunked\r\n \r\n",
    "Connection: Content-Length\r\n",
    "Expect: 100-continue\r\n",
    "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
];

/// xorshift64*: a seed makes the same attacks again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % limit
    }

    fn attack(&mut self) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            (0..=self.below(3)).flat_map(|_| BASES[self.below(BASES.len())].bytes()).collect();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let token = TOKENS[self.below(TOKENS.len())].bytes();
            let gone = match self.below(3) {
                0 => 0,
                1 => 1,
                _ => self.below(12),
            };
            bytes.splice(at..(at + gone).min(bytes.len()), token);
        }
        bytes
    }
}

/// Sends an attack and reads whatever comes, until the gateway closes.
fn attack(to: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A good request behind it ends the connection, if it is ever reached.
    let end = b"GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    // The gateway may close before it has read everything.
    let _sent = stream.write_all(bytes).and_then(|()| stream.write_all(end));
    let mut answers = Vec::new();
    let read = stream.read_to_end(&mut answers);
    let timed_out = read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(!timed_out, "left hanging by {}", bytes.escape_ascii());
}

fn counted<'a>(
    requests: impl Iterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<(String, String), i64> {
    let mut counts = BTreeMap::new();
    for (method, url) in requests {
        let path = url.split('?').next().unwrap_or_default();
        *counts.entry((method.to_owned(), path.to_owned())).or_default() += 1;
    }
    counts
}

/// Whatever clients send, the app sees the requests that the gateway counted, and nothing else: no smuggling.
#[tokio::test]
async fn an_app_with_another_parser_sees_the_requests_that_we_counted() {
    const SEED: u64 = 0x0bad_5eed_cafe_f00d;
    let app = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/peers/app.js");
    let mut outlast = Outlast::up(&[CLOCKS], &["--no-auth", "--", "node", app]).await;
    let gateway = outlast.gateway;
    let attacks = move |seed| {
        let mut random = Random(seed);
        for _ in 0..ATTACKS {
            attack(gateway, &random.attack());
        }
    };
    let attackers: Vec<_> = (0..ATTACKERS)
        .map(|number| tokio::task::spawn_blocking(move || attacks(SEED + number)))
        .collect();
    for attacker in attackers {
        attacker.await.unwrap();
    }
    outlast.service_where("all is over", |service| service["exchanges_total"] == 0).await;
    assert_eq!(outlast.metrics().await["outlast_ledger_mismatch_total{service=\"http\"}"], 0.0);
    // Only then is the log whole.
    outlast.signal(Signal::TERM);
    assert!(outlast.ended().await.success());

    let text = std::fs::read_to_string(outlast.folder.path().join("seen.jsonl")).unwrap();
    let seen: Vec<[String; 2]> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let invalid: Vec<_> = seen.iter().filter(|line| line[0] == "INVALID").collect();
    assert!(invalid.is_empty(), "the app was sent what is no HTTP: {invalid:?}");
    let seen = counted(seen.iter().map(|[method, url]| (&**method, &**url)));

    let log = outlast.log();
    let events: Vec<Value> =
        log.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let exchanges: Vec<_> =
        events.iter().filter(|event| event["target"] == "outlast::access").collect();
    let with = |wanted: fn(&Value) -> bool| {
        let exchanges = exchanges.iter().filter(|exchange| wanted(exchange));
        counted(exchanges.map(|exchange| {
            (exchange["method"].as_str().unwrap(), exchange["path"].as_str().unwrap())
        }))
    };
    let (relayed, completed) = (
        with(|exchange| exchange["machine"] != ""),
        with(|exchange| exchange["outcome"] == "completed"),
    );
    for (request, count) in &seen {
        let ours = relayed.get(request).copied().unwrap_or_default();
        assert!(
            *count <= ours,
            "the app saw {request:?} {count} times, we relayed it {ours} times"
        );
    }
    for (request, count) in &completed {
        let theirs = seen.get(request).copied().unwrap_or_default();
        assert!(
            theirs >= *count,
            "we completed {request:?} {count} times, the app saw it {theirs} times"
        );
    }
    let total: i64 = seen.values().sum();
    let refused = exchanges.iter().filter(|exchange| exchange["outcome"] == "refused").count();
    assert!(total > 2_000 && refused > 4_000, "{total} seen, {refused} refused: too few to tell");
}

/// A WebSocket server that sends everything back, for as many clients as come.
fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                // The gateway looks whether the port accepts: that is no WebSocket.
                let Ok(mut socket) = tungstenite::accept(stream.unwrap()) else { return };
                while let Ok(message) = socket.read() {
                    if message.is_binary() || message.is_text() {
                        socket.send(message).unwrap();
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn websockets_pass_and_keep_their_place_until_they_are_closed() {
    let server = echo_server().to_string();
    let flags = ["--to", &server, "--no-auth", "--type", "requests", "--hard-limit", "1"];
    let outlast = Outlast::up(&[], &flags).await;
    let url = format!("ws://{}/socket?x=y", outlast.gateway);
    let talk = move || {
        let stream = TcpStream::connect(url.split('/').nth(2).unwrap()).unwrap();
        let (mut socket, response) = tungstenite::client(&url, stream).unwrap();
        assert_eq!(response.status(), 101);
        assert!(response.headers().contains_key("fly-request-id"));
        for size in [0, 1, 125, 126, 65_535, 65_536, 3_000_000] {
            let sent = vec![b'x'; size];
            socket.send(Message::binary(sent.clone())).unwrap();
            assert_eq!(socket.read().unwrap().into_data(), sent);
        }
        socket
    };
    let mut socket = tokio::task::spawn_blocking(talk).await.unwrap();
    let service = outlast.service().await;
    assert_eq!((&service["in_flight"], &service["exchanges_total"]), (&1.into(), &1.into()));
    let close = move || {
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
    };
    tokio::task::spawn_blocking(close).await.unwrap();
    let log = outlast.exchanges("/socket", 1).await;
    assert_eq!((&log[0]["outcome"], &log[0]["status"]), (&"completed".into(), &101.into()));
    assert!(log[0]["sent_bytes"].as_u64() > Some(3_000_000));
    outlast.service_where("its place is free", |service| service["in_flight"] == 0).await;
}
