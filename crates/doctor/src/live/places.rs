//! Who holds the places of a service, by state.

use outlast_protocol::pool::{Exchange, Service};

use super::snapshot::Snapshot;

/// Exchanges that are in a machine, by what they do, and connections that nobody uses.
#[derive(Debug, Default)]
pub(super) struct Places<'s> {
    /// All machines that take traffic together. None: there is no hard limit.
    pub(super) hard: Option<u64>,
    /// Under the limits, lingering connections included.
    pub(super) taken: u64,
    /// Upstream connections that keep their place unused.
    pub(super) lingering: u64,
    /// A byte passed within 5 s.
    pub(super) active: Vec<&'s Exchange>,
    /// Silent, everything acknowledged: an agent at work. A tunnel that is silent both ways is told with them.
    pub(super) silent: Vec<&'s Exchange>,
    pub(super) slow: Vec<&'s Exchange>,
    pub(super) zombies: Vec<&'s Exchange>,
    /// They wait for a place, the longest wait first.
    pub(super) queued: Vec<&'s Exchange>,
    /// Of those in a machine, how many have a client connection that the kernel tells of.
    pub(super) seen_by_kernel: u64,
}

impl<'s> Places<'s> {
    pub(super) fn of(snapshot: &'s Snapshot, service: &'s Service) -> Self {
        let ready = service.machines.iter().filter(|machine| machine.state == "ready").count();
        let mut places = Self {
            hard: service.limits.hard.map(|hard| u64::from(hard) * ready as u64),
            taken: service.in_flight.into(),
            lingering: service.lingering.into(),
            ..Self::default()
        };
        for exchange in snapshot.of(service) {
            if exchange.stage == "receiving" {
                continue;
            }
            let is_heard = exchange.state != "queued" && exchange.client_socket.is_some();
            places.seen_by_kernel += u64::from(is_heard);
            let state = match &*exchange.state {
                "queued" => &mut places.queued,
                "zombie" => &mut places.zombies,
                "slow reader" => &mut places.slow,
                "active" => &mut places.active,
                _ => &mut places.silent,
            };
            state.push(exchange);
        }
        places.queued.sort_by_key(|exchange| std::cmp::Reverse(exchange.age_ms));
        places
    }

    /// Those in a machine.
    pub(super) fn holders(&self) -> impl Iterator<Item = &'s Exchange> {
        let all = [&self.active, &self.silent, &self.slow, &self.zombies];
        all.into_iter().flatten().copied()
    }

    /// Working streams: alive, and taken from as they come.
    pub(super) fn working(&self) -> u64 {
        (self.active.len() + self.silent.len()) as u64
    }

    pub(super) fn held(&self) -> u64 {
        self.holders().count() as u64
    }

    /// Every machine that takes traffic has come to its hard limit, and there is one.
    pub(super) fn is_full(&self) -> bool {
        self.hard.is_some_and(|hard| hard > 0 && self.taken >= hard)
    }

    /// Percent of the hard limit. None without one, or without a machine.
    pub(super) fn usage(&self) -> Option<u64> {
        self.hard.filter(|hard| *hard > 0).map(|hard| self.taken * 100 / hard)
    }

    /// Somebody is short of places: refused or kept waiting, or four fifths are taken.
    pub(super) fn are_short(&self, refused: u64) -> bool {
        refused > 0 || !self.queued.is_empty() || self.usage().is_some_and(|usage| usage >= 80)
    }

    pub(super) fn oldest(&self) -> Option<&'s Exchange> {
        self.holders().max_by_key(|exchange| exchange.age_ms)
    }
}

/// For how long a zombie's questions have been unanswered, by whichever end knows longer.
pub(super) fn unanswered(exchange: &Exchange) -> u64 {
    let ends = [&exchange.client_socket, &exchange.machine_socket].into_iter().flatten();
    ends.filter_map(|socket| socket.unanswered_ms).max().unwrap_or_default()
}
