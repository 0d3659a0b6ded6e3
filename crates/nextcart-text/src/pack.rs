//! Short samples together in windows of one length.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use crate::Sample;
use crate::error::{Error, Result};

/// Packs samples into windows of at most `window` tokens, each sample whole: which samples share a window, by index.
///
/// Best-fit decreasing: the longest first, each into the fullest window that still has room for it.
/// The windows come in the order in which their first samples were placed; equal lengths keep their
/// order, so the result depends on nothing else.
///
/// Attention must not cross from one sample of a window to the next and positions start anew with each, or the
/// window is not worth what its samples are worth alone. Nothing is predicted across a border either:
/// the first token of a sample is never trained.
///
/// # Errors
/// If a sample is longer than a window.
pub fn pack<S: Borrow<Sample>>(samples: &[S], window: usize) -> Result<Vec<Vec<usize>>> {
    let mut order: Vec<usize> = (0..samples.len()).collect();
    let of = |index: usize| -> &Sample { samples[index].borrow() };
    order.sort_by_key(|&index| std::cmp::Reverse(of(index).len()));
    let mut windows: Vec<Vec<usize>> = Vec::new();
    let mut with_room: BTreeMap<usize, Vec<usize>> = BTreeMap::new(); // free tokens to windows
    for index in order {
        let tokens = of(index).len();
        if tokens > window {
            return Err(Error::Window { sample: index, window, tokens });
        }
        let best = with_room.range(tokens..).next().map(|(free, _)| *free);
        let taken = best.and_then(|free| Some((take(&mut with_room, free)?, free)));
        let (place, free) = taken.unwrap_or_else(|| {
            windows.push(Vec::new());
            (windows.len() - 1, window)
        });
        windows[place].push(index);
        with_room.entry(free - tokens).or_default().push(place);
    }
    Ok(windows)
}

/// One of the windows with so many free tokens.
fn take(with_room: &mut BTreeMap<usize, Vec<usize>>, free: usize) -> Option<usize> {
    let places = with_room.get_mut(&free)?;
    let place = places.pop();
    if places.is_empty() {
        with_room.remove(&free);
    }
    place
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(tokens: usize, id: u32) -> Sample {
        Sample::text(&vec![id; tokens]).unwrap()
    }

    #[test]
    fn the_fullest_window_with_room_takes_the_next_longest() {
        let samples: Vec<Sample> =
            [4, 7, 2, 5, 3, 2].iter().zip(0..).map(|(&n, id)| sample(n, id)).collect();
        assert_eq!(pack(&samples, 10).unwrap(), [[1, 4], [3, 0], [2, 5]]);
    }

    #[test]
    fn a_sample_longer_than_a_window_is_named() {
        let error = pack(&[sample(3, 0), sample(11, 1)], 10).unwrap_err().to_string();
        assert_eq!(error, "sample 1: expected at most 10 tokens, found 11");
        assert!(pack::<Sample>(&[], 10).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn every_sample_is_packed_once_and_whole(lengths in prop::collection::vec(2_usize..40, 0..60)) {
            let samples: Vec<Sample> =
                lengths.iter().zip(0..).map(|(&n, id)| sample(n, id)).collect();
            let windows = pack(&samples, 40).unwrap();
            let mut seen = windows.concat();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..samples.len()).collect::<Vec<_>>());
            let tokens = |window: &Vec<usize>| -> usize {
                window.iter().map(|&index| samples[index].len()).sum()
            };
            let mut sizes: Vec<usize> = windows.iter().map(tokens).collect();
            prop_assert!(sizes.iter().all(|size| *size <= 40));
            // No two windows could be one.
            sizes.sort_unstable();
            prop_assert!(sizes.len() < 2 || sizes[0] + sizes[1] > 40);
        }
    }
}
