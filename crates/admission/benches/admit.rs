//! What a permit costs when nobody waits: `cargo bench -p outlast-admission`. The goal is below a microsecond.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::FutureExt;
use outlast_admission::{Admission, Class, Limits, Linger, MachineKey, Settings};

fn main() {
    divan::main();
}

fn admission(machines: u32) -> Admission {
    let settings = Settings {
        limits: Limits { soft: NonZeroU32::new(8_000), hard: NonZeroU32::new(10_000) },
        linger: Linger::Evict,
        queue_depth_max: 100,
        reserve_slots: 2,
    };
    let admission = Admission::new(settings, Duration::from_secs(30));
    for key in 0..machines {
        admission.machine_ready(MachineKey(key));
    }
    admission
}

/// With 5,000 places taken, as in the benchmark of held streams.
#[divan::bench(args = [1, 3, 16, 1_000])]
fn admit_and_release(bencher: divan::Bencher<'_, '_>, machines: u32) {
    let admission = admission(machines);
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let admit = || {
        let permit = admission.admit(client, Class::Ordinary, ()).now_or_never();
        permit.expect("uncontended").expect("a place")
    };
    let held: Vec<_> = (0..5_000).map(|_| admit()).collect();
    bencher.bench_local(admit);
    assert_eq!(admission.ledger().permits, held.len());
}
