//! Catching up: chunks, caches, and offsets that are none.

use crate::help::{JSON, SETTINGS, Server, TEXT};

/// So many megabytes are not all sent before they are read.
const MORE_THAN_SOCKETS_TAKE: usize = 24;

#[tokio::test]
async fn what_is_long_comes_whole_up_to_the_tail_of_its_moment() {
    let server = Server::start(SETTINGS).await;
    server.create("a", TEXT, "").await;
    let piece: String = ('a'..='z').cycle().take(1_000_001).collect();
    let mut tail = String::new();
    for _ in 0..MORE_THAN_SOCKETS_TAKE {
        tail = server.append("a", TEXT, &piece).await.next_offset();
    }
    let sent = piece.repeat(MORE_THAN_SOCKETS_TAKE);
    let mut wire = server.send("GET", "/v1/stream/a?offset=-1", &[], "").await;
    let head = wire.read_head().await;
    assert!(head.contains(&format!("content-length: {}\r\n", sent.len())), "{head}");
    server.append("a", TEXT, "later").await;
    let body = wire.read_to_end().await.unwrap();
    assert!(body == sent, "{} of {} bytes", body.len(), sent.len());
    assert!(head.contains(&format!("stream-next-offset: {tail}")), "{head}");
    assert!(head.contains("stream-up-to-date: true"), "{head}");
    let rest = server.ask("GET", &format!("a?offset={tail}"), &[], "").await;
    assert_eq!((&*rest.body, rest.field("cache-control")), ("later", Some("private, no-cache")));
}

#[tokio::test]
async fn messages_come_as_one_array_however_many_reads_it_takes() {
    let server = Server::start(SETTINGS).await;
    server.create("a", JSON, "[]").await;
    let mut sent = Vec::new();
    for _ in 0..MORE_THAN_SOCKETS_TAKE {
        let some: Vec<_> = (0..900).map(|n| format!("{n}-{}", "x".repeat(1_000))).collect();
        server.append("a", JSON, &serde_json::to_string(&some).unwrap()).await;
        sent.extend(some);
    }
    let mut wire = server.send("GET", "/v1/stream/a", &[], "").await;
    assert!(wire.read_head().await.contains("transfer-encoding: chunked"));
    server.append("a", JSON, "\"later\"").await;
    let (mut body, mut pieces) = (String::new(), 0);
    loop {
        let piece = wire.read_chunk().await;
        if piece.is_empty() {
            break;
        }
        assert!(piece.len() <= 256 * 1024 + 1_100);
        body.push_str(&piece);
        pieces += 1;
    }
    let read: Vec<String> = serde_json::from_str(&body).unwrap();
    assert!(read == sent, "{} of {} messages", read.len(), sent.len());
    assert!(pieces > MORE_THAN_SOCKETS_TAKE, "{pieces} pieces");
}

#[tokio::test]
async fn an_answer_whose_stream_goes_amid_it_does_not_look_whole() {
    let server = Server::start(SETTINGS).await;
    server.create("a", TEXT, "").await;
    let much = "x".repeat(1024 * 1024);
    for _ in 0..MORE_THAN_SOCKETS_TAKE {
        server.append("a", TEXT, &much).await;
    }
    let mut wire = server.send("GET", "/v1/stream/a", &[], "").await;
    wire.read_head().await;
    server.ask("DELETE", "a", &[], "").await;
    let came = wire.read_to_end().await.map_or(0, |body| body.len());
    assert!(came < MORE_THAN_SOCKETS_TAKE * much.len(), "{came} bytes");
}

#[tokio::test]
async fn a_tag_stands_for_a_piece_and_whether_it_is_the_last() {
    let server = Server::start(SETTINGS).await;
    server.create("a", TEXT, "x").await;
    let tag = server.ask("GET", "a", &[], "").await.field("etag").unwrap().to_owned();
    let again = server.ask("GET", "a", &[("If-None-Match", &tag)], "").await;
    assert_eq!((again.status, &*again.body), (304, ""));
    assert_eq!(again.field("etag"), Some(&*tag));
    assert!(again.field("stream-next-offset").is_some());
    server.close("a").await;
    let closed = server.ask("GET", "a", &[("If-None-Match", &tag)], "").await;
    assert_eq!(closed.status, 200, "the end must be told");
    let tag = closed.field("etag").unwrap().to_owned();
    assert_eq!(server.ask("GET", "a", &[("If-None-Match", &tag)], "").await.status, 304);
    server.ask("DELETE", "a", &[], "").await;
    server.create("a", TEXT, "y").await;
    server.close("a").await;
    let another = server.ask("GET", "a", &[("If-None-Match", &tag)], "").await;
    assert_eq!((another.status, &*another.body), (200, "y"), "another stream has other tags");
    let tail = server.ask("GET", "a?offset=now", &[], "").await;
    assert_eq!((tail.field("etag"), tail.field("cache-control")), (None, Some("no-store")));
}

#[tokio::test]
async fn an_offset_that_is_none_never_brings_bytes() {
    let server = Server::start(SETTINGS).await;
    let old = server.create("a", TEXT, "old bytes").await.next_offset();
    server.ask("DELETE", "a", &[], "").await;
    let new = server.create("a", TEXT, "new and longer bytes").await.next_offset();
    let beyond = format!("{}ff", &new[..new.len() - 2]);
    let forged = format!("{}_0000000000000004", "f".repeat(16));
    for (offset, status) in [(&*old, 410), (&beyond, 400), (&forged, 410), ("zz", 400), ("0", 400)]
    {
        for live in ["", "&live=long-poll", "&live=sse"] {
            let answer = server.ask("GET", &format!("a?offset={offset}{live}"), &[], "").await;
            assert_eq!(answer.status, status, "{offset}{live}");
            assert!(answer.error().contains("offset"), "{}", answer.error());
        }
    }
    let resumed = [("Last-Event-ID", &*old)];
    let answer = server.ask("GET", "a?offset=-1&live=sse", &resumed, "").await;
    assert_eq!(answer.status, 410, "an EventSource learns it, too");

    let tail = server.create("j", JSON, "[10,20]").await.next_offset();
    let within = format!("{}1", &tail[..tail.len() - 1]);
    assert_eq!(server.ask("GET", &format!("j?offset={within}"), &[], "").await.status, 400);
}

#[tokio::test]
async fn the_beginning_has_one_name_in_all_streams() {
    let server = Server::start(SETTINGS).await;
    let zeros = format!("{0}_{0}", "0".repeat(16));
    for name in ["a", "b"] {
        server.create(name, TEXT, name).await;
        assert_eq!(server.ask("GET", &format!("{name}?offset={zeros}"), &[], "").await.body, name);
    }
    let fork = [("Stream-Forked-From", "/v1/stream/a"), ("Stream-Fork-Offset", &*zeros)];
    assert_eq!(server.ask("PUT", "fork", &fork, "").await.status, 201);
    assert_eq!(server.ask("GET", "fork", &[], "").await.body, "");
}
