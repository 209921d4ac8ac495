//! The field lines that the gateway adds (docs/interface.md lists them).

use std::fmt::Write as _;
use std::net::SocketAddr;

use outlast_observe::RequestId;

/// For the machine: who the client is, as seen by us. What the client claimed itself has been left out.
pub(crate) fn for_machine(
    peer: SocketAddr,
    listen: SocketAddr,
    region: &str,
    id: RequestId,
) -> String {
    let (client, port) = (peer.ip(), listen.port());
    let mut lines = String::with_capacity(320);
    write!(
        lines,
        "Fly-Client-IP: {client}\r\nFly-Forwarded-Port: {port}\r\nFly-Region: {region}\r\n\
         Fly-Request-Id: {id}-{region}\r\nX-Forwarded-For: {client}\r\nX-Forwarded-Port: {port}\r\n\
         X-Forwarded-Proto: http\r\nX-Forwarded-Ssl: off\r\nVia: 1.1 outlast\r\n"
    )
    .expect("writing to a string succeeds");
    lines
}

/// For the client: which hop this was, and the id to ask for.
pub(crate) fn for_client(region: &str, id: RequestId) -> String {
    format!("Via: 1.1 outlast\r\nFly-Request-Id: {id}-{region}\r\n")
}
