//! What a client shows to be let in.

use httparse::Header;

use crate::head::is;

/// The fields that say who asks, as sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// All `Cookie` fields.
    pub cookie: Option<Box<str>>,
    /// The `Authorization` field.
    pub authorization: Option<Box<str>>,
    /// The `Origin` field.
    pub origin: Option<Box<str>>,
}

impl Credentials {
    pub(crate) fn of(headers: &[Header<'_>]) -> Self {
        Self {
            cookie: text(headers, "cookie"),
            authorization: text(headers, "authorization"),
            origin: text(headers, "origin"),
        }
    }
}

/// All fields of the name, joined as RFC 6265 section 5.4 joins cookies; None if there is none or it is not text.
fn text(headers: &[Header<'_>], name: &str) -> Option<Box<str>> {
    let values: Vec<&str> = headers
        .iter()
        .filter(|field| is(field.name, name))
        .filter_map(|field| str::from_utf8(field.value).ok())
        .collect();
    (!values.is_empty()).then(|| values.join("; ").into())
}
