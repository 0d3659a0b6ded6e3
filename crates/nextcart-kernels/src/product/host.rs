//! Products on the CPU that never hold more of the weight in f32 than a tile.

use std::ops::Range;

use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, TensorData, bf16, f16};
use pulp::Arch;
use rayon::prelude::*;

use super::Side;
use super::dot::products;
use super::flat::Flat;

/// Rows of `x` up to which the weight's rows are taken one by one, where reading them is what takes time.
const FEW: usize = 16;

/// Values of a tile, 8 MiB in f32, unless 64 rows or columns are more.
const TILE: usize = 1 << 21;

/// Values that a thread takes at least.
const SHARE: usize = 1 << 14;

/// The product with a dense weight; `None` where the backend's own is as good.
pub(super) fn dense(x: &FlexTensor, weight: &FlexTensor, side: Side) -> Option<FlexTensor> {
    let dims = weight.shape();
    let shape = [dims[0], dims[1]];
    match weight.dtype() {
        DType::F32 if side == Side::Output && x.dtype() == DType::F32 => None,
        DType::F32 if x.shape()[0] > FEW && x.dtype() == DType::F32 && !shape.contains(&0) => {
            // Nothing is to be widened, so that all of it is one tile.
            Some(by_tiles(x.to_contiguous(), |_| weight.clone(), shape, shape[0]))
        }
        DType::F32 => multiply(x, weight.as_slice::<f32>()?, shape, side),
        DType::BF16 => multiply(x, weight.as_slice::<bf16>()?, shape, side),
        DType::F16 => multiply(x, weight.as_slice::<f16>()?, shape, side),
        _ => None,
    }
}

/// `x Wᵀ` or `x W` for a weight `[d_output, d_input]` of the given shape, computed in f32 and rounded to the type
/// of `x`; `None` if one of them is empty.
///
/// No more of the weight is ever held in f32 than a tile: 8 MiB, or 64 rows or columns if those are more.
pub fn multiply<W: Flat + ?Sized>(
    x: &FlexTensor,
    weight: &W,
    shape: [usize; 2],
    side: Side,
) -> Option<FlexTensor> {
    let rows = x.shape()[0];
    if rows == 0 || shape.contains(&0) {
        return None;
    }
    let dtype = x.dtype();
    let x = Flex::float_cast(x.clone(), DType::F32.into()).to_contiguous();
    let product = match side {
        Side::Input if rows <= FEW => by_rows(x.as_slice::<f32>()?, rows, weight, shape),
        Side::Input => by_tiles(x, |part| rows_of(weight, part, shape[1]), shape, width(shape[1])),
        Side::Output => by_columns(x, weight, shape),
    };
    Some(Flex::float_cast(product, dtype.into()))
}

/// `x Wᵀ` for few rows: every row of the weight is read once.
fn by_rows<W: Flat + ?Sized>(
    x: &[f32],
    rows: usize,
    weight: &W,
    [d_output, d_input]: [usize; 2],
) -> FlexTensor {
    let arch = Arch::new();
    let mut found = vec![0.0_f32; d_output * rows]; // [d_output, rows]
    let share = share(d_output, d_input);
    found.par_chunks_mut(share * rows).enumerate().for_each(|(part, found)| {
        let first = part * share * d_input;
        let count = found.len() / rows;
        match weight.as_f32() {
            Some(all) => {
                let part = &all[first..first + count * d_input];
                products(arch, x, part, d_input, found);
            }
            None => {
                // A few rows at a time, so that they stay in the nearest cache.
                let mut values = vec![0.0; 4 * d_input];
                for (step, found) in found.chunks_mut(4 * rows).enumerate() {
                    let values = &mut values[..found.len() / rows * d_input];
                    weight.read(first + step * 4 * d_input, values);
                    products(arch, x, values, d_input, found);
                }
            }
        }
    });
    let product = match rows {
        1 => found,
        _ => transposed(&found, rows),
    };
    FlexTensor::from_data(TensorData::new(product, [rows, d_output]))
}

/// Rows of the weight for a thread: a multiple of those that are read side by side.
fn share(d_output: usize, d_input: usize) -> usize {
    let even = d_output.div_ceil(4 * rayon::current_num_threads());
    even.max(SHARE.div_ceil(d_input.max(1))).next_multiple_of(4)
}

/// `x Wᵀ` for many rows, a tile of so many of the weight's rows at a time.
///
/// The tile stands on the left and the inputs transposed on the right. The other way round, the library below would
/// first copy the tile into another order, and of the two the tile is mostly the larger one.
fn by_tiles(
    x: FlexTensor,
    tile: impl Fn(Range<usize>) -> FlexTensor,
    [d_output, _]: [usize; 2],
    width: usize,
) -> FlexTensor {
    let rows = x.shape()[0];
    let x = Flex::float_transpose(x); // [d_input, rows]
    let mut product = vec![0.0; rows * d_output];
    for first in (0..d_output).step_by(width) {
        let part = first..(first + width).min(d_output);
        let found = Flex::float_matmul(tile(part.clone()), x.clone()); // [part, rows]
        place(found.storage::<f32>(), part, &mut product, d_output);
    }
    FlexTensor::from_data(TensorData::new(product, [rows, d_output]))
}

/// `x W`, a tile of the weight's columns at a time.
fn by_columns<W: Flat + ?Sized>(
    x: FlexTensor,
    weight: &W,
    [d_output, d_input]: [usize; 2],
) -> FlexTensor {
    let width = width(d_output);
    let tiles = (0..d_input).step_by(width).map(|first| {
        let part = first..(first + width).min(d_input);
        Flex::float_matmul(x.clone(), columns_of(weight, part, [d_output, d_input]))
    });
    let mut tiles: Vec<FlexTensor> = tiles.collect();
    match tiles.len() {
        1 => tiles.remove(0),
        _ => Flex::float_cat(tiles, 1),
    }
}

/// Rows or columns of a tile whose other side is as long as this.
fn width(other: usize) -> usize {
    (TILE / other.max(1)).max(1).next_multiple_of(64)
}

/// Puts `found [part, rows]` in its columns of `product [rows, d_output]`.
fn place(found: &[f32], part: Range<usize>, product: &mut [f32], d_output: usize) {
    const TOGETHER: usize = 8; // rows: as many cache lines are being filled at a time
    let rows = product.len() / d_output;
    product.par_chunks_mut(TOGETHER * d_output).enumerate().for_each(|(block, product)| {
        let first = block * TOGETHER;
        let count = product.len() / d_output;
        for (column, found) in part.clone().zip(found.chunks_exact(rows)) {
            for (row, value) in found[first..first + count].iter().enumerate() {
                product[row * d_output + column] = *value;
            }
        }
    });
}

/// `[n, rows]` to `[rows, n]`, for few rows.
fn transposed(values: &[f32], rows: usize) -> Vec<f32> {
    let mut turned = vec![0.0; values.len()];
    place(values, 0..values.len() / rows, &mut turned, values.len() / rows);
    turned
}

/// Some rows of the weight, `[part, d_input]`.
fn rows_of<W: Flat + ?Sized>(weight: &W, part: Range<usize>, d_input: usize) -> FlexTensor {
    let mut values = vec![0.0; part.len() * d_input];
    let share = share(part.len(), d_input);
    values.par_chunks_mut(share * d_input).enumerate().for_each(|(index, values)| {
        weight.read((part.start + index * share) * d_input, values);
    });
    FlexTensor::from_data(TensorData::new(values, [part.len(), d_input]))
}

/// Some columns of the weight, `[d_output, part]`.
fn columns_of<W: Flat + ?Sized>(
    weight: &W,
    part: Range<usize>,
    [d_output, d_input]: [usize; 2],
) -> FlexTensor {
    let width = part.len();
    let mut values = vec![0.0; d_output * width];
    let share = share(d_output, width);
    values.par_chunks_mut(share * width).enumerate().for_each(|(index, values)| {
        for (row, values) in values.chunks_mut(width).enumerate() {
            weight.read((index * share + row) * d_input + part.start, values);
        }
    });
    FlexTensor::from_data(TensorData::new(values, [d_output, width]))
}
