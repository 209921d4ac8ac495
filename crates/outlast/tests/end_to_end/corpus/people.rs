//! The people of an incident, on real sockets: they ask, wait, click again, leave, or are lost.

use std::io;
use std::net::SocketAddr;

use outlast_runtime::clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::app::TOLD;
use super::place::Place;
use super::script::{Kind, Visit, lived};

/// What came of one click.
enum Click {
    Refused,
    Over,
}

/// Lives through one visit, clicks included.
pub(super) async fn visit(visit: Visit, scale: f64, gateway: SocketAddr, place: Place) {
    for _ in 0..=visit.clicks {
        let asked = ask(&visit, scale, gateway, &place);
        let over = match visit.leaves {
            // Dropping what it was doing closes its socket, as a closed tab does.
            Some(after) => clock::timeout(lived(after, scale), asked).await.ok(),
            None => Some(asked.await),
        };
        match over {
            Some(Ok(Click::Refused) | Err(_)) => clock::sleep(lived(visit.pause, scale)).await,
            _ => return,
        }
    }
}

async fn ask(visit: &Visit, scale: f64, gateway: SocketAddr, place: &Place) -> io::Result<Click> {
    let socket = place.client(visit.fated);
    let mut stream = socket.connect(gateway).await?;
    stream.write_all(request(visit, scale).as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let is_refused = [&b"HTTP/1.1 502"[..], b"HTTP/1.1 503", b"HTTP/1.1 504"]
        .iter()
        .any(|status| head.starts_with(status));
    match visit.kind {
        Kind::Socket if !is_refused => answer_pings(&mut stream).await?,
        _ => {
            stream.read_to_end(&mut Vec::new()).await?;
        }
    }
    Ok(if is_refused { Click::Refused } else { Click::Over })
}

async fn answer_pings(stream: &mut TcpStream) -> io::Result<()> {
    let mut ping = [0; 1];
    while stream.read(&mut ping).await? > 0 {
        stream.write_all(b"!").await?;
    }
    Ok(())
}

fn request(visit: &Visit, scale: f64) -> String {
    let kind = match visit.kind {
        Kind::Plain => "plain",
        Kind::Stream => "stream",
        Kind::Socket => "socket",
    };
    let connection = match visit.kind {
        Kind::Socket => "Upgrade\r\nUpgrade: websocket",
        _ => "close",
    };
    let ms = |story: f64| lived(story, scale).as_millis();
    let (first, length) = (ms(visit.first), ms(visit.length));
    let told = format!("{kind} {first} {length} {} {}", visit.bytes, visit.status);
    let length = if visit.method == "POST" { "Content-Length: 0\r\n" } else { "" };
    format!(
        "{} {} HTTP/1.1\r\nHost: app\r\n{TOLD}: {told}\r\nConnection: {connection}\r\n{length}\r\n",
        visit.method, visit.path
    )
}
