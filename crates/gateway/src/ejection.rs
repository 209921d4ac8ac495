//! Ejection: a machine that keeps failing exchanges gets no more of them for a while.
//!
//! As Envoy's outlier detection for faults of connections: so many one after the other, for a time that grows, never more than
//! a share of the machines, and never the last that takes traffic: then the one that has been out for longest comes back for it.
//! A machine without any other is not made worse by trying it.

use std::collections::HashMap;

use outlast_admission::MachineKey;
use outlast_runtime::clock;
use std::sync::atomic::Ordering;

use crate::machine::{Checked, Fault, Machine, MachineState};
use crate::service::Service;

/// What came of the wish to eject a machine.
enum Ejection {
    Done,
    /// It is not there, or out already.
    Needless,
    /// Too many are out, or it is the last.
    Withheld,
}

impl Service {
    /// A machine answered an exchange: what it failed before is forgotten. Once for each exchange, so that it costs a
    /// load as long as no machine fails.
    pub(crate) fn answered(&self, key: MachineKey) {
        if self.suspects.load(Ordering::Relaxed) == 0 {
            return;
        }
        let machines = self.machines.read().expect("no panic while held");
        if machines.get(&key).is_some_and(Machine::answers) {
            self.suspects.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A machine failed an exchange before it answered.
    pub(crate) fn failed(&self, key: MachineKey, fault: Fault) {
        let failures = {
            let machines = self.machines.read().expect("no panic while held");
            let Some(machine) = machines.get(&key) else { return };
            machine.fails()
        };
        if failures == 1 {
            self.suspects.fetch_add(1, Ordering::Relaxed);
        }
        if self.eject.failures == 0 || failures < self.eject.failures {
            return;
        }
        match self.eject(key, fault) {
            Ejection::Done => self.ejections_changed.notify_one(),
            Ejection::Needless => {}
            Ejection::Withheld => {
                if self.warned_of_ejection.is_due() {
                    let (service, machine) = (&*self.plan.name, &*self.machine_name(key));
                    let reason = fault.text();
                    tracing::warn!(
                        service,
                        machine,
                        failures,
                        reason,
                        "a machine keeps failing, and stays: too few others take traffic"
                    );
                }
            }
        }
    }

    fn eject(&self, key: MachineKey, fault: Fault) -> Ejection {
        let mut machines = self.machines.write().expect("no panic while held");
        let count = |state| machines.values().filter(|machine| machine.state() == state).count();
        let (ready, ejected) = (count(MachineState::Ready), count(MachineState::Ejected));
        let share = (ready + ejected) * self.eject.share_max as usize / 100;
        if machines.get(&key).is_none_or(|machine| machine.state() != MachineState::Ready) {
            return Ejection::Needless;
        }
        if ready < 2 {
            // One that is out may have recovered, which the last one has not: they change places.
            let out = machines.values_mut().filter(|one| one.state() == MachineState::Ejected);
            let Some(other) = out.min_by_key(|machine| machine.ejected_until()) else {
                return Ejection::Withheld;
            };
            self.readmit(other);
        } else if ejected >= share.max(1) {
            return Ejection::Withheld;
        }
        let Some(machine) = machines.get_mut(&key) else { return Ejection::Needless };
        let time = machine.eject(&self.eject, fault);
        if machine.answers() {
            self.suspects.fetch_sub(1, Ordering::Relaxed);
        }
        tracing::warn!(
            service = self.plan.name,
            machine = &*machine.name,
            reason = machine.reason(),
            time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            "the machine is ejected"
        );
        self.ejections.fetch_add(1, Ordering::Relaxed);
        self.settle(&mut machines);
        Ejection::Done
    }

    /// What a health check of a machine says. One that is not of this service is ignored.
    pub(crate) fn machine_checked(&self, key: MachineKey, checked: Checked<'_>) {
        let mut machines = self.machines.write().expect("no panic while held");
        if let Some(machine) = machines.get_mut(&key) {
            machine.checked(checked);
            self.settle(&mut machines);
        }
    }

    /// Tells admission which machines take traffic now.
    pub(crate) fn settle(&self, machines: &mut HashMap<MachineKey, Machine>) {
        let is_ready = |machine: &Machine| machine.state() == MachineState::Ready;
        if !machines.values().any(is_ready) {
            let ejected = machines.values_mut().filter(|one| one.state() == MachineState::Ejected);
            // Nobody else is left: the one that was to come back first does so now.
            if let Some(machine) = ejected.min_by_key(|machine| machine.ejected_until()) {
                self.readmit(machine);
            }
        }
        for (key, machine) in machines {
            let state = machine.state();
            if state == machine.told {
                continue;
            }
            let was_ready = machine.told == MachineState::Ready;
            machine.tells(state);
            match (was_ready, state) {
                (_, MachineState::Ready) => self.admission.machine_ready(*key),
                (true, _) => self.admission.machine_lost(*key),
                (false, _) => {}
            }
        }
    }

    fn readmit(&self, machine: &mut Machine) {
        if machine.returns() {
            let (service, machine) = (&*self.plan.name, &*machine.name);
            tracing::info!(service, machine, "the machine is no longer ejected");
        }
    }

    /// Ends ejections when their time has come. Sleeps without a timer while there are none. Never ends.
    pub(crate) async fn watch_ejections(&self) {
        loop {
            let changed = self.ejections_changed.notified();
            let next = {
                let mut machines = self.machines.write().expect("no panic while held");
                let now = clock::now();
                let is_due =
                    |machine: &&mut Machine| machine.ejected_until().is_some_and(|end| end <= now);
                machines.values_mut().filter(is_due).for_each(|machine| self.readmit(machine));
                self.settle(&mut machines);
                machines.values().filter_map(Machine::ejected_until).min()
            };
            match next {
                Some(next) => {
                    tokio::select! {
                        () = changed => {}
                        () = clock::sleep_until(next) => {}
                    }
                }
                None => changed.await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use outlast_observe::MachineSlot;
    use outlast_runtime::clock::Instant;

    use super::*;
    use crate::machine::CheckStatus;

    const KEY: MachineKey = MachineKey(0);

    /// Two machines, of which the first has a check.
    fn service() -> Service {
        let fly = "[http_service]\ninternal_port = 8080\n[[http_service.checks]]\n";
        let (env, flags) = (BTreeMap::new(), outlast_config::Flags::default());
        let fly = Some(outlast_config::SourceText::new("fly.toml", fly));
        let sources = outlast_config::Sources { fly, outlast: None, env: &env, flags };
        let plan = outlast_config::check(&sources).expect("it holds").plan;
        let service = Service::new(0, &plan.services[0], &plan);
        for (slot, name) in [(0, "a"), (1, "b")] {
            let address = "127.0.0.1:1".parse().expect("an address");
            service.machine_ready(MachineSlot(slot), name, "app", address);
            checked(&service, MachineKey(slot), CheckStatus::Passing);
        }
        service
    }

    fn checked(service: &Service, key: MachineKey, status: CheckStatus) {
        let checked = Checked { name: "servicecheck-00-http-8080", status, output: "" };
        service.machine_checked(key, checked);
    }

    fn is_out(service: &Service) -> bool {
        service.machines.read().expect("no panic")[&KEY].state() == MachineState::Ejected
    }

    fn fail(service: &Service) {
        (0..5).for_each(|_| service.failed(KEY, Fault::Refused));
    }

    /// How long the machine stays out when it fails now.
    async fn time_out(service: &Service) -> Duration {
        fail(service);
        assert!(is_out(service));
        let out: Instant = clock::now();
        let back = async {
            while is_out(service) {
                clock::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            () = service.watch_ejections() => unreachable!("it never ends"),
            () = back => out.elapsed(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_ejection_is_twice_as_long_until_the_machine_has_held() {
        let service = service();
        for seconds in [10, 20, 40, 80, 160, 300, 300] {
            // Looked at once a second.
            let out = time_out(&service).await.as_secs();
            assert!((seconds..=seconds + 1).contains(&out), "{out} s instead of {seconds}");
        }
        clock::sleep(Duration::from_secs(301)).await;
        assert!(time_out(&service).await.as_secs() <= 11, "it begins anew");
        assert_eq!(service.suspects.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_recovers_ends_it_and_one_that_goes_on_passing_does_not() {
        let service = service();
        fail(&service);
        checked(&service, KEY, CheckStatus::Passing);
        assert!(is_out(&service));
        checked(&service, KEY, CheckStatus::Critical);
        checked(&service, KEY, CheckStatus::Passing);
        assert!(!is_out(&service));
        assert_eq!(service.admission.usage().machines.iter().filter(|one| one.is_ready).count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_that_takes_traffic_is_never_out_whoever_fails() {
        let service = service();
        fail(&service);
        assert!(is_out(&service));
        let ready = || service.admission.usage().machines.iter().filter(|one| one.is_ready).count();
        for _ in 0..50 {
            service.failed(MachineKey(1), Fault::Closed);
            assert_eq!(ready(), 1, "they change places");
        }
        assert_eq!(
            service.ejections.load(Ordering::Relaxed),
            2,
            "the one that is back fails nothing"
        );
        fail(&service);
        // The other is unhealthy: better one that failed than none.
        checked(&service, MachineKey(1), CheckStatus::Critical);
        assert!(!is_out(&service));
        assert!(service.admission.usage().machines.iter().any(|one| one.is_ready));
    }
}
