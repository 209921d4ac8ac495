//! The names by which we may be asked for.
//!
//! A page of another site can point its own name at 127.0.0.1 (DNS rebinding) and then talk to us as to its own origin.
//! It cannot do so under a name that is ours, so only those are served.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// A name is at most this long (RFC 1035 section 2.3.4), and an authority not much longer.
const AUTHORITY_BYTES_MAX: usize = 300;

/// Loopback names and addresses, always ours, and further names. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Arc<BTreeSet<String>>);

impl Hosts {
    /// Loopback and these further names or addresses. A port after a name is ignored, as all ports are.
    #[must_use]
    pub fn new(extra: &[String]) -> Self {
        let names = extra.iter().filter_map(|name| host_of(name.trim()));
        Self(Arc::new(names.collect()))
    }

    /// Whether this value of `Host` is ours, with any port.
    #[must_use]
    pub fn allow_host(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else { return false };
        is_loopback(&host) || self.0.contains(&host)
    }

    /// Whether this value of `Origin` is ours: `http` or `https`, a host of ours, any port.
    #[must_use]
    pub fn allow_origin(&self, origin: &str) -> bool {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        rest.is_some_and(|authority| self.allow_host(authority))
    }
}

/// The host of `host[:port]` (RFC 9110 section 7.2), in lower case and without a final dot. None if it is not one.
fn host_of(authority: &str) -> Option<String> {
    if authority.is_empty() || authority.len() > AUTHORITY_BYTES_MAX {
        return None;
    }
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        return is_port(port).then(|| address.to_string());
    }
    // A bare IPv6 address, as a flag may give it.
    if let Ok(address) = authority.parse::<Ipv6Addr>() {
        return Some(address.to_string());
    }
    let (name, port) = match authority.find(':') {
        Some(colon) => authority.split_at(colon),
        None => (authority, ""),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_name = !name.is_empty()
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    (is_name && is_port(port)).then(|| name.to_ascii_lowercase())
}

/// Nothing, or a colon and a port that may be empty (RFC 3986 section 3.2.3).
fn is_port(text: &str) -> bool {
    let digits = text.strip_prefix(':').unwrap_or(text);
    (text.is_empty() || text.starts_with(':'))
        && (digits.is_empty() || digits.parse::<u16>().is_ok() && !digits.starts_with('+'))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_ours_and_what_only_looks_like_it_is_not() {
        let hosts = Hosts::default();
        for ours in [
            "localhost",
            "localhost:8080",
            "LOCALHOST.",
            "desk.localhost:1",
            "127.0.0.1",
            "127.0.0.1:80",
            "127.8.9.1",
            "[::1]",
            "[::1]:80",
            "[0:0::1]:80",
            "[::ffff:127.0.0.1]",
            "localhost:",
        ] {
            assert!(hosts.allow_host(ours), "{ours}");
        }
        for foreign in [
            "",
            ":80",
            "evil",
            "127.0.0.1.evil.com",
            "localhost.evil.com",
            "evillocalhost",
            "127.1",
            "0.0.0.0",
            "[::1",
            "::1]",
            "[::1]80",
            "[::2]",
            "user@localhost",
            "localhost:80:80",
            "localhost:port",
            "localhost:+80",
            "localhost:70000",
            "localhost/",
            "local host",
            "localhost\t",
            ".localhost",
            "..",
            "2130706433",
            "0x7f000001",
            "127.0.0.1%00",
            "[fe80::1%lo]",
        ] {
            assert!(!hosts.allow_host(foreign), "{foreign}");
        }
    }

    #[test]
    fn further_names_are_ours_in_any_spelling() {
        let extra =
            ["Desk.Example:443".to_owned(), "192.0.2.7".to_owned(), "2001:db8::1".to_owned()];
        let hosts = Hosts::new(&extra);
        for ours in ["desk.example", "DESK.example.:8080", "192.0.2.7:1", "[2001:DB8::1]:80"] {
            assert!(hosts.allow_host(ours), "{ours}");
        }
        for foreign in ["example", "x.desk.example", "192.0.2.8", "[2001:db8::2]"] {
            assert!(!hosts.allow_host(foreign), "{foreign}");
        }
    }

    #[test]
    fn origins_are_ours_by_scheme_and_host() {
        let hosts = Hosts::default();
        for ours in ["http://localhost:8080", "https://127.0.0.1", "http://[::1]:80"] {
            assert!(hosts.allow_origin(ours), "{ours}");
        }
        for foreign in [
            "null",
            "",
            "localhost",
            "file://localhost",
            "http://evil",
            "http://",
            "http://localhost/",
        ] {
            assert!(!hosts.allow_origin(foreign), "{foreign}");
        }
    }
}
