//! The proxies, each on the first core with one thread, and what they use.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use outlast_runtime::clock;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::step::root;

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Which proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Outlast,
    Haproxy,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Outlast => "outlast",
            Self::Haproxy => "haproxy",
        }
    }
}

/// A proxy that runs.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    child: Child,
    pid: u32,
    folder: PathBuf,
}

/// What a process has used, or has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) cpu: Duration,
    /// Proportional set size, in bytes.
    pub(super) pss: u64,
}

impl Proxy {
    /// Starts it and waits until it accepts.
    pub(super) async fn start(kind: Kind, origin: SocketAddr) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let folder = root().join("target/bench");
        fs::create_dir_all(&folder)?;
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]);
        match kind {
            Kind::Outlast => outlast(&mut command, address, origin, &folder),
            Kind::Haproxy => haproxy(&mut command, address, origin, &folder)?,
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("cannot start {}", kind.name()))?;
        // taskset becomes the program, so the process is its own.
        let pid = child.id().context("it ended at once")?;
        let proxy = Self { address, child, pid, folder };
        let accepts = async {
            while TcpStream::connect(address).await.is_err() {
                clock::sleep(Duration::from_millis(20)).await;
            }
        };
        if clock::timeout(START_TIMEOUT, accepts).await.is_err() {
            bail!("{} does not listen on {address}", kind.name());
        }
        Ok(proxy)
    }

    pub(super) fn usage(&self) -> Result<Usage> {
        let mut cpu = Duration::ZERO;
        for task in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let schedstat = fs::read_to_string(task?.path().join("schedstat"))?;
            let nanoseconds = schedstat.split(' ').next().and_then(|field| field.parse().ok());
            cpu += Duration::from_nanos(nanoseconds.context("schedstat has a first field")?);
        }
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid))?;
        let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kib = pss.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        Ok(Usage { cpu, pss: kib.context("smaps_rollup has Pss")? * 1024 })
    }

    pub(super) async fn stop(mut self) -> Result<()> {
        self.child.kill().await?;
        // What it wrote is of no use afterwards.
        fs::remove_dir_all(&self.folder).context("cannot remove target/bench")
    }
}

/// `requests`, no limits, admission, records and metrics on; the access log is written and thrown away.
fn outlast(
    command: &mut Command,
    address: SocketAddr,
    origin: SocketAddr,
    folder: &std::path::Path,
) {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    command
        .arg(target.join("release/outlast"))
        .args(["up", "--no-auth", "--threads", "1", "--type", "requests", "--admin", "127.0.0.1:0"])
        .args(["--to", &origin.to_string(), "--listen", &address.to_string()])
        .current_dir(folder)
        .stderr(Stdio::null());
}

fn haproxy(
    command: &mut Command,
    address: SocketAddr,
    origin: SocketAddr,
    folder: &std::path::Path,
) -> Result<()> {
    let config = folder.join("haproxy.cfg");
    let mut file = fs::File::create(&config)?;
    write!(
        file,
        "global\n    nbthread 1\n    maxconn 9400\n\
         defaults\n    mode http\n    option http-no-delay\n    option abortonclose\n\
         \x20   timeout connect 5s\n    timeout client 1h\n    timeout server 1h\n\
         frontend front\n    bind {address}\n    default_backend back\n\
         backend back\n    server origin {origin}\n"
    )?;
    let program =
        if PathBuf::from("/usr/sbin/haproxy").is_file() { "/usr/sbin/haproxy" } else { "haproxy" };
    command.arg(program).args(["-db", "-q", "-f"]).arg(config);
    Ok(())
}
