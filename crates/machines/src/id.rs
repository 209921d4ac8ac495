//! The names of machines.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use outlast_runtime::random;
use thiserror::Error;

/// A machine's id: 14 lowercase hex digits, as Fly's machines have. Clones share the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MachineId(Arc<str>);

/// A text that is not a machine's id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a machine id, which has 14 lowercase hex digits")]
pub struct InvalidMachineId(String);

impl MachineId {
    const DIGITS: usize = 14;

    /// A new id that no other machine has.
    #[must_use]
    pub fn random() -> Self {
        let bytes: [u8; Self::DIGITS / 2] = random::bytes();
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(text.into())
    }

    /// The 14 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MachineId {
    type Err = InvalidMachineId;

    fn from_str(text: &str) -> Result<Self, InvalidMachineId> {
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() != Self::DIGITS || !digits {
            return Err(InvalidMachineId(text.to_owned()));
        }
        Ok(Self(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_look_like_ids_and_differ() {
        let id = MachineId::random();
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_ne!(id, MachineId::random());
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "3d8d9930b32d8", "3d8d9930b32d89a", "3D8D9930B32D89", "3d8d9930b32d8g"] {
            assert!(text.parse::<MachineId>().is_err(), "{text:?}");
        }
        assert_eq!("3d8d9930b32d89".parse::<MachineId>().unwrap().to_string(), "3d8d9930b32d89");
    }
}
