//! What survives in a segment.

use super::format::{
    ALIGNMENT, FIRST_OF_BATCH, FRAME_HEADER, FrameHeader, SEGMENT_HEADER, SegmentHeader, SegmentId,
    checksum,
};

/// A segment's frames, and how much of it counts.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) frames: Vec<Found>,
    /// What stands in them beside their data.
    metas: Vec<u8>,
    /// What is behind it was never durable and is to be cut off.
    pub(super) length: u64,
    /// Where something durable is unreadable.
    pub(super) holes: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) at: u32,
    pub(super) header: FrameHeader,
    /// Whether its body is what was written.
    pub(super) is_whole: bool,
    /// Its meta among all.
    meta_at: usize,
}

impl Scanned {
    /// Nothing was ever durable in it.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.holes.is_empty()
    }

    /// What stands in a frame beside its data.
    pub(super) fn meta(&self, found: &Found) -> &[u8] {
        &self.metas[found.meta_at..found.meta_at + found.header.meta_length as usize]
    }
}

/// What is known of a segment beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) id: SegmentId,
    /// The epoch's salt, if another segment tells it.
    pub(super) salt: Option<u64>,
    /// How much of it is durable, if its successor tells.
    pub(super) length: Option<u64>,
}

/// Finds the frames of a segment.
///
/// What a writer has begun to write and not synced may be there or not, in any part. Each batch begins with a frame that says so,
/// and is written only when all before it is durable. So before the last such frame all is to be there, and what is unreadable
/// there is a hole, behind which it goes on; from there on everything counts up to the first thing that is unreadable.
pub(super) fn scan(bytes: &[u8], expected: Expected) -> Scanned {
    let header = bytes.first_chunk::<SEGMENT_HEADER>().and_then(SegmentHeader::decode);
    let header = header.filter(|header| header.id == expected.id);
    if header.is_none() && bytes.len() <= SEGMENT_HEADER && expected.length.is_none() {
        // It was being made, and nothing was written into it.
        return Scanned::default();
    }
    let Some(salt) = header.map(|header| header.salt).or(expected.salt) else {
        // Nothing in it can be told from noise. It is left as it is.
        return Scanned { length: bytes.len() as u64, holes: vec![0], ..Scanned::default() };
    };
    let bytes = match expected.length.and_then(|length| usize::try_from(length).ok()) {
        Some(length) => &bytes[..bytes.len().min(length)],
        None => bytes,
    };
    let (frames, metas, mut holes) = all_frames(bytes, salt);
    if header.is_none() {
        holes.insert(0, 0);
    }
    let is_first = |frame: &&Found| frame.header.flags & FIRST_OF_BATCH != 0;
    let last_batch =
        frames.iter().rev().find(is_first).map_or(SEGMENT_HEADER as u64, |f| f.at.into());
    let durable = expected.length.unwrap_or(last_batch);
    let torn = frames.iter().filter(|frame| !frame.is_whole).map(|frame| u64::from(frame.at));
    let torn = torn.chain(holes.iter().copied()).filter(|at| *at >= durable).min();
    let torn = torn.unwrap_or(u64::MAX);
    let mut frames = frames;
    frames.retain(|frame| u64::from(frame.at) < torn);
    let end = |frame: &Found| u64::from(frame.at) + frame.header.length() as u64;
    let length = frames.last().map_or(SEGMENT_HEADER as u64, end);
    holes.retain(|at| *at < torn);
    Scanned { frames, metas, length: expected.length.unwrap_or(length), holes }
}

/// Every frame whose header is whole, their metas, and where there is something else.
fn all_frames(bytes: &[u8], salt: u64) -> (Vec<Found>, Vec<u8>, Vec<u64>) {
    let (mut frames, mut metas, mut holes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut at, mut is_lost) = (SEGMENT_HEADER, false);
    while at < bytes.len() {
        if let Some(found) = frame_at(bytes, at, salt) {
            frames.push(Found { meta_at: metas.len(), ..found });
            let meta = at + FRAME_HEADER;
            metas.extend_from_slice(&bytes[meta..meta + found.header.meta_length as usize]);
            at += found.header.length();
            is_lost = false;
            continue;
        }
        if !is_lost {
            holes.push(at as u64);
            is_lost = true;
        }
        at += ALIGNMENT;
    }
    (frames, metas, holes)
}

fn frame_at(bytes: &[u8], at: usize, salt: u64) -> Option<Found> {
    let rest = &bytes[at..];
    let header = FrameHeader::decode(rest.first_chunk::<FRAME_HEADER>()?, salt)?;
    let body = rest.get(FRAME_HEADER..FRAME_HEADER + header.body_length())?;
    rest.get(..header.length())?;
    let is_whole = checksum(salt, body) == header.body_crc;
    Some(Found { at: u32::try_from(at).ok()?, header, is_whole, meta_at: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segments::format::Kind;

    const ID: SegmentId = SegmentId { epoch: 3, number: 7 };
    const SALT: u64 = 0x1234_5678_9abc_def0;

    fn frame(position: u64, flags: u8, data: &[u8]) -> Vec<u8> {
        let header = FrameHeader {
            body_crc: checksum(SALT, data),
            meta_length: 0,
            data_length: u32::try_from(data.len()).expect("short"),
            stream: 1,
            position,
            tenure: 1,
            time_ms: 5,
            kind: Kind::Append,
            flags,
        };
        let mut out = header.encode(SALT).to_vec();
        out.extend_from_slice(data);
        out.resize(header.length(), 0);
        out
    }

    /// Two batches of two frames each, of 64 bytes each.
    fn segment() -> Vec<u8> {
        let header = SegmentHeader { id: ID, salt: SALT, previous_length: 0, created_ms: 1 };
        let flags = [FIRST_OF_BATCH, 0, FIRST_OF_BATCH, 0];
        let frames = (0..4).zip(flags).map(|(at, flags)| frame(at * 8, flags, b"12345678"));
        header.encode().into_iter().chain(frames.flatten()).collect()
    }

    fn expected() -> Expected {
        Expected { id: ID, salt: None, length: None }
    }

    fn places(scanned: &Scanned) -> Vec<u32> {
        scanned.frames.iter().map(|frame| frame.at).collect()
    }

    #[test]
    fn a_whole_segment_is_found_whole() {
        let scanned = scan(&segment(), expected());
        assert_eq!(places(&scanned), [64, 128, 192, 256]);
        assert_eq!((scanned.length, scanned.holes), (320, vec![]));
        assert!(scanned.frames.iter().all(|frame| frame.is_whole));
    }

    #[test]
    fn a_batch_that_was_torn_anywhere_is_cut_there() {
        let whole = segment();
        for length in 64..whole.len() {
            let scanned = scan(&whole[..length], expected());
            let count = (length - 64) / 64;
            assert_eq!(places(&scanned), [64, 128, 192, 256][..count], "{length}");
            assert_eq!(scanned.length, 64 + count as u64 * 64);
        }
        // The second frame of the last batch is there, and the first is not.
        let mut torn = whole;
        torn[192 + 60] ^= 1;
        assert_eq!(places(&scan(&torn, expected())), [64, 128]);
    }

    #[test]
    fn what_is_bad_before_the_last_batch_is_a_hole() {
        for (at, places_left, holes, whole) in [
            (70, vec![128, 192, 256], vec![64], 3),
            (64 + 60, vec![64, 128, 192, 256], vec![], 3),
            (130, vec![64, 192, 256], vec![128], 3),
            (3, vec![64, 128, 192, 256], vec![0], 4),
        ] {
            let mut bad = segment();
            bad[at] ^= 0x10;
            let scanned = scan(&bad, Expected { salt: Some(SALT), ..expected() });
            assert_eq!((places(&scanned), &scanned.holes), (places_left, &holes), "{at}");
            assert_eq!(scanned.length, 320);
            assert_eq!(scanned.frames.iter().filter(|frame| frame.is_whole).count(), whole);
        }
    }

    #[test]
    fn a_successor_tells_how_much_counts() {
        let sealed = Expected { length: Some(192), ..expected() };
        assert_eq!(places(&scan(&segment(), sealed)), [64, 128]);
        // All of it was durable: what is bad in the last batch is a hole, too.
        let mut bad = segment();
        bad[192 + 60] ^= 1;
        let scanned = scan(&bad, Expected { length: Some(320), ..expected() });
        assert_eq!(places(&scanned), [64, 128, 192, 256]);
        assert!(!scanned.frames[2].is_whole);
    }

    #[test]
    fn a_segment_that_tells_nothing_is_left_as_it_is() {
        let noise = vec![0x55; 1_000];
        let scanned = scan(&noise, expected());
        assert_eq!((places(&scanned), scanned.length, scanned.holes), (vec![], 1_000, vec![0]));
        // One that was only being made is nothing.
        let scanned = scan(&noise[..64], expected());
        assert!(scanned.is_empty());
    }

    #[test]
    fn what_another_epoch_wrote_is_no_frame() {
        let mut other = segment();
        other.extend(frame(32, FIRST_OF_BATCH, &frame(0, 0, b"nested")));
        let header = SegmentHeader { id: ID, salt: 9, previous_length: 0, created_ms: 1 };
        other[..64].copy_from_slice(&header.encode());
        let scanned = scan(&other, expected());
        assert_eq!((places(&scanned), scanned.length), (vec![], 64));
    }
}
