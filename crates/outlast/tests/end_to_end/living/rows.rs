//! The rows of the matrix: what peers do, what becomes of them, and what has to be made of it.

use std::time::Duration;

use super::subjects::{Client, Fate, Flow, Gateway, Kind, Machine, Moment, Row, Side, Truth};

const ALL: &[Kind] = &[Kind::Ndjson, Kind::Sse, Kind::Upgrade, Kind::Raw];
const STREAMS: &[Kind] = &[Kind::Ndjson, Kind::Sse];
const TUNNELS: &[Kind] = &[Kind::Upgrade, Kind::Raw];
/// Where all depends on what the machine's connection is: an exchange, or a tunnel.
const BOTH: &[Kind] = &[Kind::Ndjson, Kind::Upgrade];
const NDJSON: &[Kind] = &[Kind::Ndjson];
const UPGRADE: &[Kind] = &[Kind::Upgrade];

/// What design and documents promise for who vanishes.
const RELEASE: Duration = Duration::from_secs(40);
/// Whoever says that it goes is gone.
const AT_ONCE: Duration = Duration::from_secs(2);

/// All rows, in their order in the matrix.
pub(super) fn rows() -> impl Iterator<Item = (Side, &'static Row)> {
    let clients = CLIENTS.iter().map(|row| (Side::Client, row));
    clients.chain(MACHINES.iter().map(|row| (Side::Machine, row)))
}

const LIVING: Row = Row {
    name: "",
    kinds: ALL,
    flow: Flow::Ticks,
    client: Client::Reads,
    machine: Machine::Serves,
    fate: Fate::None,
    truth: Truth::Living,
    shown: &[],
    gateway: Gateway::Usual,
};
const DEAD_CLIENT: Row = Row { truth: Truth::DeadClient(RELEASE), ..LIVING };
const GONE_CLIENT: Row = Row { truth: Truth::DeadClient(AT_ONCE), ..LIVING };
const DEAD_MACHINE: Row = Row { truth: Truth::DeadMachine(RELEASE), kinds: BOTH, ..LIVING };
const GONE_MACHINE: Row = Row { truth: Truth::DeadMachine(AT_ONCE), kinds: BOTH, ..LIVING };

const CLIENTS: [Row; 27] = [
    Row { name: "active", shown: &["active"], ..LIVING },
    Row { name: "silent", flow: Flow::Silence, shown: &["thinking"], ..LIVING },
    Row {
        name: "sends, is sent nothing",
        kinds: TUNNELS,
        flow: Flow::Silence,
        client: Client::Sends,
        shown: &["active"],
        ..LIVING
    },
    Row {
        name: "reads 1 KiB/s",
        flow: Flow::Push,
        client: Client::ReadsSlowly,
        shown: &["slow reader"],
        ..LIVING
    },
    Row {
        name: "reads nothing, its kernel answers",
        flow: Flow::Push,
        client: Client::ReadsNothing,
        shown: &["slow reader"],
        ..LIVING
    },
    Row {
        name: "stopped (SIGSTOP)",
        kinds: &[Kind::Ndjson, Kind::Upgrade, Kind::Raw],
        flow: Flow::Push,
        client: Client::Stopped,
        shown: &["slow reader"],
        ..LIVING
    },
    Row {
        name: "half-closed, in a tunnel",
        kinds: TUNNELS,
        client: Client::HalfCloses,
        shown: &["active"],
        ..LIVING
    },
    Row {
        name: "half-closed after its request, `half_close = \"keep\"`",
        kinds: STREAMS,
        client: Client::HalfCloses,
        shown: &["active"],
        ..LIVING
    },
    Row {
        name: "asleep for 20 s and back, silent, probed at once",
        flow: Flow::Silence,
        fate: Fate::ClientSleeps(Moment::BeforeProbe),
        shown: &["thinking", "zombie"],
        ..LIVING
    },
    Row {
        name: "asleep for 20 s and back, silent, just probed",
        flow: Flow::Silence,
        fate: Fate::ClientSleeps(Moment::AfterProbe),
        shown: &["thinking"],
        ..LIVING
    },
    Row {
        name: "asleep for 20 s and back, active",
        fate: Fate::ClientSleeps(Moment::BeforeProbe),
        shown: &["active", "zombie"],
        ..LIVING
    },
    Row {
        name: "asleep for 20 s and back, nobody asks for states",
        kinds: BOTH,
        fate: Fate::ClientSleeps(Moment::BeforeProbe),
        gateway: Gateway::Unwatched,
        ..LIVING
    },
    Row { name: "behind 5 % loss, active", fate: Fate::Loss, shown: &["active"], ..LIVING },
    Row {
        name: "behind 5 % loss, silent",
        flow: Flow::Silence,
        fate: Fate::Loss,
        shown: &["thinking"],
        ..LIVING
    },
    // Its word that there is room again may be lost, and is then only told when the kernel asks.
    Row {
        name: "behind 5 % loss, reads 1 KiB/s, `tcp_rto_max_ms` = 5000",
        kinds: BOTH,
        flow: Flow::Push,
        client: Client::ReadsSlowly,
        fate: Fate::Loss,
        gateway: Gateway::ProbesOften,
        shown: &["slow reader"],
        ..LIVING
    },
    Row {
        name: "vanished while idle, probed at once",
        flow: Flow::Silence,
        fate: Fate::ClientVanishes(Moment::BeforeProbe),
        shown: &["thinking", "zombie"],
        ..DEAD_CLIENT
    },
    Row {
        name: "vanished while idle, just probed",
        flow: Flow::Silence,
        fate: Fate::ClientVanishes(Moment::AfterProbe),
        shown: &["thinking", "zombie"],
        ..DEAD_CLIENT
    },
    Row {
        name: "vanished while busy, a line a second",
        fate: Fate::ClientVanishes(Moment::BeforeProbe),
        shown: &["active", "zombie"],
        ..DEAD_CLIENT
    },
    Row {
        name: "vanished while busy, in bulk",
        flow: Flow::Bulk,
        fate: Fate::ClientVanishes(Moment::BeforeProbe),
        shown: &["active", "zombie"],
        ..DEAD_CLIENT
    },
    Row {
        name: "vanished while it sent",
        kinds: TUNNELS,
        flow: Flow::Silence,
        client: Client::Sends,
        fate: Fate::ClientVanishes(Moment::BeforeProbe),
        shown: &["active", "zombie"],
        ..DEAD_CLIENT
    },
    Row {
        name: "vanished before the response's head",
        kinds: NDJSON,
        flow: Flow::NoHead,
        fate: Fate::ClientVanishes(Moment::BeforeProbe),
        shown: &["thinking", "zombie"],
        ..DEAD_CLIENT
    },
    Row {
        name: "vanished while idle, nobody asks for states",
        kinds: BOTH,
        flow: Flow::Silence,
        fate: Fate::ClientVanishes(Moment::AfterProbe),
        gateway: Gateway::Unwatched,
        ..DEAD_CLIENT
    },
    Row {
        name: "vanished while busy, nobody asks for states",
        kinds: BOTH,
        fate: Fate::ClientVanishes(Moment::BeforeProbe),
        gateway: Gateway::Unwatched,
        ..DEAD_CLIENT
    },
    Row {
        name: "read nothing and vanished, `tcp_rto_max_ms` = 5000",
        kinds: BOTH,
        flow: Flow::Push,
        client: Client::ReadsNothing,
        fate: Fate::ClientVanishes(Moment::BeforeProbe),
        gateway: Gateway::ProbesOften,
        shown: &["slow reader", "zombie"],
        ..DEAD_CLIENT
    },
    Row {
        name: "half-closed after its request",
        kinds: STREAMS,
        client: Client::HalfCloses,
        ..GONE_CLIENT
    },
    Row { name: "closed", client: Client::Closes, ..GONE_CLIENT },
    Row { name: "reset", flow: Flow::Silence, client: Client::Resets, ..GONE_CLIENT },
];

const MACHINES: [Row; 14] = [
    Row {
        name: "silent before its head",
        kinds: NDJSON,
        flow: Flow::NoHead,
        shown: &["thinking"],
        ..LIVING
    },
    Row {
        name: "reads nothing, its kernel answers",
        kinds: UPGRADE,
        flow: Flow::Silence,
        client: Client::Pushes,
        machine: Machine::ReadsNothing,
        ..LIVING
    },
    Row {
        name: "stopped (SIGSTOP)",
        kinds: NDJSON,
        machine: Machine::Stopped,
        shown: &["thinking"],
        ..LIVING
    },
    Row {
        name: "half-closed, in a tunnel",
        kinds: UPGRADE,
        flow: Flow::Silence,
        client: Client::Sends,
        machine: Machine::HalfCloses,
        shown: &["active"],
        ..LIVING
    },
    Row {
        name: "asleep for 20 s and back, silent, probed at once",
        kinds: BOTH,
        flow: Flow::Silence,
        fate: Fate::MachineSleeps(Moment::BeforeProbe),
        ..LIVING
    },
    Row {
        name: "asleep for 20 s and back, silent, just probed",
        kinds: BOTH,
        flow: Flow::Silence,
        fate: Fate::MachineSleeps(Moment::AfterProbe),
        ..LIVING
    },
    Row {
        name: "asleep for 20 s and back, active",
        kinds: BOTH,
        fate: Fate::MachineSleeps(Moment::BeforeProbe),
        shown: &["active"],
        ..LIVING
    },
    Row {
        name: "vanished while idle, probed at once",
        flow: Flow::Silence,
        fate: Fate::MachineVanishes(Moment::BeforeProbe),
        ..DEAD_MACHINE
    },
    Row {
        name: "vanished while idle, just probed",
        flow: Flow::Silence,
        fate: Fate::MachineVanishes(Moment::AfterProbe),
        ..DEAD_MACHINE
    },
    Row {
        name: "vanished while it sent",
        fate: Fate::MachineVanishes(Moment::BeforeProbe),
        shown: &["active"],
        ..DEAD_MACHINE
    },
    Row {
        name: "vanished while busy, being sent to",
        kinds: UPGRADE,
        flow: Flow::Silence,
        client: Client::Sends,
        fate: Fate::MachineVanishes(Moment::BeforeProbe),
        shown: &["active"],
        ..DEAD_MACHINE
    },
    Row {
        name: "vanished before its head",
        kinds: NDJSON,
        flow: Flow::NoHead,
        fate: Fate::MachineVanishes(Moment::BeforeProbe),
        ..DEAD_MACHINE
    },
    Row {
        name: "closed within its response",
        kinds: NDJSON,
        machine: Machine::Closes,
        ..GONE_MACHINE
    },
    Row { name: "reset", flow: Flow::Silence, machine: Machine::Resets, ..GONE_MACHINE },
];
