//! Products along the output: `x W`, as on the way back.

use pulp::{Arch, Simd, WithSimd};

use super::pack::{Aligned, column_blocks, write};
use super::tile::{Tile, accumulate, panels};
use super::{DEPTH, ROWS, Update, each, even, tile_of};
use crate::product::Flat;

/// Vectors of a task at most, unless fewer than [`ALIGNED`] columns.
const VECTORS: usize = 16;

/// Columns of a task are a multiple of these, NF4's blocks.
const ALIGNED: usize = 64;

/// `x W`, and an update's product added to it.
///
/// # Shapes
/// - `x`: `[rows, d_output]`, none of them zero
/// - `weight`: `[d_output, d_input]`
/// - result: `[rows, d_input]`
pub(in crate::product) fn along_output<W: Flat + ?Sized>(
    x: &[f32],
    weight: &W,
    [d_output, d_input]: [usize; 2],
    update: Option<Update<'_>>,
) -> Vec<f32> {
    let arch = Arch::new();
    let Tile { lanes, rows: group, .. } = tile_of(arch);
    let rows = x.len() / d_output;
    let mut product = vec![0.0; rows * d_input];

    let wanted = 4 * rayon::current_num_threads();
    let vectors = d_input.div_ceil(lanes);
    let width = even(vectors, VECTORS.min(vectors.div_ceil(wanted)).max(4)) * lanes;
    let width = width.next_multiple_of(ALIGNED.max(lanes)); // a weight in blocks is read block by block
    // Where there are few columns, the rows are shared out as well.
    let parts = wanted.div_ceil(d_input.div_ceil(width)).min(rows.div_ceil(32));
    let together = even(rows, ROWS.min(rows.div_ceil(parts).next_multiple_of(group)));

    let mut tasks = Vec::new();
    for (part, product) in product.chunks_mut(together * d_input).enumerate() {
        let blocks = column_blocks(product, d_input, width).into_iter().enumerate();
        tasks.extend(blocks.map(|(block, outputs)| (part * together, block * width, outputs)));
    }
    let scratch = || Scratch {
        sums: Aligned::zeros(together * width),
        packed: Aligned::zeros(DEPTH * width),
        row: Aligned::zeros(width),
    };
    each(tasks, rows * d_input * d_output, scratch, |scratch, (first, column, outputs)| {
        let count = outputs.len();
        arch.dispatch(Columns {
            x: &x[first * d_output..(first + count) * d_output],
            update: update.map(|update| update.rows(first, count)),
            weight,
            shape: [d_output, d_input],
            column,
            scratch,
            outputs,
        });
    });
    product
}

struct Scratch {
    sums: Aligned,
    packed: Aligned,
    row: Aligned, // of the weight
}

/// Some columns of some rows.
struct Columns<'a, 'b, W: ?Sized> {
    x: &'a [f32],
    update: Option<Update<'a>>,
    weight: &'a W,
    shape: [usize; 2],
    column: usize,
    scratch: &'b mut Scratch,
    outputs: Vec<&'b mut [f32]>,
}

impl<W: Flat + ?Sized> WithSimd for Columns<'_, '_, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, update, weight, shape: [d_output, d_input], column, scratch, mut outputs } =
            self;
        let columns = Part { length: d_input, column, width: outputs[0].len() };
        columns.add(simd, x, d_output, weight, scratch, true);
        if let Some(Update { inner, factor, rank }) = update {
            columns.add(simd, inner, rank, factor, scratch, false);
        }
        let padded = columns.width.next_multiple_of(S::F32_LANES);
        write(scratch.sums.values(), padded, &mut outputs);
    }
}

/// Some columns of matrices with rows of a length.
struct Part {
    length: usize,
    column: usize,
    width: usize,
}

impl Part {
    /// Adds `x [rows, depth]` times `weight [depth, length]` in these columns to the sums, or puts it there.
    #[inline(always)]
    fn add<S: Simd, W: Flat + ?Sized>(
        &self,
        simd: S,
        x: &[f32],
        depth: usize,
        weight: &W,
        scratch: &mut Scratch,
        fresh: bool,
    ) {
        let (rows, whole) = (x.len() / depth, depth);
        let vectors = self.width.div_ceil(S::F32_LANES);
        let (sums, _) = S::as_mut_simd_f32s(scratch.sums.values_mut());
        let (packed, _) = S::as_mut_simd_f32s(scratch.packed.values_mut());
        let row = &mut scratch.row.values_mut()[..vectors * S::F32_LANES];
        for place in (0..whole).step_by(DEPTH) {
            let depth = DEPTH.min(whole - place);
            let packed = &mut packed[..depth * vectors];
            self.pack::<S, W>(weight, place, depth, row, packed);
            let factors = |row: usize| &x[row * whole + place..row * whole + place + depth];
            accumulate(simd, packed, depth, rows, factors, sums, fresh && place == 0);
        }
    }

    /// Packs these columns of rows `first..first + depth`: [`panels`], each `[depth, width]`.
    #[inline(always)]
    fn pack<S: Simd, W: Flat + ?Sized>(
        &self,
        weight: &W,
        first: usize,
        depth: usize,
        row: &mut [f32], // whole vectors
        packed: &mut [S::f32s],
    ) {
        let cuts: Vec<(usize, usize)> =
            panels(packed.len() / depth, const { Tile::of::<S>().widest }).collect();
        for place in 0..depth {
            let at = (first + place) * self.length + self.column;
            let row = match weight.as_f32() {
                Some(all) if self.width == row.len() => &all[at..at + self.width],
                _ => {
                    weight.read(at, &mut row[..self.width]);
                    &*row
                }
            };
            let (row, _) = S::as_simd_f32s(row);
            for &(vector, width) in &cuts {
                let from = &row[vector..];
                let to = &mut packed[vector * depth + place * width..];
                match width {
                    1 => to[0] = from[0],
                    2 => to[..2].copy_from_slice(&from[..2]),
                    3 => to[..3].copy_from_slice(&from[..3]),
                    _ => to[..4].copy_from_slice(&from[..4]),
                }
            }
        }
    }
}
