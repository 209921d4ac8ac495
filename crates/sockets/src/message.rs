//! The answer: netlink messages, each with one socket (`netlink.h`, `inet_diag.h`, `tcp.h`).
//!
//! Fields are read at their offsets, each behind a check, so that no bytes whatsoever can do harm; what a newer kernel appends is
//! passed over, what an older one does not tell is absent.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::{DumpError, Info, Socket, TcpState, Timer};

const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_DUMP_INTR: u16 = 0x10;
const HEADER_LENGTH: usize = 16;
/// `struct inet_diag_msg`; attributes follow.
const SOCKET_LENGTH: usize = 72;
const INET_DIAG_INFO: u16 = 2;

/// Whether more datagrams follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    Follows,
    Ended,
}

/// Shows the sockets of one datagram. What belongs to another dump than `sequence` is passed over.
pub(crate) fn read(
    mut datagram: &[u8],
    sequence: u32,
    show: &mut impl FnMut(&Socket),
) -> Result<Rest, DumpError> {
    while !datagram.is_empty() {
        let header = Fields(datagram);
        let length = header.u32(0).ok_or(SHORT)? as usize;
        let (kind, flags) = (header.u16(4).ok_or(SHORT)?, header.u16(6).ok_or(SHORT)?);
        let own = header.u32(8).ok_or(SHORT)? == sequence;
        let message = datagram.get(HEADER_LENGTH..length).ok_or(SHORT)?;
        datagram = datagram.get(align(length)..).unwrap_or_default();
        if !own {
            continue;
        }
        if flags & NLM_F_DUMP_INTR != 0 {
            return Err(DumpError::Interrupted);
        }
        match kind {
            NLMSG_NOOP => {}
            SOCK_DIAG_BY_FAMILY => show(&socket(message)?),
            NLMSG_ERROR => return Err(refused(message)?),
            // Where it fails at once, the kernel may end the dump with an error.
            NLMSG_DONE => {
                return if is_zero(message) { Ok(Rest::Ended) } else { Err(refused(message)?) };
            }
            NLMSG_OVERRUN => return Err(DumpError::Interrupted),
            _ => return Err(DumpError::Malformed("a message of an unknown kind")),
        }
    }
    Ok(Rest::Follows)
}

const SHORT: DumpError = DumpError::Malformed("a message is shorter than it says");

fn is_zero(message: &[u8]) -> bool {
    Fields(message).u32(0).is_none_or(|code| code == 0)
}

/// What an error message tells.
fn refused(message: &[u8]) -> Result<DumpError, DumpError> {
    let code = Fields(message).u32(0).ok_or(SHORT)?.cast_signed();
    let source = io::Error::from_raw_os_error(code.checked_neg().ok_or(SHORT)?);
    Ok(match rustix::io::Errno::from_io_error(&source) {
        Some(rustix::io::Errno::NOENT) => {
            let missing = "sock_diag for TCP (CONFIG_INET_DIAG, CONFIG_INET_TCP_DIAG, or the module tcp_diag)";
            DumpError::Unsupported { missing, source }
        }
        Some(rustix::io::Errno::PERM | rustix::io::Errno::ACCESS) => DumpError::Forbidden(source),
        _ => DumpError::Refused(source),
    })
}

fn socket(message: &[u8]) -> Result<Socket, DumpError> {
    // One check for all of it: the optimizer drops those of the fields.
    let (head, attributes) = message.split_at_checked(SOCKET_LENGTH).ok_or(SHORT)?;
    let fields = Fields(head);
    let (family, state) = (fields.u8(0).ok_or(SHORT)?, fields.u8(1).ok_or(SHORT)?);
    let (timer, count) = (fields.u8(2).ok_or(SHORT)?, fields.u8(3).ok_or(SHORT)?);
    let mut socket = Socket {
        local: address(fields, family, 4, 8)?,
        peer: address(fields, family, 6, 24)?,
        state: TcpState::from(state),
        timer: Timer::new(timer, count),
        receive_queue: fields.u32(56).ok_or(SHORT)?,
        send_queue: fields.u32(60).ok_or(SHORT)?,
        uid: fields.u32(64).ok_or(SHORT)?,
        inode: fields.u32(68).ok_or(SHORT)?,
        // Two words, the low one first.
        cookie: u64::from(fields.u32(44).ok_or(SHORT)?)
            | u64::from(fields.u32(48).ok_or(SHORT)?) << 32,
        info: None,
    };
    let mut rest = attributes;
    while !rest.is_empty() {
        let attribute = Fields(rest);
        let length = usize::from(attribute.u16(0).ok_or(SHORT)?);
        let kind = attribute.u16(2).ok_or(SHORT)?;
        let value = rest.get(4..length).ok_or(SHORT)?;
        if kind == INET_DIAG_INFO {
            socket.info = info(Fields(value));
        }
        rest = rest.get(align(length)..).unwrap_or_default();
    }
    Ok(socket)
}

/// `struct tcp_info`, which has grown over the years.
fn info(fields: Fields<'_>) -> Option<Info> {
    let milliseconds = |offset| fields.u32(offset).map(|time| Duration::from_millis(time.into()));
    Some(Info {
        retransmits: fields.u8(2)?,
        probes: fields.u8(3)?,
        backoff: fields.u8(4)?,
        unacked: fields.u32(24)?,
        last_data_sent: milliseconds(44)?,
        last_data_received: milliseconds(52)?,
        last_ack_received: milliseconds(56)?,
        rtt: Duration::from_micros(fields.u32(68)?.into()),
        bytes_acked: fields.u64(120),
        not_sent: fields.u32(144),
        send_window: fields.u32(228),
    })
}

fn address(
    fields: Fields<'_>,
    family: u8,
    port: usize,
    ip: usize,
) -> Result<SocketAddr, DumpError> {
    let port = u16::from_be_bytes(fields.bytes(port).ok_or(SHORT)?);
    let ip: IpAddr = match family {
        2 => Ipv4Addr::from(fields.bytes::<4>(ip).ok_or(SHORT)?).into(),
        10 => Ipv6Addr::from(fields.bytes::<16>(ip).ok_or(SHORT)?).to_canonical(),
        _ => return Err(DumpError::Malformed("a socket of an unknown family")),
    };
    Ok(SocketAddr::new(ip, port))
}

const fn align(length: usize) -> usize {
    length.saturating_add(3) & !3
}

/// Bytes with fields in them, in the machine's own order.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(self, offset: usize) -> Option<[u8; N]> {
        self.0.get(offset..)?.first_chunk().copied()
    }

    fn u8(self, offset: usize) -> Option<u8> {
        self.0.get(offset).copied()
    }

    fn u16(self, offset: usize) -> Option<u16> {
        self.bytes(offset).map(u16::from_ne_bytes)
    }

    fn u32(self, offset: usize) -> Option<u32> {
        self.bytes(offset).map(u32::from_ne_bytes)
    }

    fn u64(self, offset: usize) -> Option<u64> {
        self.bytes(offset).map(u64::from_ne_bytes)
    }
}

#[cfg(test)]
mod tests;
