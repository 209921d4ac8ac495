//! Maps by numbers of our own.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map by ids that are counted up, which nobody outside can choose: they need no protection against chosen keys.
pub(super) type Numbered<K, V> = HashMap<K, V, BuildHasherDefault<Multiply>>;

/// Multiplies by 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming 3, section 6.4), and mixes the high bits,
/// which are the good ones, into the low ones, by which a table finds its bucket.
#[derive(Debug, Default)]
pub(super) struct Multiply(u64);

impl Hasher for Multiply {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let product = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ (product >> 32);
    }
}
