//! Who asks: the peer, or whom a trusted proxy says it speaks for.
//!
//! A client may claim anything. Only what a peer of `listen.trusted_proxies` says is believed, and of a list that it passes on
//! only what stands behind the last address that is not a trusted proxy's itself: what stands before, that client may have
//! written.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};

use outlast_admission::ClientKey;
use outlast_config::{HeaderName, Network, Plan};
use outlast_http1::{Request, Untrusted, is_forwarding_claim};

use crate::fields::{field, lines};
use crate::headers::push_display;

/// The fields that the gateway says anew to the machine, and so takes out of what a trusted proxy sent.
const REPLACED: [&str; 8] = [
    "fly-client-ip",
    "fly-forwarded-port",
    "fly-region",
    "fly-request-id",
    FORWARDED_FOR,
    FORWARDED_PORT,
    FORWARDED_PROTO,
    "x-forwarded-ssl",
];
const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PORT: &str = "x-forwarded-port";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Tells visitors apart.
#[derive(Debug)]
pub(crate) struct Reception {
    trusted: Vec<Network>,
    client_header: HeaderName,
    queue_header: Option<HeaderName>,
    /// Keyed, so that nobody can choose a name that stands for somebody else's.
    names: RandomState,
}

/// Who asks.
#[derive(Debug)]
pub(crate) struct Visitor {
    peer: SocketAddr,
    /// What a trusted proxy has told. Boxed, because others have none.
    told: Option<Box<Told>>,
}

#[derive(Debug)]
struct Told {
    ip: IpAddr,
    key: ClientKey,
    forwarded_for: Option<String>,
    port: Option<u16>,
    scheme: Scheme,
}

/// What the client speaks to the first proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Reception {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            trusted: plan.listen.trusted_proxies.clone(),
            client_header: plan.listen.client_header.clone(),
            queue_header: plan.queue.client_header.clone(),
            names: RandomState::new(),
        }
    }

    /// Whether what the peer says about others is believed.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(peer))
    }

    /// What is left out of the heads of a peer. Of a trusted one that is what could be taken for what it did not say.
    pub(crate) fn untrusted(&self, peer: IpAddr) -> Untrusted {
        let is_confusable = |name: &str| name.contains('_') && is_forwarding_claim(name);
        if self.trusts(peer) { is_confusable } else { is_forwarding_claim }
    }

    /// Who asks by this request; what a trusted proxy said, and the gateway says anew, is taken out of it.
    pub(crate) fn receive(&self, peer: SocketAddr, request: &mut Request) -> Visitor {
        let told = self.trusts(peer.ip()).then(|| Box::new(self.told(peer, &mut request.wire)));
        Visitor { peer, told }
    }

    fn told(&self, peer: SocketAddr, wire: &mut Vec<u8>) -> Told {
        let (mut client, mut forwarded_for) = (String::new(), String::new());
        let (mut port, mut scheme, mut name) = (None, Scheme::Http, None);
        let sent = std::mem::take(wire);
        for line in lines(&sent) {
            let Some((field, value)) = field(line) else {
                wire.extend_from_slice(line);
                continue;
            };
            if self.client_header.names(field) {
                append(&mut client, value);
            }
            if self.queue_header.as_ref().is_some_and(|header| header.names(field)) {
                // The last one is the proxy's, if it added it.
                name = Some(value).filter(|value| !value.is_empty());
            }
            if field.eq_ignore_ascii_case(FORWARDED_FOR) {
                append(&mut forwarded_for, value);
            } else if field.eq_ignore_ascii_case(FORWARDED_PORT) {
                port = text(value).parse().ok();
            } else if field.eq_ignore_ascii_case(FORWARDED_PROTO) {
                let is_https = text(value).eq_ignore_ascii_case("https");
                scheme = if is_https { Scheme::Https } else { Scheme::Http };
            }
            if !REPLACED.iter().any(|ours| field.eq_ignore_ascii_case(ours)) {
                wire.extend_from_slice(line);
            }
        }
        let ip = self.nearest(peer.ip(), &client);
        let key = name.map_or(ip.into(), |name| ClientKey::named(self.names.hash_one(name)));
        let forwarded_for = (!forwarded_for.is_empty()).then_some(forwarded_for);
        Told { ip, key, forwarded_for, port, scheme }
    }

    /// The client in a list that trusted proxies have written from its end on: the last that is none of them. What is no
    /// address ends the search, at the proxy that did not know better.
    fn nearest(&self, peer: IpAddr, list: &str) -> IpAddr {
        let mut nearest = peer;
        for ip in list.rsplit(',').map_while(|item| address(item.trim())) {
            nearest = ip;
            if !self.trusts(ip) {
                break;
            }
        }
        nearest
    }
}

impl Visitor {
    /// In whose line it waits.
    pub(crate) fn key(&self) -> ClientKey {
        self.told.as_ref().map_or_else(|| self.peer.ip().into(), |told| told.key)
    }

    /// The client's address.
    pub(crate) fn ip(&self) -> IpAddr {
        self.told.as_ref().map_or(self.peer.ip(), |told| told.ip)
    }

    /// The port to which the client connected.
    pub(crate) fn port(&self, listen: SocketAddr) -> u16 {
        self.told.as_ref().and_then(|told| told.port).unwrap_or(listen.port())
    }

    /// What the client speaks.
    pub(crate) fn scheme(&self) -> Scheme {
        self.told.as_ref().map_or(Scheme::Http, |told| told.scheme)
    }

    /// Appends the way that the request came, from the client to the last proxy before us.
    pub(crate) fn push_way(&self, line: &mut String) {
        let peer = self.peer.ip();
        match self.told.as_deref() {
            Some(Told { forwarded_for: Some(list), .. }) => {
                line.push_str(list);
                line.push_str(", ");
            }
            Some(told) if told.ip != peer => {
                push_display(line, told.ip);
                line.push_str(", ");
            }
            _ => {}
        }
        push_display(line, peer);
    }
}

#[cfg(test)]
impl Visitor {
    /// One that nobody speaks for.
    pub(crate) fn direct(peer: SocketAddr) -> Self {
        Self { peer, told: None }
    }

    fn way(&self) -> String {
        let mut way = String::new();
        self.push_way(&mut way);
        way
    }
}

fn text(value: &[u8]) -> &str {
    str::from_utf8(value).unwrap_or("")
}

/// Fields of one name are one list (RFC 9110 section 5.3).
fn append(list: &mut String, value: &[u8]) {
    if !list.is_empty() {
        list.push_str(", ");
    }
    list.push_str(text(value));
}

/// An address, which some write with a port.
fn address(item: &str) -> Option<IpAddr> {
    let with_port = || item.parse().ok().map(|address: SocketAddr| address.ip());
    item.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.1:4711";

    fn reception(client_header: &str, queue_header: Option<&str>) -> Reception {
        Reception {
            trusted: vec!["10.0.0.0/8".parse().expect("a network")],
            client_header: client_header.parse().expect("a name"),
            queue_header: queue_header.map(|name| name.parse().expect("a name")),
            names: RandomState::new(),
        }
    }

    fn received(reception: &Reception, peer: &str, lines: &str) -> (Visitor, String) {
        let peer: SocketAddr = peer.parse().expect("an address");
        let head = format!("GET http://a:1/?b:c HTTP/1.1\r\nHost: a:1\r\n{lines}\r\n");
        let parsed = Request::parse(head.as_bytes(), reception.untrusted(peer.ip()));
        let (mut request, _) = parsed.expect("valid").expect("complete");
        let visitor = reception.receive(peer, &mut request);
        (visitor, String::from_utf8(request.wire).expect("text"))
    }

    #[test]
    fn a_header_names_the_client_if_the_peer_is_trusted() {
        let reception = reception("Fly-Client-IP", None);
        for (peer, lines, ip) in [
            (PROXY, "Fly-Client-IP: 192.0.2.7\r\n", "192.0.2.7"),
            (PROXY, "fly-client-ip: 2001:db8::1\r\n", "2001:db8::1"),
            (PROXY, "Fly_Client_IP: 192.0.2.7\r\n", "10.0.0.1"),
            (PROXY, "X-Forwarded-For: 192.0.2.7\r\n", "10.0.0.1"),
            (PROXY, "Fly-Client-IP: somebody\r\n", "10.0.0.1"),
            (PROXY, "Fly-Client-IP: 6.6.6.6\r\nFly-Client-IP: 192.0.2.7\r\n", "192.0.2.7"),
            (PROXY, "", "10.0.0.1"),
            ("192.0.2.9:1", "Fly-Client-IP: 192.0.2.7\r\n", "192.0.2.9"),
            ("[::ffff:10.1.1.1]:1", "Fly-Client-IP: 192.0.2.7\r\n", "192.0.2.7"),
        ] {
            let (visitor, wire) = received(&reception, peer, lines);
            let ip: IpAddr = ip.parse().expect("an address");
            assert_eq!((visitor.ip(), visitor.key()), (ip, ip.into()), "{peer} {lines}");
            assert!(!wire.to_ascii_lowercase().contains("client"), "{wire}");
        }
    }

    #[test]
    fn of_a_list_the_last_that_is_not_a_trusted_proxy_is_the_client() {
        let reception = reception("X-Forwarded-For", None);
        for (lines, ip) in [
            ("X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
            ("X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\n", "192.0.2.7"),
            ("X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.9.9.9\r\n", "192.0.2.7"),
            ("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.7,10.9.9.9\r\n", "192.0.2.7"),
            ("X-Forwarded-For: 10.3.3.3, 10.9.9.9\r\n", "10.3.3.3"),
            ("X-Forwarded-For: 192.0.2.7, unknown, 10.9.9.9\r\n", "10.9.9.9"),
            ("X-Forwarded-For: 192.0.2.7:80, [10.9.9.9]\r\n", "10.0.0.1"),
            ("X-Forwarded-For: [2001:db8::1]:80\r\n", "2001:db8::1"),
            ("X-Forwarded-For: \r\n", "10.0.0.1"),
        ] {
            let (visitor, _) = received(&reception, PROXY, lines);
            assert_eq!(visitor.ip(), ip.parse::<IpAddr>().expect("an address"), "{lines}");
        }
    }

    #[test]
    fn users_are_told_apart_by_a_header_of_the_trusted() {
        let reception = reception("Fly-Client-IP", Some("X-User"));
        let key = |peer, lines| received(&reception, peer, lines).0.key();
        let ann = "X-User: ann\r\nFly-Client-IP: 192.0.2.7\r\n";
        assert_eq!(key(PROXY, ann), key(PROXY, "x-user: ann\r\nFly-Client-IP: 192.0.2.8\r\n"));
        assert_ne!(key(PROXY, ann), key(PROXY, "X-User: bob\r\nFly-Client-IP: 192.0.2.7\r\n"));
        assert_eq!(
            key(PROXY, ann),
            key(PROXY, "X-User: bob\r\nX-User: ann\r\n"),
            "the last counts"
        );
        let by_address = ClientKey::from(IpAddr::from([192, 0, 2, 7]));
        assert_eq!(key(PROXY, "X-User:\r\nFly-Client-IP: 192.0.2.7\r\n"), by_address);
        assert_eq!(key("192.0.2.7:1", ann), by_address, "anybody can say so");
        assert!(received(&reception, PROXY, ann).1.contains("X-User: ann\r\n"));
    }

    #[test]
    fn what_a_trusted_proxy_says_is_passed_on_with_its_own_address() {
        let reception = reception("Fly-Client-IP", None);
        let lines = "Fly-Client-IP: 192.0.2.7\r\nX-Forwarded-For: 192.0.2.7, 10.9.9.9\r\n\
                     X-Forwarded-Port: 443\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n\
                     Fly-Request-Id: x\r\nX_Forwarded_Host: c\r\n";
        let (visitor, wire) = received(&reception, PROXY, lines);
        assert_eq!(visitor.way(), "192.0.2.7, 10.9.9.9, 10.0.0.1");
        let listen = "0.0.0.0:8080".parse().expect("an address");
        assert_eq!((visitor.port(listen), visitor.scheme()), (443, Scheme::Https));
        assert_eq!(wire, "GET /?b:c HTTP/1.1\r\nHost: a:1\r\nX-Forwarded-Host: b\r\n");
        let (visitor, _) = received(&reception, PROXY, "Fly-Client-IP: 192.0.2.7\r\n");
        assert_eq!(visitor.way(), "192.0.2.7, 10.0.0.1");
        assert_eq!((visitor.port(listen), visitor.scheme()), (8080, Scheme::Http));
        let (visitor, wire) = received(&reception, "192.0.2.9:1", lines);
        assert_eq!(visitor.way(), "192.0.2.9");
        assert_eq!((visitor.port(listen), visitor.scheme()), (8080, Scheme::Http));
        assert!(!wire.contains("orwarded"), "{wire}");
    }
}
