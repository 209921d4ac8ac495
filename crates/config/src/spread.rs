//! Durations that differ from stream to stream: fixed, uniform, exponential, lognormal.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use outlast_runtime::random::Seeded;

use crate::duration::{format_duration, parse_duration};

/// No draw is longer than so many means or medians: a tail without end would make a plan without end.
const TAIL_MAX: f64 = 20.0;
/// Of a standard normal distribution 95 % lie below it.
const NORMAL_P95: f64 = 1.644_853_626_951_472_2;
/// The widest spread of a logarithm that is taken: 95 % lie below 139 medians then.
const SIGMA_MAX: f64 = 3.0;

/// How a duration is spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spread {
    /// Always the same.
    Fixed(Duration),
    /// Anything between two, all equally likely.
    Uniform(Duration, Duration),
    /// Memoryless, with this mean.
    Exponential(Duration),
    /// Most near the median, few far above it; the spread of the logarithm.
    Lognormal(Duration, f64),
}

/// Why a text is no spread.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no duration and no spread such as 5s, uniform:1s:3s, exponential:2s, lognormal:2s:0.5 or \
     lognormal:2s:p95=5s"
)]
pub struct SpreadError(String);

impl Spread {
    /// Draws one.
    #[must_use]
    pub fn draw(&self, chance: &mut Seeded) -> Duration {
        match *self {
            Self::Fixed(duration) => duration,
            Self::Uniform(low, high) => low + high.saturating_sub(low).mul_f64(chance.share()),
            Self::Exponential(mean) => {
                // 1 - share lies above zero, where the logarithm is finite.
                mean.mul_f64((-(1.0 - chance.share()).ln()).min(TAIL_MAX))
            }
            Self::Lognormal(median, sigma) => {
                median.mul_f64((normal(chance) * sigma).exp().min(TAIL_MAX))
            }
        }
    }

    /// The mean of many.
    #[must_use]
    pub fn mean(&self) -> Duration {
        match *self {
            Self::Fixed(duration) | Self::Exponential(duration) => duration,
            Self::Uniform(low, high) => (low + high) / 2,
            Self::Lognormal(median, sigma) => median.mul_f64((sigma * sigma / 2.0).exp()),
        }
    }

    /// The longest that is drawn.
    #[must_use]
    pub fn longest(&self) -> Duration {
        match *self {
            Self::Fixed(duration) | Self::Uniform(_, duration) => duration,
            Self::Exponential(mean) => mean.mul_f64(TAIL_MAX),
            Self::Lognormal(median, sigma) => median.mul_f64((4.0 * sigma).exp().min(TAIL_MAX)),
        }
    }

    /// The same, so many times faster.
    #[must_use]
    pub fn faster(&self, scale: f64) -> Self {
        let scaled = |duration: Duration| duration.div_f64(scale);
        match *self {
            Self::Fixed(duration) => Self::Fixed(scaled(duration)),
            Self::Uniform(low, high) => Self::Uniform(scaled(low), scaled(high)),
            Self::Exponential(mean) => Self::Exponential(scaled(mean)),
            Self::Lognormal(median, sigma) => Self::Lognormal(scaled(median), sigma),
        }
    }
}

/// A draw from the standard normal distribution (Box and Muller).
fn normal(chance: &mut Seeded) -> f64 {
    let radius = (-2.0 * (1.0 - chance.share()).ln()).sqrt();
    radius * (std::f64::consts::TAU * chance.share()).cos()
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |duration: Duration| format_duration(duration);
        match *self {
            Self::Fixed(duration) => f.write_str(&text(duration)),
            Self::Uniform(low, high) => write!(f, "uniform:{}:{}", text(low), text(high)),
            Self::Exponential(mean) => write!(f, "exponential:{}", text(mean)),
            Self::Lognormal(median, sigma) => write!(f, "lognormal:{}:{sigma}", text(median)),
        }
    }
}

impl FromStr for Spread {
    type Err = SpreadError;

    /// Reads what [`fmt::Display`] writes, as it stands in a query or after a flag. The spread of a logarithm may also be told by
    /// the duration below which 95 % lie: `lognormal:7m:p95=10m`.
    fn from_str(text: &str) -> Result<Self, SpreadError> {
        let wrong = || SpreadError(text.to_owned());
        let duration =
            |part: Option<&str>| part.and_then(|part| parse_duration(part).ok()).ok_or_else(wrong);
        let mut parts = text.split(':');
        let first = parts.next();
        let spread = match first {
            Some("uniform") => {
                let (low, high) = (duration(parts.next())?, duration(parts.next())?);
                if low > high {
                    return Err(wrong());
                }
                Self::Uniform(low, high)
            }
            Some("exponential") => Self::Exponential(duration(parts.next())?),
            Some("lognormal") => {
                let median = duration(parts.next())?;
                let sigma = match parts.next().ok_or_else(wrong)? {
                    text if text.starts_with("p95=") => {
                        let p95 = duration(text.strip_prefix("p95="))?;
                        (p95.as_secs_f64() / median.as_secs_f64()).ln() / NORMAL_P95
                    }
                    number => number.parse().map_err(|_| wrong())?,
                };
                if !(0.0..=SIGMA_MAX).contains(&sigma) {
                    return Err(wrong());
                }
                Self::Lognormal(median, sigma)
            }
            fixed => Self::Fixed(duration(fixed)?),
        };
        if parts.next().is_some() { Err(wrong()) } else { Ok(spread) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn all() -> [Spread; 4] {
        [
            Spread::Fixed(SECOND),
            Spread::Uniform(SECOND, 3 * SECOND),
            Spread::Exponential(2 * SECOND),
            Spread::Lognormal(2 * SECOND, 0.5),
        ]
    }

    #[test]
    fn many_draws_have_the_mean_that_is_told_and_none_is_beyond_the_longest() {
        for spread in all() {
            let mut chance = Seeded::new(7);
            let count = 20_000;
            let draws: Vec<_> = (0..count).map(|_| spread.draw(&mut chance)).collect();
            let mean = draws.iter().sum::<Duration>() / count;
            let (mean, want) = (mean.as_secs_f64(), spread.mean().as_secs_f64());
            assert!((mean / want - 1.0).abs() < 0.03, "{spread}: {mean}, not {want}");
            assert!(draws.iter().all(|draw| *draw <= 2 * spread.longest()), "{spread}");
        }
    }

    #[test]
    fn spreads_are_read_as_they_are_written_and_scale() {
        for spread in all() {
            assert_eq!(spread.to_string().parse(), Ok(spread));
            let faster = spread.faster(2.0);
            assert_eq!(faster.mean(), spread.mean() / 2);
        }
        let wrong = ["", "x", "5", "uniform:1s", "uniform:1s:2s:3s", "uniform:3s:1s", "1s:2s"];
        let wrong_tails =
            ["lognormal:1s", "lognormal:1s:9", "lognormal:2s:p95=1s", "lognormal:0s:p95=1s"];
        for text in wrong.into_iter().chain(wrong_tails) {
            assert!(text.parse::<Spread>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_95th_percentile_tells_the_spread_of_a_logarithm() {
        let spread: Spread = "lognormal:7m:p95=10m".parse().unwrap();
        let mut chance = Seeded::new(7);
        let mut draws: Vec<_> = (0..20_000).map(|_| spread.draw(&mut chance)).collect();
        draws.sort_unstable();
        let minutes = |index: usize| draws[index].as_secs_f64() / 60.0;
        assert!((6.9..7.1).contains(&minutes(10_000)), "{}", minutes(10_000));
        assert!((9.9..10.1).contains(&minutes(19_000)), "{}", minutes(19_000));
    }
}
