//! What one dump of 10,000 clients costs: `cargo bench -p outlast-sockets`. The goal is below 20 ms, once a second.
//!
//! The clients are on the same machine, so that the kernel has 20,000 sockets and tells of half of them.

use std::net::{TcpListener, TcpStream};

use outlast_sockets::{Dump, Query};

/// Far ends of their own, so that 10,000 of each fit the 20,000 descriptors that most shells have.
const DESCRIPTORS: u64 = 20_200;

fn main() {
    divan::main();
}

#[divan::bench(args = [1_000, 10_000], sample_count = 20, sample_size = 1)]
fn dump_clients(bencher: divan::Bencher<'_, '_>, clients: usize) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let wanted = limit.maximum.map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    let limit = rustix::process::Rlimit { current: Some(wanted), ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).expect("within the limit");
    let clients = clients.min((usize::try_from(wanted).unwrap_or(0) - 200) / 2);

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let connect = |_| (TcpStream::connect(address).expect("it listens"), listener.accept());
    let held: Vec<_> = (0..clients).map(connect).collect();
    let mut query = Query::default();
    query.local(address);
    query.peer("127.0.0.1:1".parse().expect("an address"));
    let mut dump = Dump::open().expect("Linux");
    bencher.bench_local(|| {
        let (mut told, mut waiting) = (0, 0_u64);
        let shown = dump.each(&query, |socket| {
            told += 1;
            waiting += u64::from(socket.send_queue);
        });
        shown.expect("a whole dump");
        assert_eq!((told, waiting), (held.len(), 0));
    });
}
