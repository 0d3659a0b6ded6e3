//! Generators that depend on a seed and a place in the run, never on what was drawn before.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What random numbers are for; each use has its own sequence.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Use {
    /// The order of the samples of an epoch.
    Order = 1,
    /// The dropout of a training step.
    Dropout = 2,
}

/// The generator of one use at one place, such as an epoch or a step.
pub(crate) fn generator(seed: u64, purpose: Use, place: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&place.to_le_bytes());
    key[16] = purpose as u8;
    ChaCha8Rng::from_seed(key)
}

/// `0..len` in random order.
///
/// Written out (Fisher and Yates), because a checkpoint relies on the order staying the same when a
/// library is updated.
pub(crate) fn shuffled(len: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    for last in (1..len).rev() {
        // The upper bits of a product: below `last + 1`, with a bias far too small to matter.
        let pick = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
        order.swap(last, pick as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_uses_and_places_have_sequences_of_their_own() {
        let first = |seed, purpose, place| generator(seed, purpose, place).next_u64();
        let base = first(1, Use::Order, 2);
        assert_eq!(base, first(1, Use::Order, 2));
        assert_ne!(base, first(2, Use::Order, 2));
        assert_ne!(base, first(1, Use::Dropout, 2));
        assert_ne!(base, first(1, Use::Order, 1));
    }

    #[test]
    fn every_place_gets_every_number_equally_often() {
        let mut rng = generator(3, Use::Order, 0);
        let mut counts = [[0_u32; 5]; 5];
        for _ in 0..5000 {
            for (place, number) in shuffled(5, &mut rng).into_iter().enumerate() {
                counts[place][number] += 1;
            }
        }
        // 1000 expected with a standard deviation of 28.
        assert!(counts.iter().flatten().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
