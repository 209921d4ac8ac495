//! Cases in which machines and people come and go.

use super::super::case::{Case, Scene};
use super::super::form::{Era, Form};
use super::super::lives::{
    Aborts, CrashLoop, Deploy, Failing, FailingStart, Frozen, SlowStart, Suspend,
};
use super::super::voice::Voice;

const CRASHES: CrashLoop =
    CrashLoop { machines: 1, code: 1, times: 10, lives: (1.5, 3.5), gives_up: true };

const DEPLOY: Deploy =
    Deploy { machines: 1, deploys: 2, grace: 5.0, people: 24, length: (80.0, 200.0), more: "" };

pub(super) fn cases() -> Vec<Case> {
    [starts(), crashes(), stops(), aborts(), harmless()].concat()
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
        Case::new(
            "a-new-version-nobody-reaches",
            "failing_start",
            "The same in a log of forty seconds behind Caddy.",
            2603,
            Scene::FailingStart(FailingStart { how: Failing::Deaf, lasts: 80.0 }),
        )
        .told(Voice::Caddy, Form::Dashboard, Era::Codes),
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
                machines: 1,
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
        Case::new(
            "one-of-two-machines-crashes",
            "crash_loop",
            "One of two machines ends again and again, and the other serves on.",
            2704,
            Scene::CrashLoop(CrashLoop { machines: 2, times: 7, gives_up: false, ..CRASHES }),
        )
        .told(Voice::Gin, Form::Text, Era::Codes),
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

/// Nothing is wrong.
fn harmless() -> Vec<Case> {
    vec![
        Case::new(
            "a-quiet-night",
            "not_enough_evidence",
            "Nothing is wrong.",
            2905,
            Scene::Quiet(240.0),
        )
        .told(Voice::Pino, Form::Json, Era::Codes),
        Case::new(
            "suspended-and-nobody-noticed",
            "not_enough_evidence",
            "The machine is suspended when nobody is there, and comes back as it was.",
            2906,
            Scene::Suspend(Suspend { how: Frozen::Harmless, times: 2 }),
        )
        .told(Voice::Gin, Form::Text, Era::Codes),
        Case::new(
            "a-deploy-with-patience",
            "not_enough_evidence",
            "Two machines are replaced one after the other, and every answer ends before its machine does.",
            2907,
            Scene::Deploy(Deploy {
                machines: 2,
                deploys: 1,
                grace: 50.0,
                people: 16,
                length: (6.0, 30.0),
                more: "\nkill_signal = \"SIGINT\"\nkill_timeout = 50\n",
            }),
        )
        .told(Voice::Caddy, Form::Dashboard, Era::Codes),
    ]
}
