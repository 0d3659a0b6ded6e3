//! Products with a weight of which no more is unpacked than what a core's caches hold.
//!
//! After Goto and van de Geijn, *Anatomy of High-Performance Matrix Multiplication* (ACM TOMS 2008): one operand is
//! packed into vectors and lies in the second cache, of the other a few rows give the factors. Along the input the
//! vectors are rows of `x` and the factors come from the weight as it lies there; along the output the vectors are
//! columns of the weight. Every sum is taken in one order, whatever the number of threads.

mod along_input;
mod along_output;
mod pack;
mod tile;

use std::sync::Mutex;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

pub(super) use along_input::along_input;
pub(super) use along_output::along_output;
use tile::Tile;

/// Places along the summed axis that are packed at a time.
const DEPTH: usize = 512;

/// Rows of `x` at most between which a part of the weight is shared; with [`DEPTH`], 768 KiB of the second cache.
const ROWS: usize = 384;

/// Multiplications below which one thread is faster than several.
const ALONE: usize = 1 << 20;

/// A product of low rank that is added to one with a weight, of the same shape.
#[derive(Clone, Copy)]
pub(super) struct Update<'a> {
    /// `[rows, rank]`.
    pub(super) inner: &'a [f32],
    /// `[d_output, rank]` along the input, `[rank, d_input]` along the output.
    pub(super) factor: &'a [f32],
    pub(super) rank: usize,
}

impl Update<'_> {
    /// The same for some of the rows.
    fn rows(self, first: usize, count: usize) -> Self {
        let inner = &self.inner[first * self.rank..(first + count) * self.rank];
        Self { inner, ..self }
    }
}

/// Length of equal parts that are no longer than `longest`.
fn even(length: usize, longest: usize) -> usize {
    length.div_ceil(length.div_ceil(longest.max(1)).max(1)).max(1)
}

/// The tile of this processor.
fn tile_of(arch: Arch) -> Tile {
    struct Ask;

    impl WithSimd for Ask {
        type Output = Tile;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> Tile {
            Tile::of::<S>()
        }
    }
    arch.dispatch(Ask)
}

/// Does the work of each task, on all threads unless it is small; each thread makes a state of its own.
fn each<T: Send, R>(
    tasks: Vec<T>,
    work: usize,
    state: impl Fn() -> R + Sync,
    run: impl Fn(&mut R, T) + Sync,
) {
    if work < ALONE || tasks.len() < 2 {
        let mut state = state();
        return tasks.into_iter().for_each(|task| run(&mut state, task));
    }
    let workers = rayon::current_num_threads().min(tasks.len());
    let queue = Mutex::new(tasks.into_iter());
    let next = || queue.lock().expect("no task fails while it is handed out").next();
    (0..workers).into_par_iter().with_max_len(1).for_each(|_| {
        let Some(first) = next() else { return };
        let mut state = state();
        run(&mut state, first);
        while let Some(task) = next() {
            run(&mut state, task);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(length: usize, seed: usize) -> Vec<f32> {
        (0..length).map(|i| (((i + seed) * 7919) % 1009) as f32 / 504.0 - 1.0).collect()
    }

    /// `sum_k a(row, k) · b(k, column)`, in f64.
    fn plain(
        [rows, depth, columns]: [usize; 3],
        a: impl Fn(usize, usize) -> f32,
        b: impl Fn(usize, usize) -> f32,
    ) -> Vec<f64> {
        let mut product = Vec::new();
        for row in 0..rows {
            for column in 0..columns {
                let terms = (0..depth).map(|k| f64::from(a(row, k)) * f64::from(b(k, column)));
                product.push(terms.sum());
            }
        }
        product
    }

    fn assert_close(found: &[f32], expected: &[f64], depth: usize) {
        assert_eq!(found.len(), expected.len());
        for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
            let error = (f64::from(*found) - expected).abs();
            assert!(error < 1e-6 * depth as f64 + 1e-5, "{place}: {found} for {expected}");
        }
    }

    #[test]
    fn products_of_every_shape_are_the_plain_ones_with_an_update_and_without() {
        for [rows, d_input, d_output, rank] in [
            [1, 1, 1, 1],
            [3, 5, 7, 2],
            [17, 300, 33, 4],
            [48, 256, 48, 16],
            [50, 513, 130, 7],
            [800, 20, 9, 3],
            [33, 70, 600, 300],
        ] {
            let (x, w) = (drawn(rows * d_input, 1), drawn(d_output * d_input, 2));
            let (u, b) = (drawn(rows * rank, 3), drawn(d_output * rank, 4));
            let (g, a) = (drawn(rows * d_output, 5), drawn(rank * d_input, 6));
            let shape = [d_output, d_input];
            let base = plain(
                [rows, d_input, d_output],
                |r, k| x[r * d_input + k],
                |k, c| w[c * d_input + k],
            );
            let update =
                plain([rows, rank, d_output], |r, k| u[r * rank + k], |k, c| b[c * rank + k]);
            assert_close(&along_input(&x, &w[..], shape, None), &base, d_input);
            let both: Vec<f64> = base.iter().zip(update).map(|(a, b)| a + b).collect();
            let update = Update { inner: &u, factor: &b, rank };
            assert_close(&along_input(&x, &w[..], shape, Some(update)), &both, d_input + rank);

            let base = plain(
                [rows, d_output, d_input],
                |r, k| g[r * d_output + k],
                |k, c| w[k * d_input + c],
            );
            let update =
                plain([rows, rank, d_input], |r, k| u[r * rank + k], |k, c| a[k * d_input + c]);
            assert_close(&along_output(&g, &w[..], shape, None), &base, d_output);
            let both: Vec<f64> = base.iter().zip(update).map(|(a, b)| a + b).collect();
            let update = Update { inner: &u, factor: &a, rank };
            assert_close(&along_output(&g, &w[..], shape, Some(update)), &both, d_output + rank);
        }
    }

    #[test]
    fn threads_change_nothing() {
        let [rows, d_input, d_output] = [70, 300, 200];
        let (x, w) = (drawn(rows * d_input, 1), drawn(d_output * d_input, 2));
        let g = drawn(rows * d_output, 3);
        let run = |threads: usize| {
            let pool =
                rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| {
                let shape = [d_output, d_input];
                (along_input(&x, &w[..], shape, None), along_output(&g, &w[..], shape, None))
            })
        };
        assert_eq!(run(1), run(3));
    }
}
