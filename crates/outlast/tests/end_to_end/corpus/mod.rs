//! The corpus: incidents of known causes, made by driving the real gateway into each, and told as the platform tells them.
//!
//! `tests/corpus/tuned` is what whoever writes the diagnosis may look at; `tests/corpus/held-out` has other seeds, other apps and other
//! variations, so that what the diagnosis makes of it says how it fares with what it has never seen.

mod app;
mod case;
mod cast;
mod drive;
mod form;
mod held_out;
mod judge;
mod lives;
mod machine;
mod people;
mod place;
mod scenes;
mod script;
mod tell;
mod tuned;
mod voice;

use std::path::Path;
use std::sync::Mutex;

use case::{Case, Scene};
use judge::{Figures, Judged};
use lives::{Failing, FailingStart};
use scenes::{Idle, Pace, Streams};

/// Which cases are to be made again, by their names; `all` are all.
const VARIABLE: &str = "OUTLAST_CORPUS";
/// Cases that are lived at once: most of the time they wait.
const AT_ONCE: usize = 8;

fn halves() -> [(&'static str, Vec<Case>); 2] {
    [("tuned", tuned::cases()), ("held-out", held_out::cases())]
}

/// Makes cases, each into its folder of `home`.
fn make(cases: Vec<(&'static str, Case)>, home: &Path) {
    let cases = Mutex::new(cases);
    let next = || cases.lock().unwrap().pop();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((half, case)) = next() {
                    let name = case.name;
                    let folder = home.join(half).join(name);
                    // A thread of its own, because some are moved to another host for good.
                    scope.spawn(move || case.make(&folder)).join().unwrap();
                    println!("{half}/{name} is made");
                }
            });
        }
    });
}

/// No half may fall below them; abstaining may not rise above its own.
const PRECISION_MIN: f64 = 0.9;
const RECALL_MIN: f64 = 0.9;
const ABSTAINED_MAX: f64 = 0.2;

#[test]
fn the_doctor_finds_the_causes_of_the_corpus() {
    let halves = halves().map(|(half, cases)| (half, cases, Judged::all(&case::home().join(half))));
    let all: Vec<_> = halves.iter().flat_map(|(_, _, judged)| judged).collect();
    println!("{}", judge::table(&all));
    println!("| Half | Cases | Precision | Recall | Abstained |\n| --- | --- | --- | --- | --- |");
    let figures = halves.each_ref().map(|(half, cases, judged)| {
        assert_eq!(cases.len(), judged.len(), "every case of {half} is kept, and no other");
        (*half, Figures::of(&judged.iter().collect::<Vec<_>>()))
    });
    for (half, figures) in &figures {
        println!("| {half} | {figures} |");
    }
    println!("| both | {} |", Figures::of(&all));
    for (half, figures) in &figures {
        assert!(figures.overclaimed.is_empty(), "nobody can know: {:?}", figures.overclaimed);
        assert!(figures.precision >= PRECISION_MIN, "{half}: {figures:?}");
        assert!(figures.recall >= RECALL_MIN, "{half}: {figures:?}");
        assert!(figures.abstained <= ABSTAINED_MAX, "{half}: {figures:?}");
    }
}

/// `cargo xtask corpus` is this test with the variable that says which cases are to be made before they are checked.
#[test]
fn the_kept_cases_are_those_of_the_tables() {
    let all: Vec<_> = halves()
        .into_iter()
        .flat_map(|(half, cases)| cases.into_iter().map(move |case| (half, case)))
        .collect();
    if let Ok(wanted) = std::env::var(VARIABLE) {
        let is_wanted = |name: &str| wanted.split(',').any(|one| one == "all" || one == name);
        let wanted: Vec<_> = all.iter().filter(|(_, case)| is_wanted(case.name)).cloned().collect();
        assert!(!wanted.is_empty(), "no case is called so");
        make(wanted, &case::home());
    }
    for (half, case) in &all {
        let is_kept = case.is_kept(&case::home().join(half).join(case.name));
        assert!(
            is_kept,
            "{half}/{name} is another one: cargo xtask corpus --only {name}",
            name = case.name
        );
    }
}

/// Stories of a few seconds, so that what makes the corpus is seen to work with every change.
fn short() -> Vec<Case> {
    let streams = Streams {
        counts: "connections",
        hard: 3,
        people: 8,
        within: 40.0,
        length: (70.0, 90.0),
        impatient: 0.0,
        sockets: 0.0,
        path: "/api/chat",
        lost: 0,
        deploy: None,
        pace: Pace::Stretched,
    };
    let idle = Idle {
        hard: 5,
        linger: 90.0,
        gap: 5.0,
        lasts: 120.0,
        streams: 0,
        takes: (0.02, 0.4),
        pace: Pace::Stretched,
    };
    let hangs = FailingStart { how: Failing::Hangs("migrating ..."), lasts: 36.0 };
    vec![
        Case::new("streams", "working_streams", "", 1, Scene::Streams(streams)),
        Case::new("idle", "idle_connections", "", 2, Scene::Idle(idle)),
        Case::new("hangs", "failing_start", "", 3, Scene::FailingStart(hangs)),
    ]
}

#[test]
fn a_case_made_anew_tells_of_its_cause() {
    let folder = tempfile::tempdir().unwrap();
    make(short().into_iter().map(|case| ("short", case)).collect(), folder.path());
    let log = |name: &str| {
        let path = folder.path().join("short").join(name).join("log.txt");
        std::fs::read_to_string(path).unwrap()
    };
    let count = |log: &str, text: &str| log.lines().filter(|line| line.contains(text)).count();

    for case in short() {
        let named = judge::ask(&folder.path().join("short").join(case.name));
        assert!(named.iter().eq([case.cause]), "{named:?}: {}", log(case.name));
    }

    let streams = log("streams");
    assert!(count(&streams, "reached hard limit of 3 concurrent connections") >= 1, "{streams}");
    assert!(count(&streams, "[PR04] could not find a good candidate") >= 1, "{streams}");
    let long = |line: &&str| line.contains("POST") && line.contains(" in 1m");
    assert!(streams.lines().filter(long).count() >= 3, "{streams}");

    let idle = log("idle");
    assert!(count(&idle, "reached hard limit of 5 concurrent connections") >= 1, "{idle}");
    assert!(count(&idle, " - 200 ") >= 5, "{idle}");
    assert_eq!(idle.lines().filter(|line| line.contains(" in 1m")).count(), 0, "{idle}");

    let hangs = log("hangs");
    assert!(count(&hangs, "[PM05] failed to connect to machine: gave up after 15") >= 1, "{hangs}");
    assert_eq!(count(&hangs, "machine became reachable"), 0, "{hangs}");
    assert_eq!(
        count(&hangs, "proxy[") + count(&hangs, "runner[") + count(&hangs, "app["),
        hangs.lines().count()
    );
}
