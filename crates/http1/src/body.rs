//! Where a message body ends (RFC 9112 sections 6 and 7).
//!
//! A [`Body`] is shown every byte once and says how many belong to the message. It keeps no bytes.

mod extension;
mod unseen;

pub(crate) use unseen::Gap;

use thiserror::Error;

use extension::ExtensionPart;

use crate::messages::Messages;
use crate::trailers::{Sender, TrailerSection};

/// A chunk-size line may carry extensions; beyond this the sender is not honest (RFC 9112 section 7.1.1).
const CHUNK_LINE_BYTES_MAX: u16 = 4096;
/// 16 digits are 2^64; more can only be zeros without end.
const CHUNK_SIZE_DIGITS_MAX: u8 = 16;

/// How chunked bytes are passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As they came, chunk sizes included.
    AsIs,
    /// Only the data: the receiver speaks HTTP/1.0.
    Decoded,
}

/// Follows one message body to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body(State);

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Ended,
    Length(u64),
    UntilClose,
    Chunked {
        at: At,
        coding: Coding,
        sender: Sender,
    },
    /// After the last chunk. Boxed: few messages have a trailer section.
    Trailers {
        section: Box<TrailerSection>,
        coding: Coding,
    },
}

/// The position within the chunked coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the chunk-size line, before any digit.
    SizeStart,
    Size {
        size: u64,
        digits: u8,
    },
    Extension {
        size: u64,
        seen: u16,
        part: ExtensionPart,
    },
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
}

/// Why a body is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// RFC 9112 section 7.1: the size is hexadecimal, without sign or blanks.
    #[error("chunk size is not a hexadecimal number")]
    ChunkSize,
    /// A chunk of 2^60 bytes is not real, and a size has no more than 16 digits.
    #[error("chunk size is too large")]
    ChunkTooLarge,
    /// Chunk lines end in CRLF and nothing else.
    #[error("chunk line does not end in CRLF")]
    ChunkLineEnd,
    /// RFC 9112 section 7.1.1: a name, or a name and a value.
    #[error("chunk extension is malformed")]
    ChunkExtension,
    /// More than 4096 bytes of chunk extension.
    #[error("chunk extension is longer than 4096 bytes")]
    ExtensionTooLong,
    /// More than 8192 bytes of trailer fields.
    #[error("trailer section is longer than 8192 bytes")]
    TrailersTooLong,
    /// RFC 9112 section 7.1.2: trailers are field lines.
    #[error("trailer section is malformed")]
    TrailerSection,
    /// RFC 9110 section 6.5.1.
    #[error("a trailer field is one that may only stand in a head")]
    ForbiddenTrailer,
    /// The connection ended before the body did.
    #[error("connection closed before the end of the body")]
    Truncated,
}

/// The result of showing bytes to a [`Body`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advanced {
    /// So many of the bytes shown belong to the message.
    pub consumed: usize,
    /// So many bytes at the start of the buffer are to be passed on. Equal to `consumed` unless chunks are decoded.
    pub forward: usize,
}

impl Body {
    /// No body at all.
    #[must_use]
    pub fn none() -> Self {
        Self(State::Ended)
    }

    /// A body of exactly `length` bytes.
    #[must_use]
    pub fn length(length: u64) -> Self {
        Self(if length == 0 { State::Ended } else { State::Length(length) })
    }

    /// A chunked request body; trailer fields pass, but for those by which a client could claim to be another.
    #[must_use]
    pub fn chunked_request() -> Self {
        Self(State::Chunked { at: At::SizeStart, coding: Coding::AsIs, sender: Sender::Client })
    }

    /// A chunked response body; trailer fields pass, or are left out with the chunk sizes.
    #[must_use]
    pub fn chunked_response(coding: Coding) -> Self {
        Self(State::Chunked { at: At::SizeStart, coding, sender: Sender::Machine })
    }

    /// A body that ends when the sender closes.
    #[must_use]
    pub fn until_close() -> Self {
        Self(State::UntilClose)
    }

    /// Whether the last byte has been seen.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.0 == State::Ended
    }

    /// Whether only the close of the sender ends it.
    #[must_use]
    pub fn is_until_close(&self) -> bool {
        self.0 == State::UntilClose
    }

    /// Whether what is passed on has no end of its own: no length, and no chunks or decoded ones.
    #[must_use]
    pub fn is_delimited_by_close(&self) -> bool {
        matches!(
            self.0,
            State::UntilClose
                | State::Chunked { coding: Coding::Decoded, .. }
                | State::Trailers { coding: Coding::Decoded, .. }
        )
    }

    /// Shows the next bytes; decoded chunk data is moved to the front of `bytes`.
    ///
    /// # Errors
    /// The chunked coding is broken. The message cannot be completed.
    pub fn advance(&mut self, bytes: &mut [u8]) -> Result<Advanced, BodyError> {
        self.advance_showing(bytes, None)
    }

    /// As [`Body::advance`]; the content among the bytes is shown to `messages`.
    pub(crate) fn advance_showing(
        &mut self,
        bytes: &mut [u8],
        messages: Option<&mut Messages>,
    ) -> Result<Advanced, BodyError> {
        match &mut self.0 {
            State::Ended => Ok(Advanced { consumed: 0, forward: 0 }),
            State::UntilClose => {
                if let Some(messages) = messages {
                    messages.show(bytes);
                }
                Ok(Advanced { consumed: bytes.len(), forward: bytes.len() })
            }
            State::Length(left) => {
                let consumed = clamp(*left, bytes.len());
                *left -= consumed as u64;
                if *left == 0 {
                    self.0 = State::Ended;
                }
                Ok(Advanced { consumed, forward: consumed })
            }
            State::Chunked { .. } => self.advance_chunked(bytes, messages),
            State::Trailers { coding, .. } => {
                let coding = *coding;
                let consumed = self.advance_trailers(bytes)?;
                let forward = if coding == Coding::Decoded { 0 } else { consumed };
                Ok(Advanced { consumed, forward })
            }
        }
    }

    /// Tells that the sender has closed.
    ///
    /// # Errors
    /// [`BodyError::Truncated`] unless that is how this body ends, or it had ended.
    pub fn close(&mut self) -> Result<(), BodyError> {
        match self.0 {
            State::Ended => Ok(()),
            State::UntilClose => {
                self.0 = State::Ended;
                Ok(())
            }
            State::Length(_) | State::Chunked { .. } | State::Trailers { .. } => {
                Err(BodyError::Truncated)
            }
        }
    }

    fn advance_chunked(
        &mut self,
        bytes: &mut [u8],
        mut messages: Option<&mut Messages>,
    ) -> Result<Advanced, BodyError> {
        let State::Chunked { at, coding, sender } = &mut self.0 else {
            unreachable!("the caller matched a chunked body")
        };
        let (coding, sender) = (*coding, *sender);
        let (mut index, mut decoded) = (0, 0);
        while index < bytes.len() {
            if let At::Data { left } = at {
                let run = clamp(*left, bytes.len() - index);
                if let Some(messages) = &mut messages {
                    messages.show(&mut bytes[index..index + run]);
                }
                if coding == Coding::Decoded {
                    bytes.copy_within(index..index + run, decoded);
                    decoded += run;
                }
                index += run;
                *left -= run as u64;
                if *left == 0 {
                    *at = At::DataCr;
                }
                continue;
            }
            let next = at.next(bytes[index])?;
            index += 1;
            let Some(next) = next else {
                index += self.begin_trailers(coding, sender, &bytes[index..])?;
                break;
            };
            *at = next;
        }
        let forward = if coding == Coding::Decoded { decoded } else { index };
        Ok(Advanced { consumed: index, forward })
    }

    /// The last chunk has come; `bytes` follow it. Returns how many of them belong to the message.
    fn begin_trailers(
        &mut self,
        coding: Coding,
        sender: Sender,
        bytes: &[u8],
    ) -> Result<usize, BodyError> {
        if bytes.starts_with(b"\r\n") {
            self.0 = State::Ended;
            return Ok(2);
        }
        self.0 = State::Trailers { section: Box::new(TrailerSection::new(sender)), coding };
        self.advance_trailers(bytes)
    }

    fn advance_trailers(&mut self, bytes: &[u8]) -> Result<usize, BodyError> {
        let State::Trailers { section, .. } = &mut self.0 else {
            unreachable!("the caller knows that a trailer section has begun")
        };
        let (consumed, is_complete) = section.advance(bytes)?;
        if is_complete {
            self.0 = State::Ended;
        }
        Ok(consumed)
    }
}

impl At {
    /// The position after `byte`; None after the line of the last chunk.
    fn next(self, byte: u8) -> Result<Option<Self>, BodyError> {
        let next = match (self, byte) {
            (Self::SizeStart, _) => {
                Self::Size { size: hex(byte).ok_or(BodyError::ChunkSize)?, digits: 1 }
            }
            (Self::Size { size, .. }, b'\r') => Self::SizeLf { size },
            (Self::Size { size, .. }, b';') => {
                Self::Extension { size, seen: 0, part: ExtensionPart::NameStart }
            }
            (Self::Size { size, digits }, _) => {
                let digit = hex(byte).ok_or(BodyError::ChunkSize)?;
                if size >> 56 != 0 || digits == CHUNK_SIZE_DIGITS_MAX {
                    return Err(BodyError::ChunkTooLarge);
                }
                Self::Size { size: size << 4 | digit, digits: digits + 1 }
            }
            (Self::Extension { size, part, .. }, b'\r') if part.is_complete() => {
                Self::SizeLf { size }
            }
            (Self::Extension { seen: CHUNK_LINE_BYTES_MAX, .. }, _) => {
                return Err(BodyError::ExtensionTooLong);
            }
            (Self::Extension { size, seen, part }, _) => {
                let part = part.next(byte).ok_or(BodyError::ChunkExtension)?;
                Self::Extension { size, seen: seen + 1, part }
            }
            (Self::SizeLf { size: 0 }, b'\n') => return Ok(None),
            (Self::SizeLf { size }, b'\n') => Self::Data { left: size },
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::SizeStart,
            (Self::SizeLf { .. } | Self::DataCr | Self::DataLf, _) => {
                return Err(BodyError::ChunkLineEnd);
            }
            (Self::Data { .. }, _) => unreachable!("data is taken in runs"),
        };
        Ok(Some(next))
    }
}

fn hex(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

fn clamp(left: u64, available: usize) -> usize {
    usize::try_from(left).map_or(available, |left| left.min(available))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn feed(body: &mut Body, bytes: &[u8]) -> Result<(usize, Vec<u8>), BodyError> {
        let mut buffer = bytes.to_vec();
        let advanced = body.advance(&mut buffer)?;
        buffer.truncate(advanced.forward);
        Ok((advanced.consumed, buffer))
    }

    #[test]
    fn a_length_body_takes_its_bytes_and_no_more() {
        let mut body = Body::length(5);
        assert_eq!(feed(&mut body, b"abc"), Ok((3, b"abc".to_vec())));
        assert!(!body.is_ended());
        assert_eq!(feed(&mut body, b"deGET /"), Ok((2, b"de".to_vec())));
        assert!(body.is_ended());
    }

    #[test]
    fn only_some_bodies_may_end_by_a_close() {
        assert_eq!(Body::length(1).close(), Err(BodyError::Truncated));
        assert_eq!(Body::chunked_request().close(), Err(BodyError::Truncated));
        assert_eq!(Body::until_close().close(), Ok(()));
        assert_eq!(Body::none().close(), Ok(()));
    }

    #[test]
    fn chunked_bodies_that_are_not() {
        for (bytes, error) in [
            (&b"\r\n"[..], BodyError::ChunkSize),
            (b"+5\r\n", BodyError::ChunkSize),
            (b" 5\r\n", BodyError::ChunkSize),
            (b"0x5\r\n", BodyError::ChunkSize),
            (b"5 \r\n", BodyError::ChunkSize),
            (b"5\n", BodyError::ChunkSize),
            (b"5;a\n", BodyError::ChunkExtension),
            (b"5;\r\n", BodyError::ChunkExtension),
            (b"5;a=\r\n", BodyError::ChunkExtension),
            (b"5;a=\"b\r\n", BodyError::ChunkExtension),
            (b"5;a=\"b\"c\r\n", BodyError::ChunkExtension),
            (b"5;a b\r\n", BodyError::ChunkExtension),
            (b"5; a\r\n", BodyError::ChunkExtension),
            (b"5;a=\"\\\r\n", BodyError::ChunkExtension),
            (b"5\rx", BodyError::ChunkLineEnd),
            (b"1\r\nab", BodyError::ChunkLineEnd),
            (b"1\r\na\n", BodyError::ChunkLineEnd),
            (b"10000000000000000\r\n", BodyError::ChunkTooLarge),
            (b"00000000000000001\r\n", BodyError::ChunkTooLarge),
            (b"5;a\rb\r\n", BodyError::ChunkLineEnd),
            (b"5;a\0\r\n", BodyError::ChunkExtension),
            (b"0\r\n\n", BodyError::TrailerSection),
            (b"0\r\n\rx", BodyError::TrailerSection),
            (b"0\r\nA: b\n\r\n", BodyError::TrailerSection),
            (b"0\r\nA: b\rc\r\n\r\n", BodyError::TrailerSection),
            (b"0\r\nA : b\r\n\r\n", BodyError::TrailerSection),
            (b"0\r\nA: b\r\n c\r\n\r\n", BodyError::TrailerSection),
            (b"0\r\nA: \0\r\n\r\n", BodyError::TrailerSection),
            (b"0\r\nA\r\n\r\n", BodyError::TrailerSection),
            (b"0\r\nContent-Length: 3\r\n\r\n", BodyError::ForbiddenTrailer),
            (b"0\r\ntransfer-encoding: chunked\r\n\r\n", BodyError::ForbiddenTrailer),
            (b"0\r\nX: y\r\nFly-Client-IP: 6.6.6.6\r\n\r\n", BodyError::ForbiddenTrailer),
        ] {
            let result = feed(&mut Body::chunked_request(), bytes);
            assert_eq!(result, Err(error), "{}", bytes.escape_ascii());
        }
        let long = [b"5;".as_slice(), &[b'a'; 5000]].concat();
        assert_eq!(feed(&mut Body::chunked_request(), &long), Err(BodyError::ExtensionTooLong));
        let long = [b"0\r\nA: ".as_slice(), &[b'a'; 9000]].concat();
        let mut response = Body::chunked_response(Coding::AsIs);
        assert_eq!(feed(&mut response, &long), Err(BodyError::TrailersTooLong));
    }

    #[test]
    fn trailers_pass_and_are_left_out_when_decoding() {
        let bytes = b"3\r\nabc\r\n0\r\nDigest: x\r\n\r\n";
        let mut request = Body::chunked_request();
        assert_eq!(feed(&mut request, bytes), Ok((bytes.len(), bytes.to_vec())));
        assert!(request.is_ended());
        let mut body = Body::chunked_response(Coding::AsIs);
        assert_eq!(feed(&mut body, bytes), Ok((bytes.len(), bytes.to_vec())));
        assert!(body.is_ended());
        let mut body = Body::chunked_response(Coding::Decoded);
        assert_eq!(feed(&mut body, bytes), Ok((bytes.len(), b"abc".to_vec())));
        assert!(body.is_ended());
    }

    proptest! {
        /// However the bytes are cut into reads, the same bytes belong to the message.
        #[test]
        fn chunks_are_followed_across_any_reads(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..8),
            extension in "(;[a-z]{1,5}(=[a-z0-9]{1,3}|=\"[ -!#-Z]{0,3}\"|=\"\\\\[ -~]\")?){0,2}",
            trailers in "(X[A-Z]{1,3}: [a-z]{0,3}\r\n){0,3}",
            rest in proptest::collection::vec(any::<u8>(), 0..10),
            cuts in proptest::collection::vec(1usize..12, 1..40),
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend(format!("{:X}{extension}\r\n", chunk.len()).bytes());
                wire.extend(chunk);
                wire.extend(b"\r\n");
            }
            wire.extend(format!("0\r\n{trailers}\r\n").bytes());
            let end = wire.len();
            wire.extend(&rest);
            for coding in [Coding::AsIs, Coding::Decoded] {
                let mut body = Body::chunked_response(coding);
                let (mut at, mut forwarded) = (0, Vec::new());
                for cut in cuts.iter().cycle() {
                    let next = (at + cut).min(wire.len());
                    let (consumed, bytes) = feed(&mut body, &wire[at..next]).expect("valid");
                    forwarded.extend(bytes);
                    at += consumed;
                    if body.is_ended() {
                        break;
                    }
                    prop_assert_eq!(at, next);
                }
                prop_assert_eq!(at, end);
                let want = match coding {
                    Coding::AsIs => wire[..end].to_vec(),
                    Coding::Decoded => chunks.concat(),
                };
                prop_assert_eq!(forwarded, want);
            }
        }

        /// Any bytes at all: no panic, and never more consumed than shown.
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut body = Body::chunked_response(Coding::Decoded);
            if let Ok((consumed, forwarded)) = feed(&mut body, &bytes) {
                prop_assert!(consumed <= bytes.len());
                prop_assert!(forwarded.len() <= consumed);
            }
        }
    }
}
