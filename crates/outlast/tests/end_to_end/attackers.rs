//! A thousand attackers of each slow kind, and clients that must not notice them. Slow readers they do notice, where places are
//! limited.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{App, Outlast};
use outlast_runtime::{Tasks, clock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

const ATTACKERS: usize = 1000;
/// Two descriptors for each attacker, ours and the gateway's, and some.
const DESCRIPTORS_MIN: u64 = 4_000;
/// How well-behaved clients come: at planned times, whether earlier ones have been served or not.
const REQUESTS: usize = 100;
const REQUEST_GAP: Duration = Duration::from_millis(20);
/// No well-behaved client waits so long, on however busy a machine the test runs.
const SERVED_WITHIN: Duration = Duration::from_secs(2);
/// An attacker sends or takes a byte as often.
const ATTACK_GAP: Duration = Duration::from_secs(1);
/// More than goes on its way to a reader who has little room.
const LARGE_BYTES: usize = 4 * 1024 * 1024;
const READER_ROOM_BYTES: u32 = 4 * 1024;

/// What an attacker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attack {
    /// A head, one byte a second.
    Head,
    /// A body, one byte a second.
    Body,
    /// Reads a large answer, one byte a second.
    Read,
    /// Connects, and nothing more.
    Idle,
}

impl Attack {
    /// What it sends at once.
    fn opening(self) -> &'static str {
        match self {
            Self::Head => "GET /attack HTTP/1.1\r\nHost: a\r\nX-Slow: ",
            Self::Body => "POST /attack HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
            Self::Read => "GET /attack HTTP/1.1\r\nHost: a\r\n\r\n",
            Self::Idle => "",
        }
    }
}

/// Attacks until the gateway ends it, or the owner of the task does.
async fn attack(gateway: SocketAddr, attack: Attack, begun: mpsc::Sender<()>) {
    let socket = TcpSocket::new_v4().unwrap();
    if attack == Attack::Read {
        socket.set_recv_buffer_size(READER_ROOM_BYTES).unwrap();
    }
    let mut stream = socket.connect(gateway).await.unwrap();
    stream.write_all(attack.opening().as_bytes()).await.unwrap();
    if attack == Attack::Read {
        stream.read_u8().await.unwrap();
    }
    begun.send(()).await.unwrap();
    loop {
        clock::sleep(ATTACK_GAP).await;
        let went_on = match attack {
            Attack::Head | Attack::Body => stream.write_u8(b'a').await.is_ok(),
            Attack::Read => stream.read_u8().await.is_ok(),
            Attack::Idle => true,
        };
        if !went_on {
            return;
        }
    }
}

/// A well-behaved client with one request: whether it was served, and in time.
async fn is_served(gateway: SocketAddr) -> bool {
    let exchange = async {
        let mut stream = TcpStream::connect(gateway).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
        let mut answer = [0; 17];
        stream.read_exact(&mut answer).await?;
        std::io::Result::Ok(answer.starts_with(b"HTTP/1.1 200 OK\r\n"))
    };
    clock::timeout(SERVED_WITHIN, exchange).await.is_ok_and(|served| served.unwrap_or(false))
}

/// How many of the well-behaved clients are served.
async fn served(gateway: SocketAddr) -> usize {
    let tasks = Tasks::default();
    let (tx, mut rx) = mpsc::channel(REQUESTS);
    let start = clock::now();
    for number in 0..REQUESTS {
        let tx = tx.clone();
        tasks.spawn(async move {
            clock::sleep_until(start + REQUEST_GAP * u32::try_from(number).unwrap()).await;
            tx.send(is_served(gateway).await).await.unwrap();
        });
    }
    drop(tx);
    let mut served = 0;
    while let Some(was_served) = rx.recv().await {
        served += usize::from(was_served);
    }
    served
}

/// Waits until the gateway has accepted so many: the kernel lets clients connect before that.
async fn connected(outlast: &Outlast, clients: usize) {
    let wait = async {
        while outlast.metrics().await["outlast_client_connections"] < clients as f64 {
            // Metrics have no event to wait for from outside.
            clock::sleep(Duration::from_millis(20)).await;
        }
    };
    clock::timeout(Duration::from_secs(20), wait).await.expect("all are accepted");
}

/// The same number of clients is served before an attack and in the middle of it, while the attackers take `places`.
async fn changes_nothing(outlast: &Outlast, kind: Attack, places: usize) {
    assert_eq!(served(outlast.gateway).await, REQUESTS, "before");
    let attackers = Tasks::default();
    let (tx, mut begun) = mpsc::channel(ATTACKERS);
    for _ in 0..ATTACKERS {
        attackers.spawn(attack(outlast.gateway, kind, tx.clone()));
    }
    for _ in 0..ATTACKERS {
        begun.recv().await.unwrap();
    }
    connected(outlast, ATTACKERS).await;
    assert_eq!(outlast.service().await["in_flight"], places, "{kind:?}");
    assert_eq!(served(outlast.gateway).await, REQUESTS, "under attack: {kind:?}");
    attackers.cancel();
    attackers.join().await;
    outlast.service_where("they leave nothing", |service| service["in_flight"] == 0).await;
    assert_eq!(outlast.metrics().await["outlast_ledger_mismatch_total{service=\"http\"}"], 0.0);
}

/// A gateway before an app that answers all alike.
async fn before(app: &App, flags: &[&str]) -> Outlast {
    before_as(app, flags, "").await
}

/// The same, as an `outlast.toml` says.
async fn before_as(app: &App, flags: &[&str], settings: &str) -> Outlast {
    let limit = getrlimit(Resource::Nofile);
    let may_have = limit.maximum.unwrap_or(u64::MAX);
    assert!(may_have >= DESCRIPTORS_MIN, "{DESCRIPTORS_MIN} open files are needed (ulimit -Hn)");
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let to = app.address.to_string();
    let log = ["--no-auth", "--log", "outlast::access=off,info", "--to", &to];
    Outlast::up(&[("outlast.toml", settings)], &[&log, flags].concat()).await
}

fn short() -> App {
    App::start("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
}

/// A tenth as many places as attackers: whoever takes one without need would be seen.
const FEW_PLACES: [&str; 4] = ["--hard-limit", "100", "--soft-limit", "0"];

#[tokio::test]
async fn slow_heads_change_nothing() {
    let app = short();
    changes_nothing(&before(&app, &FEW_PLACES).await, Attack::Head, 0).await;
}

/// Not before a sensible part of a body has come does it take a place (`upstream.request_buffer`).
#[tokio::test]
async fn slow_bodies_change_nothing() {
    let app = short();
    changes_nothing(&before(&app, &FEW_PLACES).await, Attack::Body, 0).await;
}

#[tokio::test]
async fn idle_connections_change_nothing() {
    let app = short();
    changes_nothing(&before(&app, &FEW_PLACES).await, Attack::Idle, 0).await;
}

fn large() -> App {
    let mut large =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE_BYTES}\r\n\r\n").into_bytes();
    large.resize(large.len() + LARGE_BYTES, b'x');
    App::start(large)
}

/// They cost others nothing but places: here there are as many as anybody likes.
#[tokio::test]
async fn slow_readers_of_large_answers_slow_nobody_down_where_places_are_not_limited() {
    let app = large();
    let outlast = before(&app, &["--hard-limit", "0"]).await;
    changes_nothing(&outlast, Attack::Read, ATTACKERS).await;
}

/// Ten clients that read nothing, where there are ten places.
async fn take_all_places(outlast: &Outlast) -> Tasks {
    let attackers = Tasks::default();
    let (tx, mut begun) = mpsc::channel(10);
    for _ in 0..10 {
        attackers.spawn(attack(outlast.gateway, Attack::Read, tx.clone()));
    }
    for _ in 0..10 {
        begun.recv().await.unwrap();
    }
    attackers
}

const TEN_PLACES: [&str; 6] = ["--hard-limit", "10", "--soft-limit", "0", "--queue-timeout", "0s"];

/// An answer takes its place until its last byte is sent, and silence alone ends nothing: without a clock they may stay.
#[tokio::test]
async fn slow_readers_keep_everybody_out_where_places_are_limited_and_no_clock_runs() {
    let app = large();
    let outlast = before(&app, &TEN_PLACES).await;
    let attackers = take_all_places(&outlast).await;
    assert_eq!(outlast.service().await["in_flight"], 10);
    assert!(!is_served(outlast.gateway).await, "all places are taken");
    attackers.cancel();
    attackers.join().await;
    outlast.service_where("they leave nothing", |service| service["in_flight"] == 0).await;
    assert!(is_served(outlast.gateway).await);
}

#[tokio::test]
async fn write_stall_takes_the_places_of_slow_readers_back() {
    let app = large();
    let settings = "[[route]]\npath = \"/**\"\nclocks.write_stall = \"1s\"\n";
    let outlast = before_as(&app, &TEN_PLACES, settings).await;
    let attackers = take_all_places(&outlast).await;
    outlast.service_where("all are ended", |service| service["in_flight"] == 0).await;
    let stalled = "outlast_timeouts_total{service=\"http\",clock=\"write_stall\"}";
    assert_eq!(outlast.metrics().await[stalled], 10.0);
    assert!(is_served(outlast.gateway).await, "while the attackers are still connected");
    attackers.cancel();
    attackers.join().await;
}

/// Debian's own attacker, which is not of our making: slow heads, slow bodies, slow readers.
async fn slowhttptest(outlast: &Outlast, kind: &[&str]) {
    let url = format!("http://{}/", outlast.gateway);
    let mut command = tokio::process::Command::new("slowhttptest");
    let size = ["-c", "500", "-r", "500", "-l", "4", "-i", "1", "-p", "2", "-u", &url];
    command.args(kind).args(size).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let attacker = command.spawn().expect("Debian's package slowhttptest is installed");
    connected(outlast, 500).await;
    assert_eq!(served(outlast.gateway).await, REQUESTS, "under attack: {kind:?}");
    let ended = clock::timeout(Duration::from_secs(20), attacker.wait_with_output()).await;
    let output = ended.expect("it ends after its 4 seconds").unwrap();
    // It has looked once a second by itself whether the service is there; the colours stand between the words.
    let told = String::from_utf8_lossy(&output.stdout);
    let looks: Vec<_> = told.split("service available:").skip(1).collect();
    let found_it = |look: &&str| look.lines().next().is_some_and(|look| look.contains("YES"));
    assert!(!looks.is_empty() && looks.iter().all(found_it), "{told}");
}

#[tokio::test]
async fn slowhttptest_changes_nothing() {
    let app = short();
    let outlast = before(&app, &["--hard-limit", "0"]).await;
    assert_eq!(served(outlast.gateway).await, REQUESTS, "before");
    for kind in [&["-H"][..], &["-B", "-s", "8192"], &["-X", "-w", "1", "-y", "1", "-z", "1"]] {
        slowhttptest(&outlast, kind).await;
    }
}
