//! Limits of a service: what was written, what Fly makes of it, what flags make of that.

use std::num::NonZeroU32;
use std::ops::Range;

use super::{Checker, Picked};
use crate::diagnostic::Diagnostic;
use crate::fly::Concurrency;
use crate::plan::{Accounting, Limits, ServiceKind};
use crate::setting::Setting;
use crate::source::{Located, Origin};

/// Fly's soft limit where none is written. Its hard limit is none, its type `connections`.
const FLY_SOFT_LIMIT: NonZeroU32 = NonZeroU32::new(20).expect("it is 20");

/// What flags and variables say of the first HTTP service.
#[derive(Default)]
pub(super) struct Overrides {
    pub(super) accounting: Option<Picked<Accounting>>,
    pub(super) hard: Option<Picked<u32>>,
    pub(super) soft: Option<Picked<u32>>,
}

/// Whose defaults hold where nothing is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Base<'a> {
    /// Fly's: the service comes from a `fly.toml`, perhaps with a `concurrency` section.
    Fly(Option<&'a Concurrency>),
    /// Ours: requests, without limits.
    Own,
}

impl Checker<'_> {
    /// Where the first HTTP service listens is not among them; it is asked for separately.
    pub(super) fn overrides(&mut self) -> Overrides {
        let flags = &self.sources.flags;
        let (accounting, hard, soft) = (flags.accounting, flags.hard_limit, flags.soft_limit);
        Overrides {
            accounting: self.pick_flag("OUTLAST_TYPE", accounting),
            hard: self.pick_flag("OUTLAST_HARD_LIMIT", hard),
            soft: self.pick_flag("OUTLAST_SOFT_LIMIT", soft),
        }
    }

    pub(super) fn limits(
        &mut self,
        name: &str,
        kind: ServiceKind,
        base: Base<'_>,
        overrides: Overrides,
    ) -> Limits {
        let written = match base {
            Base::Fly(concurrency) => concurrency.cloned().unwrap_or_default(),
            Base::Own => Concurrency::default(),
        };
        let accounting = match overrides.accounting {
            Some(accounting) => accounting,
            None => self.accounting(kind, base, written.kind),
        };
        let hard = match overrides.hard {
            Some(hard) => Picked { value: NonZeroU32::new(hard.value), origin: hard.origin },
            None => self.limit("hard_limit", written.hard_limit, None),
        };
        let soft_default = matches!(base, Base::Fly(_)).then_some(FLY_SOFT_LIMIT);
        let soft = match overrides.soft {
            Some(soft) => Picked { value: NonZeroU32::new(soft.value), origin: soft.origin },
            None => self.limit("soft_limit", written.soft_limit, soft_default),
        };
        self.warn_inverted(&hard, &soft);
        let limits = Limits { accounting: accounting.value, soft: soft.value, hard: hard.value };
        self.value(format!("service.{name}.type"), accounting.value.show(), accounting.origin);
        self.value(format!("service.{name}.hard_limit"), show(hard.value), hard.origin);
        self.value(format!("service.{name}.soft_limit"), show(soft.value), soft.origin);
        limits
    }

    fn accounting(
        &mut self,
        kind: ServiceKind,
        base: Base<'_>,
        written: Option<Located<String>>,
    ) -> Picked<Accounting> {
        let default = match base {
            Base::Fly(_) => Accounting::Connections,
            Base::Own => Accounting::Requests,
        };
        let Some(written) = written.filter(|written| !written.value.is_empty()) else {
            return Picked { value: default, origin: Origin::Default };
        };
        let origin = self.fly_at(&written.span);
        let value = match written.value.parse() {
            Ok(Accounting::Requests) if kind == ServiceKind::Tcp => {
                let note = "connections are counted: there are no requests on a port without the handler http";
                self.say(Diagnostic::note(note).at(origin.clone()));
                Accounting::Connections
            }
            Ok(value) => value,
            Err(_) => {
                let message = format!("{:?} is no concurrency type", written.value);
                let hint = "write \"connections\" or \"requests\", or override it by --type";
                self.say(Diagnostic::error(message).at(origin.clone()).hint(hint));
                default
            }
        };
        Picked { value, origin }
    }

    /// 0 equals absent, as on Fly.
    fn limit(
        &mut self,
        key: &str,
        written: Option<Located<i64>>,
        default: Option<NonZeroU32>,
    ) -> Picked<Option<NonZeroU32>> {
        let Some(written) = written.filter(|written| written.value != 0) else {
            return Picked { value: default, origin: Origin::Default };
        };
        let origin = self.fly_at(&written.span);
        let value = u32::try_from(written.value).ok().and_then(NonZeroU32::new);
        if value.is_none() {
            let message = format!("`{key}` is {}, which no machine can count to", written.value);
            let hint = format!("write a number from 1 to {}, or leave it out", u32::MAX);
            self.say(Diagnostic::error(message).at(origin.clone()).hint(hint));
        }
        Picked { value, origin }
    }

    fn warn_inverted(
        &mut self,
        hard: &Picked<Option<NonZeroU32>>,
        soft: &Picked<Option<NonZeroU32>>,
    ) {
        let (Some(hard_limit), Some(soft_limit)) = (hard.value, soft.value) else { return };
        // Fly's own soft limit above a low hard limit is nobody's mistake.
        if hard_limit >= soft_limit || soft.origin == Origin::Default {
            return;
        }
        let enough = u64::from(soft_limit.get()) * 5 / 4;
        let message = format!("hard_limit ({hard_limit}) is below soft_limit ({soft_limit})");
        let hint = format!(
            "a machine is refused work before it is ever deprioritised; set hard_limit to {enough} or more"
        );
        self.say(Diagnostic::warning(message).at(hard.origin.clone()).hint(hint));
    }

    /// Says of each override that there is nothing to override.
    pub(super) fn refuse_overrides(&mut self, listen: Option<Origin>, overrides: Overrides) {
        let Overrides { accounting, hard, soft } = overrides;
        let origins = [
            listen,
            accounting.map(|one| one.origin),
            hard.map(|one| one.origin),
            soft.map(|one| one.origin),
        ];
        for origin in origins.into_iter().flatten() {
            let error = Diagnostic::error("there is no HTTP service for this to override");
            let hint = "it is for the first HTTP service; other services take their limits from fly.toml, and --port moves them";
            self.say(error.at(origin).hint(hint));
        }
    }

    /// A port as the network has them.
    pub(super) fn port(&mut self, key: &str, number: i64, span: &Range<usize>) -> Option<u16> {
        let port = u16::try_from(number).ok().filter(|port| *port != 0);
        if port.is_none() {
            let error = Diagnostic::error(format!("`{key}` is {number}, which is no port"));
            self.say(error.at(self.fly_at(span)).hint("ports are 1 to 65535"));
        }
        port
    }
}

fn show(limit: Option<NonZeroU32>) -> String {
    limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())
}
