//! A product of low rank, added to another where that one lies.

use std::array::from_fn;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Rows that are summed side by side, and vectors of each: all sums stay in registers.
const ROWS: usize = 4;
const VECTORS: usize = 2;

/// Adds `inner factor` to a product. Each sum is taken in the same order, whatever the number of threads.
///
/// # Shapes
/// - `inner`: `[rows, rank]`
/// - `factor`: `[rank, length]`
/// - `product`: `[rows, length]`
pub(super) fn add(inner: &[f32], factor: &[f32], rank: usize, product: &mut [f32]) {
    let (arch, length) = (Arch::new(), factor.len() / rank);
    let parts = product.par_chunks_mut(ROWS * length).zip(inner.par_chunks(ROWS * rank));
    parts.for_each(|(product, inner)| arch.dispatch(Rows { inner, factor, rank, product }));
}

struct Rows<'a> {
    inner: &'a [f32],
    factor: &'a [f32],
    rank: usize,
    product: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { inner, factor, rank, product } = self;
        let length = factor.len() / rank;
        if product.len() == ROWS * length {
            return add_rows::<S, ROWS>(simd, inner, factor, rank, product);
        }
        for (product, inner) in product.chunks_mut(length).zip(inner.chunks(rank)) {
            add_rows::<S, 1>(simd, inner, factor, rank, product);
        }
    }
}

#[inline(always)]
fn add_rows<S: Simd, const N: usize>(
    simd: S,
    inner: &[f32],
    factor: &[f32],
    rank: usize,
    product: &mut [f32],
) {
    let length = factor.len() / rank;
    let inner: [&[f32]; N] = from_fn(|n| &inner[n * rank..(n + 1) * rank]);
    let factor = |k: usize| S::as_simd_f32s(&factor[k * length..(k + 1) * length]);
    let mut rows = product.chunks_exact_mut(length);
    let mut rows: [(&mut [S::f32s], &mut [f32]); N] =
        from_fn(|_| S::as_mut_simd_f32s(rows.next().expect("as many rows as are added to")));
    let vectors = rows[0].0.len();
    for first in (0..vectors).step_by(VECTORS) {
        // The last ones come twice where they are fewer: what is not written does not count.
        let place = |v: usize| (first + v).min(vectors - 1);
        let mut sums: [[S::f32s; VECTORS]; N] = from_fn(|n| from_fn(|v| rows[n].0[place(v)]));
        for k in 0..rank {
            let (values, _) = factor(k);
            let values: [S::f32s; VECTORS] = from_fn(|v| values[place(v)]);
            for (sums, inner) in sums.iter_mut().zip(inner) {
                let inner = simd.splat_f32s(inner[k]);
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = simd.mul_add_e_f32s(inner, value, *sum);
                }
            }
        }
        for ((row, _), sums) in rows.iter_mut().zip(sums) {
            for (value, sum) in row[first..].iter_mut().zip(sums) {
                *value = sum;
            }
        }
    }
    for ((_, rest), inner) in rows.iter_mut().zip(inner) {
        for (k, inner) in inner.iter().enumerate() {
            rest.iter_mut().zip(factor(k).1).for_each(|(sum, value)| *sum += inner * value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_added_up() {
        let drawn = |length: usize, seed: usize| -> Vec<f32> {
            (0..length).map(|i| (((i + seed) * 7919) % 1009) as f32 / 504.0 - 1.0).collect()
        };
        for [rows, rank, length] in
            [[1, 1, 1], [4, 3, 16], [5, 16, 33], [8, 4, 100], [7, 2, 15], [13, 8, 257]]
        {
            let (inner, factor) = (drawn(rows * rank, 1), drawn(rank * length, 2));
            let before = drawn(rows * length, 3);
            let mut found = before.clone();
            add(&inner, &factor, rank, &mut found);
            for (place, (found, before)) in found.iter().zip(before).enumerate() {
                let (row, column) = (place / length, place % length);
                let terms = (0..rank).map(|k| {
                    f64::from(inner[row * rank + k]) * f64::from(factor[k * length + column])
                });
                let expected = f64::from(before) + terms.sum::<f64>();
                assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} for {expected}");
            }
        }
    }
}
