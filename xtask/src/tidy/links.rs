//! Links from one document of the repository to another lead somewhere.

use std::path::{Component, Path, PathBuf};

use super::Finding;

/// Checks the links of a Markdown file; `exists` judges a path from the repository's root.
pub(super) fn check(path: &Path, text: &str, exists: &dyn Fn(&Path) -> bool) -> Vec<Finding> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut findings = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        for target in targets(line).filter(|_| !in_code) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            if !exists(&normal(&folder.join(file))) {
                findings.push(Finding::new(
                    path,
                    index + 1,
                    format!("links to {target}, which is not there"),
                ));
            }
        }
    }
    findings
}

/// What stands between `](` and `)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// Resolves `..` without looking at the disk.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_to_nowhere_are_found() {
        let text = "[a](b.md) [c](../README.md#x) [d](https://x.y/z) [e](#f)\n[gone](gone.md)\n\
                    ```\n[code](nowhere)\n```\n";
        let exists =
            |path: &Path| ["docs/b.md", "README.md"].iter().any(|known| path == Path::new(known));
        let found = check(Path::new("docs/a.md"), text, &exists);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, found[0].what.contains("gone.md")), (2, true));
    }
}
