//! Who waits: in which order, how long, and who counts as one client.

mod common;

use std::net::IpAddr;

use common::{Rig, plan};
use outlast_config::{Accounting, Plan, RefusalForm, ServiceKind};
use outlast_protocol::pool::{Exchange, Queued};
use outlast_testkit::{Wire, eventually};

const SHORT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
/// So many requests one client lets wait.
const MANY: usize = 100;

fn requests(hard: u32) -> Plan {
    let mut plan = plan(ServiceKind::Http, Accounting::Requests, 0, hard);
    plan.queue.depth_max = 2 * MANY;
    plan
}

fn trusting(hard: u32) -> Plan {
    let mut plan = requests(hard);
    plan.listen.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    plan
}

/// A client that asks, from an address of the loopback, with a line in its head.
async fn ask(rig: &Rig, from: u8, path: &str, line: &str) -> Wire {
    let local = IpAddr::from([127, 0, 0, from]);
    let client = Wire::connect_from(local, rig.gateway.addresses()[0]).await;
    let mut client = client.expect("a connection");
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{line}\r\n")).await;
    client
}

async fn waiting(rig: &Rig, count: usize) {
    eventually(&format!("{count} wait"), || rig.service().queue_length == count).await;
}

fn shown(rig: &Rig, path: &str) -> Exchange {
    let exchanges = rig.observe.exchanges();
    exchanges.into_iter().find(|exchange| exchange.path == path).expect("it is in progress")
}

fn queued(rig: &Rig, path: &str) -> Queued {
    shown(rig, path).queue.expect("it waits")
}

/// The path of the next request that a machine gets.
async fn served(machine: &mut Wire) -> String {
    let head = machine.read_head().await;
    head.split(' ').nth(1).expect("a path").to_owned()
}

/// One client has the only place and lets a hundred more wait; then another comes with one. It has the next turn but one.
async fn the_one_is_not_starved_by_the_hundred(
    rig: Rig,
    of_many: impl Fn(usize) -> (u8, String),
    of_one: (u8, &str),
) {
    let first = ask(&rig, of_many(0).0, "/first", &of_many(0).1).await;
    let mut machine = rig.machine.accept().await;
    assert_eq!(served(&mut machine).await, "/first");
    let mut many = vec![first];
    for number in 0..MANY {
        let (from, line) = of_many(number);
        many.push(ask(&rig, from, "/many", &line).await);
    }
    waiting(&rig, MANY).await;
    let one = ask(&rig, of_one.0, "/one", of_one.1).await;
    waiting(&rig, MANY + 1).await;
    let place = queued(&rig, "/one");
    assert_eq!((place.position, place.length), (2, MANY + 1));
    for path in ["/many", "/one", "/many"] {
        machine.send(SHORT).await;
        assert_eq!(served(&mut machine).await, path);
    }
    drop((many, one, machine));
    rig.finish().await;
}

#[tokio::test]
async fn an_address_with_a_hundred_requests_delays_another_by_one_place() {
    let rig = Rig::start(requests(1)).await;
    the_one_is_not_starved_by_the_hundred(rig, |_| (1, String::new()), (2, "")).await;
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_told_apart_by_its_word() {
    let rig = Rig::start(trusting(1)).await;
    let many = |_| (1, "Fly-Client-IP: 192.0.2.1\r\n".to_owned());
    the_one_is_not_starved_by_the_hundred(rig, many, (1, "Fly-Client-IP: 192.0.2.2\r\n")).await;
}

#[tokio::test]
async fn users_behind_a_trusted_proxy_are_told_apart_by_a_header() {
    let mut plan = trusting(1);
    plan.queue.client_header = Some("X-User".parse().expect("a name"));
    let rig = Rig::start(plan).await;
    // From everywhere, and still one.
    let many = |number| (1, format!("Fly-Client-IP: 192.0.2.{}\r\nX-User: ann\r\n", number % 200));
    the_one_is_not_starved_by_the_hundred(rig, many, (1, "X-User: bob\r\n")).await;
}

#[tokio::test]
async fn a_forged_header_gains_nothing() {
    let rig = Rig::start(requests(1)).await;
    let many = |number| (1, format!("Fly-Client-IP: 192.0.2.{}\r\n", number % 200));
    the_one_is_not_starved_by_the_hundred(rig, many, (2, "")).await;
}

#[tokio::test]
async fn a_machine_is_told_the_client_by_a_trusted_proxys_word_and_by_no_other() {
    let claim = "Fly-Client-IP: 192.0.2.7\r\nX-Forwarded-For: 192.0.2.7\r\n\
                 X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n";
    let own = "Fly-Client-IP: 127.0.0.1\r\n";
    for (plan, client, way, scheme) in [
        (trusting(0), "192.0.2.7", "192.0.2.7, 127.0.0.1", "https"),
        (requests(0), "127.0.0.1", "127.0.0.1", "http"),
    ] {
        let rig = Rig::start(plan).await;
        let mut asking = ask(&rig, 1, "/", claim).await;
        let mut machine = rig.machine.accept().await;
        let head = machine.read_head().await;
        for line in [
            format!("Fly-Client-IP: {client}"),
            format!("X-Forwarded-For: {way}"),
            format!("X-Forwarded-Proto: {scheme}"),
        ] {
            assert!(head.lines().any(|other| other == line), "{line} in {head}");
        }
        for name in ["fly-client-ip", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-port"] {
            assert_eq!(head.to_ascii_lowercase().matches(name).count(), 1, "{head}");
        }
        machine.send(SHORT).await;
        asking.read_message().await;
        // The same connection of the proxy carries other clients too.
        asking.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(machine.read_head().await.contains(own));
        drop((asking, machine));
        rig.finish().await;
    }
}

#[tokio::test]
async fn connections_of_a_trusted_proxy_are_not_those_of_one_client() {
    let mut plan = trusting(0);
    plan.listen.connections_per_client_max = std::num::NonZeroU32::new(1);
    plan.listen.trusted_proxies = vec!["127.0.0.9".parse().expect("an address")];
    let rig = Rig::start(plan).await;
    let connected = |count| {
        rig.observe.pool(outlast_observe::PoolPart::All).expect("a pool").client_connections
            == count
    };
    let proxies = [ask(&rig, 9, "/", "").await, ask(&rig, 9, "/", "").await];
    rig.in_flight(2).await;
    let address = rig.gateway.addresses()[0];
    let first = Wire::connect_from([127, 0, 0, 8].into(), address).await;
    eventually("three", || connected(3)).await;
    let end = match Wire::connect_from([127, 0, 0, 8].into(), address).await {
        Ok(mut second) => second.read_to_end().await.err(),
        Err(reset_at_once) => Some(reset_at_once),
    };
    assert_eq!(end, Some(std::io::ErrorKind::ConnectionReset));
    drop((proxies, first));
    eventually("none", || connected(0)).await;
    rig.finish().await;
}

#[tokio::test]
async fn an_exchange_that_waits_shows_its_position_its_estimate_and_its_deadline() {
    let rig = Rig::start(requests(1)).await;
    assert_eq!(rig.service().queue_estimate_ms, Some(0));
    let first = ask(&rig, 1, "/first", "").await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    let second = ask(&rig, 1, "/second", "").await;
    waiting(&rig, 1).await;
    let third = ask(&rig, 1, "/third", "").await;
    waiting(&rig, 2).await;
    let place = queued(&rig, "/third");
    assert_eq!((place.position, place.length, place.estimate_ms), (2, 2, None));
    assert!(
        place.deadline_ms > 20_000 && place.deadline_ms + place.waited_ms <= 30_000,
        "{place:?}"
    );
    assert_eq!(rig.service().queue_estimate_ms, None, "nothing has come free yet");
    let json = serde_json::to_value(shown(&rig, "/first")).expect("plain data");
    assert!(json.get("queue").is_none(), "{json}");

    machine.send(SHORT).await;
    machine.read_head().await;
    waiting(&rig, 1).await;
    let place = queued(&rig, "/third");
    assert_eq!((place.position, place.length), (1, 1));
    let estimate = place.estimate_ms.expect("a place came free");
    let newcomer = rig.service().queue_estimate_ms.expect("the same");
    // Another client waits for one of each: of the one that is there, and its own.
    assert!(newcomer >= 2 * estimate && estimate < 20_000, "{estimate} {newcomer}");
    let json = serde_json::to_value(shown(&rig, "/third")).expect("plain data");
    let keys: Vec<_> = json["queue"].as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["deadline_ms", "estimate_ms", "length", "position", "waited_ms"]);
    drop((first, second, third, machine));
    rig.finish().await;
}

/// A service with its only place taken, where nobody may wait.
async fn full(form: RefusalForm) -> (Rig, Wire, Wire) {
    let mut plan = requests(1);
    plan.queue.timeout = std::time::Duration::ZERO;
    plan.services[0].routes.rest.refusal = form;
    let rig = Rig::start(plan).await;
    let first = ask(&rig, 1, "/first", "").await;
    let machine = rig.machine.accept().await;
    rig.in_flight(1).await;
    (rig, first, machine)
}

const EVENTS: &str = "Accept: text/event-stream\r\n";

#[tokio::test]
async fn an_event_source_that_is_refused_is_told_when_to_come_again() {
    let (rig, first, machine) = full(RefusalForm::EventStream).await;
    let mut client = ask(&rig, 1, "/events", EVENTS).await;
    let (head, body) = client.read_message().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: text/event-stream\r\n"), "{head}");
    assert!(head.contains("\r\nCache-Control: no-store\r\n") && !head.contains("Retry-After"));
    assert!(head.contains("\r\nProxy-Status: outlast; error=connection_limit_reached; "), "{head}");
    let data = body.strip_prefix("retry: 5000\nevent: outlast-refused\ndata: ").expect("an event");
    let problem: serde_json::Value =
        serde_json::from_str(data.strip_suffix("\n\n").expect("the end of an event"))
            .expect("a problem in one line");
    assert_eq!(problem["type"], "urn:outlast:problem:limit");
    rig.outcome("refused", 1).await;
    rig.counted("outlast_refusals_total{service=\"http\",reason=\"limit\"} 1").await;
    // The connection goes on: nothing was cut.
    client.send(format!("GET /events HTTP/1.1\r\nHost: a\r\n{EVENTS}\r\n")).await;
    assert_eq!(client.read_message().await.1.len(), body.len());
    drop((first, machine, client));
    rig.finish().await;
}

#[tokio::test]
async fn an_event_source_that_is_refused_is_told_to_stay_away() {
    let (rig, first, machine) = full(RefusalForm::NoContent).await;
    let mut client = ask(&rig, 1, "/events", EVENTS).await;
    let head = client.read_head().await;
    assert!(head.starts_with("HTTP/1.1 204 No Content\r\n"), "{head}");
    for name in ["Content-Length", "Content-Type", "Retry-After", "Transfer-Encoding"] {
        assert!(!head.contains(name), "{name} in {head}");
    }
    rig.outcome("refused", 1).await;
    client.send(format!("GET /events HTTP/1.1\r\nHost: a\r\n{EVENTS}\r\n")).await;
    assert!(client.read_head().await.starts_with("HTTP/1.1 204 "), "it has no body");
    drop((first, machine, client));
    rig.finish().await;
}

#[tokio::test]
async fn who_is_no_event_source_is_refused_as_ever() {
    for form in [RefusalForm::Problem, RefusalForm::EventStream, RefusalForm::NoContent] {
        let (rig, first, machine) = full(form).await;
        let mut others = vec![
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n{EVENTS}\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n".to_owned(),
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        ];
        if form == RefusalForm::Problem {
            others.push(format!("GET / HTTP/1.1\r\nHost: a\r\n{EVENTS}\r\n"));
        }
        for request in others {
            let mut client = rig.client().await;
            client.send(&request).await;
            let (head, _) = client.read_message().await;
            assert!(head.starts_with("HTTP/1.1 503 "), "{request} {head}");
            assert!(head.contains("\r\nRetry-After: 5\r\n"), "{head}");
        }
        drop((first, machine));
        rig.finish().await;
    }
}
