//! The product with a frozen weight, which is kept as it is stored for the backward pass.
#![cfg_attr(
    not(any(feature = "cpu", feature = "cuda", feature = "wgpu")),
    allow(unused_variables, reason = "the generated dispatch then has no backend to hand them to")
)]

mod adapted;
#[cfg(feature = "cpu")]
mod dot;
#[cfg(feature = "cpu")]
mod flat;
#[cfg(feature = "cpu")]
mod gemm;
#[cfg(feature = "cpu")]
mod host;
#[cfg(feature = "cpu")]
mod low_rank;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

pub use adapted::{adapted_product, has_adapted_product};
#[cfg(feature = "cpu")]
pub use flat::Flat;
#[cfg(feature = "cpu")]
pub use host::{LowRank, multiply as multiply_on_host};
#[cfg(feature = "cpu")]
pub use low_rank::{Adapted, HostWeight};

use crate::device::has_backend;

/// Which of its axes the weight `[d_output, d_input]` is multiplied along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// `x Wᵀ`, for an input.
    Input,
    /// `x W`, for the gradient of an output.
    Output,
}

impl Side {
    /// The axis of the gradient.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Input => Self::Output,
            Self::Output => Self::Input,
        }
    }
}

/// `x Wᵀ`, in the type of `x`.
///
/// The weight may be in a narrower type than `x`: it is widened for the length of the product, on the CPU a part
/// at a time. The weight counts as a constant, and only what is stored is kept for the backward pass; but a weight that
/// takes gradients, for itself or for what it was computed from, gets them.
///
/// # Shapes
/// - `x`: `[rows, d_input]`
/// - `weight`: `[d_output, d_input]`
/// - output: `[rows, d_output]`
///
/// # Panics
/// If the widths differ.
#[must_use]
pub fn frozen_product(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    assert_eq!(x.dims()[1], weight.dims()[1], "inputs as wide as the weight");
    if weight.is_tracked() || !has_backend(x.device().as_dispatch()) {
        let weight = weight.cast(x.dtype());
        return x.matmul(weight.transpose());
    }
    Tensor::from_dispatch(<Dispatch as FrozenBackend>::frozen_matmul(
        x.into_dispatch(),
        weight.into_dispatch(),
        Side::Input,
    ))
}

/// Backends with a product of their own with dense frozen weights.
#[backend_extension(
    Autodiff,
    Flex: cfg(feature = "cpu"),
    Cube: cfg(any(feature = "cuda", feature = "wgpu"))
)]
pub(crate) trait FrozenBackend: Backend {
    /// `x Wᵀ` or `x W`, in the type of `x`, for `weight [d_output, d_input]`.
    fn frozen_matmul(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        side: Side,
    ) -> FloatTensor<Self>;
}

#[cfg(feature = "cpu")]
impl FrozenBackend for burn::backend::Flex {
    fn frozen_matmul(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        side: Side,
    ) -> FloatTensor<Self> {
        host::dense(&x, &weight, side, None).unwrap_or_else(|| multiply::<Self>(x, weight, side))
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl FrozenBackend for burn::backend::Cube {
    fn frozen_matmul(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        side: Side,
    ) -> FloatTensor<Self> {
        multiply::<Self>(x, weight, side)
    }
}

impl<B: FrozenBackend, C: CheckpointStrategy> FrozenBackend for Autodiff<B, C> {
    fn frozen_matmul(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        side: Side,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct FrozenMatmul;

        impl<B: FrozenBackend> Backward<B, 1> for FrozenMatmul {
            type State = (FloatTensor<B>, Side);

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                gradients: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let [input] = ops.parents;
                let gradient = gradients.consume::<B>(&ops.node);
                if let Some(input) = input {
                    let (weight, side) = ops.state;
                    let gradient = B::frozen_matmul(gradient, weight, side.other());
                    gradients.register::<B>(input.id, gradient);
                }
            }
        }

        let weight = weight.into_primitive();
        let product = B::frozen_matmul(x.primitive().clone(), weight.clone(), side);
        match FrozenMatmul.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((weight, side), product),
            OpsKind::UnTracked(prepared) => prepared.finish(product),
        }
    }
}

/// `x Wᵀ` or `x W` with the operations that every backend has, in the type of `x`: for products with weights that are
/// stored in other ways.
///
/// # Shapes
/// - `x`: `[rows, d_input]`, or `[rows, d_output]` along the output
/// - `weight`: `[d_output, d_input]`
pub fn multiply<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    side: Side,
) -> FloatTensor<B> {
    let dtype = x.dtype();
    let weight = match weight.dtype() == dtype {
        true => weight,
        false => B::float_cast(weight, dtype.into()),
    };
    match side {
        Side::Input => B::float_matmul(x, B::float_transpose(weight)),
        Side::Output => B::float_matmul(x, weight),
    }
}
