//! The table of variables that are no keys: it names flags, tells unknown variables, and is the reference.

/// A variable whose setting is no key of `outlast.toml`, because `fly.toml` has its own or a flag is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VariableDoc {
    /// The variable.
    pub env: &'static str,
    /// The flag of `outlast up` that overrides it. `None`: the variable belongs to other parts of the binary.
    pub flag: Option<&'static str>,
    /// What it does, in one line, with its unit.
    pub doc: &'static str,
}

/// Every further variable that starts with `OUTLAST_`.
#[must_use]
pub fn variables() -> &'static [VariableDoc] {
    VARIABLES
}

pub(crate) const VARIABLES: &[VariableDoc] = &[
    VariableDoc {
        env: "OUTLAST_LISTEN",
        flag: Some("--listen"),
        doc: "address and port of the first HTTP service, such as 127.0.0.1:8080",
    },
    VariableDoc {
        env: "OUTLAST_TYPE",
        flag: Some("--type"),
        doc: "what the first HTTP service counts: connections or requests",
    },
    VariableDoc {
        env: "OUTLAST_HARD_LIMIT",
        flag: Some("--hard-limit"),
        doc: "its hard limit per machine; 0: none",
    },
    VariableDoc {
        env: "OUTLAST_SOFT_LIMIT",
        flag: Some("--soft-limit"),
        doc: "its soft limit per machine; 0: none",
    },
    VariableDoc {
        env: "OUTLAST_MACHINES",
        flag: Some("--machines"),
        doc: "machines per process group, at least 1; default 1",
    },
    VariableDoc { env: "OUTLAST_DATA", flag: None, doc: "the data folder" },
    VariableDoc { env: "OUTLAST_ADMIN", flag: None, doc: "the admin listener's address" },
    VariableDoc { env: "OUTLAST_LOG", flag: None, doc: "what is logged" },
    VariableDoc { env: "OUTLAST_LOG_FORMAT", flag: None, doc: "how it is logged" },
    VariableDoc { env: "OUTLAST_NO_AUTH", flag: None, doc: "no authentication, on loopback only" },
    VariableDoc { env: "OUTLAST_ALLOW_HOST", flag: None, doc: "further names we are reached by" },
    VariableDoc { env: "OUTLAST_THREADS", flag: None, doc: "threads that serve" },
    VariableDoc { env: "OUTLAST_BIND", flag: None, doc: "the desktop's address" },
    VariableDoc { env: "OUTLAST_WORKSPACE", flag: None, doc: "the desktop's directory" },
];

/// The flag of a variable.
pub(crate) fn variable(env: &str) -> &'static VariableDoc {
    VARIABLES
        .iter()
        .find(|entry| entry.env == env)
        .expect("only variables of the table are asked for")
}
