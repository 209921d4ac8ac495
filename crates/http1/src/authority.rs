//! Which texts name a host (RFC 3986 section 3.2, without what RFC 9110 section 4.2.4 forbids: user information).

use std::net::Ipv6Addr;

/// Whether the text is `host` or `host:port`: a name, an IPv4 address, or an IPv6 address in brackets.
///
/// Stricter than the grammar in two ways that no client needs and attacks do: the host is not empty, and a port has digits.
pub(crate) fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => (None, port),
            _ => return false,
        },
        None => match text.find(':') {
            Some(colon) => (Some(&text[..colon]), &text[colon..]),
            None => (Some(text), ""),
        },
    };
    host.is_none_or(is_name) && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// `reg-name`, which an IPv4 address is too: unreserved characters, sub-delimiters and percent-encoded bytes.
fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let mut is_valid = !name.is_empty();
    while let Some(byte) = bytes.next() {
        is_valid &= match byte {
            b'%' => [bytes.next(), bytes.next()]
                .iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte),
        };
    }
    is_valid
}

fn is_port(digits: &str) -> bool {
    digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_and_without_ports() {
        for text in ["a", "desk.test:8080", "127.0.0.1", "[::1]", "[::1]:80", "a%41b", "a_b", "a:0"]
        {
            assert!(is_authority(text), "{text}");
        }
    }

    #[test]
    fn texts_that_name_no_host() {
        for text in [
            "", ":80", "a:", "a:b", "a:65536", "a:+1", "a b", "a/b", "a@b", "u:p@b", "a?b", "a#b",
            "a\\b", "[::1", "::1", "[::1]80", "[::1]:", "[a]", "[]", "a]", "a%4", "a%zz", "\u{e4}",
            "a:1:2",
        ] {
            assert!(!is_authority(text), "{text}");
        }
    }
}
