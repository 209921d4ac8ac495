//! Every fixture with its whole output beside it.
//!
//! `UPDATE_GOLDEN=1` writes the outputs anew; read the difference before you keep it.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use outlast_config::{Checked, Diagnostic, Flags, Origin, SourceText, Sources, check};

#[derive(Clone, Copy)]
enum File {
    Fly,
    Outlast,
}

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

fn check_file(path: &Path, file: File) -> Result<Checked, Vec<Diagnostic>> {
    let text = fs::read_to_string(path).unwrap();
    let env = BTreeMap::new();
    let (fly, outlast) = match file {
        File::Fly => (Some(SourceText::new("fly.toml", text)), None),
        File::Outlast => (None, Some(SourceText::new("outlast.toml", text))),
    };
    check(&Sources { fly, outlast, env: &env, flags: Flags::default() })
}

/// Remarks as they are, then what was written and what is made of services and machines.
fn show(checked: &Checked) -> String {
    let mut text = show_all(&checked.notes);
    for value in &checked.values {
        let told = value.key.starts_with("service.") || value.key.starts_with("machine.");
        if told || value.origin != Origin::Default {
            writeln!(text, "{} = {} # {}", value.key, value.value, value.origin).unwrap();
        }
    }
    for service in &checked.plan.services {
        writeln!(text, "{} {:?} groups {:?}", service.name, service.kind, service.groups).unwrap();
        for check in &service.checks {
            writeln!(text, "  {check:?}").unwrap();
        }
    }
    for check in &checked.plan.checks {
        writeln!(text, "{check:?}").unwrap();
    }
    if let outlast_config::Machines::Local(groups) = &checked.plan.machines {
        for group in groups {
            writeln!(text, "{} {:?} {:?}", group.name, group.command, group.env).unwrap();
        }
    }
    text
}

fn show_all(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect()
}

/// All differences at once: a change of wording touches many.
fn compare(outputs: &[(PathBuf, String)]) {
    let mut wrong = String::new();
    for (path, got) in outputs {
        let golden = path.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, got).unwrap();
        }
        let want = fs::read_to_string(&golden).unwrap_or_default();
        if want != *got {
            write!(wrong, "== {}\n-- want\n{want}-- got\n{got}", golden.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn accepts(folder: &str, file: File) {
    let outputs = fixtures(folder).into_iter().map(|path| {
        let checked = check_file(&path, file);
        let checked =
            checked.unwrap_or_else(|errors| panic!("{}\n{}", path.display(), show_all(&errors)));
        let shown = show(&checked);
        (path, shown)
    });
    compare(&outputs.collect::<Vec<_>>());
}

fn refuses(folder: &str, file: File) {
    let outputs = fixtures(folder).into_iter().map(|path| {
        let errors = check_file(&path, file).expect_err(&path.display().to_string());
        (path, show_all(&errors))
    });
    compare(&outputs.collect::<Vec<_>>());
}

#[test]
fn each_peculiar_fly_toml_is_read() {
    accepts("fly", File::Fly);
}

#[test]
fn each_outlast_toml_is_read() {
    accepts("outlast", File::Outlast);
}

#[test]
fn each_wrong_fly_toml_is_refused_with_its_reasons() {
    refuses("invalid/fly", File::Fly);
}

#[test]
fn each_wrong_outlast_toml_is_refused_with_its_reasons() {
    refuses("invalid/outlast", File::Outlast);
}

#[test]
fn no_output_is_left_behind_by_a_fixture_that_is_gone() {
    for folder in ["fly", "outlast", "invalid/fly", "invalid/outlast"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            assert!(path.with_extension("toml").exists(), "{}", path.display());
        }
    }
}
