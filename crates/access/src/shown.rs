//! From the fields of an HTTP request to what it shows.

use http::{HeaderMap, Method, header};

use crate::Visit;

/// The fields of a request, where several must be joined first.
#[derive(Debug)]
pub struct Shown<'a> {
    method: &'a Method,
    headers: &'a HeaderMap,
    cookie: Option<String>,
}

impl<'a> Shown<'a> {
    /// Collects what a request shows.
    #[must_use]
    pub fn new(method: &'a Method, headers: &'a HeaderMap) -> Self {
        let cookies: Vec<_> = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        Self { method, headers, cookie: (!cookies.is_empty()).then(|| cookies.join("; ")) }
    }

    /// As a gate wants to see it.
    #[must_use]
    pub fn visit(&self) -> Visit<'_> {
        // A field that is no text, or is there twice, must not count as absent.
        let field = |name: &str| {
            let mut values = self.headers.get_all(name).iter();
            let value = values.next()?.to_str().unwrap_or("?");
            Some(if values.next().is_some() { "?" } else { value })
        };
        Visit {
            method: self.method.as_str(),
            host: field("host").unwrap_or_default(),
            origin: field("origin"),
            sec_fetch_site: field("sec-fetch-site"),
            cookie: self.cookie.as_deref(),
            authorization: field("authorization"),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn cookies_are_joined_and_doubled_fields_are_worth_nothing() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("cookie", "a=1"), ("cookie", "b=2"), ("host", "x"), ("origin", "http://a")]
        {
            headers.append(name, HeaderValue::from_static(value));
        }
        let shown = Shown::new(&Method::GET, &headers);
        let visit = shown.visit();
        assert_eq!((visit.cookie, visit.host), (Some("a=1; b=2"), "x"));
        headers.append("host", HeaderValue::from_static("localhost"));
        headers.insert("origin", HeaderValue::from_bytes(b"\xff").unwrap());
        let shown = Shown::new(&Method::GET, &headers);
        assert_eq!((shown.visit().host, shown.visit().origin), ("?", Some("?")));
    }
}
