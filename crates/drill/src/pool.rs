//! The pool, as the admin listener of the gateway tells it.

use std::time::Duration;

use outlast_protocol::pool::Pool;
use outlast_runtime::clock;

use crate::result::PoolSample;
use crate::target::Target;
use crate::wire;

const TIMEOUT: Duration = Duration::from_secs(5);

/// An admin listener.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    address: std::net::SocketAddr,
    request: Vec<u8>,
}

impl Admin {
    pub(crate) fn new(target: &Target, fields: &[(String, String)]) -> Self {
        let mut request = format!("GET /api/pool HTTP/1.1\r\nHost: {}\r\n", target.authority);
        for (name, value) in fields {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("Connection: close\r\n\r\n");
        Self { address: target.address, request: request.into_bytes() }
    }

    /// Asks once.
    ///
    /// # Errors
    /// Why there is no pool to see, for a person.
    pub(crate) async fn ask(&self) -> Result<Pool, String> {
        let fetched = clock::timeout(TIMEOUT, wire::fetch(self.address, &self.request)).await;
        let fetched = fetched.map_err(|_| format!("no answer within {TIMEOUT:?}"))?;
        let (head, body) = fetched.map_err(|error| error.to_string())?;
        if head.status != 200 {
            return Err(format!("status {}", head.status));
        }
        serde_json::from_slice(&body).map_err(|error| error.to_string())
    }
}

/// The places of all services together.
pub(crate) fn sample(pool: &Pool, at_ms: u64) -> PoolSample {
    let sum = |count: fn(&outlast_protocol::pool::Service) -> u32| {
        pool.services.iter().map(count).sum::<u32>()
    };
    // The first service is the one that is loaded.
    let hard = pool.services.first().and_then(|service| {
        let machines = u32::try_from(service.machines.len()).unwrap_or(u32::MAX);
        Some(service.limits.hard?.saturating_mul(machines.max(1)))
    });
    PoolSample {
        at_ms,
        in_flight: sum(|service| service.in_flight),
        lingering: sum(|service| service.lingering),
        queue: pool.services.iter().map(|service| service.queue_length as u64).sum(),
        hard,
    }
}
