//! Which processes belong to a tree, and signals that reach exactly those.

use std::collections::HashMap;
use std::io;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The variable by which the processes of a tree are known when their guard is gone.
pub const MARK: &str = "OUTLAST_GUARD";

/// A process at the moment it was looked at. Its pid may be another's later, so a signal is sent only after another look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Member {
    /// Its process id.
    pub pid: u32,
    /// Its process group.
    pub(super) group: u32,
    /// When it was started, in ticks since the machine was.
    started: u64,
}

/// All processes below `root`, at any depth, itself not included. Processes that are forked meanwhile may be missed,
/// so who must not miss any looks until nothing new is found. Empty where there is no `/proc`.
#[must_use]
pub fn descendants(root: u32) -> Vec<Member> {
    let mut children: HashMap<u32, Vec<Member>> = HashMap::new();
    for (parent, member) in processes() {
        children.entry(parent).or_default().push(member);
    }
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for member in children.remove(&parent).unwrap_or_default() {
            parents.push(member.pid);
            found.push(member);
        }
    }
    found
}

/// All processes that carry the mark in the environment with which they were started. Zombies have none.
pub(super) fn marked(mark: &str) -> Vec<Member> {
    let variable = format!("{MARK}={mark}");
    let carries = |member: &Member| {
        // Another user's process, or one that has just ended, is none of ours.
        let environment =
            std::fs::read(format!("/proc/{}/environ", member.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    };
    processes().into_iter().map(|(_, member)| member).filter(carries).collect()
}

impl Member {
    /// Sends a signal to this very process, not to a later one with the same pid. One that has ended is no error.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        match self.open() {
            Ok(Some(process)) => match pidfd_send_signal(process, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
                Err(error) => Err(error.into()),
            },
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A file descriptor of this very process, readable once it has ended. None if it has been reaped.
    pub(super) fn open(&self) -> io::Result<Option<std::os::fd::OwnedFd>> {
        let pid = Pid::from_raw(self.pid.try_into().expect("pids are positive")).expect("not 0");
        let process = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => process,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The descriptor holds the pid's owner fast; is that still the process we saw?
        let same = look_at(self.pid).is_some_and(|(_, member)| member.started == self.started);
        Ok(same.then_some(process))
    }
}

/// All processes with their parents' pids.
fn processes() -> Vec<(u32, Member)> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(look_at).collect()
}

/// The parent's pid and the process of this pid, if there is one.
fn look_at(pid: u32) -> Option<(u32, Member)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(pid, &stat)
}

/// Reads a line of `/proc/PID/stat` (proc(5)): `pid (name) state ppid pgrp …`, the start time being field 22.
fn parse_stat(pid: u32, stat: &str) -> Option<(u32, Member)> {
    // The name may contain anything, also blanks and parentheses.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let started = fields.nth(16)?.parse().ok()?;
    Some((parent, Member { pid, group, started }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse_the_fields() {
        let stat = "42 (a) S 1 (b) R 7 8 9 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 31337 99 100\n";
        let member = Member { pid: 42, group: 8, started: 31_337 };
        assert_eq!(parse_stat(42, stat), Some((7, member)));
        assert_eq!(parse_stat(42, "42 (short) S 1"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn children_are_found_and_reached_while_they_live() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let members = descendants(std::process::id());
        let member = *members.iter().find(|member| member.pid == child.id()).unwrap();
        let stranger = Member { started: member.started + 1, ..member };
        stranger.signal(Signal::KILL).unwrap();
        assert!(child.try_wait().unwrap().is_none(), "a later process with the same pid is spared");

        member.signal(Signal::TERM).unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()), Some(15));
        member.signal(Signal::TERM).unwrap();
        assert!(!descendants(std::process::id()).contains(&member));
    }
}
