//! Short texts that only we can have written: `expiry.nonce.mac`.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use outlast_runtime::random;
use sha2::Sha256;

use crate::denial::DenialReason;

/// 32 bytes of randomness, which must not show themselves.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) [u8; 32]);

/// What a signed text is for. Each purpose has a label of its own, so that one never passes for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Ticket,
    Session,
    CookieName,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Ticket => b"outlast ticket 1\0",
            Self::Session => b"outlast session 1\0",
            Self::CookieName => b"outlast cookie name 1\0",
        }
    }
}

/// A text that was signed by us and has not expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Valid {
    /// Different for every text: 32 hex digits.
    pub(crate) nonce: String,
    pub(crate) expiry: Timestamp,
}

impl Secret {
    /// Signs a new text that is good until `expiry`.
    pub(crate) fn sign(&self, purpose: Purpose, expiry: Timestamp) -> String {
        let nonce = hex(&random::bytes::<16>());
        let text = format!("{}.{nonce}", expiry.as_second());
        let mac = hex(&self.mac(purpose, text.as_bytes()).finalize().into_bytes());
        format!("{text}.{mac}")
    }

    /// Checks a text; the comparison takes the same time wherever it differs.
    pub(crate) fn verify(
        &self,
        purpose: Purpose,
        signed: &str,
        now: Timestamp,
    ) -> Result<Valid, DenialReason> {
        let (text, mac) = signed.rsplit_once('.').ok_or(DenialReason::Malformed)?;
        let (expiry, nonce) = text.split_once('.').ok_or(DenialReason::Malformed)?;
        let mac = unhex::<32>(mac).ok_or(DenialReason::Malformed)?;
        if unhex::<16>(nonce).is_none() {
            return Err(DenialReason::Malformed);
        }
        self.mac(purpose, text.as_bytes()).verify_slice(&mac).map_err(|_| DenialReason::Forged)?;
        let seconds = expiry.parse().map_err(|_| DenialReason::Malformed)?;
        let expiry = Timestamp::from_second(seconds).map_err(|_| DenialReason::Malformed)?;
        if expiry <= now {
            return Err(DenialReason::Expired);
        }
        Ok(Valid { nonce: nonce.to_owned(), expiry })
    }

    /// A short public name that follows from the secret.
    pub(crate) fn name(&self, purpose: Purpose) -> String {
        let mac = self.mac(purpose, b"").finalize().into_bytes();
        hex(&mac[..4])
    }

    fn mac(&self, purpose: Purpose, text: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.0).expect("any key length will do");
        mac.update(purpose.label());
        mac.update(text);
        mac
    }
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Exactly so many bytes as lower-case hex digits, or nothing.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_text_is_good_for_its_purpose_its_key_and_its_time() {
        let secret = Secret([7; 32]);
        let signed = secret.sign(Purpose::Ticket, at(100));
        let valid = secret.verify(Purpose::Ticket, &signed, at(99)).unwrap();
        assert_eq!((valid.nonce.len(), valid.expiry), (32, at(100)));
        let expired = secret.verify(Purpose::Ticket, &signed, at(100));
        assert_eq!(expired, Err(DenialReason::Expired));
        let other = secret.verify(Purpose::Session, &signed, at(99));
        assert_eq!(other, Err(DenialReason::Forged));
        let wrong = Secret([8; 32]).verify(Purpose::Ticket, &signed, at(99));
        assert_eq!(wrong, Err(DenialReason::Forged));
        for text in
            ["", ".", "..", "1.2", "1.2.3", &signed[..signed.len() - 1], &signed.to_uppercase()]
        {
            let verdict = secret.verify(Purpose::Ticket, text, at(99));
            assert_eq!(verdict, Err(DenialReason::Malformed), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let verdict = Secret([7; 32]).verify(Purpose::Session, &text, at(0));
            prop_assert!(verdict.is_err());
        }

        #[test]
        fn no_change_of_one_character_is_accepted(index in any::<prop::sample::Index>(), new in any::<char>()) {
            let secret = Secret([7; 32]);
            let signed = secret.sign(Purpose::Session, at(1_000));
            let mut characters: Vec<char> = signed.chars().collect();
            let index = index.index(characters.len());
            prop_assume!(characters[index] != new);
            characters[index] = new;
            let changed: String = characters.into_iter().collect();
            prop_assert!(secret.verify(Purpose::Session, &changed, at(0)).is_err());
        }
    }
}
