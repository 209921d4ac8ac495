//! The numbered rules of docs/admission.md, one by one.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use outlast_admission::{
    Admission, Attempt, Class, Holder, Level, Limits, Linger, MachineKey, Permit, QueuedView,
    Refusal, Settings, Waiting,
};

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const TIMEOUT: Duration = Duration::from_secs(30);

fn settings(soft: u32, hard: u32) -> Settings {
    Settings {
        limits: Limits { soft: NonZeroU32::new(soft), hard: NonZeroU32::new(hard) },
        linger: Linger::Hold,
        queue_depth_max: 2,
        reserve_slots: 1,
    }
}

fn admission(settings: Settings, machines: u32) -> Admission {
    let admission = Admission::new(settings, TIMEOUT);
    for key in 0..machines {
        admission.machine_ready(MachineKey(key));
    }
    admission
}

async fn fill(admission: &Admission, count: usize) -> Vec<Permit> {
    let mut permits = Vec::new();
    for _ in 0..count {
        permits.push(admission.admit(CLIENT, Class::Ordinary, ()).await.expect("a place"));
    }
    permits
}

fn gauges(admission: &Admission) -> Vec<u32> {
    admission.usage().machines.iter().map(|machine| machine.in_flight).collect()
}

#[tokio::test]
async fn rule_3_levels_first_then_fewest_then_round_robin() {
    let admission = admission(settings(2, 3), 2);
    let first: Vec<u32> =
        fill(&admission, 4).await.iter().map(|permit| permit.machine().0).collect();
    assert_eq!(first, [0, 1, 0, 1]);
    let _held = fill(&admission, 5).await;
    assert_eq!(gauges(&admission), [3, 2]);
    assert_eq!(admission.usage().machines[0].level, Level::AtHard);
    assert_eq!(admission.usage().machines[1].level, Level::SoftToHard);
}

#[tokio::test]
async fn rule_3_a_machine_below_soft_is_preferred_to_an_emptier_level() {
    let admission = admission(settings(1, 10), 2);
    let held = fill(&admission, 3).await;
    assert_eq!(gauges(&admission), [2, 1]);
    drop(held.into_iter().filter(|permit| permit.machine() == MachineKey(1)).collect::<Vec<_>>());
    let permit = admission.admit(CLIENT, Class::Ordinary, ()).await.expect("a place");
    assert_eq!(permit.machine(), MachineKey(1));
}

#[tokio::test(start_paused = true)]
async fn rule_4_a_full_pool_queues_then_refuses() {
    let admission = admission(settings(0, 1), 1);
    let held = fill(&admission, 1).await;
    let (first, second, third) = tokio::join!(
        admission.admit(CLIENT, Class::Ordinary, ()),
        admission.admit(CLIENT, Class::Ordinary, ()),
        admission.admit(CLIENT, Class::Ordinary, ()),
    );
    assert_eq!(first.err(), Some(Refusal::QueueDeadline { waited: TIMEOUT }));
    assert_eq!(second.err(), Some(Refusal::QueueDeadline { waited: TIMEOUT }));
    assert_eq!(third.err(), Some(Refusal::QueueFull));
    assert_eq!((admission.usage().queue_length, gauges(&admission)), (0, vec![1]));
    drop(held);
    assert_eq!(admission.ledger().permits, 0);
}

#[tokio::test]
async fn rule_4_a_zero_timeout_refuses_at_once() {
    let admission = Admission::new(settings(0, 1), Duration::ZERO);
    let refusal = admission.admit(CLIENT, Class::Ordinary, ()).await.err();
    assert_eq!(refusal, Some(Refusal::NoneHealthy { waited: Duration::ZERO }));
    admission.machine_ready(MachineKey(0));
    let _held = fill(&admission, 1).await;
    assert_eq!(admission.admit(CLIENT, Class::Ordinary, ()).await.err(), Some(Refusal::Limit));
}

#[tokio::test(start_paused = true)]
async fn rule_4_who_waits_for_a_machine_gets_it_when_it_is_ready() {
    let admission = Admission::new(settings(0, 1), TIMEOUT);
    let (permit, ()) = tokio::join!(admission.admit(CLIENT, Class::Ordinary, ()), async {
        tokio::time::advance(Duration::from_secs(5)).await;
        admission.machine_ready(MachineKey(7));
    });
    assert_eq!(permit.expect("a place").machine(), MachineKey(7));
    admission.machine_lost(MachineKey(7));
    let refusal = admission.admit(CLIENT, Class::Ordinary, ()).await.err();
    assert_eq!(refusal, Some(Refusal::NoneHealthy { waited: TIMEOUT }));
}

#[tokio::test(start_paused = true)]
async fn rule_4_drain_refuses_those_who_wait_and_those_who_come() {
    let admission = admission(settings(0, 1), 1);
    let _held = fill(&admission, 1).await;
    let (waiting, ()) = tokio::join!(admission.admit(CLIENT, Class::Ordinary, ()), async {
        tokio::task::yield_now().await;
        admission.drain();
    });
    assert_eq!(waiting.err(), Some(Refusal::Draining));
    assert_eq!(admission.admit(CLIENT, Class::Ordinary, ()).await.err(), Some(Refusal::Draining));
    assert_eq!(admission.usage().queue_length, 0);
}

/// Each place that nobody took any more once passed to the next by a call within a call.
#[tokio::test]
async fn rule_4_a_drain_of_a_long_queue_takes_no_more_stack_than_one_of_a_short_queue() {
    const WAITING: usize = 100_000;
    let settings = Settings { queue_depth_max: WAITING, ..settings(0, 1) };
    let admission = admission(settings, 1);
    let held = fill(&admission, 1).await;
    let waiting: Vec<_> =
        (0..WAITING).map(|_| admission.attempt(CLIENT, Class::Ordinary, ())).collect();
    admission.drain();
    drop(held);
    let ledger = admission.ledger();
    assert_eq!((ledger.leases, ledger.permits), (0, 0));
    drop(waiting);
}

#[tokio::test(start_paused = true)]
async fn rule_5_control_calls_have_places_of_their_own() {
    let admission = admission(settings(0, 1), 1);
    let held = fill(&admission, 1).await;
    let control =
        admission.admit(CLIENT, Class::Control, ()).await.expect("a place of the reserve");
    assert_eq!(gauges(&admission), [1]);
    let (second, ()) = tokio::join!(admission.admit(CLIENT, Class::Control, ()), async {
        tokio::task::yield_now().await;
        drop(held);
    });
    let second = second.expect("an ordinary place, after a wait");
    assert_eq!(gauges(&admission), [1]);
    drop((control, second));
    assert_eq!(admission.ledger().permits, 0);
}

/// It once waited for an ordinary place, while later ones had what came free of the reserve.
#[tokio::test(start_paused = true)]
async fn rule_5_a_control_call_that_waits_gets_the_reserve_that_comes_free() {
    let admission = admission(settings(0, 1), 1);
    let held = fill(&admission, 1).await;
    let of_reserve = admission.admit(CLIENT, Class::Control, ()).await.expect("of the reserve");
    let ordinary = admission.attempt(CLIENT, Class::Ordinary, ());
    let control = admission.attempt(CLIENT, Class::Control, ());
    assert_eq!(admission.usage().queue_length, 2);
    drop(of_reserve);
    let Attempt::Waiting(control) = control else { panic!("there was no place") };
    let control = control.wait().await.expect("the place of the reserve");
    assert_eq!((gauges(&admission), admission.usage().machines[0].reserve), (vec![1], 1));
    assert_eq!(
        admission.usage().queue_length,
        1,
        "who is before it waits for another kind of place"
    );
    drop((held, ordinary, control));
    assert_eq!((admission.ledger().permits, admission.usage().queue_length), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn rule_2_a_held_lingering_connection_keeps_its_place() {
    let admission = admission(settings(0, 1), 1);
    let permit = fill(&admission, 1).await.remove(0);
    let _notify = permit.linger();
    assert_eq!(admission.usage().machines[0].lingering, 1);
    let refusal = admission.admit(CLIENT, Class::Ordinary, ()).await.err();
    assert_eq!(refusal, Some(Refusal::QueueDeadline { waited: TIMEOUT }));
}

#[tokio::test(start_paused = true)]
async fn rule_2_an_evictable_one_is_asked_to_close_and_its_place_passes_on() {
    for timeout in [TIMEOUT, Duration::ZERO] {
        let settings = Settings { linger: Linger::Evict, queue_depth_max: 0, ..settings(0, 1) };
        let admission = Admission::new(settings, timeout);
        admission.machine_ready(MachineKey(0));
        let permit = fill(&admission, 1).await.remove(0);
        let notify = permit.linger();
        let (next, ()) = tokio::join!(admission.admit(CLIENT, Class::Ordinary, ()), async {
            notify.notified().await;
            assert_eq!(gauges(&admission), [1], "still open, still counted");
            drop(permit);
        });
        drop(next.expect("the place of the evicted connection"));
        assert_eq!(admission.ledger().permits, 0);
    }
}

/// Who came while nothing could be evicted for it waited on beside connections that linger, until its deadline.
#[tokio::test(start_paused = true)]
async fn rule_2_who_waits_already_is_helped_by_a_machine_that_comes_back_or_other_limits() {
    type Change = fn(&Admission);
    let comes_back: Change = |admission| admission.machine_ready(MachineKey(0));
    let fewer: Change = |admission| {
        admission.set_limits(Limits { soft: None, hard: NonZeroU32::new(1) });
    };
    for (hard, is_lost, change) in [(1, true, comes_back), (2, false, fewer)] {
        let settings = Settings { linger: Linger::Evict, ..settings(0, hard) };
        let admission = admission(settings, 1);
        let held = fill(&admission, hard as usize).await;
        let connections: Vec<_> =
            held.into_iter().map(|permit| (permit.linger(), permit)).collect();
        if is_lost {
            admission.machine_lost(MachineKey(0));
        }
        let close = async {
            tokio::task::yield_now().await;
            change(&admission);
            for (evicted, permit) in connections {
                let asked = tokio::time::timeout(TIMEOUT / 2, evicted.notified()).await;
                asked.expect("it is asked to close");
                drop(permit);
            }
        };
        let (next, ()) = tokio::join!(admission.admit(CLIENT, Class::Ordinary, ()), close);
        drop(next.expect("the place of an evicted connection"));
        assert_eq!(admission.ledger().permits, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_at_a_certain_machine_is_had_at_once_or_not_at_all() {
    let admission = admission(settings(0, 1), 2);
    let permit = admission.attempt_at(MachineKey(1), Class::Ordinary, ()).expect("a place");
    assert_eq!((permit.machine(), gauges(&admission)), (MachineKey(1), vec![0, 1]));
    let full = admission.attempt_at(MachineKey(1), Class::Ordinary, ()).err();
    assert_eq!(full, Some(Refusal::Limit), "the other machine has a place, and does not count");
    let control = admission.attempt_at(MachineKey(1), Class::Control, ()).expect("of the reserve");
    let unknown = admission.attempt_at(MachineKey(7), Class::Ordinary, ()).err();
    assert_eq!(unknown, Some(Refusal::NoneHealthy { waited: Duration::ZERO }));
    admission.drain();
    let late = admission.attempt_at(MachineKey(0), Class::Control, ()).err();
    assert_eq!(late, Some(Refusal::Draining));
    drop((permit, control));
    assert_eq!(admission.ledger().permits, 0);
}

fn holders(admission: &Admission) -> Vec<u128> {
    let held = |queued: &QueuedView| queued.holder.expect("told").0;
    admission.queue().waiting.iter().map(held).collect()
}

/// Those who wait of one client, told apart by their numbers.
fn wait(
    admission: &Admission,
    client: u8,
    numbers: std::ops::Range<u128>,
) -> Vec<(u128, Box<Waiting>)> {
    let client = IpAddr::from([127, 0, 0, client]);
    let one = |number| match admission.attempt(client, Class::Ordinary, ()) {
        Attempt::Waiting(waiting) => {
            waiting.held_by(Holder(number));
            (number, waiting)
        }
        other => panic!("{other:?}"),
    };
    numbers.map(one).collect()
}

#[tokio::test(start_paused = true)]
async fn rule_4_the_order_that_is_shown_is_the_one_in_which_places_are_given() {
    let settings = Settings { queue_depth_max: 200, ..settings(0, 1) };
    let admission = admission(settings, 1);
    let mut held = fill(&admission, 1).await.remove(0);
    let mut waiting = wait(&admission, 1, 100..200);
    waiting.extend(wait(&admission, 2, 200..201));
    tokio::time::advance(Duration::from_secs(10)).await;
    waiting.extend(wait(&admission, 3, 300..302));
    let shown = holders(&admission);
    assert_eq!(shown[..7], [100, 200, 300, 101, 301, 102, 103], "clients take turns");
    let view = admission.queue();
    let times = |index: usize| (view.waiting[index].waited, view.waiting[index].left);
    assert_eq!(times(0), (Duration::from_secs(10), Duration::from_secs(20)));
    assert_eq!(times(2), (Duration::ZERO, Duration::from_secs(30)));
    for number in shown {
        let index = waiting.iter().position(|(other, _)| *other == number).expect("it waits");
        let next = waiting.swap_remove(index).1.wait();
        // The place first, and then who it was for: nobody else may have it.
        drop(held);
        held = next.await.expect("the place");
    }
    assert_eq!(admission.queue().waiting, []);
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_estimated_by_the_places_that_came_free_while_all_were_taken() {
    let settings = Settings { queue_depth_max: 4, ..settings(0, 2) };
    let admission = admission(settings, 1);
    assert_eq!(admission.usage().newcomer, Some(Duration::ZERO), "a place is free");
    let mut held = fill(&admission, 2).await;
    let waiting = wait(&admission, 1, 1..4);
    assert_eq!((admission.queue().estimate(3), admission.usage().newcomer), (None, None));

    tokio::time::advance(Duration::from_secs(4)).await;
    drop(held.remove(0));
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let view = admission.queue();
    assert_eq!(
        (view.waiting.len(), view.estimate(1), view.estimate(2)),
        (2, seconds(4), seconds(8))
    );
    assert_eq!(admission.usage().newcomer, seconds(8), "it has its turn after one of the other");
    let more = wait(&admission, 2, 5..7);
    assert_eq!(admission.queue().waiting.len(), 4);
    assert_eq!(admission.usage().newcomer, None, "the queue is full");
    // Nobody was served by this: the machine was lost with its exchanges.
    admission.machine_lost(MachineKey(0));
    tokio::time::advance(Duration::from_secs(1)).await;
    drop(held);
    assert_eq!(admission.queue().estimate(1), seconds(4));
    assert_eq!(admission.usage().newcomer, None, "nobody can say when a machine comes");
    drop((waiting, more));
}

/// What an operator's page asks for every second must not hold up the service.
#[tokio::test]
async fn a_long_queue_is_walked_once() {
    const WAITING: u16 = 10_000;
    let settings = Settings { queue_depth_max: usize::from(WAITING), ..settings(0, 1) };
    let admission = admission(settings, 1);
    let held = fill(&admission, 1).await;
    let wait = |number: u16| {
        let client = IpAddr::from([10, 0, 0, number.to_be_bytes()[1]]);
        admission.attempt(client, Class::Ordinary, ())
    };
    let waiting: Vec<Attempt> = (0..WAITING).map(wait).collect();
    let start = outlast_runtime::clock::now();
    assert_eq!(admission.queue().waiting.len(), usize::from(WAITING));
    let took = start.elapsed();
    // Some 3 ms unoptimized. A walk per exchange would be a hundred million steps.
    assert!(took < Duration::from_millis(500), "{took:?}");
    drop((waiting, held));
}
