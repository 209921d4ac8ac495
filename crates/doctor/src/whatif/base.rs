//! How a service is now, by its files.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use outlast_admission::{Limits, Linger, Settings};
use outlast_config::read::{listed, nearest};
use outlast_config::{Diagnostic, Flags, Plan, Service, ServiceKind, Sources, check, decode_fly};

use super::variant::Variant;
use crate::facts::memory_of;
use crate::hints::{self, Basis, Hints};
use crate::review::Files;

/// A service as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Base {
    /// Its name, such as `http`.
    pub service: String,
    /// What decides who gets a place.
    pub variant: Variant,
    /// Bytes that a stream needs.
    pub memory_per_stream: u64,
    /// Control calls go by these paths.
    pub plan: Plan,
    /// What was assumed for it, a sentence each.
    pub assumed: Vec<String>,
}

/// Why it is not known how a service is.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BaseError {
    /// The files hold no plan.
    #[error("the configuration does not hold")]
    Broken(Vec<Diagnostic>),
    /// There is no service of that name.
    #[error("there is no service {given:?}")]
    NoService {
        /// What was asked for.
        given: String,
        /// What to write instead.
        hint: String,
    },
}

impl Base {
    /// Reads it from the files: limits as the gateway would keep them, machines and memory as the hints tell. Without a name it
    /// is the first service that has a hard limit, or else the first.
    ///
    /// # Errors
    /// The files are wrong, or have no such service.
    pub fn read(
        files: &Files<'_>,
        hints: &Hints,
        service: Option<&str>,
    ) -> Result<Self, BaseError> {
        let env = BTreeMap::new();
        let sources = Sources {
            fly: Some(files.fly.clone()),
            outlast: files.outlast.cloned(),
            env: &env,
            flags: Flags::default(),
        };
        let plan = check(&sources).map_err(BaseError::Broken)?.plan;
        let fly = decode_fly(&files.fly.name, &files.fly.text).map_err(BaseError::Broken)?;
        let chosen = choose(&plan, service)?;
        let machines = hints::machines(hints, &fly);
        let per_stream = hints::memory_per_stream(hints, &fly);
        let memory = memory_of(&fly, chosen.groups.first().map(String::as_str));
        let mut assumed = Vec::new();
        for basis in [&machines.basis, &per_stream.basis] {
            if let Basis::Seen(why) | Basis::Guessed(why) = basis {
                assumed.push(why.clone());
            }
        }
        let machines = NonZeroU32::new(machines.value).unwrap_or(NonZeroU32::MIN);
        Ok(Self {
            service: chosen.name.clone(),
            variant: variant(&plan, chosen, machines, memory.mb),
            memory_per_stream: per_stream.value,
            assumed,
            plan,
        })
    }
}

fn choose<'p>(plan: &'p Plan, name: Option<&str>) -> Result<&'p Service, BaseError> {
    let Some(name) = name else {
        let limited = plan.services.iter().find(|service| service.limits.hard.is_some());
        return Ok(limited.unwrap_or(&plan.services[0]));
    };
    let found = plan.services.iter().find(|service| service.name == name);
    found.ok_or_else(|| {
        let names: Vec<_> = plan.services.iter().map(|service| &*service.name).collect();
        let hint = match nearest(name, &names) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("services are {}", listed(&names)),
        };
        BaseError::NoService { given: name.to_owned(), hint }
    })
}

/// What the gateway makes of the plan.
fn variant(plan: &Plan, service: &Service, machines: NonZeroU32, memory_mb: u64) -> Variant {
    let is_http = service.kind == ServiceKind::Http;
    Variant {
        accounting: service.limits.accounting,
        settings: Settings {
            limits: Limits { soft: service.limits.soft, hard: service.limits.hard },
            linger: match plan.upstream.linger {
                outlast_config::Linger::Hold => Linger::Hold,
                outlast_config::Linger::Evict => Linger::Evict,
            },
            queue_depth_max: plan.queue.depth_max,
            reserve_slots: if is_http { plan.reserve.slots } else { 0 },
        },
        machines,
        queue_timeout: plan.queue.timeout,
        // A raw connection closes with its client's.
        idle_timeout: if is_http { plan.upstream.idle_timeout } else { Duration::ZERO },
        memory_mb: Some(memory_mb),
    }
}
