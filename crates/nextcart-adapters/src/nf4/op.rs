//! The product with a packed weight, whose backward pass unpacks the weight again.
#![cfg_attr(
    not(any(feature = "cpu", feature = "cuda", feature = "wgpu")),
    allow(unused_variables, reason = "the generated dispatch then has no backend to hand them to")
)]

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, DispatchDevice, Scalar, TensorMetadata,
    backend_extension,
};
use burn::tensor::{DType, Device, Int, Shape, Slice, Tensor, TensorData};
use nextcart_kernels::Side;
#[cfg(any(feature = "cpu", feature = "cuda", feature = "wgpu"))]
use nextcart_kernels::multiply;

use super::code::{BLOCK, NESTED_BLOCK, PAIRS};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::cube;
use super::nested::MAP;
use crate::linear::linear;

/// The tensors of a packed weight.
pub(super) struct Parts {
    pub(super) packed: Tensor<1, Int>,
    pub(super) codes: Tensor<1, Int>,
    pub(super) scales: Tensor<1>,
    pub(super) offset: Tensor<1>,
}

/// `x Wᵀ` for `x [rows, d_input]`.
///
/// # Panics
/// If `x` is not as wide as the weight.
pub(super) fn forward(x: Tensor<2>, parts: Parts, shape: [usize; 2]) -> Tensor<2> {
    assert_eq!(x.dims()[1], shape[1], "inputs as wide as the weight");
    if !has_backend(x.device().as_dispatch()) {
        let weight = dequantize(parts, shape).cast(x.dtype());
        return linear(x, weight, None);
    }
    Tensor::from_dispatch(<Dispatch as Nf4Backend>::nf4_matmul(
        x.into_dispatch(),
        parts.packed.into_dispatch(),
        parts.codes.into_dispatch(),
        parts.scales.into_dispatch(),
        parts.offset.into_dispatch(),
        shape,
        Side::Input,
    ))
}

/// The weight `[d_output, d_input]`.
pub(super) fn dequantize(parts: Parts, shape: [usize; 2]) -> Tensor<2> {
    let unpack = match has_backend(parts.scales.device().as_dispatch()) {
        true => <Dispatch as Nf4Backend>::nf4_dequantize,
        false => dequantize_on::<Dispatch>,
    };
    Tensor::from_dispatch(unpack(
        parts.packed.into_dispatch(),
        parts.codes.into_dispatch(),
        parts.scales.into_dispatch(),
        parts.offset.into_dispatch(),
        shape,
    ))
}

/// Whether [`Nf4Backend`] is compiled for this device's backend, which this crate's features decide.
pub(super) fn has_backend(device: &DispatchDevice) -> bool {
    bytes_at_a_time(device).is_some()
}

/// Whether the device's backend reads packed bytes four at a time.
pub(super) fn reads_words(device: &Device) -> bool {
    bytes_at_a_time(device.as_dispatch()) == Some(4)
}

/// Packed bytes that this device's backend reads at a time; `None` if [`Nf4Backend`] is not compiled for it.
fn bytes_at_a_time(device: &DispatchDevice) -> Option<usize> {
    match device {
        #[cfg(feature = "cpu")]
        DispatchDevice::Flex(_) => Some(1),
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        DispatchDevice::Cube(_) => Some(4),
        DispatchDevice::Autodiff(device) => bytes_at_a_time(&device.clone().inner()),
        #[allow(
            unreachable_patterns,
            reason = "which variants there are depends on burn's features"
        )]
        _ => None,
    }
}

/// Backends with a product of their own with packed weights.
#[backend_extension(
    Autodiff,
    Flex: cfg(feature = "cpu"),
    Cube: cfg(any(feature = "cuda", feature = "wgpu"))
)]
pub(crate) trait Nf4Backend: Backend {
    /// The weight `[d_output, d_input]` of the given shape.
    fn nf4_dequantize(
        packed: IntTensor<Self>,
        codes: IntTensor<Self>,
        scales: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        shape: [usize; 2],
    ) -> FloatTensor<Self>;

    /// `x Wᵀ` or `x W` for the weight `[d_output, d_input]` of the given shape.
    fn nf4_matmul(
        x: FloatTensor<Self>,
        packed: IntTensor<Self>,
        codes: IntTensor<Self>,
        scales: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        shape: [usize; 2],
        side: Side,
    ) -> FloatTensor<Self>;
}

#[cfg(feature = "cpu")]
impl Nf4Backend for burn::backend::Flex {
    fn nf4_dequantize(
        packed: IntTensor<Self>,
        codes: IntTensor<Self>,
        scales: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        shape: [usize; 2],
    ) -> FloatTensor<Self> {
        super::flex::dequantize(&packed, &codes, &scales, &offset, shape)
            .unwrap_or_else(|| dequantize_on::<Self>(packed, codes, scales, offset, shape))
    }

    fn nf4_matmul(
        x: FloatTensor<Self>,
        packed: IntTensor<Self>,
        codes: IntTensor<Self>,
        scales: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        shape: [usize; 2],
        side: Side,
    ) -> FloatTensor<Self> {
        super::flex::multiply(&x, &packed, &codes, &scales, &offset, shape, side).unwrap_or_else(
            || {
                let weight = Self::nf4_dequantize(packed, codes, scales, offset, shape);
                multiply::<Self>(x, weight, side)
            },
        )
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Nf4Backend for burn::backend::Cube {
    fn nf4_dequantize(
        packed: IntTensor<Self>,
        codes: IntTensor<Self>,
        scales: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        shape: [usize; 2],
    ) -> FloatTensor<Self> {
        let words = [packed.clone(), codes.clone()];
        match cube::Packed::new(words, [scales.clone(), offset.clone()], shape) {
            Some(weight) => cube::back(weight.dequantize(DType::F32)),
            None => dequantize_on::<Self>(packed, codes, scales, offset, shape),
        }
    }

    fn nf4_matmul(
        x: FloatTensor<Self>,
        packed: IntTensor<Self>,
        codes: IntTensor<Self>,
        scales: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        shape: [usize; 2],
        side: Side,
    ) -> FloatTensor<Self> {
        let words = [packed.clone(), codes.clone()];
        let weight = cube::Packed::new(words, [scales.clone(), offset.clone()], shape);
        match weight.zip(cube::plain(x.clone())) {
            Some((weight, x)) => cube::back(weight.multiply(x, side)),
            None => {
                let weight = dequantize_on::<Self>(packed, codes, scales, offset, shape);
                multiply::<Self>(x, weight, side)
            }
        }
    }
}

impl<B: Nf4Backend, C: CheckpointStrategy> Nf4Backend for Autodiff<B, C> {
    fn nf4_dequantize(
        packed: IntTensor<Self>,
        codes: IntTensor<Self>,
        scales: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        shape: [usize; 2],
    ) -> FloatTensor<Self> {
        let (scales, offset) = (scales.into_primitive(), offset.into_primitive());
        Self::from_inner(B::nf4_dequantize(packed, codes, scales, offset, shape))
    }

    fn nf4_matmul(
        x: FloatTensor<Self>,
        packed: IntTensor<Self>,
        codes: IntTensor<Self>,
        scales: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        shape: [usize; 2],
        side: Side,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Nf4Matmul;

        /// The packed weight, which is all that the input's gradient depends on.
        #[derive(Debug, Clone)]
        struct State<B: Backend> {
            packed: IntTensor<B>,
            codes: IntTensor<B>,
            scales: FloatTensor<B>,
            offset: FloatTensor<B>,
            shape: [usize; 2],
            side: Side,
        }

        impl<B: Nf4Backend> State<B> {
            fn matmul(self, x: FloatTensor<B>) -> FloatTensor<B> {
                let Self { packed, codes, scales, offset, shape, side } = self;
                B::nf4_matmul(x, packed, codes, scales, offset, shape, side)
            }
        }

        impl<B: Nf4Backend> Backward<B, 1> for Nf4Matmul {
            type State = State<B>;

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                gradients: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let [input] = ops.parents;
                let gradient = gradients.consume::<B>(&ops.node);
                if let Some(input) = input {
                    let state = State { side: ops.state.side.other(), ..ops.state };
                    gradients.register::<B>(input.id, state.matmul(gradient));
                }
            }
        }

        let state = State::<B> {
            packed,
            codes,
            scales: scales.primitive().clone(),
            offset: offset.primitive().clone(),
            shape,
            side,
        };
        let product = state.clone().matmul(x.primitive().clone());
        match Nf4Matmul.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(state, product),
            OpsKind::UnTracked(prepared) => prepared.finish(product),
        }
    }
}

/// Unpacks a weight with the operations that every backend has.
pub(super) fn dequantize_on<B: Backend>(
    packed: IntTensor<B>,
    codes: IntTensor<B>,
    scales: FloatTensor<B>,
    offset: FloatTensor<B>,
    [d_output, d_input]: [usize; 2],
) -> FloatTensor<B> {
    let values = d_output * d_input;
    let blocks = values.div_ceil(BLOCK);
    let groups = blocks.div_ceil(NESTED_BLOCK);
    let device = scales.device();
    let shape = |dims: &[usize]| Shape::from(dims.to_vec());

    // map[code] · scale + offset for each block
    let map = B::float_from_data(TensorData::new(MAP.to_vec(), [MAP.len()]), &device);
    let absmax = B::float_select(map, 0, unpack_bytes::<B>(codes, blocks)); // [blocks]
    let scales = B::float_reshape(scales, shape(&[groups, 1]));
    let scales = B::float_expand(scales, shape(&[groups, NESTED_BLOCK]));
    let scales = B::float_reshape(scales, shape(&[groups * NESTED_BLOCK]));
    let scales = first::<B>(scales, blocks);
    let offset = B::float_expand(offset, shape(&[blocks]));
    let absmax = B::float_add(B::float_mul(absmax, scales), offset);
    let absmax = B::float_reshape(absmax, shape(&[blocks, 1]));

    // both values of each byte at once
    let pairs = TensorData::new(PAIRS.as_flattened().to_vec(), [PAIRS.len(), 2]);
    let pairs = B::float_from_data(pairs, &device);
    let packed = unpack_bytes::<B>(packed, blocks * BLOCK / 2);
    let weight = B::float_select(pairs, 0, packed); // [bytes, 2]
    let weight = B::float_reshape(weight, shape(&[blocks, BLOCK]));
    let weight = B::float_mul(weight, absmax);
    let weight = B::float_reshape(weight, shape(&[blocks * BLOCK]));
    B::float_reshape(first::<B>(weight, values), shape(&[d_output, d_input]))
}

/// The first `count` entries of a tensor of one axis.
fn first<B: Backend>(tensor: FloatTensor<B>, count: usize) -> FloatTensor<B> {
    if tensor.shape().num_elements() == count {
        return tensor;
    }
    B::float_slice(tensor, &[Slice::from(0..count)])
}

/// One integer for each of `count` bytes, which may be stored four to a word.
fn unpack_bytes<B: Backend>(tensor: IntTensor<B>, count: usize) -> IntTensor<B> {
    if tensor.dtype() != DType::U32 {
        return tensor;
    }
    let words = tensor.shape().num_elements();
    let shape = Shape::from([words, 4]);
    let shifts = TensorData::new(vec![0_u32, 8, 16, 24], [1, 4]);
    let shifts = B::int_expand(B::int_from_data(shifts, &tensor.device()), shape.clone());
    let tensor = B::int_expand(B::int_reshape(tensor, Shape::from([words, 1])), shape);
    let bytes =
        B::bitwise_and_scalar(B::bitwise_right_shift(tensor, shifts), Scalar::from(255_u32));
    let bytes = B::int_reshape(bytes, Shape::from([words * 4]));
    B::int_slice(bytes, &[Slice::from(0..count)])
}
