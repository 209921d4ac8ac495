//! What Fly cannot decode, under the rule that it belongs to.

use outlast_config::{Diagnostic, SourceText, fly, parse_duration};
use toml_edit::{Document, Item};

use crate::finding::{Confidence, Finding, Severity};
use crate::fix::{Change, Edit, Step, is_possible};

/// A finding for each error, or nothing if the file is not TOML at all: that is for the caller to say.
pub(crate) fn undecodable(
    source: &SourceText,
    errors: &[Diagnostic],
    raw: Option<&Document<&str>>,
) -> Option<Vec<Finding>> {
    let is_doubled = |error: &Diagnostic| error.message.contains("duplicate key");
    if raw.is_none() && !errors.iter().all(is_doubled) {
        return None;
    }
    let finding = |error: &Diagnostic| {
        let doubled = is_doubled(error);
        let key = error.key.clone().unwrap_or_default();
        let rule = if doubled { "FLY608" } else { rule_of(&key, error) };
        let so =
            if doubled { "it is a syntax error: flyctl reads nothing of the file" } else { SO };
        let fix = if doubled {
            "merge the two"
        } else {
            error.hint.as_deref().unwrap_or("write another value")
        };
        let name = error.span().and_then(|span| source.text.get(span)).filter(|_| doubled);
        let message =
            name.map_or_else(|| error.message.clone(), |name| format!("`{name}` is there twice"));
        let finding =
            Finding::new(rule, Severity::Error, Confidence::Certain, message).so(so).fix(fix);

        match error.span() {
            Some(span) => finding.at(source, &span).edit(mend(source, rule, &key, error)),
            None => finding,
        }
    };
    Some(errors.iter().map(finding).collect())
}

const SO: &str =
    "flyctl cannot decode it: of the whole file only `app` is kept, and validate and deploy fail";

fn rule_of(key: &str, error: &Diagnostic) -> &'static str {
    let last = key.rsplit('.').next().unwrap_or_default();
    let wants_container =
        error.message.contains("must be a table") || error.message.contains("list of tables");
    match last {
        "hard_limit" | "soft_limit" => "FLY106",
        _ if key == "kill_timeout" => "FLY204",
        "internal_port" => "FLY306",
        "idle_timeout" | "headers_read_timeout" => "FLY507",
        "auto_stop_machines" => "FLY606",
        _ if error.message.contains("must be a boolean") => "FLY606",
        _ if wants_container => "FLY602",
        _ => "FLY691",
    }
}

/// What the author can only have meant.
fn mend(source: &SourceText, rule: &str, key: &str, error: &Diagnostic) -> Option<Edit> {
    let path = path_of(key)?;
    let written = source.text.get(error.span()?)?;
    let inner = written.trim_matches(['"', '\'']);
    let is_quoted = inner.len() + 2 == written.len();
    let change = match rule {
        "FLY106" | "FLY306" if is_quoted => {
            Change::Set(inner.trim().parse::<u32>().ok()?.to_string())
        }
        "FLY204" if is_quoted => Change::Set(inner.trim().parse::<u32>().ok()?.to_string()),
        "FLY507" if is_quoted => Change::Set(whole_seconds(inner)?.to_string()),
        "FLY606" if is_quoted => {
            let is_stop = key.ends_with("auto_stop_machines");
            Change::Set(match inner.to_ascii_lowercase().as_str() {
                "true" if is_stop => "\"stop\"".to_owned(),
                "false" if is_stop => "\"off\"".to_owned(),
                word @ ("true" | "false") => word.to_owned(),
                _ => return None,
            })
        }
        "FLY602" if error.message.contains("must be a table") => Change::Single,
        "FLY602" => Change::List,
        _ => return None,
    };
    // Of several tables that should be one, nobody knows which.
    Some(Edit { path, change }).filter(|edit| is_possible(&source.text, edit))
}

/// Seconds without a fraction, as a number or as a duration.
fn whole_seconds(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(seconds);
    }
    let duration = parse_duration(text).ok()?;
    (duration.subsec_nanos() == 0).then_some(duration.as_secs())
}

/// Only paths without lists in them are certain: the key does not say which item it was.
fn path_of(key: &str) -> Option<Vec<Step>> {
    const PATHS: &[&[&str]] = &[
        &["kill_timeout"],
        &["http_service"],
        &["http_service", "internal_port"],
        &["http_service", "force_https"],
        &["http_service", "auto_stop_machines"],
        &["http_service", "auto_start_machines"],
        &["http_service", "concurrency"],
        &["http_service", "concurrency", "hard_limit"],
        &["http_service", "concurrency", "soft_limit"],
        &["http_service", "checks"],
        &["http_service", "http_options"],
        &["http_service", "http_options", "idle_timeout"],
        &["http_service", "http_options", "headers_read_timeout"],
        &["http_service", "http_options", "h2_backend"],
        &["http_service", "http_options", "compress"],
    ];
    let parts: Vec<_> = key.split('.').collect();
    let path = PATHS.iter().find(|path| **path == parts)?;
    Some(path.iter().map(|part| Step::Key(part)).collect())
}

/// The places of values that must not be shown, of a file that may not decode.
pub(crate) fn secrets(
    fly: Option<&fly::Written>,
    raw: Option<&Document<&str>>,
) -> Vec<std::ops::Range<usize>> {
    if let Some(fly) = fly {
        let secret =
            fly.env.iter().filter(|(name, value)| super::writing::is_secret(name, &value.value));
        return secret.map(|(_, value)| value.span.clone()).collect();
    }
    let Some(env) = raw.and_then(|raw| raw.as_table().get("env")).and_then(Item::as_table_like)
    else {
        return Vec::new();
    };
    let is_secret = |(name, item): &(&str, &Item)| {
        item.as_str().is_some_and(|value| super::writing::is_secret(name, value))
    };
    env.iter().filter(is_secret).filter_map(|(_, item)| item.span()).collect()
}
