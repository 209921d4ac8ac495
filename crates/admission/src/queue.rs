//! The bounded wait for a place, fair between clients.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::state::Ticket;

/// Who asks, for fairness: exchanges of one client wait in their own line, and lines take turns.
pub type ClientKey = IpAddr;

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
        IpAddr::from([127, 0, 0, last])
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
