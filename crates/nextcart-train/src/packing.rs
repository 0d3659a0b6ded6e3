//! How the samples of a step are divided among rows and passes.

use std::cmp::Reverse;

use nextcart_text::{Sample, pack};
use serde::{Deserialize, Serialize};

use crate::config::SftConfig;

/// Samples in one row.
///
/// Whichever way, a step sees the same samples and has the same loss and gradients, up to rounding and dropout: packed
/// samples do not attend to each other, and their positions start anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Packing {
    /// One a row; long samples share a pass with long ones.
    #[default]
    None,
    /// Several a row, each whole, best-fit decreasing. The memory of attention grows with the square of a row.
    Packed {
        /// Most tokens in a row, at least those of the longest sample.
        window: usize,
        /// Rows in one pass. The step's [samples](SftConfig::samples_per_step) are as many as without packing, but
        /// the number of passes is what they take.
        rows: usize,
    },
}

/// Samples in rows, by index, for one pass.
pub(crate) type Rows = Vec<Vec<usize>>;

/// The passes of a step on some samples. Those with the longest rows come first: what does not fit in memory fails at
/// once.
///
/// # Panics
/// If a sample is longer than a window.
pub(crate) fn passes(samples: &[Sample], indices: &[usize], config: &SftConfig) -> Vec<Rows> {
    let (mut rows, in_pass): (Rows, usize) = match config.packing {
        Packing::None => (indices.iter().map(|&index| vec![index]).collect(), config.batch_size),
        Packing::Packed { window, rows } => {
            let chosen: Vec<&Sample> = indices.iter().map(|&index| &samples[index]).collect();
            let mut packed = pack(&chosen, window).expect("windows as long as the longest sample");
            // From places among the chosen to the samples' own.
            packed.iter_mut().flatten().for_each(|place| *place = indices[*place]);
            (packed, rows)
        }
    };
    let tokens = |row: &Vec<usize>| row.iter().map(|&index| samples[index].len()).sum::<usize>();
    rows.sort_by_key(|row| Reverse(tokens(row)));
    rows.chunks(in_pass).map(<[Vec<usize>]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Sample> {
        [4, 7, 2, 5, 3, 2].map(|tokens| Sample::text(&vec![1; tokens]).unwrap()).into()
    }

    #[test]
    fn long_samples_share_a_pass() {
        let config = SftConfig { batch_size: 2, ..SftConfig::default() };
        let found = passes(&samples(), &[5, 0, 1, 3, 2], &config);
        assert_eq!(found, [vec![vec![1], vec![3]], vec![vec![0], vec![5]], vec![vec![2]]]);
    }

    #[test]
    fn packed_rows_hold_each_sample_of_the_step_once() {
        let packing = Packing::Packed { window: 10, rows: 2 };
        let config = SftConfig { packing, ..SftConfig::default() };
        let found = passes(&samples(), &[0, 1, 2, 3, 4, 5], &config);
        assert_eq!(found, [vec![vec![1, 4], vec![3, 0]], vec![vec![2, 5]]]);
        // The same sample twice in a step of the caller's choice.
        assert_eq!(passes(&samples(), &[2, 2], &config), [[[2, 2]]]);
    }
}
