//! The origin behind the proxies, on a thread of its own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use outlast_runtime::{Tasks, clock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Ends every chunk, and stands nowhere else in what the origin sends.
pub(super) const CHUNK_MARK: u8 = b'!';
const CHUNK_BYTES: usize = 100;
const CHUNK_INTERVAL: Duration = Duration::from_secs(1);
const BULK_PIECE: usize = 256 * 1024;
/// A small request fits; 9,000 held connections take 150 MB of these, which are ours and not the proxy's.
const REQUEST_PIECE: usize = 16 * 1024;

/// Starts it, for as long as the process lives.
pub(super) fn start() -> Result<SocketAddr> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    std::thread::Builder::new().name("origin".to_owned()).spawn(move || {
        runtime.block_on(async move {
            let tasks = Tasks::default();
            let mut number: u64 = 0;
            while let Ok((stream, _)) = listener.accept().await {
                number += 1;
                tasks.spawn(serve(stream, number));
            }
        });
    })?;
    Ok(address)
}

async fn serve(mut stream: TcpStream, number: u64) {
    // The proxy closes when it is done, which is no error here.
    let _closed = answer_all(&mut stream, number).await;
}

async fn answer_all(stream: &mut TcpStream, number: u64) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; REQUEST_PIECE];
    let mut head = Vec::new();
    loop {
        head.clear();
        let head_bytes = loop {
            match stream.read(&mut buffer).await? {
                0 => return Ok(()),
                read => head.extend_from_slice(&buffer[..read]),
            }
            if let Some(at) = head.windows(4).position(|end| end == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let text = String::from_utf8_lossy(&head[..head_bytes]);
        let mut body_left = content_length(&text).saturating_sub(head.len() - head_bytes);
        while body_left > 0 {
            match stream.read(&mut buffer).await? {
                0 => return Ok(()),
                read => body_left = body_left.saturating_sub(read),
            }
        }
        let path = text.split(' ').nth(1).unwrap_or("/");
        match path.split_once('?').unwrap_or((path, "")) {
            ("/hold", _) => return hold(stream, number).await,
            ("/silent", _) => return silent(stream).await,
            ("/bulk", bytes) => bulk(stream, bytes.parse().unwrap_or(0)).await?,
            _ => small(stream).await?,
        }
    }
}

fn content_length(head: &str) -> usize {
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    length.unwrap_or(0)
}

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A chunk a second, each stream in its own part of the second.
async fn hold(stream: &mut TcpStream, number: u64) -> std::io::Result<()> {
    let mut chunk = format!("{CHUNK_BYTES:x}\r\n").into_bytes();
    chunk.extend(std::iter::repeat_n(b'x', CHUNK_BYTES - 1));
    chunk.push(CHUNK_MARK);
    chunk.extend(b"\r\n");
    stream.write_all(CHUNKED).await?;
    let phase = Duration::from_millis(number * 619 % 1_000);
    let mut next = clock::now() + phase;
    loop {
        clock::sleep_until(next).await;
        stream.write_all(&chunk).await?;
        next += CHUNK_INTERVAL;
    }
}

async fn silent(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(CHUNKED).await?;
    let mut nothing = [0; 1];
    stream.read(&mut nothing).await.map(drop)
}

async fn small(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n".to_vec();
    answer.extend([b'x'; 100]);
    stream.write_all(&answer).await
}

async fn bulk(stream: &mut TcpStream, bytes: usize) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let piece = vec![b'x'; BULK_PIECE];
    let mut left = bytes;
    while left > 0 {
        let count = left.min(BULK_PIECE);
        stream.write_all(&piece[..count]).await?;
        left -= count;
    }
    Ok(())
}
