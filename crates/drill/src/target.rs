//! Where the load goes, and whether it may.

use std::net::{SocketAddr, ToSocketAddrs};

use thiserror::Error;

/// A checked URL: its host is resolved, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// As it was written.
    pub url: String,
    /// What it was resolved to.
    pub address: SocketAddr,
    /// What stands in `Host`.
    pub authority: String,
    /// The path and the query, if there is more than a slash.
    pub path: Option<String>,
}

/// Why no load goes there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Another scheme.
    #[error("{0:?} is no http:// URL")]
    Scheme(String),
    /// No host, or a port that is none.
    #[error("{0:?} has no host and port that could be connected to")]
    Authority(String),
    /// The host is nowhere.
    #[error("the host of {url:?} cannot be resolved: {why}")]
    Resolve {
        /// The URL.
        url: String,
        /// What the resolver says.
        why: String,
    },
    /// Somebody else's.
    #[error("{host} ({address}) is not this machine, and a drill is hard to tell from an attack")]
    NotOurs {
        /// The host.
        host: String,
        /// Its address.
        address: SocketAddr,
    },
}

impl TargetError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Scheme(_) => {
                "write one such as http://127.0.0.1:8080; TLS is not spoken".to_owned()
            }
            Self::Authority(_) => "write one such as http://127.0.0.1:8080".to_owned(),
            Self::Resolve { .. } => "write an address, or a name that this host knows".to_owned(),
            Self::NotOurs { host, .. } => {
                format!("if it is yours, say so: --i-own-this-target {host}")
            }
        }
    }
}

impl Target {
    /// Checks a URL. Load goes to loopback addresses, and to the one host that the user says to own.
    ///
    /// # Errors
    /// It is no URL, or leads elsewhere.
    pub fn resolve(url: &str, owned: Option<&str>) -> Result<Self, TargetError> {
        let (target, host) = Self::take_apart(url)?;
        if !target.address.ip().is_loopback() && owned != Some(host) {
            let (host, address) = (host.to_owned(), target.address);
            return Err(TargetError::NotOurs { host, address });
        }
        Ok(target)
    }

    /// Checks a URL that is only asked, and not loaded: it may be anybody's.
    ///
    /// # Errors
    /// It is no URL.
    pub fn to_ask(url: &str) -> Result<Self, TargetError> {
        Ok(Self::take_apart(url)?.0)
    }

    /// The target and its host.
    fn take_apart(url: &str) -> Result<(Self, &str), TargetError> {
        let rest = url.strip_prefix("http://");
        let rest = rest.ok_or_else(|| TargetError::Scheme(url.to_owned()))?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let wrong = || TargetError::Authority(url.to_owned());
        let is_sound = |c: char| c.is_ascii_graphic() && !"@#".contains(c);
        if authority.is_empty() || !rest.chars().all(is_sound) {
            return Err(wrong());
        }
        let (host, port) = match authority.rsplit_once(':') {
            // An IPv6 address has colons of its own, and stands in brackets.
            Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| wrong())?),
            _ => (authority, 80),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address = first_address(url, host, port)?;
        let path = match path {
            "" | "/" => None,
            path if path.starts_with('?') => Some(format!("/{path}")),
            path => Some(path.to_owned()),
        };
        let authority = authority.to_owned();
        Ok((Self { url: url.to_owned(), address, authority, path }, host))
    }
}

/// Of several addresses an IPv4 one is taken: that is where most programs listen.
fn first_address(url: &str, host: &str, port: u16) -> Result<SocketAddr, TargetError> {
    let failed = |why: String| TargetError::Resolve { url: url.to_owned(), why };
    let found = (host, port).to_socket_addrs().map_err(|error| failed(error.to_string()))?;
    let found: Vec<_> = found.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| failed("it has no address".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (url, address, authority, path) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1:8080", None),
            ("http://127.0.0.1:8080/", "127.0.0.1:8080", "127.0.0.1:8080", None),
            ("http://127.0.0.1/a?b=c", "127.0.0.1:80", "127.0.0.1", Some("/a?b=c")),
            ("http://127.0.0.1:1?b", "127.0.0.1:1", "127.0.0.1:1", Some("/?b")),
            ("http://[::1]:8080/x", "[::1]:8080", "[::1]:8080", Some("/x")),
            ("http://[::1]", "[::1]:80", "[::1]", None),
        ] {
            let target = Target::resolve(url, None).unwrap();
            assert_eq!(target.address.to_string(), address, "{url}");
            assert_eq!((target.authority.as_str(), target.path.as_deref()), (authority, path));
        }
    }

    #[test]
    fn what_is_no_url_or_not_ours_is_refused() {
        let refused = |url| Target::resolve(url, None).unwrap_err();
        for url in ["https://127.0.0.1", "127.0.0.1:8080", ""] {
            assert!(matches!(refused(url), TargetError::Scheme(_)), "{url}");
        }
        for url in ["http://", "http://127.0.0.1:x", "http://a b", "http://me@127.0.0.1"] {
            assert!(matches!(refused(url), TargetError::Authority(_)), "{url}");
        }
        let url = "http://192.0.2.1:8080/";
        let error = refused(url);
        assert_eq!(error.hint(), "if it is yours, say so: --i-own-this-target 192.0.2.1");
        assert!(Target::resolve(url, Some("192.0.2.2")).is_err());
        assert!(Target::resolve(url, Some("192.0.2.1")).is_ok());
    }

    #[test]
    fn whoever_is_only_asked_may_be_anybody() {
        let url = "http://192.0.2.1:8079";
        assert!(matches!(Target::resolve(url, None), Err(TargetError::NotOurs { .. })));
        assert_eq!(Target::to_ask(url).unwrap().address, "192.0.2.1:8079".parse().unwrap());
        assert!(matches!(Target::to_ask("https://a"), Err(TargetError::Scheme(_))));
    }
}
