//! Hashes and generators that depend on a seed and on names, never on the order of work.

use std::collections::{HashMap, HashSet};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A stable 64-bit hash of a seed and some names (FNV-1a, then the finaliser of SplitMix64).
///
/// The standard library's hashers may change between releases; the order of tied purchases may not.
pub(crate) fn seeded_hash(seed: u64, names: &[&str]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut feed = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    seed.to_le_bytes().into_iter().for_each(&mut feed);
    for name in names {
        name.bytes().for_each(&mut feed);
        feed(0xff); // no byte of UTF-8, so that ("ab", "c") differs from ("a", "bc")
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// A map for keys that nobody chooses in order to slow it down, such as positions.
pub(crate) type FastMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// A set, likewise.
pub(crate) type FastSet<K> = HashSet<K, foldhash::fast::RandomState>;

/// A generator of its own for the thing that `names` name.
pub(crate) fn seeded_rng(seed: u64, names: &[&str]) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seeded_hash(seed, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depends_on_the_seed_and_on_where_a_name_ends() {
        assert_ne!(seeded_hash(0, &["a"]), seeded_hash(1, &["a"]));
        assert_ne!(seeded_hash(0, &["ab", "c"]), seeded_hash(0, &["a", "bc"]));
    }

    #[test]
    fn stays_the_same_between_releases() {
        // From the same steps written in Python.
        assert_eq!(seeded_hash(7, &["user", "item"]), 7_236_861_100_395_187_700);
    }
}
