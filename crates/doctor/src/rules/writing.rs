//! FLY601, and FLY603 to FLY605: what is written in a way that Fly drops, dislikes, or shows to everybody.

use std::ops::Range;

use outlast_config::Located;
use outlast_config::fly::UnknownKey;
use toml_edit::{Item, TableLike, Value};

use crate::facts::Facts;
use crate::finding::{Confidence, Finding, Severity};
use crate::fix::{Change, Edit, Step, spelt};

/// Parts of keys whose authors rely on them.
const WEIGHTY: &[&str] = &[
    "limit",
    "max",
    "min",
    "timeout",
    "check",
    "stop",
    "start",
    "scale",
    "concurren",
    "kill",
    "restart",
    "memory",
    "cpu",
    "handler",
    "https",
    "port",
    "auto",
];

pub(super) fn check(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    findings.extend(facts.fly.unknown.iter().map(|unknown| dropped(facts, unknown)));
    findings.extend(legacy(facts));
    for (name, value) in &facts.fly.env {
        findings.extend(secret(facts, name, value));
        findings.extend(reserved(facts, name, value));
    }
}

fn dropped(facts: &Facts<'_>, unknown: &Located<UnknownKey>) -> Finding {
    let path = &unknown.value.path;
    let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
    if section == "services" && matches!(key, "script_checks" | "restart_limit") {
        return old(
            facts,
            &unknown.span,
            format!("`{path}` is gone since Apps v2"),
            "it is ignored",
            "remove it",
        );
    }
    let lower = key.to_ascii_lowercase();
    let is_weighty = section != "build" && WEIGHTY.iter().any(|part| lower.contains(part));
    let severity = if is_weighty { Severity::High } else { Severity::Low };
    let so = if is_weighty {
        "Fly drops it without a word: what it was to limit, stop, start or check is not"
    } else {
        "Fly drops it without a word, so it changes nothing"
    };
    // Fly's own check walks plain tables only.
    let blind = ["services", "vm", "mounts", "metrics"]
        .iter()
        .any(|list| section.split('.').next() == Some(list));
    let so = if blind {
        format!("{so}; `fly config validate --strict` does not see it either, within [{section}]")
    } else {
        so.to_owned()
    };
    let fix = unknown.value.hint.clone().unwrap_or_else(|| "remove it".to_owned());
    Finding::new("FLY601", severity, Confidence::Certain, format!("there is no key `{path}`"))
        .at(facts.source, &unknown.span)
        .so(so)
        .fix(fix)
}

fn old(facts: &Facts<'_>, span: &Range<usize>, message: String, so: &str, fix: &str) -> Finding {
    Finding::new("FLY603", Severity::Low, Confidence::Certain, message)
        .at(facts.source, span)
        .so(so)
        .fix(fix)
}

fn legacy(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let root = facts.raw.as_table();
    if let Some(table) = get(root, "experimental").and_then(|(_, item)| item.as_table()) {
        for key in ["private_network", "allowed_public_ports"] {
            let Some((span, _)) = get(table, key) else { continue };
            let edit = Edit {
                path: vec![Step::Key("experimental"), Step::Key(key)],
                change: Change::Remove,
            };
            let finding = old(
                facts,
                &span,
                format!("`experimental.{key}` is from the days before Apps v2"),
                "it is ignored",
                "remove it",
            );
            findings.push(finding.edit(Some(edit)));
        }
    }
    if let Some((span, item)) = get(root, "processes")
        && (item.is_array_of_tables() || item.as_array().is_some_and(|items| !items.is_empty()))
    {
        let so = "it is rewritten into a table before it is read; entries without a name are lost";
        findings.push(old(
            facts,
            &span,
            "[[processes]] is an old list".to_owned(),
            so,
            "[processes] with name = \"command\"",
        ));
    }
    let Some((_, services)) = get(root, "services") else { return findings };
    match services {
        Item::ArrayOfTables(tables) => {
            let tables = tables.iter().enumerate();
            tables.for_each(|(index, table)| old_service(facts, table, index, &mut findings));
        }
        Item::Value(Value::Array(items)) => {
            let tables = items.iter().map(Value::as_inline_table).enumerate();
            let tables = tables.filter_map(|(index, table)| Some((index, table?)));
            tables.for_each(|(index, table)| old_service(facts, table, index, &mut findings));
        }
        item => {
            let table = item.as_table_like();
            table.into_iter().for_each(|table| old_service(facts, table, 0, &mut findings));
        }
    }
    findings
}

fn old_service(
    facts: &Facts<'_>,
    table: &dyn TableLike,
    index: usize,
    findings: &mut Vec<Finding>,
) {
    let path = |key: &'static str| vec![Step::Key("services"), Step::Item(index), Step::Key(key)];
    if let Some((_, Item::Value(Value::String(text)))) = get(table, "concurrency") {
        let (soft, hard) = text.value().split_once(',').unwrap_or_default();
        let table = format!(
            "{{ type = \"requests\", soft_limit = {}, hard_limit = {} }}",
            soft.trim(),
            hard.trim()
        );
        let span = text.span().unwrap_or_default();
        let so = "it is read as soft and hard limit, and the type becomes requests, which nobody sees here";
        let finding = old(
            facts,
            &span,
            "limits in one string".to_owned(),
            so,
            &format!("concurrency = {table}"),
        );
        findings.push(
            finding.edit(Some(Edit { path: path("concurrency"), change: Change::Set(table) })),
        );
    }
    for key in ["http_checks", "tcp_checks", "script_checks"] {
        let Some((span, item)) = get(table, key) else { continue };
        if item.as_array().is_some_and(toml_edit::Array::is_empty) {
            let finding = old(
                facts,
                &span,
                format!("`{key} = []` is no check"),
                "old versions of flyctl wrote it; it means nothing",
                "remove it",
            );
            findings.push(finding.edit(Some(Edit { path: path(key), change: Change::Remove })));
        }
    }
    let checks = ["http_checks", "tcp_checks"].into_iter().filter_map(|key| get(table, key));
    for table in checks
        .filter_map(|(_, item)| item.as_array_of_tables())
        .flat_map(toml_edit::ArrayOfTables::iter)
    {
        if let Some((span, _)) = get(table, "restart_limit") {
            let so = "a failing check restarts nothing, however often";
            findings.push(old(
                facts,
                &span,
                "`restart_limit` is gone since Apps v2".to_owned(),
                so,
                "remove it",
            ));
        }
    }
}

/// A key, by whatever letter case, with its place.
fn get<'t>(table: &'t dyn TableLike, wanted: &str) -> Option<(Range<usize>, &'t Item)> {
    let key = spelt(table.iter().map(|(key, _)| key), wanted)?;
    let (key, item) = table.get_key_value(key)?;
    Some((key.span().or(item.span()).unwrap_or_default(), item))
}

/// Whether a variable's name and value look like something that nobody else may know.
pub(crate) fn is_secret(name: &str, value: &str) -> bool {
    const LAST: &[&str] =
        &["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIALS", "PASSPHRASE"];
    const NOT: &[&str] = &["PUBLIC", "PUBLISHABLE", "ANON", "SITE"];
    let upper = name.to_ascii_uppercase();
    let words: Vec<&str> = upper.split(['_', '-', '.']).collect();
    let is_named =
        words.last().is_some_and(|last| LAST.contains(last)) || upper.ends_with("SECRET_KEY_BASE");
    let is_public = words.iter().any(|word| NOT.contains(word));
    let value = value.trim();
    let is_path = value.starts_with(['/', '.', '~']) && !value.ends_with('=');
    let is_plain = value.is_empty()
        || value.parse::<f64>().is_ok()
        || matches!(value, "true" | "false")
        || value.starts_with("${");
    (is_named && !is_public && !is_path && !is_plain) || has_credentials(value)
}

/// `scheme://user:password@host`.
fn has_credentials(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else { return false };
    user.split_once(':')
        .is_some_and(|(_, password)| !password.is_empty() && !password.starts_with(['$', '<', '{']))
}

fn secret(facts: &Facts<'_>, name: &str, value: &Located<String>) -> Option<Finding> {
    if !is_secret(name, &value.value) {
        return None;
    }
    Some(
        Finding::new("FLY604", Severity::High, Confidence::Likely, format!("{name} looks like a secret"))
            .at(facts.source, &value.span)
            .label("not shown")
            .so("it is in this file, in its history, and in the configuration of every machine, in plain text")
            .fix(format!("`fly secrets set {name}=…`, remove it here, and give the old one up")),
    )
}

fn reserved(facts: &Facts<'_>, name: &str, value: &Located<String>) -> Option<Finding> {
    if name.starts_with("FLY_") {
        return Some(
            Finding::new(
                "FLY605",
                Severity::Error,
                Confidence::Certain,
                format!("{name}: names that begin with FLY_ are Fly's own"),
            )
            .at(facts.source, &value.span)
            .so("the deployment is refused, or the value replaced")
            .fix("another name"),
        );
    }
    let region = facts.fly.primary_region.as_ref().filter(|_| name == "PRIMARY_REGION")?;
    Some(
        Finding::new(
            "FLY605",
            Severity::Info,
            Confidence::Certain,
            "PRIMARY_REGION is overridden by primary_region",
        )
        .at(facts.source, &value.span)
        .also(facts.source, &region.span, "what holds")
        .so("the app sees the region from the top of the file")
        .fix("remove it"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_from_names_and_values_that_only_sound_alike() {
        for (name, value, wanted) in [
            ("API_KEY", "sk-1234", true),
            ("STRIPE_SECRET", "whsec_1", true),
            ("SECRET_KEY_BASE", "abc", true),
            ("db_password", "hunter2", true),
            ("DATABASE_URL", "postgres://app:hunter2@db/app", true),
            ("DATABASE_URL", "postgres://app@db/app", false),
            ("DATABASE_URL", "postgres://db/app?x=a:b@c", false),
            ("DATABASE_URL", "postgres://app:$PASSWORD@db/app", false),
            ("GITLAWB_KEY", "/data/keys/identity.pem", false),
            ("MAX_TOKENS", "100", false),
            ("TOKEN", "100", false),
            ("API_KEY_HEADER", "X-Api-Key", false),
            ("STRIPE_PUBLISHABLE_KEY", "pk_1", false),
            ("NEXT_PUBLIC_KEY", "pk_1", false),
            ("TURNSTILE_SITE_KEY", "0x1", false),
            ("API_KEY", "", false),
            ("API_KEY", "${API_KEY}", false),
            ("MONKEY", "banana", false),
        ] {
            assert_eq!(is_secret(name, value), wanted, "{name}={value}");
        }
    }
}
