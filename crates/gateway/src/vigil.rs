//! Looking after peers that are not read: who does not listen hears of no end.
//!
//! A connection tells that its peer has gone when it is read. While one side does not take what the other one sent, nothing is
//! read, and a reset behind what waits stays unseen. Then it is looked at once a second; all others cost nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use outlast_http1::{HalfClose, Presence, Transport, TunnelError};
use outlast_runtime::clock;

const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The clock of the next look. None while everybody is heard.
#[derive(Debug, Default)]
pub(crate) struct Vigil(Option<Pin<Box<clock::Sleep>>>);

impl Vigil {
    /// Ready with what `look` finds. It looks once a second as long as `is_deaf` holds.
    ///
    /// To be polled by whoever polls the transports too: the state of `is_deaf` changes with them.
    pub(crate) fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        is_deaf: impl Fn() -> bool,
        look: impl Fn() -> Option<R>,
    ) -> Poll<R> {
        if self.0.is_none() && !is_deaf() {
            return Poll::Pending;
        }
        let timer = self.0.get_or_insert_with(|| Box::pin(clock::sleep(LOOK_INTERVAL)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if !is_deaf() {
                self.0 = None;
                return Poll::Pending;
            }
            if let Some(found) = look() {
                return Poll::Ready(found);
            }
            timer.as_mut().reset(clock::now() + LOOK_INTERVAL);
        }
    }
}

/// Which end of a tunnel is dead. One that has only finished is not.
pub(crate) fn broken_end(client: &impl Transport, machine: &impl Transport) -> Option<TunnelError> {
    let error = |presence| match presence {
        Presence::Gone => Some(io::ErrorKind::ConnectionReset.into()),
        Presence::Vanished => Some(io::ErrorKind::TimedOut.into()),
        Presence::Here | Presence::Finished => None,
    };
    let client = error(client.presence()).map(TunnelError::Client);
    client.or_else(|| error(machine.presence()).map(TunnelError::Machine))
}

/// Whether a client of HTTP has gone whose request is complete: then with the error, if there is one.
pub(crate) fn departed(
    client: &impl Transport,
    half_close: HalfClose,
) -> Option<Option<io::Error>> {
    match client.presence() {
        Presence::Finished if half_close == HalfClose::Keep => None,
        Presence::Here => None,
        Presence::Finished | Presence::Gone => Some(None),
        Presence::Vanished => Some(Some(io::ErrorKind::TimedOut.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_looks_once_a_second_while_somebody_is_not_heard() {
        let (mut vigil, looks) = (Vigil::default(), Cell::new(0));
        let start = clock::now();
        let look = || {
            looks.set(looks.get() + 1);
            (looks.get() == 3).then_some("gone")
        };
        let found = poll_fn(|cx| vigil.poll(cx, || true, look)).await;
        assert_eq!((found, start.elapsed()), ("gone", 3 * LOOK_INTERVAL));
    }

    #[tokio::test(start_paused = true)]
    async fn it_has_no_clock_while_everybody_is_heard() {
        let mut vigil = Vigil::default();
        let is_deaf = Cell::new(false);
        let mut poll = async || {
            let look = poll_fn(|cx| vigil.poll(cx, || is_deaf.get(), || None::<()>));
            clock::timeout(3 * LOOK_INTERVAL, look).await.expect_err("nothing is found");
            vigil.0.is_some()
        };
        assert!(!poll().await);
        is_deaf.set(true);
        assert!(poll().await);
        is_deaf.set(false);
        assert!(!poll().await, "it is given up when it would look next");
    }
}
