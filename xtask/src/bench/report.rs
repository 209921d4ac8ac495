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
    /// Medians by proxy; a scenario may be measured with the gateway alone.
    medians: BTreeMap<&'static str, f64>,
    /// The gateway's median, of each peer's.
    ratios: BTreeMap<&'static str, f64>,
    goal: Option<String>,
    reached: Option<bool>,
    runs: BTreeMap<&'static str, Vec<f64>>,
}

const PEERS: [Kind; 2] = [Kind::Haproxy, Kind::Nginx];

impl Table {
    pub(super) fn add(&mut self, kind: Kind, figures: Vec<Figure>) {
        for figure in figures {
            if !self.names.iter().any(|(name, _)| *name == figure.name) {
                self.names.push((figure.name, figure.goal));
            }
            self.values.entry((figure.name, kind)).or_default().push(figure.value);
        }
    }

    pub(super) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&self.rows())?)
    }

    pub(super) fn text(&self) -> String {
        let mut text =
            "| medians | outlast | haproxy | nginx | of haproxy's | of nginx's | goal | |\n\
                        | --- | ---: | ---: | ---: | ---: | ---: | --- | --- |\n"
                .to_owned();
        for row in self.rows() {
            let medians = Kind::ALL.map(|kind| number(row.medians.get(kind.name())));
            let ratios = PEERS.map(|kind| number(row.ratios.get(kind.name())));
            let verdict =
                row.reached.map_or("", |reached| if reached { "reached" } else { "missed" });
            writeln!(
                text,
                "| {} | {} | {} | {} | {verdict} |",
                row.name,
                medians.join(" | "),
                ratios.join(" | "),
                row.goal.as_deref().unwrap_or("")
            )
            .expect("writing to a string succeeds");
        }
        text
    }

    fn rows(&self) -> Vec<Row> {
        self.names.iter().map(|(name, goal)| self.row(name, *goal)).collect()
    }

    fn row(&self, name: &'static str, goal: Goal) -> Row {
        let mut runs = BTreeMap::new();
        for kind in Kind::ALL {
            if let Some(values) = self.values.get(&(name, kind)) {
                runs.insert(kind.name(), values.clone());
            }
        }
        let medians: BTreeMap<_, _> =
            runs.iter().map(|(kind, values)| (*kind, median(values))).collect();
        let own = medians.get(Kind::Outlast.name()).copied().unwrap_or(f64::NAN);
        let ratio = |kind: Kind| Some((kind.name(), own / medians.get(kind.name())?));
        let ratios: BTreeMap<_, _> = PEERS.into_iter().filter_map(ratio).collect();
        let haproxy = ratios.get(Kind::Haproxy.name()).copied().unwrap_or(f64::NAN);
        let (goal, reached) = match goal {
            Goal::None => (None, None),
            Goal::Most(most) => (Some(format!("≤ {most}")), Some(own <= most)),
            Goal::Ratio(most) => (Some(format!("≤ {most} ×")), Some(haproxy <= most)),
        };
        Row { name, medians, ratios, goal, reached, runs }
    }
}

/// A peer that used nothing has no ratio.
fn number(value: Option<&f64>) -> String {
    value
        .filter(|value| value.is_finite())
        .map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"))
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
            let kinds = [(Kind::Outlast, own), (Kind::Haproxy, peer), (Kind::Nginx, 2.0 * peer)];
            for (kind, value) in kinds {
                let ratio = Figure { name: "a", value, goal: Goal::Ratio(0.5) };
                table.add(kind, vec![ratio, Figure { name: "b", goal: Goal::Most(1.0), ..ratio }]);
            }
            table.add(Kind::Outlast, vec![Figure { name: "c", value: own, goal: Goal::None }]);
        }
        let rows = table.rows();
        assert_eq!((rows[0].medians["outlast"], rows[0].medians["haproxy"]), (2.0, 4.0));
        assert_eq!((rows[0].ratios["haproxy"], rows[0].ratios["nginx"]), (0.5, 0.25));
        assert_eq!((rows[0].reached, rows[1].reached), (Some(true), Some(false)));
        let text = table.text();
        assert!(
            text.contains("| a | 2.00 | 4.00 | 8.00 | 0.50 | 0.25 | ≤ 0.5 × | reached |"),
            "{text}"
        );
        assert!(text.contains("| c | 2.00 | – | – | – | – |  |  |"), "{text}");
    }

    #[test]
    fn a_peer_that_used_nothing_has_no_ratio() {
        let mut table = Table::default();
        for (kind, value) in [(Kind::Outlast, 1.0), (Kind::Haproxy, 0.0)] {
            table.add(kind, vec![Figure { name: "a", value, goal: Goal::None }]);
        }
        assert!(table.text().contains("| a | 1.00 | 0.00 | – | – | – |"), "{}", table.text());
    }

    #[test]
    fn a_peer_that_was_not_measured_reaches_nothing() {
        let mut table = Table::default();
        table.add(Kind::Outlast, vec![Figure { name: "a", value: 1.0, goal: Goal::Ratio(0.5) }]);
        assert_eq!(table.rows()[0].reached, Some(false));
    }
}
