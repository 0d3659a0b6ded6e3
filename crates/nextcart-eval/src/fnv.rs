//! A hash that is the same everywhere and always.

/// FNV-1a (Fowler, Noll and Vo).
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    seeded_hash(0, bytes.iter().copied())
}

/// The same with another start for each seed; that of 0 is [`hash`]'s.
pub(crate) fn seeded_hash(seed: u64, bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_its_authors() {
        // From their test vectors, draft-eastlake-fnv, appendix C.
        let expected: [u64; 3] =
            [0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c, 0x8594_4171_f739_67e8];
        assert_eq!(["", "a", "foobar"].map(|text| hash(text.as_bytes())), expected);
        assert_ne!(seeded_hash(1, *b"a"), hash(b"a"));
    }
}
