//! What speaks for and against each explanation, and how loudly.
//!
//! Weights are decibans: ten times the decimal logarithm of how much likelier a line is if the explanation holds than if
//! another one does. +10 is ten times, +20 a hundred times, -3 half. They add up, and are estimates of ours: written down
//! so that each can be doubted by itself (docs/diagnosis.md has the same table, and a test compares them).

use super::cause::Cause::{
    self, ClientAborts, CrashLoop, Deploy, FailingStart, IdleConnections, KeepAliveHeader,
    LimitTooLowForBurst, SlowStart, Suspend, WorkingStreams, Zombies,
};

/// One kind of evidence.
#[derive(Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name in reports for programs.
    pub id: &'static str,
    /// Why it bears on what it bears on: lowercase, no full stop.
    pub why: &'static str,
    /// How much, in decibans. What is not named: not at all.
    pub weights: &'static [(Cause, i32)],
}

impl Item {
    /// How much it says for (above zero) or against a cause.
    #[must_use]
    pub fn weight(&self, cause: Cause) -> i32 {
        self.weights.iter().find(|(other, _)| *other == cause).map_or(0, |(_, weight)| *weight)
    }
}

macro_rules! items {
    ($($name:ident $id:literal $why:literal [$($cause:ident $weight:literal),* $(,)?])*) => {
        $(pub(crate) static $name: Item = Item { id: $id, why: $why, weights: &[$(($cause, $weight)),*] };)*

        /// Every kind of evidence, in the order of docs/diagnosis.md.
        pub static ITEMS: &[&Item] = &[$(&$name),*];
    };
}

items! {
    AT_LIMIT "at_limit" "only what takes up places fills a machine" [
        WorkingStreams 10, IdleConnections 10, Zombies 10, KeepAliveHeader 10, LimitTooLowForBurst 10,
        ClientAborts -5,
    ]
    NEVER_AT_LIMIT "never_at_limit" "the proxy warns of a machine that is full" [
        WorkingStreams -20, IdleConnections -20, Zombies -20, KeepAliveHeader -20, LimitTooLowForBurst -20,
    ]
    COUNTS_REQUESTS "counts_requests" "where requests are counted, a connection without one has no place" [
        IdleConnections -60, KeepAliveHeader -40,
    ]
    COUNTS_CONNECTIONS "counts_connections" "where connections are counted, idle ones may be among them" [
        IdleConnections 2,
    ]
    LONG_IDLE_TIMEOUT "long_idle_timeout" "what is idle, or gone, keeps its place until that time is over" [
        IdleConnections 2, Zombies 2,
    ]
    HELD_BY_LONG "held_by_long" "the lines of exchanges that ended later show that they were at work at that moment" [
        WorkingStreams 25, IdleConnections -20, Zombies -12, KeepAliveHeader -10, LimitTooLowForBurst -12,
    ]
    HELD_BY_SHORT "held_by_short" "the places were in use, and each only for a moment" [
        LimitTooLowForBurst 25, WorkingStreams -15, IdleConnections -15, Zombies -20, KeepAliveHeader -10,
    ]
    HELD_BY_VANISHED "held_by_vanished" "the lines of exchanges whose clients had vanished span that moment" [
        Zombies 25, WorkingStreams -12, IdleConnections -12, LimitTooLowForBurst -15, KeepAliveHeader -10,
    ]
    HELD_BY_NOTHING "held_by_nothing" "all exchanges of that time have ended and been logged, and too few of them span the moment" [
        IdleConnections 20, KeepAliveHeader 5, Zombies -5, WorkingStreams -20, LimitTooLowForBurst -20,
    ]
    HELD_BY_FEW_SO_FAR "held_by_few_so_far" "few exchanges span the moment, but some may not have ended when the log does" [
        IdleConnections 10, WorkingStreams -6, LimitTooLowForBurst -12, Zombies -2,
    ]
    FREED_BY_NOTHING "freed_by_nothing" "who got a place had it from somebody, and no exchange had ended: what held it was none" [
        IdleConnections 20, KeepAliveHeader 3, Zombies -8, WorkingStreams -20, LimitTooLowForBurst -20,
    ]
    FREED_BY_ENDS "freed_by_ends" "who got a place got it when an exchange had ended" [
        IdleConnections -10, KeepAliveHeader -8,
    ]
    ONLY_HEADS_ARE_TIMED "only_heads_are_timed" "the app's lines tell how soon answers began, not how long they took; none sounds like one that lasts" [
        IdleConnections 6, WorkingStreams -4, LimitTooLowForBurst -3,
    ]
    SOUNDS_LONG "sounds_long" "paths and words of the app's lines are those of chats, streams or sockets" [
        WorkingStreams 3, Zombies 2, LimitTooLowForBurst -3,
    ]
    PEERS_LOST "peers_lost" "peers that answered nothing had held places until they were found" [
        Zombies 14, WorkingStreams -3, IdleConnections -3, LimitTooLowForBurst -5,
    ]
    FEW_PEERS_LOST "few_peers_lost" "some peers always vanish: so few do not fill a machine" [
        Zombies -5,
    ]
    NO_PEER_LOST "no_peer_lost" "Outlast releases who answers nothing within 40 s, and says so" [
        Zombies -20,
    ]
    KEEP_ALIVE_IS_DEFAULT "keep_alive_is_default" "HTTP/1.1 keeps connections with and without the header (RFC 9112 section 9.3)" [
        KeepAliveHeader -12,
    ]
    SPEAKS_OF_KEEP_ALIVE "speaks_of_keep_alive" "somebody thought of the header" [
        KeepAliveHeader 3,
    ]
    STARTED_SLOWLY "started_slowly" "who asks meanwhile waits, and the proxy gives a machine up after about 8 s" [
        SlowStart 20, FailingStart -10,
    ]
    GIVEN_UP_BUT_ANSWERED "given_up_but_answered" "the proxy gave the machine up, and it came to answer after all" [
        SlowStart 12, FailingStart -8,
    ]
    NEVER_ANSWERED "never_answered" "it was started, and no line says that it answered" [
        FailingStart 20, SlowStart -8, CrashLoop -2,
    ]
    DOES_NOT_START "does_not_start" "the start itself failed" [
        FailingStart 15, SlowStart -5,
    ]
    PORT_REFUSED "port_refused" "the machine runs and nothing listens: not yet, not there, or not any more" [
        FailingStart 8, CrashLoop 2, SlowStart 1,
    ]
    LISTENS_ELSEWHERE "listens_elsewhere" "the app says that it listens, and its port refuses the proxy: it is another port or address" [
        FailingStart 20, SlowStart -10, Deploy -8,
    ]
    STARTED_QUICKLY "started_quickly" "every start was over before anybody gave up" [
        SlowStart -20, FailingStart -20,
    ]
    NO_START "no_start" "the proxy and the runner tell of every start" [
        SlowStart -25, FailingStart -20,
    ]
    ENDED_REPEATEDLY "ended_repeatedly" "three ends by itself are no accident" [
        CrashLoop 25, FailingStart -10, SlowStart -8, Deploy -10, Suspend -5,
    ]
    ENDED_TWICE "ended_twice" "two ends by itself may be the beginning of more" [
        CrashLoop 14, FailingStart -5,
    ]
    ENDED_ONCE "ended_once" "one end by itself is no loop yet" [
        CrashLoop 3,
    ]
    NEVER_ENDED "never_ended" "the init and the runner tell of every end" [
        CrashLoop -25,
    ]
    OUT_OF_MEMORY "out_of_memory" "what has no memory is ended by the kernel, and will be again" [
        CrashLoop 8,
    ]
    NEW_VERSION "new_version" "machines that are replaced end what they hold, and answer nothing until they have started" [
        Deploy 20, SlowStart -6, FailingStart -5, Suspend -5, ClientAborts -5,
    ]
    STILL_FAILING "still_failing" "the trouble went on for more than a minute after the new version had been set up" [
        Deploy -14, FailingStart 4,
    ]
    TOLD_TO_END "told_to_end" "machines were told to end, and not because they were not needed" [
        Deploy 8, CrashLoop -3,
    ]
    DRAINED "drained" "the gateway itself was replaced or ended" [
        Deploy 20,
    ]
    NO_NEW_VERSION "no_new_version" "the runner tells of every image, and the init of every signal" [
        Deploy -25,
    ]
    SUSPENDED_BEFORE "suspended_before" "what a suspended machine had open is dead when it is back" [
        Suspend 8, SlowStart -3,
    ]
    BROKE_WHEN_STOPPED "broke_when_stopped" "connections broke right when a machine was stopped or suspended, or when it came back" [
        Suspend 18, ClientAborts -5,
    ]
    STOPPED_IN_PEACE "stopped_in_peace" "nothing broke when it was stopped or when it came back" [
        Suspend -12,
    ]
    NEVER_SUSPENDED "never_suspended" "the proxy tells of every one" [
        Suspend -25,
    ]
    LEFT_AFTERWARDS "left_afterwards" "they left after the trouble had begun: a symptom" [
        ClientAborts -20,
    ]
    LEFT_BEFORE "left_before" "they left before anything else went wrong" [
        ClientAborts 12,
    ]
    NOTHING_BUT_ABORTS "nothing_but_aborts" "nothing else went wrong" [
        ClientAborts 30,
    ]
    NOBODY_LEFT "nobody_left" "apps tell of aborts, if not all of them" [
        ClientAborts -20,
    ]
}
