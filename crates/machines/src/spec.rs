//! What a machine is to be, before it lives.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use outlast_runtime::backoff::Backoff;
use outlast_runtime::guard::{GuardProgram, StopPolicy};

use crate::{CheckSpec, MachineId};

/// A machine and its driver.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there are as many as machines, a handful")]
pub enum MachineSpec {
    /// A process tree on this host, which the supervisor starts, restarts and stops.
    Local(LocalSpec),
    /// An address behind which something runs already.
    Fixed(FixedSpec),
}

/// A machine that is a process tree on this host.
#[derive(Debug, Clone)]
pub struct LocalSpec {
    /// Its name; see [`MachineId::random`].
    pub id: MachineId,
    /// The app it belongs to, given to it as `FLY_APP_NAME`.
    pub app: String,
    /// Its process group in the sense of `fly.toml`, given to it as `FLY_PROCESS_GROUP`.
    pub group: String,
    /// Its region, given to it as `FLY_REGION` and `PRIMARY_REGION`.
    pub region: String,
    /// The program and its arguments; not empty. No shell reads it.
    pub command: Vec<String>,
    /// Variables it gets on top of the inherited environment. Each value equal to one of `ports` is rewritten to the
    /// local port that stands for it.
    pub env: BTreeMap<String, String>,
    /// The TCP ports on which it believes to listen (`internal_port`). Where a value of `env` names the port, the
    /// machine gets a free local port instead; else it keeps this one, and only one machine on the host can have it.
    pub ports: BTreeMap<u16, Readiness>,
    /// Its health checks, from when it is ready.
    pub checks: Vec<CheckSpec>,
    /// How it is asked to stop: `kill_signal` and `kill_timeout`.
    pub stop: StopPolicy,
    /// How long to wait before it is started again; see [`default_backoff`].
    pub restart: Backoff,
    /// Where it runs. None: where we run.
    pub cwd: Option<PathBuf>,
    /// The program that guards it.
    pub guard: GuardProgram,
}

/// Whether a machine is ready only when a port accepts connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It is not ready before.
    Awaited,
    /// It may be ready without.
    NotAwaited,
}

/// A machine that somebody else runs.
#[derive(Debug, Clone)]
pub struct FixedSpec {
    /// Its name; see [`MachineId::random`].
    pub id: MachineId,
    /// Where our log says that it is.
    pub region: String,
    /// Its addresses by the internal port that they stand for.
    pub addrs: BTreeMap<u16, SocketAddr>,
    /// Its health checks; their grace begins with us.
    pub checks: Vec<CheckSpec>,
}

/// Machines at fixed addresses (`--to`, repeatable), each standing for `internal_port` of its service. They are ready
/// at once; whether they answer is seen by their checks.
#[must_use]
pub fn fixed(
    internal_port: u16,
    addrs: &[SocketAddr],
    region: &str,
    checks: &[CheckSpec],
) -> Vec<MachineSpec> {
    let machine = |addr: &SocketAddr| {
        let addrs = BTreeMap::from([(internal_port, *addr)]);
        let (id, region, checks) = (MachineId::random(), region.to_owned(), checks.to_vec());
        MachineSpec::Fixed(FixedSpec { id, region, addrs, checks })
    };
    addrs.iter().map(machine).collect()
}

/// The back-off between starts: 250 ms to 30 s, shortened at random by at most a quarter.
#[must_use]
pub fn default_backoff() -> Backoff {
    Backoff::try_new(Duration::from_millis(250), Duration::from_secs(30), 0.25)
        .expect("the range is not empty")
}

impl MachineSpec {
    /// The machine's name.
    #[must_use]
    pub fn id(&self) -> &MachineId {
        match self {
            Self::Local(spec) => &spec.id,
            Self::Fixed(spec) => &spec.id,
        }
    }

    /// The machine's process group in the sense of `fly.toml`; none at a fixed address.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::Local(spec) => Some(&spec.group),
            Self::Fixed(_) => None,
        }
    }
}
