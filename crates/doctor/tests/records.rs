//! A log of `outlast up` as the load of a what-if.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic as tests do")]

use std::fmt::Write as _;
use std::time::Duration;

use outlast_config::Spread;
use outlast_doctor::logs::Reader;
use outlast_doctor::whatif::{Class, Load, Recorded, Records, RecordsError, Retry};

/// A line of `outlast::access`: ended so many seconds after noon, by this client, for this path, how, held and queued for so many
/// seconds.
fn line(
    ended: u64,
    client: &str,
    path: &str,
    outcome: (&str, &str),
    held: u64,
    queued: u64,
) -> String {
    let (minute, second) = (ended / 60, ended % 60);
    let (outcome, detail) = outcome;
    let (queued_ms, duration_ms) = (queued * 1_000, (held + queued) * 1_000);
    format!(
        "{{\"timestamp\":\"2026-11-28T12:{minute:02}:{second:02}.000000Z\",\"level\":\"INFO\",\"target\":\"outlast::access\",\
        \"request_id\":\"01-sjc\",\"client\":\"{client}:50000\",\"service\":\"http\",\"method\":\"POST\",\"path\":\"{path}\",\
        \"status\":200,\"machine\":\"m\",\"outcome\":\"{outcome}\",\"detail\":\"{detail}\",\"attempts\":1,\"sent_bytes\":1,\
        \"received_bytes\":1,\"queued_ms\":{queued_ms},\"first_byte_ms\":1,\"duration_ms\":{duration_ms}}}\n"
    )
}

fn records(log: &str, service: &str, retry: Option<Retry>) -> Result<Recorded, RecordsError> {
    let control = ["/api/abort/*".parse().unwrap()];
    let mut records = Records::new(service, &control);
    let mut reader = Reader::new(0);
    reader.feed(log.as_bytes(), &mut |event| records.take(&event));
    reader.finish(&mut |event| records.take(&event)).unwrap();
    records.finish(retry, None)
}

const COMPLETED: (&str, &str) = ("completed", "");
const REFUSED: (&str, &str) = ("refused", "queue_deadline");

/// Twenty streams of 100 to 119 s, one every ten seconds from noon on.
fn twenty() -> String {
    let mut log = String::new();
    for index in 0..20 {
        let (client, held) = (format!("192.0.2.{index}"), 100 + index);
        write!(log, "{}", line(index * 10 + held, &client, "/api/chat", COMPLETED, held, 0))
            .unwrap();
    }
    log
}

fn starts(load: &Load) -> Vec<(u64, u64)> {
    load.users.iter().map(|user| (user.at.as_secs(), user.holding.as_secs())).collect()
}

#[test]
fn exchanges_begin_before_their_line_and_hold_a_place_after_their_wait() {
    let log = line(130, "192.0.2.1", "/api/chat", COMPLETED, 100, 20)
        + &line(50, "192.0.2.2", "/api/chat", ("client_gone", "streaming"), 30, 0)
        + &line(51, "192.0.2.3", "/api/abort/x", COMPLETED, 1, 0)
        + &line(60, "192.0.2.3", "/api/chat", ("client_gone", "receiving"), 1, 0)
        + &line(61, "192.0.2.3", "/api/chat", ("refused", "bad_request"), 0, 0)
        + &line(62, "192.0.2.3", "/api/chat", ("timed_out", "head"), 15, 0);
    let load = records(&log, "http", None).unwrap().draw(1);
    assert_eq!(starts(&load), [(0, 100), (10, 30), (40, 1)]);
    let classes: Vec<_> = load.users.iter().map(|user| user.class).collect();
    assert_eq!(classes, [Class::Ordinary, Class::Ordinary, Class::Control]);
    assert_eq!(load.groups[0].retry, Retry::Never);
    assert_ne!(load.users[0].client, load.users[1].client);
}

#[test]
fn who_was_refused_and_came_again_is_one_user_who_does_so_again() {
    // Refused at 30 and 50, each after a wait of ten seconds, and let in at 60 for 40 s.
    let log = twenty()
        + &line(30, "198.51.100.1", "/api/chat", REFUSED, 0, 10)
        + &line(50, "198.51.100.1", "/api/chat", REFUSED, 0, 10)
        + &line(100, "198.51.100.1", "/api/chat", COMPLETED, 40, 0)
        + &line(200, "198.51.100.1", "/api/chat", COMPLETED, 10, 0);
    let recorded = records(&log, "http", None).unwrap();
    let load = recorded.draw(1);
    assert_eq!(load.users.len(), 22, "{}", recorded.told());
    assert!(starts(&load).contains(&(20, 40)) && starts(&load).contains(&(190, 10)));
    let seconds = Duration::from_secs(10);
    let seen = Retry::Again {
        wait: Spread::Uniform(seconds, seconds),
        times: 2,
        at_least: Duration::ZERO,
    };
    assert_eq!(load.groups[0].retry, seen);
    let told = records(&log, "http", Some(Retry::Never)).unwrap().draw(1);
    assert_eq!(told.groups[0].retry, Retry::Never, "what is told wins");
}

#[test]
fn who_never_had_a_place_holds_one_for_as_long_as_others_did() {
    let log = twenty()
        + &line(30, "198.51.100.1", "/api/chat", REFUSED, 0, 30)
        + &line(31, "198.51.100.2", "/api/chat", ("client_gone", "queued"), 0, 5)
        + &line(110, "198.51.100.3", "/api/chat", ("cut_by_drain", ""), 110, 0);
    let recorded = records(&log, "http", None).unwrap();
    assert!(recorded.told().contains("2 of these never had a place"), "{}", recorded.told());
    for seed in 0..50 {
        let load = recorded.draw(seed);
        let of = |at| *starts(&load).iter().rfind(|start| start.0 == at).unwrap();
        assert!((100..=119).contains(&of(0).1), "{:?}", of(0));
        assert!((100..=119).contains(&of(26).1), "{:?}", of(26));
        let cut = starts(&load)
            .into_iter()
            .filter(|start| start.0 == 0)
            .map(|start| start.1)
            .max()
            .unwrap();
        assert!((110..=119).contains(&cut), "what was cut after 110 s goes on: {cut}");
    }
    assert_ne!(recorded.draw(1), recorded.draw(2));
}

#[test]
fn too_little_is_refused_and_says_what_to_do() {
    let refused = line(30, "198.51.100.1", "/api/chat", REFUSED, 0, 30);
    let few = line(20, "192.0.2.1", "/api/chat", COMPLETED, 20, 0) + &refused;
    assert_eq!(records(&few, "http", None), Err(RecordsError::TooFew { all: 2, known: 1 }));
    assert_eq!(records(&few, "tcp-3001", None), Err(RecordsError::Nothing { others: 2 }));
    assert!(RecordsError::TooFew { all: 2, known: 1 }.hint().contains("--arrivals"));
}

#[test]
fn loopback_addresses_are_those_of_many() {
    let log = twenty()
        + &line(30, "127.0.0.1", "/api/chat", REFUSED, 0, 0)
        + &line(32, "127.0.0.1", "/api/chat", COMPLETED, 1, 0);
    assert_eq!(records(&log, "http", None).unwrap().draw(1).users.len(), 22);
}
