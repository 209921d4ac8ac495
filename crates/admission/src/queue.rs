//! The bounded wait for a place, fair between clients.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::state::Ticket;

/// Who asks: an IPv4 address, a /64 of IPv6, which is what one customer gets and may change its addresses in at will, or
/// somebody known by a name. IPv4 takes the numbers of ::/32, which no client has, and names those of multicast, which is
/// nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientKey(u64);

/// The first byte of multicast.
const NAMED: u64 = 0xff << 56;

impl ClientKey {
    /// No client at all.
    pub const NOBODY: Self = Self(u64::MAX);

    /// A client known by a name, of which this is a hash: 56 bits of it count.
    #[must_use]
    pub fn named(hash: u64) -> Self {
        Self(NAMED | hash)
    }
}

impl From<IpAddr> for ClientKey {
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self(u32::from(ip).into()),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments().map(u64::from);
                Self(a << 48 | b << 32 | c << 16 | d)
            }
        }
    }
}

/// Lines of tickets, one line per client, served in turn.
///
/// A client with a hundred waiting exchanges delays another client's first one by at most one place.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// The clients that have a line, next first.
    turns: VecDeque<ClientKey>,
    lines: HashMap<ClientKey, VecDeque<Ticket>>,
    length: usize,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn push(&mut self, client: ClientKey, ticket: Ticket) {
        let line = self.lines.entry(client).or_default();
        if line.is_empty() {
            self.turns.push_back(client);
        }
        line.push_back(ticket);
        self.length += 1;
    }

    /// Takes the next ticket; its client goes to the end of the turns.
    pub(crate) fn pop(&mut self) -> Option<Ticket> {
        let client = self.turns.pop_front()?;
        let line = self.lines.get_mut(&client).expect("a client with a turn has a line");
        let ticket = line.pop_front().expect("a line is never empty");
        if line.is_empty() {
            self.lines.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        self.length -= 1;
        Some(ticket)
    }

    /// How many clients wait: a new one's first exchange would come after one of each.
    pub(crate) fn clients(&self) -> usize {
        self.turns.len()
    }

    /// The tickets in the order in which they will be taken if nobody else comes. Walks each once.
    pub(crate) fn order(&self) -> Vec<Ticket> {
        let mut order = Vec::with_capacity(self.length);
        let mut lines: Vec<_> = self.turns.iter().map(|client| self.lines[client].iter()).collect();
        while !lines.is_empty() {
            lines.retain_mut(|line| {
                order.extend(line.next());
                line.len() > 0
            });
        }
        order
    }

    /// Takes a ticket out of its line. False if it was not waiting.
    pub(crate) fn remove(&mut self, client: ClientKey, ticket: Ticket) -> bool {
        let Some(line) = self.lines.get_mut(&client) else { return false };
        let Some(index) = line.iter().position(|waiting| *waiting == ticket) else { return false };
        line.remove(index);
        if line.is_empty() {
            self.lines.remove(&client);
            self.turns.retain(|turn| *turn != client);
        }
        self.length -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> ClientKey {
        IpAddr::from([127, 0, 0, last]).into()
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_a_64_of_ipv6_or_has_a_name() {
        let key = |text: &str| ClientKey::from(text.parse::<IpAddr>().expect("an address"));
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("2001:db8::1", "192.0.2.1", false),
        ] {
            assert_eq!(key(one) == key(other), same, "{one} {other}");
        }
        assert_ne!(ClientKey::named(1), ClientKey::named(2));
        assert_ne!(ClientKey::named(u32::from_be_bytes([192, 0, 2, 1]).into()), key("192.0.2.1"));
    }

    #[test]
    fn the_order_is_the_one_in_which_tickets_are_taken() {
        let mut queue = Queue::default();
        for ticket in 0..100_u64 {
            queue.push(client(u8::try_from(ticket * ticket % 13).expect("small")), Ticket(ticket));
            if ticket % 5 == 4 {
                queue.pop();
            }
        }
        assert!(queue.remove(client(1), Ticket(40)));
        let told = queue.order();
        let taken: Vec<Ticket> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(told, taken);
        assert_eq!(told.len(), 79);
    }

    #[test]
    fn clients_take_turns() {
        let mut queue = Queue::default();
        for (from, ticket) in [(1, 10), (1, 11), (1, 12), (2, 20), (3, 30), (2, 21)] {
            queue.push(client(from), Ticket(ticket));
        }
        let order: Vec<u64> = std::iter::from_fn(|| queue.pop()).map(|ticket| ticket.0).collect();
        assert_eq!(order, [10, 20, 30, 11, 21, 12]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn a_ticket_leaves_its_line() {
        let mut queue = Queue::default();
        queue.push(client(1), Ticket(1));
        queue.push(client(2), Ticket(2));
        assert!(queue.remove(client(1), Ticket(1)));
        assert!(!queue.remove(client(1), Ticket(1)));
        assert!(!queue.remove(client(2), Ticket(1)));
        assert_eq!((queue.len(), queue.pop()), (1, Some(Ticket(2))));
    }
}
