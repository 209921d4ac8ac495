//! From the bytes of a file to the bytes of a log: gzip and UTF-16 are told by how they begin.

use std::io::Write;

use flate2::write::MultiGzDecoder;

/// Compressed bytes are unpacked so many at a time: gzip makes at most 1,032 of one, 4 MiB at once.
const PACKED_BYTES: usize = 4 * 1024;
/// RFC 1952 section 2.3.1, with the one method there is.
const GZIP: &[u8] = &[0x1f, 0x8b, 8];
const UTF16_LE: &[u8] = &[0xff, 0xfe];
const UTF16_BE: &[u8] = &[0xfe, 0xff];
const UTF8: &[u8] = &[0xef, 0xbb, 0xbf];

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Packing {
    /// Not at all.
    #[default]
    Plain,
    /// Gzip, of one or several members.
    Gzip,
    /// UTF-16, as PowerShell writes what it redirects.
    Utf16,
}

/// Unpacks what it is fed.
pub(super) enum Input {
    /// Too few bytes yet to tell.
    Unknown(Vec<u8>),
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Utf16(Utf16),
    /// It broke off: what follows is ignored.
    Broken,
}

/// Why no more can be unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    /// What the decoder says.
    pub(super) reason: String,
}

impl Input {
    pub(super) fn new() -> Self {
        Self::Unknown(Vec::new())
    }

    pub(super) fn packing(&self) -> Packing {
        match self {
            Self::Unknown(_) | Self::Plain => Packing::Plain,
            Self::Gzip(_) | Self::Broken => Packing::Gzip,
            Self::Utf16(_) => Packing::Utf16,
        }
    }

    /// Hands on what the bytes unpack to, in pieces.
    pub(super) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), Broken> {
        let Self::Unknown(begin) = self else { return self.unpack(bytes, &mut each) };
        begin.extend_from_slice(bytes);
        if begin.len() < GZIP.len() {
            return Ok(());
        }
        let begin = std::mem::take(begin);
        self.tell(&begin, &mut each)
    }

    /// There is no more.
    pub(super) fn end(&mut self, mut each: impl FnMut(&[u8])) -> Result<(), Broken> {
        match self {
            Self::Unknown(begin) => {
                let begin = std::mem::take(begin);
                self.tell(&begin, &mut each)
            }
            Self::Gzip(decoder) => {
                let ended = decoder.try_finish();
                each(&std::mem::take(decoder.get_mut()));
                ended.map_err(|error| Broken { reason: error.to_string() })
            }
            Self::Plain | Self::Utf16(_) | Self::Broken => Ok(()),
        }
    }

    fn tell(&mut self, begin: &[u8], each: &mut impl FnMut(&[u8])) -> Result<(), Broken> {
        let (form, rest) = if begin.starts_with(GZIP) {
            (Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))), begin)
        } else if let Some(rest) = begin.strip_prefix(UTF16_LE) {
            (Self::Utf16(Utf16::new(u16::from_le_bytes)), rest)
        } else if let Some(rest) = begin.strip_prefix(UTF16_BE) {
            (Self::Utf16(Utf16::new(u16::from_be_bytes)), rest)
        } else {
            (Self::Plain, begin.strip_prefix(UTF8).unwrap_or(begin))
        };
        *self = form;
        self.unpack(rest, each)
    }

    fn unpack(&mut self, bytes: &[u8], each: &mut impl FnMut(&[u8])) -> Result<(), Broken> {
        match self {
            Self::Unknown(_) | Self::Plain => each(bytes),
            Self::Utf16(utf16) => utf16.feed(bytes, each),
            Self::Broken => {}
            Self::Gzip(decoder) => {
                for piece in bytes.chunks(PACKED_BYTES) {
                    let written = decoder.write_all(piece);
                    each(decoder.get_ref());
                    decoder.get_mut().clear();
                    if let Err(error) = written {
                        *self = Self::Broken;
                        return Err(Broken { reason: error.to_string() });
                    }
                }
            }
        }
        Ok(())
    }
}

/// UTF-16 on its way to UTF-8.
pub(super) struct Utf16 {
    unit: fn([u8; 2]) -> u16,
    /// The first byte of a unit, the first unit of a pair.
    byte: Option<u8>,
    high: Option<u16>,
}

impl Utf16 {
    fn new(unit: fn([u8; 2]) -> u16) -> Self {
        Self { unit, byte: None, high: None }
    }

    fn feed(&mut self, bytes: &[u8], each: &mut impl FnMut(&[u8])) {
        let mut units = Vec::with_capacity(bytes.len() / 2 + 2);
        units.extend(self.high.take());
        let mut bytes = bytes;
        if let (Some(first), [second, rest @ ..]) = (self.byte, bytes) {
            units.push((self.unit)([first, *second]));
            (self.byte, bytes) = (None, rest);
        }
        let (pairs, odd) = bytes.as_chunks::<2>();
        units.extend(pairs.iter().map(|pair| (self.unit)(*pair)));
        self.byte = odd.first().copied().or(self.byte);
        if units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
            self.high = units.pop();
        }
        each(String::from_utf16_lossy(&units).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).expect("memory");
        encoder.finish().expect("memory")
    }

    /// What comes out of it, fed in pieces of every size.
    fn unpacked(bytes: &[u8]) -> (String, Result<(), Broken>) {
        let mut first = None;
        for size in [1, 2, 3, 7, usize::MAX] {
            let (mut input, mut text) = (Input::new(), Vec::new());
            let mut ended = Ok(());
            for piece in bytes.chunks(size.min(bytes.len().max(1))) {
                ended = ended.and(input.feed(piece, |bytes| text.extend_from_slice(bytes)));
            }
            ended = ended.and(input.end(|bytes| text.extend_from_slice(bytes)));
            let result = (String::from_utf8(text).expect("text"), ended);
            assert_eq!(*first.get_or_insert_with(|| result.clone()), result, "in pieces of {size}");
        }
        first.expect("it was fed")
    }

    #[test]
    fn packing_is_told_by_the_first_bytes() {
        let text = "14:37:39 [error] 🚀 é\r\n";
        let utf16: Vec<u16> = text.encode_utf16().collect();
        let little = utf16.iter().flat_map(|unit| unit.to_le_bytes());
        let big = utf16.iter().flat_map(|unit| unit.to_be_bytes());
        for bytes in [
            text.as_bytes().to_vec(),
            [UTF8, text.as_bytes()].concat(),
            packed(text),
            UTF16_LE.iter().copied().chain(little).collect(),
            UTF16_BE.iter().copied().chain(big).collect(),
        ] {
            assert_eq!(unpacked(&bytes), (text.to_owned(), Ok(())), "{bytes:?}");
        }
        assert_eq!(unpacked(b"ab"), ("ab".to_owned(), Ok(())));
        assert_eq!(unpacked(b""), (String::new(), Ok(())));
    }

    #[test]
    fn several_members_are_one_log_and_a_cut_one_says_so() {
        let mut bytes = packed("one\n");
        bytes.extend(packed("two\n"));
        assert_eq!(unpacked(&bytes), ("one\ntwo\n".to_owned(), Ok(())));
        bytes.truncate(bytes.len() - 9);
        let (text, ended) = unpacked(&bytes);
        assert!(text.starts_with("one\n") && ended.is_err(), "{text:?} {ended:?}");
    }
}
