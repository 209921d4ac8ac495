//! One record of a log: who said what when, before anybody asks what it means.

use super::event::{Level, Origin};
use super::when::When;

/// The forms that records come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// `fly logs`: `2026-05-31T03:04:38Z proxy[8e40d3b769e2d8] dfw [info]machine started in 1.6s`. Outlast prints its machines'
    /// logs and its own `outlast::proxy` lines the same way.
    FlyText,
    /// The dashboard's: milliseconds, no zone, a blank after `[info]`.
    Dashboard,
    /// Grafana's: a time and a tab on one line, the message on the next, the newest first.
    Grafana,
    /// `fly logs --json`: one indented object per record.
    FlyJson,
    /// The log stream, by Vector or NATS: one object per line.
    Stream,
    /// A page of the logs API: `{"data":[…]}`.
    Page,
    /// A time and a message, without anybody who says it: `14:37:39 [error] Instance reached hard limit of …`.
    Stamped,
    /// The message alone: `[PR04] could not find a good candidate within …`.
    Message,
    /// Outlast's lines for people.
    OutlastText,
    /// Outlast's lines for programs.
    OutlastJson,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::FlyText,
        Self::Dashboard,
        Self::Grafana,
        Self::FlyJson,
        Self::Stream,
        Self::Page,
        Self::Stamped,
        Self::Message,
        Self::OutlastText,
        Self::OutlastJson,
    ];

    /// What it is, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FlyText => "text of `fly logs`",
            Self::Dashboard => "lines copied from Fly's dashboard",
            Self::Grafana => "lines copied from Grafana",
            Self::FlyJson => "`fly logs --json`",
            Self::Stream => "JSON lines of Fly's log stream",
            Self::Page => "pages of Fly's logs API",
            Self::Stamped => "times with messages of the proxy",
            Self::Message => "messages of the proxy alone",
            Self::OutlastText => "Outlast's log for people",
            Self::OutlastJson => "Outlast's log for programs",
        }
    }
}

/// A record, of which nothing is copied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) form: Form,
    pub(super) at: Option<When>,
    pub(super) origin: Origin,
    pub(super) level: Level,
    pub(super) machine: &'a [u8],
    pub(super) region: &'a [u8],
    pub(super) request: &'a [u8],
    /// What a response had as its status, where a field says so.
    pub(super) status: u16,
    pub(super) message: &'a [u8],
}

impl<'a> Record<'a> {
    pub(super) fn new(form: Form, at: Option<When>, message: &'a [u8]) -> Self {
        Self {
            form,
            at,
            origin: Origin::Unknown,
            level: Level::Unknown,
            machine: b"",
            region: b"",
            request: b"",
            status: 0,
            message,
        }
    }
}

/// Who a provider is. `None`: Fly has others, such as `machine` and `deploy`.
pub(super) fn origin(provider: &[u8]) -> Option<Origin> {
    Some(match provider {
        b"app" => Origin::App,
        b"proxy" => Origin::Proxy,
        b"runner" => Origin::Runner,
        b"health" => Origin::Health,
        _ => return None,
    })
}

pub(super) fn level(text: &[u8]) -> Option<Level> {
    const LEVELS: [(&[u8], Level); 7] = [
        (b"info", Level::Info),
        (b"warn", Level::Warn),
        (b"error", Level::Error),
        (b"debug", Level::Debug),
        (b"warning", Level::Warn),
        (b"trace", Level::Debug),
        (b"fatal", Level::Error),
    ];
    let found = LEVELS.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
    found.map(|(_, level)| *level)
}
