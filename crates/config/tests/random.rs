//! No text makes the crate panic, and every place it tells lies within the text.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::collections::BTreeMap;

use outlast_config::{
    Diagnostic, Flags, Origin, Place, SourceText, Sources, check, decode_fly, decode_outlast,
};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

const FIXTURES: &[&str] = &[
    include_str!("fixtures/fly/incident.toml"),
    include_str!("fixtures/fly/old-spellings.toml"),
    include_str!("fixtures/fly/options.toml"),
    include_str!("fixtures/fly/processes.toml"),
    include_str!("fixtures/fly/udp-and-ranges.toml"),
    include_str!("fixtures/invalid/fly/wrong-types.toml"),
    include_str!("fixtures/outlast/everything.toml"),
];

/// Pieces that turn one meaning into another.
const PIECES: &[&str] = &[
    "",
    "\"",
    "'''",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "#",
    "\n",
    "\r\n",
    "\u{feff}",
    "ü",
    "0",
    "-1",
    "65536",
    "9223372036854775808",
    "1e999",
    "nan",
    "true",
    "\"20,25\"",
    "\"\"",
    "\"-9223372036854775808ns\"",
    "[services]\n",
    "[[services.ports]]\n",
    "port = 80\n",
    "2026-01-02",
    "\0",
    "kill_timeout = ",
    "processes = []\n",
];

/// A fixture with some of its bytes replaced by pieces.
fn mangled() -> impl Strategy<Value = String> {
    let edits =
        prop::collection::vec((any::<prop::sample::Index>(), 0..30_usize, 0..PIECES.len()), 0..6);
    (0..FIXTURES.len(), edits).prop_map(|(fixture, edits)| {
        let mut text = FIXTURES[fixture].to_owned();
        for (index, length, piece) in edits {
            let start = text.floor_char_boundary(index.index(text.len() + 1));
            let end = text.ceil_char_boundary((start + length).min(text.len()));
            text.replace_range(start..end, PIECES[piece]);
        }
        text
    })
}

fn assert_place(place: &Place, text: &str) {
    assert!(text.get(place.span.clone()).is_some(), "{place:?} of {} bytes", text.len());
    let line = text.split('\n').nth(place.line - 1).unwrap();
    assert!(place.column <= line.chars().count() + 1, "{place:?}");
}

fn assert_places(diagnostics: &[Diagnostic], text: &str) {
    for diagnostic in diagnostics {
        let also = diagnostic.also.iter().map(|remark| &remark.at);
        for at in diagnostic.at.iter().chain(also) {
            if let Origin::File(place) = at {
                assert_place(place, text);
            }
        }
        assert!(diagnostic.to_string().starts_with(&diagnostic.level.to_string()));
    }
}

fn try_all(text: &str) {
    let spans = decode_fly("fly.toml", text).map(|written| {
        let env =
            written.env.values().chain(written.processes.values()).map(|one| one.span.clone());
        env.chain(written.idle.iter().map(|one| one.span.clone())).collect::<Vec<_>>()
    });
    match spans {
        Ok(spans) => spans.iter().for_each(|span| assert!(text.get(span.clone()).is_some())),
        Err(errors) => assert_places(&errors, text),
    }
    if let Err(errors) = decode_outlast("outlast.toml", text) {
        assert_places(&errors, text);
    }
    let env = BTreeMap::new();
    let source = || Some(SourceText::new("x.toml", text));
    for (fly, outlast) in [(source(), None), (None, source())] {
        let to = vec!["127.0.0.1:1".parse().unwrap()];
        let command = vec!["serve".to_owned()];
        let all = [
            Flags::default(),
            Flags { to, ..Flags::default() },
            Flags { command, hard_limit: Some(1), ..Flags::default() },
        ];
        for flags in all {
            match check(&Sources { fly: fly.clone(), outlast: outlast.clone(), env: &env, flags }) {
                Ok(checked) => {
                    assert_places(&checked.notes, text);
                    assert!(!checked.plan.services.is_empty());
                }
                Err(errors) => {
                    assert_places(&errors, text);
                    assert!(!errors.is_empty());
                }
            }
        }
    }
}

/// Counter-examples are kept beside this file and belong into the commit.
fn config() -> ProptestConfig {
    let persistence = FileFailurePersistence::WithSource("regressions");
    ProptestConfig { failure_persistence: Some(Box::new(persistence)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_text_is_borne(text in any::<String>()) {
        try_all(&text);
    }

    #[test]
    fn any_change_of_a_real_file_is_borne(text in mangled()) {
        try_all(&text);
    }
}

#[test]
fn deep_nesting_is_refused_without_falling_over() {
    for text in
        ["a = ".to_owned() + &"[".repeat(100_000), "[".to_owned() + &"a.".repeat(100_000) + "b]"]
    {
        try_all(&text);
    }
}
