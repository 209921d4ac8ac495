//! Clients of every kind, and machines that answer each as it wants.

use std::net::{Ipv4Addr, SocketAddr};

use outlast_runtime::Tasks;
use outlast_runtime::random::Seeded;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::yield_now;

/// What a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A stream of some chunks, and another request on the same connection.
    Stream,
    /// To send a body, larger than what is gathered before it may have a place.
    Upload,
    /// The same, having waited for leave to send it.
    Continue,
    /// An answer after which the machine closes the connection, as soon as it is used again.
    Treacherous,
    /// To be sent on to the other machine.
    Replay,
    Upgrade,
    Raw,
    /// A place of the reserve.
    Control,
    /// To be ended by an operator: its machine never answers.
    Killed,
    /// More than it reads.
    Deaf,
    /// A response that its machine does not finish.
    Broken,
    /// To be closed politely.
    Close,
    /// Nothing that anybody understands.
    Garbage,
    /// To take its time, and go.
    Leaving,
}

pub(crate) const KINDS: [Kind; 14] = [
    Kind::Stream,
    Kind::Upload,
    Kind::Continue,
    Kind::Treacherous,
    Kind::Replay,
    Kind::Upgrade,
    Kind::Raw,
    Kind::Control,
    Kind::Killed,
    Kind::Deaf,
    Kind::Broken,
    Kind::Close,
    Kind::Garbage,
    Kind::Leaving,
];

const UPLOAD: usize = 20_000;

impl Kind {
    /// It is dropped after at most so many polls.
    pub(crate) fn polls(self) -> u64 {
        match self {
            // Through a pipe of 200 bytes.
            Self::Upload | Self::Continue => 250,
            Self::Garbage | Self::Control => 8,
            _ => 24,
        }
    }

    fn request(self) -> String {
        let (line, fields) = match self {
            Self::Stream => ("GET /stream", ""),
            Self::Upload => ("POST /upload", "Content-Length: 20000\r\n"),
            Self::Continue => ("POST /upload", "Content-Length: 20000\r\nExpect: 100-continue\r\n"),
            Self::Treacherous => ("GET /treacherous", ""),
            Self::Replay => ("GET /replay", ""),
            Self::Upgrade => ("GET /upgrade", "Connection: Upgrade\r\nUpgrade: test\r\n"),
            Self::Control => ("POST /api/abort/x", "Content-Length: 0\r\n"),
            Self::Killed | Self::Leaving => ("GET /never", ""),
            Self::Deaf => ("GET /flood", ""),
            Self::Broken => ("GET /broken", ""),
            Self::Close => ("GET /quick", "Connection: close\r\n"),
            Self::Garbage => return "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
            Self::Raw => return "ping".to_owned(),
        };
        format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
    }

    /// A client that does what it came for and leaves, or leaves when it sees that nothing comes of it. One that stays is given
    /// back.
    pub(crate) async fn client(
        self,
        mut far: DuplexStream,
        mut chance: Seeded,
    ) -> Option<DuplexStream> {
        let request = self.request();
        // In two pieces, the second a little later.
        let (first, second) = request.split_at(request.len() / 2);
        let mut sent = far.write_all(first.as_bytes()).await.is_ok();
        pause(&mut chance, 3).await;
        sent &= far.write_all(second.as_bytes()).await.is_ok();
        if !sent {
            return None;
        }
        match self {
            Self::Stream => {
                if until(&mut far, "0\r\n\r\n").await {
                    let next = b"GET /quick HTTP/1.1\r\nHost: a\r\n\r\n";
                    if far.write_all(next).await.is_ok() {
                        until(&mut far, "quick").await;
                    }
                }
            }
            Self::Upload | Self::Continue => {
                if self == Self::Continue && !until(&mut far, "100 Continue\r\n\r\n").await {
                    return None;
                }
                for _ in 0..UPLOAD / 1_000 {
                    if far.write_all(&[b'x'; 1_000]).await.is_err() {
                        return None;
                    }
                }
                until(&mut far, "quick").await;
            }
            Self::Treacherous | Self::Control | Self::Replay => {
                until(&mut far, "quick").await;
            }
            Self::Upgrade => {
                if until(&mut far, "\r\n\r\n").await && far.write_all(b"ping").await.is_ok() {
                    until(&mut far, "ping").await;
                }
            }
            Self::Raw => {
                until(&mut far, "ping").await;
            }
            Self::Deaf | Self::Leaving => pause(&mut chance, 40).await,
            Self::Killed => {
                pause(&mut chance, 20).await;
                return Some(far);
            }
            Self::Broken | Self::Close | Self::Garbage => {
                until(&mut far, "there is no such end").await;
            }
        }
        None
    }
}

async fn pause(chance: &mut Seeded, turns_max: u64) {
    for _ in 0..chance.number() % turns_max {
        yield_now().await;
    }
}

/// Reads until `end` has come. False: the connection has ended before.
async fn until(stream: &mut (impl AsyncReadExt + Unpin), end: &str) -> bool {
    let (mut seen, mut buffer) = (Vec::new(), [0; 512]);
    while !seen.windows(end.len()).any(|window| window == end.as_bytes()) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return false,
            Ok(read) => seen.extend_from_slice(&buffer[..read]),
        }
    }
    true
}

/// Two machines, each with an HTTP port and one that sends back what it gets.
pub(crate) struct Machines([(&'static str, SocketAddr, SocketAddr); 2]);

impl Machines {
    pub(crate) async fn start(host: Ipv4Addr, tasks: &Tasks) -> Self {
        let mut machines = Vec::new();
        for name in ["m1", "m2"] {
            let (http, raw) = (listen(host).await, listen(host).await);
            let address = |listener: &TcpListener| listener.local_addr().expect("bound");
            machines.push((name, address(&http), address(&raw)));
            let (own, replays) = (tasks.clone(), name == "m1");
            tasks.spawn(async move {
                while let Ok((stream, _)) = http.accept().await {
                    own.spawn(async move { drop(serve(stream, replays).await) });
                }
            });
            let own = tasks.clone();
            tasks.spawn(async move {
                while let Ok((stream, _)) = raw.accept().await {
                    own.spawn(async move { drop(echo(stream).await) });
                }
            });
        }
        Self(machines.try_into().expect("two"))
    }

    /// Name, HTTP, raw.
    pub(crate) fn addresses(&self) -> [(&'static str, SocketAddr, SocketAddr); 2] {
        self.0
    }
}

async fn listen(host: Ipv4Addr) -> TcpListener {
    TcpListener::bind((host, 0)).await.expect("a free port")
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 512];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            read => stream.write_all(&buffer[..read]).await?,
        }
    }
}

const QUICK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nquick";
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// One connection: its requests, one after the other.
async fn serve(mut stream: TcpStream, replays: bool) -> std::io::Result<()> {
    let mut ahead = Vec::new();
    let mut turns = false;
    loop {
        let mut buffer = [0; 4096];
        let end = loop {
            if let Some(at) = ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read(&mut buffer).await? {
                0 => return Ok(()),
                read => ahead.extend_from_slice(&buffer[..read]),
            }
        };
        if turns {
            return Ok(());
        }
        let head = String::from_utf8_lossy(&ahead[..end]).into_owned();
        ahead.drain(..end);
        match head.split(' ').nth(1).unwrap_or_default() {
            "/stream" => {
                stream.write_all(CHUNKED).await?;
                for _ in 0..3 {
                    yield_now().await;
                    stream.write_all(b"5\r\nchunk\r\n").await?;
                }
                stream.write_all(b"0\r\n\r\n").await?;
            }
            "/upload" => {
                let mut left = UPLOAD.saturating_sub(ahead.len());
                ahead.clear();
                while left > 0 {
                    match stream.read(&mut buffer).await? {
                        0 => return Ok(()),
                        read => left = left.saturating_sub(read),
                    }
                }
                stream.write_all(QUICK).await?;
            }
            "/treacherous" => {
                stream.write_all(QUICK).await?;
                turns = true;
            }
            "/replay" if replays => {
                let elsewhere =
                    b"HTTP/1.1 200 OK\r\nfly-replay: elsewhere=true\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(elsewhere).await?;
            }
            "/upgrade" => {
                let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n";
                stream.write_all(switch).await?;
                return echo(stream).await;
            }
            "/never" => {}
            "/flood" => {
                stream.write_all(CHUNKED).await?;
                let chunk = [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat();
                loop {
                    stream.write_all(&chunk).await?;
                }
            }
            "/broken" => {
                stream.write_all(CHUNKED).await?;
                yield_now().await;
                return stream.write_all(b"5\r\nch").await;
            }
            _ => stream.write_all(QUICK).await?,
        }
    }
}
