//! The request fields of the protocol, checked.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use bytes::Bytes;
use jiff::Timestamp;

use crate::content_type::ContentType;
use crate::order::{AppendOrder, EndReason, Lifetime, ProducerMark};

pub(crate) const STREAM_TTL: HeaderName = HeaderName::from_static("stream-ttl");
pub(crate) const STREAM_EXPIRES_AT: HeaderName = HeaderName::from_static("stream-expires-at");
pub(crate) const STREAM_SEQ: HeaderName = HeaderName::from_static("stream-seq");
pub(crate) const STREAM_CURSOR: HeaderName = HeaderName::from_static("stream-cursor");
pub(crate) const STREAM_NEXT_OFFSET: HeaderName = HeaderName::from_static("stream-next-offset");
pub(crate) const STREAM_UP_TO_DATE: HeaderName = HeaderName::from_static("stream-up-to-date");
pub(crate) const STREAM_CLOSED: HeaderName = HeaderName::from_static("stream-closed");
pub(crate) const STREAM_FORKED_FROM: HeaderName = HeaderName::from_static("stream-forked-from");
pub(crate) const STREAM_FORK_OFFSET: HeaderName = HeaderName::from_static("stream-fork-offset");
pub(crate) const STREAM_FORK_SUB_OFFSET: HeaderName =
    HeaderName::from_static("stream-fork-sub-offset");
pub(crate) const STREAM_SSE_DATA_ENCODING: HeaderName =
    HeaderName::from_static("stream-sse-data-encoding");
/// Why a stream ended; ours. In a request that closes, and in every answer that tells of the end.
pub(crate) const STREAM_END_REASON: HeaderName = HeaderName::from_static("stream-end-reason");
pub(crate) const PRODUCER_ID: HeaderName = HeaderName::from_static("producer-id");
pub(crate) const PRODUCER_EPOCH: HeaderName = HeaderName::from_static("producer-epoch");
pub(crate) const PRODUCER_SEQ: HeaderName = HeaderName::from_static("producer-seq");
pub(crate) const PRODUCER_EXPECTED_SEQ: HeaderName =
    HeaderName::from_static("producer-expected-seq");
pub(crate) const PRODUCER_RECEIVED_SEQ: HeaderName =
    HeaderName::from_static("producer-received-seq");
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// 100 years, in seconds.
const TTL_SECONDS_MAX: u64 = 100 * 366 * 24 * 3_600;

/// A field that is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {wrong}")]
pub(crate) struct BadField {
    /// As we write it.
    pub(crate) name: HeaderName,
    /// What is wrong with it, and what would be right.
    pub(crate) wrong: &'static str,
}

/// The one value of a field. A list of values is as bad as a wrong one: which would count?
fn only(fields: &HeaderMap, name: HeaderName) -> Result<Option<&HeaderValue>, BadField> {
    let mut values = fields.get_all(&name).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(BadField { name, wrong: "it is there more than once; send it once" }),
    }
}

fn text(fields: &HeaderMap, name: HeaderName) -> Result<Option<&str>, BadField> {
    let Some(value) = only(fields, name.clone())? else { return Ok(None) };
    match value.to_str() {
        Ok(text) => Ok(Some(text.trim_matches([' ', '\t']))),
        Err(_) => Err(BadField { name, wrong: "it must be visible ASCII" }),
    }
}

/// A number without sign, leading zeros, point or exponent.
fn integer(fields: &HeaderMap, name: HeaderName, max: u64) -> Result<Option<u64>, BadField> {
    let Some(text) = text(fields, name.clone())? else { return Ok(None) };
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    match text.parse() {
        Ok(number) if is_plain && number <= max => Ok(Some(number)),
        _ if is_plain && !text.is_empty() => Err(BadField { name, wrong: "the number is too big" }),
        _ => Err(BadField {
            name,
            wrong: "it must be a whole number, such as 3600: digits only, no leading zeros",
        }),
    }
}

/// `Content-Type`, if there is one.
pub(crate) fn content_type(fields: &HeaderMap) -> Result<Option<ContentType>, BadField> {
    let name = header::CONTENT_TYPE;
    let Some(text) = text(fields, name.clone())? else { return Ok(None) };
    match ContentType::parse(text) {
        Ok(content_type) => Ok(Some(content_type)),
        Err(_) => Err(BadField { name, wrong: "it must be a media type, such as text/plain" }),
    }
}

/// Why the stream shall end with this request, if it shall. Values of `Stream-Closed` other than `true` count as none
/// (protocol section 4.1).
pub(crate) fn end(fields: &HeaderMap) -> Result<Option<EndReason>, BadField> {
    let is_true = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"true");
    let closes = fields.get_all(STREAM_CLOSED).iter().any(is_true);
    let name = STREAM_END_REASON;
    match (closes, text(fields, name.clone())?) {
        (true, None) => Ok(Some(EndReason::Complete)),
        (false, None) => Ok(None),
        (false, Some(_)) => Err(BadField { name, wrong: "it is of no use without Stream-Closed" }),
        (true, Some(reason)) => EndReason::from_name(reason).map(Some).ok_or(BadField {
            name,
            wrong: "it must be complete, aborted, upstream_error, timeout or restarted",
        }),
    }
}

/// `Stream-TTL` or `Stream-Expires-At`, not both.
pub(crate) fn lifetime(fields: &HeaderMap) -> Result<Option<Lifetime>, BadField> {
    let ttl = integer(fields, STREAM_TTL, TTL_SECONDS_MAX)?;
    let expires_at = text(fields, STREAM_EXPIRES_AT)?;
    match (ttl, expires_at) {
        (None, None) => Ok(None),
        (Some(seconds), None) => Ok(Some(Lifetime::Ttl(Duration::from_secs(seconds)))),
        (None, Some(text)) => match timestamp(text) {
            Some(at) => Ok(Some(Lifetime::ExpiresAt(at))),
            None => Err(BadField {
                name: STREAM_EXPIRES_AT,
                wrong: "it must be a time as in RFC 3339, such as 2027-01-31T12:00:00Z",
            }),
        },
        (Some(_), Some(_)) => {
            Err(BadField { name: STREAM_TTL, wrong: "Stream-Expires-At is there, too; send one" })
        }
    }
}

/// A time of RFC 3339 section 5.6. The parser takes more, such as a time zone's name in brackets.
fn timestamp(text: &str) -> Option<Timestamp> {
    let has_shape = text.len() <= 40
        && text.as_bytes().get(10).is_some_and(|byte| matches!(byte, b'T' | b't'))
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"-:.+TtZz".contains(&byte));
    text.parse().ok().filter(|_| has_shape)
}

/// `Stream-Seq`: any bytes.
pub(crate) fn sequence(fields: &HeaderMap) -> Result<Option<Bytes>, BadField> {
    let Some(value) = only(fields, STREAM_SEQ)? else { return Ok(None) };
    match value.as_bytes() {
        bytes if (1..=AppendOrder::SEQ_BYTES_MAX).contains(&bytes.len()) => {
            Ok(Some(Bytes::copy_from_slice(bytes)))
        }
        _ => Err(BadField { name: STREAM_SEQ, wrong: "it must be 1 to 255 bytes" }),
    }
}

/// The producer's fields: all three, or none.
pub(crate) fn producer(fields: &HeaderMap) -> Result<Option<ProducerMark>, BadField> {
    let id = text(fields, PRODUCER_ID)?;
    let epoch = integer(fields, PRODUCER_EPOCH, ProducerMark::NUMBER_MAX)?;
    let seq = integer(fields, PRODUCER_SEQ, ProducerMark::NUMBER_MAX)?;
    let missing = |name| BadField {
        name,
        wrong: "it is missing: Producer-Id, Producer-Epoch and Producer-Seq come together",
    };
    match (id, epoch, seq) {
        (None, None, None) => Ok(None),
        (Some(id), Some(epoch), Some(seq))
            if (1..=ProducerMark::ID_BYTES_MAX).contains(&id.len()) =>
        {
            Ok(Some(ProducerMark { id: id.to_owned(), epoch, seq }))
        }
        (None, _, _) => Err(missing(PRODUCER_ID)),
        (_, None, _) => Err(missing(PRODUCER_EPOCH)),
        (_, _, None) => Err(missing(PRODUCER_SEQ)),
        _ => Err(BadField { name: PRODUCER_ID, wrong: "it must be 1 to 255 bytes" }),
    }
}

/// What of a source a fork begins with: its path as sent, an offset if one is given, and what lies past that.
pub(crate) struct ForkFields<'a> {
    pub(crate) source: &'a str,
    pub(crate) offset: Option<&'a str>,
    pub(crate) sub_offset: u64,
}

/// The fields of a fork, if it is one.
pub(crate) fn fork(fields: &HeaderMap) -> Result<Option<ForkFields<'_>>, BadField> {
    let source = text(fields, STREAM_FORKED_FROM)?;
    let offset = text(fields, STREAM_FORK_OFFSET)?;
    let sub_offset = integer(fields, STREAM_FORK_SUB_OFFSET, ProducerMark::NUMBER_MAX)?;
    let without_source = |name| BadField { name, wrong: "Stream-Forked-From is missing" };
    match (source, offset, sub_offset) {
        (Some(source), offset, sub_offset) => {
            Ok(Some(ForkFields { source, offset, sub_offset: sub_offset.unwrap_or(0) }))
        }
        (None, Some(_), _) => Err(without_source(STREAM_FORK_OFFSET)),
        (None, None, Some(_)) => Err(without_source(STREAM_FORK_SUB_OFFSET)),
        (None, None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn an_end_has_a_reason_only_where_it_is_an_end() {
        let closed = (STREAM_CLOSED, "TRUE");
        let reason = |reason| (STREAM_END_REASON, reason);
        assert_eq!(end(&fields(&[])), Ok(None));
        assert_eq!(end(&fields(&[(STREAM_CLOSED, "1")])), Ok(None));
        assert_eq!(end(&fields(std::slice::from_ref(&closed))), Ok(Some(EndReason::Complete)));
        for known in EndReason::ALL {
            let named = fields(&[closed.clone(), reason(known.name())]);
            assert_eq!(end(&named), Ok(Some(known)));
        }
        assert!(end(&fields(&[closed, reason("bored")])).is_err());
        assert!(end(&fields(&[reason("complete")])).is_err());
    }

    #[test]
    fn times_are_those_of_the_rfc() {
        for good in ["2027-01-31T12:00:00Z", "2027-01-31t12:00:00.5z", "2027-01-31T12:00:00-08:00"]
        {
            assert!(timestamp(good).is_some(), "{good}");
        }
        for bad in ["", "2027-01-31", "2027-01-31 12:00:00Z", "2027-01-31T12:00:00", "now", "-1"] {
            assert!(timestamp(bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_value_panics_and_what_is_taken_is_within_its_bounds(
            values in prop::collection::vec(prop::collection::vec(32u8..=255, 0..40), 11),
            digits in prop::collection::vec("[0-9]{0,20}|true|complete", 11),
            chosen in prop::collection::vec(0..3u8, 11),
        ) {
            let names = [
                STREAM_TTL, STREAM_EXPIRES_AT, STREAM_SEQ, STREAM_CLOSED, STREAM_END_REASON, PRODUCER_ID,
                PRODUCER_EPOCH, PRODUCER_SEQ, STREAM_FORKED_FROM, STREAM_FORK_OFFSET, header::CONTENT_TYPE,
            ];
            let mut all = HeaderMap::new();
            for (index, name) in names.into_iter().enumerate() {
                let bytes = match chosen[index] {
                    0 => continue,
                    1 => &*values[index],
                    _ => digits[index].as_bytes(),
                };
                if let Ok(value) = HeaderValue::from_bytes(bytes) {
                    all.append(name, value);
                }
            }
            if let Ok(Some(Lifetime::Ttl(ttl))) = lifetime(&all) {
                prop_assert!(ttl.as_secs() <= TTL_SECONDS_MAX);
            }
            if let Ok(Some(mark)) = producer(&all) {
                prop_assert!(mark.epoch.max(mark.seq) <= ProducerMark::NUMBER_MAX && !mark.id.is_empty());
            }
            end(&all).ok();
            sequence(&all).ok();
            content_type(&all).ok();
            fork(&all).ok();
        }
    }
}
