//! What holds for which exchanges: clocks and routes, from all layers.

use std::collections::BTreeMap;
use std::time::Duration;

use outlast_config::{
    Flags, HalfClose, Plan, QueueNotice, RefusalForm, RouteSettings, Routes, SourceText, Sources,
    check,
};

const FLY: &str = r#"
[http_service]
internal_port = 8000
[http_service.http_options]
idle_timeout = 120
headers_read_timeout = 7
[[services]]
internal_port = 3001
[[services.ports]]
port = 3001
"#;

fn plan(fly: Option<&str>, outlast: &str) -> Plan {
    let env = BTreeMap::new();
    let checked = check(&Sources {
        fly: fly.map(|text| SourceText::new("fly.toml", text)),
        outlast: Some(SourceText::new("outlast.toml", outlast)),
        env: &env,
        flags: Flags::default(),
    });
    checked.unwrap_or_else(|errors| panic!("{errors:?}")).plan
}

fn of<'r>(routes: &'r Routes, path: &str) -> &'r RouteSettings {
    routes.settings(routes.find(path))
}

const fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[test]
fn silence_ends_nothing_by_default() {
    let plan = plan(None, "");
    let settings = plan.services[0].routes.rest;
    assert_eq!(settings, RouteSettings::default());
    let clocks = settings.clocks;
    assert_eq!(clocks.connect, Duration::from_secs(5));
    let off = [clocks.response_head, clocks.chunk_gap, clocks.lifetime, clocks.write_stall];
    assert_eq!(off, [None; 4]);
}

#[test]
fn the_timeouts_of_fly_toml_are_clocks_of_their_service() {
    let fly = plan(Some(FLY), "");
    let [http, tcp] = fly.services.as_slice() else { panic!("{:?}", fly.services) };
    assert_eq!(http.routes.rest.clocks.chunk_gap, seconds(120));
    assert_eq!(http.clocks.head, Duration::from_secs(7));
    assert_eq!(tcp.routes.rest.clocks.chunk_gap, None);
    let ours = plan(Some(FLY), "[clocks]\nchunk_gap = \"9s\"\nhead = \"3s\"\n");
    let http = &ours.services[0];
    assert_eq!(http.routes.rest.clocks.chunk_gap, seconds(9));
    assert_eq!(http.clocks.head, Duration::from_secs(3));
    let off = plan(Some(FLY), "[clocks]\nchunk_gap = \"0s\"\n");
    assert_eq!(off.services[0].routes.rest.clocks.chunk_gap, None);
}

#[test]
fn the_first_route_that_matches_counts_whole_and_over_the_clocks_of_all() {
    let plan = plan(
        None,
        r#"
        [clocks]
        write_stall = "5m"
        lifetime = "1h"
        [[route]]
        path = "/api/chat"
        half_close = "keep"
        queue_notice = "ndjson"
        clocks.write_stall = "0s"
        [[route]]
        path = "/api/**"
        refusal = "no-content"
        heartbeat = "15s"
        "#,
    );
    let routes = &plan.services[0].routes;
    let chat = of(routes, "/api/chat");
    assert_eq!((chat.half_close, chat.heartbeat), (HalfClose::Keep, None));
    assert_eq!(chat.queue_notice, Some(QueueNotice::Ndjson));
    assert_eq!((chat.clocks.write_stall, chat.clocks.lifetime), (None, seconds(3600)));
    let events = of(routes, "/api/runs/1/events");
    assert_eq!((events.refusal, events.heartbeat), (RefusalForm::NoContent, seconds(15)));
    assert_eq!(events.clocks.write_stall, seconds(300));
    assert_eq!(*of(routes, "/"), routes.rest);
    assert_eq!(routes.rest.half_close, HalfClose::Gone);
}

#[test]
fn a_route_may_be_about_one_service() {
    let plan = plan(
        Some(FLY),
        r#"
        [[route]]
        service = "tcp-3001"
        clocks.chunk_gap = "1m"
        [[route]]
        service = "http"
        clocks.head = "2s"
        clocks.keep_alive = "0s"
        clocks.response_head = "3s"
        "#,
    );
    let [http, tcp] = plan.services.as_slice() else { panic!("{:?}", plan.services) };
    assert_eq!(tcp.routes.rest.clocks.chunk_gap, seconds(60));
    assert_eq!(of(&tcp.routes, "").clocks.chunk_gap, seconds(60));
    let clocks = of(&http.routes, "/any").clocks;
    assert_eq!((clocks.response_head, clocks.chunk_gap), (seconds(3), seconds(120)));
    assert_eq!(
        (http.clocks.head, http.clocks.keep_alive),
        (Duration::from_secs(2), Duration::ZERO)
    );
    assert_eq!(tcp.clocks.head, Duration::from_secs(15));
}

#[test]
fn of_two_routes_for_all_paths_the_first_has_the_connections_too() {
    let plan = plan(
        None,
        r#"
        [[route]]
        clocks.head = "2s"
        [[route]]
        clocks.head = "9s"
        clocks.keep_alive = "9s"
        "#,
    );
    let clocks = plan.services[0].clocks;
    assert_eq!((clocks.head, clocks.keep_alive), (Duration::from_secs(2), Duration::from_secs(60)));
}

#[test]
fn a_route_that_never_matches_is_warned_of() {
    let env = BTreeMap::new();
    let text =
        "[[route]]\npath = \"/a\"\n[[route]]\n[[route]]\nservice = \"http\"\npath = \"/b\"\n";
    let checked = check(&Sources {
        fly: None,
        outlast: Some(SourceText::new("outlast.toml", text)),
        env: &env,
        flags: Flags::default(),
    });
    let notes = checked.unwrap().notes;
    let [note] = notes.as_slice() else { panic!("{notes:?}") };
    assert!(note.to_string().contains("this route never matches"), "{note}");
}

#[test]
fn a_route_behind_a_wider_one_is_warned_of() {
    let warned = |text: &str| {
        let env = BTreeMap::new();
        let outlast = Some(SourceText::new("outlast.toml", text));
        let flags = Flags::default();
        let checked = check(&Sources { fly: None, outlast, env: &env, flags });
        let notes = checked.unwrap().notes;
        notes.iter().any(|note| note.to_string().contains("this route never matches"))
    };
    let table = [
        ("path = \"/a/**\"", "path = \"/a/b\"", true),
        ("path = \"/a/*\"", "path = \"/a/b\"", true),
        ("path = \"/**\"", "service = \"http\"\npath = \"/a\"", true),
        ("path = \"/a/*\"", "path = \"/a/b/c\"", false),
        ("path = \"/a/*\"", "path = \"/a/**\"", false),
        ("service = \"http\"\npath = \"/**\"", "path = \"/a\"", false),
        ("path = \"/**\"", "clocks.head = \"3s\"", false),
    ];
    for (first, second, want) in table {
        let text = format!("[[route]]\n{first}\n[[route]]\n{second}\n");
        assert_eq!(warned(&text), want, "{text}");
    }
}
