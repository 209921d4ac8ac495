//! Sizes in bytes, as people write them.

use std::str::FromStr;

use toml::de::DeValue;

use crate::read::integer_of;
use crate::setting::{ParseSettingError, Setting, wrong_kind};

/// Units, largest first, so that a size is shown in the largest that divides it.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl Setting for ByteSize {
    const WANTED: &'static str = "a size in bytes";
    const EXAMPLE: &'static str = "\"16KiB\"";

    fn from_text(text: &str) -> Result<Self, ParseSettingError> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        let factor = match unit.trim() {
            "" => Some(1),
            // Fly writes it in capitals.
            "KB" => Some(1_000),
            unit => UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor),
        };
        let size = digits.parse::<u64>().ok().zip(factor);
        let size = size.and_then(|(number, factor)| number.checked_mul(factor));
        size.map(Self).ok_or_else(|| ParseSettingError::Bytes { given: text.to_owned() })
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Self, ParseSettingError> {
        match (value, integer_of(value)) {
            (DeValue::String(text), _) => Self::from_text(text),
            (_, Some(number)) => Self::from_text(&number.to_string()),
            _ => Err(wrong_kind::<Self>(value)),
        }
    }

    fn show(&self) -> String {
        let unit = UNITS.iter().find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor));
        let (name, factor) = unit.unwrap_or(&("B", 1));
        format!("\"{}{name}\"", self.0 / factor)
    }
}

impl FromStr for ByteSize {
    type Err = ParseSettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, size, shown) in [
            ("0", 0, "\"0B\""),
            ("16KiB", 16_384, "\"16KiB\""),
            ("64 KiB", 65_536, "\"64KiB\""),
            ("64000", 64_000, "\"64kB\""),
            ("1KB", 1_000, "\"1kB\""),
            ("3GiB", 3 << 30, "\"3GiB\""),
            ("7B", 7, "\"7B\""),
        ] {
            let read = ByteSize::from_text(text).unwrap();
            assert_eq!((read.0, &*read.show()), (size, shown), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_size() {
        for text in ["", "KiB", "-1", "1.5MiB", "16kib", "1TiB", "99999999999GiB", "1K"] {
            assert!(ByteSize::from_text(text).is_err(), "{text}");
        }
    }
}
