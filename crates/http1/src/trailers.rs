//! The trailer section that may follow the last chunk (RFC 9112 section 7.1.2).

use crate::body::BodyError;
use crate::head::{FIELDS_MAX, is};
use crate::inbox::is_forwarding_claim;

/// Trailer fields, all lines together. They are kept until their end has come, to be looked at as a whole.
const TRAILER_BYTES_MAX: usize = 8192;

/// Who sends a body: more is refused of a request's trailers than of a response's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Machine,
}

/// A trailer section as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrailerSection {
    bytes: Vec<u8>,
    sender: Sender,
}

impl TrailerSection {
    pub(crate) fn new(sender: Sender) -> Self {
        Self { bytes: Vec::new(), sender }
    }

    /// Takes bytes up to the end of the section; returns how many, and whether the end was among them.
    ///
    /// # Errors
    /// A line does not end in CRLF, is no field line, or names a field that may not be a trailer.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Result<(usize, bool), BodyError> {
        for (index, &byte) in bytes.iter().enumerate() {
            if (byte == b'\n') != self.bytes.ends_with(b"\r") {
                return Err(BodyError::TrailerSection);
            }
            if self.bytes.len() == TRAILER_BYTES_MAX {
                return Err(BodyError::TrailersTooLong);
            }
            self.bytes.push(byte);
            if self.bytes == b"\r\n" || self.bytes.ends_with(b"\r\n\r\n") {
                self.check()?;
                return Ok((index + 1, true));
            }
        }
        Ok((bytes.len(), false))
    }

    fn check(&self) -> Result<(), BodyError> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        match httparse::parse_headers(&self.bytes, &mut fields) {
            Ok(httparse::Status::Complete((_, fields))) => {
                let is_claim =
                    |name: &str| self.sender == Sender::Client && is_forwarding_claim(name);
                let mut names = fields.iter().map(|field| field.name);
                let allowed = names.all(|name| !is_forbidden(name) && !is_claim(name));
                if allowed { Ok(()) } else { Err(BodyError::ForbiddenTrailer) }
            }
            _ => Err(BodyError::TrailerSection),
        }
    }
}

/// RFC 9110 section 6.5.1: fields that frame, route, authenticate or describe the message mean nothing after it, and
/// whoever merges them into the head is misled.
fn is_forbidden(name: &str) -> bool {
    const FORBIDDEN: [&str; 19] = [
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "max-forwards",
        "proxy-authorization",
        "proxy-connection",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    ];
    FORBIDDEN.iter().any(|forbidden| is(name, forbidden))
}
