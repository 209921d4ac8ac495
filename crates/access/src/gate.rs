//! The decision about one request.

use jiff::Timestamp;
use outlast_runtime::clock;

use crate::denial::{Denial, DenialReason};
use crate::hosts::Hosts;
use crate::keys::Access;

/// What a request shows.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// The method.
    pub method: &'a str,
    /// The `Host` field; empty if there is none.
    pub host: &'a str,
    /// The `Origin` field (RFC 6454 section 7).
    pub origin: Option<&'a str>,
    /// The `Sec-Fetch-Site` field (W3C Fetch Metadata).
    pub sec_fetch_site: Option<&'a str>,
    /// All `Cookie` fields, joined by `; `.
    pub cookie: Option<&'a str>,
    /// The `Authorization` field.
    pub authorization: Option<&'a str>,
}

/// Whether visitors must be known.
#[derive(Debug, Clone)]
pub enum Login {
    /// They show a cookie or the bearer token.
    Required(Access),
    /// Everybody who reaches us may come in.
    Off,
}

/// Decides who may come in. Clones share everything.
#[derive(Debug, Clone)]
pub struct Gate {
    login: Login,
    hosts: Hosts,
}

impl Gate {
    /// A gate with this login, under these names.
    #[must_use]
    pub fn new(login: Login, hosts: Hosts) -> Self {
        Self { login, hosts }
    }

    /// Lets in who comes by one of our names, not from another site's page, and is known.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, visit: &Visit<'_>) -> Result<(), Denial> {
        self.admit_at(visit, clock::wall_now())
    }

    fn admit_at(&self, visit: &Visit<'_>, now: Timestamp) -> Result<(), Denial> {
        self.check_host(visit)?;
        match &self.login {
            Login::Off => Ok(()),
            Login::Required(access) => {
                access.check(visit.cookie, visit.authorization, now).map_err(Denial::unknown)
            }
        }
    }

    /// Lets in who comes by one of our names and not from another site's page: enough for what anybody may see.
    ///
    /// # Errors
    /// Why not.
    pub fn check_host(&self, visit: &Visit<'_>) -> Result<(), Denial> {
        if !self.hosts.allow_host(visit.host) {
            let detail = format!(
                "this is not {:?}; if that is one of our names, add it by --allow-host NAME",
                shortened(visit.host)
            );
            return Err(Denial::forbidden(DenialReason::Host, detail));
        }
        // Reading across origins is forbidden by the browser, as we never allow it; doing something is not.
        let is_safe = matches!(visit.method, "GET" | "HEAD");
        if let Some(origin) = visit.origin {
            let is_ours = self.hosts.allow_origin(origin) || (is_safe && origin == "null");
            if !is_ours {
                let detail = format!("pages of {:?} may not ask here", shortened(origin));
                return Err(Denial::forbidden(DenialReason::Origin, detail));
            }
        }
        match visit.sec_fetch_site {
            Some("cross-site" | "same-site") if !is_safe => {
                let detail = "another site's page may not do this".to_owned();
                Err(Denial::forbidden(DenialReason::CrossSite, detail))
            }
            _ => Ok(()),
        }
    }
}

/// What a stranger sent, cut to what a person wants to read.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(100)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VISIT: Visit<'_> = Visit {
        method: "POST",
        host: "localhost:8080",
        origin: None,
        sec_fetch_site: None,
        cookie: None,
        authorization: None,
    };

    fn verdict(gate: &Gate, visit: &Visit<'_>) -> Option<(u16, DenialReason)> {
        gate.admit(visit).err().map(|denial| (denial.status, denial.reason))
    }

    #[test]
    fn names_and_origins_are_checked_also_without_login() {
        let gate = Gate::new(Login::Off, Hosts::default());
        let host = Some((403, DenialReason::Host));
        let origin = Some((403, DenialReason::Origin));
        let cross = Some((403, DenialReason::CrossSite));
        for (visit, wanted) in [
            (VISIT, None),
            (Visit { host: "evil.example", ..VISIT }, host),
            (Visit { host: "", ..VISIT }, host),
            (Visit { host: "evil.example", method: "GET", ..VISIT }, host),
            (Visit { origin: Some("http://localhost:8080"), ..VISIT }, None),
            (Visit { origin: Some("http://evil.example"), ..VISIT }, origin),
            (Visit { origin: Some("http://evil.example"), method: "GET", ..VISIT }, origin),
            (Visit { origin: Some("null"), ..VISIT }, origin),
            (Visit { origin: Some("null"), method: "GET", ..VISIT }, None),
            (Visit { sec_fetch_site: Some("same-origin"), ..VISIT }, None),
            (Visit { sec_fetch_site: Some("none"), ..VISIT }, None),
            (Visit { sec_fetch_site: Some("cross-site"), ..VISIT }, cross),
            (Visit { sec_fetch_site: Some("same-site"), ..VISIT }, cross),
            (Visit { sec_fetch_site: Some("cross-site"), method: "GET", ..VISIT }, None),
        ] {
            assert_eq!(verdict(&gate, &visit), wanted, "{visit:?}");
        }
        let denial = gate.admit(&Visit { host: "evil.example", ..VISIT }).unwrap_err();
        assert!(denial.detail.contains("--allow-host"), "{}", denial.detail);
    }

    #[test]
    fn with_login_nobody_comes_in_who_is_not_known() {
        let data = tempfile::tempdir().unwrap();
        let access = Access::open(data.path()).unwrap();
        let token = std::fs::read_to_string(access.token_path()).unwrap();
        let bearer = format!("Bearer {}", token.trim());
        let gate = Gate::new(Login::Required(access), Hosts::default());
        assert_eq!(verdict(&gate, &VISIT), Some((401, DenialReason::Nothing)));
        assert!(gate.check_host(&VISIT).is_ok(), "the name is enough for what anybody may see");
        assert_eq!(verdict(&gate, &Visit { authorization: Some(&bearer), ..VISIT }), None);
        let evil = Visit { authorization: Some(&bearer), host: "evil.example", ..VISIT };
        assert_eq!(verdict(&gate, &evil), Some((403, DenialReason::Host)), "the name comes first");
    }

    proptest! {
        #[test]
        fn no_visit_panics_or_gets_in(
            host in ".{0,40}", origin in ".{0,40}", cookie in ".{0,60}", authorization in ".{0,60}",
        ) {
            let data = tempfile::tempdir().unwrap();
            let gate = Gate::new(Login::Required(Access::open(data.path()).unwrap()), Hosts::default());
            let shown = [Some(&*cookie), None];
            for cookie in shown {
                let visit = Visit {
                    method: "GET", host: &host, origin: Some(&origin), sec_fetch_site: None, cookie,
                    authorization: Some(&authorization),
                };
                prop_assert!(gate.admit(&visit).is_err());
                let visit = Visit { host: "localhost", origin: None, ..visit };
                prop_assert!(gate.admit(&visit).is_err());
            }
        }
    }
}
