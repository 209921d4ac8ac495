//! The step between guard and command: the process that becomes the command, bound to its guard's life.
//!
//! What must be done between fork and exec needs `unsafe` in one process; in two it needs none.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::getppid;

/// Becomes the command. Returns only if that fails, having written the error's number into the pipe that is its
/// standard input; the guard reads nothing from the pipe when it worked, because becoming a command closes it.
pub(super) fn run(parent: u32, command: &[OsString]) -> ExitCode {
    let Ok(pipe) = io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let error = become_command(parent, command);
    let number = error.raw_os_error().unwrap_or(rustix::io::Errno::INVAL.raw_os_error());
    // If the guard has gone, nobody wants to know.
    let _told = File::from(pipe).write_all(number.to_string().as_bytes());
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
}

fn become_command(parent: u32, command: &[OsString]) -> io::Error {
    if let Err(error) = bind_to_life_of(parent).and_then(|()| forget_pipe()) {
        return error;
    }
    let (program, args) = command.split_first().expect("the arguments were checked");
    Command::new(program).args(args).exec()
}

/// Makes sure that this process dies with its guard, also if the guard died before this line.
fn bind_to_life_of(parent: u32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let parent_now = getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok());
    if parent_now == Some(parent) { Ok(()) } else { Err(rustix::io::Errno::SRCH.into()) }
}

/// The command reads nothing, and least of all our pipe.
fn forget_pipe() -> io::Result<()> {
    let nothing = OpenOptions::new().read(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdin(nothing)?)
}
