//! What a file cannot say, and what is made of it when nobody else does.

use std::num::NonZeroU32;
use std::time::Duration;

use outlast_config::{ByteSize, fly, format_duration};

/// What the flags say. `None`: nobody told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hints {
    /// `--streams`: how long the longest response or WebSocket stays open; zero: none does.
    pub streams: Option<Duration>,
    /// `--boot`: from the start of a machine until it answers.
    pub boot: Option<Duration>,
    /// `--machines`: how many there are.
    pub machines: Option<NonZeroU32>,
    /// `--memory-per-stream`.
    pub memory_per_stream: Option<ByteSize>,
    /// `--peak`: how many streams are open at once, in all.
    pub peak: Option<NonZeroU32>,
}

impl Hints {
    /// Whether this flag was given.
    pub(crate) fn tell(&self, flag: &str) -> bool {
        match flag {
            "--streams" => self.streams.is_some(),
            "--boot" => self.boot.is_some(),
            "--machines" => self.machines.is_some(),
            "--memory-per-stream" => self.memory_per_stream.is_some(),
            // Where nothing streams no stream has a peak.
            "--peak" => {
                self.peak.is_some() || self.streams.is_some_and(|longest| longest.is_zero())
            }
            _ => false,
        }
    }
}

/// Where a premise comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Basis {
    /// A flag said it.
    Told,
    /// The file suggests it; the sentence tells how.
    Seen(String),
    /// Nothing says it; the sentence tells what was guessed.
    Guessed(String),
}

/// Something a rule needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Premise<T> {
    pub(crate) value: T,
    pub(crate) basis: Basis,
}

impl<T> Premise<T> {
    fn told(value: T) -> Self {
        Self { value, basis: Basis::Told }
    }

    pub(crate) fn is_guessed(&self) -> bool {
        matches!(self.basis, Basis::Guessed(_))
    }

    pub(crate) fn is_told(&self) -> bool {
        self.basis == Basis::Told
    }
}

/// How long a stream is taken to be when nobody told: the chats of the incident took five to ten minutes.
const STREAM_GUESS: Duration = Duration::from_secs(600);

/// What a request is taken to need. A plain server; one that runs a process for each request.
const MEMORY_PLAIN: u64 = 8 << 20;
const MEMORY_PROCESS: u64 = 48 << 20;

/// Words within names and commands by which an app gives itself away.
const STREAM_WORDS: &[&str] =
    &["WS", "WSS", "WEBSOCKET", "WEBSOCKETS", "SSE", "STREAM", "STREAMS", "STREAMING", "TERMINAL"];
const PROCESS_WORDS: &[&str] = &[
    "TERMINAL",
    "PTY",
    "CLAUDE",
    "AGENT",
    "AGENTS",
    "FFMPEG",
    "CHROMIUM",
    "PUPPETEER",
    "PLAYWRIGHT",
];

/// How long the longest stream is. `None`: there are none.
pub(crate) fn streams(hints: &Hints, fly: &fly::Written) -> Premise<Option<Duration>> {
    if let Some(longest) = hints.streams {
        return Premise::told((longest > Duration::ZERO).then_some(longest));
    }
    let length = format_duration(STREAM_GUESS);
    let basis = match evidence(fly, STREAM_WORDS) {
        Some(name) => Basis::Seen(format!(
            "{name} speaks of streams or WebSockets; they are taken to last up to {length} (--streams tells)"
        )),
        None => Basis::Guessed(format!(
            "nothing here says whether responses stream; streams of up to {length} are guessed \
            (--streams 8m tells, \
             --streams 0s: there are none)"
        )),
    };
    Premise { value: Some(STREAM_GUESS), basis }
}

/// How many machines there are.
pub(crate) fn machines(hints: &Hints, fly: &fly::Written) -> Premise<u32> {
    if let Some(machines) = hints.machines {
        return Premise::told(machines.get());
    }
    let http = fly.http_service.iter().map(|http| &http.common);
    let commons = http.chain(fly.services.iter().map(|service| &service.common));
    let floor = commons
        .filter_map(|common| common.min_machines_running.as_ref())
        .max_by_key(|min| min.value);
    if let Some(floor) =
        floor.and_then(|floor| u32::try_from(floor.value).ok()).filter(|floor| *floor > 1)
    {
        let why = format!(
            "min_machines_running says that there are at least {floor} machines (--machines tells)"
        );
        return Premise { value: floor, basis: Basis::Seen(why) };
    }
    let why = "fly.toml cannot say how many machines there are; one is guessed (--machines tells)";
    Premise { value: 1, basis: Basis::Guessed(why.to_owned()) }
}

/// How many bytes a stream needs.
pub(crate) fn memory_per_stream(hints: &Hints, fly: &fly::Written) -> Premise<u64> {
    if let Some(size) = hints.memory_per_stream {
        return Premise::told(size.0.max(1));
    }
    match evidence(fly, PROCESS_WORDS) {
        Some(name) => Premise {
            value: MEMORY_PROCESS,
            basis: Basis::Seen(format!(
                "{name} suggests a process for each stream, hence 48 MB each (--memory-per-stream tells)"
            )),
        },
        None => Premise {
            value: MEMORY_PLAIN,
            basis: Basis::Guessed(
                "8 MB for each stream are guessed, as for a plain server; 48 MB are usual where each \
                runs a process \
                 (--memory-per-stream tells)"
                    .to_owned(),
            ),
        },
    }
}

/// The first name in `[env]` or command in `[processes]` that contains one of the words.
fn evidence(fly: &fly::Written, words: &[&str]) -> Option<String> {
    let speaks = |text: &str| {
        let upper = text.to_ascii_uppercase();
        upper.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| words.contains(&word))
    };
    let variable =
        fly.env.keys().find(|name| speaks(name)).map(|name| format!("the variable {name}"));
    let process = || {
        let mut processes = fly.processes.iter();
        let found = processes.find(|(name, command)| speaks(name) || speaks(&command.value));
        found.map(|(name, _)| format!("the process {name}"))
    };
    variable.or_else(process)
}
