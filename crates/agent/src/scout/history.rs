//! What `git` tells about the directory.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use outlast_runtime::clock;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// For each question to git.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most of an answer that is read.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;
/// The last commits, of which the files are counted.
const COMMITS_LOOKED_AT: &str = "500";

/// The history, or why there is none to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum History {
    Known(Commits),
    Unknown(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commits {
    pub(super) count: u64,
    /// Most commits first: name and number.
    pub(super) authors: Vec<(String, u64)>,
    pub(super) first_day: String,
    pub(super) last_day: String,
    pub(super) last_subject: String,
    /// Files changed by most of the last commits.
    pub(super) busiest: Vec<(String, usize)>,
}

/// Asks git. It runs no hook, no pager and no other program of the repository's choice.
pub(super) async fn read(directory: &Path) -> History {
    match commits(directory).await {
        Ok(commits) => History::Known(commits),
        Err(why) => History::Unknown(why),
    }
}

async fn commits(directory: &Path) -> Result<Commits, String> {
    let count = git(directory, &["rev-list", "--count", "HEAD"]).await?;
    let count = count.trim().parse().map_err(|_| format!("git counts {count:?} commits"))?;
    let authors = git(directory, &["shortlog", "-sn", "HEAD"]).await?;
    let author = |line: &str| {
        let (number, name) = line.trim().split_once('\t')?;
        Some((name.to_owned(), number.parse().ok()?))
    };
    let root = git(directory, &["log", "--max-parents=0", "--format=%as", "HEAD"]).await?;
    let last = git(directory, &["log", "-1", "--format=%as %s", "HEAD"]).await?;
    let (last_day, last_subject) = last.trim().split_once(' ').unwrap_or((last.trim(), ""));
    let names = ["log", "-n", COMMITS_LOOKED_AT, "--format=", "--name-only", "HEAD", "--", "."];
    let names = git(directory, &names).await?;
    Ok(Commits {
        count,
        authors: authors.lines().filter_map(author).collect(),
        first_day: root.lines().last().unwrap_or_default().to_owned(),
        last_day: last_day.to_owned(),
        last_subject: last_subject.to_owned(),
        busiest: busiest(&names),
    })
}

fn busiest(names: &str) -> Vec<(String, usize)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for name in names.lines().filter(|name| !name.is_empty()) {
        *counts.entry(name).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts
        .sort_by(|(name, count), (other_name, other)| other.cmp(count).then(name.cmp(other_name)));
    counts.into_iter().take(5).map(|(name, count)| (name.to_owned(), count)).collect()
}

async fn git(directory: &Path, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new("git");
    command
        .args(["--no-pager", "-c", "core.fsmonitor=false", "-c", "log.showSignature=false"])
        .arg("-C")
        .arg(directory)
        .args(args)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "git is not installed".to_owned(),
        _ => format!("git cannot be started: {error}"),
    })?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut stdout, mut stderr) = (stdout.expect("it was piped"), stderr.expect("it was piped"));
    let answer = async {
        let (mut out, mut complaint) = (Vec::new(), Vec::new());
        let mut some_out = (&mut stdout).take(ANSWER_BYTES_MAX);
        let mut some_complaint = (&mut stderr).take(ANSWER_BYTES_MAX);
        let (read, complained) = tokio::join!(
            some_out.read_to_end(&mut out),
            some_complaint.read_to_end(&mut complaint)
        );
        let whole = out.len() < usize::try_from(ANSWER_BYTES_MAX).unwrap_or(usize::MAX);
        // Of a cut answer, the end of which nobody reads, git learns by a closed pipe.
        drop((stdout, stderr));
        let status = child.wait().await;
        read.and(complained)
            .and(status)
            .map(|status| (status.success() || !whole, out, complaint))
            .map_err(|error| format!("git cannot be read: {error}"))
    };
    let (is_good, out, complaint) = clock::timeout(TIMEOUT, answer)
        .await
        .map_err(|_| format!("git took longer than {} s", TIMEOUT.as_secs()))??;
    if is_good {
        return Ok(String::from_utf8_lossy(&out).into_owned());
    }
    let complaint = String::from_utf8_lossy(&complaint);
    Err(complaint.lines().next().unwrap_or("git failed without a word").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_without_history_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let History::Unknown(why) = read(directory.path()).await else { panic!("a history") };
        assert!(why.contains("not a git repository"), "{why}");
        git(directory.path(), &["init", "--quiet"]).await.unwrap();
        let History::Unknown(why) = read(directory.path()).await else { panic!("a history") };
        assert!(why.contains("HEAD"), "{why}");
    }

    #[tokio::test]
    async fn commits_are_counted_by_author_and_file() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        git(at, &["init", "--quiet"]).await.unwrap();
        for (number, author) in ["Ada", "Ada", "Grace"].into_iter().enumerate() {
            std::fs::write(at.join("often"), number.to_string()).unwrap();
            std::fs::write(at.join(format!("once-{number}")), "x").unwrap();
            git(at, &["add", "."]).await.unwrap();
            let name = format!("user.name={author}");
            let commit = ["-c", &name, "-c", "user.email=a@b", "commit", "-qm", "a: b"];
            git(at, &commit).await.unwrap();
        }
        let History::Known(commits) = read(at).await else { panic!("no history") };
        assert_eq!(commits.count, 3);
        assert_eq!(commits.authors, [("Ada".to_owned(), 2), ("Grace".to_owned(), 1)]);
        assert_eq!(commits.busiest[0], ("often".to_owned(), 3));
        assert_eq!(commits.last_subject, "a: b");
        assert_eq!((commits.first_day.len(), commits.last_day.len()), (10, 10));
    }
}
