//! One case of the corpus: a story with a known cause, how it is told, and how it is kept.

use std::fs;
use std::path::{Path, PathBuf};

use outlast_testkit::{Host, Network};

use super::cast::Cast;
use super::drive::{self, Fact};
use super::form::{self, Era, Form};
use super::lives::{Aborts, CrashLoop, Deploy, FailingStart, SlowStart, Suspend};
use super::place::Place;
use super::scenes::{Burst, Idle, Streams, Zombies};
use super::script::{Act, Chance, Part, Script};
use super::tell::{self, AppLines, Telling};
use super::voice::Voice;
use super::{lives, scenes};

/// What happens.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scene {
    Streams(Streams),
    Idle(Idle),
    Zombies(Zombies),
    Burst(Burst),
    SlowStart(SlowStart),
    FailingStart(FailingStart),
    CrashLoop(CrashLoop),
    /// In the gateway's own log.
    CrashLoopAsItIs,
    Deploy(Deploy),
    Suspend(Suspend),
    Aborts(Aborts),
    /// Nothing is wrong, for so long.
    Quiet(f64),
}

/// Whose log the user has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Platforms(Form, Era),
    /// The gateway's own, as it is.
    Ours,
}

#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: &'static str,
    /// An id of a hypothesis, or `not_enough_evidence`.
    pub(super) cause: &'static str,
    /// What may be answered as well, because the log leaves it open.
    pub(super) also: &'static [&'static str],
    story: &'static str,
    seed: u64,
    voice: Voice,
    whose: Whose,
    app: AppLines,
    remarks: Vec<(f64, &'static str)>,
    /// Keeps only this part of the log.
    cut: Option<(f64, f64)>,
    scene: Scene,
}

impl Case {
    pub(super) fn new(
        name: &'static str,
        cause: &'static str,
        story: &'static str,
        seed: u64,
        scene: Scene,
    ) -> Self {
        Self {
            name,
            cause,
            also: &[],
            story,
            seed,
            voice: Voice::Chi,
            whose: Whose::Platforms(Form::Text, Era::Codes),
            app: AppLines::Told,
            remarks: Vec::new(),
            cut: None,
            scene,
        }
    }

    pub(super) fn told(self, voice: Voice, form: Form, era: Era) -> Self {
        Self { voice, whose: Whose::Platforms(form, era), ..self }
    }

    pub(super) fn ours(self) -> Self {
        Self { whose: Whose::Ours, ..self }
    }

    /// The app writes nothing.
    pub(super) fn silent(self) -> Self {
        Self { app: AppLines::Silent, ..self }
    }

    /// The app, or somebody by way of it, says so.
    pub(super) fn remark(mut self, at: f64, text: &'static str) -> Self {
        self.remarks.push((at, text));
        self
    }

    /// Only this much of the log was saved.
    pub(super) fn cut(self, from: f64, to: f64) -> Self {
        Self { cut: Some((from, to)), ..self }
    }

    pub(super) fn or(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }

    fn script(&self, cast: &Cast, chance: &mut Chance) -> Script {
        let mut script = match &self.scene {
            Scene::Streams(it) => scenes::streams(it, cast, chance),
            Scene::Idle(it) => scenes::idle(it, cast, chance),
            Scene::Zombies(it) => scenes::zombies(it, cast, chance),
            Scene::Burst(it) => scenes::burst(it, cast, chance),
            Scene::SlowStart(it) => lives::slow_start(it, cast, chance),
            Scene::FailingStart(it) => lives::failing_start(it, cast, chance),
            Scene::CrashLoop(it) => lives::crash_loop(it, cast, chance),
            Scene::CrashLoopAsItIs => lives::crash_loop_as_it_is(cast, chance),
            Scene::Deploy(it) => lives::deploy(it, cast, chance),
            Scene::Suspend(it) => lives::suspend(it, cast, chance),
            Scene::Aborts(it) => lives::aborts(it, cast, chance),
            Scene::Quiet(lasts) => lives::quiet(*lasts, cast, chance),
        };
        let remarks = self.remarks.iter().map(|(at, text)| (*at, (*text).to_owned()));
        script.parts[0].remarks.extend(remarks);
        script
    }

    fn begin(&self) -> (Chance, Cast, Script) {
        let mut chance = Chance::new(self.seed);
        let cast = Cast::new(&mut chance);
        let script = self.script(&cast, &mut chance);
        (chance, cast, script)
    }

    /// Whether what was made into a folder is of this case as it is now. Its log has times that never come again.
    pub(super) fn is_kept(&self, folder: &Path) -> bool {
        let (_, _, script) = self.begin();
        let has = |name: &str, text: &str| {
            fs::read_to_string(folder.join(name)).is_ok_and(|kept| kept == text)
        };
        has("fly.toml", &script.fly) && has("case.toml", &self.card())
    }

    /// Drives it and writes it into a folder. It takes as long as it takes, and a runtime of its own.
    pub(super) fn make(&self, folder: &Path) {
        let (mut chance, cast, script) = self.begin();
        let vanish = |part: &Part| part.acts.iter().any(|(_, act)| *act == Act::Vanish);
        let network = script.parts.iter().any(vanish).then(Network::start);
        let place = match &network {
            Some(network) => {
                network.enter(Host::Gateway);
                Place::Network(network.hosts())
            }
            None => Place::Loopback,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (facts, raw) = runtime.block_on(Box::pin(live(&script, &place)));
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("fly.toml"), &script.fly).unwrap();
        fs::write(folder.join("case.toml"), self.card()).unwrap();
        let log = match self.whose {
            Whose::Ours => {
                let text = format!(
                    "[queue]\ntimeout = \"{:.0}s\"\n[upstream]\nlinger = \"hold\"\nidle_timeout = \"{:.0}s\"\n",
                    script.patience, script.linger
                );
                fs::write(folder.join("outlast.toml"), text).unwrap();
                raw.join("\n") + "\n"
            }
            Whose::Platforms(form, era) => self.tell(script, &facts, form, era, &cast, &mut chance),
        };
        fs::write(folder.join("log.txt"), log).unwrap();
    }

    fn tell(
        &self,
        mut script: Script,
        facts: &[Fact],
        form: Form,
        era: Era,
        cast: &Cast,
        chance: &mut Chance,
    ) -> String {
        let attempts = *chance.pick(&[20, 21, 40, 40, 40, 90]);
        let telling = Telling { voice: self.voice, attempts, app: self.app };
        script.window = self.cut.unwrap_or(script.window);
        let records = tell::tell(&script, facts, &telling, cast, chance);
        form::write(form, era, &records, cast, chance)
    }

    fn card(&self) -> String {
        let also: Vec<_> = self.also.iter().map(|cause| format!("\"{cause}\"")).collect();
        format!(
            "# Made by: cargo xtask corpus --only {}\nstory = \"{}\"\ncause = \"{}\"\n# What may be answered as well.\nalso = [{}]\nseed = {}\n",
            self.name,
            self.story,
            self.cause,
            also.join(", "),
            self.seed
        )
    }
}

/// Where the cases are kept.
pub(super) fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

async fn live(script: &Script, place: &Place) -> (Vec<Fact>, Vec<String>) {
    let (mut facts, mut raw) = (Vec::new(), Vec::new());
    for part in &script.parts {
        let driven = drive::drive(script, part, place).await;
        facts.extend(driven.facts);
        raw.extend(driven.raw);
    }
    (facts, raw)
}
