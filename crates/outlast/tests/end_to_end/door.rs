//! Who comes in: the one-time link, the cookie, the bearer token, hosts and origins; and every route that is promised.

use crate::support::{Outlast, get, request};

fn cookie(set_cookie: &str) -> String {
    set_cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn the_printed_link_lets_one_person_in_once() {
    let outlast = Outlast::up(&[], &[]).await;
    let line = outlast.stdout_line("Open http://").await;
    let link = line.strip_prefix("Open http://").unwrap();
    let (host, path) = link.split_at(link.find('/').unwrap());
    assert_eq!(host, outlast.gateway.to_string());

    let (status, page) = get(outlast.gateway, "/", &[("Accept", "text/html")]).await;
    assert_eq!(status, 401);
    assert!(page.contains("<h2>Not logged in</h2>"), "{page}");
    assert!(page.contains("<code>outlast link</code>"), "it says what to do: {page}");
    assert!(!page.contains("Bearer"), "people have no token: {page}");
    let (status, problem) = get(outlast.gateway, "/", &[]).await;
    assert_eq!(status, 401);
    assert!(problem.contains("Authorization: Bearer TOKEN"), "programs have one: {problem}");

    let looked = request(outlast.gateway, "HEAD", path, &[], "").await.unwrap();
    assert_eq!(looked.status, 200, "who only looks does not use it up");
    assert!(looked.field("set-cookie").is_none());

    let login = request(outlast.gateway, "GET", path, &[], "").await.unwrap();
    assert_eq!((login.status, login.field("location")), (303, Some("/")));
    let set_cookie = login.field("set-cookie").unwrap().to_owned();
    assert!(set_cookie.contains("HttpOnly") && set_cookie.contains("SameSite"), "{set_cookie}");

    let cookie = cookie(&set_cookie);
    let shown = [("Cookie", cookie.as_str())];
    let (status, page) = get(outlast.gateway, "/", &shown).await;
    assert_eq!(status, 200);
    assert!(page.contains("<title>Outlast</title>"));
    assert_eq!(get(outlast.gateway, "/.outlast/pool", &shown).await.0, 200);
    assert_eq!(get(outlast.admin, "/api/pool", &shown).await.0, 200);

    let again = request(outlast.gateway, "GET", path, &[], "").await.unwrap();
    assert_eq!(again.status, 401, "a link works once");
    assert!(again.field("set-cookie").is_none());
}

#[tokio::test]
async fn a_fresh_link_can_be_had_at_any_time() {
    let outlast = Outlast::up(&[], &[]).await;
    let url = format!("http://{}", outlast.gateway);
    let output = Outlast::command(outlast.folder.path(), &["link", "--url", &url]).output();
    let output = output.await.unwrap();
    assert!(output.status.success());
    let link = String::from_utf8(output.stdout).unwrap();
    let path = link.trim().strip_prefix(&url).unwrap();
    let login = request(outlast.gateway, "GET", path, &[], "").await.unwrap();
    assert_eq!(login.status, 303);
}

#[tokio::test]
async fn nobody_gets_in_without_showing_something_or_under_a_foreign_name() {
    let outlast = Outlast::up(&[], &[]).await;
    let token = outlast.token();
    let good = ("Authorization", token.as_str());
    let listening = outlast.gateway.to_string();
    let own_origin = format!("http://{listening}");
    for (address, path) in
        [(outlast.gateway, "/"), (outlast.gateway, "/.outlast/pool"), (outlast.admin, "/api/pool")]
    {
        for (fields, status) in [
            (vec![], 401),
            (vec![("Authorization", "Bearer wrong")], 401),
            (vec![("Cookie", "outlast_0=1.2.3")], 401),
            (vec![good], 200),
            (vec![good, ("Origin", &own_origin)], 200),
            (vec![good, ("Host", "evil.example")], 403),
            (vec![good, ("Origin", "http://evil.example")], 403),
        ] {
            let got = get(address, path, &fields).await.0;
            assert_eq!(got, status, "{path} {fields:?}");
        }
    }
    for (fields, is_whole) in [
        (vec![], true),
        (vec![("Host", "evil.example")], false),
        (vec![("Origin", "http://evil.example")], false),
    ] {
        let (status, health) = get(outlast.gateway, "/api/health", &fields).await;
        assert_eq!(status, 200);
        assert_eq!(health.contains("agent_reason"), is_whole, "{fields:?}: {health}");
        assert!(is_whole || health == r#"{"status":"ok"}"#, "{health}");
    }
    let chat = r#"{"message":"hello","requestId":"x"}"#;
    let anonymous = request(outlast.gateway, "POST", "/api/chat", &[], chat).await.unwrap();
    assert_eq!(anonymous.status, 401);
    let known = request(outlast.gateway, "POST", "/api/chat", &[good], chat).await.unwrap();
    assert_eq!(known.status, 200);
    let paced = [good, ("Outlast-Drill-Pace", "8s")];
    let mut paced = request(outlast.gateway, "POST", "/api/chat", &paced, chat).await.unwrap();
    assert_eq!(paced.status, 403);
    assert!(paced.body().await.unwrap().contains("--no-auth"));
}

#[tokio::test]
async fn every_route_that_the_interface_page_promises_answers() {
    let outlast = Outlast::up(&[], &[]).await;
    let token = outlast.token();
    let page = include_str!("../../../../docs/interface.md");
    let mut listener = outlast.gateway;
    let mut count = 0;
    for line in page.lines() {
        match line {
            "### Admin listener" => listener = outlast.admin,
            "### Desktop" => listener = outlast.gateway,
            _ => {}
        }
        let Some(route) = line.strip_prefix("| `").and_then(|rest| rest.split('`').next()) else {
            continue;
        };
        let Some((method, path)) = route.split_once(" /") else { continue };
        if !["GET", "POST", "DELETE"].contains(&method) {
            continue;
        }
        count += 1;
        let path = format!("/{}", path.replace(['{', '}'], ""));
        let shown = [("Authorization", token.as_str())];
        let mut answer = request(listener, method, &path, &shown, "{}").await.unwrap();
        let body = answer.body().await.unwrap();
        let wanted: &[u16] = match &*path {
            "/login" => &[401],
            "/api/chat" => &[400],
            // There is no such exchange and no such run, which is not what an unknown route says.
            "/api/exchanges/id" => &[400],
            "/api/abort/requestId" | "/v1/stream/name" => &[404],
            _ => &[200],
        };
        assert!(wanted.contains(&answer.status), "{route}: {} {body}", answer.status);
        assert!(!body.contains(r#"{"error":"there is no /"#), "{route}: {body}");
    }
    assert!(count >= 15, "only {count} routes were found on the page");
}
