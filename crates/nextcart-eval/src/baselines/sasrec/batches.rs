//! Histories as rectangles of numbers.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Histories of unequal length side by side, filled up behind with item 0, which nothing looks at.
#[derive(Debug, PartialEq)]
pub(super) struct Padded {
    /// Row after row.
    pub(super) items: Vec<i32>,
    /// `[batch, seq]`
    pub(super) shape: [usize; 2],
    /// Places among all of them that count.
    pub(super) places: Vec<i32>,
}

impl Padded {
    /// The last place of each history counts; none is empty.
    pub(super) fn ends(histories: &[Vec<u32>]) -> Self {
        Self::new(histories.iter().map(Vec::as_slice), |length| length - 1..length)
    }

    fn new<'a>(
        histories: impl ExactSizeIterator<Item = &'a [u32]> + Clone,
        counts: impl Fn(usize) -> std::ops::Range<usize>,
    ) -> Self {
        let batch = histories.len();
        let seq = histories.clone().map(<[u32]>::len).max().unwrap_or_default();
        let (mut items, mut places) = (vec![0; batch * seq], Vec::new());
        for (row, history) in histories.enumerate() {
            for (place, item) in items[row * seq..].iter_mut().zip(history) {
                *place = *item as i32;
            }
            places.extend(counts(history.len()).map(|place| (row * seq + place) as i32));
        }
        Self { items, shape: [batch, seq], places }
    }
}

/// Histories with what came next at each of their places.
#[derive(Debug, PartialEq)]
pub(super) struct Batch {
    pub(super) input: Padded,
    /// One a place of the input.
    pub(super) targets: Vec<i32>,
}

impl Batch {
    /// All items but the last of each history, and all but the first.
    pub(super) fn new(histories: &[&[u32]]) -> Self {
        let inputs = histories.iter().map(|history| &history[..history.len() - 1]);
        let targets = histories.iter().flat_map(|history| &history[1..]);
        Self {
            input: Padded::new(inputs, |length| 0..length),
            targets: targets.map(|item| *item as i32).collect(),
        }
    }
}

/// Batches of all histories of two purchases and more, in an order drawn anew; of longer ones than
/// `max_length` and a target the latest purchases.
pub(super) fn epoch<'a>(
    histories: impl Iterator<Item = &'a [u32]>,
    max_length: usize,
    batch_size: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<Batch> {
    let latest = |history: &'a [u32]| &history[history.len().saturating_sub(max_length + 1)..];
    let mut windows: Vec<&[u32]> = histories.filter(|h| h.len() > 1).map(latest).collect();
    windows.shuffle(rng);
    windows.chunks(batch_size).map(Batch::new).collect()
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn rows_are_filled_up_behind_and_every_place_has_its_target() {
        let found = Batch::new(&[&[1, 2, 3, 4], &[5, 6]]);
        let input =
            Padded { items: vec![1, 2, 3, 5, 0, 0], shape: [2, 3], places: vec![0, 1, 2, 3] };
        assert_eq!(found, Batch { input, targets: vec![2, 3, 4, 6] });
        let ends = Padded::ends(&[vec![1, 2, 3], vec![5]]);
        assert_eq!((ends.places, ends.shape), (vec![2, 3], [2, 3]));
    }

    #[test]
    fn an_epoch_takes_every_history_once_and_of_long_ones_the_end() {
        let histories: Vec<Vec<u32>> =
            vec![vec![1, 2], vec![3], vec![], vec![4, 5, 6, 7], vec![8, 9]];
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let batches = epoch(histories.iter().map(Vec::as_slice), 2, 2, &mut rng);
        assert_eq!(batches.iter().map(|batch| batch.input.shape[0]).collect::<Vec<_>>(), [2, 1]);
        let mut targets: Vec<i32> = batches.into_iter().flat_map(|batch| batch.targets).collect();
        targets.sort_unstable();
        assert_eq!(targets, [2, 6, 7, 9]);
    }
}
