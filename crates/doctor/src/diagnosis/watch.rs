//! Follows a log that grows: tells incidents as they begin, change and end.

use std::time::Duration;

use crate::finding::Severity;
use crate::logs::Event;

use super::fold::{Diagnosed, Diagnosis};
use super::incident::Incident;

/// What has become of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It has begun.
    Began,
    /// Another explanation is the likeliest now, or it has become worse.
    Changed,
    /// There was no trouble for five minutes.
    Ended,
}

impl Turn {
    /// Its name in lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Changed => "changed",
            Self::Ended => "ended",
        }
    }
}

/// One piece of news.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// What has become of it.
    pub turn: Turn,
    /// As it looks now.
    pub incident: Incident,
}

/// What was told of the incident that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    number: u64,
    cause: &'static str,
    severity: Severity,
}

/// A [`Diagnosis`] of a log that goes on.
#[derive(Debug)]
pub struct Watch {
    diagnosis: Diagnosis,
    told: Option<Told>,
}

impl Watch {
    /// Begins.
    #[must_use]
    pub fn new(diagnosis: Diagnosis) -> Self {
        Self { diagnosis, told: None }
    }

    /// Takes an event, and tells what has ended before it.
    pub fn observe(&mut self, event: &Event) -> Option<News> {
        let number = self.diagnosis.number();
        self.diagnosis.observe(event);
        // To judge takes longer than to count: it is done when something has ended, and in `look`.
        if self.diagnosis.number() == number { None } else { self.ended() }
    }

    /// Time has passed since the last event, so much of it: looks at what goes on.
    pub fn look(&mut self, since_last: Duration) -> Vec<News> {
        self.diagnosis.advance(since_last);
        let mut news: Vec<_> = self.ended().into_iter().collect();
        let Some(incident) = self.diagnosis.current() else { return news };
        let now = Told {
            number: self.diagnosis.number(),
            cause: incident.cause(),
            severity: incident.severity,
        };
        let turn = match self.told {
            Some(told) if told == now => return news,
            Some(told) if told.number == now.number => Turn::Changed,
            _ => Turn::Began,
        };
        self.told = Some(now);
        news.push(News { turn, incident });
        news
    }

    fn ended(&mut self) -> Option<News> {
        let told = self.told.filter(|told| !self.diagnosis.is_open(told.number))?;
        self.told = None;
        let incident = self.diagnosis.closed(told.number)?;
        Some(News { turn: Turn::Ended, incident })
    }

    /// Ends, and gives everything.
    #[must_use]
    pub fn finish(self) -> Diagnosed {
        self.diagnosis.finish()
    }
}
