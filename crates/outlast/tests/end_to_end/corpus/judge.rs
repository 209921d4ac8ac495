//! What the doctor makes of the corpus: right, wrong, or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Write};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The cause of what nobody can know.
pub(super) const UNKNOWN: &str = "not_enough_evidence";

/// A case and what was said of it.
#[derive(Debug)]
pub(super) struct Judged {
    name: String,
    cause: String,
    also: Vec<String>,
    /// Every cause that an incident of the log was put down to.
    said: BTreeSet<String>,
}

impl Judged {
    /// Asks the real program about every case of a folder.
    pub(super) fn all(folder: &Path) -> Vec<Self> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut cases: Vec<_> = entries.map(|case| Self::one(&case)).collect();
        cases.sort_by(|one, other| one.name.cmp(&other.name));
        cases
    }

    fn one(case: &Path) -> Self {
        let card: toml::Table =
            fs::read_to_string(case.join("case.toml")).unwrap().parse().unwrap();
        let also = card["also"].as_array().unwrap().iter();
        Self {
            name: case.file_name().unwrap().to_string_lossy().into_owned(),
            cause: card["cause"].as_str().unwrap().to_owned(),
            also: also.map(|cause| cause.as_str().unwrap().to_owned()).collect(),
            said: ask(case),
        }
    }

    fn is_right(&self, said: &str) -> bool {
        said == self.cause || self.also.iter().any(|also| also == said)
    }

    fn is_knowable(&self) -> bool {
        self.cause != UNKNOWN
    }

    fn is_answered(&self) -> bool {
        self.said.iter().any(|said| self.is_right(said))
    }
}

/// The causes that the doctor names.
pub(super) fn ask(case: &Path) -> BTreeSet<String> {
    let args = ["doctor", "fly.toml", "--logs", "log.txt", "--format", "json"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_outlast"));
    let output = command.args(args).current_dir(case).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{}: {error}: {output:?}", case.display()));
    let incidents = report["incidents"].as_array().unwrap().iter();
    let causes = incidents.map(|incident| incident["cause"].as_str().unwrap().to_owned());
    causes.filter(|cause| cause != UNKNOWN).collect()
}

/// Figures of a number of cases.
#[derive(Debug)]
pub(super) struct Figures {
    /// Of all causes that were named, how many were right.
    pub(super) precision: f64,
    /// Of all cases whose cause can be known, how many had it named.
    pub(super) recall: f64,
    /// Of them, how many had no cause named.
    pub(super) abstained: f64,
    /// What was said of cases whose cause cannot be known, and is not among what may be said.
    pub(super) overclaimed: Vec<String>,
    cases: usize,
}

impl Figures {
    pub(super) fn of(judged: &[&Judged]) -> Self {
        let count =
            |is_meant: fn(&Judged) -> bool| judged.iter().filter(|one| is_meant(one)).count();
        let named: usize = judged.iter().map(|one| one.said.len()).sum();
        let right = judged.iter().flat_map(|one| one.said.iter().filter(|said| one.is_right(said)));
        let knowable = count(|one| one.is_knowable());
        let overclaimed = judged.iter().filter(|one| !one.is_knowable()).flat_map(|one| {
            let wrong = one.said.iter().filter(|said| !one.is_right(said));
            wrong.map(|said| format!("{}: {said}", one.name))
        });
        Self {
            precision: right.count() as f64 / named as f64,
            recall: count(|one| one.is_knowable() && one.is_answered()) as f64 / knowable as f64,
            abstained: count(|one| one.is_knowable() && one.said.is_empty()) as f64
                / knowable as f64,
            overclaimed: overclaimed.collect(),
            cases: judged.len(),
        }
    }
}

impl Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [precision, recall, abstained] =
            [self.precision, self.recall, self.abstained].map(|share| share * 100.0);
        write!(f, "{} | {precision:.1} % | {recall:.1} % | {abstained:.1} %", self.cases)
    }
}

/// Causes and what was said of them, with each case that came out otherwise.
pub(super) fn table(judged: &[&Judged]) -> String {
    let mut counts: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for one in judged {
        let row = counts.entry(&one.cause).or_default();
        for said in &one.said {
            *row.entry(said).or_default() += 1;
        }
        if one.said.is_empty() {
            *row.entry("nothing").or_default() += 1;
        }
    }
    let mut text = "| Cause | Cases | Named |\n| --- | --- | --- |\n".to_owned();
    for (cause, row) in &counts {
        let cases = judged.iter().filter(|one| one.cause == *cause).count();
        let named: Vec<_> = row.iter().map(|(said, count)| format!("`{said}` {count}")).collect();
        writeln!(
            text,
            "| `{cause}` | {cases} | {} |",
            named.join(", ").replace("`nothing`", "nothing")
        )
        .unwrap();
    }
    let other =
        judged.iter().filter(|one| one.is_knowable() != one.is_answered() || one.said.len() > 1);
    for one in other {
        writeln!(text, "{} ({}): {:?}", one.name, one.cause, one.said).unwrap();
    }
    text
}
