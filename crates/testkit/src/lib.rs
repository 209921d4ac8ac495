//! For tests: a scripted machine and a client that remembers what it saw, both on real sockets.
//!
//! Nothing here waits for time to pass: every step waits for bytes, and a step that waits too long fails the test.

#[cfg(target_os = "linux")]
mod network;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

#[cfg(target_os = "linux")]
pub use network::{Host, Hosts, Network};

/// No step of a test takes so long unless something is wrong.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);

/// One end of a TCP connection, written and read by hand.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    ahead: Vec<u8>,
}

/// A machine whose every byte the test decides.
#[derive(Debug)]
pub struct ScriptedMachine {
    listener: TcpListener,
}

async fn in_time<T>(what: &str, step: impl Future<Output = io::Result<T>>) -> T {
    match tokio::time::timeout(STEP_TIMEOUT, step).await {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => panic!("{what}: {error}"),
        Err(_elapsed) => panic!("{what}: nothing for {STEP_TIMEOUT:?}"),
    }
}

impl ScriptedMachine {
    /// Listens on a free port of the loopback.
    pub async fn start() -> Self {
        Self { listener: in_time("bind", TcpListener::bind("127.0.0.1:0")).await }
    }

    /// Where it listens.
    ///
    /// # Panics
    /// Never: it is bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("bound")
    }

    /// The next connection.
    pub async fn accept(&self) -> Wire {
        let (stream, _) = in_time("accept", self.listener.accept()).await;
        Wire { stream, ahead: Vec::new() }
    }
}

impl Wire {
    /// Connects to `address`.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = in_time("connect", TcpStream::connect(address)).await;
        Self { stream, ahead: Vec::new() }
    }

    /// Connects to `address` from an address of this host: on Linux all of 127.0.0.0/8 are.
    ///
    /// # Errors
    /// It was reset before it could be used.
    ///
    /// # Panics
    /// When `local` is no address of this host.
    pub async fn connect_from(local: IpAddr, address: SocketAddr) -> Result<Self, io::ErrorKind> {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((local, 0).into()).expect("an address of this host");
        let connect = tokio::time::timeout(STEP_TIMEOUT, socket.connect(address));
        let stream = connect.await.expect("an answer in time").map_err(|error| error.kind())?;
        Ok(Self { stream, ahead: Vec::new() })
    }

    /// Connects to an address that may reset the connection as soon as it is made.
    ///
    /// # Errors
    /// It was reset before it could be used.
    pub async fn try_connect(address: SocketAddr) -> Result<Self, io::ErrorKind> {
        let connect = tokio::time::timeout(STEP_TIMEOUT, TcpStream::connect(address));
        let stream = connect.await.expect("an answer in time").map_err(|error| error.kind())?;
        Ok(Self { stream, ahead: Vec::new() })
    }

    /// The near end's address.
    ///
    /// # Panics
    /// Never: it is connected.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().expect("connected")
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        in_time("send", self.stream.write_all(bytes.as_ref())).await;
    }

    /// Sends bytes. False if the connection has ended.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let send = tokio::time::timeout(STEP_TIMEOUT, self.stream.write_all(bytes.as_ref()));
        send.await.expect("it is taken in time").is_ok()
    }

    /// Sends as much of `bytes` as the far end and the sockets between take at once.
    ///
    /// # Panics
    /// When all of it was taken, or the connection failed.
    pub async fn send_while_taken(&mut self, bytes: &[u8]) {
        let mut sent = 0;
        // Nobody takes anything for so long: then nobody reads.
        while let Ok(count) =
            tokio::time::timeout(Duration::from_millis(300), self.stream.write(&bytes[sent..]))
                .await
        {
            sent += count.expect("the connection lives");
            assert!(sent < bytes.len(), "somebody took all {sent} bytes");
        }
    }

    /// Sends one chunk of the chunked coding.
    pub async fn send_chunk(&mut self, data: &str) {
        self.send(format!("{:x}\r\n{data}\r\n", data.len())).await;
    }

    /// Ends the sending direction.
    pub async fn finish(&mut self) {
        in_time("finish", self.stream.shutdown()).await;
    }

    /// Closes by a reset.
    ///
    /// # Panics
    /// When the socket has no such option.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("a socket");
    }

    /// Reads until `end` has come, and returns everything up to and with it.
    pub async fn read_until(&mut self, end: &str) -> String {
        loop {
            let at = self.ahead.windows(end.len()).position(|window| window == end.as_bytes());
            if let Some(at) = at {
                let rest = self.ahead.split_off(at + end.len());
                let bytes = std::mem::replace(&mut self.ahead, rest);
                return String::from_utf8_lossy(&bytes).into_owned();
            }
            let mut buffer = [0; 4096];
            let what = format!("reading until {end:?}");
            let read = in_time(&what, self.stream.read(&mut buffer)).await;
            let so_far = self.ahead.escape_ascii();
            assert!(read > 0, "{what}: the connection ended after {so_far}");
            self.ahead.extend_from_slice(&buffer[..read]);
        }
    }

    /// Reads a message head.
    pub async fn read_head(&mut self) -> String {
        self.read_until("\r\n\r\n").await
    }

    /// Reads one chunk of the chunked coding: its data.
    ///
    /// # Panics
    /// When it is none.
    pub async fn read_chunk(&mut self) -> String {
        let line = self.read_until("\r\n").await;
        let size = usize::from_str_radix(line.trim_end(), 16).expect("a chunk size");
        let chunk = self.read_exact(size + 2).await;
        chunk.strip_suffix("\r\n").expect("the end of a chunk").to_owned()
    }

    /// Reads exactly so many bytes.
    pub async fn read_exact(&mut self, count: usize) -> String {
        while self.ahead.len() < count {
            let mut buffer = [0; 4096];
            let read = in_time("reading", self.stream.read(&mut buffer)).await;
            assert!(read > 0, "the connection ended {} bytes early", count - self.ahead.len());
            self.ahead.extend_from_slice(&buffer[..read]);
        }
        let rest = self.ahead.split_off(count);
        String::from_utf8_lossy(&std::mem::replace(&mut self.ahead, rest)).into_owned()
    }

    /// Reads a message with a `Content-Length`: head and body.
    ///
    /// # Panics
    /// When the head has none.
    pub async fn read_message(&mut self) -> (String, String) {
        let head = self.read_head().await;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse().expect("a number"))
        });
        let body = self.read_exact(length.expect("a Content-Length")).await;
        (head, body)
    }

    /// Reads to the end of the connection; how it ended is the error, if it was not in order.
    ///
    /// # Errors
    /// The connection was reset.
    pub async fn read_to_end(&mut self) -> Result<String, io::ErrorKind> {
        let mut bytes = std::mem::take(&mut self.ahead);
        let read = tokio::time::timeout(STEP_TIMEOUT, self.stream.read_to_end(&mut bytes));
        match read.await.expect("the connection ends in time") {
            Ok(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => Err(error.kind()),
        }
    }
}

/// Waits until `check` holds, looking whenever other tasks have run. For conditions that have no event to wait for.
///
/// # Panics
/// When it does not hold in time.
pub async fn eventually(what: &str, check: impl Fn() -> bool) {
    let wait = async {
        while !check() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(STEP_TIMEOUT, wait).await.is_ok(), "not in time: {what}");
}
