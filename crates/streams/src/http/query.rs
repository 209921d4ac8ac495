//! The query of a read (protocol sections 5.6 to 5.8). What is not known is ignored.

use std::borrow::Cow;

/// How a reader waits for what is not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Live {
    /// Not at all.
    CatchUp,
    /// For one answer.
    LongPoll,
    /// For ever more events.
    Events,
}

/// What is read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReadQuery<'a> {
    /// From where; None is the beginning.
    pub(crate) offset: Option<Cow<'a, str>>,
    /// How to wait.
    pub(crate) live: Live,
    /// The cursor of the answer before.
    pub(crate) cursor: Option<u64>,
}

/// What is wrong with a query, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadQuery {
    #[error("{0} is there more than once; send it once")]
    Twice(&'static str),
    #[error("offset is empty; send one that came as Stream-Next-Offset, -1 (the beginning) or now")]
    EmptyOffset,
    #[error("live must be long-poll or sse")]
    Live,
    #[error("a live read needs an offset: one that came as Stream-Next-Offset, -1 or now")]
    LiveWithoutOffset,
}

impl<'a> ReadQuery<'a> {
    /// Parses what stands behind the question mark. `resumed` is what the reader has as `Last-Event-ID`: it is newer than the
    /// offset in the URL, which an `EventSource` cannot change.
    pub(crate) fn parse(query: &'a str, resumed: Option<&'a str>) -> Result<Self, BadQuery> {
        let (mut offset, mut live, mut cursor) = (None, None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let (name, place) = match &*name {
                "offset" => ("offset", &mut offset),
                "live" => ("live", &mut live),
                "cursor" => ("cursor", &mut cursor),
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(BadQuery::Twice(name));
            }
        }
        if offset.as_ref().is_some_and(|offset| offset.is_empty()) {
            return Err(BadQuery::EmptyOffset);
        }
        let live = match live.as_deref() {
            None => Live::CatchUp,
            Some("long-poll") => Live::LongPoll,
            Some("sse") => Live::Events,
            Some(_) => return Err(BadQuery::Live),
        };
        if let Some(resumed) = resumed.filter(|_| live == Live::Events) {
            offset = Some(Cow::Borrowed(resumed));
        }
        if live != Live::CatchUp && offset.is_none() {
            return Err(BadQuery::LiveWithoutOffset);
        }
        let cursor = cursor.and_then(|cursor| super::cursor::parse(&cursor));
        Ok(Self { offset, live, cursor })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_asked_for_is_understood_or_refused() {
        let read = |offset: Option<&'static str>, live, cursor| {
            Ok(ReadQuery { offset: offset.map(Cow::Borrowed), live, cursor })
        };
        for (query, wanted) in [
            ("", read(None, Live::CatchUp, None)),
            ("offset=-1&foo=bar&foo=baz", read(Some("-1"), Live::CatchUp, None)),
            ("cursor=7&live=long-poll&offset=a_b", read(Some("a_b"), Live::LongPoll, Some(7))),
            ("offset=now&live=sse&cursor=x", read(Some("now"), Live::Events, None)),
            ("%6fffset=a%2cb", read(Some("a,b"), Live::CatchUp, None)),
            ("offset=", Err(BadQuery::EmptyOffset)),
            ("offset=a&offset=a", Err(BadQuery::Twice("offset"))),
            ("live=sse&live=sse&offset=a", Err(BadQuery::Twice("live"))),
            ("live=SSE&offset=a", Err(BadQuery::Live)),
            ("live=", Err(BadQuery::Live)),
            ("live=sse", Err(BadQuery::LiveWithoutOffset)),
            ("live=long-poll", Err(BadQuery::LiveWithoutOffset)),
        ] {
            assert_eq!(ReadQuery::parse(query, None), wanted, "{query}");
        }
    }

    #[test]
    fn an_event_source_goes_on_where_it_was() {
        let offset = |query| ReadQuery::parse(query, Some("9")).unwrap().offset;
        assert_eq!(offset("offset=-1&live=sse").as_deref(), Some("9"));
        assert_eq!(offset("live=sse").as_deref(), Some("9"));
        assert_eq!(offset("offset=-1").as_deref(), Some("-1"), "it is for events only");
    }

    proptest! {
        #[test]
        fn no_query_panics(query in ".{0,60}|[a-z=&%0-9-]{0,60}", resumed in prop::option::of(".{0,9}")) {
            ReadQuery::parse(&query, resumed.as_deref()).ok();
        }
    }
}
