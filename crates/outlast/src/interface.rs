//! Compares docs/interface.md with the code: neither may have what the other hasn't.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory};
use outlast_observe::{Observe, Outcome, RefusalReason};

use crate::cli::Cli;

const PAGE: &str = include_str!("../../../docs/interface.md");

/// The lines of the section with this heading, up to the next of the same or a higher level.
fn section(heading: &str) -> Vec<&'static str> {
    let level = heading.chars().take_while(|c| *c == '#').count();
    let mut lines = PAGE.lines().skip_while(|line| *line != heading);
    assert!(lines.next().is_some(), "{heading} is missing");
    let ends = |line: &&str| {
        let hashes = line.chars().take_while(|c| *c == '#').count();
        (1..=level).contains(&hashes)
    };
    lines.take_while(|line| !ends(line)).collect()
}

/// The cells of the tables of a section, without their headings.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let tables = section(heading).into_iter().filter(|line| line.starts_with('|'));
    let cells =
        |line: &'static str| line.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>();
    let rows: Vec<_> = tables.map(cells).collect();
    rows.iter()
        .enumerate()
        // A heading is what stands before the line of dashes.
        .filter(|(index, row)| {
            let is_rule = |row: &Vec<&str>| row.iter().all(|cell| cell.contains("---"));
            !is_rule(row) && !rows.get(index + 1).is_some_and(is_rule)
        })
        .map(|(_, row)| row.clone())
        .collect()
}

/// Every word in backticks.
fn ticked(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split('`').skip(1).step_by(2)
}

fn first_cells(heading: &str) -> BTreeSet<String> {
    rows(heading).iter().flat_map(|row| ticked(row[0])).map(ToOwned::to_owned).collect()
}

/// Every command with its whole name, `outlast drill origin`.
fn commands() -> Vec<(String, Command)> {
    let mut found = Vec::new();
    let mut left = vec![("outlast".to_owned(), Cli::command())];
    while let Some((name, command)) = left.pop() {
        for inner in command.get_subcommands() {
            left.push((format!("{name} {}", inner.get_name()), inner.clone()));
        }
        found.push((name, command));
    }
    // The program itself has no flags of its own.
    found.remove(0);
    found
}

#[test]
fn every_flag_is_listed_with_its_variable_and_no_other() {
    for (name, command) in commands() {
        let heading = format!("### {name}");
        let listed = rows(&heading);
        let flags: BTreeSet<_> = command
            .get_arguments()
            .filter_map(|arg| arg.get_long())
            .filter(|long| *long != "help")
            .map(|long| format!("--{long}"))
            .collect();
        assert_eq!(first_cells(&heading), flags, "{heading}");
        for arg in command.get_arguments() {
            let (Some(long), Some(env)) = (arg.get_long(), arg.get_env()) else { continue };
            let flag = format!("`--{long}`");
            let row = listed.iter().find(|row| row[0] == flag).expect("just compared");
            assert_eq!(row[1], format!("`{}`", env.display()), "{heading} {flag}");
        }
    }
}

#[test]
fn every_variable_of_the_configuration_stands_beside_its_flag() {
    let rows = rows("### outlast up");
    let keys = outlast_config::reference().iter().map(|key| (key.flag, key.env));
    let further =
        outlast_config::variables().iter().map(|variable| (variable.flag, Some(variable.env)));
    for (flag, env) in keys.chain(further) {
        let (Some(flag), Some(env)) = (flag.filter(|flag| *flag != "--"), env) else { continue };
        let row = rows.iter().find(|row| row[0] == format!("`{flag}`"));
        assert_eq!(row.map(|row| row[1]), Some(&*format!("`{env}`")), "{flag}");
    }
}

#[test]
fn every_variable_of_the_command_line_is_known_to_the_configuration() {
    let known: BTreeSet<_> =
        outlast_config::variables().iter().map(|variable| variable.env).collect();
    for (_, command) in commands() {
        for arg in command.get_arguments() {
            let Some(env) = arg.get_env().and_then(|env| env.to_str()) else { continue };
            assert!(env == "PORT" || known.contains(env), "{env} would be called unknown");
        }
    }
}

#[test]
fn every_key_is_listed_with_its_default_and_no_other() {
    let listed: BTreeSet<_> = rows("## Keys of outlast.toml")
        .iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].to_owned()))
        .collect();
    let keys = outlast_config::reference().iter().map(|key| {
        let is_words = key.default.contains('`');
        let default = if is_words { key.default.to_owned() } else { format!("`{}`", key.default) };
        (key.key.to_owned(), default)
    });
    assert_eq!(listed, keys.collect());
}

#[test]
fn every_rule_of_the_doctor_is_listed_and_no_other() {
    let listed: Vec<_> = section("## Rules of the doctor").into_iter().flat_map(ticked).collect();
    let pages = outlast_doctor::pages().iter().chain(outlast_doctor::live_pages());
    assert_eq!(listed, pages.map(|page| page.rule).collect::<Vec<_>>());
}

#[test]
fn every_outcome_and_reason_is_listed_and_no_other() {
    let names = Outcome::NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(first_cells("## Outcomes"), names);
    let listed: BTreeSet<_> = rows("## Outcomes")
        .iter()
        .filter(|row| row[0] == "`refused`")
        .flat_map(|row| ticked(row[1]))
        .collect();
    assert_eq!(listed, RefusalReason::NAMES.into());
}

#[test]
fn every_reason_of_a_release_is_listed_and_no_other() {
    let rows = rows("## Metrics");
    let row = rows.iter().find(|row| row[0] == "`outlast_released_total`").expect("listed");
    let listed: BTreeSet<_> = ticked(row[2]).collect();
    let reasons = Outcome::RELEASES.into_iter();
    assert_eq!(listed, ["service", "reason"].into_iter().chain(reasons).collect());
}

#[test]
fn every_rule_of_http_is_listed_and_no_other() {
    let lines = section("## Outcomes").into_iter().skip_while(|line| !line.starts_with("Rules of"));
    let is_rule = |word: &&str| !["rule", "bad_request", "response"].contains(word);
    let listed: BTreeSet<_> = lines.flat_map(ticked).filter(is_rule).collect();
    assert_eq!(listed, outlast_http1::RULES.into());
}

#[test]
fn every_metric_is_listed_with_its_type_and_no_other() {
    let observe = Observe::new("local", &["http".to_owned()], 1);
    observe.set_pool_source(outlast_observe::PoolSource(Box::new(|_| {
        outlast_protocol::pool::Pool {
            version: String::new(),
            app: String::new(),
            phase: String::new(),
            uptime_ms: 0,
            ledger_mismatches: 0,
            client_connections: 0,
            evidence_missing: None,
            services: Vec::new(),
        }
    })));
    let text = observe.metrics_text();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let metrics: BTreeSet<_> = types
        .map(|line| {
            let (name, kind) = line.split_once(' ').expect("a name and a type");
            let suffix = if kind == "counter" { "_total" } else { "" };
            (format!("{name}{suffix}"), kind.to_owned())
        })
        .collect();
    let listed = rows("## Metrics")
        .iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].to_owned()))
        .collect();
    assert_eq!(metrics, listed);
}
