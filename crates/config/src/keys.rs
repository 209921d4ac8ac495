//! The one table of settings: it gives the defaults, names flags and variables, tells unknown keys, and is the reference.

use crate::read::Explained;
use crate::variables::VARIABLES;

/// A key of `outlast.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyDoc {
    /// The key with its section, such as `queue.timeout`.
    pub key: &'static str,
    /// The variable that overrides it.
    pub env: Option<&'static str>,
    /// The flag of `outlast up` that overrides both.
    pub flag: Option<&'static str>,
    /// The default as it would be written in the file; in words where it depends on something.
    pub default: &'static str,
    /// What it does, in one line, with its unit.
    pub doc: &'static str,
}

/// Every key of `outlast.toml`, section by section.
#[must_use]
pub fn reference() -> &'static [KeyDoc] {
    KEYS
}

const KEYS: &[KeyDoc] = &[
    KeyDoc {
        key: "listen.connections_max",
        env: Some("OUTLAST_LISTEN_CONNECTIONS_MAX"),
        flag: None,
        default: "0",
        doc: "client connections at once, all services together; more wait in the kernel; 0: as many as the descriptor limit allows",
    },
    KeyDoc {
        key: "listen.connections_per_client_max",
        env: Some("OUTLAST_LISTEN_CONNECTIONS_PER_CLIENT_MAX"),
        flag: None,
        default: "0",
        doc: "of those, from one client address (IPv6: from one /64) that is no trusted proxy; more are reset at once; 0: no limit",
    },
    KeyDoc {
        key: "listen.trusted_proxies",
        env: None,
        flag: None,
        default: "[]",
        doc: "addresses and networks of proxies before the gateway: what they say about a client is believed",
    },
    KeyDoc {
        key: "listen.client_header",
        env: None,
        flag: None,
        default: "\"Fly-Client-IP\"",
        doc: "the header in which they name the client's address; of a list such as `X-Forwarded-For` the last that is not theirs",
    },
    KeyDoc {
        key: "queue.depth_max",
        env: Some("OUTLAST_QUEUE_DEPTH_MAX"),
        flag: None,
        default: "100",
        doc: "exchanges that may wait for a place, per service; 0: nobody waits",
    },
    KeyDoc {
        key: "queue.timeout",
        env: Some("OUTLAST_QUEUE_TIMEOUT"),
        flag: Some("--queue-timeout"),
        default: "\"30s\"",
        doc: "how long an exchange waits before it is refused; \"0s\" refuses at once",
    },
    KeyDoc {
        key: "queue.client_header",
        env: None,
        flag: None,
        default: "\"\"",
        doc: "a header by which users are told apart who come by way of a trusted proxy, such as \"X-User\"; \"\": by address",
    },
    KeyDoc {
        key: "reserve.slots",
        env: Some("OUTLAST_RESERVE_SLOTS"),
        flag: None,
        default: "2",
        doc: "places kept for control calls, per service and machine, beyond the hard limit",
    },
    KeyDoc {
        key: "reserve.paths",
        env: None,
        flag: None,
        default: "[\"/api/abort/*\", \"/api/runs/*/stop\", \"/api/runs/*/permissions/*\"]",
        doc: "what a control call is: paths without query, `*` stands for one segment",
    },
    KeyDoc {
        key: "clocks.connect",
        env: Some("OUTLAST_CLOCKS_CONNECT"),
        flag: None,
        default: "\"5s\"",
        doc: "from connecting to a machine to connected; above zero",
    },
    KeyDoc {
        key: "clocks.head",
        env: Some("OUTLAST_CLOCKS_HEAD"),
        flag: None,
        default: "\"15s\"",
        doc: "from accept, or the first byte of a later head, to the whole request head; above zero",
    },
    KeyDoc {
        key: "clocks.keep_alive",
        env: Some("OUTLAST_CLOCKS_KEEP_ALIVE"),
        flag: None,
        default: "\"60s\"",
        doc: "how long a client connection is kept between two exchanges; \"0s\" closes it after each",
    },
    KeyDoc {
        key: "clocks.response_head",
        env: Some("OUTLAST_CLOCKS_RESPONSE_HEAD"),
        flag: None,
        default: "\"0s\"",
        doc: "from the last byte of a request that the machine took to the head of its final response; \"0s\": off",
    },
    KeyDoc {
        key: "clocks.chunk_gap",
        env: Some("OUTLAST_CLOCKS_CHUNK_GAP"),
        flag: None,
        default: "\"0s\"",
        doc: "silence of a response both ways while everybody takes what there is; \"0s\": off, or `http_options.idle_timeout` of a fly.toml",
    },
    KeyDoc {
        key: "clocks.lifetime",
        env: Some("OUTLAST_CLOCKS_LIFETIME"),
        flag: None,
        default: "\"0s\"",
        doc: "a whole exchange, its wait for a place included; \"0s\": off",
    },
    KeyDoc {
        key: "clocks.write_stall",
        env: Some("OUTLAST_CLOCKS_WRITE_STALL"),
        flag: None,
        default: "\"0s\"",
        doc: "bytes wait for the client and it takes none of them; \"0s\": off",
    },
    KeyDoc {
        key: "upstream.linger",
        env: Some("OUTLAST_UPSTREAM_LINGER"),
        flag: Some("--linger"),
        default: "\"hold\" with a fly.toml, else \"evict\"",
        doc: "whether an unused upstream connection keeps its place: \"hold\", or \"evict\" when an exchange waits",
    },
    KeyDoc {
        key: "upstream.idle_timeout",
        env: Some("OUTLAST_UPSTREAM_IDLE_TIMEOUT"),
        flag: None,
        default: "\"4s\"",
        doc: "how long an upstream connection is kept unused",
    },
    KeyDoc {
        key: "upstream.request_buffer",
        env: Some("OUTLAST_UPSTREAM_REQUEST_BUFFER"),
        flag: None,
        default: "\"16KiB\"",
        doc: "so much of a request body, or all of it, comes within `clocks.head` before it takes a place; at most \"64KiB\"; 0: none, for bodies that are talked over",
    },
    KeyDoc {
        key: "exchange.buffer_max",
        env: Some("OUTLAST_EXCHANGE_BUFFER_MAX"),
        flag: None,
        default: "\"2MiB\"",
        doc: "so much is kept unsent for a peer that does not read, per direction: by the kernel, and again by the gateway (of that never more than 256 KiB); from \"16KiB\" to \"64MiB\"",
    },
    KeyDoc {
        key: "eject.failures",
        env: Some("OUTLAST_EJECT_FAILURES"),
        flag: None,
        default: "5",
        doc: "exchanges that a machine fails one after the other, by refusing or closing a connection, before it gets no more for a while; 0: never",
    },
    KeyDoc {
        key: "eject.time",
        env: Some("OUTLAST_EJECT_TIME"),
        flag: None,
        default: "\"10s\"",
        doc: "for how long, the first time; each further time doubles it; above zero",
    },
    KeyDoc {
        key: "eject.time_max",
        env: Some("OUTLAST_EJECT_TIME_MAX"),
        flag: None,
        default: "\"5m\"",
        doc: "and no longer than this",
    },
    KeyDoc {
        key: "eject.share_max",
        env: Some("OUTLAST_EJECT_SHARE_MAX"),
        flag: None,
        default: "50",
        doc: "so many percent of a service's machines at once, but one at least, and never the last one",
    },
    KeyDoc {
        key: "retry.percent",
        env: Some("OUTLAST_RETRY_PERCENT"),
        flag: None,
        default: "20",
        doc: "exchanges that could not connect to their machine may try another one: in 10 s so many percent of all of the service",
    },
    KeyDoc {
        key: "retry.min",
        env: Some("OUTLAST_RETRY_MIN"),
        flag: None,
        default: "10",
        doc: "and so many more in 10 s; with both 0 none may",
    },
    KeyDoc {
        key: "drain.grace",
        env: Some("OUTLAST_DRAIN_GRACE"),
        flag: Some("--drain-grace"),
        default: "\"30s\"",
        doc: "how long a drain waits for exchanges in flight before it cuts them",
    },
    KeyDoc {
        key: "route.service",
        env: None,
        flag: None,
        default: "every service",
        doc: "the name of the service whose exchanges it is about, such as \"http\" or \"tcp-3001\"",
    },
    KeyDoc {
        key: "route.path",
        env: None,
        flag: None,
        default: "every path",
        doc: "the paths without query, as in `reserve.paths`; a last `**` stands for all segments that follow",
    },
    KeyDoc {
        key: "route.half_close",
        env: None,
        flag: None,
        default: "\"gone\"",
        doc: "a client's end-of-file after its request: \"gone\", as a closed tab looks, or \"keep\": it still listens",
    },
    KeyDoc {
        key: "route.heartbeat",
        env: None,
        flag: None,
        default: "\"0s\"",
        doc: "so long a stream of events or lines is silent before a sign of life is put into it; \"0s\": off",
    },
    KeyDoc {
        key: "route.queue_notice",
        env: None,
        flag: None,
        default: "\"off\"",
        doc: "whether a waiting client is told so in its response: \"off\", \"sse\" or \"ndjson\"",
    },
    KeyDoc {
        key: "route.refusal",
        env: None,
        flag: None,
        default: "\"problem\"",
        doc: "what an EventSource gets when there is no place: \"problem\" (503), \"event-stream\" (it comes again) or \"no-content\" (204, it does not)",
    },
    KeyDoc {
        key: "route.clocks.connect",
        env: None,
        flag: None,
        default: "as `[clocks]`",
        doc: "the same for these exchanges",
    },
    KeyDoc {
        key: "route.clocks.head",
        env: None,
        flag: None,
        default: "as `[clocks]`",
        doc: "the same for these exchanges; only without `route.path`",
    },
    KeyDoc {
        key: "route.clocks.keep_alive",
        env: None,
        flag: None,
        default: "as `[clocks]`",
        doc: "the same for these exchanges; only without `route.path`",
    },
    KeyDoc {
        key: "route.clocks.response_head",
        env: None,
        flag: None,
        default: "as `[clocks]`",
        doc: "the same for these exchanges",
    },
    KeyDoc {
        key: "route.clocks.chunk_gap",
        env: None,
        flag: None,
        default: "as `[clocks]`",
        doc: "the same for these exchanges",
    },
    KeyDoc {
        key: "route.clocks.lifetime",
        env: None,
        flag: None,
        default: "as `[clocks]`",
        doc: "the same for these exchanges",
    },
    KeyDoc {
        key: "route.clocks.write_stall",
        env: None,
        flag: None,
        default: "as `[clocks]`",
        doc: "the same for these exchanges",
    },
    KeyDoc {
        key: "agent.kind",
        env: Some("OUTLAST_AGENT_KIND"),
        flag: Some("--agent-kind"),
        default: "\"auto\"",
        doc: "which agent answers: \"auto\" (the best there is, today scout) or \"scout\"",
    },
    KeyDoc {
        key: "agent.pace",
        env: Some("OUTLAST_AGENT_PACE"),
        flag: Some("--pace"),
        default: "\"0s\"",
        doc: "scout stretches a run to about this long",
    },
    KeyDoc {
        key: "agent.runs_max",
        env: Some("OUTLAST_AGENT_RUNS_MAX"),
        flag: None,
        default: "8",
        doc: "runs at once, at least 1; more wait, visibly",
    },
    KeyDoc {
        key: "streams.append_max",
        env: Some("OUTLAST_STREAMS_APPEND_MAX"),
        flag: None,
        default: "\"8MiB\"",
        doc: "the longest body of an append to a durable stream of the desktop, at most \"64MiB\"; a longer one is answered by 413",
    },
    KeyDoc {
        key: "streams.bytes_max",
        env: Some("OUTLAST_STREAMS_BYTES_MAX"),
        flag: None,
        default: "\"10GiB\"",
        doc: "bytes of all streams, at least \"64MiB\"; beyond it the closed ones go that were written the longest ago, then appends are answered by 507",
    },
    KeyDoc {
        key: "streams.age_max",
        env: Some("OUTLAST_STREAMS_AGE_MAX"),
        flag: None,
        default: "\"0s\"",
        doc: "a stream to which nothing was appended for so long is deleted; \"0s\": none is",
    },
    KeyDoc {
        key: "streams.readers_max",
        env: Some("OUTLAST_STREAMS_READERS_MAX"),
        flag: None,
        default: "10000",
        doc: "live readers of streams at once, at least 1; more are answered by 429",
    },
    KeyDoc {
        key: "streams.poll_timeout",
        env: Some("OUTLAST_STREAMS_POLL_TIMEOUT"),
        flag: None,
        default: "\"20s\"",
        doc: "so long a long poll of a stream waits for bytes, above 0 s",
    },
    KeyDoc {
        key: "streams.events_lifetime",
        env: Some("OUTLAST_STREAMS_EVENTS_LIFETIME"),
        flag: None,
        default: "\"1m\"",
        doc: "so long an answer of server-sent events goes on, above 0 s; then the reader comes again, so that caches can share answers",
    },
    KeyDoc {
        key: "machine.command",
        env: None,
        flag: Some("--"),
        default: "the desktop, `outlast serve`",
        doc: "what a machine runs without [processes] in fly.toml: a string split as a shell would, or a list",
    },
];

/// Keys of the design that a later version brings. A whole section stands for all its keys.
const LATER: &[(&str, &str)] = &[
    ("detach", "remove it; a client that leaves cancels its exchange for now"),
    ("alert", "remove it; watch /metrics of the admin listener for now"),
    ("upstream.h2_streams_max", "remove it; upstream connections speak HTTP/1.1 for now"),
    ("agent.pace_request", "remove it; a drill sets the pace by `agent.pace` for now"),
];

/// What is known of a key that is not in the table.
pub(crate) fn explain(path: &str) -> Option<Explained> {
    let later = LATER.iter().find(|(key, _)| *key == path);
    later.map(|(_, hint)| Explained::Later(hint))
}

/// The entry of a key of this crate.
pub(crate) fn entry(key: &str) -> &'static KeyDoc {
    KEYS.iter().find(|entry| entry.key == key).expect("only keys of the table are asked for")
}

/// All variables there are.
pub(crate) fn all_variables() -> Vec<&'static str> {
    let keys = KEYS.iter().filter_map(|entry| entry.env);
    keys.chain(VARIABLES.iter().map(|entry| entry.env)).collect()
}

/// The sections, in order.
pub(crate) fn sections() -> Vec<&'static str> {
    let mut sections: Vec<_> =
        KEYS.iter().filter_map(|entry| entry.key.split('.').next()).collect();
    sections.dedup();
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        for entry in KEYS {
            let (section, key) = entry.key.split_once('.').unwrap();
            assert!(!section.is_empty() && !key.is_empty() && !entry.doc.is_empty());
            if let Some(env) = entry.env {
                let derived = format!("OUTLAST_{}", entry.key.replace('.', "_").to_uppercase());
                assert_eq!(env, derived);
            }
            assert!(explain(entry.key).is_none(), "{} is both there and later", entry.key);
        }
        let mut variables = all_variables();
        let count = variables.len();
        variables.sort_unstable();
        variables.dedup();
        assert_eq!(variables.len(), count, "a variable is named twice");
        assert_eq!(
            sections(),
            [
                "listen", "queue", "reserve", "clocks", "upstream", "exchange", "eject", "retry",
                "drain", "route", "agent", "streams", "machine"
            ]
        );
    }

    #[test]
    fn the_page_names_each_key_variable_flag_and_default() {
        let page = include_str!("../../../docs/configuration.md");
        let code = |name: Option<&str>| name.map_or("–".to_owned(), |name| format!("`{name}`"));
        for entry in KEYS {
            let default = if entry.default.contains('`') {
                entry.default.to_owned()
            } else {
                code(Some(entry.default))
            };
            let (env, flag) = (code(entry.env), code(entry.flag));
            let row = format!("| `{}` | {default} | {env} | {flag} | {} |", entry.key, entry.doc);
            assert!(page.lines().any(|line| line == row), "docs/configuration.md needs\n{row}");
        }
        for entry in VARIABLES {
            let row = format!("| `{}` | {} | {} |", entry.env, code(entry.flag), entry.doc);
            assert!(page.lines().any(|line| line == row), "docs/configuration.md needs\n{row}");
        }
    }
}
