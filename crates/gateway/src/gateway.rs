//! The gateway as a whole: bind, serve, be told of machines, drain, stop.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outlast_admission::MachineKey;
use outlast_config::{Plan, ServiceKind};
use outlast_http1::Credentials;
use outlast_observe::{Observe, PoolPart, PoolSource, QueueSource};
use outlast_protocol::pool;
use outlast_runtime::{Phases, Tasks, Workers, clock};
use thiserror::Error;
use tokio::sync::mpsc;

use crate::clients::{Client, Clients};
use crate::living::{self, Living};
use crate::machine::Checked;
use crate::remarks::Pauses;
use crate::service::Service;
use crate::share::{Handed, Share};
use crate::upstream::Pool;
use crate::visitor::Reception;
use crate::{accept, connection, listener, tunnel};

/// What `/api/pool` tells.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// `/api/pool` shows so many exchanges of a service; `/api/exchanges` shows all.
const POOL_EXCHANGES_MAX: usize = 256;

/// A request for one of the gateway's own paths.
#[derive(Debug)]
pub struct OwnRequest<'a> {
    /// The `Host` field.
    pub host: &'a str,
    /// The method.
    pub method: &'a str,
    /// What the client shows.
    pub credentials: &'a Credentials,
}

/// Whether a client may see the gateway's own paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admittance {
    /// It may.
    Granted,
    /// It may not.
    Denied {
        /// 401 or 403.
        status: u16,
        /// For the client.
        detail: String,
    },
}

/// Decides about the gateway's own paths. The app's paths are the app's affair.
pub type AdmittanceCheck = Box<dyn Fn(&OwnRequest<'_>) -> Admittance + Send + Sync>;

/// What the plan does not say.
pub struct GatewayOptions {
    /// Worker threads, each with a runtime of its own. At least 1.
    pub threads: usize,
    /// Who may see the gateway's own paths.
    pub admittance: AdmittanceCheck,
    /// The process's phases, shown in the pool.
    pub phases: Phases,
    /// The most client connections where the plan does not say: as many as there are descriptors for. 0 counts as 1.
    pub connections_max: usize,
}

/// Why a gateway could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// An address is taken, or not ours to bind.
    #[error("cannot listen on {address} for service {service}")]
    Listen {
        /// The service.
        service: String,
        /// The address.
        address: SocketAddr,
        /// The operating system's reason.
        source: io::Error,
    },
    /// No thread or event queue.
    #[error("cannot start worker threads")]
    Threads(#[source] io::Error),
}

/// What is shared by all threads.
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    pub(crate) observe: Arc<Observe>,
    pub(crate) services: Vec<Arc<Service>>,
    pub(crate) admittance: AdmittanceCheck,
    pub(crate) clients: Arc<Clients>,
    pub(crate) reception: Reception,
    pub(crate) pauses: Pauses,
    /// Where the services listen.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) living: Living,
    /// One per thread.
    pub(crate) pools: Vec<Arc<Pool>>,
    phases: Phases,
}

/// One service on one thread.
pub(crate) struct Lane {
    pub(crate) shared: Arc<Shared>,
    pub(crate) service: Arc<Service>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) tasks: Tasks,
    pub(crate) thread: usize,
}

/// A gateway that listens. Dropping it without [`Gateway::stop`] leaves its threads running until the process ends.
pub struct Gateway {
    shared: Arc<Shared>,
    workers: Workers,
}

/// How a drain went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainReport {
    /// How long it took.
    pub took: Duration,
    /// The exchanges that were still in progress at its end, oldest first.
    pub late: Vec<pool::Exchange>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("addresses", &self.shared.addresses).finish_non_exhaustive()
    }
}

impl Gateway {
    /// Binds every service's address and begins to serve; exchanges wait until machines are ready.
    ///
    /// # Errors
    /// [`BindError`]: nothing has been started then.
    pub fn start(
        plan: Plan,
        observe: &Arc<Observe>,
        options: GatewayOptions,
    ) -> Result<Self, BindError> {
        let mut bound = Vec::new();
        for service in &plan.services {
            let listeners = listener::bind(service.listen, options.threads, plan.buffer_max)
                .map_err(|source| {
                    let (service, address) = (service.name.clone(), service.listen);
                    BindError::Listen { service, address, source }
                })?;
            bound.push(listeners);
        }
        let address = |listeners: &Vec<std::net::TcpListener>| listeners[0].local_addr();
        let addresses = bound.iter().map(address).collect::<io::Result<_>>();
        let addresses = addresses.map_err(BindError::Threads)?;
        let threads = options.threads;
        let shared = Shared::new(plan, observe, options, addresses);
        let by_thread = Arc::new(Mutex::new(by_thread(bound, threads)));
        let work = {
            let shared = Arc::clone(&shared);
            move |thread| run_thread(Arc::clone(&shared), Arc::clone(&by_thread), thread)
        };
        let workers = Workers::start("gateway", threads, work).map_err(BindError::Threads)?;
        Ok(Self { shared, workers })
    }

    /// Where the services listen, in the order of the plan: the ports that the kernel chose where the plan says 0.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.shared.addresses
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The most client connections at once, all services together.
    #[must_use]
    pub fn connections_max(&self) -> usize {
        self.shared.clients.max()
    }

    /// A machine of `group` runs, and takes traffic once the checks of the service pass; `addresses` maps its services' internal ports to where it listens.
    pub fn machine_ready(&self, name: &str, group: &str, addresses: &BTreeMap<u16, SocketAddr>) {
        let slot = self.shared.observe.name_machine(name);
        for service in &self.shared.services {
            let serves = service.plan.groups.is_empty()
                || service.plan.groups.iter().any(|other| other == group);
            if let Some(address) = addresses.get(&service.plan.internal_port).filter(|_| serves) {
                service.machine_ready(slot, name, group, *address);
            }
        }
    }

    /// A health check of a machine came to another result. One of a service decides whether it takes its traffic.
    pub fn machine_checked(&self, name: &str, checked: Checked<'_>) {
        let slot = self.shared.observe.name_machine(name);
        for service in &self.shared.services {
            service.machine_checked(MachineKey(slot.0), checked);
        }
    }

    /// A machine takes no more traffic. Its exchanges go on as long as its connections do.
    pub fn machine_lost(&self, name: &str) {
        let slot = self.shared.observe.name_machine(name);
        for service in &self.shared.services {
            service.machine_lost(slot);
        }
    }

    /// Looks at all sockets once a second, and twice a minute while nothing happens, ends the exchanges of peers that have
    /// vanished, and compares the ledger with the sockets. Never ends.
    ///
    /// # Cancel safety
    /// Dropping the future stops the looks.
    pub fn watch_sockets(&self) -> impl Future<Output = ()> + Send + use<> {
        living::watch(Arc::clone(&self.shared), self.workers.activity())
    }

    /// Admits nothing more and waits until every exchange has ended, at most `drain.grace`.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting, not the drain.
    pub async fn drain(&self) -> DrainReport {
        let start = clock::now();
        for service in &self.shared.services {
            service.admission.drain();
        }
        let grace = self.shared.plan.drain_grace;
        let late = match clock::timeout(grace, self.shared.observe.none_live()).await {
            Ok(()) => Vec::new(),
            Err(_elapsed) => self.shared.observe.exchanges(),
        };
        DrainReport { took: start.elapsed(), late }
    }

    /// Cuts what is still in progress, visibly, and waits until all threads have ended.
    pub fn stop(self) {
        self.shared.observe.cut_by_drain(self.shared.plan.drain_grace);
        self.workers.stop();
    }
}

impl Shared {
    pub(crate) fn new(
        plan: Plan,
        observe: &Arc<Observe>,
        options: GatewayOptions,
        addresses: Vec<SocketAddr>,
    ) -> Arc<Self> {
        let service = |(index, service)| Arc::new(Service::new(index, service, &plan));
        let services = plan.services.iter().enumerate().map(service).collect();
        let connections_max = plan.listen.connections_max.map(NonZeroU32::get);
        let connections_max = connections_max.map_or(options.connections_max, |max| max as usize);
        let shared = Arc::new(Self {
            services,
            clients: Clients::new(connections_max, plan.listen.connections_per_client_max),
            reception: Reception::new(&plan),
            pauses: Pauses::default(),
            addresses,
            living: Living::default(),
            pools: std::iter::repeat_with(Arc::default).take(options.threads).collect(),
            observe: Arc::clone(observe),
            admittance: options.admittance,
            phases: options.phases,
            plan,
        });
        shared.set_sources();
        Living::announce(&shared);
        shared
    }

    fn set_sources(self: &Arc<Self>) {
        // Weak: observe is ours, and must not keep us alive.
        let shared = Arc::downgrade(self);
        let empty = pool::Pool {
            version: VERSION.to_owned(),
            app: self.plan.app.clone(),
            phase: "stopped".to_owned(),
            uptime_ms: 0,
            ledger_mismatches: 0,
            client_connections: 0,
            evidence_missing: None,
            services: Vec::new(),
        };
        let source =
            move |part| shared.upgrade().map_or_else(|| empty.clone(), |shared| shared.pool(part));
        self.observe.set_pool_source(PoolSource(Box::new(source)));
        let shared = Arc::downgrade(self);
        let source = move || {
            let services = shared.upgrade().map(|shared| shared.services.clone());
            services.iter().flatten().flat_map(|service| service.queued()).collect()
        };
        self.observe.set_queue_source(QueueSource(Box::new(source)));
    }

    fn pool(&self, part: PoolPart) -> pool::Pool {
        let mut exchanges = match part {
            PoolPart::Machines => Vec::new(),
            PoolPart::All => self.observe.exchanges(),
        };
        let services = self.services.iter().map(|service| {
            let mut snapshot = service.snapshot();
            let (own, others) = std::mem::take(&mut exchanges)
                .into_iter()
                .partition(|exchange| exchange.service == snapshot.name);
            exchanges = others;
            snapshot.exchanges = own;
            snapshot.exchanges_total = snapshot.exchanges.len();
            snapshot.states = living::count(&snapshot.exchanges);
            snapshot.exchanges.truncate(POOL_EXCHANGES_MAX);
            snapshot
        });
        pool::Pool {
            version: VERSION.to_owned(),
            app: self.plan.app.clone(),
            phase: self.phases.current().name().to_owned(),
            uptime_ms: self.observe.uptime_ms(),
            ledger_mismatches: self.observe.ledger_mismatches(),
            client_connections: self.clients.open(),
            evidence_missing: self.observe.evidence_missing(),
            services: services.collect(),
        }
    }
}

/// Where the connections of one service come from, on one thread.
struct Entrance {
    listener: std::net::TcpListener,
    share: Arc<Share>,
    /// From threads that have more than their share.
    arriving: mpsc::Receiver<Handed>,
}

/// From listeners by service to entrances by thread.
fn by_thread(by_service: Vec<Vec<std::net::TcpListener>>, threads: usize) -> Vec<Vec<Entrance>> {
    let mut by_thread: Vec<Vec<_>> = std::iter::repeat_with(Vec::new).take(threads).collect();
    for listeners in by_service {
        let (share, arriving) = Share::new(threads);
        let share = Arc::new(share);
        for (thread, (listener, arriving)) in listeners.into_iter().zip(arriving).enumerate() {
            let share = Arc::clone(&share);
            by_thread[thread].push(Entrance { listener, share, arriving });
        }
    }
    by_thread
}

async fn run_thread(shared: Arc<Shared>, entrances: Arc<Mutex<Vec<Vec<Entrance>>>>, thread: usize) {
    let own = std::mem::take(&mut entrances.lock().expect("no panic while held")[thread]);
    let (tasks, pool) = (Tasks::default(), Arc::clone(&shared.pools[thread]));
    tasks.spawn_uncancelled(Arc::clone(&pool).expire(shared.plan.upstream.idle_timeout));
    for (service, entrance) in shared.services.iter().zip(own) {
        if thread == 0 {
            let service = Arc::clone(service);
            tasks.spawn_uncancelled(async move { service.watch_ejections().await });
        }
        let lane = Arc::new(Lane {
            shared: Arc::clone(&shared),
            service: Arc::clone(service),
            pool: Arc::clone(&pool),
            tasks: tasks.clone(),
            thread,
        });
        let Entrance { listener, share, arriving } = entrance;
        let listener = tokio::net::TcpListener::from_std(listener)
            .expect("a bound, non-blocking listener within a runtime");
        tasks.spawn_uncancelled(accept_all(Arc::clone(&lane), listener, share));
        tasks.spawn_uncancelled(take_over(lane, arriving));
    }
    tasks.join().await;
}

async fn accept_all(lane: Arc<Lane>, listener: tokio::net::TcpListener, share: Arc<Share>) {
    accept::accept_each(&lane, listener, |client, peer| {
        if let Some(client) = share.place(lane.thread, client, peer) {
            serve(&lane, client, peer);
        }
    })
    .await;
}

/// Serves what other threads hand over.
async fn take_over(lane: Arc<Lane>, mut arriving: mpsc::Receiver<Handed>) {
    while let Some(handed) = arriving.recv().await {
        let peer = handed.peer;
        match handed.arrive() {
            Ok(client) => serve(&lane, client, peer),
            Err(error) => tracing::warn!(%error, "a connection was lost between two threads"),
        }
    }
}

fn serve(lane: &Arc<Lane>, client: Client, peer: SocketAddr) {
    let own = Arc::clone(lane);
    match lane.service.plan.kind {
        ServiceKind::Http => lane.tasks.spawn_uncancelled(connection::serve(own, client, peer)),
        ServiceKind::Tcp => lane.tasks.spawn_uncancelled(tunnel::serve(own, client, peer)),
    }
}

#[cfg(test)]
mod tests;
