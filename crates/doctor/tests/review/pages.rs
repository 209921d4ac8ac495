//! Each rule has a page, and each page an example that the rule finds, one that it does not, and a snapshot of what it says.
//!
//! `UPDATE_GOLDEN=1` writes the snapshots anew; read the difference before you keep it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::examples::{Example, examples};
use outlast_doctor::{live_pages, pages};

/// A table with its header and keys is five lines.
const NEAR: usize = 5;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The names of the files in a folder, without their ending.
fn stems(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn rules() -> BTreeSet<String> {
    pages().iter().map(|page| page.rule.to_owned()).collect()
}

#[test]
fn pages_snapshots_and_rules_are_the_same_set() {
    let mut documents = stems(&folder("../../docs/rules"));
    assert!(documents.remove("README"), "the list of rules is there");
    let live = live_pages().iter().map(|page| page.rule.to_owned());
    assert_eq!(documents, rules().into_iter().chain(live).collect());
    assert_eq!(stems(&folder("tests/snapshots")), rules());
    assert_eq!(pages().len(), rules().len(), "no rule is there twice");
}

#[test]
fn the_list_has_every_rule_with_the_title_of_its_page() {
    let list = fs::read_to_string(folder("../../docs/rules/README.md")).unwrap();
    let listed: Vec<&str> = list.lines().filter(|line| line.starts_with("| [")).collect();
    assert_eq!(listed.len(), pages().len() + live_pages().len());
    for (line, page) in listed.iter().zip(pages().iter().chain(live_pages())) {
        let start = format!("| [{0}]({0}.md) | {1} | ", page.rule, page.title());
        assert!(line.starts_with(&start), "{line}\n{start}");
        assert!(page.text.starts_with(&format!("# {}: ", page.rule)), "{}", page.rule);
    }
}

#[test]
fn every_finding_is_of_a_rule_that_has_a_page() {
    let known = rules();
    for page in pages() {
        for finding in examples(page).iter().flat_map(|example| example.review().findings) {
            assert!(known.contains(finding.rule), "{}", finding.rule);
            assert!(!finding.consequence.is_empty() && !finding.fix.is_empty(), "{finding}");
        }
    }
}

#[test]
fn each_rule_finds_its_wrong_example_and_not_its_right_one() {
    let mut wrong = String::new();
    for page in pages() {
        let [bad, good] = &examples(page)[..] else { panic!("{} has two examples", page.rule) };
        let findings = bad.findings(page.rule);
        if findings.is_empty() {
            writeln!(wrong, "{}: not found in its wrong example", page.rule).unwrap();
        }
        for finding in good.findings(page.rule) {
            writeln!(wrong, "{}: found in its right example\n{finding}", page.rule).unwrap();
        }
        let shown: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
        let golden = folder("tests/snapshots").join(format!("{}.txt", page.rule));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &shown).unwrap();
        }
        let want = fs::read_to_string(&golden).unwrap_or_default();
        if want != shown {
            writeln!(wrong, "== {}\n-- want\n{want}-- got\n{shown}", golden.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A right example is one that `fly deploy` takes: none has an error.
#[test]
fn no_right_example_has_an_error() {
    for page in pages() {
        let example = examples(page).pop().unwrap();
        let errors = example.review().findings.into_iter();
        let errors: Vec<_> =
            errors.filter(|one| one.severity == outlast_doctor::Severity::Error).collect();
        assert_eq!(errors, [], "{}", page.rule);
    }
}

/// A right example is a near miss: what is wrong in the other one, and hardly more, is another in it. Where the text is the same, a
/// flag tells the difference.
#[test]
fn a_right_example_is_a_near_miss() {
    for page in pages() {
        let [wrong, right] = &examples(page)[..] else { panic!("{} has two examples", page.rule) };
        let text = |example: &Example| {
            let outlast = example.outlast.as_ref().map(|source| source.text.as_str());
            format!("{}{}", example.fly.text, outlast.unwrap_or_default())
        };
        let (wrong_text, right_text) = (text(wrong), text(right));
        let difference = similar::TextDiff::from_lines(&wrong_text, &right_text);
        let changed = difference
            .iter_all_changes()
            .filter(|change| change.tag() != similar::ChangeTag::Equal)
            .filter(|change| !change.value().trim().is_empty());
        let changed = changed.count();
        assert!(changed <= NEAR, "{}: {changed} lines are another", page.rule);
        assert!(changed > 0 || wrong.hints != right.hints, "{}: nothing is another", page.rule);
    }
}
