//! What is said to be so, and how sure it is.

use outlast_doctor::Confidence;
use outlast_doctor::live::{Live, Statement};

use crate::gateway::Gateway;

fn about<'l>(live: &'l Live, about: &str) -> &'l Statement {
    live.services[0].statements.iter().find(|statement| statement.about == about).unwrap()
}

#[test]
fn a_full_service_is_argued_about() {
    let live = Gateway::new(25).with(20, "active").with(2, "thinking").with(3, "zombie").argue();
    let says = |what| (&*about(&live, what).says, about(&live, what).confidence);
    let certain = Confidence::Certain;
    assert_eq!(says("places"), ("25 of 25 places are taken", certain));
    let working = "22 places hold working streams, the oldest 8 min old";
    assert_eq!(says("working_streams"), (working, certain));
    assert_eq!(
        says("zombies"),
        ("3 places are held by zombies, unanswered for up to 31 s", certain)
    );
    assert_eq!(says("slow_readers"), ("no place is held by a slow reader", certain));
    assert_eq!(says("idle_connections"), ("no place is held by an idle connection", certain));
    let view = &live.services[0];
    assert_eq!((view.working, view.zombies, view.taken, view.places), (22, 3, 25, Some(25)));
}

#[test]
fn what_the_kernel_does_not_tell_is_not_ruled_out() {
    let gateway = Gateway::new(25).with(4, "active");
    let some = gateway.clone().but(|gateway| gateway.exchanges[0].client_socket = None).argue();
    assert_eq!(about(&some, "zombies").confidence, Confidence::Likely);
    assert!(about(&some, "zombies").evidence[0].contains("3 of 4"), "{some:?}");
    let none = gateway.but(|gateway| gateway.pool.evidence_missing = Some("no netlink".to_owned()));
    for what in ["zombies", "slow_readers"] {
        let live = none.argue();
        let statement = about(&live, what);
        assert_eq!(statement.confidence, Confidence::Guess);
        assert!(statement.says.ends_with("cannot be known"), "{statement:?}");
    }
}

#[test]
fn places_are_needed_as_arrivals_and_times_say() {
    let ended = |count: u64| {
        Gateway::new(25)
            .counted("outlast_exchanges_total", "completed", count)
            .counted("outlast_stream_duration_seconds_count", "", count)
            .counted("outlast_stream_duration_seconds_sum", "", count * 30)
    };
    // 400 in ten minutes, half a minute each: 20 places on average, and two square roots more.
    let live = ended(400).argue();
    assert_eq!(live.services[0].need, Some(29));
    assert_eq!(about(&live, "demand").confidence, Confidence::Likely);
    // Too few to tell.
    assert_eq!(ended(9).argue().services[0].need, None);
    assert_eq!(about(&ended(10).argue(), "demand").confidence, Confidence::Guess);
    // Requests that were none asked for no place.
    let malformed = ended(400).counted("outlast_exchanges_total", "refused", 100).counted(
        "outlast_refusals_total",
        "bad_request",
        100,
    );
    assert_eq!(malformed.argue().services[0].need, Some(29));
    // The time that was watched counts, if enough came: 60 in 30 s are 120 a minute, and 60 places.
    let later = ended(460).later(30_000).argue_after(&ended(400));
    assert_eq!(later.services[0].need, Some(76));
    assert_eq!(later.watched.unwrap().as_secs(), 30);
    // A gateway that was started anew has other counters.
    let anew = ended(400).argue_after(&ended(900).later(1_000));
    assert_eq!((anew.watched, anew.services[0].need), (None, Some(29)));
}

#[test]
fn nobody_is_named_until_it_is_asked_for() {
    let gateway = Gateway::new(4).with(4, "active").with(1, "queued").but(|gateway| {
        gateway.exchanges[0].path = "/s/3f9a77e0/events".to_owned();
        gateway.exchanges[1].client = gateway.exchanges[0].client.clone();
    });
    let (hidden, open) =
        (format!("{:?}", gateway.argue()), format!("{:?}", gateway.argue_openly()));
    assert!(hidden.contains("client-1") && hidden.contains("/s/*/events"), "{hidden}");
    assert!(!hidden.contains("203.0.113.") && !hidden.contains("3f9a77e0"), "{hidden}");
    assert!(open.contains("203.0.113.0 holds 2 of 4 places"), "{open}");
    assert!(open.contains("/s/3f9a77e0/events"), "{open}");
}
