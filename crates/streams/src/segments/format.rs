//! The bytes of segments, as docs/stream-format.md has them in tables.

use std::fmt;

/// The first bytes of each segment.
pub(super) const MAGIC: &[u8; 8] = b"OUTLASTS";
/// Of all that is below. Another version is not read.
pub(super) const VERSION: u16 = 1;
/// Bytes of a segment's header.
pub(super) const SEGMENT_HEADER: usize = 64;
/// Bytes of a frame's header.
pub(super) const FRAME_HEADER: usize = 56;
/// Frames begin at multiples of it.
pub(super) const ALIGNMENT: usize = 8;
/// More is not written in one frame: an append of 8 MiB in messages of one byte.
pub(super) const BODY_MAX: usize = 64 << 20;

/// The first frame that was written after a sync: all before it is durable.
pub(super) const FIRST_OF_BATCH: u8 = 1;
/// A copy of a frame of an older segment.
pub(super) const MOVED: u8 = 2;

/// A segment's place among all: epochs come one after the other, and segments within them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SegmentId {
    pub(super) epoch: u32,
    pub(super) number: u32,
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}/{:08x}.seg", self.epoch, self.number)
    }
}

/// How a segment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) id: SegmentId,
    /// Mixed into all checksums of the epoch, so that what clients append never looks like a frame.
    pub(super) salt: u64,
    /// How many bytes of the epoch's previous segment count. 0: there is none.
    pub(super) previous_length: u64,
    /// Milliseconds since 1970.
    pub(super) created_ms: i64,
}

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// A stream is there, with its first messages.
    Create = 1,
    /// A stream has more messages, has ended, or both.
    Append = 2,
    /// A stream is deleted, and kept while it has forks.
    Delete = 3,
    /// Nothing of a stream is needed any more.
    Gone = 4,
}

/// How a frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) body_crc: u32,
    pub(super) meta_length: u32,
    pub(super) data_length: u32,
    pub(super) stream: u64,
    /// Of its first byte in the stream.
    pub(super) position: u64,
    pub(super) tenure: u64,
    /// Milliseconds since 1970.
    pub(super) time_ms: i64,
    pub(super) kind: Kind,
    pub(super) flags: u8,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut out = [0; SEGMENT_HEADER];
        out[..8].copy_from_slice(MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&self.id.epoch.to_le_bytes());
        out[16..20].copy_from_slice(&self.id.number.to_le_bytes());
        out[24..32].copy_from_slice(&self.salt.to_le_bytes());
        out[32..40].copy_from_slice(&self.previous_length.to_le_bytes());
        out[40..48].copy_from_slice(&self.created_ms.to_le_bytes());
        let crc = crc32c::crc32c(&out[..60]);
        out[60..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The version of the segment that begins so. Of every version, magic, version and checksum stand where they do here.
    pub(super) fn version(bytes: &[u8; SEGMENT_HEADER]) -> Option<u16> {
        let is_whole = crc32c::crc32c(&bytes[..60]) == u32_at(bytes, 60);
        (&bytes[..8] == MAGIC && is_whole).then(|| u16::from_le_bytes([bytes[8], bytes[9]]))
    }

    /// `None`: these are not the first bytes of a segment of this version.
    pub(super) fn decode(bytes: &[u8; SEGMENT_HEADER]) -> Option<Self> {
        Self::version(bytes).filter(|version| *version == VERSION)?;
        Some(Self {
            id: SegmentId { epoch: u32_at(bytes, 12), number: u32_at(bytes, 16) },
            salt: u64_at(bytes, 24),
            previous_length: u64_at(bytes, 32),
            created_ms: i64_at(bytes, 40),
        })
    }
}

impl Kind {
    fn from_code(code: u8) -> Option<Self> {
        [Self::Create, Self::Append, Self::Delete, Self::Gone]
            .into_iter()
            .find(|kind| *kind as u8 == code)
    }
}

impl FrameHeader {
    pub(super) fn encode(&self, salt: u64) -> [u8; FRAME_HEADER] {
        let mut out = [0; FRAME_HEADER];
        out[4..8].copy_from_slice(&self.body_crc.to_le_bytes());
        out[8..12].copy_from_slice(&self.meta_length.to_le_bytes());
        out[12..16].copy_from_slice(&self.data_length.to_le_bytes());
        out[16..24].copy_from_slice(&self.stream.to_le_bytes());
        out[24..32].copy_from_slice(&self.position.to_le_bytes());
        out[32..40].copy_from_slice(&self.tenure.to_le_bytes());
        out[40..48].copy_from_slice(&self.time_ms.to_le_bytes());
        out[48] = self.kind as u8;
        out[49] = self.flags;
        let crc = checksum(salt, &out[4..]);
        out[..4].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// `None`: these are not a frame's first bytes.
    pub(super) fn decode(bytes: &[u8; FRAME_HEADER], salt: u64) -> Option<Self> {
        let header = Self {
            body_crc: u32_at(bytes, 4),
            meta_length: u32_at(bytes, 8),
            data_length: u32_at(bytes, 12),
            stream: u64_at(bytes, 16),
            position: u64_at(bytes, 24),
            tenure: u64_at(bytes, 32),
            time_ms: i64_at(bytes, 40),
            kind: Kind::from_code(bytes[48])?,
            flags: bytes[49],
        };
        let is_whole = checksum(salt, &bytes[4..]) == u32_at(bytes, 0);
        let has_end = header.position.checked_add(header.data_length.into()).is_some();
        (is_whole && has_end && header.body_length() <= BODY_MAX).then_some(header)
    }

    /// Of meta and data, without what fills up to the next frame.
    pub(super) fn body_length(&self) -> usize {
        self.meta_length as usize + self.data_length as usize
    }

    /// Of the whole frame in the file.
    pub(super) fn length(&self) -> usize {
        (FRAME_HEADER + self.body_length()).next_multiple_of(ALIGNMENT)
    }
}

/// CRC-32C, begun with an epoch's salt.
pub(super) fn checksum(salt: u64, bytes: &[u8]) -> u32 {
    let [a, b, c, d, e, f, g, h] = salt.to_le_bytes();
    let seed = u32::from_le_bytes([a, b, c, d]) ^ u32::from_le_bytes([e, f, g, h]);
    crc32c::crc32c_append(seed, bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const PAGE: &str = include_str!("../../../../docs/stream-format.md");

    /// The tables of a chapter: offset, size, and name of each field.
    fn fields(chapter: &str) -> Vec<(usize, usize, &'static str)> {
        let (_, text) = PAGE.split_once(&format!("## {chapter}\n")).expect("the chapter is there");
        let text = text.split("\n## ").next().expect("it ends");
        let row = |line: &'static str| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let (offset, size) = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
            Some((offset, size, cells.next()?.trim_matches('`')))
        };
        text.lines().filter_map(row).collect()
    }

    fn number(bytes: &[u8]) -> u64 {
        let mut all = [0; 8];
        all[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(all)
    }

    /// The fields of the page, one after the other, are the bytes.
    fn check(chapter: &str, bytes: &[u8], values: &BTreeMap<&str, u64>) {
        let mut end = 0;
        for (offset, size, name) in fields(chapter) {
            assert_eq!(offset, end, "{chapter}: {name} follows what is before it");
            end = offset + size;
            let want = *values.get(name).unwrap_or_else(|| panic!("{chapter}: no field {name}"));
            assert_eq!(number(&bytes[offset..end]), want, "{chapter}: {name}");
        }
        assert_eq!(end, bytes.len(), "{chapter}");
    }

    #[test]
    fn segments_begin_as_the_page_says() {
        let id = SegmentId { epoch: 0x0102_0304, number: 0x0506_0708 };
        let header = SegmentHeader {
            id,
            salt: 0x1112_1314_1516_1718,
            previous_length: 0x2122_2324_2526_2728,
            created_ms: 0x3132_3334_3536_3738,
        };
        let bytes = header.encode();
        let values = BTreeMap::from([
            ("magic", u64::from_le_bytes(*MAGIC)),
            ("version", u64::from(VERSION)),
            ("zero", 0),
            ("epoch", id.epoch.into()),
            ("number", id.number.into()),
            ("salt", header.salt),
            ("previous_length", header.previous_length),
            ("created", header.created_ms.unsigned_abs()),
            ("crc", crc32c::crc32c(&bytes[..60]).into()),
        ]);
        check("The header of a segment", &bytes, &values);
        assert_eq!(SegmentHeader::decode(&bytes), Some(header));
    }

    #[test]
    fn frames_begin_as_the_page_says() {
        let header = FrameHeader {
            body_crc: 0x0102_0304,
            meta_length: 0x0001_0607,
            data_length: 0x0002_090a,
            stream: 0x1112_1314_1516_1718,
            position: 0x2122_2324_2526_2728,
            tenure: 0x3132_3334_3536_3738,
            time_ms: 0x4142_4344_4546_4748,
            kind: Kind::Append,
            flags: FIRST_OF_BATCH | MOVED,
        };
        let bytes = header.encode(7);
        let values = BTreeMap::from([
            ("crc", checksum(7, &bytes[4..]).into()),
            ("body_crc", header.body_crc.into()),
            ("meta_length", header.meta_length.into()),
            ("data_length", header.data_length.into()),
            ("stream", header.stream),
            ("position", header.position),
            ("tenure", header.tenure),
            ("time", header.time_ms.unsigned_abs()),
            ("kind", Kind::Append as u64),
            ("flags", 3),
            ("zero", 0),
        ]);
        check("The header of a frame", &bytes, &values);
        assert_eq!(FrameHeader::decode(&bytes, 7), Some(header));
        assert_eq!(FrameHeader::decode(&bytes, 8), None, "another epoch's");
    }

    #[test]
    fn the_page_has_the_numbers_of_the_code() {
        let kinds = [Kind::Create, Kind::Append, Kind::Delete, Kind::Gone];
        for kind in kinds {
            let row = format!("| {} | `{kind:?}` |", kind as u8);
            assert!(PAGE.contains(&row), "{row}");
        }
        for (bit, name) in [(FIRST_OF_BATCH, "FIRST_OF_BATCH"), (MOVED, "MOVED")] {
            let row = format!("| {bit} | `{name}` |");
            assert!(PAGE.contains(&row), "{row}");
        }
        assert!(PAGE.contains(&format!("version {VERSION}")));
        assert!(PAGE.contains(&format!("multiples of {ALIGNMENT}")));
    }
}
