//! What a what-if of a million exchanges costs: `cargo bench -p outlast-doctor`. The goal is below two seconds for the whole
//! answer, two variants and the limit that would have sufficed; of a million on a thousand machines, seconds.

use std::num::NonZeroU32;
use std::time::Duration;

use outlast_admission::{Limits, Linger, Settings};
use outlast_config::{Accounting, Spread};
use outlast_doctor::whatif::{Behaviour, Question, Rate, Retry, Variant, what_if};

const USERS: f64 = 1_000_000.0;
const MINUTE: Duration = Duration::from_secs(60);

fn main() {
    divan::main();
}

/// The limits of the incident on so many machines.
fn variant(machines: u32) -> Variant {
    Variant {
        accounting: Accounting::Connections,
        settings: Settings {
            limits: Limits { soft: NonZeroU32::new(20), hard: NonZeroU32::new(25) },
            linger: Linger::Hold,
            queue_depth_max: 100,
            reserve_slots: 2,
        },
        machines: NonZeroU32::new(machines).expect("at least one"),
        queue_timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_secs(4),
        memory_mb: Some(512),
    }
}

/// A million users who offer 24 erlang to each machine, and come twice more when refused; `changes` beside what is.
#[divan::bench(
    args = [(1, ""), (1, "hard=60,soft=45"), (1_000, ""), (1_000, "hard=60,soft=45")],
    sample_count = 5,
    sample_size = 1
)]
fn a_million_exchanges(bencher: divan::Bencher<'_, '_>, (machines, changes): (u32, &str)) {
    let holding = Spread::Uniform(5 * MINUTE, 10 * MINUTE);
    let per_second = 24.0 * f64::from(machines) / holding.mean().as_secs_f64();
    let during = Duration::from_secs_f64(USERS / per_second);
    let retry = Retry::Again { wait: Spread::Fixed(MINUTE), times: 2, at_least: Duration::ZERO };
    let behaviour = Behaviour { patience: None, retry };
    let rate = Rate { per_second, during, holding, behaviour };
    let now = variant(machines);
    let mut variants = vec![("as it is".to_owned(), now)];
    if !changes.is_empty() {
        variants.push((changes.to_owned(), now.changed(changes).expect("a change")));
    }
    let load = |seed| rate.draw(seed);
    let (runs, seed, refused_max) = (NonZeroU32::new(1), 1, 0.001);
    let question = Question { variants, load: &load, runs, seed, refused_max };
    bencher.bench_local(|| {
        let answer = what_if(&question);
        let figures = &answer.columns[0].figures;
        assert!(figures.users > 0.99 * USERS && figures.served > 0.9 * USERS, "{figures:?}");
        answer
    });
}
