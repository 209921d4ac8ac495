//! The incident, rehearsed: its own limits, real processes, real streams.

use std::net::SocketAddr;

use crate::support::{Chat, INCIDENT, INCIDENT_OUTLAST, Outlast, free_port, get, request};
use outlast_runtime::Tasks;
use serde_json::Value;
use tokio::sync::mpsc;

/// More runs at once than the example has, so that only the gateway limits.
const MANY_RUNS: &str = "[agent]\nruns_max = 250\n";

/// What became of a chat: its status and last line, or the head of a refusal and its problem.
enum Ending {
    Whole(String),
    Refused { head: String, problem: Value },
}

/// Starts chats at once and tells the ending of each as it comes.
fn chats(
    to: SocketAddr,
    count: usize,
    pace: &'static str,
    tasks: &Tasks,
) -> mpsc::Receiver<Ending> {
    let (tx, rx) = mpsc::channel(count);
    for number in 0..count {
        let tx = tx.clone();
        tasks.spawn(async move {
            let id = format!("chat-{number}");
            let mut chat = Chat::ask(to, &id, &[("Outlast-Drill-Pace", pace)]).await.unwrap();
            let ending = match chat.response.status {
                200 => Ending::Whole(chat.end().await.unwrap()),
                _ => {
                    let body = chat.response.body().await.unwrap();
                    let problem = serde_json::from_str(&body).unwrap();
                    Ending::Refused { head: chat.response.head, problem }
                }
            };
            tx.send(ending).await.unwrap();
        });
    }
    rx
}

async fn endings(mut rx: mpsc::Receiver<Ending>) -> (Vec<String>, Vec<(String, Value)>) {
    let (mut whole, mut refused) = (Vec::new(), Vec::new());
    while let Some(ending) = rx.recv().await {
        match ending {
            Ending::Whole(last) => whole.push(last),
            Ending::Refused { head, problem } => refused.push((head, problem)),
        }
    }
    (whole, refused)
}

async fn incident(flags: &[&str]) -> Outlast {
    incident_with(INCIDENT_OUTLAST, flags).await
}

async fn incident_with(outlast: &str, flags: &[&str]) -> Outlast {
    let port = format!("3001={}", free_port());
    let all = [&["--port", &port, "--no-auth"], flags].concat();
    Outlast::up(&[("fly.toml", INCIDENT), ("outlast.toml", outlast)], &all).await
}

#[tokio::test]
async fn of_30_chats_25_stream_to_the_end_and_5_are_refused_and_all_tell_the_same_story() {
    let outlast = incident(&["--queue-timeout", "1s"]).await;
    let tasks = Tasks::default();
    let running = chats(outlast.gateway, 30, "8s", &tasks);

    let full = outlast.service_where("25 stream", |service| {
        let exchanges = service["exchanges"].as_array().unwrap();
        exchanges.iter().filter(|exchange| exchange["stage"] == "streaming").count() == 25
    });
    let full = full.await;
    assert_eq!((&full["accounting"], &full["limits"]["hard"]), (&"connections".into(), &25.into()));
    assert_eq!(full["in_flight"], 25);
    assert_eq!(full["machines"][0]["level"], "at hard");
    let metrics = outlast.metrics().await;
    let slots: f64 = metrics
        .iter()
        .filter(|(name, _)| name.starts_with("outlast_slots{service=\"http\""))
        .map(|(_, value)| *value)
        .sum();
    assert_eq!(slots, 25.0);

    let (whole, refused) = endings(running).await;
    assert_eq!(whole, vec!["done"; 25]);
    assert_eq!(refused.len(), 5);
    for (head, problem) in &refused {
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        assert!(head.contains("\r\nRetry-After: 5\r\n"), "{head}");
        let status = "\r\nProxy-Status: outlast; error=connection_limit_reached";
        assert!(head.contains(status), "{head}");
        assert_eq!(problem["type"], "urn:outlast:problem:queue_deadline");
    }

    let log = outlast.exchanges("/api/chat", 30).await;
    let with = |outcome: &str| log.iter().filter(|line| line["outcome"] == outcome).count();
    assert_eq!((with("completed"), with("refused")), (25, 5));
    let queued = |line: &&Value| line["queued_ms"].as_u64().unwrap() >= 1_000;
    assert_eq!(log.iter().filter(queued).count(), 5, "the refused waited, and the log says so");
    let ids = log.iter().map(|line| line["request_id"].as_str().unwrap());
    assert_eq!(ids.collect::<std::collections::BTreeSet<_>>().len(), 30);
    let metrics = outlast.metrics().await;
    let labels = "{service=\"http\",";
    for (name, value) in [
        (format!("outlast_exchanges_total{labels}outcome=\"completed\"}}"), 25.0),
        (format!("outlast_exchanges_total{labels}outcome=\"refused\"}}"), 5.0),
        (format!("outlast_refusals_total{labels}reason=\"queue_deadline\"}}"), 5.0),
        ("outlast_queue_wait_seconds_count{service=\"http\"}".to_owned(), 30.0),
        ("outlast_stream_first_byte_seconds_count{service=\"http\"}".to_owned(), 25.0),
        ("outlast_ledger_mismatch_total{service=\"http\"}".to_owned(), 0.0),
    ] {
        assert_eq!(metrics.get(&name), Some(&value), "{name}");
    }
    let lines = outlast.log();
    let says = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert!(says("reached hard limit of 25 concurrent connections") >= 1);
    let waited = lines.iter().filter_map(|line| {
        let rest = line.split("[PR04] could not find a good candidate within ").nth(1)?;
        rest.split("ms").next()?.parse::<u64>().ok()
    });
    let waited: Vec<_> = waited.collect();
    assert!(waited.len() == 5 && waited.iter().all(|ms| *ms >= 1_000), "{waited:?}");
    outlast.service_where("all places are free", |service| service["in_flight"] == 0).await;
    tasks.join().await;
}

#[tokio::test]
async fn stop_works_while_the_pool_is_full_and_frees_the_place_for_one_who_waits() {
    let outlast = incident(&["--hard-limit", "2", "--soft-limit", "0", "--linger", "evict"]).await;
    let pace = [("Outlast-Drill-Pace", "1h")];
    let first = Chat::ask(outlast.gateway, "first", &pace).await.unwrap();
    let second = Chat::ask(outlast.gateway, "second", &pace).await.unwrap();
    let tasks = Tasks::default();
    let (tx, mut third) = mpsc::channel(1);
    let gateway = outlast.gateway;
    tasks.spawn(async move {
        let chat = Chat::ask(gateway, "third", &[]).await.unwrap();
        tx.send(chat.end().await.unwrap()).await.unwrap();
    });
    outlast.service_where("the third waits", |service| service["queue_length"] == 1).await;

    let mut stopped = request(outlast.gateway, "POST", "/api/abort/first", &[], "").await.unwrap();
    assert_eq!(stopped.status, 200);
    let body: Value = serde_json::from_str(&stopped.body().await.unwrap()).unwrap();
    assert_eq!(body["success"], true);
    assert_eq!(first.end().await.unwrap(), "aborted");
    assert_eq!(third.recv().await.unwrap(), "done");

    let again = request(outlast.gateway, "POST", "/api/abort/first", &[], "").await.unwrap();
    assert_eq!(again.status, 404, "it has ended");
    second.leave();
    outlast.service_where("all places are free", |service| service["in_flight"] == 0).await;
}

#[tokio::test]
async fn counting_requests_lets_60_and_250_chats_end_well() {
    let flags = ["--type", "requests", "--hard-limit", "250", "--soft-limit", "200"];
    let outlast = incident_with(MANY_RUNS, &flags).await;
    let tasks = Tasks::default();
    for count in [60, 250] {
        let (whole, refused) = endings(chats(outlast.gateway, count, "3s", &tasks)).await;
        assert_eq!((whole.len(), refused.len()), (count, 0));
        assert!(whole.iter().all(|last| last == "done"));
        tasks.join().await;
    }
    let metrics = outlast.metrics().await;
    assert_eq!(metrics["outlast_ledger_mismatch_total{service=\"http\"}"], 0.0);
}

#[tokio::test]
async fn the_app_sees_who_asks_and_never_what_a_client_claims() {
    let outlast = incident(&[]).await;
    let (status, health) = get(outlast.gateway, "/api/health", &[]).await;
    assert_eq!(status, 200);
    let health: Value = serde_json::from_str(&health).unwrap();
    let pool = outlast.service().await;
    assert_eq!(health["machine"], pool["machines"][0]["id"]);
    assert_eq!(health["agent"], "scout");
}
