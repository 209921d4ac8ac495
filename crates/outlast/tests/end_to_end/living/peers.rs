//! Clients and machines that follow their script, and remember what they sent, got and saw end.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use outlast_runtime::clock;
use outlast_testkit::Network;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};

use super::subjects::{Client, Flow, Kind, Machine, Subject};

/// Where the scripted machine listens, and the one that is stopped.
pub(super) const MACHINE: (Ipv4Addr, u16) = (Network::MACHINES, 8000);
pub(super) const STOPPED_MACHINE: (Ipv4Addr, u16) = (Network::MACHINES, 8001);

/// How far the whole has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Requests are sent, and heads come back.
    Opening,
    /// What is to flow flows.
    Flowing,
    /// Peers do what they are to do, and the network what it does.
    Acting,
    /// Whoever lives comes to an end in order.
    Ending,
}

/// What was seen of a subject.
#[derive(Debug)]
pub(super) enum Seen {
    /// The machine has the request, on a connection from this port of the gateway.
    Opened(u16),
    /// The client has the head, or waits for it: since then.
    Waits(clock::Instant),
    Client(Ending),
    Machine(Ending),
}

/// What a peer counted, and how its connection ended.
#[derive(Debug, Default)]
pub(super) struct Ending {
    pub(super) sent: Count,
    pub(super) received: Count,
    /// When the connection was seen to be gone before its time.
    pub(super) cut: Option<clock::Instant>,
}

/// Bytes behind the head, and a sum that tells them and their order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) bytes: u64,
    sum: u64,
}

impl Count {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.sum = self.sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
        }
        self.bytes += bytes.len() as u64;
    }
}

/// What every peer shares.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) seen: mpsc::UnboundedSender<(usize, Seen)>,
}

impl Stage {
    /// Waits for a phase. The test that is over before has failed: then for ever.
    pub(super) async fn reached(&mut self, phase: Phase) {
        if self.phase.wait_for(|now| *now >= phase).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn is_ending(&self) -> bool {
        *self.phase.borrow() == Phase::Ending
    }

    pub(super) fn tell(&self, subject: &Subject, seen: Seen) {
        // Nobody listens any more when the test has failed.
        self.seen.send((subject.number, seen)).ok();
    }
}

const TICK: Duration = Duration::from_secs(1);
const BULK_INTERVAL: Duration = Duration::from_millis(10);
const PUSHED: usize = 1024 * 1024;
const PIECE: usize = 16 * 1024;
const LINE: &[u8] =
    b"{\"type\":\"line\",\"text\":\"one of many that are sent while the client looks on\"}\n";

/// Bytes in the form of their kind.
fn frame(kind: Kind, data: &[u8]) -> Vec<u8> {
    if kind.is_tunnel() {
        return data.to_vec();
    }
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

fn end(kind: Kind) -> &'static [u8] {
    if kind.is_tunnel() { b"end\n" } else { b"0\r\n\r\n" }
}

fn head(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::Ndjson => {
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
        }
        Kind::Sse => {
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        }
        Kind::Upgrade => {
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        }
        Kind::Raw => b"welcome\r\n\r\n",
    }
}

/// Reads up to and with the blank line, byte for byte: what comes behind it is counted by others.
async fn read_head(read: &mut OwnedReadHalf) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(read.read_u8().await?);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

/// Reads and counts to the end of the connection.
async fn read_on(read: &mut OwnedReadHalf, count: &mut Count) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        match read.read(&mut buffer).await? {
            0 => return Ok(()),
            length => count.add(&buffer[..length]),
        }
    }
}

/// Sends the same piece time and again, until the end.
async fn write_each(
    write: &mut OwnedWriteHalf,
    count: &mut Count,
    piece: &[u8],
    interval: Duration,
    mut stage: Stage,
) -> io::Result<()> {
    while !stage.is_ending() {
        write.write_all(piece).await?;
        count.add(piece);
        clock::timeout(interval, stage.reached(Phase::Ending)).await.ok();
    }
    Ok(())
}

async fn write_all(write: &mut OwnedWriteHalf, count: &mut Count, bytes: &[u8]) -> io::Result<()> {
    write.write_all(bytes).await?;
    count.add(bytes);
    Ok(())
}

/// A client from its connection to its end.
pub(super) async fn client(subject: Subject, gateway: SocketAddr, stage: Stage) {
    let ending = talk(subject, gateway, stage.clone()).await;
    let ending = ending.unwrap_or_else(|error| panic!("{subject:?}: {error}"));
    stage.tell(&subject, Seen::Client(ending));
}

async fn talk(subject: Subject, gateway: SocketAddr, mut stage: Stage) -> io::Result<Ending> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((subject.address(), 0).into())?;
    if subject.row.client == Client::ReadsSlowly {
        socket.set_recv_buffer_size(16 * 1024)?;
    }
    let (mut read, mut write) = socket.connect(gateway).await?.into_split();
    write.write_all(subject.request().as_bytes()).await?;
    if subject.row.flow != Flow::NoHead {
        read_head(&mut read).await?;
    }
    stage.tell(&subject, Seen::Waits(clock::now()));
    stage.reached(Phase::Flowing).await;
    let (mut sent, mut received) = (Count::default(), Count::default());
    let reading = reads(&subject, &mut read, &mut received, stage.clone());
    let writing = writes(&subject, &mut write, &mut sent, stage.clone());
    let is_cut = if subject.ends_both_ways() {
        tokio::try_join!(reading, writing).is_err()
    } else {
        tokio::select! {
            read = reading => read.is_err() || !stage.is_ending(),
            _left = writing => true,
        }
    };
    if subject.row.client == Client::Resets {
        read.as_ref().set_zero_linger()?;
        // Its drop would finish in order first.
        write.forget();
    }
    Ok(Ending { sent, received, cut: is_cut.then(clock::now) })
}

async fn reads(
    subject: &Subject,
    read: &mut OwnedReadHalf,
    count: &mut Count,
    mut stage: Stage,
) -> io::Result<()> {
    match subject.row.client {
        Client::ReadsNothing => stage.reached(Phase::Ending).await,
        Client::ReadsSlowly => {
            let mut buffer = [0; 1024];
            while !stage.is_ending() {
                match read.read(&mut buffer).await? {
                    0 => return Ok(()),
                    length => count.add(&buffer[..length]),
                }
                clock::timeout(TICK, stage.reached(Phase::Ending)).await.ok();
            }
        }
        _ => {}
    }
    if subject.row.flow == Flow::NoHead {
        read_head(read).await?;
    }
    read_on(read, count).await
}

/// What a client does beside reading. It is over when the client is to leave, and when a tunnel has been told everything.
async fn writes(
    subject: &Subject,
    write: &mut OwnedWriteHalf,
    count: &mut Count,
    mut stage: Stage,
) -> io::Result<()> {
    match subject.row.client {
        Client::Sends => write_each(write, count, LINE, TICK, stage.clone()).await?,
        Client::Pushes => write_all(write, count, &vec![b'x'; PUSHED]).await?,
        Client::HalfCloses => {
            stage.reached(Phase::Acting).await;
            write.shutdown().await?;
        }
        Client::Closes | Client::Resets => {
            stage.reached(Phase::Acting).await;
            return Ok(());
        }
        Client::Reads | Client::ReadsSlowly | Client::ReadsNothing | Client::Stopped => {}
    }
    if !subject.ends_both_ways() {
        return std::future::pending().await;
    }
    stage.reached(Phase::Ending).await;
    match subject.row.client {
        Client::HalfCloses => Ok(()),
        _ => write.shutdown().await,
    }
}

/// Takes connections for as long as it is polled, and serves each by what it asks for.
pub(super) async fn machine(listener: TcpListener, subjects: Vec<Subject>, stage: Stage) {
    let tasks = outlast_runtime::Tasks::default();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (subjects, stage) = (subjects.clone(), stage.clone());
        tasks.spawn(async move {
            // The gateway looks whether the port accepts, and asks for nothing.
            if let Ok(Some((subject, ending))) = serve(stream, &subjects, stage.clone()).await {
                stage.tell(&subject, Seen::Machine(ending));
            }
        });
    }
}

async fn serve(
    stream: TcpStream,
    subjects: &[Subject],
    mut stage: Stage,
) -> io::Result<Option<(Subject, Ending)>> {
    let port = stream.peer_addr()?.port();
    let (mut read, mut write) = stream.into_split();
    let request = read_head(&mut read).await?;
    let path = request.split(' ').nth(1);
    let Some(number) = path.and_then(Subject::number) else { return Ok(None) };
    let subject = subjects[number];
    if subject.row.flow != Flow::NoHead {
        write.write_all(head(subject.kind)).await?;
    }
    stage.tell(&subject, Seen::Opened(port));
    stage.reached(Phase::Flowing).await;
    let (mut sent, mut received) = (Count::default(), Count::default());
    let sending = sends(&subject, &mut write, &mut sent, stage.clone());
    let reading = listens(&subject, &mut read, &mut received, stage.clone());
    let is_cut = if subject.ends_both_ways() {
        tokio::try_join!(sending, reading).is_err()
    } else {
        tokio::select! {
            sent = sending => sent.is_err() || !stage.is_ending(),
            _read = reading => true,
        }
    };
    if subject.row.machine == Machine::Resets {
        read.as_ref().set_zero_linger()?;
        write.forget();
    }
    Ok(Some((subject, Ending { sent, received, cut: is_cut.then(clock::now) })))
}

/// Sends what is to flow, and the end when it comes.
async fn sends(
    subject: &Subject,
    write: &mut OwnedWriteHalf,
    count: &mut Count,
    stage: Stage,
) -> io::Result<()> {
    let mut acting = stage.clone();
    tokio::select! {
        flown = flows(subject, write, count, stage) => flown?,
        () = acting.reached(Phase::Acting), if subject.row.machine.leaves() => return Ok(()),
    }
    if subject.row.machine == Machine::HalfCloses {
        return write.shutdown().await;
    }
    if subject.row.flow == Flow::NoHead {
        write.write_all(head(subject.kind)).await?;
    }
    write_all(write, count, end(subject.kind)).await?;
    write.shutdown().await
}

async fn flows(
    subject: &Subject,
    write: &mut OwnedWriteHalf,
    count: &mut Count,
    mut stage: Stage,
) -> io::Result<()> {
    let (line, piece) = (frame(subject.kind, LINE), frame(subject.kind, &vec![b'x'; PIECE]));
    match subject.row.flow {
        Flow::Ticks => write_each(write, count, &line, TICK, stage.clone()).await?,
        Flow::Bulk => write_each(write, count, &piece, BULK_INTERVAL, stage.clone()).await?,
        Flow::Silence => write_all(write, count, &line).await?,
        Flow::Push => {
            for _ in 0..PUSHED / PIECE {
                write_all(write, count, &piece).await?;
            }
        }
        Flow::NoHead => {}
    }
    let wanted =
        if subject.row.machine == Machine::HalfCloses { Phase::Acting } else { Phase::Ending };
    stage.reached(wanted).await;
    Ok(())
}

/// Reads what the client sends, to its end.
async fn listens(
    subject: &Subject,
    read: &mut OwnedReadHalf,
    count: &mut Count,
    mut stage: Stage,
) -> io::Result<()> {
    if subject.row.machine == Machine::ReadsNothing {
        stage.reached(Phase::Ending).await;
    }
    read_on(read, count).await?;
    if subject.kind.is_tunnel() && !subject.ends_both_ways() {
        // Who has finished may yet listen: this app goes on until it is told that nobody does.
        return std::future::pending().await;
    }
    Ok(())
}
