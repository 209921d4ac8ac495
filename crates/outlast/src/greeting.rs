//! What a person reads on standard output. Nobody has to: a reader that has gone ends nothing.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;

use outlast_access::Access;

use crate::cli::DEFAULT_URL;
use crate::{data, link};

/// Where everything of `outlast up` is.
pub(crate) struct Greeting<'a> {
    pub(crate) gateway: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// None: everybody may come in.
    pub(crate) access: Option<&'a Access>,
    pub(crate) data: &'a Path,
    pub(crate) kind: Kind,
}

/// What is behind the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Our desktop, which knows one-time links.
    Desktop,
    /// Somebody's app, whose login is its own affair.
    App,
}

/// Says a line on standard output.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    let _read_or_not = writeln!(io::stdout(), "{line}");
}

impl Greeting<'_> {
    pub(crate) fn say(&self) {
        let bold = if io::stdout().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        let url = format!("http://{}", reachable(self.gateway));
        match self.access.filter(|_| self.kind == Kind::Desktop) {
            Some(access) => {
                let link = link::login(access, &url);
                say(format_args!("\nOpen {}{link}{}\n", bold.0, bold.1));
                let command = self.link_command(&url);
                say(format_args!(
                    "  The link works once, within an hour; `{command}` prints another."
                ));
            }
            None => say(format_args!("\nServing {}{url}{}\n", bold.0, bold.1)),
        }
        match self.access {
            Some(access) => say(format_args!(
                "  Programs send the bearer token of {}.",
                access.token_path().display()
            )),
            None => say(format_args!("  Everybody on this host may come in (--no-auth).")),
        }
        let admin = reachable(self.admin);
        say(format_args!(
            "  Pool and metrics: http://{admin}/api/pool and http://{admin}/metrics\n"
        ));
    }

    /// The command that prints a link to this very desktop, wherever it is typed.
    fn link_command(&self, url: &str) -> String {
        let mut words = vec!["outlast", "link"];
        let folder = self.data.to_string_lossy();
        if !data::folder(None).is_ok_and(|default| default == self.data) {
            words.extend(["--data", &folder]);
        }
        if url != DEFAULT_URL {
            words.extend(["--url", url]);
        }
        // What cannot be quoted for a shell cannot be typed into one either.
        shlex::try_join(words.iter().copied()).unwrap_or_else(|_| words.join(" "))
    }
}

/// An address by which a program on this host reaches a listener.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}
