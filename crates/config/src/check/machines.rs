//! Which machines there are and what they run.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use super::services::{HTTP_SERVICE, overlap};
use super::{Checker, Fly, Picked};
use crate::diagnostic::Diagnostic;
use crate::duration::format_duration;
use crate::fly;
use crate::plan::{Command, Group, KillSignal, Machines, Service};
use crate::setting::{CommandLine, Setting};
use crate::source::{Located, Origin};

/// The group of a `fly.toml` without `[processes]`.
const IMPLICIT_GROUP: &str = "app";

/// CFG of the Fly documentation, and what its logs show.
const KILL_SIGNAL: KillSignal = KillSignal::Int;
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
const KILL_TIMEOUT_MAX: Duration = Duration::from_secs(300);

impl Checker<'_> {
    pub(super) fn machines(
        &mut self,
        fly: &Fly,
        services: &[Service],
        command: Option<Picked<Vec<String>>>,
    ) -> Machines {
        let kill_signal = self.kill_signal(fly);
        let kill_timeout = self.kill_timeout(fly);
        let count = self.count();
        if !self.sources.flags.to.is_empty() {
            return self.fixed(count.as_ref(), command.as_ref());
        }
        let count = count.unwrap_or(Picked { value: NonZeroU32::MIN, origin: Origin::Default });
        let commands = self.commands(fly, command);
        let groups = commands.into_iter().map(|(name, command)| {
            self.value(format!("machine.{name}.command"), show(&command.value), command.origin);
            self.value(
                format!("machine.{name}.count"),
                count.value.to_string(),
                count.origin.clone(),
            );
            let env = env(fly, services, &command.value);
            let (command, count) = (command.value, count.value);
            Group { name, command, count, env, kill_signal, kill_timeout }
        });
        let groups: Vec<_> = groups.collect();
        self.show_env(fly, services, &groups);
        for service in services {
            self.check_port(service, services, &groups, &count.origin);
        }
        Machines::Local(groups)
    }

    /// The names of the machines' variables, and what becomes of their values, which may be secrets.
    fn show_env(&mut self, fly: &Fly, services: &[Service], groups: &[Group]) {
        let is_port = |value: &String| {
            services.iter().any(|service| service.internal_port.to_string() == *value)
        };
        let all: BTreeMap<_, _> = groups.iter().flat_map(|group| &group.env).collect();
        for (name, value) in all {
            let written = fly.as_ref().and_then(|fly| fly.env.get(name));
            let origin = written.map_or(Origin::Default, |one| self.fly_at(&one.span));
            let becomes = if is_port(value) { "rewritten per machine" } else { "not shown" };
            self.value(format!("env.{name}"), becomes, origin);
        }
    }

    fn fixed(
        &mut self,
        count: Option<&Picked<NonZeroU32>>,
        command: Option<&Picked<Vec<String>>>,
    ) -> Machines {
        let to = self.sources.flags.to.clone();
        let addresses: Vec<_> = to.iter().map(ToString::to_string).collect();
        self.value("machine.to", addresses.join(", "), Origin::Flag("--to"));
        // What was asked for in the same breath is a mistake; what stands in a file or variable is for other days.
        let command = command.filter(|command| command.origin == Origin::Flag("--"));
        let count = count.filter(|count| count.origin == Origin::Flag("--machines"));
        let origins =
            command.map(|one| &one.origin).into_iter().chain(count.map(|one| &one.origin));
        for origin in origins {
            let error = Diagnostic::error("--to starts no machines, it uses what already runs");
            self.say(error.at(origin.clone()).hint("leave out one of the two"));
        }
        Machines::Fixed(to)
    }

    fn count(&mut self) -> Option<Picked<NonZeroU32>> {
        let flag = self.sources.flags.machines.map(NonZeroU32::get);
        let picked = self.pick_flag("OUTLAST_MACHINES", flag)?;
        let Some(value) = NonZeroU32::new(picked.value) else {
            let error = Diagnostic::error("0 machines serve nobody");
            self.say(error.at(picked.origin).hint("write 1 or more"));
            return None;
        };
        Some(Picked { value, origin: picked.origin })
    }

    /// The groups and what each runs.
    fn commands(
        &mut self,
        fly: &Fly,
        command: Option<Picked<Vec<String>>>,
    ) -> Vec<(String, Picked<Command>)> {
        let processes = fly.as_ref().map(|fly| &fly.processes).filter(|all| !all.is_empty());
        let Some(processes) = processes else {
            let command = self.command_or_desktop(fly, command);
            return vec![(IMPLICIT_GROUP.to_owned(), command)];
        };
        if let Some(command) = command.as_ref().filter(|one| one.origin == Origin::Flag("--")) {
            let warning =
                Diagnostic::warning("the command after `--` is not used: fly.toml has [processes]");
            self.say(
                warning.at(command.origin.clone()).hint("take [processes] out, or the command"),
            );
        }
        let mut commands = Vec::new();
        for (name, written) in processes {
            let picked = if written.value.is_empty() {
                // On Fly that is what the image runs by itself.
                self.command_or_desktop(fly, command.clone())
            } else {
                let words = self.process(name, written);
                Picked { value: Command::Program(words), origin: self.fly_at(&written.span) }
            };
            commands.push((name.clone(), picked));
        }
        commands
    }

    fn command_or_desktop(
        &mut self,
        fly: &Fly,
        command: Option<Picked<Vec<String>>>,
    ) -> Picked<Command> {
        if let Some(command) = command {
            return Picked { value: Command::Program(command.value), origin: command.origin };
        }
        // Whoever has errors to mend has no use for it yet.
        if fly.is_some() && self.errors() == 0 {
            let note = Diagnostic::note(
                "the desktop, `outlast serve`, stands in for the app: nothing says what to run",
            );
            self.say(note.hint(
                "name a command after `--`, or as `command` under [machine] in outlast.toml",
            ));
        }
        Picked { value: Command::Desktop, origin: Origin::Default }
    }

    fn process(&mut self, group: &str, written: &Located<String>) -> Vec<String> {
        CommandLine::from_text(&written.value).map_or_else(
            |_| {
                let message = format!(
                    "Could not parse command for '{group}' process group; check [processes] section: \
                     a quote is not closed, or nothing is named"
                );
                self.say(Diagnostic::error(message).at(self.fly_at(&written.span)));
                Vec::new()
            },
            |line| line.0,
        )
    }

    /// Fly's own rules and words.
    pub(super) fn check_groups(&mut self, fly: &fly::Written, common: &fly::Common) {
        let count = fly.processes.len();
        if common.processes.is_empty() && count > 0 {
            let message = format!(
                "Service has no processes set but app has {count} processes defined; \
                 update fly.toml to set processes for each service"
            );
            self.say(Diagnostic::error(message).at(self.fly_at(&common.span)));
        }
        for group in &common.processes {
            let name = &group.value;
            if !Self::is_group(fly, name) {
                let message = format!(
                    "Service specifies '{name}' as one of its processes, but no processes are defined with that name; \
                     update fly.toml [processes] to add '{name}' process or remove it from service's processes list"
                );
                self.say(Diagnostic::error(message).at(self.fly_at(&group.span)));
            }
        }
    }

    pub(super) fn is_group(fly: &fly::Written, name: &str) -> bool {
        let processes = &fly.processes;
        if processes.is_empty() { name == IMPLICIT_GROUP } else { processes.contains_key(name) }
    }

    /// A program learns its port from its environment, or always takes the same one, which only one can have.
    fn check_port(
        &mut self,
        service: &Service,
        services: &[Service],
        groups: &[Group],
        count: &Origin,
    ) {
        let port = service.internal_port;
        let stubborn = |group: &&Group| {
            let told = group.env.values().any(|value| *value == port.to_string());
            serves(group, service) && group.command != Command::Desktop && !told
        };
        let takers: u64 =
            groups.iter().filter(stubborn).map(|group| u64::from(group.count.get())).sum();
        if takers == 0 {
            return;
        }
        let hint = format!(
            "if the app reads its port from a variable, add it to [env]: PORT = \"{port}\""
        );
        let at = self.origin_of(&format!("service.{}.internal_port", service.name));
        if takers > 1 {
            let message = format!(
                "{takers} machines cannot share port {port}: no value in [env] is {port}, so each would take that port"
            );
            let at = if *count == Origin::Default { at.clone() } else { count.clone() };
            self.say(Diagnostic::error(message).at(at).hint(hint.clone()));
        }
        let app = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let Some(gateway) = services.iter().find(|one| overlap(one.listen, app)) else { return };
        let message = format!(
            "the app takes port {port}, and service {} listens on {}: both cannot have it",
            gateway.name, gateway.listen
        );
        let flag = if gateway.name == HTTP_SERVICE { "--listen" } else { "--port" };
        self.say(
            Diagnostic::error(message).at(at).hint(format!("{hint}; {flag} moves the service")),
        );
    }

    fn kill_signal(&mut self, fly: &Fly) -> KillSignal {
        let written = fly.as_ref().and_then(|fly| fly.kill_signal.as_ref());
        let Some(written) = written.filter(|written| !written.value.is_empty()) else {
            self.value("kill_signal", format!("{:?}", KILL_SIGNAL.name()), Origin::Default);
            return KILL_SIGNAL;
        };
        let origin = self.fly_at(&written.span);
        let signal = KillSignal::from_name(&written.value).unwrap_or_else(|| {
            let names: Vec<_> = KillSignal::ALL.iter().map(|signal| signal.name()).collect();
            let error =
                Diagnostic::error(format!("{:?} is no signal that stops a machine", written.value));
            self.say(
                error.at(origin.clone()).hint(format!("the signals are {}", names.join(", "))),
            );
            KILL_SIGNAL
        });
        self.value("kill_signal", format!("{:?}", signal.name()), origin);
        signal
    }

    fn kill_timeout(&mut self, fly: &Fly) -> Duration {
        let Some(written) = fly.as_ref().and_then(|fly| fly.kill_timeout.as_ref()) else {
            self.value("kill_timeout", KILL_TIMEOUT.show(), Origin::Default);
            return KILL_TIMEOUT;
        };
        let origin = self.fly_at(&written.span);
        let Ok(nanoseconds) = u64::try_from(written.value.0) else {
            let error = Diagnostic::error("`kill_timeout` is negative");
            self.say(error.at(origin).hint("write seconds from 0 to 300"));
            return KILL_TIMEOUT;
        };
        let asked = Duration::from_nanos(nanoseconds);
        if asked > KILL_TIMEOUT_MAX {
            let message = format!(
                "`kill_timeout` of {} is cut to 300s, the most that Fly grants",
                format_duration(asked)
            );
            self.say(Diagnostic::note(message).at(origin.clone()));
        }
        let granted = asked.min(KILL_TIMEOUT_MAX);
        self.value("kill_timeout", granted.show(), origin);
        granted
    }
}

fn serves(group: &Group, service: &Service) -> bool {
    service.groups.is_empty() || service.groups.contains(&group.name)
}

/// `[env]`; without a `fly.toml` a program is told its port the way most expect it.
fn env(fly: &Fly, services: &[Service], command: &Command) -> BTreeMap<String, String> {
    match (fly, command, services.first()) {
        (Some(fly), ..) => {
            fly.env.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect()
        }
        (None, Command::Program(_), Some(service)) => {
            BTreeMap::from([("PORT".to_owned(), service.internal_port.to_string())])
        }
        _ => BTreeMap::new(),
    }
}

fn show(command: &Command) -> String {
    match command {
        Command::Desktop => "the desktop".to_owned(),
        Command::Program(words) => CommandLine(words.clone()).show(),
    }
}
