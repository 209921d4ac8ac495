//! The app of an incident: it does what a request tells it to, and whatever is done to its machine.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outlast_runtime::{Tasks, clock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::place::Place;

/// The request field that tells what to do: kind, first byte and length in milliseconds, bytes, status.
pub(super) const TOLD: &str = "Told";
/// Bytes go out about so often, as far as the answer lasts.
const PIECES: u32 = 6;

/// How it is with a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Up,
    Frozen,
    /// The port is closed, and what is open goes on.
    Closing,
    Down,
}

/// What only the app knows.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) at: jiff::Timestamp,
    pub(super) machine: usize,
    pub(super) request: String,
    pub(super) what: Known,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The request has come.
    Begun,
    /// A WebSocket's client has not answered a ping.
    NoPong,
}

/// What all machines of a drive have noted.
pub(super) type Notes = Arc<Mutex<Vec<Note>>>;

/// How a WebSocket is asked whether it lives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pings {
    pub(super) every: Duration,
    pub(super) patience: Duration,
}

pub(super) struct App {
    pub(super) address: SocketAddr,
    pub(super) state: watch::Sender<State>,
}

#[derive(Clone)]
struct Inside {
    machine: usize,
    state: watch::Receiver<State>,
    notes: Notes,
    pings: Pings,
}

impl App {
    /// Listens while the state lets it.
    pub(super) fn start(
        machine: usize,
        begins: State,
        place: &Place,
        pings: Pings,
        notes: &Notes,
        tasks: &Tasks,
    ) -> Self {
        // It has the port from now on, if not the listener.
        let address = place.listen(None).local_addr().unwrap();
        let (state, follow) = watch::channel(begins);
        let inside = Inside { machine, state: follow, notes: Arc::clone(notes), pings };
        let listener = (begins == State::Up).then(|| place.listen(Some(address)));
        tasks.spawn(serve(listener, address, place.clone(), inside, tasks.clone()));
        Self { address, state }
    }
}

async fn serve(
    mut listener: Option<TcpListener>,
    address: SocketAddr,
    place: Place,
    mut inside: Inside,
    tasks: Tasks,
) {
    loop {
        let state = *inside.state.borrow_and_update();
        match (&listener, state) {
            (Some(_), State::Down | State::Closing | State::Frozen) => listener = None,
            (None, State::Up) => listener = Some(place.listen(Some(address))),
            (Some(open), State::Up) => tokio::select! {
                accepted = open.accept() => {
                    if let Ok((stream, _)) = accepted {
                        tasks.spawn(connection(stream, inside.clone()));
                    }
                }
                _ = inside.state.changed() => {}
            },
            _ => {
                if inside.state.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Serves until the client, or what is done to the machine, ends it.
async fn connection(mut stream: TcpStream, mut inside: Inside) {
    let mut state = inside.state.clone();
    let is_over = |state: &State| matches!(state, State::Frozen | State::Down);
    let fate = tokio::select! {
        _over = requests(&mut stream, &mut inside) => return,
        fate = state.wait_for(is_over) => fate.map(|fate| *fate),
    };
    // What a suspended machine had open says nothing more, and is dead when it comes back. What a stopped one had is cut.
    if fate.is_ok_and(|fate| fate == State::Frozen) {
        state.wait_for(|state| *state != State::Frozen).await.ok();
    }
    stream.set_zero_linger().ok();
}

async fn requests(stream: &mut TcpStream, inside: &mut Inside) -> io::Result<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).map_err(io::Error::other)?;
        let field =
            |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let request = field("Fly-Request-Id").unwrap_or_default().to_owned();
        inside.note(&request, Known::Begun);
        let told = field(TOLD).unwrap_or("plain 1 0 10 200").to_owned();
        let words: Vec<_> = told.split(' ').collect();
        let number = |index: usize| words[index].parse::<u64>().map_err(io::Error::other);
        let (first, length) = (number(1)?, Duration::from_millis(number(2)?));
        clock::sleep(Duration::from_millis(first)).await;
        let bytes = usize::try_from(number(3)?).map_err(io::Error::other)?;
        match words[0] {
            "plain" => plain(stream, words[4], bytes).await?,
            "stream" => stream_out(stream, length, bytes).await?,
            _ => return socket(stream, &request, length, inside).await,
        }
    }
}

async fn plain(stream: &mut TcpStream, status: &str, bytes: usize) -> io::Result<()> {
    let body = "x".repeat(bytes);
    let head = format!("HTTP/1.1 {status} Told\r\nContent-Length: {bytes}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).await
}

async fn stream_out(stream: &mut TcpStream, length: Duration, bytes: usize) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
    let piece = format!("{bytes:x}\r\n{}\r\n", "x".repeat(bytes));
    let (mut read, mut write) = stream.split();
    let mut out = async || {
        for _ in 0..PIECES {
            write.write_all(piece.as_bytes()).await?;
            clock::sleep(length / PIECES).await;
        }
        write.write_all(b"0\r\n\r\n").await
    };
    tokio::select! {
        done = out() => done,
        // Who asks for one thing only says nothing more: this is its end.
        _gone = read.read_u8() => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

/// A WebSocket in all that matters here: it is upgraded, and whoever lives answers each ping.
async fn socket(
    stream: &mut TcpStream,
    request: &str,
    length: Duration,
    inside: &Inside,
) -> io::Result<()> {
    let head =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let end = clock::now() + length;
    while clock::now() + inside.pings.every < end {
        clock::sleep(inside.pings.every).await;
        stream.write_all(b"?").await?;
        match clock::timeout(inside.pings.patience, stream.read_u8()).await {
            Ok(pong) => drop(pong?),
            Err(_) => {
                inside.note(request, Known::NoPong);
                return stream.set_zero_linger();
            }
        }
    }
    clock::sleep_until(end).await;
    Ok(())
}

impl Inside {
    fn note(&self, request: &str, what: Known) {
        let (at, machine, request) = (clock::wall_now(), self.machine, request.to_owned());
        self.notes.lock().unwrap().push(Note { at, machine, request, what });
    }
}
