//! The generator behind resampled intervals.

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): a portable generator that is a few lines in any
/// language, so that a resampled interval can be recomputed elsewhere bit for bit.
///
/// Not for secrets.
#[derive(Debug, Clone)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// A generator with the given state.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// An index in `0..n`, from the upper 53 bits by multiplication; 0 for `n = 0`.
    pub fn below(&mut self, n: usize) -> usize {
        // The product stays below `n`, so the cast back cannot cut anything off.
        ((u128::from(self.next_u64() >> 11) * n as u128) >> 53) as usize
    }

    /// True in half of all cases: the top bit.
    pub fn coin(&mut self) -> bool {
        self.next_u64() >> 63 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_published_sequence_for_seed_zero() {
        let mut random = SplitMix64::new(0);
        let values: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(values, [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F]);
    }

    #[test]
    fn indices_stay_below_the_bound_and_reach_all_of_it() {
        let mut random = SplitMix64::new(7);
        let mut seen = [0_usize; 5];
        for _ in 0..1000 {
            seen[random.below(5)] += 1;
        }
        assert!(seen.iter().all(|&count| count > 100), "{seen:?}");
        assert_eq!(random.below(0), 0);
    }
}
