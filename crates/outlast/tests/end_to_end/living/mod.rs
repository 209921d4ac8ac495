//! The confusion matrix: peers of which the truth is known, through real gateways, over a network that loses what it is told to.
//!
//! All of them at once, so that the whole takes as long as its slowest. What the gateways show and do is held against the truth:
//! nobody who lives may be released, everybody who is dead must be, in time. docs/living-and-dead.md has the outcome.

mod doctor;
mod gateways;
mod matrix;
mod peers;
mod processes;
mod rows;
mod story;
mod subjects;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use outlast_runtime::clock::{self, Instant};
use outlast_runtime::{Tasks, Workers};
use outlast_testkit::{Host, Hosts, Network};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};

use gateways::Gateways;
use peers::{Phase, Seen, Stage};
use story::Story;
use subjects::{Client, Fate, Moment, Subject, Truth};

/// Probes of silent peers are due 10 s after the last byte.
const BEFORE_PROBE: Duration = Duration::from_secs(9);
const AFTER_PROBE: Duration = Duration::from_secs(11);
const SLEEP: Duration = Duration::from_secs(20);
/// When everybody who lives comes to an end. A client that reads nothing is asked after 26, 51 and 102 s: so its last answer
/// is 38 s old by then, and nothing is wrong.
const HOLD: Duration = Duration::from_secs(90);
/// Holds for so many seconds instead.
const HOLD_VARIABLE: &str = "OUTLAST_MATRIX_SECONDS";
/// Between two looks at what the gateways show.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// No step takes so long unless something is wrong.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

#[test]
fn the_living_are_kept_and_the_dead_are_found_in_time() {
    let network = Network::start();
    let hosts = network.hosts();
    // A thread of its own: it is moved to another host for good.
    let thread = std::thread::spawn(move || {
        hosts.enter(Host::Gateway);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(Box::pin(run(hosts)));
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

async fn run(network: Hosts) {
    let subjects = subjects::subjects();
    let hold = std::env::var(HOLD_VARIABLE).ok();
    let hold = hold.map_or(HOLD, |seconds| Duration::from_secs(seconds.parse().expect("seconds")));
    let (phase, follow) = watch::channel(Phase::Opening);
    let (seen, events) = mpsc::unbounded_channel();
    let stage = Stage { phase: follow, seen };

    let machines = start_machines(&network, &subjects, &stage).await;
    let gateways = Gateways::start(&network).await;
    // The gateway starts a local machine only where its port is free.
    let raw = TcpListener::bind(("127.0.0.1", gateways::RAW_MACHINE)).await.unwrap();
    let tasks = Tasks::default();
    tasks.spawn(peers::machine(raw, subjects.clone(), stage.clone()));
    let clients = start_clients(&network, &subjects, &stage);
    drop(stage);

    let stories = subjects.iter().map(|_| Story::default()).collect();
    let looks = clock::now();
    let mut director = Director { network, subjects, phase, events, gateways, stories, looks };
    director.until("that everybody is there", Story::is_open).await.unwrap();
    let start = clock::now();
    director.begin();
    for (after, step) in [
        (BEFORE_PROBE, Step::Fail(Moment::BeforeProbe)),
        (AFTER_PROBE, Step::Fail(Moment::AfterProbe)),
        (BEFORE_PROBE + SLEEP, Step::Mend(Moment::BeforeProbe)),
        (AFTER_PROBE + SLEEP, Step::Mend(Moment::AfterProbe)),
        (hold, Step::End),
    ] {
        director.look_until(start + after).await;
        director.take(step);
    }
    let all_ended = director.until("that everybody comes to an end", Story::is_over).await;
    director.settle().await;
    println!("{}", matrix::matrix(&director.subjects, &director.stories, hold));
    println!("{}", matrix::examples(&director.stories, &director.gateways.releases()));
    let mut complaints = director.complaints();
    complaints.extend(all_ended.err());
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    director.check_counts().await;
    clients.stop();
    machines.stop();
}

async fn start_machines(network: &Hosts, subjects: &[Subject], stage: &Stage) -> Workers {
    let listening = Arc::new(Notify::new());
    let (network, subjects, stage) = (network.clone(), subjects.to_vec(), stage.clone());
    let told = Arc::clone(&listening);
    let workers = Workers::start("machines", 1, move |_index| {
        let (network, subjects, stage) = (network.clone(), subjects.clone(), stage.clone());
        let told = Arc::clone(&told);
        async move {
            network.enter(Host::Machines);
            let listener = TcpListener::bind(peers::MACHINE).await.unwrap();
            let stopped =
                processes::machine(peers::STOPPED_MACHINE.1, || told.notify_one(), stage.clone());
            tokio::join!(peers::machine(listener, subjects, stage), stopped);
        }
    });
    clock::timeout(STEP_TIMEOUT, listening.notified()).await.expect("machines listen in time");
    workers.unwrap()
}

fn start_clients(network: &Hosts, subjects: &[Subject], stage: &Stage) -> Workers {
    let (network, subjects, stage) = (network.clone(), subjects.to_vec(), stage.clone());
    let workers = Workers::start("clients", 1, move |_index| {
        let (network, subjects, stage) = (network.clone(), subjects.clone(), stage.clone());
        async move {
            network.enter(Host::Clients);
            let tasks = Tasks::default();
            for subject in subjects {
                let gateway = gateways::address(&subject);
                if subject.row.client == Client::Stopped {
                    tasks.spawn(processes::client(subject, gateway, stage.clone()));
                } else {
                    tasks.spawn(peers::client(subject, gateway, stage.clone()));
                }
            }
            std::future::pending::<()>().await;
        }
    });
    workers.unwrap()
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Fail(Moment),
    Mend(Moment),
    End,
}

/// Leads all through the phases, and writes down what comes of it.
struct Director {
    network: Hosts,
    subjects: Vec<Subject>,
    phase: watch::Sender<Phase>,
    events: mpsc::UnboundedReceiver<(usize, Seen)>,
    gateways: Gateways,
    stories: Vec<Story>,
    /// When the gateways are looked at next.
    looks: Instant,
}

impl Director {
    fn begin(&mut self) {
        self.network.lose_some(&self.addresses(|fate| fate == Fate::Loss));
        self.phase.send_replace(Phase::Flowing);
    }

    /// Clients of such a fate.
    fn addresses(&self, is_meant: impl Fn(Fate) -> bool) -> Vec<Ipv4Addr> {
        let meant = self.subjects.iter().filter(|subject| is_meant(subject.row.fate));
        meant.map(Subject::address).collect()
    }

    /// The gateways' ports to machines of such a fate.
    fn ports(&self, is_meant: impl Fn(Fate) -> bool) -> Vec<u16> {
        let meant = self.subjects.iter().filter(|subject| is_meant(subject.row.fate));
        meant.filter_map(|subject| self.stories[subject.number].port).collect()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Fail(moment) => {
                let client = |fate| {
                    fate == Fate::ClientVanishes(moment) || fate == Fate::ClientSleeps(moment)
                };
                let machine = |fate| {
                    fate == Fate::MachineVanishes(moment) || fate == Fate::MachineSleeps(moment)
                };
                let dying: Vec<_> =
                    self.subjects.iter().filter(|one| one.dies_at() == Some(moment)).collect();
                for subject in dying {
                    self.stories[subject.number].died = Some(clock::now());
                }
                self.network.vanish(&self.addresses(client));
                self.network.vanish_machines(&self.ports(machine));
                self.phase.send_replace(Phase::Acting);
            }
            Step::Mend(moment) => {
                self.network.come_back(&self.addresses(|fate| fate == Fate::ClientSleeps(moment)));
                let ports = self.ports(|fate| fate == Fate::MachineSleeps(moment));
                self.network.machines_come_back(&ports);
            }
            Step::End => {
                self.network.lose_nothing(&self.addresses(|fate| fate == Fate::Loss));
                self.phase.send_replace(Phase::Ending);
            }
        }
    }

    async fn look_until(&mut self, deadline: Instant) {
        while clock::now() < deadline {
            self.note_until(deadline).await;
        }
    }

    /// Waits until something holds for every subject, or tells for whom it does not.
    async fn until(
        &mut self,
        what: &str,
        holds: fn(&Story, &Subject) -> bool,
    ) -> Result<(), String> {
        let deadline = clock::now() + STEP_TIMEOUT;
        loop {
            let all = self.subjects.iter().map(|one| (one, &self.stories[one.number]));
            let mut late = all.filter(|(subject, story)| !holds(story, subject)).peekable();
            if late.peek().is_none() {
                return Ok(());
            }
            if clock::now() >= deadline {
                let late: Vec<_> = late.map(|(one, story)| format!("  {one}: {story:?}")).collect();
                return Err(format!("not in time, {what}:\n{}", late.join("\n")));
            }
            drop(late);
            self.note_until(deadline).await;
        }
    }

    /// Notes the next event, or looks at the gateways when it is time.
    async fn note_until(&mut self, deadline: Instant) {
        let looks = self.looks;
        tokio::select! {
            Some((number, seen)) = self.events.recv() => self.stories[number].note(seen),
            () = clock::sleep_until(looks.min(deadline)) => {
                if clock::now() >= looks {
                    self.look().await;
                    self.looks = clock::now() + LOOK_INTERVAL;
                }
            }
        }
    }

    async fn look(&mut self) {
        for (number, exchange) in self.gateways.exchanges(&self.subjects).await {
            self.stories[number].show(&exchange);
        }
        for (number, exchange) in self.gateways.log(&self.subjects) {
            self.stories[number].end.get_or_insert(exchange);
        }
    }

    /// Waits until all places are free, or for long.
    async fn settle(&self) {
        let deadline = clock::now() + STEP_TIMEOUT;
        while self.gateways.taken().await > 0 && clock::now() < deadline {
            // The pool has no event to wait for from outside.
            clock::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Places, metrics and log agree with what was done.
    async fn check_counts(&self) {
        assert_eq!(self.gateways.taken().await, 0, "every place is free");
        let vanished = |is_meant: fn(Truth) -> bool| {
            let all =
                self.subjects.iter().filter(|one| one.has_vanished() && is_meant(one.row.truth));
            all.count()
        };
        let clients = vanished(|truth| matches!(truth, Truth::DeadClient(_)));
        let machines = vanished(|truth| matches!(truth, Truth::DeadMachine(_)));
        for (name, label, count) in [
            ("outlast_ledger_mismatch_total{", "", 0),
            ("outlast_exchanges_total{", "", self.subjects.len()),
            ("outlast_released_total{", "\"client_vanished\"", clients),
            ("outlast_released_total{", "\"machine_vanished\"", machines),
        ] {
            let counted = self.gateways.metric(name, label).await;
            assert!(
                (counted - count as f64).abs() < 0.5,
                "{name}{label} is {counted}, not {count}"
            );
        }
        assert_eq!(
            self.gateways.releases().len(),
            clients + machines,
            "each is told of with its evidence"
        );
    }

    fn complaints(&self) -> Vec<String> {
        let all = self.subjects.iter().zip(&self.stories);
        let complaints: BTreeMap<_, _> = all
            .map(|(subject, story)| (subject.to_string(), story.complaints(subject)))
            .filter(|(_, complaints)| !complaints.is_empty())
            .collect();
        complaints.into_iter().map(|(who, what)| format!("{who}: {}", what.join("; "))).collect()
    }
}

#[test]
fn the_matrix_of_the_documents_has_the_rows_of_the_test() {
    let page = include_str!("../../../../../docs/living-and-dead.md");
    let table = page.lines().skip_while(|line| !line.starts_with("| Truth | Who |"));
    let rows: Vec<_> = table
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').skip(1).take(3).map(str::trim).collect::<Vec<_>>())
        .collect();
    let expected: Vec<_> = rows::rows().map(|(side, row)| matrix::names(side, row)).collect();
    assert_eq!(rows, expected);
}
