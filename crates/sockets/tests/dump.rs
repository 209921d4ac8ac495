//! What the kernel really tells, of sockets that these tests made.
#![cfg(target_os = "linux")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use outlast_sockets::{Dump, Query, Socket, TcpState, Timer};
use socket2::SockRef;

struct Pair {
    client: TcpStream,
    /// The accepted end.
    ours: TcpStream,
}

fn connect(listener: &TcpListener, address: SocketAddr) -> Pair {
    let client = TcpStream::connect(address).expect("it listens");
    let (ours, _) = listener.accept().expect("a client");
    Pair { client, ours }
}

fn listen(address: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(address).expect("a port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

fn dump(query: &Query) -> Vec<Socket> {
    let mut sockets = Vec::new();
    let mut kernel = Dump::open().expect("Linux");
    kernel.each(query, |socket| sockets.push(*socket)).expect("a whole dump");
    sockets
}

fn at(address: SocketAddr) -> Query {
    let mut query = Query::default();
    query.local(address);
    query
}

/// Dumps until the kernel says what is expected: an acknowledgement takes a moment.
fn until(query: &Query, is_so: impl Fn(&Socket) -> bool) -> Socket {
    for _ in 0..100_000 {
        if let Some(socket) = dump(query).into_iter().find(&is_so) {
            return socket;
        }
        std::thread::yield_now();
    }
    panic!("it never came to that: {:?}", dump(query));
}

#[test]
fn the_kernel_tells_of_the_sockets_asked_for_and_of_no_others() {
    let (listener, address) = listen("127.0.0.1:0");
    let (other_listener, other_address) = listen("127.0.0.1:0");
    let pairs: Vec<_> = (0..200).map(|_| connect(&listener, address)).collect();
    let _others: Vec<_> = (0..5).map(|_| connect(&other_listener, other_address)).collect();

    let mut told: Vec<_> = dump(&at(address)).iter().map(|socket| socket.peer).collect();
    let mut clients: Vec<_> = pairs.iter().map(|pair| pair.client.local_addr().unwrap()).collect();
    told.sort();
    clients.sort();
    assert_eq!(told, clients, "each once, the accepted ends alone, and not the listener");

    let mut upstream = Query::default();
    upstream.peer(address);
    let told = dump(&upstream);
    assert_eq!(told.len(), pairs.len(), "the connecting ends alone");
    assert!(told.iter().all(|socket| socket.peer == address && clients.contains(&socket.local)));

    let mut both = at(address);
    both.peer(other_address);
    assert_eq!(dump(&both).len(), 205, "one condition is enough");
    assert_eq!(dump(&Query::default()), [], "who asks for nothing gets nothing");
    let mut any_address = Query::default();
    any_address.local(SocketAddr::from(([0, 0, 0, 0], address.port())));
    assert_eq!(dump(&any_address).len(), 200);
}

#[test]
fn one_way_to_the_kernel_serves_many_dumps() {
    let (listener, address) = listen("127.0.0.1:0");
    let mut kernel = Dump::open().unwrap();
    let mut pairs = Vec::new();
    for count in 1..20 {
        pairs.push(connect(&listener, address));
        let mut told = 0;
        kernel.each(&at(address), |_| told += 1).unwrap();
        assert_eq!(told, count);
    }
}

#[test]
fn an_ipv6_listener_has_clients_of_both_kinds() {
    let (listener, address) = listen("[::]:0");
    let v4 = connect(&listener, SocketAddr::from(([127, 0, 0, 1], address.port())));
    let v6 = connect(&listener, format!("[::1]:{}", address.port()).parse().unwrap());
    let mut told: Vec<_> = dump(&at(address)).iter().map(|socket| socket.peer).collect();
    told.sort();
    assert_eq!(told, [v4.client.local_addr().unwrap(), v6.client.local_addr().unwrap()]);

    let mut mapped = Query::default();
    mapped.peer(v6.client.local_addr().unwrap());
    mapped.peer(SocketAddr::from(([127, 0, 0, 1], address.port())));
    // The accepted end of one, the connecting end of the other.
    assert_eq!(dump(&mapped).len(), 2);
}

#[test]
fn what_a_client_does_not_read_waits_and_is_told_to_be_answered() {
    let (listener, address) = listen("127.0.0.1:0");
    SockRef::from(&listener).set_send_buffer_size(16 * 1024).unwrap();
    let mut pair = connect(&listener, address);
    pair.ours.set_nonblocking(true).unwrap();
    let mut written = 0;
    let waits = |socket: &Socket| matches!(socket.timer, Timer::WindowProbe(_));
    let socket = loop {
        match pair.ours.write(&[0; 4096]) {
            Ok(bytes) => written += bytes as u64,
            // Until the client's kernel takes no more either.
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                if let Some(socket) = dump(&at(address)).into_iter().find(waits) {
                    break socket;
                }
            }
        }
    };
    let info = socket.info.expect("told by every kernel");
    assert_eq!((socket.state, info.unacked), (TcpState::Established, 0));
    assert!(socket.send_queue > 0, "{socket:?}");
    let (acked, not_sent) = (info.bytes_acked.unwrap(), info.not_sent.unwrap());
    assert_eq!(acked + u64::from(socket.send_queue), written);
    assert_eq!(not_sent, socket.send_queue, "what is in flight is none of it");
    assert!(info.send_window.unwrap() < 65_536 && socket.inode > 0);

    pair.client.set_nonblocking(true).unwrap();
    let mut room = vec![0; 1 << 20];
    let drained = |socket: &Socket| socket.send_queue == 0;
    for _ in 0..100_000 {
        // Until nothing is left anywhere.
        while pair.client.read(&mut room).is_ok() {}
        if dump(&at(address)).iter().any(drained) {
            return;
        }
        std::thread::yield_now();
    }
    panic!("what is read leaves the queue: {:?}", dump(&at(address)));
}

#[test]
fn what_nobody_has_read_here_waits_in_the_receive_queue() {
    let (listener, address) = listen("127.0.0.1:0");
    let mut pair = connect(&listener, address);
    pair.client.write_all(b"hello").unwrap();
    let socket = until(&at(address), |socket| socket.receive_queue == 5);
    assert_eq!(socket.local, pair.ours.local_addr().unwrap());
    drop(pair.client);
    until(&at(address), |socket| socket.state == TcpState::CloseWait);
}

#[test]
fn a_dump_that_ends_half_way_does_not_spoil_the_next_one() {
    let (listener, address) = listen("127.0.0.1:0");
    let _pair = connect(&listener, address);
    let mut kernel = Dump::open().unwrap();
    // A closure that panics stands for whatever ends a dump half way.
    let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        kernel.each(&at(address), |_| panic!("half way")).ok();
    }));
    assert!(broken.is_err());
    let mut told = 0;
    kernel.each(&at(address), |_| told += 1).unwrap();
    assert_eq!(told, 1);
}
