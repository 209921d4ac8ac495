//! Who held the places at the moments when a machine was full.
//!
//! An exchange is told of when it has ended; then it is counted at each such moment that it spans. So the answer to "what
//! were the 25 doing" comes from the lines after the limit, not from those before it.

use crate::logs::{Name, Precision, When};

/// Moments that are kept of an incident. Of more, every second one is given up: they thin out evenly.
const MOMENTS_MAX: usize = 64;

/// What an exchange was, as its end shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// At work for seconds or longer.
    Long,
    /// Over at once.
    Short,
    /// Its client had vanished.
    Vanished,
}

/// An exchange's time in its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stay {
    /// Which machine. Empty: the line does not say.
    pub(crate) machine: Name,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) holder: Holder,
}

#[derive(Debug, Clone)]
struct Moment {
    machine: Name,
    limit: u32,
    from: i64,
    to: i64,
    long: u32,
    short: u32,
    vanished: u32,
}

impl Moment {
    fn is_of(&self, machine: Name) -> bool {
        self.machine == machine || self.machine.is_empty() || machine.is_empty()
    }

    fn is_within(&self, stay: &Stay) -> bool {
        self.is_of(stay.machine) && stay.from <= self.to && stay.to >= self.from
    }

    fn count(&mut self, holder: Holder) -> &mut u32 {
        match holder {
            Holder::Long => &mut self.long,
            Holder::Short => &mut self.short,
            Holder::Vanished => &mut self.vanished,
        }
    }
}

/// The moments of an incident.
#[derive(Debug, Clone)]
pub(crate) struct Moments {
    kept: Vec<Moment>,
    seen: u64,
    stride: u64,
}

/// How many of a limit's places were held, at the middle one of the moments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Held {
    pub(crate) limit: u32,
    pub(crate) long: u32,
    pub(crate) short: u32,
    pub(crate) vanished: u32,
}

impl Default for Moments {
    fn default() -> Self {
        Self { kept: Vec::new(), seen: 0, stride: 1 }
    }
}

impl Moments {
    /// A machine was full.
    pub(crate) fn full(&mut self, machine: Name, limit: u32, at: When) {
        self.seen += 1;
        if !self.seen.is_multiple_of(self.stride) || limit == 0 {
            return;
        }
        if self.kept.len() == MOMENTS_MAX {
            let mut number = 0;
            self.kept.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.stride *= 2;
        }
        let from = at.nanoseconds();
        // What is written in whole seconds was at any time within one.
        let to = from + if at.precision == Precision::Seconds { 1_000_000_000 } else { 0 };
        self.kept.push(Moment { machine, limit, from, to, long: 0, short: 0, vanished: 0 });
    }

    /// An exchange has ended.
    pub(crate) fn ended(&mut self, stay: &Stay) {
        for moment in self.kept.iter_mut().filter(|moment| moment.is_within(stay)) {
            *moment.count(stay.holder) += 1;
        }
    }

    /// An exchange that was taken for a long one was one whose client had vanished.
    pub(crate) fn had_vanished(&mut self, stay: &Stay) {
        for moment in self.kept.iter_mut().filter(|moment| moment.is_within(stay)) {
            moment.long = moment.long.saturating_sub(1);
            moment.vanished += 1;
        }
    }

    /// The last moment until `time` when the machine was full.
    pub(crate) fn before(&self, machine: Name, time: i64) -> Option<i64> {
        let moments = self.kept.iter().filter(|moment| moment.is_of(machine));
        moments.map(|moment| moment.from).filter(|from| *from <= time).max()
    }

    /// The moment in the middle, by the share of places that were held, of those until `until`. `None`: there was none.
    pub(crate) fn held(&self, until: i64) -> Option<Held> {
        let share = |moment: &Moment| {
            f64::from(moment.long + moment.short + moment.vanished) / f64::from(moment.limit)
        };
        let mut moments: Vec<_> = self.kept.iter().filter(|moment| moment.from <= until).collect();
        moments.sort_by(|one, other| share(one).total_cmp(&share(other)));
        let middle = moments.get(moments.len() / 2)?;
        Some(Held {
            limit: middle.limit,
            long: middle.long,
            short: middle.short,
            vanished: middle.vanished,
        })
    }

    /// When the first one was.
    pub(crate) fn first(&self) -> Option<i64> {
        self.kept.iter().map(|moment| moment.from).min()
    }
}
