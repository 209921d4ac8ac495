//! Plans of the drill as the load of a what-if, so that the drill can confirm what was predicted.

use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use outlast_doctor::whatif::{Behaviour, Class, Load, Retry, USERS_MAX, User};
use outlast_drill::{Client, Plan, Reclick, RetryAfter};
use outlast_runtime::random::Seeded;

use super::{RETRY_AFTER, Source};
use crate::drill::plan;
use crate::failure::Failure;

/// The plan of this name or file. None: what is wrong with it is told.
pub(super) fn source(name: &Path) -> Result<Option<Source>, Failure> {
    let Some(plan) = plan(&name.to_string_lossy())? else { return Ok(None) };
    let users = plan.schedule(0).len();
    if users > USERS_MAX {
        let error = anyhow!("{users} streams are more than a what-if takes");
        return Err(Failure::config(error).hint(format!("plan at most {USERS_MAX}")));
    }
    let told = format!("the drill plan {}: {}", plan.name, plan.story);
    Ok(Some(Source { draw: Box::new(move |seed| load(&plan, seed)), told }))
}

/// The same streams as the drill has with this seed.
fn load(plan: &Plan, seed: u64) -> Load {
    let groups = plan.loads.iter().map(|load| Behaviour {
        patience: None,
        retry: match load.reclick {
            Reclick::Never => Retry::Never,
            Reclick::Again { wait, times, retry_after } => Retry::Again {
                wait,
                times,
                at_least: match retry_after {
                    RetryAfter::Heed => RETRY_AFTER,
                    RetryAfter::Ignore => Duration::ZERO,
                },
            },
        },
    });
    let users = plan.schedule(seed).into_iter().map(|start| User {
        at: start.at,
        holding: match plan.loads[start.load].client {
            // They close the tab, which frees the place.
            Client::Leave(after) => after.draw(&mut Seeded::new(start.seed)).min(start.length),
            _ => start.length,
        },
        client: 0,
        class: Class::Ordinary,
        group: u16::try_from(start.load).unwrap_or(0),
    });
    Load { users: users.collect(), groups: groups.collect() }
}
