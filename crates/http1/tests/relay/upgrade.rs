//! Changes of protocol (RFC 9110 section 7.8).

use outlast_http1::{Failure, Finished};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{GET, Rig, asked, relay};

const UPGRADE: &str =
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[tokio::test]
async fn an_upgrade_becomes_a_tunnel_until_both_sides_have_closed() {
    let (mut rig, mut client, mut machine) = Rig::new(4096);
    // What a client sends ahead is the new protocol's, if the machine agrees to change.
    client.write_all(format!("{UPGRADE}ahead").as_bytes()).await.expect("room");
    let agreed = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst";
    let far_ends = async {
        let head = asked(&mut machine, agreed).await;
        assert!(head.contains("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"), "{head}");
        let mut bytes = [0; 5];
        machine.read_exact(&mut bytes).await.expect("open");
        assert_eq!(&bytes, b"ahead");
        machine.write_all(b" and later").await.expect("open");
        machine.shutdown().await.expect("open");
        let mut to_client = vec![0; agreed.len() + 10];
        client.read_exact(&mut to_client).await.expect("open");
        assert!(to_client.ends_with(b"\r\n\r\nfirst and later"), "{}", to_client.escape_ascii());
        // One side has closed, the other goes on.
        client.write_all(b"still here").await.expect("open");
        client.shutdown().await.expect("open");
        let mut rest = String::new();
        machine.read_to_string(&mut rest).await.expect("text");
        rest
    };
    let (result, rest) = tokio::join!(rig.exchange(), far_ends);
    assert_eq!(rest, "still here");
    let want = Finished { status: 101, client_keep_alive: false, machine_keep_alive: false };
    assert_eq!(result.expect("complete"), want);
    assert!(rig.counts.received.get() > UPGRADE.len() - 30 && rig.counts.sent.get() > agreed.len());
}

#[tokio::test]
async fn an_upgrade_that_the_machine_declines_is_an_ordinary_exchange() {
    let response = "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno";
    let (result, to_client, _) = relay(&format!("{UPGRADE}{GET}"), response).await;
    assert_eq!(to_client, response);
    assert!(result.expect("complete").client_keep_alive, "what was sent ahead is a request");
}

#[tokio::test]
async fn a_change_of_protocol_that_nobody_asked_for_is_a_fault_of_the_machine() {
    let response = "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    for request in [GET, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"]
    {
        let (result, to_client, to_machine) = relay(request, response).await;
        assert!(matches!(result, Err(Failure::ResponseHead(_))), "{result:?}");
        assert_eq!(to_client, "");
        assert!(!to_machine.contains("Upgrade"), "{to_machine}");
    }
}
