//! Findings that the author knows of: `# outlast: allow(FLY101) because …`.

use outlast_config::SourceText;

use crate::finding::Finding;
use crate::review::Files;

const MARK: &str = "outlast: allow(";

/// Whether a comment allows it: on the finding's own line, in the comment right above it, or, for the whole file, in
/// the comment that the file begins with.
pub(crate) fn is_allowed(files: &Files<'_>, finding: &Finding) -> bool {
    let Some(place) = &finding.at else { return in_head(files.fly, finding.rule) };
    let source = match files.outlast {
        Some(outlast) if outlast.name == place.source => outlast,
        _ => files.fly,
    };
    let lines: Vec<&str> = source.text.lines().collect();
    let index = place.line - 1;
    let own = lines.get(index).is_some_and(|line| {
        // What stands before a comment may be a string with a hash in it, but hardly with the mark.
        line.contains('#') && names(line, finding.rule)
    });
    let above = lines[..index.min(lines.len())].iter().rev();
    let above = above.take_while(|line| line.trim_start().starts_with('#'));
    own || above.into_iter().any(|line| names(line, finding.rule)) || in_head(source, finding.rule)
}

fn in_head(source: &SourceText, rule: &str) -> bool {
    let text = source.text.trim_start_matches('\u{feff}');
    let head = text
        .lines()
        .take_while(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    let mut head = head;
    head.any(|line| names(line, rule))
}

/// Whether a line holds the mark with this rule among its names.
fn names(line: &str, rule: &str) -> bool {
    let Some((_, comment)) = line.split_once('#') else { return false };
    comment.split(MARK).skip(1).any(|list| {
        let list = list.split(')').next().unwrap_or_default();
        list.split(',').any(|name| name.trim() == rule)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_names_rules_exactly() {
        for (line, wanted) in [
            ("# outlast: allow(FLY101) measured", true),
            ("type = \"connections\" # outlast: allow(FLY102, FLY101)", true),
            ("# outlast: allow(FLY102)", false),
            ("# outlast: allow(FLY1011)", false),
            ("# outlast: allow(fly101)", false),
            ("outlast: allow(FLY101)", false),
            ("# allow(FLY101)", false),
            ("# outlast: allow(", false),
        ] {
            assert_eq!(names(line, "FLY101"), wanted, "{line}");
        }
    }
}
