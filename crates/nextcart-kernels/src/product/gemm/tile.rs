//! The innermost loops: a tile of the result that stays in registers.

use std::array::from_fn;

use pulp::Simd;

/// Vectors side by side in a tile at most: with [`rows_of`] rows they fill the registers.
pub(super) const WIDEST: usize = 3;

/// Rows of a tile, so that all of its sums, a row of vectors and a factor have a register.
pub(super) const fn rows_of<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 8 } else { 4 }
}

/// Cuts so many vectors into panels of nearly the same width, no wider than [`WIDEST`]: first vector and width of each.
#[inline(always)]
pub(super) fn panels(vectors: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = vectors.div_ceil(WIDEST);
    let (least, wider) = (vectors / count.max(1), vectors % count.max(1));
    (0..count).map(move |i| (i * least + i.min(wider), least + usize::from(i < wider)))
}

/// Adds the product of some rows with a packed chunk to their sums, or puts it there.
///
/// # Shapes
/// - `rows`: a function from each of `count` rows to `depth` factors
/// - `packed`: the [`panels`] one after the other, each `[depth, width]`
/// - `sums`: `[count, vectors]`
#[inline(always)]
pub(super) fn accumulate<'a, S: Simd>(
    simd: S,
    packed: &[S::f32s],
    depth: usize,
    count: usize,
    rows: impl Fn(usize) -> &'a [f32],
    sums: &mut [S::f32s],
    fresh: bool,
) {
    match const { rows_of::<S>() } {
        8 => by_groups::<S, 8>(simd, packed, depth, count, rows, sums, fresh),
        _ => by_groups::<S, 4>(simd, packed, depth, count, rows, sums, fresh),
    }
}

#[inline(always)]
fn by_groups<'a, S: Simd, const N: usize>(
    simd: S,
    packed: &[S::f32s],
    depth: usize,
    count: usize,
    rows: impl Fn(usize) -> &'a [f32],
    sums: &mut [S::f32s],
    fresh: bool,
) {
    let vectors = packed.len() / depth;
    for (group, sums) in sums[..count * vectors].chunks_mut(N * vectors).enumerate() {
        // A group that is not full computes its last row several times.
        let group: [&[f32]; N] = from_fn(|n| rows((group * N + n).min(count - 1)));
        for (first, width) in panels(vectors) {
            let panel = &packed[first * depth..(first + width) * depth];
            match width {
                1 => put(simd, tile::<S, 1, N>(simd, panel, group), sums, vectors, first, fresh),
                2 => put(simd, tile::<S, 2, N>(simd, panel, group), sums, vectors, first, fresh),
                _ => put(simd, tile::<S, 3, N>(simd, panel, group), sums, vectors, first, fresh),
            }
        }
    }
}

/// `N` rows of factors times a panel `[depth, V]`.
#[inline(always)]
fn tile<S: Simd, const V: usize, const N: usize>(
    simd: S,
    panel: &[S::f32s],
    rows: [&[f32]; N],
) -> [[S::f32s; V]; N] {
    let (panel, _) = panel.as_chunks::<V>();
    let depth = panel.len();
    let rows: [&[f32]; N] = from_fn(|n| &rows[n][..depth]);
    let mut sums = [[simd.splat_f32s(0.0); V]; N];
    for place in 0..depth {
        let values = panel[place];
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let factor = simd.splat_f32s(row[place]);
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum = simd.mul_add_e_f32s(factor, value, *sum);
            }
        }
    }
    sums
}

#[inline(always)]
fn put<S: Simd, const V: usize, const N: usize>(
    simd: S,
    found: [[S::f32s; V]; N],
    sums: &mut [S::f32s],
    vectors: usize,
    first: usize,
    fresh: bool,
) {
    for (sums, found) in sums.chunks_exact_mut(vectors).zip(found) {
        for (sum, found) in sums[first..first + V].iter_mut().zip(found) {
            *sum = if fresh { found } else { simd.add_f32s(*sum, found) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_cover_every_vector_once() {
        for vectors in 0..40 {
            let mut next = 0;
            for (first, width) in panels(vectors) {
                assert_eq!(first, next);
                assert!((1..=WIDEST).contains(&width), "{width} of {vectors}");
                next += width;
            }
            assert_eq!(next, vectors);
        }
        assert_eq!(panels(16).map(|(_, width)| width).collect::<Vec<_>>(), [3, 3, 3, 3, 2, 2]);
    }
}
