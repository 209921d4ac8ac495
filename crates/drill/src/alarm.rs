//! Wakes at planned moments, and not up to two milliseconds later, as tokio's timers do: of an answer within 20 ms that is much.

use outlast_runtime::clock::{self, Instant};

#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;

#[cfg(target_os = "linux")]
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
#[cfg(target_os = "linux")]
use tokio::io::{Interest, unix::AsyncFd};

/// A timer of the kernel, where there is one to be had.
pub(crate) struct Alarm {
    #[cfg(target_os = "linux")]
    timer: Option<AsyncFd<OwnedFd>>,
}

#[cfg(target_os = "linux")]
impl Alarm {
    #[expect(
        deprecated,
        reason = "of an OwnedFd what its successor asks for, by `unsafe`, holds anyway: one descriptor to its end"
    )]
    pub(crate) fn new() -> Self {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).ok();
        let register = |timer| AsyncFd::with_interest(timer, Interest::READABLE).ok();
        Self { timer: timer.and_then(register) }
    }

    /// Waits until then. Without a timer of the kernel by one of tokio's.
    pub(crate) async fn until(&mut self, at: Instant) {
        while let left = at.saturating_duration_since(clock::now())
            && !left.is_zero()
        {
            let Some(timer) = &self.timer else { return clock::sleep_until(at).await };
            let (never, no_flags) = (Timespec::default(), TimerfdTimerFlags::empty());
            let Ok(it_value) = Timespec::try_from(left) else {
                return clock::sleep_until(at).await;
            };
            let once = Itimerspec { it_interval: never, it_value };
            // Setting it takes back what it has to tell; until then it stays readable and has one thing to tell.
            if timerfd_settime(timer.get_ref(), no_flags, &once).is_err() {
                return clock::sleep_until(at).await;
            }
            match timer.readable().await {
                Ok(mut ready) => ready.clear_ready(),
                Err(_) => return clock::sleep_until(at).await,
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Alarm {
    pub(crate) fn new() -> Self {
        Self {}
    }

    /// Waits until then, or a millisecond longer.
    pub(crate) async fn until(&mut self, at: Instant) {
        clock::sleep_until(at).await;
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_wakes_within_a_millisecond_and_never_too_early() {
        let mut alarm = Alarm::new();
        let mut lags = Vec::new();
        for step in 0..50 {
            let at = clock::now() + Duration::from_micros(1_500 + 10 * step);
            alarm.until(at).await;
            let now = clock::now();
            assert!(now >= at, "too early");
            lags.push(now - at);
        }
        // What is past needs no timer.
        alarm.until(clock::now()).await;
        // Most of them, however busy the machine is; tokio's own timers are late by half a millisecond in the median.
        lags.sort_unstable();
        assert!(lags[10] < Duration::from_micros(300), "{lags:?}");
    }
}
