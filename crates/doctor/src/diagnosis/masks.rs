//! Names that may be shown to anybody.
//!
//! Of what events carry only the name of a machine comes into a report. Fly's are digits that say nothing; others may be
//! an address or anything that somebody chose.

use std::collections::BTreeMap;

use crate::logs::Name;

/// So many are told apart.
const KNOWN_MAX: usize = 1_024;

/// Whether names are shown as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Names {
    /// A machine whose name could say something becomes `machine-1` and so on, the same one wherever it is named.
    #[default]
    Hidden,
    /// As they are.
    Shown,
}

#[derive(Debug, Default)]
pub(crate) struct Masks {
    names: Names,
    known: BTreeMap<Name, Name>,
}

impl Masks {
    pub(crate) fn new(names: Names) -> Self {
        Self { names, known: BTreeMap::new() }
    }

    /// The name to use for a machine.
    pub(crate) fn shown(&mut self, machine: Name) -> Name {
        if self.names == Names::Shown || machine.is_empty() || is_plain(machine.as_str()) {
            return machine;
        }
        let next = self.known.len() + 1;
        if next > KNOWN_MAX && !self.known.contains_key(&machine) {
            return Name::new("machine-other");
        }
        *self.known.entry(machine).or_insert_with(|| Name::new(format!("machine-{next}")))
    }
}

/// Eight or fourteen hexadecimal digits, as Fly names machines, and Outlast its own.
fn is_plain(name: &str) -> bool {
    matches!(name.len(), 8 | 14) && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_something_is_masked_and_always_the_same_way() {
        let mut masks = Masks::default();
        let mut shown = |name: &str| masks.shown(Name::new(name)).as_str().to_owned();
        assert_eq!(shown("3d8d9930b32d89"), "3d8d9930b32d89");
        assert_eq!(shown("203.0.113.9:3000"), "machine-1");
        assert_eq!(shown("ann@a.example"), "machine-2");
        assert_eq!(shown("203.0.113.9:3000"), "machine-1");
        assert_eq!(shown(""), "");
        let mut masks = Masks::new(Names::Shown);
        assert_eq!(masks.shown(Name::new("203.0.113.9:3000")).as_str(), "203.0.113.9:3000");
    }
}
