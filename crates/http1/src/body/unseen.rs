//! The part of a body that nobody has to look at, because all of it is passed on, and the places that are no part of it.

use super::{At, Body, Coding, State};

/// Where something that the sender did not send may be put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    /// As a chunk of its own.
    Chunk,
    /// As it is.
    Plain,
}

impl Body {
    /// How something may be put in before the next byte; None within a chunk, after the last one, and where the length of
    /// the body has been told.
    pub(crate) fn gap(&self) -> Option<Gap> {
        match self.0 {
            State::Chunked { at: At::SizeStart, coding: Coding::AsIs, .. } => Some(Gap::Chunk),
            State::UntilClose | State::Chunked { coding: Coding::Decoded, .. } => Some(Gap::Plain),
            State::Chunked { .. } | State::Length(_) | State::Ended | State::Trailers { .. } => {
                None
            }
        }
    }

    /// So many of the next bytes belong to the message and are passed on as they are, whatever they are.
    pub(crate) fn opaque(&self) -> u64 {
        match self.0 {
            State::Length(left) => left,
            State::UntilClose => u64::MAX,
            State::Chunked { at: At::Data { left }, coding: Coding::AsIs, .. } => left,
            State::Ended | State::Chunked { .. } | State::Trailers { .. } => 0,
        }
    }

    /// So many bytes, at most [`Body::opaque`], have passed without being shown.
    pub(crate) fn skip(&mut self, bytes: u64) {
        debug_assert!(bytes <= self.opaque());
        match &mut self.0 {
            State::Length(left) if *left == bytes => self.0 = State::Ended,
            State::Length(left) => *left -= bytes,
            State::Chunked { at, .. } => {
                if let At::Data { left } = at {
                    *left -= bytes;
                    if *left == 0 {
                        *at = At::DataCr;
                    }
                }
            }
            State::UntilClose | State::Ended | State::Trailers { .. } => {}
        }
    }
}
