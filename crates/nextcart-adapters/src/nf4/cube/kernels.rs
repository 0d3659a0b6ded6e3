//! The kernels themselves, in CubeCL's language.
//!
//! All of them read the packed weight as 32-bit words of eight codes, the first in the low byte's high half, and the
//! absmax codes as words of four. `table` is [`CODE`](crate::nf4::CODE) followed by the map of absmax codes.

use cubecl::prelude::*;

use crate::nf4::code::{BLOCK, CODE, NESTED_BLOCK};

/// Units that share a row in [`few_rows`].
pub(super) const ROW_UNITS: usize = 64;

/// Rows and columns of the product that a cube of [`tiles`] computes.
pub(super) const TILE: usize = 64;

/// Terms of each sum that a cube holds at a time.
const DEPTH: usize = 16;

/// Rows and columns that a unit computes.
const EACH: usize = 4;

/// Units of a cube of [`tiles`].
pub(super) const TILE_UNITS: usize = (TILE / EACH) * (TILE / EACH);

/// Codes in a word.
pub(super) const WORD: usize = 8;

/// Codes of a word that a unit of [`tiles`] unpacks.
const HALF: usize = WORD / 2;

/// The absmax of a block.
#[cube]
fn absmax_of(block: usize, codes: &[u32], scales: &[f32], offset: &[f32], table: &[f32]) -> f32 {
    let code = (codes[block / 4] >> (8 * (block % 4) as u32)) & 255;
    table[comptime!(CODE.len()) + code as usize] * scales[block / NESTED_BLOCK] + offset[0]
}

/// The value of one of a word's eight codes.
#[cube]
fn value_of(word: u32, place: usize, absmax: f32, table: &[f32]) -> f32 {
    // Bytes from the lowest on, in each the high half first.
    let shift = 8 * (place / 2) as u32 + 4 * (1 - (place % 2) as u32);
    table[((word >> shift) & 15) as usize] * absmax
}

/// Unpacks a weight; a unit takes the two codes of a byte.
#[cube(launch, create_dummy_kernel)]
pub(super) fn unpack<F: Float>(
    packed: &[u32],
    codes: &[u32],
    scales: &[f32],
    offset: &[f32],
    table: &[f32],
    weight: &mut [F],
) {
    let first = ABSOLUTE_POS * 2;
    if first < weight.len() {
        let absmax = absmax_of(first / BLOCK, codes, scales, offset, table);
        let word = packed[first / WORD];
        weight[first] = F::cast_from(value_of(word, first % WORD, absmax, table));
        if first + 1 < weight.len() {
            weight[first + 1] = F::cast_from(value_of(word, first % WORD + 1, absmax, table));
        }
    }
}

/// `y = x Wᵀ` for `rows` rows of `x`; a cube takes a row of the weight, which is read once.
///
/// `d_input` is a multiple of [`WORD`].
#[cube(launch, create_dummy_kernel)]
pub(super) fn few_rows<F: Float>(
    x: &[F],
    packed: &[u32],
    codes: &[u32],
    scales: &[f32],
    offset: &[f32],
    table: &[f32],
    y: &mut [F],
    d_output: usize,
    d_input: usize,
    #[comptime] rows: usize,
) {
    let output = CUBE_POS;
    let unit = UNIT_POS as usize;
    if output >= d_output {
        terminate!();
    }

    let mut sums = Array::<f32>::new(rows);
    #[unroll]
    for row in 0..rows {
        sums[row] = 0.0;
    }
    let words = d_input / WORD;
    for at in range_stepped(unit, words, ROW_UNITS) {
        let of_weight = output * words + at;
        let absmax = absmax_of(of_weight * WORD / BLOCK, codes, scales, offset, table);
        let word = packed[of_weight];
        #[unroll]
        for place in 0..WORD {
            let value = value_of(word, place, absmax, table);
            #[unroll]
            for row in 0..rows {
                sums[row] += value * f32::cast_from(x[row * d_input + at * WORD + place]);
            }
        }
    }

    // Halves are added until one sum is left.
    let mut shared = Shared::<[f32]>::new_slice(ROW_UNITS);
    #[unroll]
    for row in 0..rows {
        shared[unit] = sums[row];
        sync_cube();
        #[unroll]
        for level in 1..comptime!(ROW_UNITS.ilog2() + 1) {
            let half = comptime!(ROW_UNITS >> level);
            if unit < half {
                let other = shared[unit + half];
                shared[unit] += other;
            }
            sync_cube();
        }
        if unit == 0 {
            y[row * d_output + output] = F::cast_from(shared[0]);
        }
        sync_cube();
    }
}

/// `y = x Wᵀ`, or `y = x W` with `along_output`, for `rows` rows of `x`: a cube computes a tile of `y` and holds
/// no more of the weight than the [`TILE`] × [`DEPTH`] values that it multiplies with.
///
/// `d_input` is a multiple of [`WORD`].
#[cube(launch, create_dummy_kernel)]
pub(super) fn tiles<F: Float>(
    x: &[F],
    packed: &[u32],
    codes: &[u32],
    scales: &[f32],
    offset: &[f32],
    table: &[f32],
    y: &mut [F],
    rows: usize,
    d_output: usize,
    d_input: usize,
    #[comptime] along_output: bool,
) {
    let depth = if comptime!(along_output) { d_output } else { d_input };
    let width = if comptime!(along_output) { d_input } else { d_output };
    let unit = UNIT_POS as usize;
    let first_column = CUBE_POS_X as usize * TILE;
    let first_row = CUBE_POS_Y as usize * TILE;
    let row = unit / (TILE / EACH) * EACH;
    let column = unit % (TILE / EACH) * EACH;

    let mut inputs = Shared::<[f32]>::new_slice(DEPTH * TILE); // [depth, row]
    let mut weights = Shared::<[f32]>::new_slice(DEPTH * TILE); // [depth, column]
    let mut sums = Array::<f32>::new(EACH * EACH);
    #[unroll]
    for i in 0..EACH * EACH {
        sums[i] = 0.0;
    }

    for start in range_stepped(0, depth, DEPTH) {
        #[unroll]
        for i in 0..DEPTH * TILE / TILE_UNITS {
            let at = unit + i * TILE_UNITS;
            let k = at % DEPTH;
            let r = at / DEPTH;
            let mut value = 0.0f32;
            if first_row + r < rows && start + k < depth {
                value = f32::cast_from(x[(first_row + r) * depth + start + k]);
            }
            inputs[k * TILE + r] = value;
        }

        // Four neighbours in a row of the weight, which are half a word.
        let across = if comptime!(along_output) { TILE / HALF } else { DEPTH / HALF };
        let line = unit / across;
        let along = unit % across * HALF;
        let output = if comptime!(along_output) { start + line } else { first_column + line };
        let input = if comptime!(along_output) { first_column + along } else { start + along };
        let mut word = 0u32;
        let mut absmax = 0.0f32;
        let flat = output * d_input + input;
        if output < d_output && input < d_input {
            word = packed[flat / WORD];
            absmax = absmax_of(flat / BLOCK, codes, scales, offset, table);
        }
        #[unroll]
        for i in 0..HALF {
            let value = value_of(word, flat % WORD + i, absmax, table); // 0 outside
            if comptime!(along_output) {
                weights[line * TILE + along + i] = value;
            } else {
                weights[(along + i) * TILE + line] = value;
            }
        }
        sync_cube();

        // Unrolled also since Mesa's software GPU ends a unit's loops after 65,535 turns, all of them together.
        #[unroll]
        for k in 0..DEPTH {
            #[unroll]
            for i in 0..EACH {
                let input = inputs[k * TILE + row + i];
                #[unroll]
                for j in 0..EACH {
                    sums[i * EACH + j] += input * weights[k * TILE + column + j];
                }
            }
        }
        sync_cube();
    }

    #[unroll]
    for i in 0..EACH {
        #[unroll]
        for j in 0..EACH {
            let r = first_row + row + i;
            let c = first_column + column + j;
            if r < rows && c < width {
                y[r * width + c] = F::cast_from(sums[i * EACH + j]);
            }
        }
    }
}
