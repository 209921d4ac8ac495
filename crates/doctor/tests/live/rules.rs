//! Each rule about a running gateway has moments in which it speaks, near ones in which it is silent, and a snapshot of what it says.
//!
//! `UPDATE_GOLDEN=1` writes the snapshots anew; read the difference before you keep it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use outlast_doctor::live::Live;
use outlast_doctor::{Severity, live_pages};

use crate::gateway::Gateway;

const REFUSALS: &str = "outlast_refusals_total";
const ENDED: &str = "outlast_exchanges_total";
const TIMES: &str = "outlast_stream_duration_seconds_count";
const SECONDS: &str = "outlast_stream_duration_seconds_sum";

struct Case {
    rule: &'static str,
    speaks: Live,
    /// What is all but the same.
    silent: Live,
}

fn case(rule: &'static str, speaks: Live, silent: Live) -> Case {
    Case { rule, speaks, silent }
}

fn full() -> Gateway {
    Gateway::new(25).with(20, "active").with(2, "thinking").with(3, "zombie")
}

/// All from one address.
fn one_client(gateway: Gateway, count: usize) -> Gateway {
    gateway.but(|gateway| {
        gateway.exchanges[..count]
            .iter_mut()
            .for_each(|one| one.client = "198.51.100.1:1".to_owned());
    })
}

/// Ended so many, of half a minute each.
fn ended(gateway: Gateway, count: u64) -> Gateway {
    gateway.counted(ENDED, "completed", count).counted(TIMES, "", count).counted(
        SECONDS,
        "",
        count * 30,
    )
}

fn places() -> Vec<Case> {
    let nearly = |places| Gateway::new(25).with(places, "active");
    let idle = |idle| Gateway::new(25).with(25 - idle, "active").lingering(idle);
    let quiet = Gateway::new(25);
    let refusing = quiet.clone().counted(REFUSALS, "queue_deadline", 3);
    vec![
        case("LIVE101", full().argue(), nearly(24).argue()),
        case("LIVE102", nearly(20).argue(), nearly(19).argue()),
        case("LIVE103", idle(5).argue(), idle(4).argue()),
        case("LIVE104", full().argue(), nearly(25).argue()),
        case(
            "LIVE105",
            Gateway::new(25).with(1, "slow reader").argue(),
            Gateway::new(25).with(1, "thinking").argue(),
        ),
        case("LIVE106", one_client(nearly(25), 13).argue(), one_client(nearly(25), 12).argue()),
        // What was refused before somebody looked is history.
        case(
            "LIVE107",
            refusing.later(3_000).argue_after(&quiet),
            refusing.later(3_000).argue_after(&refusing),
        ),
        case("LIVE108", nearly(25).with(1, "queued").argue(), nearly(25).argue()),
    ]
}

fn others() -> Vec<Case> {
    let quiet = Gateway::new(25);
    let machine = |state: &'static str| {
        Gateway::new(25).but(|gateway| state.clone_into(&mut gateway.service().machines[0].state))
    };
    let pool = |change: fn(&mut Gateway)| Gateway::new(25).but(change);
    // 40 a minute of half a minute each hold 20 places, and need 29; half of them 10, and 17.
    let busy = |count| {
        ended(
            Gateway::new(25).with(20, "active").but(|gateway| {
                gateway.exchanges.iter_mut().for_each(|one| one.age_ms = 15_000);
            }),
            count,
        )
    };
    vec![
        case("LIVE109", machine("unhealthy").argue(), machine("ready").argue()),
        case("LIVE110", busy(400).argue(), busy(200).argue()),
        case("LIVE201", pool(|gateway| gateway.pool.ledger_mismatches = 1).argue(), quiet.argue()),
        case(
            "LIVE202",
            pool(|gateway| gateway.pool.phase = "draining".to_owned()).argue(),
            quiet.argue(),
        ),
        case(
            "LIVE203",
            pool(|gateway| gateway.pool.evidence_missing = Some("no netlink".to_owned())).argue(),
            quiet.argue(),
        ),
        case(
            "LIVE204",
            pool(|gateway| gateway.pool.version = "0.2.0".to_owned()).argue(),
            quiet.argue(),
        ),
    ]
}

#[test]
fn each_rule_speaks_where_it_should_and_is_silent_beside_it() {
    let cases: Vec<_> = places().into_iter().chain(others()).collect();
    let rules: Vec<_> = cases.iter().map(|case| case.rule).collect();
    let pages: Vec<_> = live_pages().iter().map(|page| page.rule).collect();
    assert_eq!(rules, pages, "every rule has its moments");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/snapshots");
    let mut wrong = String::new();
    for case in &cases {
        let said = |live: &Live| -> String {
            let own = live.findings.iter().filter(|finding| finding.rule == case.rule);
            own.map(|finding| format!("{finding}\n")).collect()
        };
        if !said(&case.silent).is_empty() {
            writeln!(wrong, "{} speaks beside it:\n{}", case.rule, said(&case.silent)).unwrap();
        }
        let (golden, shown) = (folder.join(format!("{}.txt", case.rule)), said(&case.speaks));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &shown).unwrap();
        }
        let want = fs::read_to_string(&golden).unwrap_or_default();
        if shown.is_empty() || want != shown {
            writeln!(wrong, "== {}\n-- want\n{want}-- got\n{shown}", golden.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let snapshots = fs::read_dir(&folder).unwrap().count();
    assert_eq!(snapshots, cases.len(), "no snapshot is left over");
}

#[test]
fn every_finding_has_evidence_and_a_page() {
    let pages: BTreeSet<_> = live_pages().iter().map(|page| page.rule).collect();
    for case in places().into_iter().chain(others()) {
        for finding in &case.speaks.findings {
            assert!(pages.contains(finding.rule), "{finding}");
            assert!(!finding.evidence.is_empty() && !finding.fix.is_empty(), "{finding}");
        }
    }
}

#[test]
fn a_quiet_gateway_has_no_findings() {
    let quiet = Gateway::new(25);
    assert_eq!(quiet.argue().findings, []);
    assert_eq!(quiet.later(3_000).argue_after(&quiet).findings, []);
}

#[test]
fn who_misses_places_makes_it_worse() {
    let severity = |live: &Live, rule: &str| {
        live.findings.iter().find(|finding| finding.rule == rule).map(|finding| finding.severity)
    };
    let slow = |others| Gateway::new(25).with(1, "slow reader").with(others, "active").argue();
    assert_eq!(severity(&slow(0), "LIVE105"), Some(Severity::Low));
    assert_eq!(severity(&slow(24), "LIVE105"), Some(Severity::Medium));
    let zombies = |others| Gateway::new(25).with(1, "zombie").with(others, "active").argue();
    assert_eq!(severity(&zombies(0), "LIVE104"), Some(Severity::Medium));
    assert_eq!(severity(&zombies(24), "LIVE104"), Some(Severity::High));
    // Idle connections are as they should be while there are places.
    let idle = Gateway::new(25).with(5, "active").lingering(10).argue();
    assert_eq!(severity(&idle, "LIVE103"), None);
    let of_two = Gateway::new(25).but(|gateway| {
        let mut second = gateway.service().machines[0].clone();
        second.state = "ejected".to_owned();
        gateway.service().machines.push(second);
    });
    assert_eq!(severity(&of_two.argue(), "LIVE109"), Some(Severity::High));
    // A gateway of which no machine has ever started has not begun to serve; one that ends has no need of them.
    let lost = |phase: &str| {
        let phase = phase.to_owned();
        Gateway::new(25)
            .but(|gateway| {
                gateway.service().machines[0].state = "lost".to_owned();
                gateway.pool.phase = phase;
            })
            .argue()
    };
    assert_eq!(severity(&lost("starting"), "LIVE109"), Some(Severity::Error));
    assert_eq!(severity(&lost("draining"), "LIVE109"), None);
}
