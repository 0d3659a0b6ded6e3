//! Loops that turn into vector instructions, and their distribution over threads.

use rayon::prelude::*;

/// Values below which one thread is faster than several.
const ALONE: usize = 1 << 14;

/// Sums side by side, so that they do not wait for each other.
const LANES: usize = 16;

/// Calls `work` with each chunk of `output` and its index, on all threads if there is enough to do.
pub(crate) fn chunks(output: &mut [f32], chunk: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    if output.len() <= ALONE {
        output.chunks_mut(chunk).enumerate().for_each(|(index, chunk)| work(index, chunk));
    } else {
        output.par_chunks_mut(chunk).enumerate().for_each(|(index, chunk)| work(index, chunk));
    }
}

/// The same with chunks of two outputs of one length side by side.
pub(crate) fn chunk_pairs(
    first: &mut [f32],
    second: &mut [f32],
    chunk: usize,
    work: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) {
    if first.len() <= ALONE {
        let pairs = first.chunks_mut(chunk).zip(second.chunks_mut(chunk));
        pairs.enumerate().for_each(|(index, (first, second))| work(index, first, second));
    } else {
        let pairs = first.par_chunks_mut(chunk).zip(second.par_chunks_mut(chunk));
        pairs.enumerate().for_each(|(index, (first, second))| work(index, first, second));
    }
}

/// Rows of a length that make a chunk worth a thread's while.
pub(crate) fn rows_together(length: usize) -> usize {
    (ALONE / 2).div_ceil(length.max(1))
}

/// `e^x` to about two units in the last place; 0 below -87, and no larger than `e^88`.
///
/// Reduction to `[-ln 2 / 2, ln 2 / 2]` and the polynomial of Moshier's Cephes library, without branches.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to whole numbers
    let bounded = if x > 88.0 { 88.0 } else { x };
    let shifted = bounded * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = bounded - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + coefficient;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23)); // 2^n
    let result = (p * r * r + r + 1.0) * power;
    if x < -87.0 { 0.0 } else { result }
}

/// The sum of `f` over pairs of values.
#[inline(always)]
pub(crate) fn sum_of(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (a_whole, a_rest) = a.as_chunks::<LANES>();
    let (b_whole, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_whole.iter().zip(b_whole) {
        for lane in 0..LANES {
            lanes[lane] += f(a[lane], b[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| f(*a, *b)).sum();
    lanes.iter().sum::<f32>() + rest
}

/// The largest value; negative infinity if there is none.
#[inline(always)]
pub(crate) fn largest(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for values in whole {
        for lane in 0..LANES {
            lanes[lane] = larger(lanes[lane], values[lane]);
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, larger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_exact_to_a_few_units_in_the_last_place() {
        for i in -870_000..880_000 {
            let x = i as f32 / 1e4;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) / exact - 1.0).abs();
            assert!(error < 2.5e-7, "{x}: {error}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1e30), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(1e30).is_finite());
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn sums_and_maxima_see_every_value() {
        let values: Vec<f32> = (0..35).map(|i| ((i * 8) % 35) as f32 - 40.0).collect();
        assert_eq!(largest(&values), -6.0);
        assert_eq!(sum_of(&values, &values, |a, _| a), values.iter().sum::<f32>());
        assert_eq!(largest(&[]), f32::NEG_INFINITY);
    }
}
