//! The local ports that stand for the ports on which machines believe to listen.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};

use crate::LocalSpec;

/// How often a port is picked anew because another machine of ours has it: the kernel hands out some 28,000.
const PICKS_MAX: usize = 64;

/// The ports that machines of this process have, or are about to. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ports(Arc<Mutex<HashSet<u16>>>);

/// The ports of one start of a machine; given back when dropped.
#[derive(Debug)]
pub(crate) struct Assigned {
    ports: Ports,
    /// The local port of each internal port.
    pub(crate) local: BTreeMap<u16, u16>,
}

impl Ports {
    /// A free port for each internal port that the environment names, the internal port itself for the others.
    ///
    /// Free means free now: nothing keeps another program from taking it before the machine does.
    ///
    /// # Errors
    /// An internal port that must be kept is taken, or the system has no port to give. The text says which.
    pub(crate) fn assign(&self, spec: &LocalSpec) -> Result<Assigned, String> {
        let mut assigned = Assigned { ports: self.clone(), local: BTreeMap::new() };
        for internal in spec.ports.keys() {
            let local = if is_named(spec, *internal) {
                self.pick().map_err(|error| format!("there is no free local port: {error}"))?
            } else {
                self.keep(*internal)?
            };
            assigned.local.insert(*internal, local);
        }
        Ok(assigned)
    }

    fn pick(&self) -> io::Result<u16> {
        for _ in 0..PICKS_MAX {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            if self.take(port) {
                return Ok(port);
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    fn keep(&self, port: u16) -> Result<u16, String> {
        let is_free = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
        is_free.map_err(|error| {
            format!(
                "port {port}, where the app is to listen, is not free ({error}); stop what has it, or let a \
                 variable of [env] name the port, so that the app can be given another"
            )
        })?;
        if self.take(port) {
            return Ok(port);
        }
        Err(format!("port {port} belongs to another machine of this plan"))
    }

    fn take(&self, port: u16) -> bool {
        self.0.lock().expect("nothing panics while it holds the lock").insert(port)
    }
}

impl Drop for Assigned {
    fn drop(&mut self) {
        let mut taken = self.ports.0.lock().expect("nothing panics while it holds the lock");
        for port in self.local.values() {
            taken.remove(port);
        }
    }
}

impl Assigned {
    /// The machine's environment, with its own ports in place of those it believes in.
    pub(crate) fn environment(&self, spec: &LocalSpec) -> BTreeMap<String, String> {
        let rewritten = spec.env.iter().map(|(name, value)| {
            let local = self.local.iter().find(|(internal, _)| internal.to_string() == *value);
            let value = local.map_or_else(|| value.clone(), |(_, port)| port.to_string());
            (name.clone(), value)
        });
        let mut env: BTreeMap<_, _> = rewritten.collect();
        for (name, value) in [
            ("FLY_APP_NAME", spec.app.as_str()),
            ("FLY_MACHINE_ID", spec.id.as_str()),
            ("FLY_PROCESS_GROUP", spec.group.as_str()),
            ("FLY_REGION", spec.region.as_str()),
            ("PRIMARY_REGION", spec.region.as_str()),
        ] {
            env.insert(name.to_owned(), value.to_owned());
        }
        env
    }
}

/// Whether a value of the environment is the port, as a number is written.
fn is_named(spec: &LocalSpec, internal: u16) -> bool {
    let text = internal.to_string();
    spec.env.values().any(|value| *value == text)
}
