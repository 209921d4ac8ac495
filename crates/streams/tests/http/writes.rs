//! Writing: what is refused, with what reason, and what the next one learns from it.

use outlast_testkit::Wire;

use crate::help::{Answer, JSON, SETTINGS, Server, TEXT};

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_has_come() {
    let server = Server::start(SETTINGS).await;
    server.create("a", TEXT, "").await;
    let head = |method: &str, length: &str| {
        format!(
            "{method} /v1/stream/a HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n{length}\r\n\r\n"
        )
    };
    let too_long = format!("Content-Length: {}", SETTINGS.append_bytes_max + 1);
    for method in ["PUT", "POST"] {
        let mut wire = Wire::connect(server.address).await;
        wire.send(head(method, &too_long)).await;
        assert!(wire.read_head().await.starts_with("HTTP/1.1 413"), "nothing was sent of it");
    }
    let chunk = "x".repeat(64 * 1024);
    for (name, chunks, status) in [("a", 200, "413"), ("none", 200, "404")] {
        let mut wire = Wire::connect(server.address).await;
        let head = head("POST", "Transfer-Encoding: chunked").replace("/a ", &format!("/{name} "));
        wire.send(head).await;
        for _ in 0..chunks {
            wire.send_chunk(&chunk).await;
        }
        wire.send("0\r\n\r\n").await;
        let answer = wire.read_head().await;
        assert!(answer.contains(status), "who sends all first reads why it is refused: {answer}");
    }
    assert_eq!(server.ask("GET", "a", &[], "").await.body, "", "nothing was kept");
}

#[tokio::test]
async fn a_body_that_is_cut_is_not_appended() {
    let server = Server::start(SETTINGS).await;
    let tail = server.create("a", TEXT, "x").await.next_offset();
    let mut wire = Wire::connect(server.address).await;
    let head = "POST /v1/stream/a HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n";
    wire.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")).await;
    wire.finish().await;
    wire.read_to_end().await.ok();
    assert_eq!(server.ask("HEAD", "a", &[], "").await.next_offset(), tail);
}

#[tokio::test]
async fn a_producer_out_of_order_is_told_what_was_expected() {
    let server = Server::start(SETTINGS).await;
    server.create("a", TEXT, "").await;
    let send = async |epoch: &str, seq: &str| {
        let fields = [TEXT, ("Producer-Id", "p"), ("Producer-Epoch", epoch), ("Producer-Seq", seq)];
        server.ask("POST", "a", &fields, "x").await
    };
    assert_eq!(send("3", "0").await.status, 200);
    assert_eq!(send("3", "1").await.status, 200);
    let again = send("3", "0").await;
    assert_eq!((again.status, again.field("producer-seq")), (204, Some("1")));
    let gap = send("3", "4").await;
    assert_eq!(gap.status, 409);
    assert_eq!(gap.field("producer-expected-seq"), Some("2"));
    assert_eq!(gap.field("producer-received-seq"), Some("4"));
    assert!(gap.error().contains("2 is missing before 4"), "{}", gap.error());
    let stale = send("2", "0").await;
    assert_eq!((stale.status, stale.field("producer-epoch")), (403, Some("3")));
    assert_eq!(send("4", "1").await.status, 400);
    assert_eq!(server.ask("GET", "a", &[], "").await.body, "xx");
}

#[tokio::test]
async fn a_path_never_leaves_the_store() {
    let server = Server::start(SETTINGS).await;
    for (target, status) in [
        ("/v1/stream/../../etc/passwd", 400),
        ("/v1/stream/..%2f..%2fetc%2fpasswd", 400),
        ("/v1/stream/%2e%2e/%2e%2e/etc/passwd", 400),
        ("/v1/stream/a/%2E./b", 400),
        ("/v1/stream//etc/passwd", 400),
        ("/v1/stream/a%00b", 400),
        ("/v1/stream/a%5c..%5cb", 400),
        ("/v1/stream/%ff", 400),
        ("/v1/stream/", 400),
        ("/v1/stream", 404),
        ("/v1/stream/__ds/subscriptions/x", 404),
    ] {
        for method in ["PUT", "POST", "GET", "HEAD", "DELETE"] {
            let mut wire = server.send(method, target, &[TEXT], "x").await;
            let answer = Answer::parse(&wire.read_to_end().await.unwrap());
            assert_eq!(answer.status, status, "{method} {target}");
        }
    }
    for (source, status) in [
        ("/v1/stream/../x", 400),
        ("/v1/stream/none", 404),
        ("/.outlast/stream/x", 404),
        ("http://other.example/v1/stream/a", 404),
        ("", 404),
    ] {
        let answer = server.ask("PUT", "fork", &[("Stream-Forked-From", source)], "").await;
        assert_eq!(answer.status, status, "{source}");
    }
}

#[tokio::test]
async fn an_end_has_a_reason_that_everybody_is_told() {
    let server = Server::start(SETTINGS).await;
    server.create("a", TEXT, "x").await;
    let aborted = [("Stream-Closed", "true"), ("Stream-End-Reason", "aborted")];
    assert_eq!(server.ask("POST", "a", &aborted, "").await.status, 204);
    for (method, target, status) in [
        ("HEAD", "a", 200),
        ("GET", "a", 200),
        ("GET", "a?offset=now", 200),
        ("GET", "a?offset=now&live=long-poll", 204),
        ("POST", "a", 409),
    ] {
        let answer = server.ask(method, target, &[TEXT], "more").await;
        assert_eq!(answer.status, status, "{method} {target}");
        assert_eq!(answer.field("stream-closed"), Some("true"), "{method} {target}");
        assert_eq!(answer.field("stream-end-reason"), Some("aborted"), "{method} {target}");
    }
    let restarted = [TEXT, aborted[0], ("Stream-End-Reason", "restarted")];
    let put = server.ask("PUT", "b", &restarted, "y").await;
    assert_eq!(put.field("stream-end-reason"), Some("restarted"));
    for fields in [
        vec![aborted[0], ("Stream-End-Reason", "bored")],
        vec![("Stream-End-Reason", "aborted")],
        vec![("Stream-Closed", "yes"), ("Stream-End-Reason", "aborted")],
    ] {
        assert_eq!(server.ask("POST", "a", &fields, "").await.status, 400, "{fields:?}");
    }
}

#[tokio::test]
async fn fields_that_are_wrong_are_named() {
    let server = Server::start(SETTINGS).await;
    server.create("a", TEXT, "x").await;
    let long = "a".repeat(256);
    for (method, name, value) in [
        ("PUT", "stream-ttl", "-1"),
        ("PUT", "stream-ttl", "01"),
        ("PUT", "stream-ttl", ""),
        ("PUT", "stream-ttl", "99999999999"),
        ("PUT", "stream-ttl", "99999999999999999999999999"),
        ("PUT", "stream-expires-at", "tomorrow"),
        ("PUT", "stream-expires-at", "2027-01-31"),
        ("PUT", "stream-expires-at", "2027-01-31T12:00:00"),
        ("PUT", "stream-expires-at", "2027-02-30T12:00:00Z"),
        ("PUT", "stream-expires-at", "2027-01-31T12:00:00+01:00[Europe/Paris]"),
        ("PUT", "content-type", "text"),
        ("PUT", "stream-fork-offset", "x"),
        ("PUT", "stream-fork-sub-offset", "0"),
        ("POST", "stream-seq", ""),
        ("POST", "stream-seq", &long),
        ("POST", "producer-id", "p"),
        ("POST", "producer-epoch", "1"),
        ("POST", "producer-seq", "9007199254740992"),
    ] {
        let mut fields = vec![(name, value)];
        if name != "content-type" {
            fields.push(TEXT);
        }
        let answer = server.ask(method, "a", &fields, "y").await;
        assert_eq!(answer.status, 400, "{name}: {value:?}");
        let (error, family) = (answer.error(), name.split('-').next().unwrap());
        assert!(error.contains(name) || error.contains(&format!("{family}-")), "{name}: {error}");
    }
    for name in ["stream-ttl", "stream-seq", "content-type"] {
        let twice = [(name, "1"), (name, "1")];
        let method = if name == "stream-seq" { "POST" } else { "PUT" };
        let answer = server.ask(method, "a", &twice, "y").await;
        assert_eq!(
            (answer.status, answer.error().contains("more than once")),
            (400, true),
            "{name}"
        );
    }
    assert_eq!(server.ask("GET", "a", &[], "").await.body, "x", "nothing was changed");
}

#[tokio::test]
async fn what_is_not_json_is_told_where_it_ends_to_be() {
    let server = Server::start(SETTINGS).await;
    server.create("a", JSON, "[]").await;
    for body in ["{", "[1,]", "[]", "\u{feff}1", "1 2"] {
        let answer = server.ask("POST", "a", &[JSON], body).await;
        assert_eq!(answer.status, 400, "{body}");
    }
    let answer = server.ask("POST", "a", &[JSON], "[1,\n!]").await;
    assert!(answer.error().contains("line 2 column 1"), "{}", answer.error());
    assert_eq!(server.ask("GET", "a", &[], "").await.body, "[]");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(server.ask("POST", "a", &[JSON], &deep).await.status, 204);
    server.close("a").await;
    let closed = server.ask("POST", "a", &[JSON], "{").await;
    assert_eq!(closed.status, 409, "that it is closed comes first");
}
