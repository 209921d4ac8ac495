//! A gateway that says what a test wants it to say.

use std::collections::BTreeMap;

use outlast_doctor::live::{Answers, Live, Snapshot, Telling, argue};
use outlast_protocol::pool::{Exchange, Limits, Machine, Pool, Queued, Service, Socket};
use serde_json::json;

pub(crate) const VERSION: &str = "0.1.0";

/// One moment: changed by the test, then shown.
#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) pool: Pool,
    pub(crate) exchanges: Vec<Exchange>,
    /// By name and further label: value.
    pub(crate) counters: BTreeMap<(&'static str, &'static str), u64>,
}

impl Gateway {
    /// One machine with so many places, nobody there, ten minutes after its start.
    pub(crate) fn new(hard: u32) -> Self {
        let machine = Machine {
            id: "3d8d9930b32d89".to_owned(),
            state: "ready".to_owned(),
            since: "2026-11-24T14:37:39Z".to_owned(),
            level: "below soft".to_owned(),
            ..Machine::default()
        };
        let service = Service {
            name: "http".to_owned(),
            kind: "http".to_owned(),
            listen: "127.0.0.1:8080".to_owned(),
            accounting: "connections".to_owned(),
            limits: Limits { soft: None, hard: Some(hard) },
            in_flight: 0,
            lingering: 0,
            reserve_in_use: 0,
            reserve_slots: 2,
            queue_length: 0,
            queue_depth_max: 100,
            queue_estimate_ms: Some(0),
            retries: 0,
            retries_withheld: 0,
            ejections: 0,
            machines: vec![machine],
            exchanges_total: 0,
            states: BTreeMap::new(),
            exchanges: Vec::new(),
        };
        let pool = Pool {
            version: VERSION.to_owned(),
            app: "desktop".to_owned(),
            phase: "serving".to_owned(),
            uptime_ms: 600_000,
            ledger_mismatches: 0,
            client_connections: 0,
            evidence_missing: None,
            services: vec![service],
        };
        Self { pool, exchanges: Vec::new(), counters: BTreeMap::new() }
    }

    pub(crate) fn service(&mut self) -> &mut Service {
        &mut self.pool.services[0]
    }

    /// So many exchanges in this state, each from an address of its own, the first one the oldest.
    pub(crate) fn with(mut self, count: u32, state: &str) -> Self {
        for _ in 0..count {
            let number = self.exchanges.len();
            self.exchanges.push(exchange(number, state));
        }
        if state == "queued" {
            self.service().queue_length += count as usize;
        } else {
            self.service().in_flight += count;
        }
        self
    }

    pub(crate) fn lingering(mut self, count: u32) -> Self {
        self.service().in_flight += count;
        self.service().lingering += count;
        self
    }

    pub(crate) fn counted(mut self, name: &'static str, label: &'static str, value: u64) -> Self {
        self.counters.insert((name, label), value);
        self
    }

    pub(crate) fn but(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The same moment some milliseconds later.
    pub(crate) fn later(&self, milliseconds: u64) -> Self {
        let mut later = self.clone();
        later.pool.uptime_ms += milliseconds;
        later
    }

    fn read(&self) -> Snapshot {
        let pool = serde_json::to_vec(&self.pool).unwrap();
        let exchanges = serde_json::to_vec(&json!({ "exchanges": self.exchanges })).unwrap();
        let series = |((name, label), value): (&(&str, &str), &u64)| match name.contains("refusals")
        {
            true => format!("{name}{{service=\"http\",reason=\"{label}\"}} {value}\n"),
            false => format!("{name}{{service=\"http\",outcome=\"{label}\"}} {value}\n"),
        };
        let metrics: String = self.counters.iter().map(series).collect();
        let metrics = format!("{metrics}outlast_client_connections 1\n");
        let answers = Answers { pool: &pool, exchanges: &exchanges, metrics: metrics.as_bytes() };
        Snapshot::read(&answers).unwrap()
    }

    /// What is made of it, looked at once.
    pub(crate) fn argue(&self) -> Live {
        argue(None, &self.read(), telling())
    }

    /// What is made of it, after an earlier moment.
    pub(crate) fn argue_after(&self, earlier: &Self) -> Live {
        argue(Some(&earlier.read()), &self.read(), telling())
    }

    pub(crate) fn argue_openly(&self) -> Live {
        argue(None, &self.read(), Telling { show_private: true, ..telling() })
    }
}

fn telling() -> Telling {
    Telling { show_private: false, version: VERSION }
}

/// Ages fall by a second from exchange to exchange, from eight minutes on.
fn exchange(number: usize, state: &str) -> Exchange {
    let is_queued = state == "queued";
    let age_ms = 480_000 - 1_000 * number as u64;
    let queue =
        Queued { position: 1, length: 1, waited_ms: 9_000, estimate_ms: None, deadline_ms: 21_000 };
    let socket = Socket {
        unanswered_ms: (state == "zombie").then_some(31_000),
        unacked_bytes: 0,
        unsent_bytes: 0,
        waiting_ms: (state == "slow reader").then_some(4_000),
        unread_bytes: 0,
        finished: false,
        probes: 0,
        retransmits: 0,
        last_heard_ms: 100,
        last_ack_ms: 100,
        rtt_us: 40,
    };
    Exchange {
        id: format!("01K{number:05}-sjc"),
        service: "http".to_owned(),
        client: format!("203.0.113.{number}:4{number:04}"),
        method: "POST".to_owned(),
        path: "/api/chat".to_owned(),
        stage: if is_queued { "queued" } else { "streaming" }.to_owned(),
        machine: (!is_queued).then(|| "3d8d9930b32d89".to_owned()),
        attempts: 1,
        status: None,
        age_ms,
        idle_ms: if state == "thinking" { 20_000 } else { 400 },
        bytes_sent: 1_000,
        bytes_received: 100,
        queue: is_queued.then_some(queue),
        state: state.to_owned(),
        evidence: match state {
            "zombie" => "zombie: 1,812 bytes unacknowledged for 31 s, last ACK 34 s ago".to_owned(),
            "slow reader" => {
                "slow reader: 65,536 bytes wait for 4.0 s, last ACK 0.1 s ago".to_owned()
            }
            state => format!("{state}: as a test says"),
        },
        client_socket: Some(socket),
        machine_socket: None,
    }
}
