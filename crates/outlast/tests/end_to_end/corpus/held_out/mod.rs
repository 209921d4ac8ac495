//! The half of the corpus that says how a diagnosis fares with what it has never seen.

mod lives;
mod places;

use super::case::Case;

pub(super) fn cases() -> Vec<Case> {
    [places::cases(), lives::cases()].concat()
}
