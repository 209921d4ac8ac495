//! Safe edits: applied to the text itself, so that comments, order and layout stay.

use std::collections::BTreeSet;

use outlast_config::SourceText;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, Value};

use crate::hints::Hints;
use crate::review::{Files, Unreadable, review};

/// One step into a document. Letter case does not matter, as it does not to Fly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(&'static str),
    /// An item of a list of tables; a single table counts as a list of one.
    Item(usize),
}

/// What to do at the end of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Writes a value, given as TOML, in place of the old one or as the section's last key.
    Set(String),
    /// Removes the key.
    Remove,
    /// `[[x]]` with one item becomes `[x]`.
    Single,
    /// `[x]` becomes `[[x]]`.
    List,
}

/// A change that nobody needs to think about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) path: Vec<Step>,
    pub(crate) change: Change,
}

impl Edit {
    /// A path made of keys alone.
    pub(crate) fn keys(keys: &[&'static str], change: Change) -> Option<Self> {
        Some(Self { path: keys.iter().map(|key| Step::Key(key)).collect(), change })
    }
}

/// A mended `fly.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// The whole text.
    pub text: String,
    /// The rules whose findings were mended.
    pub rules: BTreeSet<&'static str>,
}

impl Fixed {
    /// What changed, as `diff -u` tells it. Empty if nothing did.
    #[must_use]
    pub fn diff(&self, before: &SourceText) -> String {
        let diff = similar::TextDiff::from_lines(&before.text, &self.text);
        let name = &before.name;
        diff.unified_diff().header(&format!("a/{name}"), &format!("b/{name}")).to_string()
    }
}

/// Some edits make others possible: what did not decode is only reviewed afterwards.
const ROUNDS_MAX: usize = 8;

/// Applies every safe edit, again and again until there is none left.
///
/// # Errors
/// The text is not TOML.
pub fn fix(files: &Files<'_>, hints: &Hints) -> Result<Fixed, Unreadable> {
    let mut fixed = Fixed { text: files.fly.text.clone(), rules: BTreeSet::new() };
    for _ in 0..ROUNDS_MAX {
        let source = SourceText { name: files.fly.name.clone(), text: fixed.text.clone() };
        let found = review(&Files { fly: &source, ..*files }, hints)?;
        let mut edits = Vec::new();
        for finding in found.findings.iter().filter(|finding| finding.is_fixable()) {
            edits.extend(finding.edits.iter().map(|edit| (finding.rule, edit)));
        }
        let Some(text) = apply(&fixed.text, &edits, &mut fixed.rules) else { break };
        fixed.text = text;
    }
    Ok(fixed)
}

/// Whether an edit would change the text.
pub(crate) fn is_possible(text: &str, edit: &Edit) -> bool {
    apply(text, &[("", edit)], &mut BTreeSet::new()).is_some()
}

/// The text with the edits, if any of them could be made.
fn apply(
    text: &str,
    edits: &[(&'static str, &Edit)],
    rules: &mut BTreeSet<&'static str>,
) -> Option<String> {
    // The editor writes line feeds; a file of carriage returns and line feeds gets them back.
    let is_dos =
        text.contains("\r\n") && text.matches('\n').count() == text.matches("\r\n").count();
    let plain = if is_dos { text.replace("\r\n", "\n") } else { text.to_owned() };
    let unmarked = plain.strip_prefix('\u{feff}').unwrap_or(&plain);
    let mut document: DocumentMut = unmarked.parse().ok()?;
    let mut done: Vec<&Edit> = Vec::new();
    for (rule, edit) in edits {
        // A place that was already changed in this round is left for the next one.
        let clashes = done
            .iter()
            .any(|other| other.path.starts_with(&edit.path) || edit.path.starts_with(&other.path));
        if !clashes && change(document.as_item_mut(), &edit.path, &edit.change).is_some() {
            rules.insert(*rule);
            done.push(edit);
        }
    }
    if done.is_empty() {
        return None;
    }
    let mark = if plain.starts_with('\u{feff}') { "\u{feff}" } else { "" };
    let edited = format!("{mark}{document}");
    let edited = if is_dos { edited.replace('\n', "\r\n") } else { edited };
    (edited != text).then_some(edited)
}

fn change(item: &mut Item, path: &[Step], what: &Change) -> Option<()> {
    let (step, rest) = path.split_first()?;
    match step {
        Step::Item(index) => {
            if let Item::ArrayOfTables(tables) = item {
                return in_table(tables.get_mut(*index)?, rest, what);
            }
            if let Item::Value(Value::Array(items)) = item {
                let mut inner = Item::Value(items.get(*index)?.clone());
                change(&mut inner, rest, what)?;
                *items.get_mut(*index)? = inner.into_value().ok()?;
                return Some(());
            }
            (*index == 0).then(|| change(item, rest, what)).flatten()
        }
        Step::Key(_) => {
            if let Item::Table(table) = item {
                return in_table(table, path, what);
            }
            let table = item.as_table_like_mut()?;
            let key = spelling(table.iter().map(|(key, _)| key), path)?;
            if rest.is_empty() {
                at_key(item, &key, what)
            } else {
                change(table.get_mut(&key)?, rest, what)
            }
        }
    }
}

fn in_table(table: &mut Table, path: &[Step], what: &Change) -> Option<()> {
    let (_, rest) = path.split_first()?;
    let key = spelling(table.iter().map(|(key, _)| key), path)?;
    if rest.is_empty() {
        let mut item = Item::Table(std::mem::take(table));
        let changed = at_key(&mut item, &key, what);
        *table = item.into_table().ok()?;
        return changed;
    }
    change(table.get_mut(&key)?, rest, what)
}

/// The key as the file spells it, or as we do.
fn spelling<'k>(keys: impl Iterator<Item = &'k str>, path: &[Step]) -> Option<String> {
    let Some(Step::Key(wanted)) = path.first() else { return None };
    Some(spelt(keys, wanted).unwrap_or(wanted).to_owned())
}

/// The key that is read for the wanted one: the exact spelling wins over others that differ in letter case only.
pub(crate) fn spelt<'k>(keys: impl Iterator<Item = &'k str>, wanted: &str) -> Option<&'k str> {
    let mut alike = None;
    for key in keys {
        if key == wanted {
            return Some(key);
        }
        if alike.is_none() && key.eq_ignore_ascii_case(wanted) {
            alike = Some(key);
        }
    }
    alike
}

fn at_key(parent: &mut Item, key: &str, what: &Change) -> Option<()> {
    match what {
        Change::Set(text) => set(parent, key, text.parse().ok()?),
        Change::Remove => remove(parent, key),
        Change::Single => {
            let item = parent.as_table_like_mut()?.get_mut(key)?;
            let Item::ArrayOfTables(tables) = item else { return None };
            let only = (tables.len() == 1).then(|| tables.get(0).cloned()).flatten()?;
            *item = Item::Table(only);
            Some(())
        }
        Change::List => {
            let item = parent.as_table_like_mut()?.get_mut(key)?;
            let Item::Table(table) = item else { return None };
            let mut tables = ArrayOfTables::new();
            tables.push(table.clone());
            *item = Item::ArrayOfTables(tables);
            Some(())
        }
    }
}

/// A value in place of another keeps the blanks and the comment around it; a new key is indented as its neighbours are.
fn set(parent: &mut Item, key: &str, mut value: Value) -> Option<()> {
    let table = parent.as_table_like_mut()?;
    if let Some(old) = table.get_mut(key) {
        *value.decor_mut() = old.as_value()?.decor().clone();
        *old = Item::Value(value);
        return Some(());
    }
    let first = table.iter().next().map(|(first, _)| first.to_owned());
    let prefix = first
        .and_then(|first| table.key(&first)?.leaf_decor().prefix()?.as_str().map(str::to_owned));
    table.insert(key, Item::Value(value));
    if let Some(prefix) = prefix {
        // The comments above the first key stay its own.
        let indent = prefix.rsplit('\n').next().unwrap_or_default().to_owned();
        table.key_mut(key)?.leaf_decor_mut().set_prefix(indent);
    }
    Some(())
}

/// The comments above a removed key go with it only if nothing follows that could keep them.
fn remove(parent: &mut Item, key: &str) -> Option<()> {
    let table = parent.as_table_like_mut()?;
    let above =
        table.key(key)?.leaf_decor().prefix().and_then(|prefix| prefix.as_str()).map(str::to_owned);
    let keys: Vec<_> = table.iter().map(|(key, _)| key.to_owned()).collect();
    let next =
        keys.iter().position(|one| one == key).and_then(|index| keys.get(index + 1)).cloned();
    table.remove(key)?;
    let above = above.filter(|above| above.contains('#'));
    if let (Some(above), Some(next)) = (above, next) {
        let mut next = table.key_mut(&next)?;
        let decor = next.leaf_decor_mut();
        let own = decor.prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
        let indent_start = above.rfind('\n').map_or(0, |newline| newline + 1);
        decor.set_prefix(format!("{}{own}", &above[..indent_start]));
    }
    Some(())
}
