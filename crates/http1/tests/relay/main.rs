//! The relay between two simulated pipes: what each side sent, and what the other side got.

mod begun;
mod heartbeat;
mod interim;
mod rig;
mod upgrade;

use std::future::poll_fn;

use outlast_http1::{Failure, Finished, PENDING_MAX, Presence, ReadHead, ReplayRule, Transport};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use rig::{GET, Rig, TRUST_ALL, asked, begin, relay};

#[tokio::test]
async fn a_body_is_passed_through_both_ways() {
    let request = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3;q=1\r\nabc\r\n0\r\n\r\n";
    let response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let (result, to_client, to_machine) = relay(request, response).await;
    let want = Finished { status: 200, client_keep_alive: true, machine_keep_alive: true };
    assert_eq!(result.expect("complete"), want);
    assert_eq!(to_client, response);
    assert_eq!(to_machine, request);
}

#[tokio::test]
async fn trailers_pass_both_ways_whatever_the_cuts() {
    let request = "POST /x HTTP/1.1\r\nHost: a\r\nTrailer: Digest\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n0\r\nDigest: up\r\nX: y\r\n\r\n";
    let response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Digest\r\n\r\n\
                    2\r\nhi\r\n0\r\nDigest: down\r\n\r\n";
    let (result, to_client, to_machine) = relay(request, response).await;
    assert_eq!((&*to_client, &*to_machine), (response, request));
    let finished = result.expect("complete");
    assert!(finished.client_keep_alive && finished.machine_keep_alive);
}

#[tokio::test]
async fn a_trailer_that_claims_is_refused_before_the_machine_has_a_whole_request() {
    let request = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n0\r\nFly-Client-IP: 6.6.6.6\r\n\r\n";
    let (mut rig, mut client, mut machine) = Rig::new(4096);
    client.write_all(request.as_bytes()).await.expect("room");
    let result = rig.exchange().await;
    assert!(matches!(result, Err(Failure::RequestBody(_))), "{result:?}");
    drop(rig);
    let mut got = String::new();
    machine.read_to_string(&mut got).await.expect("text");
    assert_eq!(got, "", "nothing of it was sent");
}

/// What a machine says unasked answers another request, or none: an attacker may have made it say so.
#[tokio::test]
async fn an_answer_before_the_request_is_none() {
    let (mut rig, mut client, mut machine) = Rig::new(4096);
    client.write_all(GET.as_bytes()).await.expect("room");
    machine.write_all(b"HTTP/1.1 204 Done\r\n\r\n").await.expect("room");
    let result = rig.exchange().await;
    assert!(matches!(result, Err(Failure::ResponseHead(_))), "{result:?}");
    assert_eq!(rig.counts.received.get(), 0, "the machine never got the request");
}

/// Also where they come with the last piece of a body, and not with its head.
#[tokio::test]
async fn bytes_after_the_last_piece_spoil_the_machines_connection() {
    let (mut rig, mut client, mut machine) = Rig::new(4096);
    client.write_all(GET.as_bytes()).await.expect("room");
    let first = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab";
    let far_ends = async {
        asked(&mut machine, first).await;
        client.read_exact(&mut vec![0; first.len()]).await.expect("the first piece");
        machine.write_all(b"cdHTTP/1.1 200 evil\r\n\r\n").await.expect("room");
        let mut rest = [0; 2];
        client.read_exact(&mut rest).await.expect("the last piece");
        assert_eq!(&rest, b"cd");
    };
    let (result, ()) = tokio::join!(rig.exchange(), far_ends);
    let want = Finished { status: 200, client_keep_alive: true, machine_keep_alive: false };
    assert_eq!(result.expect("complete"), want);
}

#[tokio::test]
async fn an_http_1_0_client_gets_the_data_without_chunks() {
    let response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let (result, to_client, _) = relay("GET / HTTP/1.0\r\n\r\n", response).await;
    assert!(!result.expect("complete").client_keep_alive);
    assert_eq!(to_client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi");
}

#[tokio::test]
async fn a_cut_response_is_a_failure_and_never_completed() {
    for response in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
    ] {
        let (result, to_client, _) = relay(GET, response).await;
        assert!(matches!(result, Err(Failure::ResponseBody(_))), "{result:?}");
        assert_eq!(to_client, response);
    }
    for response in ["", "HTTP/1.1 200 OK\r\nX:"] {
        let (result, to_client, _) = relay(GET, response).await;
        assert!(matches!(result, Err(Failure::MachineConnection(_))), "{result:?}");
        assert_eq!(to_client, "");
    }
}

#[tokio::test]
async fn bytes_after_the_response_spoil_the_machines_connection_only() {
    let (result, to_client, _) =
        relay(GET, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n").await;
    let want = Finished { status: 200, client_keep_alive: true, machine_keep_alive: false };
    assert_eq!(result.expect("complete"), want);
    assert_eq!(to_client, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
}

#[tokio::test]
async fn a_client_that_leaves_after_its_request_is_gone() {
    let (mut rig, mut client, mut machine) = Rig::new(4096);
    client.write_all(GET.as_bytes()).await.expect("room");
    client.shutdown().await.expect("open");
    assert!(matches!(rig.exchange().await, Err(Failure::ClientGone(None))));
    drop(rig);
    let mut got = String::new();
    machine.read_to_string(&mut got).await.expect("text");
    assert_eq!(got, GET);
}

#[tokio::test]
async fn the_next_request_waits_in_the_inbox() {
    let (mut rig, mut client, mut machine) = Rig::new(4096);
    let first = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
    let second = "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write_all(format!("{first}{second}").as_bytes()).await.expect("room");
    let (result, _) =
        tokio::join!(rig.exchange(), asked(&mut machine, b"HTTP/1.1 204 Done\r\n\r\n"));
    result.expect("complete");
    assert_eq!(&*rig.request().await.target.path, "/2");
    assert!(rig.inbox.is_empty());
}

#[tokio::test]
async fn an_unsent_request_may_be_tried_on_another_connection() {
    let (mut rig, mut client, machine) = Rig::new(4096);
    drop(machine);
    client.write_all(GET.as_bytes()).await.expect("room");
    let mut request = rig.request().await;
    let mut exchange = begin(&mut rig, &mut request, ReplayRule::Ignore);
    let Rig { client: near, machine, inbox, counts } = &mut rig;
    let result = poll_fn(|cx| exchange.poll(cx, near, inbox, machine, counts)).await;
    assert!(matches!(result, Err(Failure::MachineConnection(_))), "{result:?}");
    assert!(exchange.can_restart());
    let (mut other, mut other_end) = duplex(4096);
    let again = poll_fn(|cx| exchange.poll(cx, near, inbox, &mut other, counts));
    let (result, _) = tokio::join!(again, asked(&mut other_end, b"HTTP/1.1 204 Done\r\n\r\n"));
    assert_eq!(result.expect("complete").status, 204);
    assert!(!exchange.can_restart());
}

#[tokio::test]
async fn a_client_that_does_not_read_costs_bounded_memory() {
    let (mut rig, mut client, mut machine) = Rig::new(1024);
    let total = 8 * PENDING_MAX;
    client.write_all(GET.as_bytes()).await.expect("room");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n");
    let written = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&written);
    let machine_side = async move {
        asked(&mut machine, head.as_bytes()).await;
        let chunk = [b'x'; 1024];
        for _ in 0..total / chunk.len() {
            machine.write_all(&chunk).await.expect("open");
            counter.fetch_add(chunk.len(), std::sync::atomic::Ordering::Relaxed);
        }
        machine
    };
    let (done_tx, done_rx) = tokio::sync::oneshot::channel::<()>();
    let client_side = async move {
        // Everything that can move without us has moved when all other futures only wait.
        for _ in 0..100_000 {
            tokio::task::yield_now().await;
        }
        let stalled_at = written.load(std::sync::atomic::Ordering::Relaxed);
        let mut got = Vec::new();
        client.take((total + 100) as u64).read_to_end(&mut got).await.expect("open");
        drop(done_rx);
        (stalled_at, got.len())
    };
    let relay_then_close = async {
        let result = rig.exchange().await;
        rig.client.shutdown().await.expect("open");
        result
    };
    let (machine, result, (stalled_at, got)) =
        tokio::join!(machine_side, relay_then_close, client_side);
    drop((machine, done_tx));
    assert_eq!(result.expect("complete").status, 200);
    assert!(stalled_at <= PENDING_MAX + 4096, "{stalled_at} bytes taken from a stalled client");
    assert!(got > total, "{got}");
}

#[tokio::test]
async fn a_head_in_many_pieces_is_one_head() {
    let (mut rig, mut client, _machine) = Rig::new(4096);
    let (request, ()) = tokio::join!(rig.request(), async {
        for byte in GET.as_bytes().chunks(1) {
            client.write_all(byte).await.expect("room");
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(request.wire, &GET.as_bytes()[..GET.len() - 2]);
}

#[tokio::test]
async fn the_end_of_a_client_connection_says_whether_something_was_lost() {
    for (sent, truncated) in [("", false), ("GET / HT", true)] {
        let (mut rig, mut client, _machine) = Rig::new(4096);
        client.write_all(sent.as_bytes()).await.expect("room");
        drop(client);
        let end = poll_fn(|cx| rig.inbox.poll_request(cx, &mut rig.client, TRUST_ALL)).await;
        assert_eq!(matches!(end, ReadHead::Truncated), truncated, "{end:?}");
        assert_eq!(matches!(end, ReadHead::Closed), !truncated, "{end:?}");
    }
}

fn is_transport<T: Transport>(_: &T) {}

#[tokio::test]
async fn tcp_is_a_transport_and_its_abort_is_a_reset() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("bound");
    let mut far = tokio::net::TcpStream::connect(address).await.expect("connect");
    let (mut near, _) = listener.accept().await.expect("accept");
    is_transport(&near);
    near.abort_on_drop();
    drop(near);
    let error = far.read(&mut [0; 8]).await.expect_err("a reset, not an end-of-file");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

/// Not only here, finished and reset: what is closed in order both ways may have something to say yet.
#[tokio::test]
async fn a_peer_that_is_not_read_shows_whether_it_is_there() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("bound");
    for is_reset in [false, true] {
        let mut far = tokio::net::TcpStream::connect(address).await.expect("connect");
        let (mut near, _) = listener.accept().await.expect("accept");
        assert_eq!(near.presence(), Presence::Here);
        far.write_all(b"unread").await.expect("open");
        far.shutdown().await.expect("open");
        eventually(|| near.presence() == Presence::Finished).await;
        if is_reset {
            far.abort_on_drop();
            drop(far);
            eventually(|| near.presence() == Presence::Gone).await;
        } else {
            near.shutdown().await.expect("open");
            assert_eq!(far.read(&mut [0; 8]).await.expect("open"), 0);
            assert_eq!(near.presence(), Presence::Finished);
        }
    }
}

/// What the kernel does between two sockets has no event here.
async fn eventually(check: impl Fn() -> bool) {
    let wait = async {
        while !check() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), wait).await.expect("in time");
}

proptest! {
    /// However requests and responses are cut into writes, both sides get the same bytes.
    #[test]
    fn cuts_do_not_matter(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..6),
        cut in 1usize..64,
        pipe in 16usize..256,
    ) {
        let mut request =
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        request.extend(&body);
        let mut response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in &chunks {
            response.extend(format!("{:x}\r\n", chunk.len()).bytes());
            response.extend(chunk);
            response.extend(b"\r\n");
        }
        response.extend(b"0\r\n\r\n");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let (to_client, to_machine) = runtime.block_on(async {
            let (mut rig, client, machine) = Rig::new(pipe);
            let ((), to_client, to_machine) = tokio::join!(
                async {
                    rig.exchange().await.expect("complete");
                    rig.client.shutdown().await.expect("open");
                },
                converse(client, &request, cut),
                answer(machine, request.len(), &response, cut),
            );
            (to_client, to_machine)
        });
        prop_assert_eq!(to_client, response);
        prop_assert_eq!(to_machine, request);
    }
}

/// Writes `bytes` in pieces of `cut` while reading everything.
async fn converse(end: DuplexStream, bytes: &[u8], cut: usize) -> Vec<u8> {
    let (mut reader, mut writer) = tokio::io::split(end);
    let mut got = Vec::new();
    let (read, ()) = tokio::join!(reader.read_to_end(&mut got), write(&mut writer, bytes, cut));
    read.expect("open");
    got
}

/// Reads `length` bytes, then writes `bytes` in pieces of `cut`: an earlier answer would end the exchange early.
async fn answer(mut end: DuplexStream, length: usize, bytes: &[u8], cut: usize) -> Vec<u8> {
    let mut got = vec![0; length];
    end.read_exact(&mut got).await.expect("open");
    write(&mut end, bytes, cut).await;
    got
}

async fn write(writer: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8], cut: usize) {
    for piece in bytes.chunks(cut) {
        writer.write_all(piece).await.expect("open");
        tokio::task::yield_now().await;
    }
}
