//! A gateway on port 0 before scripted machines.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use outlast_config::{
    Accounting, Agent, AgentKind, ConnectionClocks, Eject, Limits, Linger, Listen, Machines, Plan,
    Queue, Reserve, Retry, Routes, Service, ServiceKind, Streams, Upstream,
};
use outlast_gateway::{Admittance, Gateway, GatewayOptions};
use outlast_observe::Observe;
use outlast_protocol::pool;
use outlast_runtime::Phases;
use outlast_testkit::{ScriptedMachine, Wire, eventually};

/// The internal port of the plan; the machines listen elsewhere.
pub(crate) const INTERNAL_PORT: u16 = 8081;

pub(crate) struct Rig {
    pub(crate) gateway: Gateway,
    pub(crate) observe: Arc<Observe>,
    pub(crate) machine: ScriptedMachine,
}

pub(crate) fn plan(kind: ServiceKind, accounting: Accounting, soft: u32, hard: u32) -> Plan {
    let name = match kind {
        ServiceKind::Http => "http",
        ServiceKind::Tcp => "tcp-3001",
    };
    let service = Service {
        name: name.to_owned(),
        kind,
        listen: "127.0.0.1:0".parse().expect("an address"),
        internal_port: INTERNAL_PORT,
        limits: Limits { accounting, soft: NonZeroU32::new(soft), hard: NonZeroU32::new(hard) },
        groups: Vec::new(),
        clocks: ConnectionClocks::default(),
        routes: Routes::default(),
        checks: Vec::new(),
    };
    Plan {
        app: "test".to_owned(),
        region: "local".to_owned(),
        services: vec![service],
        machines: Machines::Fixed(Vec::new()),
        listen: Listen {
            connections_max: None,
            connections_per_client_max: None,
            trusted_proxies: Vec::new(),
            client_header: "Fly-Client-IP".parse().expect("a header's name"),
        },
        checks: Vec::new(),
        eject: Eject::default(),
        retry: Retry::default(),
        upstream: Upstream {
            linger: Linger::Evict,
            idle_timeout: Duration::from_secs(4),
            request_buffer: 16 * 1024,
        },
        buffer_max: 2 * 1024 * 1024,
        queue: Queue { depth_max: 100, timeout: Duration::from_secs(30), client_header: None },
        reserve: Reserve { slots: 2, paths: Vec::new() },
        drain_grace: Duration::from_secs(30),
        agent: Agent { kind: AgentKind::Auto, pace: Duration::ZERO, runs_max: 8 },
        streams: Streams {
            append_max: 8 * 1024 * 1024,
            bytes_max: 10 << 30,
            age_max: None,
            readers_max: 10_000,
            poll_timeout: Duration::from_secs(20),
            events_lifetime: Duration::from_secs(60),
        },
    }
}

impl Rig {
    pub(crate) async fn start(plan: Plan) -> Self {
        let machine = ScriptedMachine::start().await;
        let rig = Self::without_machine(plan, machine);
        rig.ready("m1", rig.machine.address());
        rig
    }

    /// One thread, so that tests know which connection is pooled where.
    pub(crate) fn without_machine(plan: Plan, machine: ScriptedMachine) -> Self {
        Self::with_threads(plan, machine, 1)
    }

    pub(crate) fn with_threads(plan: Plan, machine: ScriptedMachine, threads: usize) -> Self {
        let names: Vec<String> = plan.services.iter().map(|service| service.name.clone()).collect();
        let observe = Observe::new(&plan.region, &names, threads);
        let options = GatewayOptions {
            threads,
            admittance: Box::new(|request| match request.credentials.authorization.as_deref() {
                Some("Bearer let-me-in") => Admittance::Granted,
                _ => Admittance::Denied { status: 401, detail: "who are you?".to_owned() },
            }),
            phases: Phases::default(),
            connections_max: 1000,
        };
        let gateway = Gateway::start(plan, &observe, options).expect("a free port");
        Self { gateway, observe, machine }
    }

    pub(crate) fn ready(&self, name: &str, address: SocketAddr) {
        self.gateway.machine_ready(name, "app", &BTreeMap::from([(INTERNAL_PORT, address)]));
    }

    pub(crate) async fn client(&self) -> Wire {
        Wire::connect(self.gateway.addresses()[0]).await
    }

    pub(crate) fn service(&self) -> pool::Service {
        self.observe.pool(outlast_observe::PoolPart::All).expect("a pool").services.remove(0)
    }

    /// Waits until so many places are taken.
    pub(crate) async fn in_flight(&self, count: u32) {
        let what = format!("{count} in flight");
        eventually(&what, || self.service().in_flight == count).await;
    }

    /// Waits until a metric has a value.
    pub(crate) async fn counted(&self, line: &str) {
        let is_there = || self.observe.metrics_text().lines().any(|other| other == line);
        eventually(line, is_there).await;
    }

    pub(crate) async fn outcome(&self, outcome: &str, count: u32) {
        let service = self.service().name;
        let line = format!(
            "outlast_exchanges_total{{service=\"{service}\",outcome=\"{outcome}\"}} {count}"
        );
        self.counted(&line).await;
    }

    /// Waits until nothing is in progress, then stops: everything must have come back.
    pub(crate) async fn finish(self) {
        self.in_flight(0).await;
        eventually("no exchange in progress", || self.observe.live() == 0).await;
        let service = self.service();
        assert_eq!((service.reserve_in_use, service.queue_length), (0, 0));
        assert_eq!(self.observe.ledger_mismatches(), 0);
        self.gateway.stop();
    }
}
