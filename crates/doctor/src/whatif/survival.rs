//! How long exchanges take, when not all of them were seen to their end.
//!
//! Source: E. L. Kaplan, P. Meier, "Nonparametric estimation from incomplete observations", Journal of the American
//! Statistical Association 53, 1958.

use std::time::Duration;

use outlast_runtime::random::Seeded;

/// One exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It took so long.
    Whole(Duration),
    /// It was cut after so long, and would have taken longer.
    AtLeast(Duration),
}

/// The distribution of holding times as far as it was seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Survival {
    /// After each time at which one ended, the share that takes longer; times rise, shares fall.
    steps: Vec<(Duration, f64)>,
}

impl Survival {
    /// None: not one was seen whole.
    pub(super) fn of(seen: &[Seen]) -> Option<Self> {
        // Of those at the same time the whole ones come first: who was cut then was still there.
        let mut seen: Vec<_> = seen
            .iter()
            .map(|one| match one {
                Seen::Whole(time) => (*time, 0_u8),
                Seen::AtLeast(time) => (*time, 1),
            })
            .collect();
        seen.sort_unstable();
        let (mut there, mut share) = (seen.len(), 1.0);
        let mut steps: Vec<(Duration, f64)> = Vec::new();
        for (time, cut) in seen {
            if cut == 0 {
                share *= 1.0 - 1.0 / there as f64;
                match steps.last_mut() {
                    Some(last) if last.0 == time => last.1 = share,
                    _ => steps.push((time, share)),
                }
            }
            there -= 1;
        }
        (!steps.is_empty()).then_some(Self { steps })
    }

    /// Draws one that takes longer than `beyond`. Where nothing longer was seen whole, it is the longest, or `beyond` itself.
    pub(super) fn draw(&self, chance: &mut Seeded, beyond: Duration) -> Duration {
        let passed = self.steps.partition_point(|(time, _)| *time <= beyond);
        let left = match passed {
            0 => 1.0,
            passed => self.steps[passed - 1].1,
        };
        let share = left * (1.0 - chance.share());
        let index = self.steps.partition_point(|(_, longer)| *longer >= share);
        let longest = self.steps.len() - 1;
        self.steps[index.clamp(passed.min(longest), longest)].0.max(beyond)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_estimate_is_kaplan_s_and_meier_s() {
        // Of five: one ends at 1, one is cut at 2, one ends at 3, one is cut at 3, one ends at 4.
        let seen = [
            Seen::Whole(seconds(4)),
            Seen::AtLeast(seconds(3)),
            Seen::Whole(seconds(1)),
            Seen::AtLeast(seconds(2)),
            Seen::Whole(seconds(3)),
        ];
        let steps = Survival::of(&seen).unwrap().steps;
        let want = [(1, 0.8), (3, 0.8 * 2.0 / 3.0), (4, 0.0)];
        assert_eq!(steps.len(), want.len());
        for ((time, share), (at, want)) in steps.into_iter().zip(want) {
            assert!(time == seconds(at) && (share - want).abs() < 1e-12, "{time:?} {share}");
        }
        assert_eq!(Survival::of(&[Seen::AtLeast(seconds(1))]), None);
    }

    #[test]
    fn draws_are_distributed_as_what_was_seen_and_go_on_from_where_one_was_cut() {
        let seen: Vec<_> = (1..=100).map(|time| Seen::Whole(seconds(time))).collect();
        let survival = Survival::of(&seen).unwrap();
        let mut chance = Seeded::new(3);
        let mut mean = |beyond: u64| {
            let draws = (0..10_000).map(|_| survival.draw(&mut chance, seconds(beyond)));
            draws.map(|draw| draw.as_secs_f64()).sum::<f64>() / 10_000.0
        };
        assert!((mean(0) - 50.5).abs() < 1.0, "{}", mean(0));
        assert!((mean(60) - 80.5).abs() < 0.5, "{}", mean(60));
        assert_eq!((mean(100), mean(200)), (100.0, 200.0));
    }
}
