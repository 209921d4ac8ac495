//! A small disk for a server of the drill's own, which can be full and free again.
//!
//! It is a tmpfs over a folder, in a mount namespace that nobody but the server and a process that holds it sees: on the host nothing
//! is mounted, and with the last process of the namespace, however it ended, the disk is gone. The holder keeps it while the
//! server is started again, and the drill reaches it through the holder's entry in `/proc`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use outlast_runtime::guard::{GuardProgram, Guarded, GuardedCommand, Notice, Output, StartError};
use thiserror::Error;
use tokio::io::AsyncReadExt;

use crate::server::stop_policy;

/// Enough for keys, records, and the output of a server that is drilled for a day; and soon written.
const DISK_BYTES: usize = 64 * 1024 * 1024;
/// What takes all room there is.
const FILLER: &str = "drill-fills-this-disk";
/// What the server writes to its standard output and error: on the disk, so that it too finds no room.
const LOG: &str = "drill-server.log";
/// A complaint is not longer.
const COMPLAINT_BYTES_MAX: u64 = 4096;

/// `$1` are the options of the mount, `$2` is the folder. It ends when its guard ends it.
const HOLD: &str =
    "mount -t tmpfs -o \"$1\" outlast-drill \"$2\" && echo held && exec sleep infinity";
/// `$1` is where the server runs, `$2` is its log; the rest is the server.
const ENTER: &str = "cd \"$1\" && log=\"$2\" && shift 2 && exec \"$@\" >>\"$log\" 2>&1";

/// Why there is no disk.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DiskError {
    /// It would be mounted over nothing.
    #[error("{} is no folder over which a disk could be mounted", .folder.display())]
    Folder {
        /// As it was given.
        folder: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// `unshare` or `mount` refuses.
    #[error("no disk can be mounted for the server: {complaint}")]
    Refused {
        /// Their words.
        complaint: String,
    },
    /// The holder does not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// The disk. It ends with the value.
pub(crate) struct Disk {
    folder: PathBuf,
    holder: Guarded,
    pid: u32,
}

impl Disk {
    /// Mounts it over the folder, for the server alone.
    pub(crate) async fn mount(folder: &Path, guard: GuardProgram) -> Result<Self, DiskError> {
        let wrong = |source| DiskError::Folder { folder: folder.to_owned(), source };
        let found = folder.canonicalize().map_err(wrong)?;
        let metadata = found.metadata().map_err(wrong)?;
        if !metadata.is_dir() {
            return Err(wrong(io::ErrorKind::NotADirectory.into()));
        }
        let (mode, uid, gid) = (metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
        let options = format!("size={DISK_BYTES},mode={mode:o},uid={uid},gid={gid}");
        let words =
            ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", HOLD, "sh"];
        let mut command = words.map(OsString::from).to_vec();
        command.extend([options.into(), found.clone().into_os_string()]);
        let (env, cwd) = (std::collections::BTreeMap::new(), None);
        let spec = GuardedCommand { guard, command, env, cwd, stop: stop_policy() };
        let (mut holder, Output { mut stdout, stderr }) = Guarded::start(spec)?;
        let pid = match holder.next().await {
            Notice::Started { pid } => pid,
            Notice::Failed(error) => return Err(error.into()),
            Notice::Ended(_) | Notice::Gone => 0,
        };
        let mut said = [0; 5];
        // Without the word nothing is held, and standard error says why.
        if stdout.read_exact(&mut said).await.is_ok() && said == *b"held\n" {
            return Ok(Self { folder: found, holder, pid });
        }
        let mut complaint = String::new();
        let read = stderr.take(COMPLAINT_BYTES_MAX).read_to_string(&mut complaint).await;
        if let Err(error) = read {
            complaint = error.to_string();
        }
        Err(DiskError::Refused { complaint: complaint.trim().to_owned() })
    }

    /// The command, run here, with the disk before it and its output on it.
    pub(crate) fn enter(&self, command: &[OsString], here: &Path) -> Vec<OsString> {
        let namespace = format!("--mount=/proc/{}/ns/mnt", self.pid);
        let words = ["nsenter", &namespace, "--", "sh", "-c", ENTER, "sh"];
        let (here, log) = (here.as_os_str().to_owned(), self.folder.join(LOG).into_os_string());
        words.map(OsString::from).into_iter().chain([here, log]).chain(command.to_vec()).collect()
    }

    /// Takes all room that is left.
    pub(crate) fn fill(&self) -> io::Result<()> {
        let mut filler = File::create(self.reach(FILLER))?;
        let zeros = vec![0; DISK_BYTES / 64];
        loop {
            match filler.write(&zeros) {
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                written => written?,
            };
        }
    }

    /// Gives it back.
    pub(crate) fn free(&self) -> io::Result<()> {
        std::fs::remove_file(self.reach(FILLER))
    }

    /// Writes down what the server said, and ends the disk.
    pub(crate) async fn end(mut self, log: Option<&File>) -> io::Result<()> {
        let copied = log.map(|mut log| {
            let mut said = File::open(self.reach(LOG))?;
            io::copy(&mut said, &mut log)
        });
        self.holder.stop(stop_policy()).await;
        while !matches!(self.holder.next().await, Notice::Gone) {}
        copied.transpose().map(|_| ())
    }

    /// A file of the disk, as it is seen from outside of its namespace.
    fn reach(&self, name: impl AsRef<OsStr>) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.pid));
        let inside = self.folder.strip_prefix("/").expect("the folder is absolute");
        root.join(inside).join(name.as_ref())
    }
}
