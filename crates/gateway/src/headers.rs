//! The field lines that the gateway adds (docs/interface.md lists them).
//!
//! They are put together piece by piece, and nothing is formatted twice: this happens for every request.

use std::fmt::Write as _;
use std::net::SocketAddr;

use outlast_observe::RequestId;

use crate::visitor::{Scheme, Visitor};

/// More than the lines for a machine take with an IPv6 address, so that they are allocated once.
const MACHINE_LINES_ROOM: usize = 384;

/// For the machine: who the client is, as seen by us or told by a proxy that we trust. What else was claimed has been left
/// out.
pub(crate) fn for_machine(
    visitor: &Visitor,
    listen: SocketAddr,
    region: &str,
    id: RequestId,
) -> String {
    let mut lines = String::with_capacity(MACHINE_LINES_ROOM);
    lines.push_str("Fly-Client-IP: ");
    push_display(&mut lines, visitor.ip());
    lines.push_str("\r\nFly-Forwarded-Port: ");
    let port = push_display(&mut lines, visitor.port(listen));
    lines.push_str("\r\nFly-Region: ");
    lines.push_str(region);
    lines.push_str("\r\n");
    push_id(&mut lines, region, id);
    lines.push_str("X-Forwarded-For: ");
    visitor.push_way(&mut lines);
    lines.push_str("\r\nX-Forwarded-Port: ");
    lines.extend_from_within(port);
    lines.push_str(match visitor.scheme() {
        Scheme::Http => "\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Ssl: off",
        Scheme::Https => "\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Ssl: on",
    });
    lines.push_str("\r\nVia: 1.1 outlast\r\n");
    lines
}

/// For the client: which hop this was, and the id to ask for.
pub(crate) fn for_client(region: &str, id: RequestId) -> String {
    const LINES: &str = "Via: 1.1 outlast\r\nFly-Request-Id: 01ARZ3NDEKTSV4RRFFQ69G5FAV-\r\n";
    // Not a byte more: the caller keeps it as it is.
    let mut lines = String::with_capacity(LINES.len() + region.len());
    lines.push_str("Via: 1.1 outlast\r\n");
    push_id(&mut lines, region, id);
    lines
}

fn push_id(lines: &mut String, region: &str, id: RequestId) {
    lines.push_str("Fly-Request-Id: ");
    push_display(lines, id);
    lines.push('-');
    lines.push_str(region);
    lines.push_str("\r\n");
}

/// Appends a value and says where it stands.
pub(crate) fn push_display(
    lines: &mut String,
    value: impl std::fmt::Display,
) -> std::ops::Range<usize> {
    let start = lines.len();
    write!(lines, "{value}").expect("writing to a string succeeds");
    start..lines.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_told_who_asks_and_where() {
        let id = RequestId::generate();
        let listen = "0.0.0.0:8080".parse().expect("an address");
        for (peer, ip) in [("192.0.2.7:4711", "192.0.2.7"), ("[2001:db8::1]:4711", "2001:db8::1")] {
            let visitor = Visitor::direct(peer.parse().expect("an address"));
            let lines = for_machine(&visitor, listen, "sjc", id);
            assert_eq!(
                lines,
                format!(
                    "Fly-Client-IP: {ip}\r\nFly-Forwarded-Port: 8080\r\nFly-Region: sjc\r\n\
                     Fly-Request-Id: {id}-sjc\r\nX-Forwarded-For: {ip}\r\nX-Forwarded-Port: 8080\r\n\
                     X-Forwarded-Proto: http\r\nX-Forwarded-Ssl: off\r\nVia: 1.1 outlast\r\n"
                )
            );
            assert!(lines.len() <= MACHINE_LINES_ROOM);
        }
        let lines = for_client("sjc", id);
        assert_eq!(lines, format!("Via: 1.1 outlast\r\nFly-Request-Id: {id}-sjc\r\n"));
        assert_eq!(lines.len(), lines.capacity());
    }
}
