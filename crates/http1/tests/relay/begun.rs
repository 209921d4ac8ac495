//! A machine's response that continues one of which the client has something already.

use std::future::poll_fn;

use outlast_http1::{Exchange, Failure, Finished, HeadError, MessageKind, ReplayRule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{GET, Rig, rules};

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// What the client gets of a response that comes in pieces of so many bytes, through pipes of so many.
async fn continued(
    kind: MessageKind,
    response: &str,
    piece: usize,
    pipe: usize,
) -> (Result<Finished, Failure>, String) {
    let (mut rig, mut client, mut machine) = Rig::new(pipe.max(GET.len()));
    client.write_all(GET.as_bytes()).await.expect("room");
    let mut request = rig.request().await;
    let mut rules = rules(&mut request, ReplayRule::Ignore);
    rules.begun = Some(kind);
    let exchange = Exchange::new(&mut request, b"", rules, &mut rig.inbox);
    let mut exchange = exchange.expect("no body");
    let relayed = async move {
        let Rig { mut client, mut machine, mut inbox, counts } = rig;
        let moved = poll_fn(|cx| exchange.poll(cx, &mut client, &mut inbox, &mut machine, &counts));
        let result = moved.await;
        let is_refused = matches!(result, Err(Failure::ResponseHead(_)));
        assert_eq!(exchange.has_responded(), !is_refused);
        result
    };
    let answer = async move {
        machine.read_exact(&mut vec![0; GET.len()]).await.expect("a request");
        for piece in response.as_bytes().chunks(piece) {
            // A response that is refused is not read to its end.
            if machine.write_all(piece).await.is_err() {
                return;
            }
        }
        let _unheard = machine.shutdown().await;
    };
    let read = async move {
        let mut got = String::new();
        client.read_to_string(&mut got).await.expect("text");
        got
    };
    let (result, (), got) = tokio::join!(relayed, answer, read);
    (result, got)
}

#[tokio::test]
async fn the_body_follows_without_its_head_in_chunks() {
    let lines = "application/x-ndjson";
    for (kind, media_type, framing, body, want) in [
        (MessageKind::Lines, lines, CHUNKED, "3\r\n{}\n\r\n0\r\n\r\n", "3\r\n{}\n\r\n0\r\n\r\n"),
        (
            MessageKind::Lines,
            lines,
            "Content-Length: 12\r\n",
            "{\"a\":\"bcd\"}\n",
            "c\r\n{\"a\":\"bcd\"}\n\r\n0\r\n\r\n",
        ),
        (MessageKind::Lines, "application/jsonl", "Content-Length: 0\r\n", "", "0\r\n\r\n"),
        (
            MessageKind::Events,
            "text/event-stream; charset=utf-8",
            CHUNKED,
            "9\r\ndata: 1\n\n\r\n0\r\nX: y\r\n\r\n",
            "9\r\ndata: 1\n\n\r\n0\r\nX: y\r\n\r\n",
        ),
    ] {
        let response = format!(
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nETag: \"a\"\r\nSet-Cookie: a=b\r\n{framing}\r\n{body}"
        );
        for (piece, pipe) in [(1, 4096), (7, 64), (4096, 4096)] {
            let (result, got) = continued(kind, &response, piece, pipe).await;
            let finished = result.expect("complete");
            assert!(finished.client_keep_alive && finished.machine_keep_alive, "{response}");
            assert_eq!(got, want, "{response}");
        }
    }
}

#[tokio::test]
async fn nothing_is_passed_on_of_a_response_that_cannot_follow() {
    let lines = "Content-Type: application/x-ndjson\r\n";
    for (status, fields) in [
        (404, format!("{lines}{CHUNKED}")),
        (206, format!("{lines}{CHUNKED}")),
        (302, format!("Location: /\r\n{lines}{CHUNKED}")),
        (204, lines.to_owned()),
        (200, lines.to_owned()),
        (200, format!("{lines}Content-Encoding: gzip\r\n{CHUNKED}")),
        (200, format!("Content-Type: text/event-stream\r\n{CHUNKED}")),
        (200, format!("Content-Type: application/json\r\n{CHUNKED}")),
        (200, format!("{lines}{lines}{CHUNKED}")),
        (200, CHUNKED.to_owned()),
        (200, format!("{lines}Trailer: Digest\r\n{CHUNKED}")),
        (200, "Content-Length: 5\r\n".to_owned()),
    ] {
        let response = format!("HTTP/1.1 {status} X\r\n{fields}\r\n0\r\n\r\n");
        let (result, got) = continued(MessageKind::Lines, &response, 4096, 4096).await;
        let refused = matches!(
            result,
            Err(Failure::ResponseHead(HeadError::NotContinued(told))) if told == status
        );
        assert!(refused, "{response}");
        assert_eq!(got, "", "{response}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_lacks_its_last_chunk() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
    for (framing, body, want) in [
        (CHUNKED, "9\r\ndata: 1\n\n\r\n", "9\r\ndata: 1\n\n\r\n"),
        ("Content-Length: 20\r\n", "data: 1\n\n", "14\r\ndata: 1\n\n"),
    ] {
        let response = format!("{head}{framing}\r\n{body}");
        let (result, got) = continued(MessageKind::Events, &response, 4096, 4096).await;
        assert!(matches!(result, Err(Failure::ResponseBody(_))), "{response}");
        assert_eq!(got, want);
    }
}
