//! No text makes the doctor panic, point outside of it, or mend it into something else than TOML.

use crate::examples::examples;
use outlast_config::SourceText;
use outlast_doctor::{Files, Hints, fix, pages, report, review};
use proptest::prelude::*;

fn survives(text: &str) {
    let source = SourceText::new("fly.toml", text);
    let files = Files { fly: &source, outlast: Some(&source) };
    let hints = Hints::default();
    let Ok(found) = review(&files, &hints) else { return };
    for finding in &found.findings {
        let places = finding.at.iter().chain(finding.also.iter().map(|(place, _)| place));
        places.for_each(|place| {
            assert!(text.get(place.span.clone()).is_some(), "{place:?} of {text:?}");
        });
    }
    found
        .secrets
        .iter()
        .for_each(|secret| assert!(text.get(secret.clone()).is_some(), "{secret:?} of {text:?}"));
    let fixed = fix(&files, &hints).expect("it was read just before");
    let again = SourceText::new("fly.toml", fixed.text.clone());
    let after = review(&Files { fly: &again, outlast: None }, &hints);
    let after = after.unwrap_or_else(|_| panic!("{text:?} became {:?}", fixed.text));
    let left = after.findings.iter().find(|finding| finding.is_fixable());
    assert_eq!(left, None, "{text:?} became {:?}", fixed.text);
    let sarif = report::sarif(&found, "fly.toml");
    assert!(sarif.contains("2.1.0"));
    let _strings =
        (report::json(&found), report::github(&found, "a"), report::junit(&found, "a", None));
}

proptest! {
    #[test]
    fn any_text(text in ".{0,200}") {
        survives(&text);
    }

    /// Lines of examples, in any order and number, with one character changed.
    #[test]
    fn examples_in_pieces(picks in prop::collection::vec((0..200_usize, 0..40_usize), 1..40), at in 0..2000_usize, new in any::<char>()) {
        let texts: Vec<_> = pages().iter().flat_map(examples).map(|example| example.fly.text).collect();
        let line = |(text, line): &(usize, usize)| {
            let lines: Vec<_> = texts[text % texts.len()].lines().collect();
            lines[line % lines.len()].to_owned()
        };
        let text: String = picks.iter().map(|pick| line(pick) + "\n").collect();
        survives(&text);
        let changed: String = text.chars().enumerate().map(|(index, c)| if index == at % text.len() { new } else { c }).collect();
        survives(&changed);
    }
}
