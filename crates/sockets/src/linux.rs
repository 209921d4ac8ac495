//! The dump by netlink.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with,
};

use crate::message::{Rest, read};
use crate::query::FAMILIES;
use crate::{DumpError, Query, Socket};

/// The kernel fills datagrams of at most this size when it is offered so much: some 80 sockets with one system call.
const BUFFER_LENGTH: usize = 32 * 1024;
/// The kernel answers within the call. A sandbox that only pretends to have netlink may never do.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Asks the kernel. Takes one descriptor and 32 KiB, and nothing per socket.
#[derive(Debug)]
pub struct Dump {
    /// None after a dump that was not whole: what is left of it must not be taken for the next one.
    kernel: Option<OwnedFd>,
    buffer: Vec<u8>,
    sequence: u32,
}

impl Dump {
    /// Opens the way to the kernel.
    ///
    /// # Errors
    /// It has no netlink, or does not let us use it.
    pub fn open() -> Result<Self, DumpError> {
        Ok(Self { kernel: Some(open()?), buffer: vec![0; BUFFER_LENGTH], sequence: 0 })
    }

    /// Shows every socket of `query`, once; one that is opened or closed meanwhile perhaps not. Blocks for about a millisecond per
    /// thousand sockets.
    ///
    /// # Errors
    /// The kernel told nothing, or not all. Sockets may have been shown all the same.
    pub fn each(&mut self, query: &Query, mut show: impl FnMut(&Socket)) -> Result<(), DumpError> {
        for family in FAMILIES {
            if query.concerns(family) {
                self.family(query, family, &mut show)?;
            }
        }
        Ok(())
    }

    fn family(
        &mut self,
        query: &Query,
        family: u8,
        show: &mut impl FnMut(&Socket),
    ) -> Result<(), DumpError> {
        // Put back only when the dump is whole.
        let kernel = match self.kernel.take() {
            Some(kernel) => kernel,
            None => open()?,
        };
        self.sequence = self.sequence.wrapping_add(1);
        let request = query.request(family, self.sequence);
        retry(|| send(&kernel, &request, SendFlags::empty())).map_err(asking)?;
        loop {
            let buffer = &mut self.buffer[..];
            let received = retry(|| recv(&kernel, &mut *buffer, RecvFlags::TRUNC));
            let (read_length, length) = received.map_err(asking)?;
            if length > read_length {
                return Err(DumpError::Truncated { length });
            }
            if length == 0 {
                return Err(DumpError::Malformed("an empty answer"));
            }
            if read(&buffer[..length], self.sequence, show)? == Rest::Ended {
                break;
            }
        }
        self.kernel = Some(kernel);
        Ok(())
    }
}

fn open() -> Result<OwnedFd, DumpError> {
    let opened = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    );
    let kernel = opened.map_err(|errno| match errno {
        Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT | Errno::NOSYS | Errno::INVAL => {
            let missing = "netlink sockets for sock_diag (CONFIG_INET_DIAG)";
            DumpError::Unsupported { missing, source: errno.into() }
        }
        errno => asking(errno),
    })?;
    set_socket_timeout(&kernel, Timeout::Recv, Some(ANSWER_TIMEOUT)).map_err(asking)?;
    // From now on nobody but the kernel, which is port 0, can send to it.
    connect(&kernel, &SocketAddrNetlink::new(0, 0)).map_err(asking)?;
    Ok(kernel)
}

fn asking(errno: Errno) -> DumpError {
    match errno {
        Errno::PERM | Errno::ACCESS => DumpError::Forbidden(errno.into()),
        Errno::AGAIN => DumpError::NoAnswer,
        Errno::CONNREFUSED | Errno::OPNOTSUPP => {
            let missing = "one who answers for sock_diag (CONFIG_INET_DIAG)";
            DumpError::Unsupported { missing, source: errno.into() }
        }
        errno => DumpError::Io(io::Error::from(errno)),
    }
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
