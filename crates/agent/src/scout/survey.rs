//! One walk through the working directory, which counts and searches at the same time.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ignore::{DirEntry, WalkBuilder};
use memchr::{memchr, memchr_iter, memmem};

use super::language;
use crate::line::shortened;

/// More files are not looked at, which the answer says.
const FILES_MAX: usize = 200_000;
/// A longer file is counted but not read.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// A zero byte in the beginning tells a binary file from a text, as git decides it.
const BINARY_LOOK: usize = 8_000;
const LARGEST_KEPT: usize = 5;
const HITS_KEPT: usize = 20;
const MARKS_KEPT: usize = 8;
const MANIFESTS_KEPT: usize = 40;
const FOLDERS_KEPT: usize = 10_000;
/// Of a line that is shown.
const LINE_BYTES_MAX: usize = 160;

/// Everything that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Survey {
    pub(super) name: String,
    /// Regular files, ignored ones left out.
    pub(super) files: usize,
    pub(super) text_files: usize,
    pub(super) binary_files: usize,
    /// Too long to be read.
    pub(super) unread_files: usize,
    pub(super) links: usize,
    /// Of all files.
    pub(super) bytes: u64,
    /// Line ends in text files, as `wc -l` counts them.
    pub(super) lines: u64,
    pub(super) languages: BTreeMap<&'static str, Share>,
    /// By the first part of the path; files at the top under `.`.
    pub(super) folders: BTreeMap<String, Share>,
    pub(super) largest: Vec<(u64, String)>,
    pub(super) manifests: usize,
    pub(super) first_manifests: Vec<Manifest>,
    /// Lines with TODO or FIXME.
    pub(super) marks: usize,
    pub(super) first_marks: Vec<Hit>,
    pub(super) hits: usize,
    pub(super) hit_files: usize,
    pub(super) first_hits: Vec<Hit>,
    pub(super) readme: Option<String>,
    /// Why something was not looked at.
    pub(super) problems: Vec<String>,
    pub(super) problem_count: usize,
    pub(super) is_cut: bool,
}

/// A part of the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) files: usize,
    pub(super) lines: u64,
}

/// A line that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) path: String,
    /// From 1.
    pub(super) line: u64,
    pub(super) text: String,
}

/// A file that tells what a project is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) path: String,
    pub(super) name: Option<String>,
}

/// Walks the directory until done, or until `go` says otherwise before a file.
pub(super) fn survey(directory: &Path, needle: Option<&str>, go: &dyn Fn() -> bool) -> Survey {
    let name = directory.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut walker = Walker {
        root: directory.to_owned(),
        needle: needle.map(|needle| needle.to_ascii_lowercase().into_bytes()),
        buffer: Vec::new(),
        found: Survey { name: name.unwrap_or_else(|| "/".to_owned()), ..Survey::default() },
    };
    let walk = WalkBuilder::new(directory)
        // What git would show, hidden files too.
        .hidden(false)
        .ignore(false)
        .follow_links(false)
        .filter_entry(|entry| entry.file_name() != OsStr::new(".git"))
        .sort_by_file_name(OsStr::cmp)
        .build();
    for entry in walk {
        if !go() {
            break;
        }
        if walker.found.files >= FILES_MAX {
            walker.found.is_cut = true;
            break;
        }
        match entry {
            Ok(entry) => walker.entry(&entry),
            Err(error) => walker.found.problem(error.to_string()),
        }
    }
    walker.found
}

impl Survey {
    fn problem(&mut self, what: String) {
        self.problem_count += 1;
        if self.problems.len() < 3 {
            self.problems.push(what);
        }
    }
}

struct Walker {
    root: PathBuf,
    needle: Option<Vec<u8>>,
    buffer: Vec<u8>,
    found: Survey,
}

impl Walker {
    fn entry(&mut self, entry: &DirEntry) {
        let Some(kind) = entry.file_type() else { return };
        if kind.is_symlink() {
            self.found.links += 1;
        }
        if !kind.is_file() {
            return;
        }
        let path = entry.path().strip_prefix(&self.root).unwrap_or(entry.path());
        let path = path.to_string_lossy().into_owned();
        let name = entry.file_name().to_string_lossy();
        self.found.files += 1;
        match entry.metadata() {
            Ok(metadata) => self.file(&path, &name, entry.path(), metadata.len()),
            Err(error) => self.found.problem(error.to_string()),
        }
    }

    fn file(&mut self, path: &str, name: &str, at: &Path, bytes: u64) {
        self.found.bytes += bytes;
        self.found.largest.push((bytes, path.to_owned()));
        self.found.largest.sort_by(|a, b| b.cmp(a));
        self.found.largest.truncate(LARGEST_KEPT);
        let lines = self.contents(path, name, at, bytes);
        let language = self.found.languages.entry(language::of(name)).or_default();
        language.files += 1;
        language.lines += lines;
        let folder = path.split_once('/').map_or(".", |(folder, _)| folder);
        if self.found.folders.len() < FOLDERS_KEPT || self.found.folders.contains_key(folder) {
            let folder = self.found.folders.entry(folder.to_owned()).or_default();
            folder.files += 1;
            folder.lines += lines;
        }
    }

    /// Reads a file if it is a text of bearable length, and returns its lines.
    fn contents(&mut self, path: &str, name: &str, at: &Path, bytes: u64) -> u64 {
        if bytes > FILE_BYTES_MAX {
            self.found.unread_files += 1;
            return 0;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        // A file that grows meanwhile is read no further.
        let read =
            File::open(at).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut buffer));
        let lines = match read {
            Err(error) => {
                self.found.problem(format!("{path}: {error}"));
                0
            }
            Ok(_) if memchr(0, &buffer[..buffer.len().min(BINARY_LOOK)]).is_some() => {
                self.found.binary_files += 1;
                0
            }
            Ok(_) => self.text(path, name, &buffer),
        };
        self.buffer = buffer;
        lines
    }

    fn text(&mut self, path: &str, name: &str, text: &[u8]) -> u64 {
        self.found.text_files += 1;
        let lines = memchr_iter(b'\n', text).count() as u64;
        self.found.lines += lines;
        self.marks(path, text);
        self.hits(path, text);
        if path == name && name.to_ascii_lowercase().starts_with("readme") {
            let readme = first_paragraph(&String::from_utf8_lossy(text));
            self.found.readme = self.found.readme.take().or(readme);
        }
        if is_manifest(name) {
            self.found.manifests += 1;
            if self.found.first_manifests.len() < MANIFESTS_KEPT {
                let name = project_name(name, &String::from_utf8_lossy(text));
                self.found.first_manifests.push(Manifest { path: path.to_owned(), name });
            }
        }
        lines
    }

    fn marks(&mut self, path: &str, text: &[u8]) {
        let mut last = None;
        let mut places: Vec<usize> =
            memmem::find_iter(text, "TODO").chain(memmem::find_iter(text, "FIXME")).collect();
        places.sort_unstable();
        for at in places.into_iter().filter(|at| is_word(text, *at)) {
            let begin = memchr::memrchr(b'\n', &text[..at]).map_or(0, |end| end + 1);
            // A line counts once.
            if last.replace(begin) == Some(begin) {
                continue;
            }
            self.found.marks += 1;
            if self.found.first_marks.len() < MARKS_KEPT {
                self.found.first_marks.push(hit(path, text, at));
            }
        }
    }

    fn hits(&mut self, path: &str, text: &[u8]) {
        let Some(needle) = &self.needle else { return };
        let lower = text.to_ascii_lowercase();
        let mut last = None;
        for at in memmem::find_iter(&lower, needle) {
            let begin = memchr::memrchr(b'\n', &text[..at]).map_or(0, |end| end + 1);
            if last == Some(begin) {
                continue;
            }
            self.found.hit_files += usize::from(last.is_none());
            last = Some(begin);
            self.found.hits += 1;
            if self.found.first_hits.len() < HITS_KEPT {
                self.found.first_hits.push(hit(path, text, at));
            }
        }
    }
}

/// Whether what stands there is a word and not a part of one.
fn is_word(text: &[u8], at: usize) -> bool {
    let length = if text[at..].starts_with(b"TODO") { 4 } else { 5 };
    let is_part =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    !is_part(at.checked_sub(1).and_then(|before| text.get(before)))
        && !is_part(text.get(at + length))
}

fn hit(path: &str, text: &[u8], at: usize) -> Hit {
    let begin = memchr::memrchr(b'\n', &text[..at]).map_or(0, |end| end + 1);
    let end = memchr(b'\n', &text[at..]).map_or(text.len(), |end| at + end);
    // Of a line without end, what is shown begins near the hit.
    let from = begin.max(at.saturating_sub(LINE_BYTES_MAX / 2));
    let line = String::from_utf8_lossy(&text[from..end.min(from + 2 * LINE_BYTES_MAX)]);
    Hit {
        path: path.to_owned(),
        line: memchr_iter(b'\n', &text[..at]).count() as u64 + 1,
        text: shortened(line.trim(), LINE_BYTES_MAX),
    }
}

fn is_manifest(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "Cargo.toml",
        "package.json",
        "pyproject.toml",
        "setup.py",
        "go.mod",
        "pom.xml",
        "build.gradle",
        "Gemfile",
        "composer.json",
        "Dockerfile",
        "fly.toml",
        "docker-compose.yml",
    ];
    NAMES.contains(&name)
}

/// The project's name as its manifest says it, for the common kinds.
fn project_name(name: &str, text: &str) -> Option<String> {
    let value = match name {
        "Cargo.toml" | "pyproject.toml" => {
            let line = text.lines().find(|line| line.trim_start().starts_with("name ="))?;
            line.split('"').nth(1)?.to_owned()
        }
        "fly.toml" => {
            let line = text.lines().find(|line| line.trim_start().starts_with("app ="))?;
            line.split(['"', '\'']).nth(1)?.to_owned()
        }
        "package.json" => {
            serde_json::from_str::<serde_json::Value>(text).ok()?["name"].as_str()?.to_owned()
        }
        "go.mod" => text.lines().find_map(|line| line.strip_prefix("module "))?.trim().to_owned(),
        _ => return None,
    };
    Some(shortened(&value, 80)).filter(|value| !value.is_empty())
}

/// The first paragraph that is neither heading, picture, link list nor markup.
fn first_paragraph(text: &str) -> Option<String> {
    let paragraphs = text.split("\n\n").map(str::trim);
    let mut plain = paragraphs.filter(|paragraph| {
        !paragraph.is_empty() && !paragraph.starts_with(['#', '!', '[', '<', '`', '=', '-', '|'])
    });
    let words: Vec<_> = plain.next()?.split_whitespace().collect();
    Some(shortened(&words.join(" "), 400))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;

    fn look(files: &[(&str, &[u8])], needle: Option<&str>) -> Survey {
        let directory = tempfile::tempdir().unwrap();
        for (path, contents) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }
        survey(directory.path(), needle, &|| true)
    }

    #[test]
    fn lines_and_bytes_are_counted_by_language_and_folder() {
        let found = look(
            &[
                ("a.rs", b"one\ntwo\n"),
                ("src/b.rs", b"no line end"),
                ("src/deep/c.py", b"\n\n\n"),
                ("data.bin", b"a\0b\n\n"),
                ("empty", b""),
            ],
            None,
        );
        assert_eq!((found.files, found.text_files, found.binary_files), (5, 4, 1));
        assert_eq!((found.lines, found.bytes), (5, 8 + 11 + 3 + 5));
        assert_eq!(found.languages["Rust"], Share { files: 2, lines: 2 });
        assert_eq!(found.languages["Python"], Share { files: 1, lines: 3 });
        assert_eq!(found.folders["src"], Share { files: 2, lines: 3 });
        assert_eq!(found.folders["."].files, 3);
        assert_eq!(found.largest[0], (11, "src/b.rs".to_owned()));
    }

    #[test]
    fn unfinished_lines_are_words_and_count_once() {
        let text = b"// TODO: a\nTODOS\nmy_TODO\nFIXME and TODO\nfine\n(FIXME)";
        let found = look(&[("a.rs", text)], None);
        assert_eq!(found.marks, 3);
        let lines: Vec<_> = found.first_marks.iter().map(|mark| mark.line).collect();
        assert_eq!(lines, [1, 4, 6]);
        assert_eq!(found.first_marks[0].text, "// TODO: a");
    }

    #[test]
    fn a_needle_is_found_in_any_case_and_its_line_shown() {
        let mut long = vec![b'x'; 300_000];
        long.extend(b"NEEDLE");
        long.extend(vec![b'y'; 300_000]);
        let found = look(&[("a", b"no\nNeedle needle\n  a needle"), ("b", &long)], Some("needle"));
        assert_eq!((found.hits, found.hit_files), (3, 2));
        assert_eq!((found.first_hits[1].line, &*found.first_hits[1].text), (3, "a needle"));
        let long = &found.first_hits[2].text;
        assert!(long.contains("NEEDLE") && long.len() < 300, "{long}");
        let many = "needle\n".repeat(1_000);
        let found = look(&[("a", many.as_bytes())], Some("needle"));
        assert_eq!((found.hits, found.first_hits.len()), (1_000, HITS_KEPT));
    }

    #[test]
    fn manifests_and_readme_tell_what_it_is() {
        let found = look(
            &[
                ("Cargo.toml", b"[package]\nname = \"ferry\"\n"),
                ("web/package.json", b"{\"name\": \"harbour\"}"),
                ("broken/package.json", b"{"),
                ("README.md", b"# Ferry\n\n[![badge](x)](y)\n\nCarries things\nacross.\n\nMore."),
            ],
            None,
        );
        let manifest = |path: &str| {
            let found = found.first_manifests.iter().find(|manifest| manifest.path == path);
            found.map(|manifest| manifest.name.as_deref().unwrap_or("-"))
        };
        assert_eq!(manifest("Cargo.toml"), Some("ferry"));
        assert_eq!(manifest("web/package.json"), Some("harbour"));
        assert_eq!(manifest("broken/package.json"), Some("-"));
        assert_eq!(found.manifests, 3);
        assert_eq!(found.readme.as_deref(), Some("Carries things across."));
    }

    #[test]
    fn a_hostile_directory_is_survived() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        fs::create_dir_all(at.join("loop/inner")).unwrap();
        symlink(at, at.join("loop/inner/again")).unwrap();
        symlink("nowhere", at.join("dangling")).unwrap();
        fs::write(at.join(OsStr::from_bytes(b"odd-\xff\n.rs")), "a\n").unwrap();
        fs::write(at.join("long"), vec![b'\n'; 9 * 1024 * 1024]).unwrap();
        let pipe = at.join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap();
        let found = survey(at, Some("a"), &|| true);
        assert_eq!((found.files, found.links, found.unread_files), (2, 2, 1));
        assert_eq!(found.lines, 1);
    }

    #[test]
    fn what_git_ignores_is_left_out_and_hidden_files_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        fs::create_dir_all(at.join(".git")).unwrap();
        fs::create_dir_all(at.join("target")).unwrap();
        for (path, text) in
            [(".git/config", ""), (".gitignore", "/target\n"), ("target/big", "x"), (".hidden", "")]
        {
            fs::write(at.join(path), text).unwrap();
        }
        assert_eq!(survey(at, None, &|| true).files, 2);
    }

    #[test]
    fn a_walk_stops_when_told() {
        let directory = tempfile::tempdir().unwrap();
        for number in 0..50 {
            fs::write(directory.path().join(number.to_string()), "x").unwrap();
        }
        let left = std::cell::Cell::new(10);
        let go = || left.replace(left.get() - 1) > 1;
        assert!(survey(directory.path(), None, &go).files < 10);
    }
}
