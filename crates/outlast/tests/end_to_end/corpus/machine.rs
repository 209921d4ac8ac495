//! The platform's lines about the lives of machines, and about requests that met one at a bad time.

use super::cast::Cast;
use super::drive::{Exchange, Fact, What};
use super::script::{Act, Chance, Machines, Script, Why};
use super::tell::Record;
use super::voice::Voice;

/// From so long on the proxy tells that it waits for a machine.
const WAITS_FROM: f64 = 5.0;

pub(super) struct Teller<'a> {
    cast: &'a Cast,
    machines: usize,
    /// Whether the proxy starts the machine when somebody comes.
    cold: bool,
    digest: String,
    boot: f64,
    /// When the proxy began to start a cold machine.
    started: f64,
    restarts: u32,
    down: Vec<usize>,
    seed: Chance,
    language: Language,
    deploys: bool,
}

impl<'a> Teller<'a> {
    pub(super) fn new(script: &Script, voice: Voice, cast: &'a Cast, chance: &mut Chance) -> Self {
        let machines = match script.parts[0].machines {
            Machines::Running(count) => count,
            Machines::Cold | Machines::Crashing => 1,
        };
        Self {
            cast,
            machines,
            cold: script.parts[0].machines == Machines::Cold,
            digest: chance.hex(64),
            boot: chance.between(0.4, 1.9),
            started: 0.0,
            restarts: 0,
            down: Vec::new(),
            seed: Chance::new(u64::from(chance.whole(1, 1_000_000))),
            language: Language::of(voice),
            deploys: false,
        }
    }

    /// Whether the proxy waits for a machine to start, and says so in other words.
    pub(super) fn is_cold(&self) -> bool {
        self.cold
    }

    /// What the proxy says of a request that came to nothing.
    pub(super) fn failure(&mut self, one: &Exchange, at: f64) -> Vec<Record> {
        let machine = one.machine.or(self.down.first().copied()).unwrap_or(0);
        let waited = at - one.asked;
        let records = match (&*one.outcome, &*one.detail) {
            ("refused", "none_healthy") => {
                let text = format!(
                    "failed to connect to machine: gave up after 15 attempts (in {waited:.9}s)"
                );
                let more = format!(
                    "could not find a good candidate within 1 attempts at load balancing. last error: [PM05] {text}"
                );
                vec![
                    Record::error(at, machine, "PM05", text),
                    Record::error(at + 0.2, machine, "PR03", more),
                ]
            }
            ("machine_failed", "connect") if self.deploys => {
                let text = "no known healthy instances found for route tcp/443. (hint: is your app shut down? is there an ongoing deployment with a volume or are you using the 'immediate' strategy? have your app's instances all reached their hard limit?)";
                vec![Record::error(at, machine, "PR01", text)]
            }
            ("machine_failed", "connect") => {
                let text = format!(
                    "instance refused connection. is your app listening on 0.0.0.0:{}? make sure it is not only listening on 127.0.0.1 (hint: look at your startup logs, servers often print the address they are listening on)",
                    self.cast.port
                );
                vec![Record::error(at, machine, "PC01", text)]
            }
            // What the app itself ended.
            ("machine_failed", _) if one.status == 101 => Vec::new(),
            ("machine_failed", _) if one.status == 0 => {
                let text = "could not complete HTTP request to instance: connection closed before message completed";
                vec![Record::error(at, machine, "PU02", text)]
            }
            ("machine_failed", _) => {
                let text = "could not finish reading HTTP body from instance: error reading a body from connection";
                vec![Record::error(at, machine, "PU05", text)]
            }
            _ => Vec::new(),
        };
        let about = (one.method.clone(), one.id.clone());
        let about = |record| Record { request: Some(about.clone()), ..record };
        records.into_iter().map(about).collect()
    }

    /// A cold machine is started as soon as somebody asks for it.
    pub(super) fn starting(&mut self, at: f64, facts: &[&Fact], records: &mut Vec<Record>) {
        if !self.cold {
            return;
        }
        self.started = at;
        self.down.clear();
        let up = |fact: &&&Fact| fact.at > at && matches!(fact.what, What::Act(Act::Start(0)));
        let up = facts.iter().find(up).map_or(f64::INFINITY, |fact| fact.at);
        records.push(Record::new(at + 0.01, "proxy", 0, "info", "Starting machine"));
        self.boots(at + 0.2, 0, Booted::Again, records);
        let waiting = facts.iter().filter_map(|fact| match &fact.what {
            What::Exchange(one) if one.asked >= at && one.asked < up => Some((one.asked, fact.at)),
            _ => None,
        });
        for (asked, ended) in waiting {
            for waited in [WAITS_FROM, WAITS_FROM + 2.6] {
                let waited = waited + self.seed.between(0.05, 0.25);
                if asked + waited > ended.min(up) {
                    continue;
                }
                let text = format!(
                    "waiting for machine to be reachable on 0.0.0.0:{} (waited {waited:.9}s so far)",
                    self.cast.port
                );
                records.push(Record::new(asked + waited, "proxy", 0, "info", text));
            }
        }
    }

    /// The lines of a start, up to where the app speaks.
    fn boots(&mut self, at: f64, machine: usize, how: Booted, records: &mut Vec<Record>) {
        let took = self.boot * self.seed.between(0.9, 1.1);
        let stamp = self.cast.at(at).strftime("%Y-%m-%dT%H:%M:%S.%9f").to_string();
        let run = format!("01K{}", self.seed.hex(23).to_uppercase());
        let mut app =
            |after: f64, text: String| records.push(Record::app(at + after, machine, text));
        app(0.05, format!("{stamp} [{run}:main] Running Firecracker v1.14.4"));
        app(0.5, " INFO Starting init (commit: 5b8fb02)...".to_owned());
        app(0.6, " INFO Preparing to run: `docker-entrypoint.sh` as root".to_owned());
        app(0.62, " INFO [fly api proxy] listening at /.fly/api".to_owned());
        let text = match how {
            Booted::New => format!("Machine created and started in {:.3}s", took + 1.7),
            Booted::Again => format!("Machine started in {took:.3}s"),
        };
        records.push(Record::new(at + took, "runner", machine, "info", text));
        if how == Booted::Again {
            let text = format!("machine started in {:.9}s", took + 0.13);
            records.push(Record::new(at + took + 0.13, "proxy", machine, "info", text));
        }
    }

    pub(super) fn act(&mut self, at: f64, act: Act, records: &mut Vec<Record>) {
        match act {
            Act::Suspend(machine) => {
                records.push(self.excess(at - 0.3, machine, "autosuspending"));
                let text = "Virtual machine has been suspended";
                records.push(Record::new(at + 0.4, "runner", machine, "info", text));
                self.down.push(machine);
            }
            Act::Resume(machine) => {
                let took = self.seed.between(0.31, 0.62);
                let proxy = |after: f64, text: String| {
                    Record::new(at + after, "proxy", machine, "info", text)
                };
                records.push(proxy(-took, "Starting machine".to_owned()));
                let text = format!("Machine started in {:.0}ms", took * 1_000.0 - 17.0);
                records.push(Record::new(at - 0.02, "runner", machine, "info", text));
                records.push(proxy(-0.01, format!("machine started in {:.6}ms", took * 1_000.0)));
                let text =
                    format!("machine became reachable in {:.6}ms", self.seed.between(6.0, 14.0));
                records.push(proxy(0.0, text));
                self.down.retain(|down| *down != machine);
            }
            Act::Stop(machine, grace, why) => self.stops(at, machine, grace, why, records),
            Act::Crash(machine, code) => self.crashes(at, machine, code, records),
            Act::Start(machine) => self.starts(at, machine, records),
            Act::StartDeaf(machine) => {
                records.push(Record::new(
                    at - 2.4,
                    "runner",
                    machine,
                    "info",
                    "Configuring firecracker",
                ));
                self.boots(at - 2.1, machine, Booted::New, records);
                let port = if self.cast.port == 3000 { 5173 } else { 3000 };
                let text = format!("Server listening on http://127.0.0.1:{port}");
                records.push(Record::app(at, machine, text));
                records.push(self.unhealthy(at + 11.0, machine));
                self.deploys = false;
            }
            Act::GiveUp(machine) => {
                let text = "machine has reached its max restart count of 10";
                records.push(Record::new(at, "runner", machine, "info", text));
            }
            Act::Vanish => {}
        }
    }

    fn unhealthy(&self, at: f64, machine: usize) -> Record {
        let text = format!(
            "Health check 'servicecheck-00-http-{}' on port {} has failed. Your app is not responding properly. Services exposed on ports [80, 443] will have intermittent failures until the health check passes.",
            self.cast.port, self.cast.port
        );
        Record::new(at, "health", machine, "error", text)
    }

    fn excess(&self, at: f64, machine: usize, verb: &str) -> Record {
        let left = self.machines - self.down.len() - 1;
        let text = format!(
            "App {} has excess capacity, {verb} machine {}. {left} out of {} machines left running (region={}, process group=app)",
            self.cast.app,
            self.cast.machine(machine),
            left + 1,
            self.cast.region
        );
        Record::new(at, "proxy", machine, "info", text)
    }

    fn stops(&mut self, at: f64, machine: usize, grace: f64, why: Why, records: &mut Vec<Record>) {
        match why {
            Why::Idle => records.push(self.excess(at - 0.3, machine, "autostopping")),
            Why::Deploy => {
                self.deploys = true;
                let text = format!(
                    "Pulling container image registry.fly.io/{}@sha256:{}",
                    self.cast.app, self.digest
                );
                records.push(Record::new(at - 4.2, "runner", machine, "info", text));
                let text = format!(
                    "Successfully prepared image registry.fly.io/{}@sha256:{} ({:.9}s)",
                    self.cast.app,
                    self.digest,
                    self.seed.between(1.2, 3.4)
                );
                records.push(Record::new(at - 1.1, "runner", machine, "info", text));
            }
        }
        let text = " INFO Sending signal SIGINT to main child process w/ PID 637";
        records.push(Record::app(at, machine, text));
        self.ends(at + grace, machine, " INFO Main child exited normally with code: 0", records);
        self.down.push(machine);
    }

    fn ends(&mut self, at: f64, machine: usize, how: &str, records: &mut Vec<Record>) {
        records.push(Record::app(at, machine, how));
        records.push(Record::app(at + 0.02, machine, " INFO Starting clean up."));
        let text = format!("[{:>12.6}] reboot: Restarting system", self.seed.between(6.0, 900.0));
        records.push(Record::app(at + 0.9, machine, text));
    }

    fn crashes(&mut self, at: f64, machine: usize, code: i32, records: &mut Vec<Record>) {
        if code == 137 {
            let text = format!(
                "[{:>12.6}] Out of memory: Killed process 641 ({}) total-vm:1201456kB, anon-rss:21{:04}kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:2704kB oom_score_adj:0",
                self.seed.between(20.0, 200.0),
                self.language.process(),
                self.seed.whole(1000, 9999)
            );
            records.push(Record::app(at - 0.04, machine, text));
            let how =
                " INFO Main child exited with signal (with signal 'SIGKILL', core dumped? false)";
            let text = " INFO Process appears to have been OOM killed!";
            records.push(Record::app(at + 0.01, machine, text));
            self.ends(at, machine, how, records);
        } else {
            for (index, text) in self.language.last_words().iter().enumerate() {
                records.push(Record::app(at - 0.05 + index as f64 / 1_000.0, machine, *text));
            }
            let how = format!(" INFO Main child exited normally with code: {code}");
            self.ends(at, machine, &how, records);
        }
        self.restarts += 1;
        self.down.push(machine);
        if self.restarts == 1 {
            let text = "machine did not have a restart policy, defaulting to restart";
            records.push(Record::new(at + 1.2, "runner", machine, "info", text));
        }
    }

    fn starts(&mut self, at: f64, machine: usize, records: &mut Vec<Record>) {
        if self.cold {
            let text = format!("machine became reachable in {:.9}s", at - self.started);
            records.push(Record::new(at + 0.1, "proxy", machine, "info", text));
        } else {
            let how = if self.restarts > 0 { Booted::Again } else { Booted::New };
            if how == Booted::New {
                records.push(Record::new(
                    at - 2.4,
                    "runner",
                    machine,
                    "info",
                    "Configuring firecracker",
                ));
            }
            self.boots(at - 2.1, machine, how, records);
        }
        let text = format!("Server listening on http://0.0.0.0:{}", self.cast.port);
        records.push(Record::app(at - 0.05, machine, text));
        self.down.retain(|down| *down != machine);
        self.deploys = false;
    }
}

/// Whether a start makes a new machine of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Booted {
    New,
    Again,
}

/// What an app is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    JavaScript,
    Go,
    Python,
    Elixir,
}

impl Language {
    fn of(voice: Voice) -> Self {
        match voice {
            Voice::Chi | Voice::Gin => Self::Go,
            Voice::UvicornRuns => Self::Python,
            Voice::Phoenix => Self::Elixir,
            _ => Self::JavaScript,
        }
    }

    fn process(self) -> &'static str {
        match self {
            Self::JavaScript => "node",
            Self::Go => "server",
            Self::Python => "python3",
            Self::Elixir => "beam.smp",
        }
    }

    /// What it says when it ends by its own error.
    fn last_words(self) -> &'static [&'static str] {
        match self {
            Self::JavaScript => &[
                "Error: Cannot find module './config/production'",
                "    at Module._resolveFilename (node:internal/modules/cjs/loader:1225:15)",
                "    at Object.<anonymous> (/app/server.js:4:16) {",
                "  code: 'MODULE_NOT_FOUND'",
            ],
            Self::Go => &[
                "panic: missing required environment variable SESSION_KEY",
                "goroutine 1 [running]:",
                "main.main()",
            ],
            Self::Python => &[
                "Traceback (most recent call last):",
                "  File \"/app/main.py\", line 12, in <module>",
                "    DATABASE_URL = os.environ[\"DATABASE_URL\"]",
                "KeyError: 'DATABASE_URL'",
            ],
            Self::Elixir => &[
                "** (Mix) Could not start application studio: exited in: Studio.Application.start(:normal, [])",
                "    ** (RuntimeError) environment variable SECRET_KEY_BASE is missing.",
            ],
        }
    }
}
