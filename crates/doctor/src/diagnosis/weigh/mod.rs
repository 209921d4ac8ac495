//! What an incident's counts are evidence of.

mod machines;
mod places;

pub(crate) use machines::called;

use super::beside::Beside;
use super::evidence::Item;
use super::judge::Found;
use super::tally::Tally;

/// What is known beside an incident's own lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around<'a> {
    /// A `fly.toml`, if one is there and says what the log says.
    pub(crate) plan: Option<&'a Beside>,
    /// Whether there are lines of Outlast: then every exchange is told of, and every peer that was lost.
    pub(crate) is_ours: bool,
    /// When the last line was written.
    pub(crate) end: i64,
    /// Whether the gateway has ended, and with it every exchange.
    pub(crate) is_over: bool,
}

/// All that was found, places first.
pub(crate) fn weigh(tally: &Tally, around: &Around<'_>) -> Vec<Found> {
    let mut all = Finds(Vec::new());
    places::weigh(tally, around, &mut all);
    machines::weigh(tally, around, &mut all);
    all.0
}

pub(crate) struct Finds(Vec<Found>);

impl Finds {
    fn add(&mut self, item: &'static Item, saw: impl Into<String>) {
        self.0.push(Found { item, saw: saw.into() });
    }
}
