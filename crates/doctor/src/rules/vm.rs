//! FLY607, FLY609 and FLY610: sizes and restarts of machines.

use outlast_config::fly::Vm;

use crate::facts::{Facts, cpus, preset};
use crate::finding::{Confidence, Finding, Severity};
use crate::fix::{Change, Edit, Step};

pub(super) fn check(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for (index, vm) in facts.fly.vms.iter().enumerate() {
        findings.extend(written_twice(facts, vm, index));
        findings.extend(size_against_cpus(facts, vm));
        findings.extend(memory(facts, vm));
    }
    findings.extend(restarts(facts));
}

fn written_twice(facts: &Facts<'_>, vm: &Vm, index: usize) -> Option<Finding> {
    let (memory, mb) = (vm.memory.as_ref()?, vm.memory_mb.as_ref()?);
    let same = memory.value == mb.value;
    let (severity, message) = if same {
        (Severity::Info, "memory and memory_mb say the same".to_owned())
    } else {
        (Severity::Low, format!("memory says {} MB, and memory_mb {}", memory.value, mb.value))
    };
    let edit = Edit {
        path: vec![Step::Key("vm"), Step::Item(index), Step::Key("memory_mb")],
        change: Change::Remove,
    };
    Some(
        Finding::new("FLY607", severity, Confidence::Likely, message)
            .at(facts.source, &mb.span)
            .also(facts.source, &memory.span, "the other one")
            .so("the next person changes one of them, and the other one holds")
            .fix("keep memory")
            .edit(Some(edit).filter(|_| same)),
    )
}

/// A memory beside a size is the usual way to give a machine more of it. Less, or other CPUs, is hardly meant.
fn size_against_cpus(facts: &Facts<'_>, vm: &Vm) -> Option<Finding> {
    let size = vm.size.as_ref()?;
    let (count, mb, shared) = preset(&size.value)?;
    let cpus = vm.cpus.as_ref().filter(|cpus| u64::try_from(cpus.value) != Ok(count));
    let kind = vm.cpu_kind.as_ref().filter(|kind| (kind.value == "shared") != shared);
    let memory = vm.memory_mb.as_ref().or(vm.memory.as_ref());
    let less = memory.filter(|memory| {
        u64::try_from(memory.value).is_ok_and(|written| written > 0 && written < mb)
    });
    let (span, what) = match (kind, cpus, less) {
        (Some(kind), _, _) => (&kind.span, format!("cpu_kind = {:?}", kind.value)),
        (_, Some(cpus), _) => (&cpus.span, format!("cpus = {}", cpus.value)),
        (_, _, Some(memory)) => (&memory.span, format!("{} MB of memory", memory.value)),
        _ => return None,
    };
    Some(
        Finding::new(
            "FLY607",
            Severity::Low,
            Confidence::Likely,
            format!("size is {}, and {what} overrides it", size.value),
        )
        .at(facts.source, &size.span)
        .also(facts.source, span, "what holds")
        .so("size has the lowest precedence: the machine is not the one it names")
        .fix("one of them"),
    )
}

fn memory(facts: &Facts<'_>, vm: &Vm) -> Option<Finding> {
    let written = vm.memory_mb.as_ref().or(vm.memory.as_ref())?;
    // Machines with GPUs have sizes of their own.
    if vm.gpus.is_some() || vm.gpu_kind.is_some() {
        return None;
    }
    let (shared, cpus) = cpus(vm);
    let (least, most) = if shared { (256 * cpus, 2048 * cpus) } else { (2048 * cpus, 8192 * cpus) };
    let mb = u64::try_from(written.value).unwrap_or(0);
    let kind = if shared { "shared" } else { "performance" };
    let why = if mb == 0 {
        "no size at all".to_owned()
    } else if mb % 256 != 0 {
        "not a multiple of 256 MB".to_owned()
    } else if mb < least || mb > most {
        format!(
            "outside the {least} to {most} MB of {}",
            super::concurrency::count(u32::try_from(cpus).unwrap_or(1), &format!("{kind} CPU"))
        )
    } else {
        return None;
    };
    Some(
        Finding::new(
            "FLY609",
            Severity::Error,
            Confidence::Likely,
            format!("memory of {mb} MB is {why}"),
        )
        .at(facts.source, &written.span)
        .so("the API refuses the machine, and the deployment fails")
        .fix(format!(
            "memory = \"{}mb\", or more CPUs",
            mb.next_multiple_of(256).clamp(least, most)
        )),
    )
}

fn restarts(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for policy in facts.fly.restarts.iter().filter_map(|restart| restart.policy.as_ref()) {
        if !matches!(policy.value.as_str(), "always" | "never" | "on-failure" | "") {
            findings.push(
                Finding::new(
                    "FLY610",
                    Severity::Error,
                    Confidence::Certain,
                    format!("invalid restart policy: {}", policy.value),
                )
                .at(facts.source, &policy.span)
                .so("flyctl refuses the file")
                .fix("\"on-failure\", \"always\" or \"never\""),
            );
        }
        let stop = facts.services.iter().find_map(|service| service.autostop());
        if let (Some(stop), "always") = (stop, policy.value.as_str()) {
            findings.push(
                Finding::new(
                    "FLY610",
                    Severity::Low,
                    Confidence::Likely,
                    "restart policy \"always\" \
                beside autostop",
                )
                .at(facts.source, &policy.span)
                .also(facts.source, &stop.span, "what stops machines")
                .so("an app that exits on purpose when idle is started again, and the two work \
                    against each other")
                .fix("policy = \"on-failure\""),
            );
        }
    }
    findings
}
