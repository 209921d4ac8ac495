//! docs/diagnosis.md and the code have the same hypotheses, evidence and weights.

use std::collections::BTreeMap;

use outlast_doctor::diagnosis::{Cause, ITEMS};

const PAGE: &str = include_str!("../../../../docs/diagnosis.md");

/// The rows of the table below a heading, without its first two lines.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let (_, below) = PAGE.split_once(heading).unwrap_or_else(|| panic!("{heading} is missing"));
    let table = below.lines().skip_while(|line| !line.starts_with('|')).skip(2);
    let table = table.take_while(|line| line.starts_with('|'));
    table
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

#[test]
fn every_hypothesis_is_explained() {
    let documented: Vec<_> = rows("## Hypotheses").into_iter().map(|row| row[0].clone()).collect();
    let known = Cause::ALL.map(|cause| format!("`{}`", cause.id()));
    assert_eq!(documented, known);
}

#[test]
fn every_weight_is_told() {
    let told: BTreeMap<_, _> =
        rows("## Evidence").into_iter().map(|row| (row[0].clone(), row[1..].to_vec())).collect();
    let mut wanted = BTreeMap::new();
    for item in ITEMS {
        let weights = Cause::ALL.into_iter().filter(|cause| item.weight(*cause) != 0);
        let weights = weights.map(|cause| format!("`{cause}` {:+}", item.weight(cause)));
        let weights = weights.collect::<Vec<_>>().join(", ");
        wanted.insert(format!("`{}`", item.id), vec![item.why.to_owned(), weights]);
    }
    if told != wanted {
        let rows = ITEMS.iter().map(|item| {
            let id = format!("`{}`", item.id);
            format!("| {id} | {} | {} |", wanted[&id][0], wanted[&id][1])
        });
        panic!("docs/diagnosis.md should have:\n{}", rows.collect::<Vec<_>>().join("\n"));
    }
}

#[test]
fn no_weight_is_told_twice() {
    for item in ITEMS {
        for (cause, _) in item.weights {
            let count = item.weights.iter().filter(|(other, _)| other == cause).count();
            assert_eq!(count, 1, "{} of {cause}", item.id);
        }
    }
}
