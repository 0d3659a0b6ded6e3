//! Products on the CPU that never hold more of the weight in f32 than some of its rows or columns.

use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, TensorData, bf16, f16};
use pulp::Arch;
use rayon::prelude::*;

use super::Side;
use super::dot::products;
use super::flat::Flat;
use super::gemm::{Update, along_input, along_output};

/// Rows of `x` up to which the weight's rows are taken one by one, where reading them is what takes time.
const FEW: usize = 16;

/// Values that a thread takes at least.
const SHARE: usize = 1 << 14;

/// A product of low rank that is added to one with a weight: `inner factorᵀ` along the input, `inner factor` along the
/// output.
#[derive(Debug, Clone, Copy)]
pub struct LowRank<'a> {
    /// `[rows, rank]`.
    pub inner: &'a FlexTensor,
    /// `[d_output, rank]` along the input, `[rank, d_input]` along the output.
    pub factor: &'a FlexTensor,
}

impl LowRank<'_> {
    /// The sum with a product on the same side, in that one's type.
    #[must_use]
    pub fn added_to(self, product: FlexTensor, side: Side) -> FlexTensor {
        let update = super::multiply::<Flex>(self.inner.clone(), self.factor.clone(), side);
        let update = Flex::float_cast(update, product.dtype().into());
        Flex::float_add(product, update)
    }
}

/// The product with a dense weight; `None` where the weight is a view or of a type that burn alone multiplies, for
/// inputs in f64, which would be narrowed, and where a side is empty.
pub(super) fn dense(
    x: &FlexTensor,
    weight: &FlexTensor,
    side: Side,
    update: Option<LowRank<'_>>,
) -> Option<FlexTensor> {
    if x.dtype() == DType::F64 {
        return None;
    }
    let shape = dims(weight);
    match weight.dtype() {
        DType::F32 => multiply(x, weight.as_slice::<f32>()?, shape, side, update),
        DType::BF16 => multiply(x, weight.as_slice::<bf16>()?, shape, side, update),
        DType::F16 => multiply(x, weight.as_slice::<f16>()?, shape, side, update),
        _ => None,
    }
}

/// `x Wᵀ` or `x W` for a weight `[d_output, d_input]` of the given shape, with an update added, computed in f32, even
/// for `x` in f64, and given in the type of `x`; `None` if one of them is empty.
///
/// No more of the weight is held in f32 than some hundred KiB for each thread.
///
/// # Shapes
/// - `x`: `[rows, d_input]`, or `[rows, d_output]` along the output
///
/// # Panics
/// If `x` is not as wide as the weight on its side.
pub fn multiply<W: Flat + ?Sized>(
    x: &FlexTensor,
    weight: &W,
    shape: [usize; 2],
    side: Side,
    update: Option<LowRank<'_>>,
) -> Option<FlexTensor> {
    let [rows, width] = dims(x);
    match side {
        Side::Input => assert_eq!(width, shape[1], "inputs as wide as the weight"),
        Side::Output => assert_eq!(width, shape[0], "gradients as wide as the weight has rows"),
    }
    if rows == 0 || shape.contains(&0) {
        return None;
    }
    let (dtype, wide) = (x.dtype(), in_f32(x));
    let x = values(&wide);
    let held = update.map(|update| (in_f32(update.inner), in_f32(update.factor)));
    let update = held.as_ref().map(|(inner, factor)| {
        let rank = inner.shape()[1];
        Update { inner: values(inner), factor: values(factor), rank }
    });
    let (product, length) = match side {
        Side::Input if rows <= FEW => (by_rows(x, rows, weight, shape, update), shape[0]),
        Side::Input => (along_input(x, weight, shape, update), shape[0]),
        Side::Output => (along_output(x, weight, shape, update), shape[1]),
    };
    Some(Flex::float_cast(tensor(product, [rows, length]), dtype.into()))
}

/// `scale · x Aᵀ` for a factor `a [rank, d_input]` of few rows, in f32.
pub(super) fn to_rank(x: &FlexTensor, a: &FlexTensor, scale: f64) -> FlexTensor {
    const TOGETHER: usize = 8; // rows of x
    let ([rows, d_input], rank) = (dims(x), a.shape()[0]);
    let (x, a) = (in_f32(x), in_f32(a));
    let (x, a) = (values(&x), values(&a));
    let mut inner = vec![0.0; rows * rank];
    let arch = Arch::new();
    let parts = inner.par_chunks_mut(TOGETHER * rank).zip(x.par_chunks(TOGETHER * d_input));
    parts.for_each(|(inner, x)| {
        // The rows of x stand where a weight's do, so that the result is [rows, rank].
        products(arch, a, x, d_input, inner);
        inner.iter_mut().for_each(|value| *value *= scale as f32);
    });
    tensor(inner, [rows, rank])
}

/// `g B` for a factor `b [d_output, rank]`, in f32.
pub(super) fn onto_rank(g: &FlexTensor, b: &FlexTensor) -> FlexTensor {
    let (shape, g, b) = (dims(b), in_f32(g), in_f32(b));
    let rows = g.shape()[0];
    tensor(along_output(values(&g), values(&b), shape, None), [rows, shape[1]])
}

/// `leftᵀ right`, in f32.
///
/// # Shapes
/// - `left`: `[rows, m]`, the narrower one
/// - `right`: `[rows, n]`
/// - result: `[m, n]`
pub(super) fn outer(left: &FlexTensor, right: &FlexTensor) -> FlexTensor {
    let ([rows, m], n) = (dims(left), right.shape()[1]);
    let left = in_f32(&Flex::float_transpose(left.clone()));
    let right = in_f32(right);
    let product = along_output(values(&left), values(&right), [rows, n], None);
    tensor(product, [m, n])
}

/// The tensor in f32, its values one after the other.
pub(super) fn in_f32(x: &FlexTensor) -> FlexTensor {
    Flex::float_cast(x.clone(), DType::F32.into()).to_contiguous()
}

/// The values of a tensor that went through [`in_f32`].
fn values(x: &FlexTensor) -> &[f32] {
    x.as_slice().expect("in f32, one after the other")
}

fn dims(x: &FlexTensor) -> [usize; 2] {
    let shape = x.shape();
    [shape[0], shape[1]]
}

fn tensor(values: Vec<f32>, shape: [usize; 2]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// `x Wᵀ` for few rows: every row of the weight is read once.
fn by_rows<W: Flat + ?Sized>(
    x: &[f32],
    rows: usize,
    weight: &W,
    [d_output, d_input]: [usize; 2],
    update: Option<Update<'_>>,
) -> Vec<f32> {
    let arch = Arch::new();
    let mut found = vec![0.0_f32; d_output * rows]; // [d_output, rows]
    let share = share(d_output, d_input);
    found.par_chunks_mut(share * rows).enumerate().for_each(|(part, found)| {
        let first = part * share;
        let count = found.len() / rows;
        match weight.as_f32() {
            Some(all) => {
                let part = &all[first * d_input..(first + count) * d_input];
                products(arch, x, part, d_input, found);
            }
            None => {
                // A few rows at a time, so that they stay in the nearest cache.
                let mut values = vec![0.0; 4 * d_input];
                for (step, found) in found.chunks_mut(4 * rows).enumerate() {
                    let values = &mut values[..found.len() / rows * d_input];
                    weight.read((first + step * 4) * d_input, values);
                    products(arch, x, values, d_input, found);
                }
            }
        }
        if let Some(Update { inner, factor, rank }) = update {
            let mut added = vec![0.0; found.len()];
            let factor = &factor[first * rank..(first + count) * rank];
            products(arch, inner, factor, rank, &mut added);
            found.iter_mut().zip(added).for_each(|(value, added)| *value += added);
        }
    });
    match rows {
        1 => found,
        _ => turned(&found, rows),
    }
}

/// Rows of the weight for a thread: a multiple of those that are read side by side.
fn share(d_output: usize, d_input: usize) -> usize {
    let even = d_output.div_ceil(4 * rayon::current_num_threads());
    even.max(SHARE.div_ceil(d_input.max(1))).next_multiple_of(4)
}

/// `[n, rows]` to `[rows, n]`, for few rows.
fn turned(values: &[f32], rows: usize) -> Vec<f32> {
    let length = values.len() / rows;
    let mut turned = vec![0.0; values.len()];
    turned.par_chunks_mut(length).enumerate().for_each(|(row, turned)| {
        for (value, found) in turned.iter_mut().zip(values.chunks_exact(rows)) {
            *value = found[row];
        }
    });
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows of a width times a weight `[3, 4]`.
    fn multiplied(width: usize, side: Side) -> Option<FlexTensor> {
        let x = tensor(vec![1.0; 2 * width], [2, width]);
        multiply(&x, &[1.0_f32; 12][..], [3, 4], side, None)
    }

    #[test]
    #[should_panic(expected = "inputs as wide as the weight")]
    fn inputs_of_another_width_are_a_mistake_of_the_caller() {
        multiplied(3, Side::Input);
    }

    #[test]
    #[should_panic(expected = "gradients as wide as the weight has rows")]
    fn gradients_of_another_width_are_a_mistake_of_the_caller() {
        multiplied(4, Side::Output);
    }
}
