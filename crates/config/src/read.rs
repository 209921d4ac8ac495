//! Walks a parsed TOML text by hand, keeping byte spans and collecting everything that is wrong.
//!
//! It knows tables, keys and types, and nothing of what the keys mean: load plans are read by it too.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::Diagnostic;
use crate::setting::Setting;
use crate::source::{Located, Origin, SourceText};
pub(crate) use crate::value::{go_string, integer_of, kind_name, truncated};

/// How many syntax errors are told of one text; after some, the rest are echoes of the first.
const SYNTAX_ERRORS_MAX: usize = 10;

/// Files differ in how strictly their keys are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `fly.toml`: letter case of keys is ignored, unknown keys are dropped with a note, as Fly drops them.
    Fly,
    /// `outlast.toml` and load plans: keys are exact, unknown keys are errors.
    Outlast,
}

/// What an unknown key may be called after all.
#[derive(Debug, Clone, Copy)]
pub enum Explained {
    /// A key that a later version will have.
    Later(&'static str),
    /// A key that does not exist, with what to do instead.
    Instead(&'static str),
}

/// Reads one text.
pub struct Reader<'a> {
    /// What is read.
    pub source: &'a SourceText,
    pub(crate) dialect: Dialect,
    /// Says more about some unknown keys, by their whole path.
    pub(crate) explain: fn(&str) -> Option<Explained>,
    pub(crate) diagnostics: RefCell<Vec<Diagnostic>>,
    pub(crate) unknown: RefCell<Vec<Located<UnknownKey>>>,
}

/// A key that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    /// The whole path, such as `http_service.auto_stop`.
    pub path: String,
    /// What to do instead, if that is known.
    pub hint: Option<String>,
}

/// Parses a text, or says every syntax error in it.
///
/// # Errors
/// The text is not TOML.
pub fn parse(source: &SourceText) -> Result<DeTable<'_>, Vec<Diagnostic>> {
    let (table, mut errors) = DeTable::parse_recoverable(&source.text);
    if errors.is_empty() {
        return Ok(table.into_inner());
    }
    errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
    let diagnostics = errors.iter().take(SYNTAX_ERRORS_MAX).map(|error| {
        let place = source.place(error.span().unwrap_or(0..0));
        Diagnostic::error(error.message())
            .at(Origin::File(place))
            .hint("this is not TOML; see https://toml.io")
    });
    Err(diagnostics.collect())
}

impl<'a> Reader<'a> {
    /// Reads `source`; `explain` says more about some unknown keys, by their whole path.
    #[must_use]
    pub fn new(
        source: &'a SourceText,
        dialect: Dialect,
        explain: fn(&str) -> Option<Explained>,
    ) -> Self {
        Self {
            source,
            dialect,
            explain,
            diagnostics: RefCell::default(),
            unknown: RefCell::default(),
        }
    }

    /// The text's outermost table, as [`parse`] gave it.
    pub fn root(&'a self, table: &'a DeTable<'a>) -> Section<'a> {
        Section { reader: self, path: String::new(), table, span: 0..0, asked: Vec::new() }
    }

    /// Keeps a remark.
    pub fn say(&self, diagnostic: Diagnostic) {
        self.diagnostics.borrow_mut().push(diagnostic);
    }

    /// A place of the text, by its bytes.
    #[must_use]
    pub fn at(&self, span: &Range<usize>) -> Origin {
        Origin::File(self.source.place(span.clone()))
    }

    /// What was said.
    #[must_use]
    pub fn finish(self) -> Vec<Diagnostic> {
        self.diagnostics.into_inner()
    }

    fn unknown(&self, section: &str, key: &str, span: &Range<usize>, known: &[&'static str]) {
        let path = join(section, key);
        let (diagnostic, nothing_near) = match self.dialect {
            Dialect::Fly => (
                Diagnostic::note(format!("unknown key `{path}` is dropped, as Fly drops it")),
                None,
            ),
            Dialect::Outlast => (
                Diagnostic::error(format!("unknown key `{path}`")),
                Some(format!("{} knows {}", place_name(section), listed(known))),
            ),
        };
        let diagnostic = match (self.explain)(&path) {
            Some(Explained::Later(hint)) => {
                Diagnostic::error(format!("`{path}` is not built yet")).hint(hint)
            }
            Some(Explained::Instead(hint)) => diagnostic.hint(hint),
            None => match nearest(key, known) {
                Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
                None => Diagnostic { hint: nothing_near, ..diagnostic },
            },
        };
        let known = UnknownKey { path, hint: diagnostic.hint.clone() };
        self.unknown.borrow_mut().push(Located::new(known, span.clone()));
        self.say(diagnostic.at(self.at(span)));
    }
}

fn place_name(section: &str) -> String {
    if section.is_empty() { "the file".to_owned() } else { format!("[{section}]") }
}

/// `a`, `b` and `c`.
#[must_use]
pub fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let mut text = String::new();
    for (index, name) in names.iter().enumerate() {
        text.push_str(match index {
            0 => "",
            _ if index + 1 == names.len() => " and ",
            _ => ", ",
        });
        text.push_str(&format!("`{}`", name.as_ref()));
    }
    text
}

/// The known word that was probably meant.
#[must_use]
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // Longer words are not misspelt beyond recognition but simply other words, and cost time.
    if word.len() > 64 {
        return None;
    }
    let plain = |text: &str| text.to_ascii_lowercase().replace(['_', '-'], "");
    let wanted = plain(word);
    let distances =
        known.iter().map(|name| (strsim::damerau_levenshtein(&wanted, &plain(name)), *name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= (wanted.len().max(plain(name).len()) + 1) / 3).then_some(name)
}

fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// A table being read. Keys that nobody asked for are unknown.
pub struct Section<'a> {
    /// Whose it is.
    pub reader: &'a Reader<'a>,
    /// The whole path, such as `http_service`; empty for the outermost.
    pub path: String,
    /// What stands in it.
    pub table: &'a DeTable<'a>,
    /// Where the table begins: its header, or the braces of an inline table.
    pub span: Range<usize>,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The value of a key. The exact spelling wins over others that differ in letter case only.
    pub fn take(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.asked.push(key);
        let same = |name: &str| match self.reader.dialect {
            Dialect::Fly => name.eq_ignore_ascii_case(key),
            Dialect::Outlast => name == key,
        };
        let mut found = self.table.iter().filter(|(name, _)| same(name.get_ref()));
        let first = found.next()?;
        let (name, value) = if first.0.get_ref() == key {
            first
        } else {
            found.find(|(name, _)| name.get_ref() == key).unwrap_or(first)
        };
        Some(Field {
            reader: self.reader,
            path: join(&self.path, key),
            key_span: name.span(),
            value: value.get_ref(),
            span: value.span(),
        })
    }

    /// All entries, where keys are the user's own names. None of them is unknown.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Field<'a>)> + use<'a> {
        let (reader, path) = (self.reader, self.path.clone());
        self.table.iter().map(move |(name, value)| {
            let field = Field {
                reader,
                path: join(&path, name.get_ref()),
                key_span: name.span(),
                value: value.get_ref(),
                span: value.span(),
            };
            (&**name.get_ref(), field)
        })
    }

    /// Says which keys nobody asked for.
    pub fn finish(self) {
        for (name, _) in self.table {
            let known = self.asked.iter().any(|asked| match self.reader.dialect {
                Dialect::Fly => name.get_ref().eq_ignore_ascii_case(asked),
                Dialect::Outlast => name.get_ref() == asked,
            });
            if !known {
                self.reader.unknown(&self.path, name.get_ref(), &name.span(), &self.asked);
            }
        }
    }
}

/// A key with its value, not looked at yet. Each reading method says what is wrong and then returns `None`.
pub struct Field<'a> {
    /// Whose it is.
    pub reader: &'a Reader<'a>,
    /// The whole path, such as `http_service.internal_port`.
    pub path: String,
    /// Where the key stands.
    pub key_span: Range<usize>,
    /// What was written.
    pub value: &'a DeValue<'a>,
    /// Where the value stands.
    pub span: Range<usize>,
}

impl<'a> Field<'a> {
    /// A value made of this one, with its place.
    pub fn locate<T>(&self, value: T) -> Located<T> {
        Located::new(value, self.span.clone())
    }

    /// Says something about the value.
    pub fn say(&self, diagnostic: Diagnostic) {
        self.reader.say(diagnostic.at(self.reader.at(&self.span)).key(self.path.as_str()));
    }

    /// Says that it is of another type than wanted.
    pub fn mismatch(&self, wanted: &str, hint: impl Into<String>) {
        let got = kind_name(self.value);
        let message = format!("`{}` must be {wanted}, not {got}", self.path);
        self.say(Diagnostic::error(message).hint(hint));
    }

    /// Whether it is a string, where it may also be something else.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    /// Whether it is a table, where it may also be something else.
    #[must_use]
    pub fn is_table(&self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    /// A string.
    #[must_use]
    pub fn text(&self) -> Option<Located<String>> {
        match self.value {
            DeValue::String(text) => Some(self.locate(text.to_string())),
            _ => {
                self.mismatch("a string", "put it in quotes");
                None
            }
        }
    }

    /// True or false.
    #[must_use]
    pub fn boolean(&self) -> Option<Located<bool>> {
        match self.value {
            DeValue::Boolean(value) => Some(self.locate(*value)),
            _ => {
                self.mismatch("a boolean", "write true or false, without quotes");
                None
            }
        }
    }

    /// A whole number; `8080.0` is one too, as in JSON.
    #[must_use]
    pub fn integer(&self) -> Option<Located<i64>> {
        if let Some(value) = integer_of(self.value) {
            return Some(self.locate(value));
        }
        match self.value {
            DeValue::Integer(_) => {
                let message = format!("`{}` is out of range", self.path);
                self.say(Diagnostic::error(message).hint("it must fit into 64 bits"));
            }
            DeValue::String(text) if text.trim().parse::<i64>().is_ok() => {
                self.mismatch("an integer", format!("write {}, without quotes", text.trim()));
            }
            _ => self.mismatch("an integer", "write a whole number"),
        }
        None
    }

    /// A number, whole or not.
    #[must_use]
    pub fn number(&self) -> Option<Located<f64>> {
        let number = match self.value {
            DeValue::Float(float) => float.as_str().replace('_', "").parse().ok(),
            DeValue::Integer(integer) => integer.as_str().parse().ok(),
            _ => None,
        };
        if number.is_none() {
            self.mismatch("a number", "write one such as 0.5, without quotes");
        }
        Some(self.locate(number?))
    }

    /// A duration, such as `"30s"`.
    #[must_use]
    pub fn duration(&self) -> Option<Located<Duration>> {
        match Duration::from_toml(self.value) {
            Ok(duration) => Some(self.locate(duration)),
            Err(error) => {
                let message = format!("`{}`: {error}", self.path);
                self.say(Diagnostic::error(message).hint(error.hint()));
                None
            }
        }
    }

    /// A list of whatever.
    #[must_use]
    pub fn items(&self) -> Option<Vec<Field<'a>>> {
        let DeValue::Array(items) = self.value else {
            self.mismatch("a list", "put its items in brackets, such as [1, 2]");
            return None;
        };
        Some(items.iter().map(|item| self.item(item)).collect())
    }

    /// A list of strings.
    #[must_use]
    pub fn texts(&self) -> Option<Vec<Located<String>>> {
        let DeValue::Array(items) = self.value else {
            let hint = match self.value {
                DeValue::String(text) => format!("write [{text:?}]"),
                _ => "write a list such as [\"app\"]".to_owned(),
            };
            self.mismatch("a list of strings", hint);
            return None;
        };
        let texts: Vec<_> = items.iter().map(|item| self.item(item).text()).collect();
        texts.into_iter().collect()
    }

    /// An entry of the list that this is.
    #[must_use]
    pub fn item(&self, item: &'a Spanned<DeValue<'a>>) -> Field<'a> {
        Field {
            reader: self.reader,
            path: self.path.clone(),
            key_span: self.key_span.clone(),
            value: item.get_ref(),
            span: item.span(),
        }
    }

    /// A table.
    #[must_use]
    pub fn table(&self) -> Option<Section<'a>> {
        let DeValue::Table(table) = self.value else {
            let hint = match self.value {
                DeValue::Array(_) => format!("write [{}], with single brackets", self.path),
                _ => format!("write a section [{}]", self.path),
            };
            self.mismatch("a table", hint);
            return None;
        };
        Some(self.section(table))
    }

    /// A list of tables. A single table counts as a list of one where Fly says so, see `tables_or_table`.
    #[must_use]
    pub fn tables(&self) -> Vec<Section<'a>> {
        let DeValue::Array(items) = self.value else {
            self.mismatch(
                "a list of tables",
                format!("write [[{}]], with double brackets", self.path),
            );
            return Vec::new();
        };
        items.iter().filter_map(|item| self.item(item).table_in_list()).collect()
    }

    pub(crate) fn tables_or_table(&self) -> Vec<Section<'a>> {
        match self.value {
            DeValue::Table(table) => vec![self.section(table)],
            _ => self.tables(),
        }
    }

    fn table_in_list(&self) -> Option<Section<'a>> {
        if let DeValue::Table(table) = self.value {
            return Some(self.section(table));
        }
        let got = kind_name(self.value);
        let message = format!("`{}` must be a list of tables, and this is {got}", self.path);
        self.say(Diagnostic::error(message).hint(format!("write [[{}]] for each", self.path)));
        None
    }

    fn section(&self, table: &'a DeTable<'a>) -> Section<'a> {
        let (reader, path, span) = (self.reader, self.path.clone(), self.span.clone());
        Section { reader, path, table, span, asked: Vec::new() }
    }

    /// A table from names to strings; other values are turned into strings as Go's `%v` does.
    pub(crate) fn stringified(&self) -> Option<BTreeMap<String, Located<String>>> {
        let entries = self.table()?.entries();
        Some(
            entries
                .map(|(name, field)| (name.to_owned(), field.locate(go_string(field.value))))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["ignorefile", "dockerfile", "build-target"];
        assert_eq!(nearest("ignore_file", &known), Some("ignorefile"));
        assert_eq!(nearest("Dockerfil", &known), Some("dockerfile"));
        assert_eq!(nearest("build_target", &known), Some("build-target"));
        assert_eq!(nearest("zzz", &known), None);
        assert_eq!(nearest(&"ignorefile".repeat(10), &known), None);
        assert_eq!(nearest("a", &[]), None);
    }
}
