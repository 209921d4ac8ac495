//! Cases in which places run out.

use super::super::case::{Case, Scene};
use super::super::form::{Era, Form};
use super::super::scenes::{Burst, Idle, Pace, Streams, Zombies};
use super::super::voice::Voice;

const STREAMS: Streams = Streams {
    counts: "connections",
    hard: 12,
    people: 19,
    within: 300.0,
    length: (180.0, 420.0),
    impatient: 0.0,
    sockets: 0.0,
    path: "/v1/messages",
    lost: 0,
    deploy: None,
    pace: Pace::Stretched,
};

const IDLE: Idle = Idle {
    hard: 30,
    linger: 500.0,
    gap: 10.0,
    lasts: 800.0,
    streams: 0,
    takes: (0.02, 0.4),
    pace: Pace::Stretched,
};

const ZOMBIES: Zombies = Zombies {
    counts: "connections",
    hard: 14,
    fated: 13,
    vanish: 70.0,
    pings: (230.0, 40.0),
    lasts: 460.0,
    pace: Pace::Stretched,
};

pub(super) fn cases() -> Vec<Case> {
    [streams(), misleading(), idle(), zombies(), bursts(), unknown()].concat()
}

/// Streams at work hold the places.
fn streams() -> Vec<Case> {
    vec![
        Case::new(
            "twenty-five-places-newest-first",
            "working_streams",
            "The limits of the incident, in a log viewer that shows the newest line first.",
            2101,
            Scene::Streams(Streams { hard: 25, people: 36, ..STREAMS }),
        )
        .told(Voice::Gin, Form::NewestFirst, Era::Codes),
        Case::new(
            "runs-of-an-agent",
            "working_streams",
            "Runs of several minutes in an app whose access log has no durations; it tells of its runs itself.",
            2102,
            Scene::Streams(Streams { path: "/api/runs", ..STREAMS }),
        )
        .told(Voice::UvicornRuns, Form::Cut, Era::Codes),
        Case::new(
            "websockets-that-work",
            "working_streams",
            "Half of the places are taken by WebSockets and half by streams, and all of them live.",
            2105,
            Scene::Streams(Streams { counts: "requests", sockets: 0.5, hard: 11, ..STREAMS }),
        )
        .told(Voice::Gin, Form::Text, Era::Both),
        Case::new(
            "streams-in-our-own-log-again",
            "working_streams",
            "The log of the gateway itself; people who wait too long leave.",
            2106,
            Scene::Streams(Streams {
                counts: "requests",
                hard: 6,
                people: 14,
                within: 20.0,
                length: (20.0, 38.0),
                impatient: 0.3,
                pace: Pace::AsItIs,
                ..STREAMS
            }),
        )
        .ours(),
    ]
}

/// Streams at work hold the places, and something else is seen first.
fn misleading() -> Vec<Case> {
    vec![
        Case::new(
            "aborts-everywhere",
            "working_streams",
            "Half of those who are kept waiting leave, so that aborts are what one sees first.",
            2103,
            Scene::Streams(Streams { impatient: 0.5, people: 30, ..STREAMS }),
        )
        .told(Voice::Pino, Form::Stream, Era::Codes),
        Case::new(
            "keep-alive-is-blamed-again",
            "working_streams",
            "A commit says that keep-alive was the cause; the limit is reached as before, by streams.",
            2104,
            Scene::Streams(Streams { hard: 10, ..STREAMS }),
        )
        .told(Voice::Next, Form::Dashboard, Era::Codes)
        .remark(12.0, "boot: commit ac91d46 'Remove Connection: keep-alive header, root cause of the 503s'")
        .remark(14.0, "boot: responses no longer send Connection: keep-alive"),
        Case::new(
            "three-vanished-and-many-at-work",
            "working_streams",
            "Three dead WebSockets are found within a minute; runs of the app fill the limit for a quarter of an hour.",
            2107,
            Scene::Streams(Streams { lost: 3, hard: 13, path: "/api/runs", ..STREAMS }),
        )
        .told(Voice::UvicornRuns, Form::Text, Era::Codes),
        Case::new(
            "a-deploy-that-did-not-help",
            "working_streams",
            "In the middle of it somebody deploys, which cuts all streams; five minutes later the limit is reached again.",
            2108,
            Scene::Streams(Streams {
                people: 40,
                within: 700.0,
                hard: 12,
                deploy: Some(430.0),
                ..STREAMS
            }),
        )
        .told(Voice::Gin, Form::Text, Era::Codes)
        .or(&["deploy"]),
    ]
}

/// Connections that serve nobody hold them.
fn idle() -> Vec<Case> {
    vec![
        Case::new(
            "idle-connections-and-phoenix",
            "idle_connections",
            "Short requests only, and thirty places taken by connections that serve nobody.",
            2201,
            Scene::Idle(IDLE),
        )
        .told(Voice::Phoenix, Form::Dashboard, Era::Codes),
        Case::new(
            "idle-connections-and-caddy",
            "idle_connections",
            "The same, with an access log in JSON.",
            2202,
            Scene::Idle(Idle { hard: 22, linger: 600.0, gap: 15.0, lasts: 900.0, ..IDLE }),
        )
        .told(Voice::Caddy, Form::Text, Era::Codes),
        Case::new(
            "idle-connections-and-gin",
            "idle_connections",
            "The same in a log of which the beginning is cut off.",
            2203,
            Scene::Idle(IDLE),
        )
        .told(Voice::Gin, Form::Text, Era::Both)
        .cut(230.0, 800.0),
        Case::new(
            "idle-connections-in-our-own-log-again",
            "idle_connections",
            "The log of the gateway itself, with ten places.",
            2204,
            Scene::Idle(Idle {
                hard: 10,
                linger: 22.0,
                gap: 1.5,
                lasts: 45.0,
                streams: 0, takes: (0.02, 0.4),
                pace: Pace::AsItIs,
            }),
        )
        .ours(),
        Case::new(
            "idle-connections-beside-streams",
            "idle_connections",
            "Five streams and many short requests: 25 of thirty places serve nobody.",
            2205,
            Scene::Idle(Idle { streams: 5, ..IDLE }),
        )
        .told(Voice::Pino, Form::Stream, Era::Codes),
        Case::new(
            "idle-connections-and-slow-reports",
            "idle_connections",
            "Reports of three to nine seconds, never more than a few at once, and thirty places taken.",
            2206,
            Scene::Idle(Idle { takes: (3.0, 9.0), ..IDLE }),
        )
        .told(Voice::Next, Form::Text, Era::Codes),
    ]
}

/// People who vanished hold them.
fn zombies() -> Vec<Case> {
    vec![
        Case::new(
            "keepalive-pings-fail",
            "zombies",
            "Thirteen of fourteen places belong to people who vanished; a Python server finds them by its pings.",
            2301,
            Scene::Zombies(ZOMBIES),
        )
        .told(Voice::UvicornRuns, Form::Stream, Era::Codes),
        Case::new(
            "no-pong-in-go",
            "zombies",
            "The same in Go, where requests are counted.",
            2302,
            Scene::Zombies(Zombies { counts: "requests", hard: 9, fated: 8, ..ZOMBIES }),
        )
        .told(Voice::Gin, Form::Text, Era::Both),
        Case::new(
            "vanished-people-in-our-own-log-again",
            "zombies",
            "The gateway itself releases them, and connections are counted.",
            2303,
            Scene::Zombies(Zombies {
                hard: 7,
                fated: 6,
                vanish: 10.0,
                pings: (300.0, 60.0),
                lasts: 75.0,
                pace: Pace::AsItIs,
                ..ZOMBIES
            }),
        )
        .ours(),
    ]
}

/// Nobody holds them for long, and many want them at once.
fn bursts() -> Vec<Case> {
    vec![
        Case::new(
            "everybody-at-nine-o-clock",
            "limit_too_low_for_burst",
            "A lesson begins and a class of 130 loads the same page of two seconds.",
            2401,
            Scene::Burst(Burst { hard: 7, crowd: 130, takes: (1.5, 2.6), bursts: 1 }),
        )
        .told(Voice::Caddy, Form::Text, Era::Codes),
        Case::new(
            "three-crowds",
            "limit_too_low_for_burst",
            "A cron job of all clients at once, three times.",
            2402,
            Scene::Burst(Burst { hard: 6, crowd: 60, takes: (1.8, 3.0), bursts: 3 }),
        )
        .told(Voice::Gin, Form::Text, Era::Codes),
    ]
}

/// Nobody can know, or nothing is wrong.
fn unknown() -> Vec<Case> {
    vec![
        Case::new(
            "only-the-proxy-speaks",
            "not_enough_evidence",
            "Streams hold all places, but the app writes nothing, so that nobody can know.",
            2901,
            Scene::Streams(Streams { hard: 12, ..STREAMS }),
        )
        .told(Voice::Gin, Form::Dashboard, Era::Codes)
        .silent(),
        Case::new(
            "vanished-people-nobody-pinged",
            "not_enough_evidence",
            "People vanished and hold the places, and no line says so.",
            2902,
            Scene::Zombies(Zombies { pings: (2_000.0, 40.0), hard: 8, fated: 8, ..ZOMBIES }),
        )
        .told(Voice::Gin, Form::Text, Era::Codes)
        .silent(),
        Case::new(
            "times-of-heads-only",
            "not_enough_evidence",
            "Streams hold the places. The access log knows only how long heads took, and so looks like short requests.",
            2903,
            Scene::Streams(Streams { hard: 10, people: 16, ..STREAMS }),
        )
        .told(Voice::Morgan, Form::Text, Era::Codes)
        .or(&["working_streams"]),
        Case::new(
            "half-a-minute-of-log",
            "not_enough_evidence",
            "Somebody saved half a minute of an outage, without any request of the app in it.",
            2904,
            Scene::Idle(Idle { linger: 2_000.0, ..IDLE }),
        )
        .told(Voice::Caddy, Form::Text, Era::Fields)
        .cut(500.0, 530.0),
    ]
}
