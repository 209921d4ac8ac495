//! The hard limit that would have sufficed.

use std::num::NonZeroU32;

use super::load::Load;
use super::sim::{Enough, simulate};
use super::variant::Variant;

/// The least hard limit with which no more than a share of users is refused or leaves, and what it means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sufficient {
    /// Per machine.
    pub hard: u32,
    /// Refusals and leaves that are allowed, as a share of users, from 0 to 1.
    pub refused_max: f64,
    /// The most streams on one machine with it.
    pub machine_peak_open: u32,
}

/// The search between a limit that is too low and one that suffices.
struct Search<'l> {
    loads: &'l [(u64, Load)],
    variant: Variant,
    /// Attempts that may come to nothing.
    allowed: u64,
    /// Too low.
    too_few: u32,
    /// Suffices, with so many streams on the fullest machine.
    enough: (u32, u32),
}

/// Finds it: more places never lose more, but for chance.
pub(super) fn sufficient(loads: &[(u64, Load)], variant: &Variant, refused_max: f64) -> Sufficient {
    let users: usize = loads.iter().map(|(_, load)| load.users.len()).sum();
    #[expect(clippy::cast_possible_truncation, reason = "a share of users in memory")]
    #[expect(clippy::cast_sign_loss, reason = "a share is positive")]
    let allowed = (users as f64 * refused_max).floor() as u64;
    let mut search =
        Search { loads, variant: *variant, allowed, too_few: 0, enough: (u32::MAX, 0) };
    let guess = search.without_limit();
    search.around(guess);
    while search.enough.0 - search.too_few > 1 {
        search.look_at(search.too_few + (search.enough.0 - search.too_few) / 2);
    }
    let (hard, machine_peak_open) = search.enough;
    Sufficient { hard, refused_max, machine_peak_open }
}

impl Search<'_> {
    /// Without a limit nobody is refused, and nobody needs more places than are taken then. Where places are taken as then, a
    /// limit refuses those who find more taken: the least that would refuse few enough of them is a good guess.
    fn without_limit(&mut self) -> u32 {
        let free = self.variant.with_hard(None);
        let (mut most, mut open) = (1, 0);
        let mut found: Vec<u64> = Vec::new();
        for (seed, load) in self.loads {
            let run = simulate(load, &free, *seed, Enough::NEVER);
            (most, open) = (most.max(run.machine_peak), open.max(run.machine_peak_open));
            found.resize(found.len().max(run.found.len()), 0);
            for (sum, count) in found.iter_mut().zip(&run.found) {
                *sum += u64::from(*count);
            }
        }
        self.enough = (most, open);
        let mut beyond = 0;
        let too_full = found.iter().rposition(|count| {
            beyond += count;
            beyond > self.allowed
        });
        let places = too_full.map_or(0, |taken| taken + 1);
        let each = places.div_ceil(self.variant.machines.get() as usize);
        u32::try_from(each).unwrap_or(most)
    }

    /// Tightens both ends around a guess, in growing steps.
    fn around(&mut self, guess: u32) {
        let mut step = 1;
        let mut at = guess;
        while self.look_at(at) {
            at = at.saturating_sub(step);
            step *= 2;
        }
        at = self.too_few.max(guess);
        step = 1;
        while at < self.enough.0 && !self.look_at(at) {
            at = at.saturating_add(step);
            step *= 2;
        }
    }

    /// Whether a limit suffices, if that is not known yet.
    fn look_at(&mut self, hard: u32) -> bool {
        if hard <= self.too_few || hard >= self.enough.0 {
            return hard > self.too_few;
        }
        let variant = self.variant.with_hard(NonZeroU32::new(hard));
        let (mut lost, mut open) = (0, 0);
        for (seed, load) in self.loads {
            let run = simulate(load, &variant, *seed, Enough { lost: self.allowed - lost });
            lost += run.lost();
            open = open.max(run.machine_peak_open);
            if lost > self.allowed {
                self.too_few = hard;
                return false;
            }
        }
        self.enough = (hard, open);
        true
    }
}
