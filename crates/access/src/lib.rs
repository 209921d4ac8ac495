//! Who may: one-time links, cookies, bearer tokens, Host and Origin checks.
