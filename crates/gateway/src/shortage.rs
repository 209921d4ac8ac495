//! What we may run out of on the way to a machine: our own trouble, and nothing the machine could do anything about.

use std::io;

use outlast_observe::Shortage;
use rustix::io::Errno;

use crate::service::Service;

/// What is missing, if that is why there is no connection.
pub(crate) fn shortage(error: &io::Error) -> Option<Shortage> {
    match Errno::from_io_error(error)? {
        Errno::MFILE | Errno::NFILE => Some(Shortage::Descriptors),
        Errno::ADDRNOTAVAIL => Some(Shortage::Ports),
        Errno::NOMEM | Errno::NOBUFS => Some(Shortage::Memory),
        _ => None,
    }
}

/// Says it in the log, unless it has just been said.
pub(crate) fn warn(service: &Service, missing: Shortage, error: &io::Error) {
    if !service.may_warn_of_shortage() {
        return;
    }
    let hint = match missing {
        Shortage::Descriptors => "raise the limit (ulimit -n) or lower listen.connections_max",
        Shortage::Ports => {
            "widen net.ipv4.ip_local_port_range, or let fewer connections come and go; without IPv6, name machines by IPv4"
        }
        Shortage::Memory => "give the system, or its sockets (net.ipv4.tcp_mem), more memory",
    };
    tracing::warn!(
        service = service.plan.name,
        %error,
        hint,
        "no {} is left for a connection to a machine",
        singular(missing)
    );
}

/// What there is none of.
pub(crate) fn singular(missing: Shortage) -> &'static str {
    match missing {
        Shortage::Descriptors => "descriptor",
        Shortage::Ports => "port",
        Shortage::Memory => "memory",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_lack_is_not_what_a_machine_did() {
        for (errno, missing) in [
            (Errno::MFILE, Some(Shortage::Descriptors)),
            (Errno::NFILE, Some(Shortage::Descriptors)),
            (Errno::ADDRNOTAVAIL, Some(Shortage::Ports)),
            (Errno::NOMEM, Some(Shortage::Memory)),
            (Errno::NOBUFS, Some(Shortage::Memory)),
            (Errno::CONNREFUSED, None),
            (Errno::HOSTUNREACH, None),
            (Errno::TIMEDOUT, None),
        ] {
            assert_eq!(shortage(&errno.into()), missing, "{errno}");
        }
        assert_eq!(shortage(&io::ErrorKind::UnexpectedEof.into()), None);
    }
}
