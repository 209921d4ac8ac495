//! The ledger, checked continuously (rule 6): permits out = the gauge = what the sockets say.

use std::sync::atomic::Ordering;
use std::time::Duration;

use outlast_runtime::clock;

use crate::gateway::Shared;
use crate::service::Service;

const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The columns are read one after the other while exchanges come and go: only what stays wrong is wrong.
const STRIKES: u32 = 3;

/// Checks every service once a second, for ever.
pub(crate) async fn watch(shared: &Shared) {
    let mut strikes = vec![0; shared.services.len()];
    loop {
        clock::sleep(CHECK_INTERVAL).await;
        for (service, strikes) in shared.services.iter().zip(&mut strikes) {
            *strikes = if is_balanced(service) { 0 } else { *strikes + 1 };
            if *strikes == STRIKES {
                shared.observe.ledger_mismatch(service.index);
            }
        }
    }
}

fn is_balanced(service: &Service) -> bool {
    let sockets = service.sockets.load(Ordering::Relaxed);
    let ledger = service.admission.ledger();
    // Every counted socket has its permit. The reverse holds too but for those about to connect.
    ledger.is_balanced && ledger.leases == ledger.permits && sockets <= ledger.permits
}
