//! The pool, as the admin listener of the gateway tells it.

use std::io;
use std::time::Duration;

use outlast_protocol::pool::Pool;
use outlast_runtime::clock;

use crate::result::PoolSample;
use crate::target::Target;
use crate::wire;

const TIMEOUT: Duration = Duration::from_secs(5);
/// 10,000 exchanges with what is known of their sockets take about 10 MiB.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Asks an admin listener, or another server, for a path, and reads the whole answer: its status and body.
///
/// # Errors
/// It could not be connected to, broke off, did not answer within 5 s, or answered no HTTP or more than 64 MiB.
pub async fn fetch(
    target: &Target,
    path: &str,
    fields: &[(String, String)],
) -> io::Result<(u16, Vec<u8>)> {
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", target.authority);
    for (name, value) in fields {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("Connection: close\r\n\r\n");
    let fetched = wire::fetch(target.address, request.as_bytes(), ANSWER_BYTES_MAX);
    let late = || {
        let why = format!("no answer within {TIMEOUT:?}");
        io::Error::new(io::ErrorKind::TimedOut, why)
    };
    let (head, body) = clock::timeout(TIMEOUT, fetched).await.map_err(|_| late())??;
    Ok((head.status, body))
}

/// An admin listener.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    target: Target,
    fields: Vec<(String, String)>,
}

impl Admin {
    pub(crate) fn new(target: &Target, fields: &[(String, String)]) -> Self {
        Self { target: target.clone(), fields: fields.to_vec() }
    }

    /// Asks once.
    ///
    /// # Errors
    /// Why there is no pool to see, for a person.
    pub(crate) async fn ask(&self) -> Result<Pool, String> {
        let fetched = fetch(&self.target, "/api/pool", &self.fields).await;
        let (status, body) = fetched.map_err(|error| error.to_string())?;
        if status != 200 {
            return Err(format!("status {status}"));
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
