//! Records: what is listed while they live, and the one outcome.

use std::task::Waker;

use super::*;
use crate::outcome::{Departure, MachineFault, RefusalReason};

fn begin(observe: &Arc<Observe>) -> RecordGuard {
    observe.begin(
        0,
        ExchangeStart {
            id: RequestId::generate(),
            service: 0,
            client: "127.0.0.1:1".parse().expect("an address"),
            method: "GET".into(),
            path: "/".into(),
        },
    )
}

#[test]
fn an_exchange_is_listed_until_its_outcome() {
    let observe = Observe::new("sjc", &["http".to_owned()], 1);
    let guard = begin(&observe);
    guard.record().dispatched(observe.name_machine("m1"));
    guard.record().responded(200);
    guard.record().sent(10);
    let listed = observe.exchanges();
    assert_eq!((listed[0].stage.as_str(), listed[0].bytes_sent), ("streaming", 10));
    assert_eq!(listed[0].machine.as_deref(), Some("m1"));
    guard.finish(Outcome::Completed);
    assert!(observe.exchanges().is_empty());
    assert!(
        observe
            .metrics_text()
            .contains("outlast_exchanges_total{service=\"http\",outcome=\"completed\"} 1")
    );
}

#[test]
fn attempts_are_counted_beside_the_stage() {
    let observe = Observe::new("sjc", &["http".to_owned()], 1);
    let guard = begin(&observe);
    let record = guard.record();
    for attempts in 0..40_u8 {
        assert_eq!(record.attempts(), attempts.min(31));
        for stage in STAGES {
            record.enter(stage);
            assert_eq!((record.stage(), record.attempts()), (stage, attempts.min(31)));
        }
        record.dispatched(MachineSlot(0));
    }
    guard.finish(Outcome::Completed);
}

#[test]
fn a_record_is_small() {
    // Every held stream has one: 5,000 of them take 800 kB.
    assert_eq!(size_of::<Record>(), 160);
}

#[test]
fn a_dropped_exchange_has_an_outcome_too() {
    let observe = Observe::new("sjc", &["http".to_owned()], 1);
    drop(begin(&observe));
    let guard = begin(&observe);
    observe.cut_by_drain(Duration::from_secs(1));
    drop(guard);
    begin(&observe).finish(Outcome::Refused(RefusalReason::QueueFull));
    let text = observe.metrics_text();
    for line in [
        "outlast_exchanges_total{service=\"http\",outcome=\"internal\"} 1",
        "outlast_exchanges_total{service=\"http\",outcome=\"cut_by_drain\"} 1",
        "outlast_refusals_total{service=\"http\",reason=\"queue_full\"} 1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn an_operator_ends_an_exchange_once_it_is_found() {
    let observe = Observe::new("sjc", &["http".to_owned()], 1);
    let guard = begin(&observe);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(guard.record().poll_ended(&mut cx).is_pending());
    assert!(!observe.end(RequestId::generate()));
    assert!(observe.end(guard.record().id()));
    assert_eq!(guard.record().poll_ended(&mut cx), Poll::Ready(Ending::Operator));
    guard.finish(Ending::Operator.outcome(Stage::Queued));
}

#[test]
fn an_exchange_is_released_once_and_counted_by_who_vanished() {
    let observe = Observe::new("sjc", &["http".to_owned()], 1);
    let mut cx = Context::from_waker(Waker::noop());
    for (ending, outcome) in [
        (Ending::ClientVanished, Outcome::ClientGone(Stage::Waiting, Departure::Vanished)),
        (Ending::MachineVanished, Outcome::MachineFailed(Stage::Waiting, MachineFault::Vanished)),
    ] {
        let guard = begin(&observe);
        assert!(guard.record().end(ending) && !guard.record().end(ending));
        assert_eq!(guard.record().poll_ended(&mut cx), Poll::Ready(ending));
        assert_eq!(ending.outcome(Stage::Waiting), outcome);
        assert!(outcome.release().is_some_and(|name| Outcome::RELEASES.contains(&name)));
        guard.finish(outcome);
    }
    begin(&observe).finish(Outcome::ClientGone(Stage::Waiting, Departure::Left));
    let text = observe.metrics_text();
    for line in [
        "outlast_released_total{service=\"http\",reason=\"client_vanished\"} 1",
        "outlast_released_total{service=\"http\",reason=\"machine_vanished\"} 1",
        "outlast_exchanges_total{service=\"http\",outcome=\"client_gone\"} 2",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}
