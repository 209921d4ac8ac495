//! Lives through a script with the real gateway, and writes down what it and the app said.

use std::collections::BTreeMap;
use std::time::Duration;

use outlast_runtime::{Tasks, clock};
use serde_json::Value;

use super::app::{App, Known, Notes, Pings, State};
use super::people;
use super::place::Place;
use super::script::{Act, Machines, Part, Script, lived};
use crate::support::Outlast;

/// A command that ends soon, so that it is started again and again.
const CRASHES: &str = "echo 'fatal: cannot open the database'; sleep 0.4; exit 7";
/// The gateway's log lines wait so long for others.
const LOG_PAUSE: Duration = Duration::from_millis(100);

/// Something that was seen, in seconds of the story.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub(super) at: f64,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    Exchange(Exchange),
    /// The gateway's warning, of this machine.
    HardLimit(usize),
    /// The gateway gave up looking for a machine that is not full.
    NoCandidate,
    /// The gateway has begun to start the machine.
    Starting,
    /// A client did not answer the app's ping.
    NoPong {
        machine: usize,
        request: String,
    },
    Act(Act),
    Remark(String),
}

/// One request, as the gateway's access log has it.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    /// 0: none.
    pub(super) status: u64,
    /// Which machine had it.
    pub(super) machine: Option<usize>,
    pub(super) outcome: String,
    pub(super) detail: String,
    pub(super) bytes: u64,
    /// When it was asked, when a machine had it, and when its head came.
    pub(super) asked: f64,
    pub(super) served: f64,
    pub(super) head: f64,
}

impl Exchange {
    /// Whether the response came in chunks: streams do and have more bytes than short answers, which have 640 and a head.
    pub(super) fn is_chunked(&self) -> bool {
        self.bytes > 1_000
    }
}

pub(super) struct Driven {
    pub(super) facts: Vec<Fact>,
    /// The gateway's own log as it is, from the moment it listens.
    pub(super) raw: Vec<String>,
}

/// Lives through one part.
pub(super) async fn drive(script: &Script, part: &Part, place: &Place) -> Driven {
    let (tasks, notes, scale) = (Tasks::default(), Notes::default(), script.scale);
    let (every, patience) = script.pings;
    let pings = Pings { every: lived(every, scale), patience: lived(patience, scale) };
    let (count, begins) = match part.machines {
        Machines::Running(count) => (count, State::Up),
        Machines::Cold | Machines::Crashing => (1, State::Down),
    };
    let apps: Vec<_> = (0..count)
        .map(|machine| App::start(machine, begins, place, pings, &notes, &tasks))
        .collect();
    let outlast = start(script, part, place, &apps).await;
    let (start, epoch) = (clock::now(), clock::wall_now());
    let visits = Tasks::default();
    for visit in part.visits.clone() {
        let (at, place, gateway) = (start + lived(visit.at, scale), place.clone(), outlast.gateway);
        visits.spawn(async move {
            clock::sleep_until(at).await;
            people::visit(visit, scale, gateway, place).await;
        });
    }
    let mut facts = vec![Fact { at: part.offset, what: What::Starting }];
    let mut acts = part.acts.clone();
    acts.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    for (at, act) in acts {
        clock::sleep_until(start + lived(at, scale)).await;
        let at = part.offset + elapsed(epoch, clock::wall_now(), scale);
        do_to(&apps, act, part, place, scale, &tasks);
        facts.push(Fact { at, what: What::Act(act) });
    }
    // Whoever stays longer than the log that is kept is not waited for.
    let end = start + lived(script.window.1 - part.offset, scale);
    clock::timeout_at(end, visits.join()).await.ok();
    visits.cancel();
    clock::sleep(LOG_PAUSE).await;
    let raw = outlast.log();
    tasks.cancel();
    let clock = Clock { epoch, scale, offset: part.offset };
    facts.extend(read(&raw, &notes, clock));
    let remarks = part.remarks.iter().map(|(at, text)| (part.offset + at, text.clone()));
    facts.extend(remarks.map(|(at, text)| Fact { at, what: What::Remark(text) }));
    Driven { facts, raw }
}

fn do_to(apps: &[App], act: Act, part: &Part, place: &Place, scale: f64, tasks: &Tasks) {
    match act {
        Act::Suspend(machine) => drop(apps[machine].state.send_replace(State::Frozen)),
        Act::Crash(machine, _) => drop(apps[machine].state.send_replace(State::Down)),
        Act::Resume(machine) | Act::Start(machine) => {
            apps[machine].state.send_replace(State::Up);
        }
        Act::GiveUp(_) | Act::StartDeaf(_) => {}
        Act::Stop(machine, grace, _) => {
            let state = apps[machine].state.clone();
            state.send_replace(State::Closing);
            tasks.spawn(async move {
                clock::sleep(lived(grace, scale)).await;
                state.send_if_modified(|state| {
                    let is_closing = *state == State::Closing;
                    *state = if is_closing { State::Down } else { *state };
                    is_closing
                });
            });
        }
        Act::Vanish => {
            let fated: Vec<_> = part.visits.iter().filter_map(|visit| visit.fated).collect();
            place.vanish(&fated);
        }
    }
}

async fn start(script: &Script, part: &Part, place: &Place, apps: &[App]) -> Outlast {
    let ms = |story: f64| format!("{}ms", lived(story, script.scale).as_millis().max(1));
    let fly = format!(
        "app = \"story\"\nprimary_region = \"ord\"\n[http_service]\ninternal_port = {}\n\
         [http_service.concurrency]\ntype = \"{}\"\nhard_limit = {}\nsoft_limit = {}\n",
        apps[0].address.port(),
        script.counts,
        script.hard,
        script.hard * 4 / 5
    );
    let outlast = format!(
        "[queue]\ntimeout = \"{}\"\ndepth_max = 1000\n[upstream]\nlinger = \"hold\"\nidle_timeout = \"{}\"\n[eject]\nfailures = 0\n",
        ms(script.patience),
        ms(script.linger)
    );
    let listen = place.gateway().to_string();
    let to: Vec<_> = apps.iter().map(|app| app.address.to_string()).collect();
    let mut args = vec!["--listen", &listen, "--admin", "127.0.0.1:0"];
    match part.machines {
        Machines::Running(_) => to.iter().for_each(|to| args.extend(["--to", to])),
        Machines::Cold => args.extend(["--", "sleep", "1d"]),
        Machines::Crashing => args.extend(["--", "sh", "-c", CRASHES]),
    }
    let files = [("fly.toml", &*fly), ("outlast.toml", &*outlast)];
    Outlast::listening_by(&[], &[], &files, &args).await
}

fn elapsed(epoch: jiff::Timestamp, at: jiff::Timestamp, scale: f64) -> f64 {
    at.duration_since(epoch).as_secs_f64() * scale
}

#[derive(Clone, Copy)]
struct Clock {
    epoch: jiff::Timestamp,
    scale: f64,
    offset: f64,
}

impl Clock {
    fn story(self, at: jiff::Timestamp) -> f64 {
        self.offset + elapsed(self.epoch, at, self.scale)
    }

    /// The log has whole milliseconds; `share` says which part of one is made of the rest.
    fn story_ms(self, ms: &Value, share: f64) -> f64 {
        ms.as_f64().map_or(0.0, |ms| if ms > 0.0 { ms + share } else { 0.0 }) / 1_000.0 * self.scale
    }
}

/// What the gateway's log and the apps' notes say.
fn read(raw: &[String], notes: &Notes, clock: Clock) -> Vec<Fact> {
    let notes = notes.lock().unwrap();
    let had: BTreeMap<_, _> = notes.iter().map(|note| (&*note.request, note.machine)).collect();
    let mut facts = Vec::new();
    let events: Vec<Value> =
        raw.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut names = BTreeMap::new();
    for event in events.iter().filter(|event| event["target"] == "outlast::access") {
        let exchange = exchange(event, &had, clock);
        if let (Some(machine), Some(name)) = (exchange.machine, event["machine"].as_str()) {
            names.insert(name, machine);
        }
        facts.push(Fact { at: clock.story(time(event)), what: What::Exchange(exchange) });
    }
    for event in events.iter().filter(|event| event["target"] == "outlast::proxy") {
        let text = event["message"].as_str().unwrap();
        let machine = event["machine"].as_str().and_then(|name| names.get(name));
        let what = match text {
            text if text.contains("hard limit") => What::HardLimit(*machine.unwrap_or(&0)),
            text if text.contains("[PR04]") => What::NoCandidate,
            other => panic!("the gateway says something new: {other}"),
        };
        facts.push(Fact { at: clock.story(time(event)), what });
    }
    facts.extend(notes.iter().filter(|note| note.what == Known::NoPong).map(|note| Fact {
        at: clock.story(note.at),
        what: What::NoPong { machine: note.machine, request: note.request.clone() },
    }));
    facts
}

fn time(event: &Value) -> jiff::Timestamp {
    event["timestamp"].as_str().unwrap().parse().unwrap()
}

fn exchange(event: &Value, had: &BTreeMap<&str, usize>, clock: Clock) -> Exchange {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let id = text("request_id");
    // The same for all times of an exchange, so that none comes before the other.
    let share = id.bytes().map(f64::from).sum::<f64>() * 0.618_034 % 1.0;
    let ms = |name: &str| clock.story_ms(&event[name], share);
    let ended = clock.story(time(event));
    let asked = ended - ms("duration_ms");
    let served = asked + ms("queued_ms");
    Exchange {
        machine: had.get(&*id).copied(),
        method: text("method"),
        path: text("path"),
        status: event["status"].as_u64().unwrap_or(0),
        outcome: text("outcome"),
        detail: text("detail"),
        bytes: event["sent_bytes"].as_u64().unwrap_or(0),
        head: asked + ms("first_byte_ms"),
        id,
        asked,
        served,
    }
}
