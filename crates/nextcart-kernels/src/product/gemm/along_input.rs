//! Products along the input: `x Wᵀ`, as on the way forward.

use pulp::{Arch, Simd, WithSimd};

use super::pack::{Aligned, column_blocks, rows_as_vectors, write_turned};
use super::tile::{Tile, accumulate};
use super::{DEPTH, ROWS, Update, each, even, tile_of};
use crate::product::Flat;

/// Outputs of a task at most.
const OUTPUTS: usize = 96;

/// Places between the starts of unpacked rows, so that they do not share a set of the first cache.
const STRIDE: usize = DEPTH + 16;

/// `x Wᵀ`, and an update's product added to it.
///
/// # Shapes
/// - `x`: `[rows, d_input]`, none of them zero
/// - `weight`: `[d_output, d_input]`
/// - result: `[rows, d_output]`
pub(in crate::product) fn along_input<W: Flat + ?Sized>(
    x: &[f32],
    weight: &W,
    [d_output, d_input]: [usize; 2],
    update: Option<Update<'_>>,
) -> Vec<f32> {
    let rows = x.len() / d_input;
    let mut product = vec![0.0; rows * d_output];
    let together = even(rows, ROWS);
    let parts = x.chunks(together * d_input).zip(product.chunks_mut(together * d_output));
    for (index, (x, product)) in parts.enumerate() {
        let count = x.len() / d_input;
        let update = update.map(|update| update.rows(index * together, count));
        some_rows(x, weight, [d_output, d_input], update, product);
    }
    product
}

fn some_rows<W: Flat + ?Sized>(
    x: &[f32],
    weight: &W,
    [d_output, d_input]: [usize; 2],
    update: Option<Update<'_>>,
    product: &mut [f32],
) {
    let arch = Arch::new();
    let tile = tile_of(arch);
    let rows = x.len() / d_input;
    let padded = rows.next_multiple_of(tile.lanes);
    let work = rows * d_input * d_output;

    let mut packed = Aligned::zeros(padded * d_input);
    let chunks = packed.values_mut().chunks_mut(padded * DEPTH).enumerate().collect();
    each(
        chunks,
        work,
        || (),
        |(), (index, chunk)| {
            let depth = chunk.len() / padded;
            rows_as_vectors(x, d_input, index * DEPTH, depth, tile, chunk);
        },
    );
    let inner = update.map(|update| {
        let mut packed = Aligned::zeros(padded * update.rank);
        rows_as_vectors(update.inner, update.rank, 0, update.rank, tile, packed.values_mut());
        packed
    });

    let width = even(d_output, OUTPUTS.min(d_output.div_ceil(4 * rayon::current_num_threads())));
    let width = width.next_multiple_of(tile.rows);
    let tasks = column_blocks(product, d_output, width).into_iter().enumerate().collect();
    let scratch = || (Aligned::zeros(width * padded), Aligned::zeros(tile.rows * STRIDE));
    each(tasks, work, scratch, |(sums, values), (index, outputs)| {
        arch.dispatch(Outputs {
            packed: packed.values(),
            update: inner.as_ref().map(Aligned::values).zip(update),
            weight,
            d_input,
            padded,
            first: index * width,
            sums: sums.values_mut(),
            values: values.values_mut(),
            outputs,
        });
    });
}

/// Some outputs of all rows.
struct Outputs<'a, 'b, W: ?Sized> {
    packed: &'a [f32],                       // chunks of DEPTH, each in panels
    update: Option<(&'a [f32], Update<'a>)>, // its inner values, packed as well
    weight: &'a W,
    d_input: usize,
    padded: usize, // rows and what fills their last vector
    first: usize,  // output
    sums: &'b mut [f32],
    values: &'b mut [f32], // of a group of the weight's rows
    outputs: Vec<&'b mut [f32]>,
}

impl<W: Flat + ?Sized> WithSimd for Outputs<'_, '_, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { packed, update, weight, d_input, padded, first, sums, values, mut outputs } =
            self;
        let count = outputs[0].len();
        let sums = &mut sums[..count * padded];
        let vectors = padded / S::F32_LANES;
        let (all, _) = S::as_mut_simd_f32s(sums);
        for place in (0..d_input).step_by(DEPTH) {
            let depth = DEPTH.min(d_input - place);
            let (packed, _) = S::as_simd_f32s(&packed[place * padded..(place + depth) * padded]);
            let at = |row: usize| (first + row) * d_input + place;
            if let Some(weight) = weight.as_f32() {
                let row = |row: usize| &weight[at(row)..at(row) + depth];
                accumulate(simd, packed, depth, count, row, all, place == 0);
                continue;
            }
            let group = const { Tile::of::<S>().rows };
            for (index, sums) in all.chunks_mut(group * vectors).enumerate() {
                let taken = sums.len() / vectors;
                for (row, values) in values.chunks_exact_mut(STRIDE).take(taken).enumerate() {
                    weight.read(at(index * group + row), &mut values[..depth]);
                }
                let row = |row: usize| &values[row * STRIDE..row * STRIDE + depth];
                accumulate(simd, packed, depth, taken, row, sums, place == 0);
            }
        }
        if let Some((packed, Update { factor, rank, .. })) = update {
            let (packed, _) = S::as_simd_f32s(packed);
            let row = |row: usize| &factor[(first + row) * rank..(first + row + 1) * rank];
            accumulate(simd, packed, rank, count, row, all, false);
        }
        write_turned(sums, padded, &mut outputs);
    }
}
