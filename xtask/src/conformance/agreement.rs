//! What is found in the `fly.toml` files that are known, and whether a careful reader agrees.

use anyhow::{Context, Result, bail};

/// A line each: sample, rule, line, severity, verdict, reason.
const AGREEMENT: &str = include_str!("agreement.txt");

/// What somebody has read and judged.
pub(super) struct Judged<'t> {
    sample: &'t str,
    /// Rule, line and severity.
    finding: String,
    agrees: bool,
}

/// The list of this repository.
pub(super) fn agreement() -> Result<Vec<Judged<'static>>> {
    read(AGREEMENT)
}

/// Reads lines such as `01 FLY203 14 high agree: why`.
fn read(text: &str) -> Result<Vec<Judged<'_>>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let judged = lines.map(|line| {
        let (head, why) = line.split_once(": ").with_context(|| format!("no reason: {line}"))?;
        let words: Vec<_> = head.split(' ').collect();
        let [sample, rule, at, severity, verdict @ ("agree" | "disagree")] = words[..] else {
            bail!("not SAMPLE RULE LINE SEVERITY agree|disagree: {line}");
        };
        if why.trim().is_empty() {
            bail!("no reason: {line}");
        }
        let finding = format!("{rule} {at} {severity}");
        Ok(Judged { sample, finding, agrees: verdict == "agree" })
    });
    judged.collect()
}

/// What is found and was never judged, what was judged and is not found, and what its reader did not agree with.
pub(super) fn complaints(agreement: &[Judged<'_>], name: &str, found: &[String]) -> Vec<String> {
    let of_it = agreement.iter().filter(|judged| {
        name.strip_prefix(judged.sample).is_some_and(|rest| rest.starts_with('-'))
    });
    let judged: Vec<_> = of_it.collect();
    // Files of one's own have no list.
    if judged.is_empty() {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for judged in judged.iter().filter(|judged| !judged.agrees) {
        complaints.push(format!("a reader does not agree with {}", judged.finding));
    }
    let mut left: Vec<_> = judged.iter().map(|judged| &judged.finding).collect();
    for finding in found {
        match left.iter().position(|judged| *judged == finding) {
            Some(at) => drop(left.remove(at)),
            None => complaints.push(format!("nobody has judged {finding}")),
        }
    }
    complaints.extend(left.iter().map(|finding| format!("{finding} is not found any more")));
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_can_be_read_and_everybody_agrees() {
        let agreement = agreement().unwrap();
        assert!(agreement.len() > 100 && agreement.iter().all(|judged| judged.agrees));
        for wrong in ["01 FLY101 1 high perhaps: x", "01 FLY101 1 high agree", "01 FLY101 agree: x"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_was_not_judged_and_what_is_gone_and_who_does_not_agree_are_told() {
        let text =
            "01 FLY101 1 high agree: x\n01 FLY101 2 high disagree: y\n02 FLY101 1 low agree: z\n";
        let agreement = read(text).unwrap();
        let told = |found: &[&str]| {
            let found: Vec<_> = found.iter().map(|finding| (*finding).to_owned()).collect();
            complaints(&agreement, "01-a.toml", &found)
        };
        let disagrees = "a reader does not agree with FLY101 2 high";
        assert_eq!(told(&["FLY101 1 high", "FLY101 2 high"]), [disagrees]);
        assert_eq!(
            told(&["FLY101 1 low", "FLY101 2 high"]),
            [disagrees, "nobody has judged FLY101 1 low", "FLY101 1 high is not found any more"]
        );
        assert_eq!(complaints(&agreement, "mine.toml", &["FLY101 1 high".to_owned()]), [""; 0]);
    }
}
