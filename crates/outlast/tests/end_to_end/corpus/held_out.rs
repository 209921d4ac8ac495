//! The half of the corpus that says how a diagnosis fares with what it has never seen.

use super::case::{Case, Scene};
use super::form::{Era, Form};
use super::lives::{Aborts, CrashLoop, Deploy, Failing, FailingStart, Frozen, SlowStart, Suspend};
use super::scenes::{Burst, Idle, Pace, Streams, Zombies};
use super::voice::Voice;

const STREAMS: Streams = Streams {
    counts: "connections",
    hard: 12,
    people: 19,
    within: 300.0,
    length: (180.0, 420.0),
    impatient: 0.0,
    sockets: 0.0,
    path: "/v1/messages",
    pace: Pace::Stretched,
};

const IDLE: Idle = Idle { hard: 30, linger: 500.0, gap: 10.0, lasts: 800.0, pace: Pace::Stretched };

const ZOMBIES: Zombies = Zombies {
    counts: "connections",
    hard: 14,
    fated: 13,
    vanish: 70.0,
    pings: (230.0, 40.0),
    lasts: 460.0,
    pace: Pace::Stretched,
};

const CRASHES: CrashLoop = CrashLoop { code: 1, times: 10, lives: (1.5, 3.5), gives_up: true };

const DEPLOY: Deploy =
    Deploy { machines: 1, deploys: 2, grace: 5.0, people: 24, length: (80.0, 200.0), more: "" };

pub(super) fn cases() -> Vec<Case> {
    [streams(), idle(), zombies(), bursts(), starts(), crashes(), stops(), aborts(), unknown()]
        .concat()
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
            Scene::Idle(Idle { hard: 10, linger: 22.0, gap: 1.5, lasts: 45.0, pace: Pace::AsItIs }),
        )
        .ours(),
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

/// Machines do not come.
fn starts() -> Vec<Case> {
    vec![
        Case::new(
            "woken-three-times",
            "slow_start",
            "Each wake-up takes nine to twelve seconds, a little more than the proxy waits.",
            2501,
            Scene::SlowStart(SlowStart { boot: (9.5, 12.0), wakes: 3, people: 2 }),
        )
        .told(Voice::Pino, Form::Text, Era::Codes),
        Case::new(
            "models-are-loaded-first",
            "slow_start",
            "A Python app loads for twenty seconds before it listens.",
            2502,
            Scene::SlowStart(SlowStart { boot: (19.0, 24.0), wakes: 2, people: 3 }),
        )
        .told(Voice::UvicornRuns, Form::Stream, Era::Codes),
        Case::new(
            "it-builds-for-ever",
            "failing_start",
            "The start command builds instead of serving; the port never opens.",
            2601,
            Scene::FailingStart(FailingStart {
                how: Failing::Hangs("   Creating an optimized production build ..."),
                lasts: 140.0,
            }),
        )
        .told(Voice::Next, Form::Dashboard, Era::Codes),
        Case::new(
            "only-on-the-loopback",
            "failing_start",
            "A new version listens on the loopback of its machine, where nobody reaches it.",
            2602,
            Scene::FailingStart(FailingStart { how: Failing::Deaf, lasts: 110.0 }),
        )
        .told(Voice::Gin, Form::Coloured, Era::Codes),
    ]
}

/// Machines do not stay.
fn crashes() -> Vec<Case> {
    vec![
        Case::new(
            "a-missing-variable",
            "crash_loop",
            "A Python app misses a variable and ends at once, ten times.",
            2701,
            Scene::CrashLoop(CRASHES),
        )
        .told(Voice::UvicornRuns, Form::Text, Era::Both),
        Case::new(
            "memory-runs-out",
            "crash_loop",
            "The kernel kills the app every minute or two; it is restarted and killed again.",
            2702,
            Scene::CrashLoop(CrashLoop {
                code: 137,
                times: 4,
                lives: (60.0, 110.0),
                gives_up: false,
            }),
        )
        .told(Voice::Pino, Form::Dashboard, Era::Codes),
        Case::new(
            "an-elixir-app-that-cannot-start",
            "crash_loop",
            "The application does not start; six restarts are in the log.",
            2703,
            Scene::CrashLoop(CrashLoop { times: 6, gives_up: false, ..CRASHES }),
        )
        .told(Voice::Phoenix, Form::NewestFirst, Era::Codes),
    ]
}

/// Machines are taken away.
fn stops() -> Vec<Case> {
    vec![
        Case::new(
            "two-deploys",
            "deploy",
            "Each of two deploys cuts whoever is in the middle of an answer.",
            2801,
            Scene::Deploy(DEPLOY),
        )
        .told(Voice::Gin, Form::Text, Era::Codes),
        Case::new(
            "a-deploy-of-two-machines",
            "deploy",
            "A deploy replaces two machines, one after the other.",
            2802,
            Scene::Deploy(Deploy {
                machines: 2,
                deploys: 1,
                more: "\n[deploy]\n  strategy = \"immediate\"\n",
                ..DEPLOY
            }),
        )
        .told(Voice::Pino, Form::Text, Era::Fields),
        Case::new(
            "chats-die-with-a-suspended-machine",
            "suspend",
            "One of two machines has excess capacity and eight chats; it is suspended.",
            2851,
            Scene::Suspend(Suspend { how: Frozen::WithStreams, times: 1 }),
        )
        .told(Voice::Gin, Form::Dashboard, Era::Codes),
        Case::new(
            "dead-connections-in-elixir",
            "suspend",
            "After each resume the first requests fail, because the pool's connections are dead.",
            2852,
            Scene::Suspend(Suspend {
                how: Frozen::AtRest("[error] Postgrex.Protocol (#PID<0.2318.0>) disconnected: ** (DBConnection.ConnectionError) tcp recv (idle): closed"),
                times: 2,
            }),
        )
        .told(Voice::Phoenix, Form::Text, Era::Codes),
        Case::new(
            "dead-redis-after-resume",
            "suspend",
            "The same with Redis and Python.",
            2853,
            Scene::Suspend(Suspend {
                how: Frozen::AtRest("redis.exceptions.ConnectionError: Error 104 while writing to socket. Connection reset by peer."),
                times: 3,
            }),
        )
        .told(Voice::UvicornRuns, Form::Stream, Era::Codes),
    ]
}

/// People do not stay.
fn aborts() -> Vec<Case> {
    vec![
        Case::new(
            "people-leave-early",
            "client_aborts",
            "Three of four people close the tab before the end; nothing else is wrong.",
            2951,
            Scene::Aborts(Aborts {
                people: 36,
                share: 0.75,
                stays: (5.0, 25.0),
                length: (50.0, 110.0),
                lasts: 560.0,
            }),
        )
        .told(Voice::Pino, Form::Text, Era::Codes),
        Case::new(
            "a-timeout-of-fifteen-seconds",
            "client_aborts",
            "A client library gives up after fifteen seconds.",
            2952,
            Scene::Aborts(Aborts {
                people: 40,
                share: 0.65,
                stays: (15.0, 15.1),
                length: (18.0, 40.0),
                lasts: 480.0,
            }),
        )
        .told(Voice::Caddy, Form::Stream, Era::Codes),
        Case::new(
            "runs-are-cancelled",
            "client_aborts",
            "People start runs and leave; the app cancels them.",
            2953,
            Scene::Aborts(Aborts {
                people: 30,
                share: 0.85,
                stays: (4.0, 40.0),
                length: (60.0, 100.0),
                lasts: 520.0,
            }),
        )
        .told(Voice::UvicornRuns, Form::Text, Era::Codes),
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
        Case::new(
            "a-quiet-night",
            "not_enough_evidence",
            "Nothing is wrong.",
            2905,
            Scene::Quiet(240.0),
        )
        .told(Voice::Pino, Form::Json, Era::Codes),
    ]
}
