//! What holds for some of a service's exchanges, by their path.

use std::time::Duration;

use crate::pattern::PathPattern;

/// The routes of a service, and what holds where none matches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routes {
    /// In the order of the file: the first that matches counts, whole.
    pub routes: Vec<Route>,
    /// Of all other paths, and of raw TCP.
    pub rest: RouteSettings,
}

/// Some paths and what holds for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `route.path`. None: all paths.
    pub path: Option<PathPattern>,
    /// What holds for them.
    pub settings: RouteSettings,
}

/// What holds for an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RouteSettings {
    /// Its clocks.
    pub clocks: RouteClocks,
    /// `route.half_close`, default `gone`.
    pub half_close: HalfClose,
    /// `route.heartbeat`: so long a stream may be silent before a sign of life is put into it. Default none.
    pub heartbeat: Option<Duration>,
    /// `route.queue_notice`, default none.
    pub queue_notice: Option<QueueNotice>,
    /// `route.refusal`, default `problem`.
    pub refusal: RefusalForm,
}

/// The clocks that run while an exchange is at a machine. None: off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteClocks {
    /// `clocks.connect`, default 5 s: from connect to established.
    pub connect: Duration,
    /// `clocks.response_head`, default off: from the last byte of the request that the machine took to the head of its final
    /// response.
    pub response_head: Option<Duration>,
    /// `clocks.chunk_gap`, default off: no byte either way once the response has begun, while everybody takes what there is.
    pub chunk_gap: Option<Duration>,
    /// `clocks.lifetime`, default off: the whole exchange, its wait for a place included.
    pub lifetime: Option<Duration>,
    /// `clocks.write_stall`, default off: bytes wait for the client, and it takes none of them.
    pub write_stall: Option<Duration>,
}

impl Default for RouteClocks {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            response_head: None,
            chunk_gap: None,
            lifetime: None,
            write_stall: None,
        }
    }
}

/// The clocks of a client's connection, which run before there is a path. They are of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionClocks {
    /// `clocks.head`, default 15 s: from accept, or the first byte of a later head, to the complete request head.
    pub head: Duration,
    /// `clocks.keep_alive`, default 60 s: how long a client connection is kept between two exchanges.
    pub keep_alive: Duration,
}

impl Default for ConnectionClocks {
    fn default() -> Self {
        Self { head: Duration::from_secs(15), keep_alive: Duration::from_secs(60) }
    }
}

/// What a client's end-of-file after a whole request means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HalfClose {
    /// The client has gone: a closed tab looks like this.
    #[default]
    Gone,
    /// It has said everything and still listens.
    Keep,
}

/// How a client is told, while it waits for a place, that it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueNotice {
    /// By events of a `text/event-stream`.
    Sse,
    /// By lines of an `application/x-ndjson`.
    Ndjson,
}

/// How a client is told that there is no place for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RefusalForm {
    /// 503 with an RFC 9457 body.
    #[default]
    Problem,
    /// An `EventSource` gets an event, and when to come again; others as `Problem`.
    EventStream,
    /// An `EventSource` gets 204, upon which it does not come again; others as `Problem`.
    NoContent,
}

/// Which of a service's routes an exchange has; small, because every exchange keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteId(u16);

impl RouteId {
    /// None of them: raw TCP, or a path that no route names.
    pub const REST: Self = Self(u16::MAX);
}

impl Routes {
    /// The first route that matches a path (without query).
    #[must_use]
    pub fn find(&self, path: &str) -> RouteId {
        let matches = |route: &Route| route.path.as_ref().is_none_or(|want| want.matches(path));
        let index = self.routes.iter().position(matches);
        index.and_then(|index| u16::try_from(index).ok()).map_or(RouteId::REST, RouteId)
    }

    /// What holds for its exchanges.
    #[must_use]
    pub fn settings(&self, id: RouteId) -> &RouteSettings {
        self.routes.get(usize::from(id.0)).map_or(&self.rest, |route| &route.settings)
    }
}
