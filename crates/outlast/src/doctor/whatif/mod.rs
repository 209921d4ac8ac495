//! `outlast doctor --what-if`: gathers the question, draws the answer; the prediction is `outlast_doctor::whatif`'s.

mod args;
mod plans;
mod records;
mod table;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use outlast_doctor::whatif::{
    Base, BaseError, Behaviour, Load, Question, Rate, Retry, USERS_MAX, what_if,
};
use outlast_doctor::{Files, Hints};

pub(crate) use self::args::WhatIfArgs;
use super::args::Format;
use crate::check::read_or_not;
use crate::diagnostics;
use crate::failure::{EXIT_CONFIG, Failure};

/// What the gateway asks of those whom it refuses (docs/gateway.md).
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Where the load comes from, and a sentence about it.
struct Source {
    draw: Box<dyn Fn(u64) -> Load + Sync>,
    told: String,
}

/// Predicts. None: what is wrong with a file is told.
pub(super) fn run(
    args: &WhatIfArgs,
    format: Format,
    files: &Files<'_>,
    hints: &Hints,
) -> Result<ExitCode, Failure> {
    let base = match Base::read(files, hints, args.service.as_deref()) {
        Ok(base) => base,
        Err(BaseError::Broken(reasons)) => {
            let texts: Vec<_> = [Some(files.fly), files.outlast].into_iter().flatten().collect();
            diagnostics::print(&reasons, &texts);
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
        Err(error) => {
            let hint = match &error {
                BaseError::NoService { hint, .. } => hint.clone(),
                _ => "`outlast check` tells more".to_owned(),
            };
            return Err(Failure::config(error).hint(hint));
        }
    };
    let mut variants = vec![("as it is".to_owned(), base.variant)];
    for text in &args.what_if {
        let changed = base.variant.changed(text);
        let changed = changed.map_err(|error| {
            let hint = error.hint().to_owned();
            Failure::config(anyhow!("--what-if {text}: {error}")).hint(hint)
        })?;
        variants.push((text.clone(), changed));
    }
    let Some(source) = source(args, &base)? else { return Ok(ExitCode::from(EXIT_CONFIG)) };
    let answer = what_if(&Question {
        variants,
        load: &*source.draw,
        runs: args.runs,
        seed: args.seed,
        refused_max: args.refused_max,
    });
    let text = match format {
        Format::Human => {
            let coloured = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            table::draw(&base, &source.told, &answer, coloured)
        }
        Format::Json => outlast_doctor::whatif::json(&base, &source.told, &answer),
        _ => {
            let error = anyhow!("a prediction has no findings to write in that format");
            return Err(Failure::config(error).hint("write --format human or json"));
        }
    };
    read_or_not(io::stdout().lock().write_all(text.as_bytes())).map_err(Failure::failed)?;
    Ok(ExitCode::SUCCESS)
}

fn source(args: &WhatIfArgs, base: &Base) -> Result<Option<Source>, Failure> {
    if let Some(plan) = &args.load {
        return plans::source(plan);
    }
    if let Some(file) = &args.records {
        return records::source(file, args, base).map(Some);
    }
    let (Some(per_second), Some(holding)) = (args.arrivals, args.holding) else {
        let error = anyhow!("--what-if needs to know what comes in");
        let hint =
            "give --arrivals 12/min --holding uniform:5m:10m, --load incident, or --records FILE";
        return Err(Failure::config(error).hint(hint));
    };
    let rate = Rate { per_second, during: args.during, holding, behaviour: behaviour(args) };
    if rate.expected() > USERS_MAX as f64 {
        let error = anyhow!("{:.0} users are more than a what-if takes", rate.expected());
        let hint = format!("at most {USERS_MAX} may come: shorten --during");
        return Err(Failure::config(error).hint(hint));
    }
    if rate.expected() < 1.0 {
        let error = anyhow!("nobody comes: less than one user is expected");
        return Err(Failure::config(error).hint("lengthen --during or raise --arrivals"));
    }
    let told = format!(
        "{} an hour for {}, each for {holding}",
        table::rounded(per_second * 3_600.0),
        outlast_config::format_duration(args.during),
    );
    Ok(Some(Source { draw: Box::new(move |seed| rate.draw(seed)), told }))
}

fn behaviour(args: &WhatIfArgs) -> Behaviour {
    Behaviour { patience: args.patience, retry: retry(args).unwrap_or(Retry::Never) }
}

/// None: nothing is told about it.
fn retry(args: &WhatIfArgs) -> Option<Retry> {
    let at_least = if args.heed_retry_after { RETRY_AFTER } else { Duration::ZERO };
    args.retry.map(|wait| Retry::Again { wait, times: args.retries.get(), at_least })
}
