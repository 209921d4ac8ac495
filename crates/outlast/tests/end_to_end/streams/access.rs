//! Who may use the streams, and from which pages.

use serde_json::Value;

use crate::support::{Outlast, request};

const STREAM: &str = "/v1/stream/a";

#[tokio::test]
async fn nobody_uses_streams_who_is_not_known() {
    let outlast = Outlast::serve(&[], &[]).await;
    let token = outlast.token();
    for method in ["PUT", "POST", "GET", "HEAD", "DELETE", "PATCH", "OPTIONS"] {
        let answer = request(outlast.gateway, method, STREAM, &[], "").await.unwrap();
        assert_eq!(answer.status, 401, "{method}");
        let foreign = [("Authorization", &*token), ("Host", "evil.example")];
        let answer = request(outlast.gateway, method, STREAM, &foreign, "").await.unwrap();
        assert_eq!(answer.status, 403, "{method}");
    }
    let shown = [("Authorization", &*token)];
    for (method, status) in [
        ("PUT", 201),
        ("GET", 200),
        ("OPTIONS", 204),
        ("PATCH", 405),
        ("DELETE", 204),
        ("GET", 404),
    ] {
        let answer = request(outlast.gateway, method, STREAM, &shown, "").await.unwrap();
        assert_eq!(answer.status, status, "{method}");
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"), "{method}");
        assert!(answer.field("content-security-policy").unwrap().starts_with("sandbox"));
    }
}

#[tokio::test]
async fn pages_of_other_origins_get_no_more_than_they_may() {
    let outlast = Outlast::serve(&[], &[]).await;
    let token = outlast.token();
    let ours = "http://localhost:3000";
    let allowed = async |method: &str, fields: &[(&str, &str)]| {
        let answer = request(outlast.gateway, method, STREAM, fields, "").await.unwrap();
        assert!(answer.field("vary").unwrap().contains("origin"), "{}", answer.head);
        assert!(answer.field("access-control-allow-credentials").is_none(), "{}", answer.head);
        (answer.status, answer.field("access-control-allow-origin").map(ToOwned::to_owned))
    };
    let shown = ("Authorization", &*token);
    assert_eq!(allowed("GET", &[shown, ("Origin", ours)]).await, (404, Some(ours.to_owned())));
    assert_eq!(allowed("GET", &[shown, ("Origin", "null")]).await, (404, None));
    assert_eq!(allowed("GET", &[shown, ("Origin", "https://evil.example")]).await, (403, None));
    for (origin, asked, wanted) in [
        (ours, "GET", Some(ours)),
        (ours, "PUT", Some(ours)),
        ("https://evil.example", "GET", None),
        ("null", "GET", None),
    ] {
        let preflight = [("Origin", origin), ("Access-Control-Request-Method", asked)];
        let seen = allowed("OPTIONS", &preflight).await;
        assert_eq!(seen, (204, wanted.map(ToOwned::to_owned)), "{origin} {asked}");
    }
    // As a browser says it of a page at another port, which may read only.
    let same_site = ("Sec-Fetch-Site", "same-site");
    for (asked, wanted) in [("GET", Some(ours)), ("POST", None)] {
        let preflight = [("Origin", ours), same_site, ("Access-Control-Request-Method", asked)];
        assert_eq!(allowed("OPTIONS", &preflight).await, (204, wanted.map(ToOwned::to_owned)));
    }
}

#[tokio::test]
async fn the_limits_are_those_of_the_configuration() {
    let limits = "[streams]\nappend_max = \"1KiB\"\nreaders_max = 1\npoll_timeout = \"50ms\"\n";
    let outlast = Outlast::serve(&[("outlast.toml", limits)], &["--no-auth"]).await;
    let address = outlast.gateway;
    let text = [("Content-Type", "text/plain")];
    request(address, "PUT", STREAM, &text, "").await.unwrap();
    let fits = "a".repeat(1024);
    let answer = request(address, "POST", STREAM, &text, &fits).await.unwrap();
    assert_eq!(answer.status, 204);
    let mut answer = request(address, "POST", STREAM, &text, &format!("{fits}a")).await.unwrap();
    assert_eq!(answer.status, 413);
    let body: Value = serde_json::from_str(&answer.body().await.unwrap()).unwrap();
    assert!(body["error"].as_str().unwrap().contains("1024 bytes"), "{body}");

    let poll = format!("{STREAM}?offset=now&live=long-poll");
    let answer = request(address, "GET", &poll, &[], "").await.unwrap();
    assert_eq!(answer.status, 204, "after 50 ms");
    let events = format!("{STREAM}?offset=now&live=sse");
    let reader = request(address, "GET", &events, &[], "").await.unwrap();
    assert_eq!(reader.status, 200);
    let second = request(address, "GET", &events, &[], "").await.unwrap();
    assert_eq!((second.status, second.field("retry-after")), (429, Some("1")));
}

#[tokio::test]
async fn live_readers_do_not_hold_up_the_end() {
    let mut outlast = Outlast::serve(&[], &["--no-auth"]).await;
    let text = [("Content-Type", "text/plain")];
    request(outlast.gateway, "PUT", STREAM, &text, "x").await.unwrap();
    let path = format!("{STREAM}?offset=-1&live=sse");
    let mut events = request(outlast.gateway, "GET", &path, &[], "").await.unwrap();
    outlast.signal(rustix::process::Signal::TERM);
    let body = events.body().await.unwrap();
    assert!(body.contains("data:x\n") && !body.contains("streamClosed"), "{body}");
    assert!(outlast.ended().await.success());
}
