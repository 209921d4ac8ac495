//! FLY690: what flyctl's own validation refuses, in its words.

use std::ops::Range;

use outlast_config::fly::{Mount, memory_mb};

use crate::facts::{Facts, preset};
use crate::finding::{Confidence, Finding, Severity};

pub(super) fn check(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let mut say = |span: &Range<usize>, message: String, fix: &str| {
        let finding = Finding::new("FLY690", Severity::Error, Confidence::Certain, message);
        findings.push(finding.at(facts.source, span).so("flyctl refuses the file").fix(fix));
    };
    let strategy = facts.fly.deploy.as_ref().and_then(|deploy| deploy.strategy.as_ref());
    if let Some(strategy) = strategy
        .filter(|one| !matches!(&*one.value, "" | "rolling" | "immediate" | "canary" | "bluegreen"))
    {
        let message = format!("unsupported deployment strategy '{}'", strategy.value);
        say(&strategy.span, message, "write rolling, immediate, canary or bluegreen");
    }
    if let Some(command) =
        facts.fly.console_command.as_ref().filter(|one| shlex::split(&one.value).is_none())
    {
        let message = format!("Can't shell split console command: '{}'", command.value);
        say(&command.span, message, "close its quotes");
    }
    for (group, command) in &facts.fly.processes {
        if shlex::split(&command.value).is_none() {
            let message = format!(
                "Could not parse command for '{group}' process group; check [processes] section"
            );
            say(&command.span, message, "close its quotes");
        }
    }
    for check in &facts.fly.checks {
        let kind = check.kind.as_ref();
        if !kind.is_some_and(|kind| matches!(&*kind.value, "http" | "tcp")) {
            let message = format!(
                "Can't process top level check '{}': Missing or invalid check type, must be 'http' or 'tcp'",
                check.name
            );
            say(kind.map_or(&check.span, |kind| &kind.span), message, "type = \"http\"");
        }
    }
    for service in &facts.fly.services {
        let protocol = service.protocol.as_ref();
        if let Some(protocol) = protocol.filter(|one| !matches!(&*one.value, "" | "tcp" | "udp")) {
            say(
                &protocol.span,
                format!("there is no protocol {:?}", protocol.value),
                "write \"tcp\" or \"udp\"",
            );
        }
    }
    for vm in &facts.fly.vms {
        let size = vm.size.as_ref().filter(|_| vm.gpu_kind.is_none() && vm.gpus.is_none());
        let is_gpu = |size: &str| size.starts_with("a10") || size.starts_with("l40s");
        if let Some(size) = size.filter(|size| {
            preset(&size.value).is_none() && !is_gpu(&size.value) && !size.value.is_empty()
        }) {
            let message = format!("invalid machine preset requested: {:?}", size.value);
            say(&size.span, message, "write one such as shared-cpu-1x or performance-2x");
        }
    }
    doubled_vms(facts, &mut say);
    mounts(facts, &mut say);
}

fn doubled_vms(facts: &Facts<'_>, say: &mut impl FnMut(&Range<usize>, String, &str)) {
    let mut seen: Vec<&str> = Vec::new();
    for group in facts.fly.vms.iter().flat_map(|vm| &vm.processes) {
        if seen.contains(&group.value.as_str()) {
            say(
                &group.span,
                format!("2+ compute sections for group {}", group.value),
                "keep one of them",
            );
        }
        seen.push(&group.value);
    }
}

fn mounts(facts: &Facts<'_>, say: &mut impl FnMut(&Range<usize>, String, &str)) {
    let mut seen: Vec<&str> = Vec::new();
    for mount in &facts.fly.mounts {
        let groups = mount.processes.iter().map(|group| group.value.as_str());
        let groups: Vec<_> =
            if mount.processes.is_empty() { vec!["app"] } else { groups.collect() };
        if let Some(group) = groups.iter().find(|group| seen.contains(*group)) {
            let message = format!("group '{group}' has more than one [[mounts]] section defined");
            say(&mount.span, message, "a machine has one volume");
        }
        seen.extend(groups);
        mount_values(mount, say);
    }
}

fn mount_values(mount: &Mount, say: &mut impl FnMut(&Range<usize>, String, &str)) {
    if let Some(destination) = mount.destination.as_ref().filter(|one| one.value == "/") {
        say(
            &destination.span,
            "a volume cannot be mounted on /".to_owned(),
            "write a path such as /data",
        );
    }
    let ranges = [
        ("snapshot_retention", &mount.snapshot_retention, 1..=60),
        ("auto_extend_size_threshold", &mount.auto_extend_size_threshold, 50..=99),
    ];
    for (key, written, range) in ranges {
        let is_out = |value: i64| value != 0 && !range.contains(&value);
        let Some(written) = written.as_ref().filter(|written| is_out(written.value)) else {
            continue;
        };
        let fix = format!("write {} to {}", range.start(), range.end());
        say(&written.span, format!("{key} of {} is out of range", written.value), &fix);
    }
    let sizes = [
        ("auto_extend_size_increment", &mount.auto_extend_size_increment, 1..=100),
        ("auto_extend_size_limit", &mount.auto_extend_size_limit, 1..=500),
    ];
    for (key, written, gigabytes) in sizes {
        let is_out =
            |text: &str| memory_mb(text).is_none_or(|mb| !gigabytes.contains(&mb.div_euclid(1024)));
        let Some(written) = written.as_ref().filter(|written| is_out(&written.value)) else {
            continue;
        };
        let fix = format!("write \"{}GB\" to \"{}GB\"", gigabytes.start(), gigabytes.end());
        say(&written.span, format!("{key} of {:?} is out of range", written.value), &fix);
    }
}

#[cfg(test)]
mod tests {
    use outlast_config::{SourceText, decode_fly};
    use toml_edit::Document;

    use super::*;
    use crate::hints::Hints;

    fn said(text: &str) -> Vec<String> {
        let source = SourceText::new("fly.toml", text);
        let fly = decode_fly("fly.toml", text).unwrap();
        let raw = Document::parse(text).unwrap();
        let hints = Hints::default();
        let mut findings = Vec::new();
        check(&Facts::new(&source, &fly, &raw, None, &hints), &mut findings);
        findings.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn flyctl_s_own_refusals_are_known_and_what_it_takes_is_taken() {
        for (text, wanted) in [
            ("[deploy]\nstrategy = \"blue\"", Some("unsupported deployment strategy 'blue'")),
            ("[deploy]\nstrategy = \"canary\"", None),
            ("console_command = \"sh 'x\"", Some("Can't shell split console command: 'sh 'x'")),
            ("console_command = \"sh 'x'\"", None),
            (
                "[processes]\nweb = \"sh 'x\"",
                Some("Could not parse command for 'web' process group; check [processes] section"),
            ),
            (
                "[checks.a]\ntype = \"udp\"",
                Some(
                    "Can't process top level check 'a': Missing or invalid check type, must be 'http' or 'tcp'",
                ),
            ),
            ("[checks.a]\ntype = \"tcp\"", None),
            ("[[services]]\nprotocol = \"http\"", Some("there is no protocol \"http\"")),
            (
                "[[vm]]\nsize = \"shared-cpu-3x\"",
                Some("invalid machine preset requested: \"shared-cpu-3x\""),
            ),
            ("[[vm]]\nsize = \"performance-16x\"", None),
            ("[[vm]]\nsize = \"a100-40gb\"", None),
            (
                "[[vm]]\nprocesses = [\"a\"]\n[[vm]]\nprocesses = [\"a\"]",
                Some("2+ compute sections for group a"),
            ),
            ("[[vm]]\nprocesses = [\"a\"]\n[[vm]]\nprocesses = [\"b\"]", None),
            (
                "[[mounts]]\n[[mounts]]",
                Some("group 'app' has more than one [[mounts]] section defined"),
            ),
            ("[mounts]\ndestination = \"/\"", Some("a volume cannot be mounted on /")),
            ("[mounts]\nsnapshot_retention = 61", Some("snapshot_retention of 61 is out of range")),
            ("[mounts]\nsnapshot_retention = 60", None),
            (
                "[mounts]\nauto_extend_size_threshold = 49",
                Some("auto_extend_size_threshold of 49 is out of range"),
            ),
            (
                "[mounts]\nauto_extend_size_increment = \"101GB\"",
                Some("auto_extend_size_increment of \"101GB\" is out of range"),
            ),
            ("[mounts]\nauto_extend_size_increment = \"1GB\"", None),
            (
                "[mount]\nauto_extend_size_limit = \"1tb\"",
                Some("auto_extend_size_limit of \"1tb\" is out of range"),
            ),
        ] {
            assert_eq!(said(text), wanted.into_iter().collect::<Vec<_>>(), "{text}");
        }
    }
}
