//! The clients before the proxies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use outlast_runtime::clock::Instant;
use outlast_runtime::{Tasks, clock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::origin::CHUNK_MARK;

/// So many connect at once; a proxy's backlog is no part of what is measured.
const CONNECTING_MAX: usize = 64;
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// Streams that are open and being read.
pub(super) struct Streams {
    tasks: Tasks,
    chunks: Arc<AtomicU64>,
}

impl Streams {
    /// Opens streams and waits until each has its response head.
    pub(super) async fn open(proxy: SocketAddr, path: &str, count: usize) -> Result<Self> {
        let streams = Self { tasks: Tasks::default(), chunks: Arc::default() };
        let opened = Arc::new(Semaphore::new(0));
        let connecting = Arc::new(Semaphore::new(CONNECTING_MAX));
        let request = Arc::new(format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n"));
        for _ in 0..count {
            let (opened, chunks) = (Arc::clone(&opened), Arc::clone(&streams.chunks));
            let (connecting, request) = (Arc::clone(&connecting), Arc::clone(&request));
            streams.tasks.spawn(async move {
                // A stream that breaks is missed when they are counted.
                let _broken = stream(proxy, &request, &connecting, &opened, &chunks).await;
            });
        }
        let all = u32::try_from(count).context("so many streams")?;
        match clock::timeout(STEP_TIMEOUT, opened.acquire_many(all)).await {
            Ok(Ok(_all)) => Ok(streams),
            _ => bail!("only {} of {count} streams could be opened", opened.available_permits()),
        }
    }

    /// Chunks read so far, by all.
    pub(super) fn chunks(&self) -> u64 {
        self.chunks.load(Ordering::Relaxed)
    }

    /// How many are still open.
    pub(super) fn open_count(&self) -> usize {
        self.tasks.len()
    }

    /// Closes all.
    pub(super) async fn close(self) {
        self.tasks.cancel();
        self.tasks.join().await;
    }
}

async fn stream(
    proxy: SocketAddr,
    request: &str,
    connecting: &Semaphore,
    opened: &Semaphore,
    chunks: &AtomicU64,
) -> Result<()> {
    let mut buffer = [0; 1024];
    let mut stream = {
        let _place = connecting.acquire().await?;
        let mut stream = TcpStream::connect(proxy).await?;
        stream.write_all(request.as_bytes()).await?;
        let read = stream.read(&mut buffer).await?;
        if !buffer[..read].starts_with(b"HTTP/1.1 200 ") {
            bail!("refused");
        }
        stream
    };
    opened.add_permits(1);
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            bail!("ended");
        }
        let marks = buffer[..read].iter().filter(|byte| **byte == CHUNK_MARK).count();
        chunks.fetch_add(marks as u64, Ordering::Relaxed);
    }
}

/// Whether requests share connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reuse {
    KeepAlive,
    /// Each request has a connection of its own.
    New,
}

/// What is sent, and how often.
#[derive(Debug, Clone)]
pub(super) struct Load {
    /// Whole requests, head and body.
    pub(super) request: Arc<[u8]>,
    pub(super) reuse: Reuse,
    /// Each has one connection at a time.
    pub(super) clients: u32,
    /// Requests a second, all clients together.
    pub(super) rate: u32,
}

impl Load {
    /// Requests without a body.
    pub(super) fn get(reuse: Reuse, clients: u32, rate: u32) -> Self {
        let close = if reuse == Reuse::New { "Connection: close\r\n" } else { "" };
        let request = format!("GET /small HTTP/1.1\r\nHost: bench\r\n{close}\r\n");
        Self { request: request.into_bytes().into(), reuse, clients, rate }
    }

    /// Requests with a body of so many bytes.
    pub(super) fn post(body_bytes: usize, clients: u32, rate: u32) -> Self {
        Self { request: post(body_bytes).into(), reuse: Reuse::KeepAlive, clients, rate }
    }

    /// Sends `count` requests at planned times, and returns their latencies, sorted. Each counts from its planned time,
    /// whatever became of those before: what waits, counts.
    pub(super) async fn send(&self, proxy: SocketAddr, count: u32) -> Result<Vec<Duration>> {
        let interval = Duration::from_secs(1) * self.clients / self.rate;
        let each = count.div_ceil(self.clients);
        let start = clock::now() + Duration::from_millis(50);
        let tasks = Tasks::default();
        let (tx, mut rx) = tokio::sync::mpsc::channel(usize::try_from(self.clients)?);
        for client in 0..self.clients {
            let first = start + interval * client / self.clients;
            let (load, tx) = (self.clone(), tx.clone());
            tasks.spawn(async move {
                let result = load.send_in_turn(proxy, first, interval, each).await;
                // The receiver lives until all have told.
                let _told = tx.send(result).await;
            });
        }
        drop(tx);
        let mut latencies = Vec::new();
        while let Some(result) = rx.recv().await {
            latencies.extend(result?);
        }
        latencies.sort_unstable();
        Ok(latencies)
    }

    async fn send_in_turn(
        &self,
        proxy: SocketAddr,
        first: Instant,
        interval: Duration,
        count: u32,
    ) -> Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        let mut kept = None;
        for index in 0..count {
            let planned = first + interval * index;
            clock::sleep_until(planned).await;
            let mut stream = match kept.take() {
                Some(stream) => stream,
                None => TcpStream::connect(proxy).await?,
            };
            stream.write_all(&self.request).await?;
            read_small(&mut stream).await?;
            latencies.push(planned.elapsed());
            kept = (self.reuse == Reuse::KeepAlive).then_some(stream);
        }
        Ok(latencies)
    }
}

fn post(body_bytes: usize) -> Vec<u8> {
    let head =
        format!("POST /small HTTP/1.1\r\nHost: bench\r\nContent-Length: {body_bytes}\r\n\r\n");
    let mut request = head.into_bytes();
    request.resize(request.len() + body_bytes, b'x');
    request
}

async fn read_small(stream: &mut TcpStream) -> Result<()> {
    let mut answer = Vec::with_capacity(1024);
    // The head ends, and 100 bytes follow.
    while !answer.ends_with(&[b'x'; 100]) || !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut answer).await? == 0 {
            bail!("the proxy closed within a response");
        }
    }
    Ok(())
}

/// Reads so many bytes through one connection.
pub(super) async fn download(proxy: SocketAddr, bytes: usize) -> Result<()> {
    let mut stream = TcpStream::connect(proxy).await?;
    stream
        .write_all(format!("GET /bulk?{bytes} HTTP/1.1\r\nHost: bench\r\n\r\n").as_bytes())
        .await?;
    let mut buffer = vec![0; 256 * 1024];
    let mut left = bytes;
    // The head is a little more, which ends nothing early.
    while left > 0 {
        match stream.read(&mut buffer).await? {
            0 => bail!("the proxy closed {left} bytes early"),
            read => left = left.saturating_sub(read),
        }
    }
    Ok(())
}

/// Sends so many bodies of so many bytes, one after the other, through one connection.
pub(super) async fn upload(proxy: SocketAddr, bodies: usize, body_bytes: usize) -> Result<()> {
    let request = post(body_bytes);
    let mut stream = TcpStream::connect(proxy).await?;
    for _ in 0..bodies {
        stream.write_all(&request).await?;
        read_small(&mut stream).await?;
    }
    Ok(())
}
