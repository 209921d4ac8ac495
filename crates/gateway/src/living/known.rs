//! What is remembered of all sockets, and which of them is an exchange's.
//!
//! An exchange knows the other end of a connection and the port at ours. Behind a listener at an unspecified address that may be
//! said of several sockets: a kernel uses one port for connections to two of our addresses, and a busy proxy that knows both does
//! that. Each of them is remembered by itself; what is told of the exchange is what holds for all of them, however it is with one.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use outlast_sockets::Socket;

use super::socket::{Look, Reading, Suspect, is_suspect};

/// The first and the last of all addresses, as they are ordered.
const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const LAST: IpAddr = IpAddr::V6(Ipv6Addr::from_bits(u128::MAX));

/// A socket, and where exchanges look for it: those that differ in our address alone are neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    peer: SocketAddr,
    port: u16,
    local: IpAddr,
}

/// A connection as an exchange knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sought {
    pub(crate) peer: SocketAddr,
    pub(crate) port: u16,
    /// None: any of ours.
    pub(crate) local: Option<IpAddr>,
}

#[derive(Debug)]
struct Remembered {
    suspect: Suspect,
    /// The last look at which a socket that is no suspect was, or may have been, a neighbour of this one.
    beside_healthy: u32,
}

/// The sockets of the last looks.
#[derive(Debug, Default)]
pub(crate) struct Known {
    look: Option<Look>,
    is_whole: bool,
    suspects: BTreeMap<Key, Remembered>,
    /// Of all sockets, while somebody asks for it.
    readings: Option<BTreeMap<Key, Reading>>,
}

impl Known {
    /// A look begins; `is_asked`: everything it tells is kept.
    pub(crate) fn begin(&mut self, look: Look, is_asked: bool) {
        (self.look, self.is_whole) = (Some(look), false);
        self.readings = is_asked.then(BTreeMap::new);
    }

    /// The look has come to this socket.
    pub(crate) fn see(&mut self, socket: &Socket) {
        let Some(look) = self.look else { return };
        let is_suspect = is_suspect(socket);
        // Nothing is remembered of most sockets, and nothing to be told.
        if !is_suspect && self.suspects.is_empty() && self.readings.is_none() {
            return;
        }
        let key = Key { peer: socket.peer, port: socket.local.port(), local: socket.local.ip() };
        let remembered = self.suspects.get(&key);
        let seen = Suspect::see(socket, remembered.map(|one| &one.suspect), look);
        if let (Some(readings), Some(seen)) = (&mut self.readings, &seen) {
            readings.insert(key, seen.reading);
        }
        if let Some(suspect) = seen.filter(|_| is_suspect) {
            // A neighbour of a new one may have been seen before it.
            let beside_healthy = remembered.map_or(look.number, |one| one.beside_healthy);
            self.suspects.insert(key, Remembered { suspect, beside_healthy });
        } else {
            self.suspects.remove(&key);
            let neighbours = Sought { peer: key.peer, port: key.port, local: None };
            for (_, neighbour) in self.suspects.range_mut(neighbours.range()) {
                neighbour.beside_healthy = look.number;
            }
        }
    }

    /// The look has told of all sockets.
    pub(crate) fn complete(&mut self) {
        let Some(look) = self.look else { return };
        self.is_whole = true;
        // One that a dump has missed, because another one beside it was closed, is remembered for another look.
        self.suspects.retain(|_, one| look.number.wrapping_sub(one.suspect.seen) <= 1);
    }

    /// The look has told of some sockets only: whose neighbours they are is not known.
    pub(crate) fn fail(&mut self) {
        self.readings = None;
    }

    /// Nobody tells of sockets any more.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether everything is kept that the last look told.
    pub(crate) fn is_complete(&self) -> bool {
        self.readings.is_some()
    }

    pub(crate) fn suspects(&self) -> impl Iterator<Item = &Suspect> + Clone {
        self.suspects.values().map(|one| &one.suspect)
    }

    /// What the last look has told of a connection. None also if it is one of several that differ.
    pub(crate) fn find(&self, sought: Sought) -> Option<Reading> {
        if !self.is_whole {
            return None;
        }
        if let Some(readings) = &self.readings {
            return common(readings.range(sought.range()).map(|(_, reading)| *reading));
        }
        let number = self.look?.number;
        let suspects = self.suspects.range(sought.range()).map(|(_, one)| one);
        let suspects = suspects.filter(|one| one.suspect.seen == number);
        let is_sure =
            sought.local.is_some() || suspects.clone().all(|one| one.beside_healthy != number);
        if is_sure { common(suspects.map(|one| one.suspect.reading)) } else { None }
    }
}

impl Sought {
    fn range(&self) -> std::ops::RangeInclusive<Key> {
        let key = |local| Key { peer: self.peer, port: self.port, local };
        key(self.local.unwrap_or(FIRST))..=key(self.local.unwrap_or(LAST))
    }
}

/// What holds for each of them: nothing if one is asked what another is not, else what is known of the one that is best off.
fn common(mut readings: impl Iterator<Item = Reading>) -> Option<Reading> {
    let first = readings.next()?;
    readings.try_fold(first, |best, other| {
        let kind = |one: &Reading| (one.question.is_some(), one.waiting.is_some());
        let harm =
            |one: &Reading| (one.has_vanished(), one.is_zombie(), one.unanswered, one.waiting);
        (kind(&best) == kind(&other)).then(|| if harm(&other) < harm(&best) { other } else { best })
    })
}

#[cfg(test)]
mod tests;
