//! `cargo xtask dev`: what runs is what the editor shows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use outlast_runtime::clock;

use crate::run::{self, Args};
use crate::step::root;
use crate::tidy::files;

/// How often files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

type Times = BTreeMap<PathBuf, SystemTime>;

/// Restarts when a source file has changed and the build succeeds; until then the old one runs on.
pub(crate) fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let over = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&over))?;
    }
    run::build(args)?;
    let mut seen = times()?;
    let mut running = start(args)?;
    while !over.load(Ordering::Relaxed) {
        runtime.block_on(clock::sleep(LOOK_INTERVAL));
        if let Some(status) = running.try_wait()? {
            eprintln!("\n==> outlast ended ({status}); it is started again at the next change");
        }
        let now = times()?;
        let Some(changed) = changed(&seen, &now) else { continue };
        eprintln!("\n==> {} changed", changed.display());
        seen = now;
        if let Err(error) = run::build(args) {
            eprintln!("{error:#}; the old one runs on");
            continue;
        }
        stop(&mut running)?;
        running = start(args)?;
    }
    stop(&mut running)
}

fn start(args: &Args) -> Result<Child> {
    run::outlast(args).spawn().context("cannot start outlast")
}

/// Drains as an operator would, unless it has ended.
fn stop(running: &mut Child) -> Result<()> {
    if running.try_wait()?.is_none() {
        let pid = rustix::process::Pid::from_child(running);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        running.wait()?;
    }
    Ok(())
}

/// When each file that goes into the binary was written.
fn times() -> Result<Times> {
    let mut times = Times::new();
    for path in files(&root())? {
        let is_source = path.starts_with("crates") || path == Path::new("Cargo.lock");
        if is_source && let Ok(metadata) = root().join(&path).metadata() {
            times.insert(path, metadata.modified()?);
        }
    }
    Ok(times)
}

fn changed(before: &Times, now: &Times) -> Option<PathBuf> {
    let new = now.iter().find(|(path, time)| before.get(*path) != Some(*time));
    let gone = || before.keys().find(|path| !now.contains_key(*path));
    new.map(|(path, _)| path).or_else(gone).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_changed_and_removed_files_are_changes() {
        let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let times = |files: &[(&str, u64)]| -> Times {
            files.iter().map(|(path, second)| ((*path).into(), at(*second))).collect()
        };
        let before = times(&[("a", 1), ("b", 1)]);
        assert_eq!(changed(&before, &before), None);
        assert_eq!(changed(&before, &times(&[("a", 1), ("b", 2)])), Some("b".into()));
        assert_eq!(changed(&before, &times(&[("a", 1), ("b", 1), ("c", 1)])), Some("c".into()));
        assert_eq!(changed(&before, &times(&[("a", 1)])), Some("b".into()));
    }
}
