//! Which part of a stream's messages a reader gets.

use bytes::Bytes;

use crate::catalog::Piece;
use crate::content_type::Boundaries;
use crate::error::OffsetProblem;

/// Takes messages until there are enough.
#[derive(Debug)]
pub(crate) struct Take {
    boundaries: Boundaries,
    room: usize,
    pub(crate) taken: Vec<Bytes>,
    /// Nothing more fits.
    pub(crate) is_full: bool,
}

impl Take {
    pub(crate) fn new(boundaries: Boundaries, bytes_max: usize) -> Self {
        Self { boundaries, room: bytes_max, taken: Vec::new(), is_full: false }
    }

    pub(crate) fn boundaries(&self) -> Boundaries {
        self.boundaries
    }

    /// How many bytes may still be taken; not 0 as long as it is not full.
    pub(crate) fn room(&self) -> usize {
        self.room.max(1)
    }

    /// Takes of a message, which begins at `start`, what lies in the piece and fits.
    pub(crate) fn offer(
        &mut self,
        piece: Piece,
        start: u64,
        message: &Bytes,
    ) -> Result<(), OffsetProblem> {
        if self.is_full || start >= piece.to {
            return Ok(());
        }
        let skip = index(piece.from.saturating_sub(start));
        let end = message.len().min(index(piece.to - start));
        if skip >= end {
            return Ok(());
        }
        let is_first = self.taken.is_empty();
        let cut = match self.boundaries {
            Boundaries::Messages if skip > 0 => return Err(OffsetProblem::WithinMessage),
            Boundaries::Messages if end > self.room && !is_first => skip,
            Boundaries::Messages => end,
            Boundaries::Bytes => end.min(skip + self.room.max(usize::from(is_first))),
        };
        if cut > skip {
            self.taken.push(message.slice(skip..cut));
        }
        self.room = self.room.saturating_sub(cut - skip);
        self.is_full = cut < end || self.room == 0;
        Ok(())
    }
}

/// A distance within a message, which is in memory.
fn index(distance: u64) -> usize {
    usize::try_from(distance).unwrap_or(usize::MAX)
}
