//! Short texts that events carry: names of machines and requests, and the proxy's codes.

use std::fmt;

/// How many bytes of a name are kept: a machine id has 14, a request id of Fly 30, one of ours 27 and the region.
const NAME_BYTES_MAX: usize = 39;
/// Of a longer name so many are kept, before a mark and eight digits that tell it from its like.
const NAME_BYTES_KEPT: usize = 30;

/// A name of at most 39 bytes, kept in place. A longer one is cut, and ends in `~` and a checksum of the whole, so that
/// two that differ stay different. Control characters and what is not UTF-8 are replaced by `?`. Empty: there is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Zero after `length`, so that equality is that of the text.
    bytes: [u8; NAME_BYTES_MAX],
    length: u8,
}

impl Name {
    /// No name.
    pub const EMPTY: Self = Self { bytes: [0; NAME_BYTES_MAX], length: 0 };

    /// The name as it is written.
    #[must_use]
    pub fn new(text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        if text.len() <= NAME_BYTES_MAX {
            return Self::filled(text.iter().copied(), text.len());
        }
        // FNV-1a of 32 bits.
        let sum = text
            .iter()
            .fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        let mark = format!("~{sum:08x}");
        let bytes = text[..NAME_BYTES_KEPT].iter().copied().chain(mark.bytes());
        Self::filled(bytes, NAME_BYTES_MAX)
    }

    fn filled(text: impl Iterator<Item = u8>, length: usize) -> Self {
        let mut name = Self::EMPTY;
        for (place, byte) in name.bytes.iter_mut().zip(text.take(length)) {
            *place = if byte.is_ascii_graphic() || byte == b' ' { byte } else { b'?' };
        }
        name.length = u8::try_from(length).expect("at most 39");
        name
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).expect("it is ASCII")
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl Default for Name {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A code of Fly's proxy, such as `PR04`: two letters and two digits. Codes that nobody knew when this was written are
/// codes, too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code([u8; 4]);

impl Code {
    /// The app's port refused the connection.
    pub const PC01: Self = Self(*b"PC01");
    /// The machine was started, and its port was not reached in time.
    pub const PM05: Self = Self(*b"PM05");
    /// The machine was stopped in the last five minutes, and another one exists.
    pub const PM11: Self = Self(*b"PM11");
    /// No healthy machine.
    pub const PR01: Self = Self(*b"PR01");
    /// No candidate after the attempts; the cause is named.
    pub const PR03: Self = Self(*b"PR03");
    /// No candidate after the attempts; no cause is known.
    pub const PR04: Self = Self(*b"PR04");
    /// The machine did not complete a request.
    pub const PU02: Self = Self(*b"PU02");

    /// `PR04` and its like: `P`, a letter, two digits.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        let code: [u8; 4] = text.try_into().ok()?;
        let is_code = code[0] == b'P'
            && code[1].is_ascii_uppercase()
            && code[2..].iter().all(u8::is_ascii_digit);
        is_code.then_some(Self(code))
    }

    /// Its text, such as `PR04`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("it is ASCII")
    }

    /// What it is about: `PR` routing, `PM` starting a machine, `PC` connecting to it, `PU` the app's answer, `PT` TLS, `PA` and
    /// `PE` replay, `PL` limits, `PP` the proxy itself.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.as_str()[..2]
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_so_that_they_stay_different() {
        let request = "01GRKW1WB9KFDZK0FVA89W9HC1-arn";
        assert_eq!(Name::new(request).as_str(), request);
        assert_eq!(Name::new("a\u{1b}[31mé").as_str(), "a?[31m??");
        let long = "[fd00:1111:2222:3333:1234:5678:9abc:def0]:8080";
        let (one, two) = (Name::new(long), Name::new(long.replace("8080", "8081")));
        assert!(one.as_str().starts_with("[fd00:1111:2222:3333:1234:5678~"), "{one}");
        assert_eq!(one.as_str().len(), NAME_BYTES_MAX);
        assert_ne!(one, two);
        assert!(Name::new("").is_empty());
    }

    #[test]
    fn codes_are_told_by_their_form() {
        assert_eq!(Code::new(b"PR04"), Some(Code::PR04));
        assert_eq!(Code::new(b"PX77").map(|code| code.to_string()), Some("PX77".to_owned()));
        for other in ["PR4", "PR040", "pr04", "XR04", "PRO4", "P\u{e9}04"] {
            assert_eq!(Code::new(other.as_bytes()), None, "{other}");
        }
    }
}
