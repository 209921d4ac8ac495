//! Simulations against what theory and arithmetic say of them.

use std::num::NonZeroU32;
use std::time::Duration;

use outlast_admission::{Class, Limits, Linger, Settings};
use outlast_config::{Accounting, Spread};
use proptest::prelude::*;

use super::load::{Behaviour, Load, Rate, Retry, User};
use super::run::{FirstRefusal, Run};
use super::sim::{Enough, simulate};
use super::variant::Variant;
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn limit(limit: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(limit)
}

/// One machine of `hard` places in `requests`, without a queue.
fn variant(hard: u32) -> Variant {
    Variant {
        accounting: Accounting::Requests,
        settings: Settings {
            limits: Limits { soft: None, hard: limit(hard) },
            linger: Linger::Hold,
            queue_depth_max: 0,
            reserve_slots: 0,
        },
        machines: NonZeroU32::MIN,
        queue_timeout: Duration::ZERO,
        idle_timeout: 4 * SECOND,
        memory_mb: None,
    }
}

fn queueing(hard: u32, depth: usize, timeout: Duration) -> Variant {
    let mut variant = variant(hard);
    variant.settings.queue_depth_max = depth;
    variant.queue_timeout = timeout;
    variant
}

fn users(starts: &[(u32, u32)], behaviour: Behaviour) -> Load {
    let user = |(client, (at, holding)): (usize, &(u32, u32))| User {
        at: *at * SECOND,
        holding: *holding * SECOND,
        client: client as u64,
        class: Class::Ordinary,
        group: 0,
    };
    Load { users: starts.iter().enumerate().map(user).collect(), groups: vec![behaviour] }
}

fn run(load: &Load, variant: &Variant) -> Run {
    simulate(load, variant, 1, Enough::NEVER)
}

fn rate(load: f64, holding: Spread, users: f64) -> Rate {
    let per_second = load / holding.mean().as_secs_f64();
    let during = Duration::from_secs_f64(users / per_second);
    Rate { per_second, during, holding, behaviour: Behaviour::PATIENT }
}

/// Of M/G/c/c: the share that is lost depends on the mean holding time alone. Each case has its own seed; 20 runs of
/// 4,000 users, and the truth must lie within half as much again as the interval of 95 %.
#[test]
fn who_finds_all_places_taken_is_refused_as_erlang_b_says() {
    for (hard, load, holding) in [
        (5, 3.0, Spread::Exponential(MINUTE)),
        (25, 20.0, Spread::Uniform(5 * MINUTE, 10 * MINUTE)),
        (25, 40.0, Spread::Fixed(8 * MINUTE)),
        (60, 50.0, Spread::Lognormal(7 * MINUTE, 0.5)),
    ] {
        let rate = rate(load, holding, 4_000.0);
        let loads: Vec<_> = (0..20).map(|run| rate.draw(run + 100 * u64::from(hard))).collect();
        let runs = loads.iter().map(|load| run(load, &variant(hard))).collect();
        let users: Vec<_> = loads.iter().map(|load| load.users.len()).collect();
        let Estimate { mean, plus_minus } = Figures::of(runs, &users).refused_share;
        let (truth, sure) = (erlang_b(hard.into(), load), plus_minus.unwrap());
        assert!((mean - truth).abs() < 1.5 * sure, "{holding}: {mean} ± {sure}, not {truth}");
        assert!(sure < truth / 8.0, "{holding}: ± {sure} says nothing of {truth}");
        let offered = loads[0].offered(Duration::ZERO).unwrap();
        assert!((offered / load - 1.0).abs() < 0.05, "{offered}, not {load}");
    }
}

/// Of M/M/c: who waits, and how long on average those do who wait: mean holding time / (places - load).
#[test]
fn who_may_wait_for_ever_waits_as_erlang_c_says() {
    for (hard, load) in [(1, 0.5), (10, 8.0), (25, 20.0)] {
        let rate = rate(load, Spread::Exponential(MINUTE), 6_000.0);
        let runs: Vec<_> = (0..20)
            .map(|seed| run(&rate.draw(seed), &queueing(hard, 1_000_000, 1_000_000 * SECOND)))
            .collect();
        let shares: Vec<_> =
            runs.iter().map(|run| run.waits.len() as f64 / run.served as f64).collect();
        let mean = shares.iter().sum::<f64>() / 20.0;
        let truth = erlang_c(hard.into(), load);
        assert!((mean / truth - 1.0).abs() < 0.03, "{hard} places: {mean}, not {truth}");
        let waits: Vec<_> = runs.iter().flat_map(|run| &run.waits).collect();
        let wait = waits.iter().map(|wait| wait.as_secs_f64()).sum::<f64>() / waits.len() as f64;
        let truth = 60.0 / (f64::from(hard) - load);
        assert!((wait / truth - 1.0).abs() < 0.05, "{hard} places: {wait} s, not {truth} s");
    }
}

#[test]
fn a_place_is_free_for_who_comes_when_another_ends_and_not_before() {
    let load = users(&[(0, 10), (9, 1), (10, 1)], Behaviour::PATIENT);
    let run = run(&load, &variant(1));
    assert_eq!((run.served, run.refused_by_limit, run.turned_away), (2, 1, 1));
    let first_refusal = Some(FirstRefusal { at: 9 * SECOND, open: 1 });
    assert_eq!((run.first_refusal, run.peak, run.ended), (first_refusal, 1, 11 * SECOND));
}

#[test]
fn a_connection_that_lingers_keeps_its_place_or_gives_it_up() {
    let load = users(&[(0, 10), (12, 1), (14, 1)], Behaviour::PATIENT);
    let mut variant = variant(1);
    let mut served = |accounting, linger| {
        (variant.accounting, variant.settings.linger) = (accounting, linger);
        let run = run(&load, &variant);
        (run.served, run.refused())
    };
    assert_eq!(served(Accounting::Requests, Linger::Hold), (3, 0));
    assert_eq!(served(Accounting::Connections, Linger::Hold), (2, 1), "it lingers until 14");
    assert_eq!(served(Accounting::Connections, Linger::Evict), (3, 0));
}

#[test]
fn the_queue_has_a_depth_and_a_deadline_and_people_have_patience() {
    let starts = [(0, 100), (1, 10), (2, 10), (3, 10)];
    let run_of = |depth, timeout, patience| {
        let behaviour = Behaviour { patience, retry: Retry::Never };
        run(&users(&starts, behaviour), &queueing(1, depth, timeout * SECOND))
    };
    let run = run_of(2, 30, None);
    assert_eq!((run.refused_by_full_queue, run.refused_by_deadline, run.left), (1, 2, 0));
    assert_eq!((run.queue_max, run.ended), (2, 100 * SECOND));
    let run = run_of(3, 30, Some(Spread::Fixed(5 * SECOND)));
    assert_eq!((run.refused(), run.left, run.served), (0, 3, 1));
    let run = run_of(3, 1_000, None);
    assert_eq!((run.refused(), run.served), (0, 4));
    assert_eq!(run.waits, [99, 108, 117].map(|seconds| seconds * SECOND));
}

#[test]
fn who_is_refused_tries_again_so_often_and_waits_as_long_as_it_is_told() {
    let wait = Spread::Fixed(3 * SECOND);
    let run_of = |times, at_least| {
        let retry = Retry::Again { wait, times, at_least };
        run(&users(&[(0, 10), (1, 1)], Behaviour { patience: None, retry }), &variant(1))
    };
    // At 1, 4, 7 and 10, when the place is free.
    let run = run_of(3, Duration::ZERO);
    assert_eq!((run.attempts, run.refused(), run.turned_away, run.served), (5, 3, 0, 2));
    assert_eq!(run.waits, [9 * SECOND]);
    let run = run_of(2, Duration::ZERO);
    assert_eq!((run.attempts, run.refused(), run.turned_away), (4, 3, 1));
    // At 1, 6 and 11.
    let run = run_of(20, 5 * SECOND);
    assert_eq!((run.attempts, run.refused(), run.served), (4, 2, 2));
}

/// The incident: 25 places, one user every four seconds, 40 of them, five to ten minutes each.
#[test]
fn the_incident_s_numbers_come_out() {
    let incident = |hard, accounting, linger| {
        let starts: Vec<_> = (0..40).map(|index| (index * 4, 300 + index * 37 % 300)).collect();
        let mut variant = queueing(hard, 100, 30 * SECOND);
        (variant.accounting, variant.settings.linger) = (accounting, linger);
        run(&users(&starts, Behaviour::PATIENT), &variant)
    };
    let as_it_was = incident(25, Accounting::Connections, Linger::Hold);
    assert_eq!((as_it_was.refused(), as_it_was.peak), (15, 25));
    let first = as_it_was.first_refusal.unwrap();
    assert_eq!(
        (first.at, first.open),
        (130 * SECOND, 25),
        "the 26th comes after 100 s and waits 30"
    );
    let type_alone = incident(25, Accounting::Requests, Linger::Hold);
    assert_eq!((type_alone.refused(), type_alone.first_refusal), (15, as_it_was.first_refusal));
    assert_eq!(incident(250, Accounting::Requests, Linger::Hold).refused(), 0);
    assert_eq!(incident(40, Accounting::Connections, Linger::Hold).refused(), 0);
    assert_eq!(incident(39, Accounting::Connections, Linger::Hold).refused(), 1);
}

#[test]
fn the_limit_that_suffices_suffices_and_one_less_does_not() {
    let rate = rate(20.0, Spread::Uniform(5 * MINUTE, 10 * MINUTE), 2_000.0);
    let question = Question {
        variants: vec![("as it is".to_owned(), variant(5))],
        load: &|seed| rate.draw(seed),
        runs: limit(3),
        seed: 7,
        refused_max: 0.01,
    };
    let Sufficient { hard, .. } = what_if(&question).columns[0].sufficient;
    let share = |hard| {
        let variants = vec![("as it is".to_owned(), variant(hard))];
        let column = &what_if(&Question { variants, ..question }).columns[0];
        column.figures.refused.mean / column.figures.users
    };
    assert!(share(hard) <= 0.01 && share(hard - 1) > 0.01, "{hard}");
    // Erlang B wants 30 places for 1 % of 20 erlang.
    assert!((28..=32).contains(&hard), "{hard}");
}

#[test]
fn the_same_seed_gives_the_same_answer_and_another_gives_another() {
    let behaviour = Behaviour {
        patience: Some(Spread::Exponential(20 * SECOND)),
        retry: Retry::Again { wait: Spread::Exponential(MINUTE), times: 5, at_least: SECOND },
    };
    let rate = Rate { behaviour, ..rate(30.0, Spread::Exponential(MINUTE), 500.0) };
    let ask = |seed| {
        let variants = vec![("as it is".to_owned(), queueing(20, 5, 30 * SECOND))];
        let (load, runs) = (&|seed| rate.draw(seed), limit(3));
        what_if(&Question { variants, load, runs, seed, refused_max: 0.001 })
    };
    assert_eq!(ask(1), ask(1));
    assert_ne!(ask(1).columns[0].figures, ask(2).columns[0].figures);
}

fn any_spread() -> impl Strategy<Value = Spread> {
    (1_u32..60, 0_u32..60)
        .prop_map(|(low, more)| Spread::Uniform(low * SECOND, (low + more) * SECOND))
}

prop_compose! {
    fn any_load()(
        starts in prop::collection::vec((0_u32..300, 0_u32..90, any::<bool>()), 0..80),
        patience in prop::option::of(any_spread()),
        wait in any_spread(),
        times in 0_u32..4,
    ) -> Load {
        let retry = Retry::Again { wait, times, at_least: Duration::ZERO };
        let mut load = users(
            &starts.iter().map(|(at, holding, _)| (*at, *holding)).collect::<Vec<_>>(),
            Behaviour { patience, retry },
        );
        for (user, (.., is_control)) in load.users.iter_mut().zip(&starts) {
            user.client %= 5;
            user.class = if *is_control { Class::Control } else { Class::Ordinary };
        }
        load.users.sort_by_key(|user| user.at);
        load
    }
}

prop_compose! {
    fn any_variant()(
        hard in 0_u32..6,
        soft in 0_u32..6,
        machines in 1_u32..4,
        depth in 0_usize..10,
        timeout in 0_u32..40,
        is_connections in any::<bool>(),
        is_evict in any::<bool>(),
        reserve_slots in 0_u32..3,
    ) -> Variant {
        let mut variant = queueing(hard, depth, timeout * SECOND);
        variant.machines = NonZeroU32::new(machines).unwrap();
        variant.settings.limits.soft = limit(soft);
        variant.settings.reserve_slots = reserve_slots;
        if is_connections {
            variant.accounting = Accounting::Connections;
        }
        if is_evict {
            variant.settings.linger = Linger::Evict;
        }
        variant
    }
}

proptest! {
    #[test]
    fn everybody_is_accounted_for_and_no_limit_is_passed(load in any_load(), variant in any_variant()) {
        let run = run(&load, &variant);
        prop_assert_eq!(load.users.len() as u64, run.served + run.turned_away + run.left);
        prop_assert_eq!(run.attempts, run.served + run.refused() + run.left);
        prop_assert!(run.waits.len() as u64 <= run.served);
        prop_assert!(run.queue_waits.len() as u64 <= run.queued);
        prop_assert!(run.peak_open <= run.peak && run.machine_peak_open <= run.machine_peak);
        if let Some(hard) = variant.settings.limits.hard {
            // Control calls have places of their own beside the limit.
            let most = hard.get() + variant.settings.reserve_slots;
            prop_assert!(run.machine_peak <= most, "{} of {most}", run.machine_peak);
        } else {
            prop_assert_eq!(run.refused() + run.left, 0);
        }
        prop_assert!(run.queue_waits.iter().all(|wait| *wait <= variant.queue_timeout.max(SECOND)));
    }
}
