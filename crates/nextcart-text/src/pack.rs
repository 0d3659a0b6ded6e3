//! Short samples together in windows of one length.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Range;

use crate::Sample;
use crate::error::{Error, Result};

/// Some samples one after the other.
///
/// Attention must not cross from one document to the next and positions start anew with each, or the
/// window is not worth what its samples are worth alone. Nothing is predicted across a border either:
/// the first token of a sample is never trained.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Window {
    /// Tokens of all samples.
    pub ids: Vec<u32>,
    /// For each token, whether it is trained.
    pub loss_mask: Vec<bool>,
    /// The tokens of each sample.
    pub documents: Vec<Range<usize>>,
    /// Which samples they are, by index.
    pub samples: Vec<usize>,
}

impl Window {
    /// The position of each token in its document, from 0.
    pub fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        self.documents.iter().flat_map(|document| 0..document.len())
    }

    fn push(&mut self, index: usize, sample: &Sample) {
        let start = self.ids.len();
        self.ids.extend_from_slice(sample.ids());
        self.loss_mask.extend_from_slice(sample.loss_mask());
        self.documents.push(start..self.ids.len());
        self.samples.push(index);
    }
}

/// Packs samples into windows of at most `window` tokens, each sample whole.
///
/// Best-fit decreasing: the longest first, each into the fullest window that still has room for it.
/// The windows come in the order in which their first samples were placed; equal lengths keep their
/// order, so the result depends on nothing else.
///
/// # Errors
/// If a sample is longer than a window.
pub fn pack<S: Borrow<Sample>>(samples: &[S], window: usize) -> Result<Vec<Window>> {
    let mut order: Vec<usize> = (0..samples.len()).collect();
    let of = |index: usize| -> &Sample { samples[index].borrow() };
    order.sort_by_key(|&index| std::cmp::Reverse(of(index).len()));
    let mut windows: Vec<Window> = Vec::new();
    let mut with_room: BTreeMap<usize, Vec<usize>> = BTreeMap::new(); // free tokens to windows
    for index in order {
        let sample = of(index);
        let tokens = sample.len();
        if tokens > window {
            return Err(Error::Window { sample: index, window, tokens });
        }
        let best = with_room.range(tokens..).next().map(|(free, _)| *free);
        let place = match best.and_then(|free| take(&mut with_room, free)) {
            Some(place) => place,
            None => {
                windows.push(Window::default());
                windows.len() - 1
            }
        };
        windows[place].push(index, sample);
        with_room.entry(window - windows[place].ids.len()).or_default().push(place);
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
        let windows = pack(&samples, 10).unwrap();
        let packed: Vec<&[usize]> = windows.iter().map(|w| w.samples.as_slice()).collect();
        assert_eq!(packed, [&[1, 4][..], &[3, 0], &[2, 5]]);
        assert_eq!(windows[0].documents, [0..7, 7..10]);
        assert_eq!(windows[0].positions().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]);
        assert_eq!(windows[0].ids, [1, 1, 1, 1, 1, 1, 1, 4, 4, 4]);
        let borders = [0, 7].map(|first| windows[0].loss_mask[first]);
        assert_eq!(borders, [false, false]);
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
            let mut seen = Vec::new();
            for window in &windows {
                prop_assert!(window.ids.len() <= 40);
                prop_assert_eq!(window.loss_mask.len(), window.ids.len());
                for (document, &index) in window.documents.iter().zip(&window.samples) {
                    prop_assert_eq!(&window.ids[document.clone()], samples[index].ids());
                    prop_assert_eq!(&window.loss_mask[document.clone()], samples[index].loss_mask());
                    seen.push(index);
                }
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..samples.len()).collect::<Vec<_>>());
            // No two windows could be one.
            let mut sizes: Vec<usize> = windows.iter().map(|window| window.ids.len()).collect();
            sizes.sort_unstable();
            prop_assert!(sizes.len() < 2 || sizes[0] + sizes[1] > 40);
        }
    }
}
