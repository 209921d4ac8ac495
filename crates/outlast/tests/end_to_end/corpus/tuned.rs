//! The half of the corpus that whoever writes the diagnosis may look at.

use super::case::{Case, Scene};
use super::form::{Era, Form};
use super::lives::{Aborts, CrashLoop, Deploy, Failing, FailingStart, Frozen, SlowStart, Suspend};
use super::scenes::{Burst, Idle, Pace, Streams, Zombies};
use super::voice::Voice;

/// As in the incident, but with as many people as a story of twenty minutes needs.
const STREAMS: Streams = Streams {
    counts: "connections",
    hard: 10,
    people: 16,
    within: 360.0,
    length: (240.0, 540.0),
    impatient: 0.0,
    sockets: 0.0,
    path: "/api/chat",
    lost: 0,
    deploy: None,
    pace: Pace::Stretched,
};

const IDLE: Idle = Idle {
    hard: 25,
    linger: 420.0,
    gap: 11.0,
    lasts: 840.0,
    streams: 0,
    takes: (0.02, 0.4),
    pace: Pace::Stretched,
};

const ZOMBIES: Zombies = Zombies {
    counts: "requests",
    hard: 10,
    fated: 9,
    vanish: 80.0,
    pings: (200.0, 60.0),
    lasts: 480.0,
    pace: Pace::Stretched,
};

pub(super) fn cases() -> Vec<Case> {
    [streams(), idle(), zombies(), bursts(), starts(), crashes(), stops(), aborts(), unknown()]
        .concat()
}

/// Streams at work hold the places.
fn streams() -> Vec<Case> {
    vec![
        Case::new(
            "streams-fill-ten",
            "working_streams",
            "Chats of four to nine minutes hold all ten places; who comes later is refused and clicks again.",
            1101,
            Scene::Streams(STREAMS),
        )
        .told(Voice::Fastify, Form::Text, Era::Codes),
        Case::new(
            "streams-under-requests",
            "working_streams",
            "The service counts requests, and chats that last hold all places all the same.",
            1102,
            Scene::Streams(Streams { counts: "requests", hard: 8, people: 15, ..STREAMS }),
        )
        .told(Voice::Chi, Form::Dashboard, Era::Codes),
        Case::new(
            "streams-and-impatient-people",
            "working_streams",
            "Streams fill the limit; people who are kept waiting close their tabs, and the log is full of aborts, which are a symptom.",
            1103,
            Scene::Streams(Streams { impatient: 0.4, people: 26, ..STREAMS }),
        )
        .told(Voice::Nginx, Form::Coloured, Era::Both),
        Case::new(
            "keep-alive-is-blamed",
            "working_streams",
            "Somebody removes the keep-alive header as the cause of zombie connections; it changes nothing, because streams hold the places.",
            1104,
            Scene::Streams(Streams { hard: 9, people: 16, ..STREAMS }),
        )
        .told(Voice::HonoRuns, Form::Text, Era::Codes)
        .remark(300.0, "release v43 live: removed Connection: keep-alive header from streaming responses (fixes zombie connections)")
        .remark(302.0, "hint: zombie connections should close after each stream now"),
        Case::new(
            "streams-in-our-own-log",
            "working_streams",
            "The same in the log of the gateway itself: eight places, streams of half a minute.",
            1105,
            Scene::Streams(Streams {
                hard: 8,
                people: 14,
                within: 25.0,
                length: (22.0, 34.0),
                pace: Pace::AsItIs,
                ..STREAMS
            }),
        )
        .ours(),
        Case::new(
            "a-few-vanished-and-many-at-work",
            "working_streams",
            "The app's pings find two dead WebSockets, and streams at work fill the limit before and after.",
            1106,
            Scene::Streams(Streams { lost: 2, hard: 9, ..STREAMS }),
        )
        .told(Voice::Fastify, Form::Text, Era::Codes),
    ]
}

/// Connections that serve nobody hold them.
fn idle() -> Vec<Case> {
    vec![
        Case::new(
            "idle-connections-hold-25",
            "idle_connections",
            "Short requests only, a few a minute, and all 25 places taken: connections that serve nobody keep them.",
            1201,
            Scene::Idle(IDLE),
        )
        .told(Voice::Morgan, Form::Text, Era::Codes),
        Case::new(
            "idle-connections-and-nginx",
            "idle_connections",
            "The same behind nginx, which tells how short each request is.",
            1202,
            Scene::Idle(Idle { hard: 35, gap: 8.0, ..IDLE }),
        )
        .told(Voice::Nginx, Form::Stream, Era::Codes),
        Case::new(
            "idle-connections-after-a-busy-minute",
            "idle_connections",
            "A few requests a minute are enough, because each leaves a connection for ten minutes.",
            1203,
            Scene::Idle(Idle { hard: 20, linger: 600.0, gap: 17.0, lasts: 960.0, ..IDLE }),
        )
        .told(Voice::Chi, Form::Interleaved, Era::Fields),
        Case::new(
            "idle-connections-in-our-own-log",
            "idle_connections",
            "The same in the log of the gateway itself, with eight places.",
            1204,
            Scene::Idle(Idle { hard: 8, linger: 20.0, gap: 1.6, lasts: 40.0, streams: 0, takes: (0.02, 0.4), pace: Pace::AsItIs }),
        )
        .ours(),
        Case::new(
            "idle-connections-beside-a-few-streams",
            "idle_connections",
            "Three dashboards listen for events all the time, and 22 places are taken by connections that serve nobody.",
            1205,
            Scene::Idle(Idle { streams: 3, ..IDLE }),
        )
        .told(Voice::Chi, Form::Text, Era::Codes),
    ]
}

/// People who vanished hold them.
fn zombies() -> Vec<Case> {
    vec![
        Case::new(
            "websockets-of-people-who-vanished",
            "zombies",
            "Nine of ten places belong to WebSockets of people who vanished; the app's pings find them only minutes later.",
            1301,
            Scene::Zombies(ZOMBIES),
        )
        .told(Voice::HonoRuns, Form::Text, Era::Codes),
        Case::new(
            "socket-io-times-out",
            "zombies",
            "The same with socket.io, and connections are counted.",
            1302,
            Scene::Zombies(Zombies { counts: "connections", hard: 12, fated: 11, ..ZOMBIES }),
        )
        .told(Voice::Morgan, Form::Dashboard, Era::Codes),
        Case::new(
            "vanished-people-in-our-own-log",
            "zombies",
            "The gateway itself releases those who answer nothing any more, and says by what it knows.",
            1303,
            Scene::Zombies(Zombies {
                vanish: 12.0,
                lasts: 70.0,
                pings: (300.0, 60.0),
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
            "a-crowd-of-short-requests",
            "limit_too_low_for_burst",
            "A newsletter goes out: 110 requests of three seconds within four, and ten places.",
            1401,
            Scene::Burst(Burst { hard: 10, crowd: 110, takes: (2.0, 4.0), bursts: 1 }),
        )
        .told(Voice::Nginx, Form::Text, Era::Codes),
        Case::new(
            "two-crowds",
            "limit_too_low_for_burst",
            "Reports are asked for by all screens at once, every few minutes.",
            1402,
            Scene::Burst(Burst { hard: 8, crowd: 60, takes: (2.0, 3.5), bursts: 2 }),
        )
        .told(Voice::Chi, Form::Text, Era::Codes),
    ]
}

/// Machines do not come.
fn starts() -> Vec<Case> {
    vec![
        Case::new(
            "twelve-seconds-to-listen",
            "slow_start",
            "A machine at rest is woken and listens after twelve seconds or more; whoever woke it is sent away.",
            1501,
            Scene::SlowStart(SlowStart { boot: (11.0, 15.0), wakes: 2, people: 3 }),
        )
        .told(Voice::Fastify, Form::Text, Era::Both),
        Case::new(
            "half-a-minute-to-listen",
            "slow_start",
            "A big app needs half a minute; people click again until it is there.",
            1502,
            Scene::SlowStart(SlowStart { boot: (26.0, 33.0), wakes: 1, people: 4 }),
        )
        .told(Voice::HonoRuns, Form::Dashboard, Era::Codes),
        Case::new(
            "it-hangs-before-it-listens",
            "failing_start",
            "The machine starts, waits for its database, and never listens.",
            1601,
            Scene::FailingStart(FailingStart {
                how: Failing::Hangs("Waiting for database db.internal:5432 ..."),
                lasts: 120.0,
            }),
        )
        .told(Voice::Chi, Form::Text, Era::Codes),
        Case::new(
            "it-listens-elsewhere",
            "failing_start",
            "A deploy brings a version that listens on the loopback and another port.",
            1602,
            Scene::FailingStart(FailingStart { how: Failing::Deaf, lasts: 150.0 }),
        )
        .told(Voice::Morgan, Form::Text, Era::Fields),
        Case::new(
            "deaf-for-half-a-minute",
            "failing_start",
            "A deploy brings a version that listens on the loopback; the log was saved half a minute later.",
            1603,
            Scene::FailingStart(FailingStart { how: Failing::Deaf, lasts: 75.0 }),
        )
        .told(Voice::Chi, Form::Text, Era::Codes),
    ]
}

/// Machines do not stay.
fn crashes() -> Vec<Case> {
    vec![
        Case::new(
            "ten-restarts",
            "crash_loop",
            "The app ends with code 1 soon after each start, ten times; then the platform gives up.",
            1701,
            Scene::CrashLoop(CrashLoop { machines: 1, code: 1, times: 10, lives: (2.0, 5.0), gives_up: true }),
        )
        .told(Voice::Fastify, Form::Text, Era::Codes),
        Case::new(
            "out-of-memory-again-and-again",
            "crash_loop",
            "The kernel kills the app for want of memory every minute and cuts what it was sending.",
            1702,
            Scene::CrashLoop(CrashLoop { machines: 1, code: 137, times: 5, lives: (50.0, 90.0), gives_up: false }),
        )
        .told(Voice::Chi, Form::Stream, Era::Codes),
        Case::new(
            "restarts-in-our-own-log",
            "crash_loop",
            "A local machine ends with code 7 again and again; the gateway's log says so.",
            1703,
            Scene::CrashLoopAsItIs,
        )
        .ours(),
    ]
}

/// Machines are taken away.
fn stops() -> Vec<Case> {
    vec![
        Case::new(
            "a-deploy-cuts-streams",
            "deploy",
            "A new version arrives: five seconds after the signal the streams of its predecessor are cut.",
            1801,
            Scene::Deploy(Deploy {
                machines: 1,
                deploys: 1,
                grace: 5.0,
                people: 16,
                length: (60.0, 240.0),
                more: "",
            }),
        )
        .told(Voice::Fastify, Form::Text, Era::Codes),
        Case::new(
            "two-machines-one-after-the-other",
            "deploy",
            "A rolling deploy of two machines cuts the streams of each in turn.",
            1802,
            Scene::Deploy(Deploy {
                machines: 2,
                deploys: 1,
                grace: 5.0,
                people: 22,
                length: (90.0, 300.0),
                more: "\n[deploy]\n  strategy = \"rolling\"\n",
            }),
        )
        .told(Voice::Nginx, Form::Json, Era::Codes),
        Case::new(
            "suspended-with-streams",
            "suspend",
            "One of two machines is suspended while chats run in it; they die with it.",
            1851,
            Scene::Suspend(Suspend { how: Frozen::WithStreams, times: 2 }),
        )
        .told(Voice::Fastify, Form::Text, Era::Codes),
        Case::new(
            "dead-pool-after-resume",
            "suspend",
            "After each resume the connections to the database are dead, and the first requests fail.",
            1852,
            Scene::Suspend(Suspend {
                how: Frozen::AtRest("error: Connection terminated unexpectedly at Socket.<anonymous> (/app/node_modules/pg/lib/client.js)"),
                times: 3,
            }),
        )
        .told(Voice::Morgan, Form::Dashboard, Era::Codes),
    ]
}

/// People do not stay.
fn aborts() -> Vec<Case> {
    vec![
        Case::new(
            "tabs-are-closed",
            "client_aborts",
            "Most people close the tab before the answer is over. Nothing was full and nothing failed.",
            1951,
            Scene::Aborts(Aborts {
                people: 40,
                share: 0.8,
                stays: (8.0, 30.0),
                length: (60.0, 120.0),
                lasts: 600.0,
            }),
        )
        .told(Voice::HonoRuns, Form::Text, Era::Codes),
        Case::new(
            "a-client-with-ten-seconds-of-patience",
            "client_aborts",
            "A mobile app gives up after ten seconds, and answers take up to half a minute.",
            1952,
            Scene::Aborts(Aborts {
                people: 45,
                share: 0.7,
                stays: (10.0, 10.2),
                length: (12.0, 30.0),
                lasts: 500.0,
            }),
        )
        .told(Voice::Nginx, Form::Text, Era::Codes),
    ]
}

/// Nobody can know, or nothing is wrong.
fn unknown() -> Vec<Case> {
    vec![
        Case::new(
            "three-moments-quoted",
            "not_enough_evidence",
            "Three moments at the limit, quoted into a report without anything around them.",
            1901,
            Scene::Streams(Streams { hard: 25, people: 34, ..STREAMS }),
        )
        .told(Voice::Chi, Form::Quoted, Era::Codes),
        Case::new(
            "an-app-that-says-nothing",
            "not_enough_evidence",
            "The limit is reached and the app writes no line: streams, idle connections and people who vanished look the same.",
            1902,
            Scene::Idle(Idle { lasts: 700.0, ..IDLE }),
        )
        .told(Voice::Chi, Form::Text, Era::Codes)
        .silent(),
        Case::new(
            "a-quiet-afternoon",
            "not_enough_evidence",
            "Nothing is wrong; somebody asks all the same.",
            1953,
            Scene::Quiet(300.0),
        )
        .told(Voice::Chi, Form::Text, Era::Codes),
        Case::new(
            "a-deploy-that-cut-nobody",
            "not_enough_evidence",
            "Two machines are replaced, each with a minute for its answers, and nobody notices.",
            1954,
            Scene::Deploy(Deploy {
                machines: 2,
                deploys: 1,
                grace: 60.0,
                people: 14,
                length: (8.0, 40.0),
                more: "\nkill_signal = \"SIGINT\"\nkill_timeout = 60\n",
            }),
        )
        .told(Voice::Nginx, Form::Text, Era::Codes),
        Case::new(
            "the-log-ends-while-streams-run",
            "not_enough_evidence",
            "All requests that hold the places have begun, and the log ends before any of them does.",
            1955,
            Scene::Streams(Streams { within: 150.0, people: 22, ..STREAMS }),
        )
        .told(Voice::Fastify, Form::Text, Era::Codes)
        .cut(0.0, 235.0)
        .or(&["working_streams"]),
    ]
}
