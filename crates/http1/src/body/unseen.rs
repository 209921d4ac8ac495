//! The part of a body that nobody has to look at, because all of it is passed on.

use super::{At, Body, Coding, State};

impl Body {
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
