//! Proxies before the gateway: which ones are trusted, and by which header they name a client.

use std::net::IpAddr;
use std::str::FromStr;

use toml::de::DeValue;

use crate::setting::{ParseSettingError, Setting, strings};

/// Addresses that begin alike: one address, or `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// So many bits count.
    prefix: u8,
}

impl Network {
    /// Whether an address is one of them. An IPv4 address within IPv6 is the IPv4 address.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let host_bits = 32 - u32::from(self.prefix);
                (own.to_bits() ^ other.to_bits()).checked_shr(host_bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let host_bits = 128 - u32::from(self.prefix);
                (own.to_bits() ^ other.to_bits()).checked_shr(host_bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = ParseSettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseSettingError::Network { given: text.to_owned() };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(digits) => digits.parse().ok().filter(|prefix| *prefix <= bits),
            None => Some(bits),
        };
        Ok(Self { address, prefix: prefix.ok_or_else(wrong)? })
    }
}

impl Setting for Vec<Network> {
    const WANTED: &'static str = "a list of networks";
    const EXAMPLE: &'static str = "[\"10.0.0.0/8\", \"fdaa::/16\"]";

    fn from_text(text: &str) -> Result<Self, ParseSettingError> {
        text.split(',').map(|network| network.trim().parse()).collect()
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Self, ParseSettingError> {
        strings::<Self>(value)?.iter().map(|network| network.parse()).collect()
    }

    fn show(&self) -> String {
        let network = |network: &Network| format!("\"{}/{}\"", network.address, network.prefix);
        let networks: Vec<_> = self.iter().map(network).collect();
        format!("[{}]", networks.join(", "))
    }
}

/// The name of a header, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderName(String);

impl HeaderName {
    /// Whether a field has the name, in any case.
    #[must_use]
    pub fn names(&self, field: &str) -> bool {
        self.0.eq_ignore_ascii_case(field)
    }
}

impl FromStr for HeaderName {
    type Err = ParseSettingError;

    /// Reads a token (RFC 9110 section 5.6.2).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if text.is_empty() || !text.bytes().all(is_token) {
            return Err(ParseSettingError::HeaderName { given: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl Setting for HeaderName {
    const WANTED: &'static str = "the name of a header";
    const EXAMPLE: &'static str = "\"X-Forwarded-For\"";

    fn from_text(text: &str) -> Result<Self, ParseSettingError> {
        text.parse()
    }

    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
}

impl Setting for Option<HeaderName> {
    const WANTED: &'static str = "the name of a header, or \"\"";
    const EXAMPLE: &'static str = "\"Authorization\"";

    fn from_text(text: &str) -> Result<Self, ParseSettingError> {
        if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "\"\"".to_owned(), Setting::show)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_the_addresses_that_begin_like_them() {
        for (network, ip, want) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "::10.1.2.3", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("0.0.0.0/0", "192.0.2.6", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("fdaa::/16", "fdaa:1::1", true),
            ("fdaa::/16", "fdab::1", false),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(ip.parse().unwrap()), want, "{network} {ip}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "fly", "10.0.0.0/", "10.0.0.0/-1"] {
            assert!(bad.parse::<Network>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_header_is_named_by_a_token() {
        let name: HeaderName = "Fly-Client-IP".parse().unwrap();
        assert!(name.names("fly-client-ip") && !name.names("Fly-Client-I"));
        for bad in ["", "a b", "a:", "\u{e4}"] {
            assert!(bad.parse::<HeaderName>().is_err(), "{bad:?}");
        }
    }
}
