//! Response heads: from what a machine sent to what the client gets.

use std::mem::MaybeUninit;

use httparse::Header;

use crate::body::{Body, Coding};
use crate::head::{
    FIELDS_MAX, Fields, HEAD_BYTES_MAX, HeadError, Version, check_line_ends, check_partial,
    has_token, is, push_field, relayed_value, version,
};
use crate::messages::{MessageKind, Messages};
use crate::request::keep_alive;

/// By which a machine sends a request on to another one.
const REPLAY: &str = "fly-replay";

/// Room for the status line's own bytes, `Connection` and the empty line.
const OWN_BYTES_ROOM: usize = 48;

/// What a response must suit.
#[derive(Debug, Clone)]
pub struct ResponseRules {
    /// The request was `HEAD`: the response has no body whatever it says.
    pub is_head: bool,
    /// The client's version: HTTP/1.0 gets no chunks.
    pub client_version: Version,
    /// Whether the client's connection may serve another request.
    pub keep_alive: bool,
    /// Complete field lines (with CRLF) added to the final head.
    pub lines: Box<[u8]>,
    /// Whether a machine may send the request on to another one.
    pub replay: ReplayRule,
    /// Whether the request may be sent again when its connection dies before an answer.
    pub repeat: RepeatRule,
    /// Whether signs of life may be put into the response.
    pub heartbeat: HeartbeatRule,
    /// What the client has of this response already: a head of ours with 200, a type of this kind and the chunked coding, and
    /// whole messages in whole chunks. Then the machine's body follows without its head, if it is one that can; else the head
    /// is refused with [`HeadError::NotContinued`].
    pub begun: Option<MessageKind>,
    /// The most bytes held for a peer that does not read, per direction: at least 16 KiB, at most
    /// [`PENDING_MAX`](crate::PENDING_MAX).
    pub buffer_max: usize,
    /// The protocols to which the request asked to change. None: a change is a fault of the machine.
    pub upgrade: Option<Box<str>>,
}

/// What becomes of a `fly-replay` field. The client never sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayRule {
    /// The request goes to the machine it names, if its body was short enough to be kept.
    Follow,
    /// The response is relayed as any other: there is no other machine.
    Ignore,
}

/// What becomes of a request whose connection dies before a byte of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepeatRule {
    /// It is sent again, whole: its method is safe (RFC 9110 section 9.2.1), and the connection had served before, so that
    /// its end most likely has nothing to do with the request.
    Safe,
    /// It fails: a machine may have acted on it.
    Never,
}

/// Whether [`Exchange::beat`](crate::Exchange::beat) may put signs of life into a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeartbeatRule {
    /// Only what the machine sends.
    Never,
    /// Comments between events and empty lines between lines; nothing into any other response.
    BetweenMessages,
}

/// Where a machine sends a request on to (Fly's dynamic request routing).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// `instance=ID`: to this machine.
    Instance(Box<str>),
    /// `elsewhere=true`: to any other one.
    Elsewhere,
}

impl Replay {
    /// Other directions (`region`, `app`, `state`) are not for us.
    fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        text.split([';', ',']).find_map(|part| match part.trim().split_once('=')? {
            ("instance", id) => Some(Self::Instance(id.trim().into())),
            ("elsewhere", flag) if flag.trim() == "true" => Some(Self::Elsewhere),
            _ => None,
        })
    }
}

/// A response head that has been read and rewritten.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The body that follows, on the machine's side.
    pub(crate) body: Body,
    /// Whether the machine lets the connection serve another request.
    pub(crate) machine_keep_alive: bool,
    /// Whether the client may send another request on its connection.
    pub(crate) client_keep_alive: bool,
    /// Where the machine sends the request on to, if that is followed.
    pub(crate) replay: Option<Replay>,
    /// The messages of the body, where signs of life may be put between them.
    pub(crate) messages: Option<Messages>,
    /// What the client gets after the body.
    pub(crate) tail: Tail,
}

/// What a body lacks that has a length, and is passed on within a response in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    None,
    /// The end of its only chunk, and the last one.
    ChunkEnd,
    /// The last chunk: it was empty.
    LastChunk,
}

impl Tail {
    pub(crate) fn bytes(self) -> &'static [u8] {
        match self {
            Self::None => b"",
            Self::ChunkEnd => b"\r\n0\r\n\r\n",
            Self::LastChunk => b"0\r\n\r\n",
        }
    }
}

impl Response {
    /// Whether another head follows (RFC 9110 section 15.2).
    pub(crate) fn is_interim(&self) -> bool {
        self.status < 200 && !self.is_upgrade()
    }

    /// Whether the connection changes its protocol after this head (RFC 9110 section 15.2.2).
    pub(crate) fn is_upgrade(&self) -> bool {
        self.status == 101
    }

    /// Parses the head at the start of `bytes`, appends the client's head to `wire`, and says how long the head was;
    /// None if it is not complete yet.
    pub(crate) fn parse(
        bytes: &[u8],
        rules: &ResponseRules,
        wire: &mut Vec<u8>,
    ) -> Result<Option<(Self, usize)>, HeadError> {
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut head = httparse::Response::new(&mut []);
        let parser = httparse::ParserConfig::default();
        let length =
            match parser.parse_response_with_uninit_headers(&mut head, bytes, &mut fields)? {
                httparse::Status::Complete(length) if length <= HEAD_BYTES_MAX => length,
                httparse::Status::Complete(_) => return Err(HeadError::TooLarge),
                httparse::Status::Partial => {
                    check_partial(bytes)?;
                    return Ok(None);
                }
            };
        check_line_ends(&bytes[..length])?;
        Ok(Some((Self::checked(&head, rules, wire)?, length)))
    }

    fn checked(
        head: &httparse::Response<'_, '_>,
        rules: &ResponseRules,
        wire: &mut Vec<u8>,
    ) -> Result<Self, HeadError> {
        let version = version(head.version);
        let status = head.code.expect("a complete head has a status");
        if !(100..600).contains(&status) {
            return Err(HeadError::Status);
        }
        let fields = Fields::scan(head.headers, version)?;
        if status == 101 && !is_asked_for(fields.upgrade, rules) {
            return Err(HeadError::UnaskedUpgrade);
        }
        let body = body(status, &fields, rules);
        let client_keep_alive = rules.keep_alive
            && status != 101
            && !body.is_until_close()
            && !(fields.chunked && rules.client_version == Version::Http10);
        let replay = head
            .headers
            .iter()
            .find(|field| rules.replay == ReplayRule::Follow && is(field.name, REPLAY))
            .and_then(|field| Replay::parse(field.value));
        let messages = match (rules.begun, rules.heartbeat) {
            (Some(kind), _) => Messages::continuing(kind, status, head.headers, &body),
            (None, HeartbeatRule::Never) => None,
            (None, HeartbeatRule::BetweenMessages) => Messages::of(status, head.headers, &body),
        };
        let tail = match (rules.begun, fields.content_length) {
            (Some(_), Some(0)) => Tail::LastChunk,
            (Some(_), Some(_)) => Tail::ChunkEnd,
            _ => Tail::None,
        };
        let response = Self {
            status,
            replay,
            messages,
            tail,
            // A body that is announced where there is none may yet come.
            machine_keep_alive: keep_alive(version, &fields)
                && !body.is_until_close()
                && !(is_never_framed(status) && announces_body(&fields)),
            client_keep_alive,
            body,
        };
        if rules.begun.is_some() {
            if response.messages.is_some() && response.tail == Tail::ChunkEnd {
                let length = fields.content_length.unwrap_or(0);
                wire.extend_from_slice(format!("{length:x}\r\n").as_bytes());
            }
            return Ok(response);
        }
        // An HTTP/1.0 client does not know interim responses (RFC 9110 section 15.2).
        if !(response.is_interim() && rules.client_version == Version::Http10) {
            response.rewrite(head.reason.unwrap_or(""), head.headers, &fields, rules, wire);
        }
        Ok(response)
    }

    fn rewrite(
        &self,
        reason: &str,
        headers: &[Header<'_>],
        fields: &Fields<'_>,
        rules: &ResponseRules,
        wire: &mut Vec<u8>,
    ) {
        // Once: a head that grows line by line is moved again and again.
        let size: usize =
            headers.iter().map(|field| field.name.len() + field.value.len() + 4).sum();
        wire.reserve(reason.len() + size + rules.lines.len() + OWN_BYTES_ROOM);
        let hundreds = [self.status / 100, self.status / 10 % 10, self.status % 10];
        wire.extend_from_slice(b"HTTP/1.1 ");
        wire.extend(hundreds.iter().map(|digit| b'0' + u8::try_from(*digit).expect("a digit")));
        wire.push(b' ');
        wire.extend_from_slice(reason.as_bytes());
        wire.extend_from_slice(b"\r\n");
        let decodes = rules.client_version == Version::Http10;
        for field in headers {
            let is_dropped = fields.is_hop_by_hop(field.name)
                || is(field.name, REPLAY)
                || (decodes && is(field.name, "transfer-encoding"))
                || (is_never_framed(self.status)
                    && (is(field.name, "content-length") || is(field.name, "transfer-encoding")));
            if !is_dropped {
                push_field(wire, field.name, relayed_value(field));
            }
        }
        if !self.is_interim() {
            wire.extend_from_slice(&rules.lines);
            if let Some(protocol) = fields.upgrade.filter(|_| self.is_upgrade()) {
                push_field(wire, "Connection", b"Upgrade");
                push_field(wire, "Upgrade", protocol.as_bytes());
            } else if !self.client_keep_alive {
                wire.extend_from_slice(b"Connection: close\r\n");
            } else if rules.client_version == Version::Http10 {
                wire.extend_from_slice(b"Connection: keep-alive\r\n");
            }
        }
        wire.extend_from_slice(b"\r\n");
    }
}

/// Whether the protocol is one that the request asked for, and the response names one.
fn is_asked_for(protocol: Option<&str>, rules: &ResponseRules) -> bool {
    match (protocol, &rules.upgrade) {
        (Some(protocol), Some(asked)) => has_token(asked, protocol.trim()),
        _ => false,
    }
}

/// RFC 9110 sections 8.6 and 15.2: such a response has no body and may not even say that it has none.
fn is_never_framed(status: u16) -> bool {
    status < 200 || status == 204
}

fn announces_body(fields: &Fields<'_>) -> bool {
    fields.chunked || fields.content_length.is_some_and(|length| length > 0)
}

/// RFC 9112 section 6.3.
fn body(status: u16, fields: &Fields<'_>, rules: &ResponseRules) -> Body {
    if rules.is_head || status < 200 || status == 204 || status == 304 {
        return Body::none();
    }
    match (fields.chunked, fields.content_length) {
        (true, _) => Body::chunked_response(match rules.client_version {
            Version::Http10 => Coding::Decoded,
            Version::Http11 => Coding::AsIs,
        }),
        (false, Some(length)) => Body::length(length),
        (false, None) => Body::until_close(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> ResponseRules {
        ResponseRules {
            is_head: false,
            client_version: Version::Http11,
            keep_alive: true,
            lines: (*b"Via: 1.1 outlast\r\n").into(),
            replay: ReplayRule::Follow,
            repeat: RepeatRule::Never,
            heartbeat: HeartbeatRule::Never,
            begun: None,
            buffer_max: crate::PENDING_MAX,
            upgrade: None,
        }
    }

    fn parse(head: &str, rules: &ResponseRules) -> Result<(Response, String), HeadError> {
        let mut wire = Vec::new();
        let (response, length) =
            Response::parse(head.as_bytes(), rules, &mut wire)?.expect("complete");
        assert_eq!(length, head.len());
        Ok((response, String::from_utf8(wire).expect("text")))
    }

    #[test]
    fn a_head_is_rewritten_for_the_client() {
        let head = "HTTP/1.0 200 Fine\r\nServer: app\r\nKeep-Alive: timeout=5\r\n\
                    Connection: keep-alive\r\nContent-Length: 2\r\n\r\n";
        let (response, wire) = parse(head, &rules()).expect("valid");
        assert_eq!(
            wire,
            "HTTP/1.1 200 Fine\r\nServer: app\r\nContent-Length: 2\r\nVia: 1.1 outlast\r\n\r\n"
        );
        assert!(response.machine_keep_alive && response.client_keep_alive);
        assert_eq!(response.body, Body::length(2));
    }

    #[test]
    fn bodies_follow_section_6_3() {
        let head = |status| format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n");
        let (response, wire) = parse(&head(204), &rules()).expect("valid");
        assert!(response.body.is_ended() && !wire.contains("Content-Length"), "{wire}");
        assert!(!response.machine_keep_alive, "what it announced may yet come");
        let (response, wire) = parse(&head(304), &rules()).expect("valid");
        assert!(response.body.is_ended() && wire.contains("Content-Length: 5"), "{wire}");
        assert!(response.machine_keep_alive, "it tells the length of what was not sent");
        let for_head = ResponseRules { is_head: true, ..rules() };
        assert!(parse(&head(200), &for_head).expect("valid").0.body.is_ended());
        let zeros = "HTTP/1.1 200 X\r\nContent-Length: 0012\r\n\r\n";
        let (response, wire) = parse(zeros, &rules()).expect("valid");
        assert!(response.body == Body::length(12) && wire.contains("Content-Length: 12\r\n"));
        let (response, wire) = parse("HTTP/1.1 200 X\r\n\r\n", &rules()).expect("valid");
        assert!(response.body.is_until_close() && wire.contains("Connection: close\r\n"));
        assert!(!response.machine_keep_alive && !response.client_keep_alive);
    }

    #[test]
    fn an_http_1_0_client_gets_no_chunks_and_no_interim_responses() {
        let rules = ResponseRules { client_version: Version::Http10, ..rules() };
        let head = "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (response, wire) = parse(head, &rules).expect("valid");
        assert_eq!(wire, "HTTP/1.1 200 X\r\nVia: 1.1 outlast\r\nConnection: close\r\n\r\n");
        assert_eq!(response.body, Body::chunked_response(Coding::Decoded));
        let (response, wire) = parse("HTTP/1.1 100 Continue\r\n\r\n", &rules).expect("valid");
        assert!(response.is_interim() && wire.is_empty());
    }

    #[test]
    fn a_machine_sends_a_request_on_and_the_client_never_sees_that() {
        for (value, replay) in [
            ("instance=3d8d9930b32d89", Some(Replay::Instance("3d8d9930b32d89".into()))),
            ("state=x; instance=a", Some(Replay::Instance("a".into()))),
            ("elsewhere=true", Some(Replay::Elsewhere)),
            ("elsewhere=false", None),
            ("region=sjc", None),
            ("", None),
        ] {
            let head =
                format!("HTTP/1.1 404 X\r\nFly-Replay: {value}\r\nContent-Length: 0\r\n\r\n");
            let (response, wire) = parse(&head, &rules()).expect("valid");
            assert_eq!(response.replay, replay, "{value}");
            assert!(!wire.to_ascii_lowercase().contains("fly-replay"), "{wire}");
            let ignoring = ResponseRules { replay: ReplayRule::Ignore, ..rules() };
            assert_eq!(parse(&head, &ignoring).expect("valid").0.replay, None);
        }
    }

    #[test]
    fn a_change_of_protocol_is_passed_on_if_it_was_asked_for() {
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                    Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\nContent-Length: 0\r\n\r\n";
        let asking = ResponseRules { upgrade: Some("WebSocket, other".into()), ..rules() };
        let (response, wire) = parse(head, &asking).expect("valid");
        assert!(response.is_upgrade() && !response.is_interim());
        assert!(!response.client_keep_alive && response.body.is_ended());
        assert_eq!(
            wire,
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nVia: 1.1 outlast\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        );
        for (head, upgrade) in [
            (head, None),
            (head, Some("h3")),
            ("HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n", Some("websocket")),
            ("HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", Some("websocket")),
        ] {
            let rules = ResponseRules { upgrade: upgrade.map(Into::into), ..rules() };
            assert_eq!(parse(head, &rules).err(), Some(HeadError::UnaskedUpgrade), "{head:?}");
        }
    }

    #[test]
    fn responses_that_are_refused() {
        for head in [
            "HTTP/1.1 101 Switching\r\n\r\n",
            "HTTP/1.1 999 X\r\n\r\n",
            "HTTP/1.1 099 X\r\n\r\n",
            "HTTP/1.1 20 X\r\n\r\n",
            "HTTP/1.1 2000 X\r\n\r\n",
            "HTTP/1.1  200 X\r\n\r\n",
            "HTTP/2.0 200 X\r\n\r\n",
            "HTTP 200 X\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
            "HTTP/1.1 200 X\r\nA: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 X\r\nA : b\r\n\r\n",
            "HTTP/1.1 200 X\r\nA: b\rSet-Cookie: c\r\n\r\n",
            "HTTP/1.1 200 X\r\nA: b\0\r\n\r\n",
            "HTTP/1.1 200 X\rY: z\r\n\r\n",
            "HTTP/1.1 200 X\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 X\r\nContent-Length: 1, 1\r\n\r\n",
            "HTTP/1.1 200 X\r\nContent-Length: 00000000000000000003\r\n\r\n",
            "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
            "HTTP/1.0 200 X\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 X\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 X\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 X\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 X\nServer: a\r\n\r\n",
        ] {
            assert!(parse(head, &rules()).is_err(), "{head:?}");
        }
    }
}
