//! Waiting until a machine can be reached.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use outlast_runtime::clock;
use tokio::net::TcpStream;

use crate::lapse::rounded;
use crate::line::{Level, Provider};
use crate::output::Voice;
use crate::ports::Assigned;
use crate::{LocalSpec, Readiness};

/// Between two looks at a port: soon at first, seldom later.
const LOOK_DELAY_MIN: Duration = Duration::from_millis(5);
const LOOK_DELAY_MAX: Duration = Duration::from_millis(250);
/// A program on this host that listens answers at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often the log tells that a machine is waited for.
const REMARK_INTERVAL: Duration = Duration::from_secs(10);

/// Waits until all awaited ports accept connections, and tells where each port is reached.
///
/// Cancel safety: dropping the future stops the waiting.
pub(crate) async fn reachable(
    spec: &LocalSpec,
    assigned: &Assigned,
    voice: &mut Voice,
) -> BTreeMap<u16, SocketAddr> {
    let start = clock::now();
    let mut addrs = BTreeMap::new();
    for (internal, local) in &assigned.local {
        let addr = match spec.ports[internal] {
            Readiness::Awaited => accepting(*local, voice).await,
            Readiness::NotAwaited => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), *local),
        };
        addrs.insert(*internal, addr);
    }
    let text = format!("machine became reachable in {}", rounded(start.elapsed()));
    voice.say(Provider::Proxy, Level::Info, text).await;
    addrs
}

/// Waits until a port accepts connections, on IPv4 or, as some programs understand "localhost", on IPv6.
async fn accepting(port: u16, voice: &mut Voice) -> SocketAddr {
    let start = clock::now();
    let mut remark = start + REMARK_INTERVAL;
    let mut delay = LOOK_DELAY_MIN;
    loop {
        for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let addr = SocketAddr::new(ip, port);
            let connected = clock::timeout(CONNECT_TIMEOUT, TcpStream::connect(addr)).await;
            if matches!(connected, Ok(Ok(_))) {
                return addr;
            }
        }
        if clock::now() >= remark {
            remark += REMARK_INTERVAL;
            let text = format!(
                "waiting for machine to be reachable on 127.0.0.1:{port} (waited {} so far); does the app \
                 listen on the port that its environment names?",
                rounded(start.elapsed())
            );
            voice.say(Provider::Proxy, Level::Info, text).await;
        }
        clock::sleep(delay).await;
        delay = (delay * 2).min(LOOK_DELAY_MAX);
    }
}
