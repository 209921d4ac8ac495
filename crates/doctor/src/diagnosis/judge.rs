//! From evidence to a verdict: weights add up, and the sums compete.

use crate::finding::Confidence;

use super::cause::Cause;
use super::evidence::Item;

/// Below this, the best explanation is not told as one.
const ENOUGH: f64 = 0.6;
const LIKELY: f64 = 0.8;
const CERTAIN: f64 = 0.95;
/// Evidence is never independent and a log is never whole: sums count so much, and nothing is surer than this.
const TEMPER: f64 = 0.7;
const SUREST: f64 = 0.99;
/// Many small pieces are no large one: without one of twice [`DECISIVE`] nothing is surer than this.
const SUREST_UNDECIDED: f64 = 0.94;
/// How likely it is, before any line was read, that it is nothing of all this, in decibans. No evidence speaks for that
/// or against it, so that it wins where all that is known is ruled out.
const SOMETHING_ELSE: i32 = -8;
/// Who has no evidence of at least this weight for it is a guess at most, whatever the others lack.
const DECISIVE: i32 = 10;

/// An item that was found, with what was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Which.
    pub item: &'static Item,
    /// With its numbers: lowercase, no full stop.
    pub saw: String,
}

/// One explanation and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rival {
    /// Which.
    pub cause: Cause,
    /// How likely it is in the light of all evidence: from 0 to 1, and 1 for all together.
    pub share: f64,
    /// What speaks for it, the strongest first, each with its weight in decibans.
    pub supports: Vec<(Found, i32)>,
    /// What speaks against it, the strongest first.
    pub objections: Vec<(Found, i32)>,
}

/// All explanations, the likeliest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// All of them.
    pub rivals: Vec<Rival>,
}

impl Verdict {
    /// The explanation that won. `None`: there is not enough evidence for any.
    #[must_use]
    pub fn winner(&self) -> Option<&Rival> {
        let first = self.rivals.first()?;
        // To be the last one left is not enough: something has to speak for it, and for it most of all.
        let speaks =
            |(found, weight): &(Found, i32)| *weight >= DECISIVE && found.item.is_telling();
        let is_supported = first.supports.iter().any(speaks);
        (first.share >= ENOUGH && is_supported).then_some(first)
    }

    /// How sure it is that the first one is right, from 0 to 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.rivals.first().map_or(0.0, |rival| rival.share)
    }

    /// The same as a word.
    #[must_use]
    pub fn confidence(&self) -> Confidence {
        let Some(first) = self.winner() else { return Confidence::Guess };
        match first.share {
            share if share >= CERTAIN => Confidence::Certain,
            share if share >= LIKELY => Confidence::Likely,
            _ => Confidence::Guess,
        }
    }
}

impl Item {
    /// Whether it tells explanations apart at all, and does not merely speak for all that fill places.
    fn is_telling(&self) -> bool {
        let most = self.weights.iter().map(|(_, weight)| *weight).max().unwrap_or(0);
        self.weights.iter().filter(|(_, weight)| *weight == most).count() == 1
    }
}

/// Weighs what was found.
pub(crate) fn judge(found: &[Found]) -> Verdict {
    let mut sums = [0.0; Cause::ALL.len()];
    for cause in Cause::ALL {
        let weights = found.iter().map(|found| found.item.weight(cause));
        let sum = cause.prior() + weights.sum::<i32>();
        sums[cause.index()] = f64::from(sum) * TEMPER;
    }
    let other = f64::from(SOMETHING_ELSE) * TEMPER;
    let most = sums.iter().copied().fold(other, f64::max);
    let likelihood = |sum: f64| 10_f64.powf((sum - most) / 10.0);
    let likelihoods = sums.map(likelihood);
    let all: f64 = likelihoods.iter().sum::<f64>() + likelihood(other);
    let mut rivals: Vec<_> = Cause::ALL
        .into_iter()
        .map(|cause| {
            let (supports, objections) = sides(cause, found);
            let is_decided = supports.iter().any(|(_, weight)| *weight >= 2 * DECISIVE);
            let surest = if is_decided { SUREST } else { SUREST_UNDECIDED };
            let share = (likelihoods[cause.index()] / all).min(surest);
            Rival { cause, share, supports, objections }
        })
        .collect();
    rivals.sort_by(|one, other| other.share.total_cmp(&one.share));
    Verdict { rivals }
}

type Side = Vec<(Found, i32)>;

fn sides(cause: Cause, found: &[Found]) -> (Side, Side) {
    let weighed = found.iter().map(|found| (found.clone(), found.item.weight(cause)));
    let (mut supports, mut objections): (Side, Side) =
        weighed.filter(|(_, weight)| *weight != 0).partition(|(_, weight)| *weight > 0);
    supports.sort_by_key(|(_, weight)| -weight);
    objections.sort_by_key(|(_, weight)| *weight);
    (supports, objections)
}
