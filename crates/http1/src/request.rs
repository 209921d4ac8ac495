//! Request heads: from what a client sent to what a machine gets.

use std::mem::MaybeUninit;

use httparse::Header;

use crate::body::Body;
use crate::credentials::Credentials;
use crate::head::{
    FIELDS_MAX, Fields, HEAD_BYTES_MAX, HeadError, TARGET_BYTES_MAX, Version, check_line_ends,
    check_partial, decimal, has_token, is, push_field, relayed_value, version,
};
use crate::inbox::Inbox;
use crate::target::{RequestTarget, host, split_target};

/// Says of a field name whether a client may not claim it: such fields are left out.
pub type Untrusted = fn(&str) -> bool;

/// A request whose head has been read, checked and rewritten.
#[derive(Debug)]
pub struct Request {
    /// Method and path.
    pub target: RequestTarget,
    /// The `Host` field, or the authority of an absolute target; empty if an HTTP/1.0 client gave neither.
    pub host: Box<str>,
    /// The client's version.
    pub version: Version,
    /// The body that follows.
    pub body: Body,
    /// Whether the client lets the connection serve another request.
    pub keep_alive: bool,
    /// The protocols to which the client asks to change, as sent (RFC 9110 section 7.8). Such a request has no body.
    pub upgrade: Option<Box<str>>,
    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 section 10.1.1).
    pub expects_continue: bool,
    /// The head for the machine, without the empty line that ends it: the gateway's own lines come first.
    pub wire: Vec<u8>,
    /// What the client shows to be let in; kept for [`OWN_PATHS`] only.
    pub credentials: Option<Box<Credentials>>,
}

/// The paths that the gateway answers itself.
pub const OWN_PATHS: &str = "/.outlast/";

/// The last line of a head that has it.
const EXPECTATION: &[u8] = b"Expect: 100-continue\r\n";

/// Room for the request line's own bytes and for the lines that the gateway adds, so that the head is allocated once.
const OWN_LINES_ROOM: usize = 448;

impl Request {
    /// Parses the head at the start of `bytes` and says how long it was; None if it is not complete yet.
    ///
    /// # Errors
    /// The head breaks a rule of RFC 9110 or RFC 9112, or asks for what is not supported.
    pub fn parse(bytes: &[u8], untrusted: Untrusted) -> Result<Option<(Self, usize)>, HeadError> {
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut head = httparse::Request::new(&mut []);
        let length = match head.parse_with_uninit_headers(bytes, &mut fields)? {
            httparse::Status::Complete(length) if length <= HEAD_BYTES_MAX => length,
            httparse::Status::Complete(_) => return Err(HeadError::TooLarge),
            httparse::Status::Partial => {
                if head.path.is_some_and(|path| path.len() > TARGET_BYTES_MAX) {
                    return Err(HeadError::TargetTooLong);
                }
                check_partial(bytes)?;
                return Ok(None);
            }
        };
        check_line_ends(&bytes[..length])?;
        Ok(Some((Self::checked(&head, untrusted)?, length)))
    }

    /// Takes the body out of `inbox` without using it. False if some of it has not arrived: then the connection cannot
    /// serve another request.
    pub fn discard_body(&mut self, inbox: &mut Inbox) -> bool {
        let mut bytes = inbox.drain();
        match self.body.advance(&mut bytes) {
            Ok(advanced) => {
                inbox.put_back(&bytes[advanced.consumed..]);
                self.body.is_ended()
            }
            Err(_malformed) => false,
        }
    }

    /// Gives the machine a `Host` where the client gave none: it is spoken to in HTTP/1.1, which does not go without
    /// (RFC 9112 section 3.2). Nobody has claimed it, and so [`Request::host`] stays empty.
    ///
    /// # Panics
    /// When the client gave one.
    pub fn name_host(&mut self, authority: &str) {
        assert!(self.host.is_empty(), "a request has one host");
        let line_end = self.wire.iter().position(|byte| *byte == b'\n').expect("a request line");
        let field = format!("Host: {authority}\r\n");
        self.wire.splice(line_end + 1..line_end + 1, field.into_bytes());
    }

    /// Leaves out the expectation, because it has been met: the machine need not meet it again.
    pub fn expectation_is_met(&mut self) {
        if std::mem::take(&mut self.expects_continue) {
            self.wire.truncate(self.wire.len() - EXPECTATION.len());
        }
    }

    /// Whether the response has no body because the method is `HEAD`.
    #[must_use]
    pub fn is_head(&self) -> bool {
        &*self.target.method == "HEAD"
    }

    fn checked(head: &httparse::Request<'_, '_>, untrusted: Untrusted) -> Result<Self, HeadError> {
        let version = version(head.version);
        let method = head.method.expect("a complete head has a method");
        let target = head.path.expect("a complete head has a target");
        let fields = Fields::scan(head.headers, version)?;
        refuse_unsupported(method, head.headers)?;
        let (authority, origin_form) = split_target(method, target)?;
        let host = host(head.headers, authority, version)?;
        let (path, query) = match origin_form.split_once('?') {
            Some((path, query)) => (path, Some(query.into())),
            None => (origin_form, None),
        };
        let body = match (fields.chunked, fields.content_length) {
            (true, _) => Body::chunked_request(),
            (false, Some(length)) => Body::length(length),
            (false, None) => Body::none(),
        };
        let upgrade = asked_upgrade(version, &fields, &body);
        let expects_continue = version == Version::Http11
            && !body.is_ended()
            && head.headers.iter().any(|field| is(field.name, "expect"));
        let line = Line { method, target: origin_form, host, upgrade, expects_continue };
        Ok(Self {
            target: RequestTarget { method: method.into(), path: path.into(), query },
            host: host.into(),
            version,
            upgrade: upgrade.map(Into::into),
            expects_continue,
            body,
            keep_alive: keep_alive(version, &fields),
            wire: rewrite(&line, head.headers, &fields, untrusted),
            credentials: path
                .starts_with(OWN_PATHS)
                .then(|| Box::new(Credentials::of(head.headers))),
        })
    }
}

/// RFC 9112 section 9.3.
pub(crate) fn keep_alive(version: Version, fields: &Fields<'_>) -> bool {
    match version {
        Version::Http11 => !fields.close,
        Version::Http10 => fields.keep_alive && !fields.close,
    }
}

fn refuse_unsupported(method: &str, headers: &[Header<'_>]) -> Result<(), HeadError> {
    if method == "CONNECT" {
        return Err(HeadError::Connect);
    }
    for field in headers {
        if is(field.name, "expect") && !field.value.eq_ignore_ascii_case(b"100-continue") {
            return Err(HeadError::Expectation);
        }
        if counts_forwards(method, field) && decimal(field.value) == Some(0) {
            return Err(HeadError::MaxForwards);
        }
    }
    Ok(())
}

/// Whether the field limits how often this request is passed on (RFC 9110 section 7.6.2).
fn counts_forwards(method: &str, field: &Header<'_>) -> bool {
    matches!(method, "OPTIONS" | "TRACE") && is(field.name, "max-forwards")
}

/// The protocols asked for, if the request is one that may be answered by a change. Any other `Upgrade` is ignored, which
/// is always allowed (RFC 9110 section 7.8). `h2c` is gone (RFC 9113 section 3.1), and a tunnel for it would carry requests
/// that nobody checks.
fn asked_upgrade<'h>(version: Version, fields: &Fields<'h>, body: &Body) -> Option<&'h str> {
    let is_possible = version == Version::Http11 && body.is_ended();
    fields.upgrade.filter(|protocols| {
        is_possible && !protocols.trim().is_empty() && !has_token(protocols, "h2c")
    })
}

/// What the first lines of a rewritten head say.
struct Line<'h> {
    method: &'h str,
    target: &'h str,
    host: &'h str,
    upgrade: Option<&'h str>,
    expects_continue: bool,
}

fn rewrite(
    line: &Line<'_>,
    headers: &[Header<'_>],
    fields: &Fields<'_>,
    untrusted: Untrusted,
) -> Vec<u8> {
    let Line { method, target, host, upgrade, expects_continue } = line;
    let size: usize = headers.iter().map(|field| field.name.len() + field.value.len() + 4).sum();
    let mut wire = Vec::with_capacity(method.len() + target.len() + size + OWN_LINES_ROOM);
    wire.extend_from_slice(method.as_bytes());
    wire.push(b' ');
    wire.extend_from_slice(target.as_bytes());
    wire.extend_from_slice(b" HTTP/1.1\r\n");
    if !host.is_empty() {
        push_field(&mut wire, "Host", host.as_bytes());
    }
    for field in headers {
        let is_ours = is(field.name, "host") || is(field.name, "expect");
        if is_ours || fields.is_hop_by_hop(field.name) || untrusted(field.name) {
            continue;
        }
        match decimal(field.value).filter(|_| counts_forwards(method, field)) {
            Some(left) => push_field(&mut wire, field.name, (left - 1).to_string().as_bytes()),
            None => push_field(&mut wire, field.name, relayed_value(field)),
        }
    }
    // Ours to the next hop, where the client's own have ended (RFC 9110 section 7.6.1).
    match (upgrade, fields.takes_trailers) {
        (Some(_), true) => push_field(&mut wire, "Connection", b"Upgrade, TE"),
        (Some(_), false) => push_field(&mut wire, "Connection", b"Upgrade"),
        (None, true) => push_field(&mut wire, "Connection", b"TE"),
        (None, false) => {}
    }
    if let Some(protocols) = upgrade {
        push_field(&mut wire, "Upgrade", protocols.as_bytes());
    }
    if fields.takes_trailers {
        push_field(&mut wire, "TE", b"trailers");
    }
    if *expects_continue {
        wire.extend_from_slice(EXPECTATION);
    }
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTRUSTED: Untrusted = |name| is(name, "fly-client-ip");

    fn parse(head: &str) -> Result<Option<(Request, usize)>, HeadError> {
        Request::parse(head.as_bytes(), UNTRUSTED)
    }

    #[test]
    fn a_head_is_rewritten_for_the_machine() {
        let head = "POST /api/chat?x=1 HTTP/1.1\r\nHost: a:8080\r\nFly-Client-IP: 6.6.6.6\r\n\
                    Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\nKeep-Alive: 5\r\n\
                    Content-Length: 3\r\nCookie: a=b\r\n\r\nabc";
        let (request, length) = parse(head).expect("valid").expect("complete");
        assert_eq!(length, head.len() - 3);
        let wire = String::from_utf8(request.wire).expect("text");
        assert_eq!(
            wire,
            "POST /api/chat?x=1 HTTP/1.1\r\nHost: a:8080\r\nContent-Length: 3\r\n\
             Cookie: a=b\r\n"
        );
        assert_eq!(&*request.target.path, "/api/chat");
        assert_eq!(request.body, Body::length(3));
        assert!(request.keep_alive);
    }

    #[test]
    fn an_absolute_target_takes_the_place_of_host() {
        let head = "GET http://b.example:1?q HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(parse(head).err(), Some(HeadError::Target));
        let head = "GET HTTP://b.example:1/x?q HTTP/1.1\r\nHost: a\r\n\r\n";
        let (request, _) = parse(head).expect("valid").expect("complete");
        assert!(request.wire.starts_with(b"GET /x?q HTTP/1.1\r\nHost: b.example:1\r\n"));
        for (method, start) in [("GET", "GET / "), ("OPTIONS", "OPTIONS * ")] {
            let head = format!("{method} http://b HTTP/1.1\r\nHost: a\r\n\r\n");
            let (request, _) = parse(&head).expect("valid").expect("complete");
            assert!(request.wire.starts_with(start.as_bytes()), "{method}");
        }
    }

    #[test]
    fn a_host_that_no_client_gave_is_named_to_the_machine_alone() {
        let (mut request, _) =
            parse("GET / HTTP/1.0\r\nA: b\r\n\r\n").expect("valid").expect("complete");
        request.name_host("[::1]:8081");
        assert_eq!(request.wire, b"GET / HTTP/1.1\r\nHost: [::1]:8081\r\nA: b\r\n");
        assert_eq!(&*request.host, "");
    }

    #[test]
    fn a_length_is_passed_on_without_the_zeros_in_front_of_it() {
        for (sent, passed_on) in
            [("0000000000000000010", "10"), ("000", "0"), ("0", "0"), ("100", "100")]
        {
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {sent}\r\n\r\n");
            let (request, _) = parse(&head).expect("valid").expect("complete");
            let wire = String::from_utf8(request.wire).expect("text");
            assert!(wire.ends_with(&format!("\r\nContent-Length: {passed_on}\r\n")), "{wire}");
            assert_eq!(request.body, Body::length(passed_on.parse().expect("a number")));
        }
    }

    #[test]
    fn keep_alive_follows_the_version() {
        for (head, want) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ] {
            let (request, _) = parse(head).expect("valid").expect("complete");
            assert_eq!(request.keep_alive, want, "{head:?}");
        }
    }

    #[test]
    fn protocols_are_asked_for_by_requests_that_may() {
        for (lines, asked) in [
            ("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", Some("websocket")),
            ("GET / HTTP/1.1\r\nUpgrade: websocket\r\n", None),
            ("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n", None),
            ("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket, H2C;x\r\n", None),
            ("GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", None),
            (
                "POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n",
                None,
            ),
        ] {
            let (request, _) =
                parse(&format!("{lines}Host: a\r\n\r\n")).expect("valid").expect("complete");
            assert_eq!(request.upgrade.as_deref(), asked, "{lines:?}");
            let wire = String::from_utf8(request.wire).expect("text");
            assert_eq!(wire.contains("Upgrade"), asked.is_some(), "{wire}");
        }
    }

    #[test]
    fn forwards_are_counted_where_a_request_is_traced() {
        let wire = |method: &str, target: &str| {
            let head = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n\r\n");
            let (request, _) = parse(&head).expect("valid").expect("complete");
            String::from_utf8(request.wire).expect("text")
        };
        assert!(wire("OPTIONS", "*").starts_with("OPTIONS * HTTP/1.1\r\n"));
        assert!(wire("OPTIONS", "*").ends_with("Max-Forwards: 9\r\n"));
        assert!(wire("GET", "/").ends_with("Max-Forwards: 10\r\n"));
    }

    #[test]
    fn trailers_are_announced_to_the_next_hop_too() {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: gzip, trailers;q=1\r\n\r\n";
        let (request, _) = parse(head).expect("valid").expect("complete");
        let wire = String::from_utf8(request.wire).expect("text");
        assert!(wire.ends_with("Connection: TE\r\nTE: trailers\r\n"), "{wire}");
    }

    #[test]
    fn a_client_may_wait_for_leave_to_send() {
        for (lines, expects) in [
            ("POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n", true),
            ("POST / HTTP/1.1\r\nExpect: 100-continue\r\n", false),
            ("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n", false),
        ] {
            let (mut request, _) =
                parse(&format!("{lines}Host: a\r\n\r\n")).expect("valid").expect("complete");
            assert_eq!(request.expects_continue, expects, "{lines:?}");
            assert_eq!(request.wire.ends_with(EXPECTATION), expects);
            request.expectation_is_met();
            assert!(!request.wire.ends_with(EXPECTATION) && request.wire.ends_with(b"\r\n"));
        }
    }

    #[test]
    fn heads_that_are_refused() {
        for (lines, status) in [
            ("GET / HTTP/1.1\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a b\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n", 400),
            ("GET / HTTP/1.1\nHost: a\r\n", 400),
            ("GET / HTTP/1.1\r\nHost : a\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: \r\n", 400),
            ("GET / HTTP/1.1\r\nHost: u@a\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a:b\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a, b\r\n", 400),
            ("GET / HTTP/1.0\r\nHost: a b\r\n", 400),
            ("GET http://a/ HTTP/1.1\r\nHost: a b\r\n", 400),
            ("GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n", 400),
            ("GET http:// HTTP/1.1\r\nHost: a\r\n", 400),
            ("GET http://a?x HTTP/1.1\r\nHost: a\r\n", 400),
            ("GET //\x01 HTTP/1.1\r\nHost: a\r\n", 400),
            ("GET /\u{e4} HTTP/1.1\r\nHost: a\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\x07b\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX\x01: a\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX\t: a\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\n: a\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n", 400),
            ("GET / HTTP/1.1\r\n Host: a\r\n", 400),
            ("GET / HTTP/1.1 \r\nHost: a\r\n", 400),
            ("GET  / HTTP/1.1\r\nHost: a\r\n", 400),
            ("GET\t/ HTTP/1.1\r\nHost: a\r\n", 400),
            ("G(T / HTTP/1.1\r\nHost: a\r\n", 400),
            (" GET / HTTP/1.1\r\nHost: a\r\n", 400),
            ("GET /\r\n", 400),
            ("GET / HTTP/2.0\r\nHost: a\r\n", 400),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n", 400),
            ("GET / HTTP/1.2\r\nHost: a\r\n", 400),
            ("GET / http/1.1\r\nHost: a\r\n", 400),
            ("GET / HTTP/1.1\nHost: a\n", 400),
            ("GET /#x HTTP/1.1\r\nHost: a\r\n", 400),
            ("GET x HTTP/1.1\r\nHost: a\r\n", 400),
            ("GET * HTTP/1.1\r\nHost: a\r\n", 400),
            ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n", 400),
            ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n", 501),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n", 501),
            ("TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 00\r\n", 501),
            ("POST / HTTP/1.1\r\nHost: a\r\nExpect: bread\r\n", 417),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\n", 400),
        ] {
            refused(lines, status);
        }
    }

    #[test]
    fn framings_that_are_refused() {
        for (lines, status) in [
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 00000000000000000003\r\n", 400),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                400,
            ),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1.0\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n", 501),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n", 501),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n", 501),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n", 501),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n", 501),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n", 501),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                501,
            ),
        ] {
            refused(lines, status);
        }
    }

    fn refused(lines: &str, status: u16) {
        let error = parse(&format!("{lines}\r\n")).err();
        assert_eq!(error.as_ref().map(HeadError::status), Some(status), "{lines:?} {error:?}");
    }

    #[test]
    fn large_heads_are_refused_before_they_are_complete() {
        let long = "a".repeat(HEAD_BYTES_MAX);
        let error = parse(&format!("GET / HTTP/1.1\r\nX: {long}")).err();
        assert_eq!(error, Some(HeadError::TooLarge));
        let error = parse(&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n")).err();
        assert_eq!(error, Some(HeadError::TooLarge));
        let target = "a".repeat(TARGET_BYTES_MAX);
        let error = parse(&format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n")).err();
        assert_eq!(error, Some(HeadError::TargetTooLong));
        let many = "A: b\r\n".repeat(FIELDS_MAX);
        let error = parse(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")).err();
        assert_eq!(error, Some(HeadError::TooManyFields));
        let most = "A: b\r\n".repeat(FIELDS_MAX - 1);
        assert!(parse(&format!("GET / HTTP/1.1\r\nHost: a\r\n{most}\r\n")).is_ok());
    }

    #[test]
    fn a_head_in_pieces_is_incomplete_until_its_last_byte() {
        let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for end in 0..head.len() {
            assert!(parse(&head[..end]).expect("valid so far").is_none(), "{end}");
        }
        assert!(parse(head).expect("valid").is_some());
    }
}
