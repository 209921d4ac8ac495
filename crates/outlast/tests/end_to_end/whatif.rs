//! A what-if is confirmed: the gateway is run with the changed limits under the same load, and refuses as many as predicted.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use outlast_config::SourceText;
use outlast_doctor::whatif::{Base, Behaviour, Class, Load, Question, User, what_if};
use outlast_doctor::{Files, Hints};
use outlast_runtime::random::Seeded;
use outlast_runtime::{Tasks, Workers, clock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::support::Outlast;

/// One every ten milliseconds, for six seconds.
const USERS: u32 = 600;
const GAP: Duration = Duration::from_millis(10);
/// Streams last from 0.8 to 1.6 s: what is late by 20 ms moves what is refused by two in a hundred at most.
const SHORTEST: Duration = Duration::from_millis(800);
const LONGEST: Duration = Duration::from_millis(1_600);
/// If the client itself was later than that, the test says nothing.
const LAG_MAX: Duration = Duration::from_millis(200);

const FLY: &str = "\
app = \"a\"
[http_service]
internal_port = 8080
[http_service.concurrency]
type = \"requests\"
hard_limit = 25
soft_limit = 20
";
const NO_QUEUE: &str = "[queue]\ntimeout = \"0s\"\n";
const QUEUE: &str = "[queue]\ntimeout = \"500ms\"\ndepth_max = 10\n";

/// The users of the test: the same whoever asks.
fn users() -> Vec<User> {
    let mut chance = Seeded::new(9);
    let user = |index: u32| User {
        at: GAP * index,
        holding: SHORTEST + (LONGEST - SHORTEST).mul_f64(chance.share()),
        client: 0,
        class: Class::Ordinary,
        group: 0,
    };
    (0..USERS).map(user).collect()
}

/// How many of them would be refused after a change.
fn predicted(outlast: &str, change: &str) -> f64 {
    let (fly, outlast) =
        (SourceText::new("fly.toml", FLY), SourceText::new("outlast.toml", outlast));
    let files = Files { fly: &fly, outlast: Some(&outlast) };
    let base = Base::read(&files, &Hints::default(), None).unwrap();
    let load = Load { users: users(), groups: vec![Behaviour::PATIENT] };
    let answer = what_if(&Question {
        variants: vec![(change.to_owned(), base.variant.changed(change).unwrap())],
        load: &|_seed| load.clone(),
        runs: NonZeroU32::new(1),
        seed: 1,
        refused_max: 0.001,
    });
    answer.columns[0].figures.refused.mean
}

/// A machine on a thread of its own that answers `GET /N` after N milliseconds, and keeps its connections.
struct Machine {
    address: SocketAddr,
    _thread: Workers,
}

impl Machine {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = Arc::new(listener);
        let serve = move |_index| {
            let listener = listener.try_clone().unwrap();
            async move {
                let listener = TcpListener::from_std(listener).unwrap();
                let tasks = Tasks::default();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    tasks.spawn(answer(stream));
                }
            }
        };
        Self { address, _thread: Workers::start("machine", 1, serve).unwrap() }
    }
}

async fn answer(mut stream: TcpStream) {
    let mut request = Vec::new();
    while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8_lossy(&request).into_owned();
        let path = text.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
        request.clear();
        clock::sleep(Duration::from_millis(path.parse().unwrap())).await;
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.is_err() {
            return;
        }
    }
}

/// One request on a connection of its own: its status.
async fn ask(to: SocketAddr, holding: Duration) -> u16 {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let path = holding.as_millis();
    let request = format!("GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Sends the users to a gateway with these flags: how many were refused.
async fn refused(outlast: &str, flags: &[&str]) -> usize {
    let machine = Machine::start();
    let to = machine.address.to_string();
    let flags = [&["--to", &to], flags].concat();
    let outlast = Outlast::up(&[("fly.toml", FLY), ("outlast.toml", outlast)], &flags).await;
    let gateway = outlast.gateway;
    let (tx, mut rx) = mpsc::channel(USERS as usize);
    let tasks = Tasks::default();
    let (start, mut lag) = (clock::now(), Duration::ZERO);
    for user in users() {
        clock::sleep_until(start + user.at).await;
        lag = lag.max(clock::now().saturating_duration_since(start + user.at));
        let tx = tx.clone();
        tasks.spawn(async move { tx.send(ask(gateway, user.holding).await).await.unwrap() });
    }
    drop(tx);
    let mut statuses = Vec::new();
    while let Some(status) = rx.recv().await {
        statuses.push(status);
    }
    assert!(lag <= LAG_MAX, "the client was {lag:?} late itself: this says nothing of the gateway");
    let with = |status| statuses.iter().filter(|one| **one == status).count();
    assert_eq!(with(200) + with(503), USERS as usize, "{statuses:?}");
    with(503)
}

async fn confirm(outlast: &str, change: &str, flags: &[&str]) {
    let (seen, predicted) = (refused(outlast, flags).await, predicted(outlast, change));
    println!("{change}: predicted {predicted}, seen {seen}");
    assert!(seen >= 200, "{change}: {seen} are too few to tell");
    let error = (seen as f64 / predicted - 1.0).abs();
    assert!(error <= 0.05, "{change}: predicted {predicted}, seen {seen}");
}

#[tokio::test]
async fn the_gateway_refuses_as_many_as_were_predicted() {
    tokio::join!(
        confirm(NO_QUEUE, "hard=25", &[]),
        confirm(NO_QUEUE, "hard=60,soft=45", &["--hard-limit", "60", "--soft-limit", "45"]),
        confirm(
            NO_QUEUE,
            "type=connections,hard=50",
            &["--type", "connections", "--hard-limit", "50"]
        ),
        confirm(QUEUE, "hard=40", &["--hard-limit", "40"]),
    );
}
