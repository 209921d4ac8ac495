//! A "no", with what the visitor may read and what the log may read in two fields.

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// 401, 403, or 503 where the data folder does not work.
    pub status: u16,
    /// For the visitor: what to do, with what is to be typed between backticks.
    pub detail: String,
    /// For the log.
    pub reason: DenialReason,
}

/// The reason as the log names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DenialReason {
    /// `Host` is missing or not one of our names: DNS rebinding looks so.
    Host,
    /// `Origin` is not ours: another site's page asks.
    Origin,
    /// The browser says that another site's page asks.
    CrossSite,
    /// Nothing was shown.
    Nothing,
    /// What was shown is not of the form it should have.
    Malformed,
    /// It was not signed by us, or was changed.
    Forged,
    /// It was good once.
    Expired,
    /// The link was used before.
    Redeemed,
    /// The data folder does not take the mark that the link was used.
    Storage,
}

impl DenialReason {
    /// The name in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Origin => "origin",
            Self::CrossSite => "cross_site",
            Self::Nothing => "nothing_shown",
            Self::Malformed => "malformed",
            Self::Forged => "forged",
            Self::Expired => "expired",
            Self::Redeemed => "redeemed",
            Self::Storage => "storage",
        }
    }
}

impl Denial {
    /// Somebody we don't know. What exactly was wrong is for the log only.
    pub(crate) fn unknown(reason: DenialReason) -> Self {
        let detail =
            "open the link that `outlast up` printed, or have a new one printed by `outlast link`"
                .to_owned();
        Self { status: 401, detail, reason }
    }

    /// What a program or its author reads: it has another way in than a person.
    #[must_use]
    pub fn for_programs(&self) -> String {
        let detail = &self.detail;
        match self.status {
            401 => format!("not logged in: {detail}; programs send `Authorization: Bearer TOKEN`"),
            _ => detail.clone(),
        }
    }

    /// A link that does not work, whatever the reason.
    pub(crate) fn link(reason: DenialReason) -> Self {
        let detail = match reason {
            DenialReason::Storage => "the link cannot be redeemed: the data folder takes no files".to_owned(),
            _ => "this link does not work, or no longer: a link works once and within an hour; `outlast link` \
                  prints a new one"
                .to_owned(),
        };
        let status = if reason == DenialReason::Storage { 503 } else { 401 };
        Self { status, detail, reason }
    }

    pub(crate) fn forbidden(reason: DenialReason, detail: String) -> Self {
        Self { status: 403, detail, reason }
    }
}
