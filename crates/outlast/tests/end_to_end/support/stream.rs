//! A stream through the gateway of which the test holds both ends.

use outlast_testkit::{ScriptedMachine, Wire};

use super::Outlast;

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A stream that has begun: the client's end and the machine's.
pub(crate) async fn stream(outlast: &Outlast, machine: &ScriptedMachine) -> (Wire, Wire) {
    let mut client = Wire::connect(outlast.gateway).await;
    client.send(GET).await;
    let mut upstream = machine.accept().await;
    upstream.read_head().await;
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.read_head().await;
    (client, upstream)
}
