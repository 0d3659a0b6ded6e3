//! The innermost loops: a tile of the result that stays in registers.

use std::array::from_fn;

use pulp::Simd;

/// Size of a tile, so that all of its sums, a row of vectors and a factor have a register.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    /// Values in a vector.
    pub(super) lanes: usize,
    /// Vectors side by side at most.
    pub(super) widest: usize,
    /// Rows of factors.
    pub(super) rows: usize,
}

impl Tile {
    /// The one for a processor's vectors.
    pub(super) const fn of<S: Simd>() -> Self {
        let (widest, rows) = if S::REGISTER_COUNT >= 32 { (4, 6) } else { (3, 4) };
        Self { lanes: S::F32_LANES, widest, rows }
    }
}

/// Cuts so many vectors into panels of nearly the same width: first vector and width of each.
#[inline(always)]
pub(super) fn panels(vectors: usize, widest: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = vectors.div_ceil(widest);
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
    match const { Tile::of::<S>().rows } {
        6 => by_groups::<S, 6>(simd, packed, depth, count, rows, sums, fresh),
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
        for (first, width) in panels(vectors, const { Tile::of::<S>().widest }) {
            let panel = &packed[first * depth..(first + width) * depth];
            match width {
                1 => put(simd, tile::<S, 1, N>(simd, panel, group), sums, vectors, first, fresh),
                2 => put(simd, tile::<S, 2, N>(simd, panel, group), sums, vectors, first, fresh),
                3 => put(simd, tile::<S, 3, N>(simd, panel, group), sums, vectors, first, fresh),
                _ => put(simd, tile::<S, 4, N>(simd, panel, group), sums, vectors, first, fresh),
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
    for (place, values) in panel.iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let factor = simd.splat_f32s(row[place]);
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum = simd.mul_add_e_f32s(factor, *value, *sum);
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
        for (vectors, widest) in (0..40).flat_map(|vectors| [(vectors, 3), (vectors, 4)]) {
            let mut next = 0;
            for (first, width) in panels(vectors, widest) {
                assert_eq!(first, next);
                assert!((1..=widest).contains(&width), "{width} of {vectors}");
                next += width;
            }
            assert_eq!(next, vectors);
        }
        let widths: Vec<usize> = panels(9, 4).map(|(_, width)| width).collect();
        assert_eq!(widths, [3, 3, 3]);
    }
}
