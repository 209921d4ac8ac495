//! Walks a parsed TOML text by hand, keeping byte spans and collecting everything that is wrong.
//!
//! It knows tables, keys and types, and nothing of what the keys mean.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::Diagnostic;
use crate::source::{Located, Origin, SourceText};

/// How many syntax errors are told of one text; after some, the rest are echoes of the first.
const SYNTAX_ERRORS_MAX: usize = 10;

/// The two files differ in how strictly their keys are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `fly.toml`: letter case of keys is ignored, unknown keys are dropped with a note, as Fly drops them.
    Fly,
    /// `outlast.toml`: keys are exact, unknown keys are errors.
    Outlast,
}

/// What an unknown key may be called after all.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Explained {
    /// A key that a later version will have.
    Later(&'static str),
    /// A key that does not exist, with what to do instead.
    Instead(&'static str),
}

/// Reads one text.
pub(crate) struct Reader<'a> {
    pub(crate) source: &'a SourceText,
    pub(crate) dialect: Dialect,
    /// Says more about some unknown keys, by their whole path.
    pub(crate) explain: fn(&str) -> Option<Explained>,
    pub(crate) diagnostics: RefCell<Vec<Diagnostic>>,
}

/// Parses a text, or says every syntax error in it.
pub(crate) fn parse(source: &SourceText) -> Result<DeTable<'_>, Vec<Diagnostic>> {
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
    pub(crate) fn new(
        source: &'a SourceText,
        dialect: Dialect,
        explain: fn(&str) -> Option<Explained>,
    ) -> Self {
        Self { source, dialect, explain, diagnostics: RefCell::default() }
    }

    pub(crate) fn root(&'a self, table: &'a DeTable<'a>) -> Section<'a> {
        Section { reader: self, path: String::new(), table, span: 0..0, asked: Vec::new() }
    }

    pub(crate) fn say(&self, diagnostic: Diagnostic) {
        self.diagnostics.borrow_mut().push(diagnostic);
    }

    pub(crate) fn at(&self, span: &Range<usize>) -> Origin {
        Origin::File(self.source.place(span.clone()))
    }

    /// What was said.
    pub(crate) fn finish(self) -> Vec<Diagnostic> {
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
        self.say(diagnostic.at(self.at(span)));
    }
}

fn place_name(section: &str) -> String {
    if section.is_empty() { "the file".to_owned() } else { format!("[{section}]") }
}

/// `a`, `b` and `c`.
pub(crate) fn listed<S: AsRef<str>>(names: &[S]) -> String {
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
pub(crate) fn nearest(word: &str, known: &[&'static str]) -> Option<&'static str> {
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
pub(crate) struct Section<'a> {
    pub(crate) reader: &'a Reader<'a>,
    pub(crate) path: String,
    pub(crate) table: &'a DeTable<'a>,
    /// Where the table begins: its header, or the braces of an inline table.
    pub(crate) span: Range<usize>,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The value of a key. The exact spelling wins over others that differ in letter case only.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Field<'a>> {
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
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, Field<'a>)> + use<'a> {
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
    pub(crate) fn finish(self) {
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
pub(crate) struct Field<'a> {
    pub(crate) reader: &'a Reader<'a>,
    /// The whole path, such as `http_service.internal_port`.
    pub(crate) path: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: &'a DeValue<'a>,
    pub(crate) span: Range<usize>,
}

impl<'a> Field<'a> {
    pub(crate) fn locate<T>(&self, value: T) -> Located<T> {
        Located::new(value, self.span.clone())
    }

    /// Says something about the value.
    pub(crate) fn say(&self, diagnostic: Diagnostic) {
        self.reader.say(diagnostic.at(self.reader.at(&self.span)));
    }

    pub(crate) fn mismatch(&self, wanted: &str, hint: impl Into<String>) {
        let got = kind_name(self.value);
        let message = format!("`{}` must be {wanted}, not {got}", self.path);
        self.say(Diagnostic::error(message).hint(hint));
    }

    pub(crate) fn text(&self) -> Option<Located<String>> {
        match self.value {
            DeValue::String(text) => Some(self.locate(text.to_string())),
            _ => {
                self.mismatch("a string", "put it in quotes");
                None
            }
        }
    }

    pub(crate) fn boolean(&self) -> Option<Located<bool>> {
        match self.value {
            DeValue::Boolean(value) => Some(self.locate(*value)),
            _ => {
                self.mismatch("a boolean", "write true or false, without quotes");
                None
            }
        }
    }

    /// A whole number; `8080.0` is one too, as in JSON.
    pub(crate) fn integer(&self) -> Option<Located<i64>> {
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

    /// A list of strings.
    pub(crate) fn texts(&self) -> Option<Vec<Located<String>>> {
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

    pub(crate) fn item(&self, item: &'a Spanned<DeValue<'a>>) -> Field<'a> {
        Field {
            reader: self.reader,
            path: self.path.clone(),
            key_span: self.key_span.clone(),
            value: item.get_ref(),
            span: item.span(),
        }
    }

    pub(crate) fn table(&self) -> Option<Section<'a>> {
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

    /// A list of tables. A single table counts as a list of one where Fly says so, see [`Self::tables_or_table`].
    pub(crate) fn tables(&self) -> Vec<Section<'a>> {
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

/// A whole number, also when written as a float.
pub(crate) fn integer_of(value: &DeValue<'_>) -> Option<i64> {
    match value {
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok(),
        DeValue::Float(float) => whole(float.as_str().parse().ok()?),
        _ => None,
    }
}

/// The number, if it has no fraction and 64 bits hold it.
fn whole(float: f64) -> Option<i64> {
    // Beyond 2⁵³ a float no longer means one integer.
    let exact = float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0;
    exact.then(|| truncated(float)).flatten()
}

/// The number without its fraction, if 64 bits hold it.
pub(crate) fn truncated(float: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "the range was just checked")]
    (float.abs() < 9.2e18).then_some(float as i64)
}

/// `an integer`, `a string`, …
pub(crate) fn kind_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The value as Go prints it by `%v`: numbers in decimal, lists as `[a b]`, tables as `map[k:v]`.
pub(crate) fn go_string(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(integer) => {
            integer_of(value).map_or_else(|| integer.to_string(), |number| number.to_string())
        }
        DeValue::Float(float) => go_float(float.as_str()),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| go_string(item.get_ref())).collect();
            format!("[{}]", items.join(" "))
        }
        DeValue::Table(table) => {
            let entry = |(key, value): (&Spanned<_>, &Spanned<_>)| {
                format!("{}:{}", key.get_ref(), go_string(value.get_ref()))
            };
            let entries: Vec<_> = table.iter().map(entry).collect();
            format!("map[{}]", entries.join(" "))
        }
    }
}

/// Go's shortest form: exponents below 1e-4 and from 1e21 on, `+Inf` and `NaN`.
fn go_float(text: &str) -> String {
    let Ok(number) = text.parse::<f64>() else { return text.to_owned() };
    let size = number.abs();
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if size != 0.0 && !(1e-4..1e21).contains(&size) {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) =
            exponent.strip_prefix('-').map_or(("+", exponent), |digits| ("-", digits));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_strings_as_in_go() {
        let table = [
            ("10002", "10002"),
            ("0x1F", "31"),
            ("1_000", "1000"),
            ("true", "true"),
            ("1.0", "1"),
            ("0.2", "0.2"),
            ("1e21", "1e+21"),
            ("1.5e-7", "1.5e-07"),
            ("inf", "+Inf"),
            ("-inf", "-Inf"),
            ("nan", "NaN"),
            ("'x'", "x"),
            ("[1, 'a', [2]]", "[1 a [2]]"),
            ("{b = 1, a = true}", "map[a:true b:1]"),
            ("2026-01-02", "2026-01-02"),
        ];
        for (text, want) in table {
            let value = DeValue::parse(text).unwrap();
            assert_eq!(go_string(value.get_ref()), want, "{text}");
        }
    }

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
