//! Gateways in the situations that the documents tell of.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use outlast_testkit::{ScriptedMachine, Wire};

use crate::health::Patient;
use crate::support::{GET, Outlast, free_port, stream};

const PLACES: usize = 25;
const LIMITS: [&str; 4] = ["--type", "connections", "--hard-limit", "25"];
const LINGERS: (&str, &str) =
    ("outlast.toml", "[upstream]\nlinger = \"hold\"\nidle_timeout = \"10m\"\n");
const CHECKED: &str = "\
[http_service]
internal_port = 8080
[[http_service.checks]]
path = \"/up\"
interval = \"1s\"
timeout = \"20s\"
";
/// More than the kernel and the gateway keep for a client that does not read.
const BULK: usize = 64 << 20;
const UPGRADE: &str =
    "GET /api/terminal HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const CHAT: &str = "POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";

/// A gateway with whoever is there. It ends with the value.
pub(super) struct Situation {
    outlast: Option<Outlast>,
    /// Where nothing listens, without a gateway.
    nowhere: u16,
    _wires: Vec<Wire>,
    _machine: ScriptedMachine,
    _patient: Option<Patient>,
}

impl Situation {
    /// By the word in a fence. No word: the commands need no gateway.
    pub(super) async fn start(name: &str) -> Self {
        let machine = ScriptedMachine::start().await;
        match name {
            "" | "none" => Self::of(None, Vec::new(), machine),
            "quiet" => Self::of(Some(up(&[], &machine).await), Vec::new(), machine),
            "full" => full(machine).await,
            "idle" => idle(machine).await,
            "slow" => slow(machine).await,
            "channels" => channels(machine).await,
            "down" => down(machine).await,
            _ => panic!("there is no situation {name:?}"),
        }
    }

    fn of(outlast: Option<Outlast>, wires: Vec<Wire>, machine: ScriptedMachine) -> Self {
        Self { outlast, nowhere: free_port(), _wires: wires, _machine: machine, _patient: None }
    }

    /// Where its data is.
    pub(super) fn data(&self) -> Option<PathBuf> {
        self.outlast.as_ref().map(|outlast| outlast.folder.path().join("data"))
    }

    pub(super) fn admin(&self) -> SocketAddr {
        let nowhere = ([127, 0, 0, 1], self.nowhere).into();
        self.outlast.as_ref().map_or(nowhere, |outlast| outlast.admin)
    }

    fn gateway(&self) -> Option<SocketAddr> {
        self.outlast.as_ref().map(|outlast| outlast.gateway)
    }

    /// The usual addresses are replaced by its own.
    pub(super) fn at_its_addresses(&self, text: &str) -> String {
        let text = text.replace("127.0.0.1:8079", &self.admin().to_string());
        match self.gateway() {
            Some(gateway) => text.replace("127.0.0.1:8080", &gateway.to_string()),
            None => text,
        }
    }

    /// And its own by the usual ones.
    pub(super) fn at_usual_addresses(&self, text: &str) -> String {
        let text = text.replace(&self.admin().to_string(), "127.0.0.1:8079");
        match self.gateway() {
            Some(gateway) => text.replace(&gateway.to_string(), "127.0.0.1:8080"),
            None => text,
        }
    }
}

async fn up(files: &[(&str, &str)], machine: &ScriptedMachine) -> Outlast {
    let to = machine.address().to_string();
    Outlast::up(files, &[&["--to", &to], &LIMITS[..]].concat()).await
}

/// All places are working streams, and three wait.
async fn full(machine: ScriptedMachine) -> Situation {
    let outlast = up(&[], &machine).await;
    let mut wires = Vec::new();
    for _ in 0..PLACES {
        let (client, upstream) = stream(&outlast, &machine).await;
        wires.extend([client, upstream]);
    }
    for _ in 0..3 {
        let mut client = Wire::connect(outlast.gateway).await;
        client.send(GET).await;
        wires.push(client);
    }
    outlast.service_where("three wait", |service| service["queue_length"] == 3).await;
    Situation::of(Some(outlast), wires, machine)
}

/// All places are connections whose exchanges are over.
async fn idle(machine: ScriptedMachine) -> Situation {
    let outlast = up(&[LINGERS], &machine).await;
    let mut wires = Vec::new();
    for _ in 0..PLACES {
        let (client, upstream) = stream(&outlast, &machine).await;
        wires.push((client, upstream));
    }
    for (client, upstream) in &mut wires {
        upstream.send("0\r\n\r\n").await;
        client.read_until("0\r\n\r\n").await;
    }
    outlast.service_where("all linger", |service| service["lingering"] == PLACES).await;
    let wires = wires.into_iter().flat_map(|(client, upstream)| [client, upstream]).collect();
    Situation::of(Some(outlast), wires, machine)
}

/// One client does not read.
async fn slow(machine: ScriptedMachine) -> Situation {
    let outlast = up(&[], &machine).await;
    let (client, mut upstream) = stream(&outlast, &machine).await;
    upstream.send(format!("{BULK:x}\r\n")).await;
    upstream.send_while_taken(&vec![b'x'; BULK]).await;
    outlast.service_where("one is slow", |service| service["states"]["slow reader"] == 1).await;
    Situation::of(Some(outlast), vec![client, upstream], machine)
}

/// The only machine fails its check.
async fn down(machine: ScriptedMachine) -> Situation {
    let patient = Patient::start().await;
    let to = patient.address.to_string();
    let outlast = Outlast::up(&[("fly.toml", CHECKED)], &["--to", &to]).await;
    patient.health.store(500, Ordering::Relaxed);
    let is_down = |service: &serde_json::Value| service["machines"][0]["state"] == "unhealthy";
    outlast.service_where("it fails its check", is_down).await;
    Situation { _patient: Some(patient), ..Situation::of(Some(outlast), Vec::new(), machine) }
}

/// A chat and a terminal.
async fn channels(machine: ScriptedMachine) -> Situation {
    let outlast = up(&[], &machine).await;
    let mut wires = Vec::new();
    for (request, answer) in [
        (CHAT, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (
            UPGRADE,
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        ),
    ] {
        let mut client = Wire::connect(outlast.gateway).await;
        client.send(request).await;
        let mut upstream = machine.accept().await;
        upstream.read_head().await;
        upstream.send(answer).await;
        client.read_head().await;
        wires.extend([client, upstream]);
    }
    Situation::of(Some(outlast), wires, machine)
}
