//! The only source of chance, from the operating system.

/// Fills an array with bytes from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness to give, which leaves nothing safe to do.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    getrandom::fill(&mut out).expect("the operating system provides randomness");
    out
}

/// A uniformly distributed number.
#[must_use]
pub fn number() -> u64 {
    u64::from_le_bytes(bytes())
}
