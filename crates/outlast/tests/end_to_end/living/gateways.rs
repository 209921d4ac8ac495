//! The gateways between the peers, and what they show and write down.

use std::net::{IpAddr, SocketAddr};

use outlast_testkit::{Host, Hosts, Network};
use serde_json::Value;

use super::peers::{MACHINE, STOPPED_MACHINE};
use super::subjects::{Gateway, Kind, Machine, Subject};
use crate::support::{Outlast, request};

/// Where the app of the raw service listens, beside the gateway.
pub(super) const RAW_MACHINE: u16 = 9001;
const RAW_PORT: u16 = 9000;
/// Of a gateway that fails.
const LAST_LINES: usize = 20;

/// A raw service has local machines alone. This one's app is the test.
const RAW: &str = "\
[[services]]
internal_port = 9001
[[services.ports]]
port = 9000
";

const KEPT: &str = "[[route]]\npath = \"/kept/*\"\nhalf_close = \"keep\"\n";

/// It listens on the loopback alone, so what comes for it is led there.
const TO_LOOPBACK: &str = "
table ip outlast {
  chain prerouting {
    type nat hook prerouting priority -100;
    tcp dport 9000 dnat to 127.0.0.1:9000
  }
}
";

/// Which gateway a subject goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Http,
    Raw,
    /// As [`Gateway::ProbesOften`].
    ProbesOften,
    /// As [`Gateway::Unwatched`].
    Unwatched,
    /// To the machine that is stopped.
    Stopped,
}

impl Lane {
    const ALL: [Self; 5] =
        [Self::Http, Self::Raw, Self::ProbesOften, Self::Unwatched, Self::Stopped];

    fn of(subject: &Subject) -> Self {
        match (subject.kind, subject.row.machine, subject.row.gateway) {
            (Kind::Raw, _, _) => Self::Raw,
            (_, Machine::Stopped, _) => Self::Stopped,
            (_, _, Gateway::ProbesOften) => Self::ProbesOften,
            (_, _, Gateway::Unwatched) => Self::Unwatched,
            (_, _, Gateway::Usual) => Self::Http,
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Http => 8080,
            Self::Raw => RAW_PORT,
            Self::ProbesOften => 8081,
            Self::Unwatched => 8082,
            Self::Stopped => 8083,
        }
    }
}

/// Where a subject's client connects.
pub(super) fn address(subject: &Subject) -> SocketAddr {
    (Network::GATEWAY, Lane::of(subject).port()).into()
}

/// One gateway per [`Lane`].
pub(super) struct Gateways(Vec<(Outlast, String)>);

impl Gateways {
    /// Starts them on the host of the calling thread, which is the gateway's.
    pub(super) async fn start(network: &Hosts) -> Self {
        network.sysctl(Host::Gateway, "net.ipv4.conf.eth0.route_localnet=1");
        network.nft(Host::Gateway, TO_LOOPBACK);
        let mut gateways = Vec::new();
        for lane in Lane::ALL {
            if lane == Lane::ProbesOften {
                // Sockets have it from their listener, and that from the time when it was made.
                network.sysctl(Host::Gateway, "net.ipv4.tcp_rto_max_ms=5000");
            }
            let mut outlast = start(lane).await;
            network.sysctl(Host::Gateway, "net.ipv4.tcp_rto_max_ms=120000");
            outlast.ready().await;
            let token = std::fs::read_to_string(outlast.folder.path().join("data/access/token"));
            gateways.push((outlast, format!("Bearer {}", token.unwrap().trim())));
        }
        Self(gateways)
    }

    /// An answer of an admin listener. A gateway that gives none tells why.
    async fn text(&self, index: usize, path: &str) -> String {
        let (outlast, bearer) = &self.0[index];
        let asked = request(outlast.admin, "GET", path, &[("Authorization", bearer)], "").await;
        let answer = match asked {
            Ok(mut response) => response.body().await.map(|body| (response.status, body)),
            Err(error) => Err(error),
        };
        match answer {
            Ok((200, body)) => body,
            other => {
                let log = outlast.log();
                let last = log[log.len().saturating_sub(LAST_LINES)..].join("\n");
                panic!(
                    "{:?} answers {path} by {other:?}; its last words:\n{last}",
                    Lane::ALL[index]
                );
            }
        }
    }

    async fn ask(&self, index: usize, path: &str) -> Value {
        serde_json::from_str(&self.text(index, path).await).unwrap()
    }

    /// Every exchange that is shown now, by its subject, where one looks.
    pub(super) async fn exchanges(&self, subjects: &[Subject]) -> Vec<(usize, Value)> {
        let mut all = Vec::new();
        let watched = Lane::ALL.iter().enumerate().filter(|(_, lane)| **lane != Lane::Unwatched);
        for (index, _) in watched {
            let shown = self.ask(index, "/api/exchanges").await;
            let exchanges = shown["exchanges"].as_array().unwrap().clone();
            all.extend(
                exchanges.into_iter().filter_map(|one| Some((number(&one, subjects)?, one))),
            );
        }
        all
    }

    /// Every exchange that was written down, by its subject.
    pub(super) fn log(&self, subjects: &[Subject]) -> Vec<(usize, Value)> {
        let lines = self.0.iter().flat_map(|(outlast, _)| outlast.log());
        let events = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        let exchanges = events.filter(|event| event["target"] == "outlast::access");
        exchanges.filter_map(|one| Some((number(&one, subjects)?, one))).collect()
    }

    /// Places that are taken.
    pub(super) async fn taken(&self) -> u64 {
        let mut taken = 0;
        for index in 0..self.0.len() {
            let pool = self.ask(index, "/api/pool").await;
            let services = pool["services"].as_array().unwrap();
            taken += services.iter().map(|one| one["in_flight"].as_u64().unwrap()).sum::<u64>();
        }
        taken
    }

    /// The sum of all series of a metric that have this label.
    pub(super) async fn metric(&self, name: &str, label: &str) -> f64 {
        let mut sum = 0.0;
        for index in 0..self.0.len() {
            let text = self.text(index, "/metrics").await;
            let values = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
            sum += values
                .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
                .sum::<f64>();
        }
        sum
    }

    /// What was written down of those who were released.
    pub(super) fn releases(&self) -> Vec<Value> {
        let lines = self.0.iter().flat_map(|(outlast, _)| outlast.log());
        let events = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        events
            .filter(|event| event["message"] == "a peer has vanished: its exchange is released")
            .collect()
    }
}

async fn start(lane: Lane) -> Outlast {
    if lane == Lane::Raw {
        let args = ["--admin", "127.0.0.1:0", "--", "sleep", "1d"];
        return Outlast::listening_by(&[], &[], &[("fly.toml", RAW)], &args).await;
    }
    let listen = SocketAddr::from((Network::GATEWAY, lane.port())).to_string();
    let machine = if lane == Lane::Stopped { STOPPED_MACHINE } else { MACHINE };
    let to = SocketAddr::from(machine).to_string();
    let args = ["--listen", &listen, "--admin", "127.0.0.1:0", "--to", &to];
    Outlast::listening_by(&[], &[], &[("outlast.toml", KEPT)], &args).await
}

/// Whose exchange it is: by its path, or by where its client comes from.
fn number(exchange: &Value, subjects: &[Subject]) -> Option<usize> {
    if exchange["method"] != "TCP" {
        return Subject::number(exchange["path"].as_str()?);
    }
    let client = exchange["client"].as_str()?;
    let client = client.parse().or_else(|_| client.parse().map(|client: SocketAddr| client.ip()));
    let is_it = |one: &&Subject| {
        one.kind == Kind::Raw && client.as_ref().is_ok_and(|ip: &IpAddr| *ip == one.address())
    };
    subjects.iter().find(is_it).map(|subject| subject.number)
}
