//! The fuzz targets, briefly as a step of `cargo xtask test`, or for long: `cargo xtask soak`.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::packages;
use crate::step::{self, cargo, root, target_dir};

/// Those of `fuzz/Cargo.toml`.
const TARGETS: [&str; 5] = ["heads", "framing", "config", "logs", "differential"];
/// How long all of them run, side by side, in `cargo xtask test`.
const BRIEF: Duration = Duration::from_secs(30);
/// With the same seed and no corpus of earlier runs, the same commit is tried with the same inputs, as far as the time
/// reaches: what `cargo xtask test` says is about the change and not about luck. The search for new inputs is the soak's.
const BRIEF_SEED: u32 = 20_261_125;
/// Most mistakes need few bytes, and short inputs are tried more often.
const BRIEF_BYTES_MAX: usize = 4 * 1024;
/// Enough to reach every limit, the 32 KiB of a head included.
const SOAK_BYTES_MAX: usize = 40 * 1024;
/// An input that takes longer is a finding.
const INPUT_SECONDS_MAX: usize = 10;
/// As many lines of a target's last words as name the input that it failed on.
const LAST_LINES: usize = 14;
/// As many lines of a panic as tell what it was about.
const PANIC_LINES: usize = 4;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For how long
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
}

pub(crate) fn soak(args: &Args) -> Result<()> {
    run(&Effort {
        time: Duration::from_secs(args.minutes * 60),
        bytes_max: SOAK_BYTES_MAX,
        seed: None,
    })
}

pub(crate) fn brief() -> Result<()> {
    run(&Effort { time: BRIEF, bytes_max: BRIEF_BYTES_MAX, seed: Some(BRIEF_SEED) })
}

/// How far the targets go.
struct Effort {
    time: Duration,
    bytes_max: usize,
    /// `None`: another in each run, which starts from what the last ones found.
    seed: Option<u32>,
}

fn run(effort: &Effort) -> Result<()> {
    install()?;
    step::run(fuzz("build"))?;
    eprintln!("\n==> {} for {} s", TARGETS.join(", "), effort.time.as_secs());
    let running = TARGETS.iter().map(|target| Running::start(target, effort));
    let running = running.collect::<Result<Vec<_>>>()?;
    let mut failed = Vec::new();
    for mut running in running {
        let is_well = running.process.wait()?.success();
        running.tell(if is_well { 1 } else { LAST_LINES })?;
        if !is_well {
            failed.push(running.target);
        }
    }
    if !failed.is_empty() {
        bail!("fuzzing failed: {}", failed.join(", "));
    }
    Ok(())
}

/// One target at work.
struct Running {
    target: &'static str,
    process: Child,
    log: PathBuf,
}

impl Running {
    fn start(target: &'static str, effort: &Effort) -> Result<Self> {
        let folder = target_dir().join("fuzz");
        let log = folder.join(format!("{target}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut run = fuzz("run");
        let seeds = root().join("fuzz/seeds").join(target);
        // What is found is kept in the first folder; the seeds stay as they are.
        let corpus = match effort.seed {
            None => folder.join("corpus").join(target),
            Some(_) => emptied(folder.join("brief").join(target))?,
        };
        fs::create_dir_all(&corpus)?;
        run.arg(target).arg(corpus).arg(seeds);
        run.args(["--", &format!("-max_total_time={}", effort.time.as_secs())]);
        run.args(effort.seed.map(|seed| format!("-seed={seed}")));
        run.arg(format!("-dict={}", root().join("fuzz/dictionary").display()));
        run.args([
            &format!("-max_len={}", effort.bytes_max),
            &format!("-timeout={INPUT_SECONDS_MAX}"),
        ]);
        run.env("RUST_BACKTRACE", "0").stdout(file.try_clone()?).stderr(file);
        let process = run.spawn().context("cannot start cargo fuzz")?;
        Ok(Self { target, process, log })
    }

    /// The last of what it said: how many inputs it ran, or the panic and the file with the input that led to it.
    fn tell(&self, lines_max: usize) -> Result<()> {
        let text = fs::read(&self.log)?;
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        eprintln!("    {}, as in {}:", self.target, self.log.display());
        let panic = lines.iter().position(|line| line.contains(" panicked at "));
        let panic = panic.map_or(&[][..], |at| &lines[at..lines.len().min(at + PANIC_LINES)]);
        let last = &lines[lines.len().saturating_sub(lines_max)..];
        panic.iter().chain(last).for_each(|line| eprintln!("        {line}"));
        Ok(())
    }
}

fn emptied(folder: PathBuf) -> Result<PathBuf> {
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot empty {}", folder.display()))
        }
        _ => Ok(folder),
    }
}

/// `cargo fuzz`, without a sanitizer: those need a nightly compiler, and there is no `unsafe` here to watch.
fn fuzz(verb: &str) -> std::process::Command {
    let mut fuzz = cargo(&["fuzz", verb, "--sanitizer", "none", "--target-dir"]);
    fuzz.arg(target_dir().join("fuzz"));
    fuzz
}

fn install() -> Result<()> {
    packages::install(packages::FUZZ)?;
    let version = cargo(&["fuzz", "--version"]).output();
    if version.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    step::run(cargo(&["install", "cargo-fuzz", "--locked"]))
        .context("the fuzz targets need cargo-fuzz, which could not be installed")
}
