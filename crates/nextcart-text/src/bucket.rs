//! Batches of samples of like length.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::Sample;

/// Batches that are sorted together: enough that lengths within a batch are alike, few enough that
/// every epoch has other batches.
const SORTED_TOGETHER: usize = 50;

/// Puts samples of like length into batches of `batch_size`, so that little is padded.
///
/// As the length-grouped sampler of transformers: all samples in a random order, in stretches of 50
/// batches, each sorted by length and cut. The batches then come in a random order, but the one with
/// the longest sample first, where running out of memory costs least. The last of a stretch may be
/// smaller. Every sample is in one batch; the same seed gives the same batches.
///
/// # Panics
/// If `batch_size` is 0.
#[must_use]
pub fn buckets(samples: &[Sample], batch_size: usize, seed: u64) -> Vec<Vec<usize>> {
    assert!(batch_size > 0, "a batch needs at least one sample");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.shuffle(&mut random);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for stretch in order.chunks_mut(batch_size.saturating_mul(SORTED_TOGETHER)) {
        stretch.sort_by_key(|&index| std::cmp::Reverse(samples[index].len()));
        batches.extend(stretch.chunks(batch_size).map(<[usize]>::to_vec));
    }
    batches.shuffle(&mut random);
    let longest = |batch: &Vec<usize>| batch.iter().map(|&index| samples[index].len()).max();
    let first = (0..batches.len()).max_by_key(|&batch| longest(&batches[batch]));
    if let Some(first) = first {
        batches.swap(0, first);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Sample> {
        (0..1003_usize).map(|i| Sample::text(&vec![1; 2 + i * 7919 % 97]).unwrap()).collect()
    }

    /// Tokens that padding adds, as a share of all.
    fn padding(samples: &[Sample], batches: &[Vec<usize>]) -> f64 {
        let (mut padded, mut all) = (0, 0);
        for batch in batches {
            let lengths: Vec<usize> = batch.iter().map(|&i| samples[i].len()).collect();
            let cells = lengths.iter().max().unwrap() * lengths.len();
            all += cells;
            padded += cells - lengths.iter().sum::<usize>();
        }
        padded as f64 / all as f64
    }

    #[test]
    fn every_sample_is_in_one_batch_and_little_is_padded() {
        let samples = samples();
        let batches = buckets(&samples, 8, 7);
        let mut all = batches.concat();
        all.sort_unstable();
        assert_eq!(all, (0..samples.len()).collect::<Vec<_>>());
        assert!(batches.iter().all(|batch| (1..=8).contains(&batch.len())));
        let plain: Vec<Vec<usize>> =
            (0..samples.len()).collect::<Vec<_>>().chunks(8).map(<[usize]>::to_vec).collect();
        let (bucketed, plain) = (padding(&samples, &batches), padding(&samples, &plain));
        assert!(bucketed < 0.1 * plain, "{bucketed} of {plain}");
    }

    #[test]
    fn the_longest_comes_first_and_the_seed_decides() {
        let samples = samples();
        let batches = buckets(&samples, 8, 7);
        let longest = samples.iter().map(Sample::len).max().unwrap();
        assert!(batches[0].iter().any(|&index| samples[index].len() == longest));
        assert_eq!(batches, buckets(&samples, 8, 7));
        assert_ne!(batches, buckets(&samples, 8, 8));
        assert!(buckets(&[], 8, 7).is_empty());
    }

    #[test]
    fn a_batch_of_any_size_holds_all_samples() {
        let samples = samples();
        for batch_size in [samples.len(), usize::MAX / 2, usize::MAX] {
            let batches = buckets(&samples, batch_size, 7);
            assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [samples.len()]);
        }
    }
}
