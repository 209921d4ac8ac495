//! The proxies, each with one thread on the first core unless told otherwise, and what they use.

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use outlast_runtime::clock;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::step::root;

const START_TIMEOUT: Duration = Duration::from_secs(10);
/// Two for each of 9,000 streams, and a sixteenth on top: with less to spare, nginx closes clients that have not spoken yet.
const NGINX_CONNECTIONS: u32 = 20_480;
/// How often memory is looked at while a proxy works: seldom enough to cost it nothing.
const MEMORY_INTERVAL: Duration = Duration::from_millis(250);

/// Which proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Outlast,
    Haproxy,
    Nginx,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Outlast, Self::Haproxy, Self::Nginx];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Outlast => "outlast",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
        }
    }
}

/// What is started.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Where requests go.
    pub(super) origin: SocketAddr,
    /// The binary of the gateway.
    pub(super) outlast: PathBuf,
    /// Of the gateway, each with a core of its own as far as there are cores; peers always have one.
    pub(super) threads: usize,
}

/// A proxy that runs.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    child: Child,
    pid: u32,
    folder: PathBuf,
}

/// What a process has used so far, and has.
#[derive(Debug, Clone)]
pub(super) struct Usage {
    cpu: Duration,
    /// Whose CPU it is.
    threads: BTreeSet<String>,
    /// Proportional set size, in bytes.
    pub(super) pss: u64,
}

impl Usage {
    /// The CPU since an earlier moment.
    pub(super) fn cpu_since(&self, before: &Self) -> Result<Duration> {
        if !self.threads.is_superset(&before.threads) {
            bail!("a thread of the proxy has ended, and what it used is not known any more");
        }
        Ok(self.cpu - before.cpu)
    }
}

/// What some work has taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    pub(super) cpu: Duration,
    /// The most at any of some moments, in bytes.
    pub(super) pss: u64,
}

/// One thread of a proxy.
#[derive(Debug)]
pub(super) struct Thread {
    id: String,
    pub(super) name: String,
    pub(super) cpu: Duration,
}

impl Proxy {
    /// Starts it and waits until it accepts.
    pub(super) async fn start(kind: Kind, plan: &Plan) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let folder = root().join("target/bench");
        fs::create_dir_all(&folder)?;
        let mut command = Command::new("taskset");
        command.args(["-c", &format!("0-{}", plan.threads - 1)]);
        match kind {
            Kind::Outlast => outlast(&mut command, address, plan, &folder),
            Kind::Haproxy => haproxy(&mut command, address, plan.origin, &folder)?,
            Kind::Nginx => nginx(&mut command, address, plan.origin, &folder)?,
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
        let threads = self.threads()?;
        let cpu = threads.iter().map(|thread| thread.cpu).sum();
        let threads = threads.into_iter().map(|thread| thread.id).collect();
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid))?;
        let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kib = pss.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        Ok(Usage { cpu, threads, pss: kib.context("smaps_rollup has Pss")? * 1024 })
    }

    /// The CPU time of each thread.
    pub(super) fn threads(&self) -> Result<Vec<Thread>> {
        let mut threads = Vec::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let task = task?;
            let (path, id) = (task.path(), task.file_name().to_string_lossy().into_owned());
            let schedstat = fs::read_to_string(path.join("schedstat"))?;
            let nanoseconds = schedstat.split(' ').next().and_then(|field| field.parse().ok());
            let cpu = Duration::from_nanos(nanoseconds.context("schedstat has a first field")?);
            let name = fs::read_to_string(path.join("comm"))?.trim_end().to_owned();
            threads.push(Thread { id, name, cpu });
        }
        Ok(threads)
    }

    /// Does some work, and tells what the proxy used meanwhile: CPU, and the most memory at any of some moments.
    pub(super) async fn watch<T>(
        &self,
        work: impl Future<Output = Result<T>>,
    ) -> Result<(T, Used)> {
        let before = self.usage()?;
        let mut pss = before.pss;
        tokio::pin!(work);
        let done = loop {
            tokio::select! {
                done = &mut work => break done?,
                () = clock::sleep(MEMORY_INTERVAL) => pss = pss.max(self.usage()?.pss),
            }
        };
        let after = self.usage()?;
        Ok((done, Used { cpu: after.cpu_since(&before)?, pss: pss.max(after.pss) }))
    }

    pub(super) async fn stop(mut self) -> Result<()> {
        self.child.kill().await?;
        // What it wrote is of no use afterwards.
        fs::remove_dir_all(&self.folder).context("cannot remove target/bench")
    }
}

/// `requests`, no limits, admission, records and metrics on; the access log is written and thrown away.
fn outlast(command: &mut Command, address: SocketAddr, plan: &Plan, folder: &Path) {
    command
        .arg(&plan.outlast)
        .args(["up", "--no-auth", "--type", "requests", "--admin", "127.0.0.1:0"])
        .args(["--threads", &plan.threads.to_string()])
        .args(["--to", &plan.origin.to_string(), "--listen", &address.to_string()])
        .current_dir(folder)
        .stderr(Stdio::null());
}

fn haproxy(
    command: &mut Command,
    address: SocketAddr,
    origin: SocketAddr,
    folder: &Path,
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
    command.arg(program("haproxy")).args(["-db", "-q", "-f"]).arg(config);
    Ok(())
}

/// One process: the worker without its master, so that all it uses is its own.
fn nginx(
    command: &mut Command,
    address: SocketAddr,
    origin: SocketAddr,
    folder: &Path,
) -> Result<()> {
    let config = folder.join("nginx.conf");
    let text = format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\npid nginx.pid;\nerror_log stderr crit;\n\
         events {{ worker_connections {NGINX_CONNECTIONS}; }}\n\
         http {{\n\
         access_log off;\n\
         keepalive_timeout 1h;\nkeepalive_requests 1000000;\nclient_max_body_size 0;\n\
         client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n\
         upstream origin {{ server {origin}; keepalive 256; keepalive_requests 1000000; }}\n\
         server {{\n\
         listen {address} backlog=4096;\n\
         location / {{\n\
         proxy_pass http://origin;\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";\n\
         proxy_buffering off;\nproxy_request_buffering off;\n\
         proxy_read_timeout 1h;\nproxy_send_timeout 1h;\n\
         }}\n}}\n}}\n"
    );
    fs::write(&config, text)?;
    command.arg(program("nginx")).args(["-e", "stderr", "-p"]).arg(folder).arg("-c").arg(config);
    Ok(())
}

/// Debian keeps servers where only root's PATH leads.
fn program(name: &str) -> PathBuf {
    let path = Path::new("/usr/sbin").join(name);
    if path.is_file() { path } else { name.into() }
}
