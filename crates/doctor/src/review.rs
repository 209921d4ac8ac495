//! From texts to findings.

use std::ops::Range;

use outlast_config::{Diagnostic, Level, SourceText, decode_fly, decode_outlast};
use toml_edit::Document;

use crate::capacity::{self, Capacity};
use crate::facts::Facts;
use crate::finding::Finding;
use crate::hints::Hints;
use crate::{allow, rules};

/// What is reviewed.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// `fly.toml`.
    pub fly: &'a SourceText,
    /// `outlast.toml`, if there is one.
    pub outlast: Option<&'a SourceText>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Review {
    /// The worst first, then in the order of the file.
    pub findings: Vec<Finding>,
    /// Whether Fly decodes the file. If not, nothing but that was reviewed.
    pub is_decoded: bool,
    /// How many more there are that comments in the file allow.
    pub allowed: usize,
    /// What changes of the limits would give, for each HTTP service with a hard limit.
    pub capacities: Vec<Capacity>,
    /// The bytes of `fly.toml` that look like secrets, and are not to be shown.
    pub secrets: Vec<Range<usize>>,
}

/// A file that is no configuration at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} cannot be reviewed")]
pub struct Unreadable {
    /// The file.
    pub name: String,
    /// Every reason, with its place.
    pub reasons: Vec<Diagnostic>,
}

/// Reviews the files.
///
/// # Errors
/// One of them is not TOML.
pub fn review(files: &Files<'_>, hints: &Hints) -> Result<Review, Unreadable> {
    let decoded = decode_fly(&files.fly.name, &files.fly.text);
    let raw = Document::parse(files.fly.text.as_str());
    let (fly, raw) = match (decoded, raw) {
        (Ok(fly), Ok(raw)) => (fly, raw),
        (Err(errors), raw) => return undecodable(files.fly, errors, raw.ok().as_ref()),
        (Ok(_), Err(error)) => {
            let reasons = vec![Diagnostic::error(error.message())];
            return Err(Unreadable { name: files.fly.name.to_string(), reasons });
        }
    };
    if raw.as_table().is_empty() {
        let reasons = vec![Diagnostic::error("there is nothing in it")];
        return Err(Unreadable { name: files.fly.name.to_string(), reasons });
    }
    let mut findings = Vec::new();
    let mut outlast = None;
    if let Some(source) = files.outlast {
        match decode_outlast(&source.name, &source.text) {
            Ok(written) => outlast = Some((source, written)),
            Err(errors) => findings.extend(rules::broken_outlast(source, &errors)),
        }
    }
    let outlast = outlast.as_ref().map(|(source, written)| (*source, written));
    let facts = Facts::new(files.fly, &fly, &raw, outlast, hints);
    rules::check(&facts, &mut findings);
    let capacities = capacity::all(&facts);
    Ok(Review {
        is_decoded: true,
        ..finish(files, findings, capacities, rules::secrets(Some(&fly), None))
    })
}

/// What Fly cannot decode is all there is to say: the rest would be about a file that nobody wrote.
fn undecodable(
    source: &SourceText,
    errors: Vec<Diagnostic>,
    raw: Option<&Document<&str>>,
) -> Result<Review, Unreadable> {
    let errors: Vec<_> = errors.into_iter().filter(|error| error.level == Level::Error).collect();
    match rules::undecodable(source, &errors, raw) {
        Some(findings) => {
            let files = Files { fly: source, outlast: None };
            Ok(finish(&files, findings, Vec::new(), rules::secrets(None, raw)))
        }
        None => Err(Unreadable { name: source.name.to_string(), reasons: errors }),
    }
}

fn finish(
    files: &Files<'_>,
    mut findings: Vec<Finding>,
    capacities: Vec<Capacity>,
    secrets: Vec<Range<usize>>,
) -> Review {
    findings.sort_by_key(|finding| {
        let place = finding.at.as_ref();
        (
            finding.severity,
            place.is_none_or(|place| place.source != files.fly.name),
            place.map_or(0, |place| place.span.start),
            finding.rule,
        )
    });
    let found = findings.len();
    findings.retain(|finding| !allow::is_allowed(files, finding));
    Review { is_decoded: false, allowed: found - findings.len(), findings, capacities, secrets }
}
