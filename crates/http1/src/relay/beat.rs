//! Signs of life in a response.

use std::task::Context;

use super::{Down, Exchange, Failure, Observer, down_failure};
use crate::transport::Transport;

/// What came of trying to put in a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// It is on its way to the client.
    Sent,
    /// It would have stood amid a message or a chunk, or the client has not taken what came before.
    Withheld,
}

impl Exchange {
    /// Whether a response has begun into which signs of life may be put: [`HeartbeatRule::BetweenMessages`] was asked for, it
    /// is a stream of messages of a known type, nothing encodes it, its length is not told, and nothing vouches for its bytes.
    ///
    /// [`HeartbeatRule::BetweenMessages`]: crate::HeartbeatRule::BetweenMessages
    #[must_use]
    pub fn may_beat(&self) -> bool {
        matches!(&self.down, Down::Body { flow, .. } if flow.may_beat())
    }

    /// Puts a sign of life into the response, if the last byte that was relayed ended a message.
    ///
    /// # Errors
    /// [`Failure::ClientGone`].
    pub fn beat<C: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut C,
        observer: &impl Observer,
    ) -> Result<Beat, Failure> {
        let Down::Body { flow, .. } = &mut self.down else { return Ok(Beat::Withheld) };
        let Some(bytes) = flow.beat(cx, client).map_err(down_failure)? else {
            return Ok(Beat::Withheld);
        };
        observer.beaten(bytes);
        Ok(Beat::Sent)
    }
}
