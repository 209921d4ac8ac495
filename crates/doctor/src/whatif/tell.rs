//! What is to be said about an answer, in sentences and as JSON.

use std::time::Duration;

use outlast_config::format_duration;
use serde_json::{Value, json};

use super::base::Base;
use super::figures::Estimate;
use super::{Answer, Column};

/// Sentences about what the figures mean and what was assumed.
#[must_use]
pub fn remarks(base: &Base, answer: &Answer) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some((now, others)) = answer.columns.split_first() {
        for column in others {
            if now.variant.differs_by_type_alone(&column.variant) {
                remarks.push(type_alone(now, column));
            }
            if column.figures.is_cut {
                remarks.push(format!(
                    "{}: there were too many attempts, and what is told ends before its end.",
                    column.name
                ));
            }
        }
    }
    let mut needs: Vec<(String, Vec<&str>)> = Vec::new();
    for column in &answer.columns {
        let Some(need) = implied(base, column) else { continue };
        match needs.iter_mut().find(|(known, _)| *known == need) {
            Some((_, names)) => names.push(&column.name),
            None => needs.push((need, vec![&column.name])),
        }
    }
    remarks.extend(needs.into_iter().map(|(need, names)| match answer.columns.len() {
        1 => format!("{need}."),
        _ => format!("{}: {need}.", names.join("; ")),
    }));
    if answer.columns.iter().any(|column| !column.variant.queue_timeout.is_zero()) {
        remarks.push(
            "The queue is Outlast's; a proxy without one refuses at once, which --what-if queue=0s shows."
                .to_owned(),
        );
    }
    let runs = match answer.runs {
        1 => "one run".to_owned(),
        runs => format!("means of {runs} runs, ± their 95 % confidence interval"),
    };
    remarks.push(format!(
        "{runs}, seed {}; streams take {} on average. Connecting takes no time here, and no machine fails or starts.",
        answer.seed,
        format_duration(Duration::from_secs(answer.mean_holding.as_secs())),
    ));
    remarks.extend(base.assumed.iter().map(|assumed| format!("Assumed: {assumed}.")));
    remarks
}

fn type_alone(now: &Column, column: &Column) -> String {
    let (before, after) = (now.figures.refused.mean, column.figures.refused.mean);
    let noise = |estimate: Estimate| estimate.plus_minus.unwrap_or(0.0);
    let sure = noise(now.figures.refused) + noise(column.figures.refused);
    let name = &column.name;
    if (before - after).abs() <= sure.max(0.5) {
        return format!(
            "{name} alone changes nothing: under both types a stream holds one place until its last byte."
        );
    }
    format!(
        "{name} alone: refused {before:.0}, then {after:.0}. Under both types a stream holds one place until its last byte; \
        the difference is the connections that linger after it."
    )
}

/// What the limit that would have sufficed asks of the machines.
fn implied(base: &Base, column: &Column) -> Option<String> {
    let has = column.variant.memory_mb?;
    let needs = u64::from(column.sufficient.machine_peak_open) * base.memory_per_stream;
    let needs = needs.div_ceil(1 << 20);
    if needs <= has {
        return None;
    }
    let holds = ((has << 20) / base.memory_per_stream.max(1)).max(1);
    let streams =
        u64::from(column.sufficient.machine_peak_open) * u64::from(column.variant.machines.get());
    Some(format!(
        "hard={} needs machines with {} MB, or {} of the {has} MB that they have, each with hard={holds}",
        column.sufficient.hard,
        needs.next_multiple_of(256),
        streams.div_ceil(holds),
    ))
}

/// One object; `version` grows when a field changes its meaning.
#[must_use]
pub fn json(base: &Base, told: &str, answer: &Answer) -> String {
    let columns: Vec<_> = answer.columns.iter().map(|one| column(base, one)).collect();
    let value = json!({
        "version": 1,
        "service": base.service,
        "load": told,
        "runs": answer.runs,
        "seed": answer.seed,
        "span_ms": milliseconds(answer.span),
        "mean_holding_ms": milliseconds(answer.mean_holding),
        "variants": columns,
        "remarks": remarks(base, answer),
    });
    format!("{value:#}\n")
}

fn column(base: &Base, column: &Column) -> Value {
    let figures = &column.figures;
    let estimate =
        |estimate: Estimate| json!({ "mean": estimate.mean, "plus_minus": estimate.plus_minus });
    let settings = column.variant.values();
    let settings: serde_json::Map<_, _> =
        settings.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let [by_limit, by_queue_full, by_deadline] = figures.refused_by;
    let bytes = |streams: u32| u64::from(streams) * base.memory_per_stream;
    json!({
        "what_if": column.name,
        "settings": settings,
        "memory_mb": column.variant.memory_mb,
        "users": figures.users,
        "attempts": figures.attempts,
        "refused": estimate(figures.refused),
        "refused_share": estimate(figures.refused_share),
        "refused_by": { "limit": by_limit, "queue_full": by_queue_full, "queue_deadline": by_deadline },
        "first_refusal": figures.first_refusal.map(|first| {
            json!({ "at_ms": milliseconds(first.at), "open": first.open })
        }),
        "served": figures.served,
        "turned_away": figures.turned_away,
        "left": figures.left,
        "waited": figures.waited,
        "wait": figures.wait.map(|wait| json!({
            "p50_ms": milliseconds(wait.p50),
            "p95_ms": milliseconds(wait.p95),
            "max_ms": milliseconds(wait.max),
        })),
        "queue_max": figures.queue_max,
        "streams_max": figures.peak_open,
        "places_max": figures.peak,
        "machine_streams_max": figures.machine_peak_open,
        "machine_places_max": figures.machine_peak,
        "machine_memory_max_bytes": bytes(figures.machine_peak_open),
        "erlang": column.erlang.map(|erlang| json!({
            "load": erlang.load,
            "places": erlang.places,
            "b": erlang.blocked,
            "c": erlang.waits,
        })),
        "sufficient": {
            "hard": column.sufficient.hard,
            "refused_max": column.sufficient.refused_max,
            "machine_memory_bytes": bytes(column.sufficient.machine_peak_open),
        },
    })
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
