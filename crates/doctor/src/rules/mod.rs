//! The rules, by what they are about, and their pages.

mod concurrency;
mod decoding;
mod lifecycle;
mod machines;
mod network;
mod outlast;
mod ports;
mod refused;
mod traffic;
mod vm;
mod writing;

pub(crate) use self::decoding::{secrets, undecodable};
pub(crate) use self::outlast::broken as broken_outlast;
use crate::facts::Facts;
use crate::finding::Finding;

/// What `outlast explain` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The rule, such as `FLY101`.
    pub rule: &'static str,
    /// Markdown: why, and what to do; of rules about files an example that is wrong and one that is not.
    pub text: &'static str,
}

impl Page {
    /// What the rule says, in a few words.
    #[must_use]
    pub fn title(&self) -> &'static str {
        let first = self.text.lines().next().unwrap_or_default();
        first.split_once(": ").map_or(first, |(_, title)| title)
    }
}

macro_rules! pages {
    ($pages:ident: $($rule:ident)*) => {
        const $pages: &[Page] = &[$(Page {
            rule: stringify!($rule),
            text: include_str!(concat!("../../../../docs/rules/", stringify!($rule), ".md")),
        }),*];
    };
}

pages! {
    PAGES:
    FLY101 FLY102 FLY103 FLY104 FLY105 FLY106 FLY107 FLY108 FLY109
    FLY201 FLY202 FLY203 FLY204 FLY205 FLY206 FLY207 FLY208 FLY209 FLY210 FLY211 FLY212 FLY213
    FLY301 FLY302 FLY303 FLY304 FLY305 FLY306 FLY307 FLY308 FLY309 FLY310 FLY311 FLY312 FLY313
    FLY401 FLY402 FLY403 FLY404 FLY405 FLY406
    FLY501 FLY502 FLY503 FLY504 FLY505 FLY506 FLY507 FLY508 FLY509 FLY510 FLY511
    FLY601 FLY602 FLY603 FLY604 FLY605 FLY606 FLY607 FLY608 FLY609 FLY610
    FLY690 FLY691
    OUT101 OUT102 OUT103 OUT104 OUT105 OUT106 OUT691
}

pages! {
    LIVE_PAGES:
    LIVE101 LIVE102 LIVE103 LIVE104 LIVE105 LIVE106 LIVE107 LIVE108 LIVE109 LIVE110
    LIVE201 LIVE202 LIVE203 LIVE204
}

/// Every rule about files with its page, in order.
#[must_use]
pub fn pages() -> &'static [Page] {
    PAGES
}

/// Every rule about a running gateway with its page, in order.
#[must_use]
pub fn live_pages() -> &'static [Page] {
    LIVE_PAGES
}

/// The page of a rule; letter case does not matter.
#[must_use]
pub fn page(rule: &str) -> Option<&'static Page> {
    PAGES.iter().chain(LIVE_PAGES).find(|page| page.rule.eq_ignore_ascii_case(rule))
}

/// All of them.
pub(crate) fn check(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for check in [
        concurrency::check,
        lifecycle::check,
        network::check,
        machines::check,
        vm::check,
        traffic::check,
        writing::check,
        refused::check,
        outlast::check,
    ] {
        check(facts, findings);
    }
}
