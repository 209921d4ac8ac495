//! Waiting for something on behalf of a client that may leave, and of an operator who may end the exchange.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use outlast_http1::{Inbox, Transport};
use outlast_observe::{Departure, Ending, Record};

use crate::ending::departure;
use crate::vigil::{Vigil, departed};

/// What ended the wait early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupted {
    ClientGone(Departure),
    Ended(Ending),
}

impl Interrupted {
    pub(crate) fn gone(error: Option<&io::Error>) -> Self {
        Self::ClientGone(departure(error))
    }
}

/// Waits for `future`, unless the client leaves or the exchange is ended first; then `future` is dropped.
pub(crate) async fn watching<T: Transport, F: Future>(
    client: &mut T,
    inbox: &mut Inbox,
    record: &Record,
    future: F,
) -> Result<F::Output, Interrupted> {
    watching_and(client, inbox, record, future, |_, _| Poll::Pending).await
}

/// The same, while something else is done with the client, which is never done unless it fails.
pub(crate) async fn watching_and<T: Transport, F: Future>(
    client: &mut T,
    inbox: &mut Inbox,
    record: &Record,
    future: F,
    mut meanwhile: impl FnMut(&mut Context<'_>, &mut T) -> Poll<Result<Infallible, Interrupted>>,
) -> Result<F::Output, Interrupted> {
    let mut future = pin!(future);
    let mut vigil = Vigil::default();
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        if let Poll::Ready(by) = record.poll_ended(cx) {
            return Poll::Ready(Err(Interrupted::Ended(by)));
        }
        if let Poll::Ready(error) = inbox.poll_gone(cx, client) {
            return Poll::Ready(Err(Interrupted::gone(error.as_ref())));
        }
        if let Poll::Ready(Err(interrupted)) = meanwhile(cx, client) {
            return Poll::Ready(Err(interrupted));
        }
        // A client that has sent more than is kept is not read, nor one that has said everything.
        let half_close = inbox.half_close();
        let is_gone =
            || departed(client, half_close).map(|error| Interrupted::gone(error.as_ref()));
        vigil.poll(cx, || inbox.is_full() || inbox.is_finished(), is_gone).map(Err)
    })
    .await
}
