//! Control calls, and the places that are kept for them.

mod common;

use std::time::Duration;

use common::{Rig, plan};
use outlast_config::{Accounting, Plan, Reserve, ServiceKind};
use outlast_testkit::Wire;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const SHORT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const ABORT: &str = "POST /api/abort/q1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

/// One ordinary place, so many of the reserve, and nobody waits.
fn reserving(accounting: Accounting, slots: u32) -> Plan {
    let mut plan = plan(ServiceKind::Http, accounting, 0, 1);
    plan.queue.timeout = Duration::ZERO;
    plan.reserve = Reserve { slots, paths: vec!["/api/abort/*".into()] };
    plan
}

/// An exchange that takes the ordinary place.
async fn held(rig: &Rig) -> (Wire, Wire) {
    let mut client = rig.client().await;
    client.send(GET).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    (client, machine)
}

#[tokio::test]
async fn control_calls_pass_a_full_service() {
    let rig = Rig::start(reserving(Accounting::Requests, 2)).await;
    let held = held(&rig).await;
    let mut abort = rig.client().await;
    abort.send(ABORT).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    assert_eq!((rig.service().in_flight, rig.service().reserve_in_use), (1, 1));
    machine.send(SHORT).await;
    assert_eq!(abort.read_message().await.1, "hi");
    rig.outcome("completed", 1).await;
    drop(held);
    rig.finish().await;
}

/// A finished control call once kept its place of the reserve while its connection lingered, and the next one waited.
#[tokio::test]
async fn in_connections_a_control_call_leaves_its_place_to_the_next_at_once() {
    let rig = Rig::start(reserving(Accounting::Connections, 1)).await;
    let held = held(&rig).await;
    for _ in 0..3 {
        let mut abort = rig.client().await;
        abort.send(ABORT).await;
        let mut machine = rig.machine.accept().await;
        machine.read_head().await;
        machine.send(SHORT).await;
        assert_eq!(abort.read_message().await.1, "hi");
        assert_eq!(machine.read_to_end().await.as_deref(), Ok(""), "its connection is closed");
    }
    rig.outcome("completed", 3).await;
    drop(held);
    rig.finish().await;
}
