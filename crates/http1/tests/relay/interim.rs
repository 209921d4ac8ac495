//! Heads before the final one (RFC 9110 section 15.2).

use std::future::poll_fn;

use outlast_http1::{Failure, ReplayRule};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::rig::{GET, Rig, asked, begin, relay};

#[tokio::test]
async fn endless_interim_responses_are_no_response() {
    let response = "HTTP/1.1 102 Processing\r\n\r\n".repeat(17);
    let (result, _, _) = relay(GET, &response).await;
    assert!(matches!(result, Err(Failure::ResponseHead(_))), "{result:?}");
    let response =
        format!("{}HTTP/1.1 204 Done\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n".repeat(16));
    let (result, to_client, _) = relay(GET, &response).await;
    assert_eq!(result.expect("complete").status, 204);
    assert_eq!(to_client, response);
}

#[tokio::test]
async fn interim_responses_come_before_the_final_one() {
    let response = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n\
                    HTTP/1.1 204 Done\r\n\r\n";
    let (result, to_client, _) = relay(GET, response).await;
    assert_eq!(result.expect("complete").status, 204);
    assert_eq!(to_client, response);
}

/// A client that had got half of an interim head was sent another head behind it: what came next was taken for a field.
#[tokio::test]
async fn half_an_interim_head_is_followed_by_nothing_else() {
    let (mut rig, mut client, mut machine) = Rig::new(256);
    client.write_all(GET.as_bytes()).await.expect("room");
    let long = format!("HTTP/1.1 103 Early\r\nLink: {}\r\n\r\n", "a".repeat(2000));
    let mut request = rig.request().await;
    let mut exchange = begin(&mut rig, &mut request, ReplayRule::Ignore);
    let Rig { client: near, machine: upstream, inbox, counts } = &mut rig;
    let (result, ()) =
        tokio::join!(poll_fn(|cx| exchange.poll(cx, near, inbox, upstream, counts)), async {
            asked(&mut machine, long.as_bytes()).await;
            drop(machine);
        });
    assert!(matches!(result, Err(Failure::MachineConnection(_))), "{result:?}");
    assert!(exchange.has_responded(), "only a cut is left");
}

#[tokio::test]
async fn a_request_that_is_sent_on_amid_an_interim_head_gets_the_rest_of_it_first() {
    let (mut rig, mut client, mut machine) = Rig::new(256);
    client.write_all(GET.as_bytes()).await.expect("room");
    let long = format!("HTTP/1.1 103 Early\r\nLink: {}\r\n\r\n", "a".repeat(2000));
    let on = "HTTP/1.1 404 X\r\nfly-replay: elsewhere=true\r\nContent-Length: 0\r\n\r\n";
    let mut request = rig.request().await;
    let mut exchange = begin(&mut rig, &mut request, ReplayRule::Follow);
    let Rig { client: near, machine: upstream, inbox, counts } = &mut rig;
    let sends_on = format!("{long}{on}");
    let (result, _) = tokio::join!(
        poll_fn(|cx| exchange.poll(cx, near, inbox, upstream, counts)),
        asked(&mut machine, sends_on.as_bytes())
    );
    assert!(matches!(result, Err(Failure::Replay(_))), "{result:?}");
    exchange.replay(ReplayRule::Ignore);
    let (mut other, mut other_end) = duplex(4096);
    let answer = "HTTP/1.1 204 Done\r\n\r\n";
    let mut got = vec![0; long.len() + answer.len()];
    let (result, _, read) = tokio::join!(
        poll_fn(|cx| exchange.poll(cx, near, inbox, &mut other, counts)),
        asked(&mut other_end, answer.as_bytes()),
        client.read_exact(&mut got)
    );
    assert_eq!(result.expect("complete").status, 204);
    read.expect("open");
    assert_eq!(String::from_utf8(got).expect("text"), format!("{long}{answer}"));
}

/// A slow client is no fault of the machine, which is not read meanwhile.
#[tokio::test]
async fn interim_heads_wait_for_a_client_that_is_slow() {
    let (mut rig, mut client, mut machine) = Rig::new(256);
    client.write_all(GET.as_bytes()).await.expect("room");
    let long = format!("HTTP/1.1 103 Early\r\nLink: {}\r\n\r\n", "a".repeat(30_000));
    let response = format!("{}HTTP/1.1 204 Done\r\n\r\n", long.repeat(4));
    let mut got = String::new();
    let (result, _, _) = tokio::join!(
        async {
            let result = rig.exchange().await;
            rig.client.shutdown().await.expect("open");
            result
        },
        asked(&mut machine, response.as_bytes()),
        client.read_to_string(&mut got)
    );
    assert_eq!(result.expect("complete").status, 204);
    assert_eq!(got, response);
}
