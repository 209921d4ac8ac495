//! Where a request goes: its target and its host (RFC 9112 section 3.2).

use httparse::Header;

use crate::authority::is_authority;
use crate::head::{HeadError, TARGET_BYTES_MAX, Version, is};

/// A method and where it goes, as a record keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTarget {
    /// The method, as sent.
    pub method: Box<str>,
    /// The path without query: a query may hold secrets and is not recorded.
    pub path: Box<str>,
    /// The query, without `?`.
    pub query: Option<Box<str>>,
}

/// The authority, if the target has one, and the origin-form (RFC 9112 section 3.2).
pub(crate) fn split_target<'t>(
    method: &str,
    target: &'t str,
) -> Result<(Option<&'t str>, &'t str), HeadError> {
    if target.len() > TARGET_BYTES_MAX {
        return Err(HeadError::TargetTooLong);
    }
    if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(HeadError::Target);
    }
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Ok((None, target));
    }
    let scheme_end = target.find("://").ok_or(HeadError::Target)?;
    if !["http", "https"].iter().any(|scheme| is(&target[..scheme_end], scheme)) {
        return Err(HeadError::Target);
    }
    let rest = &target[scheme_end + 3..];
    let path_start = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path_start);
    let origin_form = match (path, method) {
        // It asks about the server as a whole (RFC 9112 section 3.2.4).
        ("", "OPTIONS") => "*",
        ("", _) => "/",
        _ => path,
    };
    if origin_form.starts_with('?') {
        return Err(HeadError::Target);
    }
    Ok((Some(authority), origin_form))
}

/// RFC 9112 section 3.2: one `Host`; an absolute target takes its place.
pub(crate) fn host<'h>(
    headers: &[Header<'h>],
    authority: Option<&'h str>,
    version: Version,
) -> Result<&'h str, HeadError> {
    let mut hosts = headers.iter().filter(|field| is(field.name, "host"));
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() || (first.is_none() && version == Version::Http11) {
        return Err(HeadError::Host);
    }
    let claimed = match first {
        Some(field) => Some(str::from_utf8(field.value).map_err(|_| HeadError::Host)?),
        None => None,
    };
    // Also the one that an absolute target replaces: whoever reads it must not be misled.
    if [claimed, authority].into_iter().flatten().all(is_authority) {
        Ok(authority.or(claimed).unwrap_or(""))
    } else {
        Err(HeadError::Host)
    }
}
