//! The drill watches itself: what a thread of its own spent, and how late it was.

use std::sync::Mutex;
use std::time::Duration;

use hdrhistogram::Histogram;
use outlast_runtime::clock;

use crate::tally::{histogram, microseconds};

const TICK: Duration = Duration::from_millis(100);
const TICKS_PER_LOOK: u32 = 10;

/// What is known of one thread.
pub(crate) struct Own {
    /// How late the ticks were, in microseconds.
    pub(crate) lag: Histogram<u64>,
    pub(crate) cpu: Duration,
    /// The share of a core in the busiest second.
    pub(crate) busiest: f64,
}

impl Own {
    pub(crate) fn new() -> Self {
        Self { lag: histogram(), cpu: Duration::ZERO, busiest: 0.0 }
    }
}

/// Watches the thread that it runs on, for as long as it is polled.
pub(crate) async fn watch(own: &Mutex<Own>) {
    let begin = cpu_time();
    let (mut before, mut looked) = (begin, clock::now());
    let mut due = clock::now();
    for tick in 1_u32.. {
        due += TICK;
        clock::sleep_until(due).await;
        let now = clock::now();
        let mut own = own.lock().expect("no thread panics while it counts");
        own.lag.saturating_record(microseconds(now - due));
        // A tick that was missed is not made up for: its lag is told already.
        due = due.max(now - TICK);
        if tick % TICKS_PER_LOOK == 0 {
            let cpu = cpu_time();
            let share = (cpu - before).as_secs_f64() / (now - looked).as_secs_f64();
            own.busiest = own.busiest.max(share);
            own.cpu = cpu - begin;
            (before, looked) = (cpu, now);
        }
    }
}

/// The CPU time of this thread. Nothing where there is no `/proc`.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}
