//! What would have happened with other limits: a load replayed against variants of a service, side by side.
//!
//! Promises: it decides by the same state machine as the gateway ([`outlast_admission::State`]); the same question with
//! the same seed has the same answer; what it assumes, it says. Beside it stand Erlang's formulas, which know
//! nothing of bursts, queues and people who try again.

mod base;
mod erlang;
mod figures;
mod load;
mod parallel;
mod records;
mod run;
mod sim;
mod solve;
mod survival;
mod tell;
mod variant;

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::time::Duration;

pub use base::{Base, BaseError};
pub use erlang::{erlang_b, erlang_c};
pub use figures::{Estimate, Figures, Quantiles};
pub use load::{Behaviour, Load, Rate, Retry, USERS_MAX, User, parse_rate};
pub use outlast_admission::Class;
pub use records::{Recorded, Records, RecordsError};
pub use run::FirstRefusal;
pub use solve::Sufficient;
pub use tell::{json, remarks};
pub use variant::{Variant, VariantError};

use outlast_runtime::random::Seeded;
use sim::{Enough, simulate};

/// So many users are simulated for each variant unless somebody asks for more: then in so many runs at most.
const USERS_WANTED: usize = 1_000_000;
const RUNS_WANTED: usize = 20;
/// Runs that somebody may ask for.
pub const RUNS_MAX: u32 = 1_000;

/// What is asked.
pub struct Question<'a> {
    /// The first is how it is now; each has a name for people.
    pub variants: Vec<(String, Variant)>,
    /// What comes in, by seed.
    pub load: &'a (dyn Fn(u64) -> Load + Sync),
    /// None: as many as the size of the load allows.
    pub runs: Option<NonZeroU32>,
    /// Gives the same answer again.
    pub seed: u64,
    /// The share of attempts that may be refused where a limit suffices, from 0 to 1.
    pub refused_max: f64,
}

/// What would have happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// In the order of the question's variants.
    pub columns: Vec<Column>,
    /// How many runs there were.
    pub runs: usize,
    /// By which it can be had again.
    pub seed: u64,
    /// The mean time that an exchange takes.
    pub mean_holding: Duration,
    /// From the first arrival to the last, of the first run.
    pub span: Duration,
}

/// One variant, and what it does.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// What was changed.
    pub name: String,
    /// All that decides.
    pub variant: Variant,
    /// What was simulated.
    pub figures: Figures,
    /// What theory says. None: the load comes all at once, or there is no limit.
    pub erlang: Option<Erlang>,
    /// The hard limit that would have been enough, the rest being as it is.
    pub sufficient: Sufficient,
}

/// What theory says of a steady stream of such arrivals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Erlang {
    /// Offered, in erlang.
    pub load: f64,
    /// Places.
    pub places: u64,
    /// The share that is refused where nobody waits.
    pub blocked: f64,
    /// The share that waits where nobody is refused.
    pub waits: f64,
}

/// Answers. The runs share the processor's cores.
#[must_use]
pub fn what_if(question: &Question<'_>) -> Answer {
    let first = (question.load)(question.seed);
    let runs = match question.runs {
        Some(runs) => runs.get() as usize,
        None => (USERS_WANTED / first.users.len().max(1)).clamp(1, RUNS_WANTED),
    };
    let (mean_holding, span) = (first.mean_holding(), first.span());
    let mut seeds = Seeded::new(question.seed);
    let seeds: Vec<_> = (1..runs).map(|_| seeds.number()).collect();
    let further =
        parallel::for_each(seeds.len(), |index| (seeds[index], (question.load)(seeds[index])));
    let loads: Vec<_> = std::iter::once((question.seed, first)).chain(further).collect();
    let users: Vec<_> = loads.iter().map(|(_, load)| load.users.len()).collect();
    let variants = &question.variants;
    let all = parallel::for_each(variants.len() * runs, |index| {
        let (seed, load) = &loads[index % runs];
        simulate(load, &variants[index / runs].1, *seed, Enough::NEVER)
    });
    // Variants that differ in their limits alone have the same answer.
    let mut kinds: Vec<Variant> = Vec::new();
    for (_, variant) in variants {
        if !kinds.contains(&variant.without_limits()) {
            kinds.push(variant.without_limits());
        }
    }
    let sufficient = parallel::for_each(kinds.len(), |index| {
        solve::sufficient(&loads, &kinds[index], question.refused_max)
    });
    let mut all = all.into_iter();
    let columns = variants.iter().map(|(name, variant)| {
        let kind = kinds.iter().position(|kind| *kind == variant.without_limits());
        Column {
            name: name.clone(),
            variant: *variant,
            figures: Figures::of(all.by_ref().take(runs).collect(), &users),
            erlang: erlang(&loads[0].1, variant),
            sufficient: sufficient[kind.expect("it is one of them")],
        }
    });
    let columns = columns.collect();
    Answer { columns, runs, seed: question.seed, mean_holding, span }
}

fn erlang(load: &Load, variant: &Variant) -> Option<Erlang> {
    let (places, load) = (variant.places()?, load.offered(variant.held_after())?);
    let (blocked, waits) = (erlang_b(places, load), erlang_c(places, load));
    Some(Erlang { load, places, blocked, waits })
}
