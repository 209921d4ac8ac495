//! The only sources of chance: the operating system, and sequences that a seed gives again.

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

/// Numbers that look random and are the same for the same seed, on every machine and in every version (SplitMix64).
/// Not for secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeded(u64);

impl Seeded {
    /// The sequence of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A uniformly distributed number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A uniformly distributed number from 0 (included) to 1 (excluded): as many bits as a double holds exactly.
    pub fn share(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_sequence_again_and_shares_lie_between_0_and_1() {
        // The first numbers of the published algorithm for this seed.
        let mut seeded = Seeded::new(1_234_567);
        assert_eq!(seeded.number(), 6_457_827_717_110_365_317);
        assert_eq!(seeded.number(), 3_203_168_211_198_807_973);
        let shares: Vec<_> = (0..1000).map(|_| seeded.share()).collect();
        assert!(shares.iter().all(|share| (0.0..1.0).contains(share)));
        let mean = shares.iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }
}
