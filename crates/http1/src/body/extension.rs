//! Extensions of a chunk: read to know that they are some, and passed on with it.

/// The position within chunk extensions (RFC 9112 section 7.1.1): `;name`, `;name=token` or `;name="text"`, any number of
/// them. The blanks that the grammar calls bad are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExtensionPart {
    NameStart,
    Name,
    ValueStart,
    Value,
    Quoted,
    /// After a backslash.
    Escaped,
    AfterQuoted,
}

impl ExtensionPart {
    /// Whether an extension may end here.
    pub(super) fn is_complete(self) -> bool {
        matches!(self, Self::Name | Self::Value | Self::AfterQuoted)
    }

    pub(super) fn next(self, byte: u8) -> Option<Self> {
        let is_text = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        match (self, byte) {
            (Self::Name | Self::Value | Self::AfterQuoted, b';') => Some(Self::NameStart),
            (Self::Name, b'=') => Some(Self::ValueStart),
            (Self::NameStart | Self::Name, _) => is_token(byte).then_some(Self::Name),
            (Self::ValueStart, b'"') => Some(Self::Quoted),
            (Self::ValueStart | Self::Value, _) => is_token(byte).then_some(Self::Value),
            (Self::Quoted, b'"') => Some(Self::AfterQuoted),
            (Self::Quoted, b'\\') => Some(Self::Escaped),
            (Self::Quoted | Self::Escaped, _) => is_text.then_some(Self::Quoted),
            (Self::AfterQuoted, _) => None,
        }
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
