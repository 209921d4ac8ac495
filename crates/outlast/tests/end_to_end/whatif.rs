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
use outlast_testkit::eventually;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::support::{INCIDENT, INCIDENT_OUTLAST, Outlast};

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

/// Sends the users to a gateway with these flags: how many were refused, and what the gateway logged of them.
async fn refused(outlast: &str, flags: &[&str]) -> (usize, String) {
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
    let is_access = |line: &&String| line.contains("outlast::access");
    eventually("each exchange is logged", || {
        outlast.log().iter().filter(is_access).count() == USERS as usize
    })
    .await;
    (with(503), outlast.log().join("\n") + "\n")
}

fn compare(change: &str, predicted: f64, seen: usize) {
    println!("{change}: predicted {predicted}, seen {seen}");
    assert!(seen >= 200, "{change}: {seen} are too few to tell");
    let error = (seen as f64 / predicted - 1.0).abs();
    assert!(error <= 0.05, "{change}: predicted {predicted}, seen {seen}");
}

async fn confirm(outlast: &str, change: &str, flags: &[&str]) {
    let (seen, _) = refused(outlast, flags).await;
    compare(change, predicted(outlast, change), seen);
}

#[tokio::test]
async fn the_gateway_refuses_as_many_as_were_predicted() {
    tokio::join!(
        confirm(
            NO_QUEUE,
            "type=connections,hard=50",
            &["--type", "connections", "--hard-limit", "50"]
        ),
        confirm(QUEUE, "hard=40", &["--hard-limit", "40"]),
    );
}

/// As it goes in life: a gateway refuses too many, its log is asked what other limits would have done, and they are set. Of those who
/// were refused nobody knows how long their streams would have lasted.
#[tokio::test]
async fn the_log_of_one_gateway_predicts_what_another_with_other_limits_does() {
    let ((before, log), (after, _)) = tokio::join!(
        refused(NO_QUEUE, &[]),
        refused(NO_QUEUE, &["--hard-limit", "60", "--soft-limit", "45"]),
    );
    let folder =
        Outlast::folder(&[("fly.toml", FLY), ("outlast.toml", NO_QUEUE), ("gateway.log", &log)]);
    let args = ["doctor", "--records", "gateway.log", "--what-if", "hard=60,soft=45"];
    let args = [&args[..], &["--format", "json"]].concat();
    let output = Outlast::command(folder.path(), &args).output().await.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{stderr}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [as_it_is, changed] = &answer["variants"].as_array().unwrap()[..] else {
        panic!("{answer}")
    };
    assert_eq!(
        (as_it_is["users"].as_f64(), &as_it_is["settings"]["hard"]),
        (Some(600.0), &"25".into())
    );
    compare("as it is", as_it_is["refused"]["mean"].as_f64().unwrap(), before);
    compare("hard=60,soft=45", changed["refused"]["mean"].as_f64().unwrap(), after);
}

async fn doctor(args: &[&str]) -> (i32, String, String) {
    let folder = Outlast::folder(&[("fly.toml", INCIDENT), ("outlast.toml", INCIDENT_OUTLAST)]);
    let args = [&["doctor"], args].concat();
    let output = Outlast::command(folder.path(), &args).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn the_incident_s_table_fits_80_columns_and_the_type_alone_changes_nothing() {
    let changes = ["hard=60,soft=45", "type=requests", "machines=2"];
    let changes = changes.iter().flat_map(|change| ["--what-if", change]);
    let args: Vec<_> = ["--load", "incident", "--seed", "7"].into_iter().chain(changes).collect();
    let (code, table, stderr) = doctor(&args).await;
    assert_eq!((code, &*stderr), (0, ""));
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    let row = |label: &str| -> Vec<String> {
        let line = table.lines().find(|line| line.trim_start().starts_with(label));
        let cells = line.unwrap_or_else(|| panic!("no {label}: {table}")).trim_start();
        cells[label.len()..]
            .split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .map(Into::into)
            .collect()
    };
    assert_eq!(row("hard"), ["25", "60", "25", "25"]);
    assert_eq!(row("for stream"), ["26", "–", "26", "–"]);
    assert_eq!(row("would suffice"), ["hard=40", "hard=40", "hard=40", "hard=20"]);
    assert_eq!(row("streams at once"), ["25", "40", "25", "40"]);
    assert_eq!(row("refused")[1..].iter().filter(|cell| *cell == "0").count(), 2);
    assert!(table.contains("type=requests alone changes nothing"), "{table}");
    assert_eq!(doctor(&args).await.1, table, "the same seed says the same");
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told_with_what_to_do() {
    let load = ["--arrivals", "1/s", "--holding", "5s"];
    for (args, error, hint) in [
        (&["--what-if", "hard=60"][..], "what comes in", "--arrivals 12/min"),
        (
            &["--what-if", "hrad=60"],
            "\"hrad\" is nothing that can be changed",
            "did you mean hard?",
        ),
        (&["--what-if", "type=request"], "\"request\" is not known", "did you mean requests?"),
        (&["--what-if", "hard=60,hard=70"], "changed twice", "repeat --what-if"),
        (&["--what-if", "queue=5"], "queue=5: a unit is missing", "queue=30s"),
        (&["--what-if", "machines=0"], "at least one machine", "machines=2"),
        (&["--arrivals", "1000/s", "--holding", "5s"], "3600000 users", "shorten --during"),
        (&["--service", "htp"], "no service \"htp\"", "did you mean http?"),
        (&["--load", "incdent"], "no preset and no file", "did you mean the preset incident?"),
        (&["--records", "fly.toml"], "fly.toml", "a log of `outlast up`"),
        (&["--format", "sarif"], "no findings", "human or json"),
    ] {
        let has_load =
            ["--arrivals", "--load", "--records"].contains(&args[0]) || hint.contains("--arrivals");
        let all = if has_load { args.to_vec() } else { [args, &load].concat() };
        let (code, stdout, stderr) = doctor(&all).await;
        assert_eq!((code, &*stdout), (2, ""), "{args:?}: {stderr}");
        assert!(stderr.contains(error) && stderr.contains(hint), "{args:?}: {stderr}");
    }
}
