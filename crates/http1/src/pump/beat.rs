//! Signs of life between the messages of a flow that is silent.

use std::io;
use std::task::{Context, Poll};

use super::{Flow, FlowError};
use crate::body::Gap;
use crate::transport::Transport;

impl Flow {
    /// Whether signs of life may ever be put in.
    pub(crate) fn may_beat(&self) -> bool {
        self.messages.is_some()
    }

    /// Puts in a sign of life and says of how many bytes. None where there is no place for it: amid a message or a chunk, or
    /// while the receiver has not taken what came before.
    ///
    /// # Errors
    /// The receiver's transport failed.
    pub(crate) fn beat<D: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        destination: &mut D,
    ) -> Result<Option<usize>, FlowError> {
        let Some(messages) = self.messages.as_mut().filter(|_| self.pending.is_empty()) else {
            return Ok(None);
        };
        let (Some(sign), Some(gap)) = (messages.sign_of_life(), self.body.gap()) else {
            return Ok(None);
        };
        let wire = match gap {
            Gap::Plain => sign.to_vec(),
            Gap::Chunk => [format!("{:x}\r\n", sign.len()).as_bytes(), sign, b"\r\n"].concat(),
        };
        match destination.poll_write(cx, &wire).map_err(FlowError::Write)? {
            Poll::Pending => Ok(None),
            Poll::Ready(0) => Err(FlowError::Write(io::ErrorKind::WriteZero.into())),
            Poll::Ready(count) => {
                messages.beaten();
                if count < wire.len() {
                    self.pending = wire[count..].to_vec();
                    self.is_amid_beat = true;
                    // So that somebody is woken when there is room.
                    if let Poll::Ready(flushed) = self.poll_flush(cx, destination, &mut |_| {}) {
                        flushed?;
                    }
                }
                Ok(Some(wire.len()))
            }
        }
    }
}
