//! How the times of a log run: from when to when, in which order, and where they jump.

use super::event::Position;
use super::when::When;

const SECOND: i64 = 1_000_000_000;
/// Lines of several machines arrive in each other's way; a log that goes back further is told as one that jumps.
pub const JUMP_SECONDS_MIN: i64 = 5;
/// How many jumps are told with their place.
const JUMPS_KEPT: usize = 8;

/// Which way a log runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// No two times differ.
    #[default]
    Unknown,
    /// As logs do, but for jumps.
    OldestFirst,
    /// As Grafana and some consoles show them.
    NewestFirst,
    /// Neither: files put together, or several clocks.
    Mixed,
}

/// A step against the order of a log, of 5 s or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jump {
    /// The record that jumps.
    pub position: Position,
    /// The time of the record before it.
    pub from: When,
    /// Its own.
    pub to: When,
}

/// How times run. Times with a date and times without are told apart.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Times {
    /// The earliest and the latest.
    pub range: Option<(When, When)>,
    last: Option<When>,
    /// Steps of a second and more.
    forward: u64,
    backward: u64,
    /// Steps of [`JUMP_SECONDS_MIN`] and more.
    forward_jumps: Jumps,
    backward_jumps: Jumps,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Jumps {
    count: u64,
    first: Vec<Jump>,
}

impl Times {
    pub(super) fn see(&mut self, at: When, position: Position) {
        let Some(last) = self.last.replace(at) else {
            self.range = Some((at, at));
            return;
        };
        if last.nanoseconds() == at.nanoseconds() {
            return;
        }
        let (earliest, latest) = self.range.get_or_insert((at, at));
        if at.nanoseconds() > latest.nanoseconds() {
            *latest = at;
        } else if at.nanoseconds() < earliest.nanoseconds() {
            *earliest = at;
        }
        let step = at.nanoseconds().saturating_sub(last.nanoseconds());
        let seconds = step / SECOND;
        if seconds == 0 {
            return;
        }
        let (steps, jumps) = match seconds > 0 {
            true => (&mut self.forward, &mut self.forward_jumps),
            false => (&mut self.backward, &mut self.backward_jumps),
        };
        *steps += 1;
        if seconds.abs() >= JUMP_SECONDS_MIN {
            jumps.count += 1;
            if jumps.first.len() < JUMPS_KEPT {
                jumps.first.push(Jump { position, from: last, to: at });
            }
        }
    }

    /// Which way they run. One in ten steps may go the other way.
    #[must_use]
    pub fn order(&self) -> Order {
        match (self.forward, self.backward) {
            (0, 0) => Order::Unknown,
            (forward, backward) if forward / 9 >= backward => Order::OldestFirst,
            (forward, backward) if backward / 9 >= forward => Order::NewestFirst,
            // A few steps prove no order, but a clock that jumps once does not break one.
            (forward, backward) if forward > backward && backward <= 1 => Order::OldestFirst,
            (forward, backward) if backward > forward && forward <= 1 => Order::NewestFirst,
            _ => Order::Mixed,
        }
    }

    /// The first steps against the order, and how many there are. In a mixed log: those back in time.
    #[must_use]
    pub fn jumps(&self) -> (&[Jump], u64) {
        let jumps = match self.order() {
            Order::NewestFirst => &self.forward_jumps,
            _ => &self.backward_jumps,
        };
        (&jumps.first, jumps.count)
    }
}

#[cfg(test)]
mod tests {
    use super::super::when::{Precision, Zone};
    use super::*;

    fn times(seconds: &[i64]) -> Times {
        let mut times = Times::default();
        for (line, second) in (1..).zip(seconds) {
            let at = When::dated(second * SECOND, Precision::Seconds, Zone::Written);
            times.see(at, Position { file: 0, line });
        }
        times
    }

    #[test]
    fn orders_and_jumps_are_told() {
        for (seconds, order, jumps) in [
            (&[5, 5, 5][..], Order::Unknown, vec![]),
            (&[1, 3, 3, 90], Order::OldestFirst, vec![]),
            (&[90, 3, 3, 1], Order::NewestFirst, vec![]),
            (&[1, 2, 3, 2, 9], Order::OldestFirst, vec![]),
            (&[1, 20, 30, 3, 9], Order::OldestFirst, vec![4]),
            (&[90, 30, 3, 60, 1], Order::NewestFirst, vec![4]),
            (&[1, 60, 2, 61, 3, 62], Order::Mixed, vec![3, 5]),
        ] {
            let times = times(seconds);
            let (first, count) = times.jumps();
            let lines: Vec<_> = first.iter().map(|jump| jump.position.line).collect();
            assert_eq!((times.order(), lines), (order, jumps), "{seconds:?}");
            assert_eq!(count, first.len() as u64);
        }
    }

    #[test]
    fn the_range_is_that_of_all_lines() {
        let (earliest, latest) = times(&[7, 3, 90, 4]).range.expect("times");
        assert_eq!((earliest.nanoseconds(), latest.nanoseconds()), (3 * SECOND, 90 * SECOND));
    }
}
