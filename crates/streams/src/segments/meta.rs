//! What stands in a frame beside its data, and in the index of a stream.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use outlast_runtime::clock;

use crate::answer::ProducerState;
use crate::content_type::ContentType;
use crate::name::StreamName;
use crate::offset::Offset;
use crate::order::{AppendOrder, EndReason, Lifetime, ProducerMark};
use crate::stream::{End, Fork, Stream, Tenure};

const HAS_END: u8 = 1;
const HAS_PRODUCER: u8 = 2;
const HAS_SEQUENCE: u8 = 4;

/// What an append says beside its bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AppendMeta {
    /// Bytes of each message.
    pub(super) lengths: Vec<usize>,
    pub(super) end: Option<EndReason>,
    pub(super) producer: Option<ProducerMark>,
    pub(super) stream_seq: Option<Bytes>,
}

impl AppendMeta {
    /// As an order without messages, as which it is applied to a stream.
    pub(super) fn into_order(self) -> AppendOrder {
        AppendOrder {
            end: self.end,
            producer: self.producer,
            stream_seq: self.stream_seq,
            ..AppendOrder::default()
        }
    }
}

pub(super) fn put_append(out: &mut Vec<u8>, order: &AppendOrder) {
    put_number(out, order.messages.len() as u64);
    // The last one has what the others leave of the data.
    if let Some((_last, others)) = order.messages.split_last() {
        others.iter().for_each(|message| put_number(out, message.len() as u64));
    }
    let mut has = 0;
    has |= order.end.map_or(0, |_| HAS_END);
    has |= order.producer.as_ref().map_or(0, |_| HAS_PRODUCER);
    has |= order.stream_seq.as_ref().map_or(0, |_| HAS_SEQUENCE);
    out.push(has);
    if let Some(reason) = order.end {
        out.push(reason_code(reason));
    }
    if let Some(mark) = &order.producer {
        put_bytes(out, mark.id.as_bytes());
        put_number(out, mark.epoch);
        put_number(out, mark.seq);
    }
    if let Some(seq) = &order.stream_seq {
        put_bytes(out, seq);
    }
}

/// What a stream is from its beginning on.
pub(super) fn put_create(out: &mut Vec<u8>, stream: &Stream) {
    put_bytes(out, stream.name.as_str().as_bytes());
    put_bytes(out, stream.content_type.as_str().as_bytes());
    match stream.lifetime {
        None => out.push(0),
        Some(Lifetime::Ttl(ttl)) => {
            out.push(1);
            put_number(out, ttl.as_secs());
        }
        Some(Lifetime::ExpiresAt(at)) => {
            out.push(2);
            put_time(out, at);
        }
    }
    put_time(out, stream.created_at);
    match &stream.fork {
        None => out.push(0),
        Some(fork) => {
            out.push(if fork.asked.is_some() { 2 } else { 1 });
            put_number(out, fork.source);
            put_number(out, fork.position);
            put_number(out, fork.beyond);
            put_bytes(out, fork.source_name.as_str().as_bytes());
            if let Some(asked) = fork.asked {
                put_number(out, asked.tenure);
                put_number(out, asked.position);
            }
        }
    }
    put_number(out, stream.tenures.len() as u64);
    for tenure in &stream.tenures {
        put_number(out, tenure.number);
        put_number(out, tenure.start);
    }
}

/// All of a stream, for the index.
pub(super) fn put_stream(out: &mut Vec<u8>, stream: &Stream) {
    put_create(out, stream);
    put_number(out, stream.tail);
    put_number(out, stream.stored);
    put_time(out, stream.written_at);
    out.push(u8::from(stream.is_deleted));
    match &stream.end {
        None => out.push(0),
        Some(end) => {
            out.push(reason_code(end.reason));
            out.push(u8::from(end.by.is_some()));
            if let Some(mark) = &end.by {
                put_bytes(out, mark.id.as_bytes());
                put_number(out, mark.epoch);
                put_number(out, mark.seq);
            }
        }
    }
    put_number(out, stream.producers.len() as u64);
    for (id, state) in &stream.producers {
        put_bytes(out, id.as_bytes());
        put_number(out, state.epoch);
        put_number(out, state.seq);
    }
    out.push(u8::from(stream.stream_seq.is_some()));
    if let Some(seq) = &stream.stream_seq {
        put_bytes(out, seq);
    }
}

/// Takes bytes apart. Each step is `None` if they are not what they should be.
#[derive(Debug)]
pub(super) struct Parts<'a>(pub(super) &'a [u8]);

impl Parts<'_> {
    /// What [`put_append`] put.
    pub(super) fn append(&mut self, data_length: usize) -> Option<AppendMeta> {
        let count = usize::try_from(self.number()?).ok().filter(|count| *count <= data_length)?;
        let mut meta = AppendMeta::default();
        let mut rest = data_length;
        for _ in 1..count {
            let length = usize::try_from(self.number()?).ok().filter(|length| *length <= rest)?;
            meta.lengths.push(length);
            rest -= length;
        }
        match count {
            0 if data_length > 0 => return None,
            0 => {}
            _ => meta.lengths.push(rest),
        }
        let has = self.byte()?;
        if has & HAS_END != 0 {
            meta.end = Some(reason(self.byte()?)?);
        }
        if has & HAS_PRODUCER != 0 {
            meta.producer = Some(self.mark()?);
        }
        if has & HAS_SEQUENCE != 0 {
            meta.stream_seq = Some(Bytes::copy_from_slice(self.bytes()?));
        }
        Some(meta)
    }

    /// What [`put_create`] put.
    pub(super) fn create(&mut self, id: u64) -> Option<Stream> {
        let name = StreamName::parse(self.text()?).ok()?;
        let content_type = ContentType::parse(self.text()?).ok()?;
        let lifetime = match self.byte()? {
            0 => None,
            1 => Some(Lifetime::Ttl(Duration::from_secs(self.number()?))),
            2 => Some(Lifetime::ExpiresAt(self.time()?)),
            _ => return None,
        };
        let created_at = self.time()?;
        let fork = match self.byte()? {
            0 => None,
            // A source is older than its forks: there are no rings.
            is @ (1 | 2) => Some(self.fork(is == 2).filter(|fork| fork.source < id)?),
            _ => return None,
        };
        let mut tenures = Vec::new();
        for _ in 0..self.number()? {
            tenures.push(Tenure { number: self.number()?, start: self.number()? });
        }
        let tail = fork.as_ref().map_or(0, |fork| fork.position);
        (!tenures.is_empty()).then(|| Stream {
            id,
            name,
            content_type,
            lifetime,
            created_at,
            fork,
            tenures,
            own_tenure: None,
            tail,
            stored: 0,
            end: None,
            producers: BTreeMap::new(),
            stream_seq: None,
            forks: 0,
            is_deleted: false,
            touched: clock::now(),
            written_at: created_at,
            watchers: None,
        })
    }

    fn fork(&mut self, has_asked: bool) -> Option<Fork> {
        let (source, position, beyond) = (self.number()?, self.number()?, self.number()?);
        let source_name = StreamName::parse(self.text()?).ok()?;
        let asked = match has_asked {
            true => Some(Offset { tenure: self.number()?, position: self.number()? }),
            false => None,
        };
        Some(Fork { source, position, asked, beyond, source_name })
    }

    /// What [`put_stream`] put.
    pub(super) fn stream(&mut self, id: u64) -> Option<Stream> {
        let mut stream = self.create(id)?;
        stream.tail = self.number()?;
        stream.stored = self.number()?;
        stream.written_at = self.time()?;
        stream.is_deleted = self.byte()? != 0;
        stream.end = match self.byte()? {
            0 => None,
            code => {
                let by = if self.byte()? != 0 { Some(self.mark()?) } else { None };
                Some(End { reason: reason(code)?, by })
            }
        };
        for _ in 0..self.number()? {
            let mark = self.mark()?;
            let state = ProducerState { epoch: mark.epoch, seq: mark.seq };
            stream.producers.insert(mark.id.into(), state);
        }
        if self.byte()? != 0 {
            stream.stream_seq = Some(Bytes::copy_from_slice(self.bytes()?));
        }
        Some(stream)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn mark(&mut self) -> Option<ProducerMark> {
        let id = self.text()?.to_owned();
        Some(ProducerMark { id, epoch: self.number()?, seq: self.number()? })
    }

    fn time(&mut self) -> Option<Timestamp> {
        let second = i64::from_le_bytes(self.take(8)?.try_into().ok()?);
        let nanosecond = i32::from_le_bytes(self.take(4)?.try_into().ok()?);
        Timestamp::new(second, nanosecond).ok()
    }

    fn text(&mut self) -> Option<&str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn bytes(&mut self) -> Option<&[u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

/// Seven bits a byte, the lowest first (LEB128).
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        out.push(if number == 0 { low } else { low | 0x80 });
        if number == 0 {
            return;
        }
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_time(out: &mut Vec<u8>, time: Timestamp) {
    out.extend_from_slice(&time.as_second().to_le_bytes());
    out.extend_from_slice(&time.subsec_nanosecond().to_le_bytes());
}

fn reason_code(reason: EndReason) -> u8 {
    match reason {
        EndReason::Complete => 1,
        EndReason::Aborted => 2,
        EndReason::UpstreamError => 3,
        EndReason::Timeout => 4,
        EndReason::Restarted => 5,
    }
}

fn reason(code: u8) -> Option<EndReason> {
    EndReason::ALL.into_iter().find(|reason| reason_code(*reason) == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_the_codes_of_end_reasons() {
        let page = include_str!("../../../../docs/stream-format.md");
        for end in EndReason::ALL {
            let row = format!("| {} | `{}` |", reason_code(end), end.name());
            assert!(page.contains(&row), "{row}");
            assert_eq!(reason(reason_code(end)), Some(end));
        }
    }

    #[test]
    fn what_is_cut_short_is_nothing_and_never_a_panic() {
        let order = AppendOrder {
            messages: vec![Bytes::from("one"), Bytes::from("three")],
            stream_seq: Some(Bytes::from("7")),
            producer: Some(ProducerMark { id: "p".into(), epoch: 1, seq: u64::MAX }),
            end: Some(EndReason::Timeout),
            ..AppendOrder::default()
        };
        let mut bytes = Vec::new();
        put_append(&mut bytes, &order);
        let meta = Parts(&bytes).append(8).expect("it is whole");
        assert_eq!(meta.lengths, [3, 5]);
        assert_eq!((meta.end, &meta.producer), (order.end, &order.producer));
        assert_eq!(meta.stream_seq, order.stream_seq);
        for length in 0..bytes.len() {
            assert_eq!(Parts(&bytes[..length]).append(8), None, "{length}");
        }
        assert_eq!(Parts(&bytes).append(2), None, "the messages are longer than the data");
    }
}
