//! Where a message body ends (RFC 9112 sections 6 and 7).
//!
//! A [`Body`] is shown every byte once and says how many belong to the message. It keeps no bytes.

use thiserror::Error;

/// A chunk-size line may carry extensions; beyond this the sender is not honest (RFC 9112 section 7.1.1).
const CHUNK_LINE_BYTES_MAX: u16 = 4096;
/// Trailer fields of a response, all lines together.
const TRAILER_BYTES_MAX: u16 = 8192;

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
    Chunked { at: At, coding: Coding, trailers: Trailers },
}

/// What to do with trailer fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trailers {
    Pass,
    Refuse,
}

/// The position within the chunked coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the chunk-size line, before any digit.
    SizeStart,
    Size(u64),
    Extension {
        size: u64,
        seen: u16,
    },
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// At the start of a line after the last chunk.
    TrailerStart {
        seen: u16,
    },
    TrailerLine {
        seen: u16,
    },
    TrailerLf {
        seen: u16,
    },
    EndLf,
}

/// Why a body is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// RFC 9112 section 7.1: the size is hexadecimal, without sign or blanks.
    #[error("chunk size is not a hexadecimal number")]
    ChunkSize,
    /// A chunk larger than 2^60 bytes is not real.
    #[error("chunk size is too large")]
    ChunkTooLarge,
    /// Chunk lines end in CRLF and nothing else.
    #[error("chunk line does not end in CRLF")]
    ChunkLineEnd,
    /// More than 4096 bytes of chunk extension.
    #[error("chunk extension is longer than 4096 bytes")]
    ExtensionTooLong,
    /// Trailer fields in a request, which are not relayed yet.
    #[error("trailer fields are not supported in requests")]
    Trailers,
    /// More than 8192 bytes of trailer fields, or malformed ones.
    #[error("trailer section is malformed or longer than 8192 bytes")]
    TrailerSection,
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

    /// A chunked request body; trailer fields are refused.
    #[must_use]
    pub fn chunked_request() -> Self {
        Self(State::Chunked { at: At::SizeStart, coding: Coding::AsIs, trailers: Trailers::Refuse })
    }

    /// A chunked response body; trailer fields pass, or are left out with the chunk sizes.
    #[must_use]
    pub fn chunked_response(coding: Coding) -> Self {
        Self(State::Chunked { at: At::SizeStart, coding, trailers: Trailers::Pass })
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
        matches!(self.0, State::UntilClose | State::Chunked { coding: Coding::Decoded, .. })
    }

    /// Shows the next bytes; decoded chunk data is moved to the front of `bytes`.
    ///
    /// # Errors
    /// The chunked coding is broken. The message cannot be completed.
    pub fn advance(&mut self, bytes: &mut [u8]) -> Result<Advanced, BodyError> {
        match &mut self.0 {
            State::Ended => Ok(Advanced { consumed: 0, forward: 0 }),
            State::UntilClose => Ok(Advanced { consumed: bytes.len(), forward: bytes.len() }),
            State::Length(left) => {
                let consumed = clamp(*left, bytes.len());
                *left -= consumed as u64;
                if *left == 0 {
                    self.0 = State::Ended;
                }
                Ok(Advanced { consumed, forward: consumed })
            }
            State::Chunked { .. } => self.advance_chunked(bytes),
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
            State::Length(_) | State::Chunked { .. } => Err(BodyError::Truncated),
        }
    }

    fn advance_chunked(&mut self, bytes: &mut [u8]) -> Result<Advanced, BodyError> {
        let State::Chunked { at, coding, trailers } = &mut self.0 else {
            unreachable!("the caller matched a chunked body")
        };
        let (mut index, mut decoded) = (0, 0);
        while index < bytes.len() {
            if let At::Data { left } = at {
                let run = clamp(*left, bytes.len() - index);
                if *coding == Coding::Decoded {
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
            let next = at.next(bytes[index], *trailers)?;
            index += 1;
            let Some(next) = next else {
                let forward = if *coding == Coding::Decoded { decoded } else { index };
                self.0 = State::Ended;
                return Ok(Advanced { consumed: index, forward });
            };
            *at = next;
        }
        let forward = if *coding == Coding::Decoded { decoded } else { index };
        Ok(Advanced { consumed: index, forward })
    }
}

impl At {
    /// The position after `byte`; None after the last byte of the body.
    fn next(self, byte: u8, trailers: Trailers) -> Result<Option<Self>, BodyError> {
        let next = match (self, byte) {
            (Self::SizeStart, _) => Self::Size(hex(byte).ok_or(BodyError::ChunkSize)?),
            (Self::Size(size), b'\r') => Self::SizeLf { size },
            (Self::Size(size), b';') => Self::Extension { size, seen: 0 },
            (Self::Size(size), _) => {
                let digit = hex(byte).ok_or(BodyError::ChunkSize)?;
                if size >> 56 != 0 {
                    return Err(BodyError::ChunkTooLarge);
                }
                Self::Size(size << 4 | digit)
            }
            (Self::Extension { size, .. }, b'\r') => Self::SizeLf { size },
            (Self::Extension { .. }, b'\n' | b'\0') => return Err(BodyError::ChunkLineEnd),
            (Self::Extension { size, seen }, _) if seen < CHUNK_LINE_BYTES_MAX => {
                Self::Extension { size, seen: seen + 1 }
            }
            (Self::Extension { .. }, _) => return Err(BodyError::ExtensionTooLong),
            (Self::SizeLf { size: 0 }, b'\n') => Self::TrailerStart { seen: 0 },
            (Self::SizeLf { size }, b'\n') => Self::Data { left: size },
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::SizeStart,
            (Self::SizeLf { .. } | Self::DataCr | Self::DataLf, _) => {
                return Err(BodyError::ChunkLineEnd);
            }
            (Self::TrailerStart { .. }, b'\r') => Self::EndLf,
            (Self::EndLf, b'\n') => return Ok(None),
            (Self::TrailerStart { .. }, _) if trailers == Trailers::Refuse => {
                return Err(BodyError::Trailers);
            }
            (Self::TrailerLine { seen }, b'\r') => Self::TrailerLf { seen },
            (Self::TrailerLf { seen }, b'\n') => Self::TrailerStart { seen },
            (Self::TrailerStart { seen } | Self::TrailerLine { seen }, _)
                if seen < TRAILER_BYTES_MAX && byte != b'\n' && byte != b'\0' =>
            {
                Self::TrailerLine { seen: seen + 1 }
            }
            (
                Self::TrailerStart { .. }
                | Self::TrailerLine { .. }
                | Self::TrailerLf { .. }
                | Self::EndLf,
                _,
            ) => return Err(BodyError::TrailerSection),
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
            (b"5;a\n", BodyError::ChunkLineEnd),
            (b"5\rx", BodyError::ChunkLineEnd),
            (b"1\r\nab", BodyError::ChunkLineEnd),
            (b"1\r\na\n", BodyError::ChunkLineEnd),
            (b"10000000000000000\r\n", BodyError::ChunkTooLarge),
            (b"0\r\n\n", BodyError::Trailers),
            (b"0\r\nA: b\r\n\r\n", BodyError::Trailers),
            (b"0\r\n\rx", BodyError::TrailerSection),
        ] {
            let result = feed(&mut Body::chunked_request(), bytes);
            assert_eq!(result, Err(error), "{}", bytes.escape_ascii());
        }
        let long = [b"5;".as_slice(), &[b'a'; 5000]].concat();
        assert_eq!(feed(&mut Body::chunked_request(), &long), Err(BodyError::ExtensionTooLong));
        let long = [b"0\r\nA: ".as_slice(), &[b'a'; 9000]].concat();
        let mut response = Body::chunked_response(Coding::AsIs);
        assert_eq!(feed(&mut response, &long), Err(BodyError::TrailerSection));
    }

    #[test]
    fn response_trailers_pass_and_are_left_out_when_decoding() {
        let bytes = b"3\r\nabc\r\n0\r\nDigest: x\r\n\r\n";
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
            extension in "(;[a-z]{0,5})?",
            rest in proptest::collection::vec(any::<u8>(), 0..10),
            cuts in proptest::collection::vec(1usize..12, 1..40),
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend(format!("{:X}{extension}\r\n", chunk.len()).bytes());
                wire.extend(chunk);
                wire.extend(b"\r\n");
            }
            wire.extend(b"0\r\n\r\n");
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
