//! What request and response heads have in common: limits, strictness, and the fields that frame and connect.

use httparse::Header;
use thiserror::Error;

/// The largest head, request or response, in bytes. Node.js allows 16 KiB, HAProxy 16 KiB, nginx 32 KiB.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// The most interim responses (100 to 199) before a final one. One `100` and a few `103` are usual.
pub(crate) const INTERIM_HEADS_MAX: u8 = 16;
/// The most fields of a head. HAProxy allows 101, hyper 100, nginx as many as fit its buffers.
pub(crate) const FIELDS_MAX: usize = 128;
/// The longest request target; RFC 9112 section 3 asks for at least 8000 bytes.
pub(crate) const TARGET_BYTES_MAX: usize = 8192;
/// The most digits of a `Content-Length`, zeros in front included. 19 nines are 8 EiB, which no number of 64 bits fails to hold.
const LENGTH_DIGITS_MAX: usize = 19;

/// The HTTP version of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: no chunks, and the connection closes unless asked otherwise.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// Why a head is refused. [`HeadError::status`] is the answer to the client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeadError {
    /// Not HTTP/1 syntax.
    #[error("malformed message head: {0}")]
    Syntax(httparse::Error),
    /// Every line of a head ends in CRLF (RFC 9112 section 2.2 allows, and we refuse, the bare LF).
    #[error("a line of the message head ends in a bare LF")]
    BareLf,
    /// Another version than HTTP/1.0 or HTTP/1.1: HTTP/0.9, or the preface of HTTP/2.
    #[error("HTTP version is not 1.0 or 1.1")]
    Version,
    /// More than [`HEAD_BYTES_MAX`] bytes.
    #[error("message head is larger than {HEAD_BYTES_MAX} bytes")]
    TooLarge,
    /// More than 128 fields.
    #[error("message head has more than {FIELDS_MAX} fields")]
    TooManyFields,
    /// A request target of more than 8192 bytes.
    #[error("request target is longer than {TARGET_BYTES_MAX} bytes")]
    TargetTooLong,
    /// The target has a form the method does not allow, or characters a URI has not.
    #[error("request target is not valid")]
    Target,
    /// RFC 9112 section 3.2: exactly one valid `Host`.
    #[error("a request has exactly one valid host")]
    Host,
    /// RFC 9112 section 6.3: two lengths, a list, not a number, or one of more than 19 digits.
    #[error("Content-Length is not one decimal number of at most {LENGTH_DIGITS_MAX} digits")]
    ContentLength,
    /// RFC 9112 section 6.1: both ways to frame at once, or chunks in HTTP/1.0.
    #[error("Transfer-Encoding beside Content-Length, or in HTTP/1.0")]
    AmbiguousFraming,
    /// A transfer coding other than one final `chunked`.
    #[error("transfer coding is not supported; only chunked is")]
    TransferCoding,
    /// `Connection` may not nominate the fields a message cannot do without.
    #[error("Connection nominates a field that is not hop-by-hop")]
    Connection,
    /// A method that opens a tunnel.
    #[error("CONNECT is not supported")]
    Connect,
    /// RFC 9110 section 7.6.2: the request was to end here, and there is nothing here that answers it.
    #[error("Max-Forwards is 0, and the gateway itself has no answer")]
    MaxForwards,
    /// A status below 100 or above 599 (RFC 9110 section 15).
    #[error("response status is not one of 100 to 599")]
    Status,
    /// RFC 9110 section 15.2.2: a change of protocol that the request did not ask for.
    #[error("response changes to a protocol that was not asked for")]
    UnaskedUpgrade,
    /// More interim responses than any honest machine sends.
    #[error("more than {INTERIM_HEADS_MAX} interim responses before the final one")]
    TooManyInterims,
    /// The machine spoke before anything was asked of it.
    #[error("response came before the request")]
    Unasked,
    /// The client has a response already that this one would have to continue, and cannot: it has another status or type, is
    /// encoded, or only the close of its connection ends it.
    #[error("response with status {0} cannot continue the one that has begun")]
    NotContinued(u16),
    /// `Expect` with anything else than `100-continue`.
    #[error("expectation is not supported; only 100-continue is")]
    Expectation,
}

impl HeadError {
    /// The status code for the client whose request it is (RFC 9110 section 15).
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::TooLarge | Self::TooManyFields => 431,
            Self::TargetTooLong => 414,
            Self::TransferCoding | Self::Connect | Self::MaxForwards => 501,
            Self::Expectation => 417,
            Self::Syntax(_)
            | Self::BareLf
            | Self::Version
            | Self::Target
            | Self::Host
            | Self::ContentLength
            | Self::AmbiguousFraming
            | Self::Connection => 400,
            Self::Status
            | Self::UnaskedUpgrade
            | Self::TooManyInterims
            | Self::Unasked
            | Self::NotContinued(_) => 502,
        }
    }
}

impl From<httparse::Error> for HeadError {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooManyFields,
            httparse::Error::Version => Self::Version,
            other => Self::Syntax(other),
        }
    }
}

/// What the fields of a head say about framing and about the connection.
#[derive(Debug, Default)]
pub(crate) struct Fields<'h> {
    pub(crate) content_length: Option<u64>,
    pub(crate) chunked: bool,
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    /// The last `Upgrade`, if `Connection` names the field.
    pub(crate) upgrade: Option<&'h str>,
    /// Whether the sender takes trailer fields: `TE: trailers`, if `Connection` names the field.
    pub(crate) takes_trailers: bool,
    /// Fields that `Connection` nominates: not passed on (RFC 9110 section 7.6.1).
    nominated: Vec<&'h str>,
}

impl<'h> Fields<'h> {
    pub(crate) fn scan(fields: &[Header<'h>], version: Version) -> Result<Self, HeadError> {
        let mut scan = Self::default();
        let (mut transfer_encoding, mut upgrade, mut te) = (None, None, None);
        for field in fields {
            if is(field.name, "content-length") {
                let is_short = field.value.len() <= LENGTH_DIGITS_MAX;
                let length = decimal(field.value).filter(|_| is_short);
                let length = length.ok_or(HeadError::ContentLength)?;
                if scan.content_length.replace(length).is_some() {
                    return Err(HeadError::ContentLength);
                }
            } else if is(field.name, "transfer-encoding") {
                if transfer_encoding.replace(field.value).is_some() {
                    return Err(HeadError::TransferCoding);
                }
            } else if is(field.name, "connection") {
                scan.options(field.value)?;
            } else if is(field.name, "upgrade") {
                upgrade = str::from_utf8(field.value).ok();
            } else if is(field.name, "te") {
                te = str::from_utf8(field.value).ok();
            }
        }
        let names = |option: &str| scan.nominated.iter().any(|nominated| is(nominated, option));
        scan.upgrade = upgrade.filter(|_| names("upgrade"));
        scan.takes_trailers = te.is_some_and(|te| names("te") && has_token(te, "trailers"));
        if let Some(value) = transfer_encoding {
            if scan.content_length.is_some() || version == Version::Http10 {
                return Err(HeadError::AmbiguousFraming);
            }
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(HeadError::TransferCoding);
            }
            scan.chunked = true;
        }
        Ok(scan)
    }

    fn options(&mut self, value: &'h [u8]) -> Result<(), HeadError> {
        let value = str::from_utf8(value).map_err(|_| HeadError::Connection)?;
        for option in value.split(',').map(str::trim).filter(|option| !option.is_empty()) {
            if is(option, "close") {
                self.close = true;
            } else if is(option, "keep-alive") {
                self.keep_alive = true;
            } else if ["host", "content-length", "transfer-encoding"]
                .iter()
                .any(|name| is(option, name))
            {
                return Err(HeadError::Connection);
            } else {
                self.nominated.push(option);
            }
        }
        Ok(())
    }

    /// Whether the field ends at this hop (RFC 9110 section 7.6.1).
    pub(crate) fn is_hop_by_hop(&self, name: &str) -> bool {
        const HOP_BY_HOP: [&str; 5] =
            ["connection", "keep-alive", "proxy-connection", "te", "upgrade"];
        HOP_BY_HOP.iter().any(|hop| is(name, hop))
            || self.nominated.iter().any(|nominated| is(name, nominated))
    }
}

/// Field names and connection options match without regard to case.
pub(crate) fn is(name: &str, lower: &str) -> bool {
    name.eq_ignore_ascii_case(lower)
}

/// Whether a comma-separated list has the token, with or without parameters, in any case.
pub(crate) fn has_token(list: &str, token: &str) -> bool {
    let items = list.split(',').map(|item| item.split(';').next().unwrap_or("").trim());
    items.into_iter().any(|item| is(item, token))
}

/// A number of 1*DIGIT, nothing else.
pub(crate) fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(value).ok()?.parse().ok()
}

/// What is passed on of a field. A `Content-Length` goes without the zeros in front of it, which RFC 9110 section 8.6 allows
/// and programs that read it as octal, or into a few bytes, take for another number.
pub(crate) fn relayed_value<'h>(field: &Header<'h>) -> &'h [u8] {
    match field.value {
        [zeros @ .., _last] if is(field.name, "content-length") => {
            let zeros = zeros.iter().take_while(|digit| **digit == b'0').count();
            &field.value[zeros..]
        }
        value => value,
    }
}

/// Refuses a complete head that has a line feed without its carriage return.
pub(crate) fn check_line_ends(head: &[u8]) -> Result<(), HeadError> {
    let mut previous = 0;
    for &byte in head {
        if byte == b'\n' && previous != b'\r' {
            return Err(HeadError::BareLf);
        }
        previous = byte;
    }
    Ok(())
}

/// An unfinished head that is already too large will not get better.
pub(crate) fn check_partial(bytes: &[u8]) -> Result<(), HeadError> {
    if bytes.len() >= HEAD_BYTES_MAX { Err(HeadError::TooLarge) } else { Ok(()) }
}

pub(crate) fn version(minor: Option<u8>) -> Version {
    if minor == Some(0) { Version::Http10 } else { Version::Http11 }
}

/// Appends one field line.
pub(crate) fn push_field(wire: &mut Vec<u8>, name: &str, value: &[u8]) {
    wire.extend_from_slice(name.as_bytes());
    wire.extend_from_slice(b": ");
    wire.extend_from_slice(value);
    wire.extend_from_slice(b"\r\n");
}
