//! Many runs as one column: means, and how sure they are.

use std::time::Duration;

use super::run::{FirstRefusal, Run};

/// What a variant does to a load: means over all runs, unless said otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Users who came.
    pub users: f64,
    /// Requests that they sent, further tries included.
    pub attempts: f64,
    /// Answers that said no.
    pub refused: Estimate,
    /// Of those: at once, because nobody may wait; because the queue was full; at its deadline.
    pub refused_by: [f64; 3],
    /// Refusals of attempts, from 0 to 1.
    pub refused_share: Estimate,
    /// Users who got what they came for.
    pub served: f64,
    /// Users who were refused and came no more.
    pub turned_away: f64,
    /// Users who would not wait any longer.
    pub left: f64,
    /// Of those who were served: how many had to wait or to try again.
    pub waited: f64,
    /// How long these did, from their first attempt to their place, of all runs together. None: nobody did.
    pub wait: Option<Quantiles>,
    /// The longest queue of any run.
    pub queue_max: usize,
    /// The most places taken at once in any run, connections that linger included.
    pub peak: usize,
    /// The most streams open at once in any run.
    pub peak_open: usize,
    /// The same on the fullest machine.
    pub machine_peak: u32,
    /// The most streams on the fullest machine.
    pub machine_peak_open: u32,
    /// In the first run that had one.
    pub first_refusal: Option<FirstRefusal>,
    /// A run was given up because there were too many attempts.
    pub is_cut: bool,
}

/// A mean, and half the width of its 95 % confidence interval over the runs (Student's t).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// None: there was one run.
    pub plus_minus: Option<f64>,
}

/// How long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantiles {
    /// Half of them took no longer.
    pub p50: Duration,
    /// 95 % of them took no longer.
    pub p95: Duration,
    /// None took longer.
    pub max: Duration,
}

/// 97.5 % of Student's t distribution lie below it, by degrees of freedom from 1 on.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];
/// For more: the normal distribution's.
const NORMAL: f64 = 1.96;

impl Estimate {
    /// Of one value or more.
    fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let Some(freedom) = values.len().checked_sub(2) else {
            return Self { mean, plus_minus: None };
        };
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (squares / (count - 1.0)).sqrt();
        let t = STUDENT.get(freedom).copied().unwrap_or(NORMAL);
        Self { mean, plus_minus: Some(t * deviation / count.sqrt()) }
    }
}

impl Quantiles {
    fn of(mut values: Vec<Duration>) -> Option<Self> {
        values.sort_unstable();
        let at = |share: f64| {
            let rank = (share * values.len() as f64).ceil();
            // The nearest rank: between 1 and the length.
            #[expect(clippy::cast_possible_truncation, reason = "a rank among values in memory")]
            #[expect(clippy::cast_sign_loss, reason = "a rank is positive")]
            values.get((rank as usize).saturating_sub(1)).copied()
        };
        Some(Self { p50: at(0.5)?, p95: at(0.95)?, max: at(1.0)? })
    }
}

impl Figures {
    /// Of one run or more, each with as many users as `users` says.
    pub(super) fn of(runs: Vec<Run>, users: &[usize]) -> Self {
        let count = runs.len() as f64;
        let mean =
            |value: fn(&Run) -> u64| runs.iter().map(|run| value(run) as f64).sum::<f64>() / count;
        let estimate =
            |value: fn(&Run) -> f64| Estimate::of(&runs.iter().map(value).collect::<Vec<_>>());
        let share = |run: &Run| run.refused() as f64 / (run.attempts.max(1)) as f64;
        let most = |value: fn(&Run) -> usize| runs.iter().map(value).max().unwrap_or(0);
        let machine_peak = runs.iter().map(|run| run.machine_peak).max().unwrap_or(0);
        let machine_peak_open = runs.iter().map(|run| run.machine_peak_open).max().unwrap_or(0);
        Self {
            users: users.iter().sum::<usize>() as f64 / count,
            attempts: mean(|run| run.attempts),
            refused: estimate(|run| run.refused() as f64),
            refused_by: [
                mean(|run| run.refused_by_limit),
                mean(|run| run.refused_by_full_queue),
                mean(|run| run.refused_by_deadline),
            ],
            refused_share: estimate(share),
            served: mean(|run| run.served),
            turned_away: mean(|run| run.turned_away),
            left: mean(|run| run.left),
            waited: mean(|run| run.waits.len() as u64),
            queue_max: most(|run| run.queue_max),
            peak: most(|run| run.peak),
            peak_open: most(|run| run.peak_open),
            machine_peak,
            machine_peak_open,
            first_refusal: runs.iter().find_map(|run| run.first_refusal),
            is_cut: runs.iter().any(|run| run.is_cut),
            wait: Quantiles::of(runs.into_iter().flat_map(|run| run.waits).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_students() {
        assert_eq!(Estimate::of(&[7.0]), Estimate { mean: 7.0, plus_minus: None });
        let estimate = Estimate::of(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        // Deviation 1.5811, t of 4 degrees 2.776, root of 5.
        assert!((estimate.mean - 3.0).abs() < 1e-12);
        assert!((estimate.plus_minus.unwrap() - 1.963).abs() < 0.001, "{estimate:?}");
    }

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let seconds = |count: u64| (1..=count).rev().map(Duration::from_secs).collect::<Vec<_>>();
        let of = |count| {
            Quantiles::of(seconds(count))
                .map(|all| [all.p50, all.p95, all.max].map(|one| one.as_secs()))
        };
        assert_eq!((of(0), of(1), of(100)), (None, Some([1, 1, 1]), Some([50, 95, 100])));
        assert_eq!(of(3), Some([2, 3, 3]));
    }
}
