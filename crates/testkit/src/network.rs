//! A network of its own: three hosts and a router, as network namespaces of this kernel.
//!
//! ```text
//!   clients 10.79.2.2 …  ──┐
//!                          router ──  gateway 10.79.1.2
//!   machines 10.79.3.2   ──┘
//! ```
//!
//! The kernel's own TCP runs on every host, and the router is where packets are lost: what vanishes here sends neither FIN nor RST,
//! and hears none. Nothing of it touches the network of the machine that runs the test.

use std::fs::File;
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where `ip netns` keeps its names.
const NAMES: &str = "/run/netns";
/// Every name begins so, goes on with our process and a number, and ends with the host.
const PREFIX: &str = "outlast-";
const ROUTER: &str = "router";
const CLIENTS_MAX: u8 = 240;

/// What the router loses. The gateway's ports are those of its connections to machines.
const RULES: &str = "
table ip outlast {
  set gone { type ipv4_addr; }
  set gone_ports { type inet_service; }
  set lossy { type ipv4_addr; }
  chain forward {
    type filter hook forward priority 0;
    ip saddr @gone drop
    ip daddr @gone drop
    ip saddr 10.79.3.2 tcp dport @gone_ports drop
    ip daddr 10.79.3.2 tcp sport @gone_ports drop
    ip saddr @lossy numgen random mod 100 < 5 drop
    ip daddr @lossy numgen random mod 100 < 5 drop
  }
}
";

/// One end of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// Has [`Network::GATEWAY`].
    Gateway,
    /// Has [`Network::UNBOUND_CLIENT`] and, for whoever binds to it, every [`Network::client`].
    Clients,
    /// Has [`Network::MACHINES`].
    Machines,
}

impl Host {
    const ALL: [Self; 3] = [Self::Gateway, Self::Clients, Self::Machines];

    fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Clients => "clients",
            Self::Machines => "machines",
        }
    }

    fn subnet(self) -> u8 {
        match self {
            Self::Gateway => 1,
            Self::Clients => 2,
            Self::Machines => 3,
        }
    }

    fn addresses(self) -> impl Iterator<Item = Ipv4Addr> {
        let last = if self == Self::Clients { 2 + CLIENTS_MAX } else { 2 };
        (2..=last).map(move |host| Ipv4Addr::new(10, 79, self.subnet(), host))
    }
}

/// It ends with the value, and so does whatever still runs in it.
#[derive(Debug)]
pub struct Network(Hosts);

/// What can be done with the hosts of a network, from any thread.
#[derive(Debug, Clone)]
pub struct Hosts {
    name: String,
}

impl Deref for Network {
    type Target = Hosts;

    fn deref(&self) -> &Hosts {
        &self.0
    }
}

impl Network {
    /// Where the gateway is reached.
    pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 79, 1, 2);
    /// Where machines are reached.
    pub const MACHINES: Ipv4Addr = Ipv4Addr::new(10, 79, 3, 2);
    /// What a client comes from that is bound to no address.
    pub const UNBOUND_CLIENT: Ipv4Addr = Ipv4Addr::new(10, 79, 2, 2);

    /// An address that clients can be bound to.
    ///
    /// # Panics
    /// From the 240th on there are none.
    #[must_use]
    pub fn client(number: usize) -> Ipv4Addr {
        let number = u8::try_from(number).ok().filter(|number| *number < CLIENTS_MAX);
        Ipv4Addr::new(10, 79, 2, 3 + number.expect("there are 240 addresses"))
    }

    /// Makes the hosts and joins them. What killed tests have left behind is removed first.
    ///
    /// # Panics
    /// Without root, without `ip` and `nft`, and on a kernel without namespaces: with a word about what is missing.
    #[must_use]
    pub fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        need_root();
        remove_stale();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // From here on its drop takes back whatever was made.
        let network = Self(Hosts { name: format!("{PREFIX}{}-{number}-", std::process::id()) });
        let router = network.of(ROUTER);
        for host in [ROUTER].into_iter().chain(Host::ALL.map(Host::name)) {
            let name = network.of(host);
            run("ip", &["netns", "add", &name]);
            run("ip", &["-n", &name, "link", "set", "lo", "up"]);
        }
        for host in Host::ALL {
            let (name, far) = (network.of(host.name()), format!("to-{}", host.name()));
            let ends = ["type", "veth", "peer", "name", &far, "netns", &router];
            run("ip", &[&["link", "add", "eth0", "netns", &name], &ends[..]].concat());
            let gate = format!("10.79.{}.1", host.subnet());
            run("ip", &["-n", &router, "address", "add", &format!("{gate}/24"), "dev", &far]);
            run("ip", &["-n", &router, "link", "set", &far, "up"]);
            let add: Vec<_> = host
                .addresses()
                .map(|address| format!("address add {address}/24 dev eth0\n"))
                .collect();
            let text =
                add.concat() + "link set eth0 up\n" + &format!("route add default via {gate}\n");
            feed("ip", &["-n", &name, "-batch", "-"], &text);
        }
        network.sysctl_of(ROUTER, "net.ipv4.ip_forward=1");
        feed("ip", &["netns", "exec", &router, "nft", "-f", "-"], RULES);
        network
    }

    /// For other threads; of use until the network ends.
    #[must_use]
    pub fn hosts(&self) -> Hosts {
        self.0.clone()
    }
}

impl Hosts {
    fn of(&self, host: &str) -> String {
        format!("{}{host}", self.name)
    }

    fn sysctl_of(&self, host: &str, setting: &str) {
        run("ip", &["netns", "exec", &self.of(host), "sysctl", "-qw", setting]);
    }

    /// Sets a parameter of a host's kernel, as `net.ipv4.tcp_rto_max_ms=10000`.
    pub fn sysctl(&self, host: Host, setting: &str) {
        self.sysctl_of(host.name(), setting);
    }

    /// Runs commands of `nft` on a host.
    pub fn nft(&self, host: Host, commands: &str) {
        feed("ip", &["netns", "exec", &self.of(host.name()), "nft", "-f", "-"], commands);
    }

    /// Moves the calling thread to a host: sockets that it makes and processes that it starts from now on are there.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn enter(&self, host: Host) {
        let path = Path::new(NAMES).join(self.of(host.name()));
        let namespace = File::open(&path).expect("it was made");
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("root may enter it");
    }

    /// From now on these clients are neither heard nor reached.
    pub fn vanish(&self, clients: &[Ipv4Addr]) {
        self.change("add", "gone", clients);
    }

    /// They are back.
    pub fn come_back(&self, clients: &[Ipv4Addr]) {
        self.change("delete", "gone", clients);
    }

    /// From now on one in twenty packets of these clients is lost, either way.
    pub fn lose_some(&self, clients: &[Ipv4Addr]) {
        self.change("add", "lossy", clients);
    }

    /// Of these clients nothing is lost any more.
    pub fn lose_nothing(&self, clients: &[Ipv4Addr]) {
        self.change("delete", "lossy", clients);
    }

    /// From now on the machines are neither heard nor reached on the gateway's connections from these ports.
    pub fn vanish_machines(&self, ports: &[u16]) {
        self.change("add", "gone_ports", ports);
    }

    /// They are back.
    pub fn machines_come_back(&self, ports: &[u16]) {
        self.change("delete", "gone_ports", ports);
    }

    fn change(&self, verb: &str, set: &str, elements: &[impl ToString]) {
        if elements.is_empty() {
            return;
        }
        let elements: Vec<_> = elements.iter().map(ToString::to_string).collect();
        let command = format!("{verb} element ip outlast {set} {{ {} }}\n", elements.join(", "));
        feed("ip", &["netns", "exec", &self.of(ROUTER), "nft", "-f", "-"], &command);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in names().filter(|name| name.starts_with(&self.0.name)) {
            remove(&name);
        }
    }
}

fn need_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "network namespaces are made by root alone: run this test as root"
    );
}

/// Names of namespaces that tests have made.
fn names() -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(NAMES).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with(PREFIX))
}

/// Removes what processes made that have ended without their drops.
fn remove_stale() {
    for name in names() {
        let process = name.trim_start_matches(PREFIX).split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(process).exists() {
            remove(&name);
        }
    }
}

/// Ends what runs in it, and removes it. Links go with it.
fn remove(name: &str) {
    let ends = [&["netns", "pids", name][..], &["netns", "delete", name]].map(|args| {
        Command::new("ip").args(args).stderr(Stdio::null()).output().map(|output| output.stdout)
    });
    let pids = ends.into_iter().next().and_then(Result::ok).unwrap_or_default();
    for pid in String::from_utf8_lossy(&pids).split_whitespace().filter_map(|pid| pid.parse().ok())
    {
        let pid = rustix::process::Pid::from_raw(pid).expect("a process");
        if pid != rustix::process::getpid() {
            // It may have ended by itself.
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
        }
    }
}

fn run(program: &str, args: &[&str]) {
    feed(program, args, "");
}

/// Runs a program with `text` as its input.
fn feed(program: &str, args: &[&str], text: &str) {
    use std::io::Write;
    let what = format!("{program} {}", args.join(" "));
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("`{what}` does not start ({error}): Debian has it in iproute2, and nft in nftables")
    });
    let mut input = child.stdin.take().expect("it is a pipe");
    // Who does not read it says why on standard error.
    input.write_all(text.as_bytes()).ok();
    drop(input);
    let output = child.wait_with_output().expect("a child");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{what}` failed, {}: {said}", output.status);
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    /// A connection from the clients to the gateway: both ends.
    fn connection(network: &Network) -> (TcpStream, TcpStream) {
        let on = |host, action: &(dyn Fn() -> TcpStream + Sync)| {
            std::thread::scope(|scope| {
                let thread = scope.spawn(|| {
                    network.enter(host);
                    action()
                });
                thread.join().expect("no panic")
            })
        };
        let listener = std::sync::OnceLock::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                network.enter(Host::Gateway);
                listener
                    .set(TcpListener::bind((Network::GATEWAY, 80)).expect("bound"))
                    .expect("once");
            });
        });
        let listener: &TcpListener = listener.get().expect("bound");
        let client = on(Host::Clients, &|| {
            TcpStream::connect(SocketAddr::from((Network::GATEWAY, 80))).expect("a way")
        });
        let (server, peer) = listener.accept().expect("connected");
        assert_eq!(peer.ip(), Network::UNBOUND_CLIENT);
        (client, server)
    }

    #[test]
    fn who_vanishes_is_not_heard_and_who_comes_back_is() {
        let network = Network::start();
        let (mut client, mut server) = connection(&network);
        server.set_read_timeout(Some(Duration::from_millis(600))).expect("a socket");
        network.vanish(&[Network::UNBOUND_CLIENT]);
        client.write_all(b"x").expect("the kernel takes it");
        let unheard = server.read(&mut [0]).expect_err("nothing comes");
        assert_eq!(unheard.kind(), ErrorKind::WouldBlock);
        network.come_back(&[Network::UNBOUND_CLIENT]);
        server.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        assert_eq!(server.read(&mut [0]).expect("it is sent again"), 1);
    }

    #[test]
    fn nothing_is_left_of_it_and_nothing_of_killed_tests() {
        need_root();
        // The highest process id is 2^22.
        let stale = format!("{PREFIX}{}-0-stale", 1 << 23);
        run("ip", &["netns", "add", &stale]);
        let network = Network::start();
        let ours = network.0.name.clone();
        let all: Vec<_> = names().collect();
        assert_eq!(all.iter().filter(|name| name.starts_with(&ours)).count(), 4);
        assert!(!all.contains(&stale), "{all:?}");
        drop(network);
        assert!(!names().any(|name| name.starts_with(&ours)));
    }
}
