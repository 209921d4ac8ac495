//! Which times of an exchange are told, and from when to when.

use std::sync::Arc;
use std::time::Duration;

use outlast_http1::{Observer, Stage};
use outlast_observe::{
    ExchangeStart, MachineFault, Observe, Outcome, RecordGuard, RefusalReason, RequestId,
};
use outlast_runtime::clock;

fn observe() -> Arc<Observe> {
    Observe::new("sjc", &["http".to_owned()], 1)
}

fn begin(observe: &Arc<Observe>) -> RecordGuard {
    let start = ExchangeStart {
        id: RequestId::generate(),
        service: 0,
        client: "127.0.0.1:1".parse().expect("an address"),
        method: "GET".into(),
        path: "/".into(),
    };
    observe.begin(0, start)
}

/// Count and sum of a histogram.
fn told(observe: &Observe, histogram: &str) -> (String, String) {
    let text = observe.metrics_text();
    let value = |part: &str| {
        let name = format!("outlast_{histogram}_seconds_{part}{{service=\"http\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        value.unwrap_or_else(|| panic!("{name} in {text}")).to_owned()
    };
    (value("count"), value("sum"))
}

fn times(count: u32, seconds: &str) -> (String, String) {
    (count.to_string(), seconds.to_owned())
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_place_is_told_whatever_it_ended_in() {
    let observe = observe();
    // Its head was wrong: it never asked.
    begin(&observe).finish(Outcome::Refused(RefusalReason::BadRequest("host")));
    assert_eq!(told(&observe, "queue_wait"), times(0, "0.0"));

    let guard = begin(&observe);
    // Its body comes slowly, which is no wait for a place.
    guard.record().enter(Stage::Receiving);
    clock::sleep(Duration::from_secs(20)).await;
    guard.record().asks_for_place();
    let queued = guard.record().queue();
    assert_eq!(guard.record().stage(), Stage::Queued);
    clock::sleep(Duration::from_millis(600)).await;
    drop(queued);
    // Nor is the time that the answer takes.
    clock::sleep(Duration::from_secs(20)).await;
    guard.finish(Outcome::Refused(RefusalReason::QueueDeadline));
    assert_eq!(told(&observe, "queue_wait"), times(1, "0.6"));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_sends_an_exchange_on_does_not_change_how_long_it_queued() {
    let observe = observe();
    let guard = begin(&observe);
    guard.record().asks_for_place();
    guard.record().dispatched(observe.name_machine("m1"));
    clock::sleep(Duration::from_secs(1)).await;
    guard.record().dispatched(observe.name_machine("m2"));
    guard.finish(Outcome::Completed);
    assert_eq!(told(&observe, "queue_wait"), times(1, "0.0"));
}

#[tokio::test(start_paused = true)]
async fn times_keep_their_microseconds_and_what_never_came_has_none() {
    let observe = observe();
    let guard = begin(&observe);
    guard.record().dispatched(observe.name_machine("m1"));
    tokio::time::advance(Duration::from_micros(1_900)).await;
    guard.record().responded(200);
    guard.finish(Outcome::Completed);
    let guard = begin(&observe);
    guard.record().dispatched(observe.name_machine("m1"));
    guard.finish(Outcome::MachineFailed(Stage::Waiting, MachineFault::Closed));
    assert_eq!(told(&observe, "stream_first_byte"), times(1, "0.0019"));
}
