//! What is about machines and deployments and not about traffic: `[[vm]]`, `[mounts]`, `[deploy]`, `[[restart]]`.

use std::ops::Range;

use toml::de::DeValue;

use super::schema::{self, conform_keys, duration};
use super::{Feature, GoDuration, Written};
use crate::read::{Field, Section, truncated};
use crate::source::Located;

/// One of `[[vm]]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vm {
    /// Where the section begins.
    pub span: Range<usize>,
    /// `size`, any text.
    pub size: Option<Located<String>>,
    /// `memory` in MB; what is no size is 0.
    pub memory: Option<Located<i64>>,
    /// `memory_mb`, any number.
    pub memory_mb: Option<Located<i64>>,
    /// `cpus`, any number.
    pub cpus: Option<Located<i64>>,
    /// `cpu_kind`, any text.
    pub cpu_kind: Option<Located<String>>,
    /// `gpus`, any number.
    pub gpus: Option<Located<i64>>,
    /// `gpu_kind`, any text.
    pub gpu_kind: Option<Located<String>>,
    /// `processes`.
    pub processes: Vec<Located<String>>,
}

/// One of `[[mounts]]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mount {
    /// Where the section begins.
    pub span: Range<usize>,
    /// `source`.
    pub source: Option<Located<String>>,
    /// `destination`.
    pub destination: Option<Located<String>>,
    /// `snapshot_retention`, any number.
    pub snapshot_retention: Option<Located<i64>>,
    /// `auto_extend_size_threshold`, any number.
    pub auto_extend_size_threshold: Option<Located<i64>>,
    /// `auto_extend_size_increment`, any text.
    pub auto_extend_size_increment: Option<Located<String>>,
    /// `auto_extend_size_limit`, any text.
    pub auto_extend_size_limit: Option<Located<String>>,
    /// `processes`.
    pub processes: Vec<Located<String>>,
}

/// `[deploy]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deploy {
    /// Where the section begins.
    pub span: Range<usize>,
    /// `strategy`, any text.
    pub strategy: Option<Located<String>>,
    /// `max_unavailable`, any number.
    pub max_unavailable: Option<Located<f64>>,
    /// `wait_timeout`; a bare number is nanoseconds.
    pub wait_timeout: Option<Located<GoDuration>>,
    /// `release_command_timeout`; a bare number is nanoseconds.
    pub release_command_timeout: Option<Located<GoDuration>>,
}

/// One of `[[restart]]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Restart {
    /// Where the section begins.
    pub span: Range<usize>,
    /// `policy`, any text.
    pub policy: Option<Located<String>>,
    /// `processes`.
    pub processes: Vec<Located<String>>,
}

/// Reads all of them but `[deploy]`.
pub(super) fn read(top: &mut Section<'_>, written: &mut Written) {
    written.console_command = top.take("console_command").and_then(|field| field.text());
    if let Some(field) = top.take("swap_size_mb") {
        written.swap_size_mb = field.integer();
        written.idle.push(Located::new(Feature::Vm, field.key_span));
    }
    for key in ["vm", "compute", "computes"] {
        let Some(field) = top.take(key) else { continue };
        written.vms.extend(field.tables_or_table().into_iter().map(vm));
        written.idle.push(Located::new(Feature::Vm, field.key_span));
    }
    for key in ["mounts", "mount"] {
        let Some(field) = top.take(key) else { continue };
        written.mounts.extend(field.tables_or_table().into_iter().map(mount));
        written.idle.push(Located::new(Feature::Mounts, field.key_span));
    }
    if let Some(field) = top.take("restart") {
        written.restarts = field.tables_or_table().into_iter().map(restart).collect();
        written.idle.push(Located::new(Feature::Restart, field.key_span));
    }
}

fn vm(mut section: Section<'_>) -> Vm {
    let mut vm = Vm { span: section.span.clone(), ..Vm::default() };
    vm.memory = section.take("memory").and_then(|field| memory(&field));
    let mut text = |key| section.take(key).and_then(|field| field.text());
    vm.size = text("size");
    vm.cpu_kind = text("cpu_kind");
    vm.gpu_kind = text("gpu_kind");
    let mut integer = |key| section.take(key).and_then(|field| field.integer());
    vm.memory_mb = integer("memory_mb");
    vm.cpus = integer("cpus");
    vm.gpus = integer("gpus");
    vm.processes = processes(&mut section);
    conform_keys(&mut section, schema::COMPUTE);
    section.finish();
    vm
}

fn mount(mut section: Section<'_>) -> Mount {
    let mut mount = Mount { span: section.span.clone(), ..Mount::default() };
    let mut text = |key| section.take(key).and_then(|field| field.text());
    mount.source = text("source");
    mount.destination = text("destination");
    mount.auto_extend_size_increment = text("auto_extend_size_increment");
    mount.auto_extend_size_limit = text("auto_extend_size_limit");
    let mut integer = |key| section.take(key).and_then(|field| field.integer());
    mount.snapshot_retention = integer("snapshot_retention");
    mount.auto_extend_size_threshold = integer("auto_extend_size_threshold");
    mount.processes = processes(&mut section);
    conform_keys(&mut section, schema::MOUNT);
    section.finish();
    mount
}

fn restart(mut section: Section<'_>) -> Restart {
    let mut restart = Restart { span: section.span.clone(), ..Restart::default() };
    restart.policy = section.take("policy").and_then(|field| field.text());
    restart.processes = processes(&mut section);
    conform_keys(&mut section, schema::RESTART);
    section.finish();
    restart
}

/// `[deploy]`.
pub(super) fn deploy(field: &Field<'_>, idle: &mut Vec<Located<Feature>>) -> Option<Deploy> {
    let mut section = field.table()?;
    let mut deploy = Deploy { span: section.span.clone(), ..Deploy::default() };
    deploy.strategy = section.take("strategy").and_then(|field| field.text());
    deploy.max_unavailable = section.take("max_unavailable").and_then(|field| {
        if matches!(field.value, DeValue::Integer(_) | DeValue::Float(_)) {
            return field.number();
        }
        field.mismatch("a number", "write a number, without quotes");
        None
    });
    let mut lapse = |key| section.take(key).and_then(|field| nanoseconds(&field));
    deploy.wait_timeout = lapse("wait_timeout");
    deploy.release_command_timeout = lapse("release_command_timeout");
    for key in ["release_command", "seed_command"] {
        let Some(field) = section.take(key) else { continue };
        if field.text().is_some() {
            idle.push(Located::new(Feature::DeployCommands, field.key_span));
        }
    }
    conform_keys(&mut section, schema::DEPLOY);
    section.finish();
    Some(deploy)
}

fn processes(section: &mut Section<'_>) -> Vec<Located<String>> {
    section.take("processes").and_then(|field| field.texts()).unwrap_or_default()
}

/// A Go duration, or a bare number of nanoseconds.
fn nanoseconds(field: &Field<'_>) -> Option<Located<GoDuration>> {
    match field.value {
        DeValue::Integer(_) | DeValue::Float(_) => Some(field.integer()?.map(GoDuration)),
        _ => duration(field),
    }
}

/// A string with a unit, or a number of MB. Other types are left alone: flyctl turns them into strings.
fn memory(field: &Field<'_>) -> Option<Located<i64>> {
    match field.value {
        DeValue::String(text) => Some(field.locate(memory_mb(text).unwrap_or(0))),
        DeValue::Integer(_) => field.integer(),
        DeValue::Float(float) => {
            float.as_str().parse().ok().and_then(truncated).map(|number| field.locate(number))
        }
        _ => None,
    }
}

/// Reads `512mb`, `2gb`, `1.5GiB` or `512`, all in powers of two, as whole MB.
#[must_use]
pub fn memory_mb(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let scale = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" if unit.is_empty() => 1.0,
        "" => 1.0 / 1_048_576.0,
        "k" => 1.0 / 1024.0,
        "m" => 1.0,
        "g" => 1024.0,
        "t" => 1_048_576.0,
        _ => return None,
    };
    let megabytes = number.parse::<f64>().ok()? * scale;
    #[expect(clippy::cast_possible_truncation, reason = "the range was just checked")]
    (megabytes < 9.0e15).then_some(megabytes as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_with_and_without_a_unit() {
        for (text, megabytes) in [
            ("512mb", Some(512)),
            ("512MB", Some(512)),
            ("512MiB", Some(512)),
            ("512", Some(512)),
            ("2gb", Some(2048)),
            ("8g", Some(8192)),
            ("1.5 GiB", Some(1536)),
            ("1048576kb", Some(1024)),
            ("268435456b", Some(256)),
            ("", None),
            ("much", None),
            ("1xb", None),
            ("1.2.3gb", None),
            ("-1gb", None),
            ("99999999999999999999gb", None),
        ] {
            assert_eq!(memory_mb(text), megabytes, "{text}");
        }
    }
}
