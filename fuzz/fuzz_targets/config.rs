//! Configuration files: any text is survived, whatever is said of it points into it, and what the doctor mends stays mended.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use outlast_config::{
    Diagnostic, Flags, Origin, SourceText, Sources, check, decode_fly, decode_outlast,
};
use outlast_doctor::{Files, Hints, fix, review};

/// The line between the two files of an input. Without it, all of it is a `fly.toml`.
const BETWEEN: &str = "# outlast.toml\n";

fuzz_target!(|text: &str| {
    let (fly, outlast) = match text.split_once(BETWEEN) {
        Some((fly, outlast)) => (fly, Some(outlast)),
        None => (text, None),
    };
    let is_fly_valid = match decode_fly("fly.toml", fly) {
        Ok(written) => {
            written.notes.iter().for_each(|note| look(note, fly, ""));
            true
        }
        Err(errors) => refused(&errors, fly, ""),
    };
    let outlast_text = outlast.unwrap_or_default();
    let is_outlast_valid = match decode_outlast("outlast.toml", outlast_text) {
        Ok(_written) => true,
        Err(errors) => refused(&errors, "", outlast_text),
    };
    let sources = Sources {
        fly: Some(SourceText::new("fly.toml", fly)),
        outlast: outlast.map(|outlast| SourceText::new("outlast.toml", outlast)),
        env: &BTreeMap::new(),
        flags: Flags::default(),
    };
    match check(&sources) {
        Ok(checked) => {
            assert!(is_fly_valid && is_outlast_valid, "a plan is made of what was refused");
            checked.notes.iter().for_each(|note| look(note, fly, outlast_text));
            checked.values.iter().for_each(|value| place(&value.origin, fly, outlast_text));
        }
        Err(errors) => {
            refused(&errors, fly, outlast_text);
        }
    }
    see_doctor(fly, outlast);
});

fn see_doctor(fly: &str, outlast: Option<&str>) {
    let source = SourceText::new("fly.toml", fly);
    let outlast = outlast.map(|outlast| SourceText::new("outlast.toml", outlast));
    let files = Files { fly: &source, outlast: outlast.as_ref() };
    let hints = Hints::default();
    let Ok(found) = review(&files, &hints) else { return };
    for finding in &found.findings {
        let places = finding.at.iter().chain(finding.also.iter().map(|(place, _)| place));
        let text = outlast.as_ref().map(|outlast| &*outlast.text).unwrap_or_default();
        places.for_each(|at| place(&Origin::File(at.clone()), fly, text));
    }
    let mended = fix(&files, &hints).expect("it was read just before");
    let mended = SourceText::new("fly.toml", mended.text);
    let left = review(&Files { fly: &mended, ..files }, &hints).expect("a mended file is TOML");
    let left = left.findings.iter().find(|finding| finding.is_fixable());
    assert!(
        left.is_none(),
        "{} is left in {:?}",
        left.map(ToString::to_string).unwrap_or_default(),
        mended.text
    );
}

/// A refusal gives a reason. Returns false, as a verdict.
fn refused(errors: &[Diagnostic], fly: &str, outlast: &str) -> bool {
    assert!(!errors.is_empty(), "refused without a reason");
    errors.iter().for_each(|error| look(error, fly, outlast));
    false
}

fn look(diagnostic: &Diagnostic, fly: &str, outlast: &str) {
    assert!(!diagnostic.to_string().is_empty() && !diagnostic.message.is_empty());
    let remarks = diagnostic.also.iter().map(|remark| &remark.at);
    diagnostic.at.iter().chain(remarks).for_each(|origin| place(origin, fly, outlast));
}

fn place(origin: &Origin, fly: &str, outlast: &str) {
    let Origin::File(place) = origin else { return };
    let text = if &*place.source == "fly.toml" { fly } else { outlast };
    assert!(text.get(place.span.clone()).is_some(), "{place:?} is not within {text:?}");
    let line = text.split('\n').nth(place.line - 1).expect("a line of the text");
    assert!(place.column <= line.chars().count() + 1, "{place:?} is not within {line:?}");
}
