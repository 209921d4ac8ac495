//! A small proxy before the origin that can be made to have a bug.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use outlast_runtime::Tasks;
use tokio::io::{self, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Nothing.
    None,
    /// A place is not given back when the client leaves.
    LeaksPlace,
    /// A byte within a line comes twice, in one stream.
    DoublesByte,
    /// A line comes twice.
    DoublesLine,
    /// A line is left out.
    LosesLine,
    /// Two lines change places.
    SwapsLines,
    /// A line is cut, and the response ends as if it were whole.
    CutsAsWhole,
    /// A client gets a line of another one.
    MixesClients,
}

/// Chunks after which a bug shows.
const CHUNK: usize = 3;

struct Proxy {
    bug: Bug,
    origin: SocketAddr,
    places: Arc<Semaphore>,
    /// The last chunk of any stream, and whose it is.
    last: Mutex<(usize, Vec<u8>)>,
}

/// Starts it with so many places.
pub(crate) async fn start(
    bug: Bug,
    origin: SocketAddr,
    places: usize,
    tasks: &Tasks,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let places = Arc::new(Semaphore::new(places));
    let proxy = Arc::new(Proxy { bug, origin, places, last: Mutex::default() });
    let inner = tasks.clone();
    tasks.spawn(async move {
        for number in 0.. {
            let (client, _) = listener.accept().await.unwrap();
            let proxy = Arc::clone(&proxy);
            inner.spawn(async move {
                // A client that leaves ends its exchange, and nothing else.
                let _gone = proxy.exchange(client, number).await;
            });
        }
    });
    address
}

impl Proxy {
    async fn exchange(&self, mut client: TcpStream, number: usize) -> io::Result<()> {
        let mut request = vec![0; 8192];
        let read = client.read(&mut request).await?;
        if read == 0 {
            // It only looked whether somebody listens.
            return Ok(());
        }
        let Ok(place) = self.places.try_acquire() else {
            return client
                .write_all(b"HTTP/1.1 503 Full\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
                .await;
        };
        let mut origin = BufReader::new(TcpStream::connect(self.origin).await?);
        origin.write_all(&request[..read]).await?;
        let relayed = self.relay(&mut origin, &mut client, number).await;
        if relayed.is_err() && self.bug == Bug::LeaksPlace {
            place.forget();
        }
        relayed
    }

    async fn relay(
        &self,
        origin: &mut BufReader<TcpStream>,
        client: &mut TcpStream,
        number: usize,
    ) -> io::Result<()> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            origin.read_line(&mut head).await?;
        }
        client.write_all(head.as_bytes()).await?;
        let mut held = None;
        for index in 0.. {
            let chunk = tokio::select! {
                chunk = read_chunk(origin) => chunk?,
                // The client says nothing more: this is its end.
                _end = client.read_u8() => return Err(io::ErrorKind::ConnectionReset.into()),
            };
            let is_end = chunk.is_empty();
            let chunks = self.spoil(chunk, index, number, &mut held);
            for chunk in &chunks {
                write_chunk(client, chunk).await?;
            }
            if is_end || (self.bug == Bug::CutsAsWhole && index == CHUNK && number == 1) {
                break;
            }
        }
        client.write_all(b"0\r\n\r\n").await
    }

    /// What becomes of a chunk.
    fn spoil(
        &self,
        chunk: Vec<u8>,
        index: usize,
        number: usize,
        held: &mut Option<Vec<u8>>,
    ) -> Vec<Vec<u8>> {
        if chunk.is_empty() {
            return Vec::new();
        }
        let mut last = self.last.lock().unwrap();
        let other = std::mem::replace(&mut *last, (number, chunk.clone()));
        let middle = chunk.len() / 2;
        match self.bug {
            Bug::MixesClients if index >= CHUNK && other.0 != number => vec![other.1, chunk],
            _ if index != CHUNK && held.is_none() => vec![chunk],
            _ if number != 1 => vec![chunk],
            Bug::DoublesByte => vec![[&chunk[..=middle], &chunk[middle..]].concat()],
            Bug::DoublesLine => vec![chunk.clone(), chunk],
            Bug::LosesLine => Vec::new(),
            Bug::CutsAsWhole => vec![chunk[..middle].to_vec()],
            Bug::SwapsLines => match held.take() {
                Some(earlier) => vec![chunk, earlier],
                None => {
                    *held = Some(chunk);
                    Vec::new()
                }
            },
            Bug::None | Bug::LeaksPlace | Bug::MixesClients => vec![chunk],
        }
    }
}

async fn read_chunk(origin: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut size = String::new();
    origin.read_line(&mut size).await?;
    let size = usize::from_str_radix(size.trim_end(), 16).map_err(io::Error::other)?;
    let mut chunk = vec![0; size + 2];
    origin.read_exact(&mut chunk).await?;
    chunk.truncate(size);
    Ok(chunk)
}

async fn write_chunk(client: &mut TcpStream, chunk: &[u8]) -> io::Result<()> {
    let mut wire = format!("{:x}\r\n", chunk.len()).into_bytes();
    wire.extend_from_slice(chunk);
    wire.extend_from_slice(b"\r\n");
    client.write_all(&wire).await
}
