//! Medians, ratios and goals.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use super::proxy::Kind;
use super::scenario::{Figure, Goal};

/// All figures of all runs.
#[derive(Default)]
pub(super) struct Table {
    /// In the order of their first appearance.
    names: Vec<(&'static str, Goal)>,
    values: BTreeMap<(&'static str, Kind), Vec<f64>>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    outlast: f64,
    haproxy: f64,
    ratio: f64,
    goal: String,
    reached: bool,
    outlast_runs: Vec<f64>,
    haproxy_runs: Vec<f64>,
}

impl Table {
    pub(super) fn add(&mut self, kind: Kind, figures: Vec<Figure>) {
        for figure in figures {
            if !self.names.iter().any(|(name, _)| *name == figure.name) {
                self.names.push((figure.name, figure.goal));
            }
            self.values.entry((figure.name, kind)).or_default().push(figure.value);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(super) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&self.rows())?)
    }

    pub(super) fn text(&self) -> String {
        let mut text = "| medians | outlast | haproxy | ratio | goal | |\n\
                        | --- | ---: | ---: | ---: | --- | --- |\n"
            .to_owned();
        for row in self.rows() {
            let verdict = if row.reached { "reached" } else { "missed" };
            let Row { name, outlast, haproxy, ratio, goal, .. } = row;
            writeln!(
                text,
                "| {name} | {outlast:.2} | {haproxy:.2} | {ratio:.2} | {goal} | {verdict} |"
            )
            .expect("writing to a string succeeds");
        }
        text
    }

    fn rows(&self) -> Vec<Row> {
        let runs = |name, kind| self.values.get(&(name, kind)).cloned().unwrap_or_default();
        let row = |(name, goal): &(&'static str, Goal)| {
            let (outlast_runs, haproxy_runs) =
                (runs(*name, Kind::Outlast), runs(*name, Kind::Haproxy));
            let (outlast, haproxy) = (median(&outlast_runs), median(&haproxy_runs));
            let ratio = outlast / haproxy;
            let (goal, reached) = match goal {
                Goal::Most(most) => (format!("≤ {most}"), outlast <= *most),
                Goal::Ratio(most) => (format!("≤ {most} ×"), ratio <= *most),
            };
            Row { name, outlast, haproxy, ratio, goal, reached, outlast_runs, haproxy_runs }
        };
        self.names.iter().map(row).collect()
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_hold_medians_ratios_and_verdicts() {
        let mut table = Table::default();
        for (own, peer) in [(3.0, 2.0), (1.0, 9.0), (2.0, 4.0)] {
            for (kind, value) in [(Kind::Outlast, own), (Kind::Haproxy, peer)] {
                let ratio = Figure { name: "a", value, goal: Goal::Ratio(0.5) };
                table.add(kind, vec![ratio, Figure { name: "b", goal: Goal::Most(1.0), ..ratio }]);
            }
        }
        let rows = table.rows();
        assert_eq!((rows[0].outlast, rows[0].haproxy, rows[0].ratio), (2.0, 4.0, 0.5));
        assert_eq!((rows[0].reached, rows[1].reached), (true, false));
        assert!(table.text().contains("| a | 2.00 | 4.00 | 0.50 | ≤ 0.5 × | reached |"));
    }
}
