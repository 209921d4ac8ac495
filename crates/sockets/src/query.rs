//! The question, as the kernel wants it: a dump request with a filter program (`inet_diag.h`).
//!
//! The kernel runs the program for every TCP socket of the network namespace. It is a list of conditions, and a socket that
//! fulfils one of them is told:
//!
//! ```text
//! local 0.0.0.0:8080   no → next   yes → jump to the end
//! peer 10.0.0.7:8081   no → past the end, which means no
//! ```

use std::net::IpAddr;

use crate::socket::{End, Query};

/// `AF_INET` and `AF_INET6`, in the order in which they are asked for.
pub(crate) const FAMILIES: [u8; 2] = [2, 10];

const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const FLAGS: u16 = 0x301;
const IPPROTO_TCP: u8 = 6;
/// `1 << (INET_DIAG_INFO - 1)`: `TCP_INFO` is wanted.
const EXTENSIONS: u8 = 1 << 1;
/// All but `TIME_WAIT`, `CLOSE`, `LISTEN` and those not yet accepted: they are no connection of anybody.
const STATES: u32 = bit(1) | bit(2) | bit(4) | bit(5) | bit(8) | bit(9) | bit(11);
const INET_DIAG_REQ_BYTECODE: u16 = 1;
const HEADER_LENGTH: usize = 16;
/// `struct inet_diag_req_v2`.
const REQUEST_LENGTH: usize = 56;
/// The length of an attribute has two bytes.
const PROGRAM_LENGTH_MAX: usize = 65_000;

const OP_JUMP: u8 = 1;
const OP_LOCAL: u8 = 7;
const OP_PEER: u8 = 8;

const fn bit(state: u32) -> u32 {
    1 << state
}

impl Query {
    /// Whether a family of sockets can have one of the ends.
    pub(crate) fn concerns(&self, family: u8) -> bool {
        // An IPv6 socket may have an IPv4 end, if its listener is at an IPv6 address.
        self.ends.iter().any(|end| end.ip().is_ipv6() == (family == FAMILIES[1]))
    }

    /// The dump request.
    pub(crate) fn request(&self, family: u8, sequence: u32) -> Vec<u8> {
        let program = self.program();
        let mut request = vec![0; HEADER_LENGTH];
        request.extend([family, IPPROTO_TCP, EXTENSIONS, 0]);
        request.extend(STATES.to_ne_bytes());
        request.resize(HEADER_LENGTH + REQUEST_LENGTH, 0);
        // Without a program the kernel tells of all sockets, which is slow and right.
        if program.len() <= PROGRAM_LENGTH_MAX {
            request.extend(short(program.len() + 4).to_ne_bytes());
            request.extend(INET_DIAG_REQ_BYTECODE.to_ne_bytes());
            request.extend(program);
        }
        let length = u32::try_from(request.len()).expect("at most 65 kB");
        request[0..4].copy_from_slice(&length.to_ne_bytes());
        request[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        request[6..8].copy_from_slice(&FLAGS.to_ne_bytes());
        request[8..12].copy_from_slice(&sequence.to_ne_bytes());
        request
    }

    fn program(&self) -> Vec<u8> {
        // Backwards, so that the distance to the end is known.
        let mut reversed: Vec<Vec<u8>> = Vec::new();
        let mut rest = 0;
        for end in self.ends.iter().rev() {
            let mut part = condition(*end);
            if rest > 0 {
                part.extend(operation(OP_JUMP, 4, rest + 4));
            }
            rest += part.len();
            if rest > PROGRAM_LENGTH_MAX {
                return vec![0; rest];
            }
            reversed.push(part);
        }
        reversed.into_iter().rev().flatten().collect()
    }
}

/// `struct inet_diag_bc_op` and `struct inet_diag_hostcond`. What is not fulfilled jumps over the operation that follows, or,
/// where none does, past the end.
fn condition(end: End) -> Vec<u8> {
    let ip = end.ip();
    let (family, address) = match ip {
        _ if ip.is_unspecified() => (0, Vec::new()),
        IpAddr::V4(ip) => (FAMILIES[0], ip.octets().to_vec()),
        IpAddr::V6(ip) => (FAMILIES[1], ip.octets().to_vec()),
    };
    let code = match end {
        End::Local(_) => OP_LOCAL,
        End::Peer(_) => OP_PEER,
    };
    let length = 4 + 8 + address.len();
    let yes = u8::try_from(length).expect("at most 28 bytes");
    let mut condition = operation(code, yes, length + 4).to_vec();
    let prefix_bits = u8::try_from(address.len() * 8).expect("at most 128 bits");
    condition.extend([family, prefix_bits, 0, 0]);
    condition.extend(i32::from(end.address().port()).to_ne_bytes());
    condition.extend(address);
    condition
}

fn operation(code: u8, yes: u8, no: usize) -> [u8; 4] {
    let [low, high] = short(no).to_ne_bytes();
    [code, yes, low, high]
}

fn short(length: usize) -> u16 {
    u16::try_from(length).expect("a program is limited")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(local: &[&str], peers: &[&str]) -> Query {
        let mut query = Query::default();
        local.iter().for_each(|address| query.local(address.parse().unwrap()));
        peers.iter().for_each(|address| query.peer(address.parse().unwrap()));
        query
    }

    #[test]
    fn a_program_jumps_to_its_end_or_past_it() {
        let program = query(&["0.0.0.0:8080"], &["10.0.0.7:8081"]).program();
        let [local, jump] = [operation(OP_LOCAL, 12, 16), operation(OP_JUMP, 4, 20)];
        let peer = operation(OP_PEER, 16, 20);
        let expected = [
            &local[..],
            &[0, 0, 0, 0],
            &8080_i32.to_ne_bytes(),
            &jump,
            &peer,
            &[2, 32, 0, 0],
            &8081_i32.to_ne_bytes(),
            &[10, 0, 0, 7],
        ];
        assert_eq!(program, expected.concat());
    }

    #[test]
    fn only_families_that_can_match_are_asked_for() {
        for (local, peer, families) in [
            ("127.0.0.1:1", "127.0.0.1:2", [true, false]),
            ("[::1]:1", "[::1]:2", [false, true]),
            ("[::]:1", "127.0.0.1:2", [true, true]),
            ("[::ffff:127.0.0.1]:1", "127.0.0.1:2", [true, false]),
        ] {
            let query = query(&[local], &[peer]);
            assert_eq!(FAMILIES.map(|family| query.concerns(family)), families, "{local} {peer}");
        }
        assert!(!FAMILIES.iter().any(|family| Query::default().concerns(*family)));
    }

    #[test]
    fn too_many_ends_are_asked_for_without_a_program() {
        let mut query = Query::default();
        (1..=u16::MAX).for_each(|port| query.peer(([127, 0, 0, 1], port).into()));
        assert_eq!(query.request(2, 1).len(), HEADER_LENGTH + REQUEST_LENGTH);
    }
}
