//! What was found, in words.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::ask::Ask;
use super::history::History;
use super::survey::{Hit, Share, Survey};

/// The most rows of a table.
const ROWS_MAX: usize = 10;

/// The whole answer, in Markdown.
pub(super) fn answer(ask: &Ask, survey: &Survey, history: Option<&History>) -> String {
    match ask {
        Ask::Search(needle) => hits(needle, survey),
        Ask::Tour => tour(survey, history),
    }
}

/// One sentence.
pub(super) fn summary(survey: &Survey) -> String {
    let mut summary = format!(
        "{} has {} with {} of text",
        survey.name,
        count(survey.files as u64, "file"),
        count(survey.lines, "line"),
    );
    if let Some((language, share)) = by_lines(&survey.languages).first() {
        write!(summary, ", mostly {language} ({} lines)", grouped(share.lines)).expect(INFALLIBLE);
    }
    summary + "."
}

/// The numbers, for programs.
pub(super) fn facts(survey: &Survey, history: Option<&History>) -> Value {
    let languages = survey.languages.iter().map(|(language, share)| {
        let share = json!({ "files": share.files, "lines": share.lines });
        ((*language).to_owned(), share)
    });
    json!({
        "files": survey.files,
        "text_files": survey.text_files,
        "lines": survey.lines,
        "bytes": survey.bytes,
        "languages": languages.collect::<serde_json::Map<_, _>>(),
        "todos": survey.marks,
        "hits": survey.hits,
        "commits": match history {
            Some(History::Known(commits)) => Some(commits.count),
            _ => None,
        },
        "is_cut": survey.is_cut,
    })
}

/// The walk's own result.
pub(super) fn overview_plain(survey: &Survey) -> String {
    let mut text = summary(survey);
    for (language, share) in by_lines(&survey.languages).into_iter().take(ROWS_MAX) {
        write!(text, "\n{language}: {} files, {} lines", share.files, share.lines)
            .expect(INFALLIBLE);
    }
    text
}

/// The search's own result.
pub(super) fn hits_plain(survey: &Survey) -> String {
    let mut text = format!(
        "{} in {}",
        count(survey.hits as u64, "line"),
        count(survey.hit_files as u64, "file")
    );
    for hit in &survey.first_hits {
        write!(text, "\n{}:{}: {}", hit.path, hit.line, hit.text).expect(INFALLIBLE);
    }
    text
}

/// The history's own result.
pub(super) fn history_plain(history: &History) -> String {
    match history {
        History::Unknown(why) => why.clone(),
        History::Known(commits) => {
            format!(
                "{} from {} to {}",
                count(commits.count, "commit"),
                commits.first_day,
                commits.last_day
            )
        }
    }
}

const INFALLIBLE: &str = "writing to a string succeeds";

fn tour(survey: &Survey, history: Option<&History>) -> String {
    let mut text = format!("# {}\n\n", survey.name);
    if let Some(readme) = &survey.readme {
        write!(text, "{readme}\n\n").expect(INFALLIBLE);
    }
    write!(text, "{}\n\n", summary(survey)).expect(INFALLIBLE);
    text.push_str(&languages(survey));
    text.push_str(&folders(survey));
    text.push_str(&manifests(survey));
    text.push_str(&weight(survey));
    text.push_str(&unfinished(survey));
    if let Some(history) = history {
        text.push_str(&past(history));
    }
    text.push_str(&caveats(survey));
    text
}

fn languages(survey: &Survey) -> String {
    table("Languages", ["Language", "Files", "Lines"], by_lines(&survey.languages), |name| {
        name.to_string()
    })
}

fn folders(survey: &Survey) -> String {
    table("Layout", ["Folder", "Files", "Lines"], by_lines(&survey.folders), |folder| match folder
        .as_str()
    {
        "." => "(top)".to_owned(),
        folder => format!("`{folder}/`"),
    })
}

fn table<K>(
    title: &str,
    heads: [&str; 3],
    rows: Vec<(&K, &Share)>,
    name: impl Fn(&K) -> String,
) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!("## {title}\n\n| {} |\n| --- | --- | --- |\n", heads.join(" | "));
    let more = rows.len().saturating_sub(ROWS_MAX);
    for (key, share) in rows.into_iter().take(ROWS_MAX) {
        let (files, lines) = (grouped(share.files as u64), grouped(share.lines));
        writeln!(text, "| {} | {files} | {lines} |", name(key)).expect(INFALLIBLE);
    }
    if more > 0 {
        write!(text, "\nand {more} more.\n").expect(INFALLIBLE);
    }
    text + "\n"
}

fn manifests(survey: &Survey) -> String {
    if survey.manifests == 0 {
        return String::new();
    }
    let mut text = "## What it is made of\n\n".to_owned();
    for manifest in &survey.first_manifests {
        match &manifest.name {
            Some(name) => writeln!(text, "- `{}`: {name}", manifest.path),
            None => writeln!(text, "- `{}`", manifest.path),
        }
        .expect(INFALLIBLE);
    }
    and_more(&mut text, survey.manifests, survey.first_manifests.len());
    text + "\n"
}

fn weight(survey: &Survey) -> String {
    if survey.largest.is_empty() {
        return String::new();
    }
    let mut text =
        format!("## Where the weight lies\n\n{} bytes in all.\n\n", grouped(survey.bytes));
    for (bytes, path) in &survey.largest {
        writeln!(text, "- `{path}`: {} bytes", grouped(*bytes)).expect(INFALLIBLE);
    }
    text + "\n"
}

fn unfinished(survey: &Survey) -> String {
    if survey.marks == 0 {
        return "## What is unfinished\n\nNo line says TODO or FIXME.\n\n".to_owned();
    }
    let marks = count(survey.marks as u64, "line");
    let mut text = format!("## What is unfinished\n\n{marks} with TODO or FIXME:\n\n");
    list(&mut text, &survey.first_marks, survey.marks);
    text + "\n"
}

fn past(history: &History) -> String {
    let commits = match history {
        History::Unknown(why) => return format!("## History\n\nNone to tell: {why}.\n\n"),
        History::Known(commits) => commits,
    };
    let mut text = format!(
        "## History\n\n{} from {} to {}, the last one \"{}\".\n\n",
        count(commits.count, "commit"),
        commits.first_day,
        commits.last_day,
        commits.last_subject
    );
    for (author, number) in commits.authors.iter().take(5) {
        writeln!(text, "- {author}: {}", grouped(*number)).expect(INFALLIBLE);
    }
    if let Some((path, times)) = commits.busiest.first() {
        write!(text, "\nMost often changed of late: `{path}` ({times} times).\n")
            .expect(INFALLIBLE);
    }
    text + "\n"
}

fn hits(needle: &str, survey: &Survey) -> String {
    if survey.hits == 0 {
        let text = format!(
            "`{needle}` stands in none of {}.\n\n",
            count(survey.text_files as u64, "text file")
        );
        return text + &caveats(survey);
    }
    let (lines, files) =
        (count(survey.hits as u64, "line"), count(survey.hit_files as u64, "file"));
    let mut text = format!("`{needle}` stands in {lines} of {files}:\n\n");
    list(&mut text, &survey.first_hits, survey.hits);
    text + "\n" + &caveats(survey)
}

fn list(text: &mut String, shown: &[Hit], all: usize) {
    for hit in shown {
        let line = hit.text.replace('`', "'");
        writeln!(text, "- `{}:{}` `{line}`", hit.path, hit.line).expect(INFALLIBLE);
    }
    and_more(text, all, shown.len());
}

/// No list is cut without a word.
fn and_more(text: &mut String, all: usize, shown: usize) {
    if all > shown {
        writeln!(text, "- and {} more", grouped((all - shown) as u64)).expect(INFALLIBLE);
    }
}

/// What was not looked at.
fn caveats(survey: &Survey) -> String {
    let mut text = String::new();
    for (number, what) in [
        (survey.binary_files, "binary file has no lines to count"),
        (survey.unread_files, "file longer than 8 MiB was not read"),
        (survey.links, "symbolic link was not followed"),
    ] {
        if number > 0 {
            writeln!(text, "- {} × {what}", grouped(number as u64)).expect(INFALLIBLE);
        }
    }
    if survey.is_cut {
        text.push_str("- there are more than 200,000 files: the rest was not looked at\n");
    }
    for problem in &survey.problems {
        writeln!(text, "- {}", problem.replace('\n', " ")).expect(INFALLIBLE);
    }
    if survey.problem_count > survey.problems.len() {
        let more = survey.problem_count - survey.problems.len();
        writeln!(text, "- and {more} more such problems").expect(INFALLIBLE);
    }
    if text.is_empty() { text } else { format!("## Not looked at\n\n{text}") }
}

/// The most lines first, then the most files, then by name.
fn by_lines<K: Ord>(shares: &std::collections::BTreeMap<K, Share>) -> Vec<(&K, &Share)> {
    let mut rows: Vec<_> = shares.iter().collect();
    rows.sort_by(|(name, share), (other_name, other)| {
        let order = (other.lines, other.files).cmp(&(share.lines, share.files));
        order.then(name.cmp(other_name))
    });
    rows
}

/// A number with its word.
fn count(number: u64, word: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {word}{plural}", grouped(number))
}

/// A number with a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")]
        {
            assert_eq!(grouped(number), text);
        }
        assert_eq!((count(1, "line"), count(2, "line")), ("1 line".into(), "2 lines".into()));
    }

    #[test]
    fn an_empty_directory_is_told_as_one() {
        let survey = Survey { name: "void".to_owned(), ..Survey::default() };
        let text = tour(&survey, Some(&History::Unknown("no git".to_owned())));
        assert!(text.contains("void has 0 files with 0 lines of text."), "{text}");
        assert!(text.contains("None to tell: no git."), "{text}");
        assert!(hits("x", &survey).contains("none of 0 text files"));
    }
}
