//! The product with a frozen weight and its low-rank update in one operation.
#![cfg_attr(
    not(feature = "cpu"),
    allow(unused_variables, reason = "the generated dispatch then has no backend to hand them to")
)]

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Tensor};

use crate::device::{Place, place};

/// `x Wᵀ + scale · x Aᵀ Bᵀ`, in the type of `x` and computed in f32, as one operation; `None` where the device has none
/// for it, for factors that are not in f32, inputs in f64, a weight that takes gradients, and where a side is empty.
///
/// The weight may be in a narrower type than `x`. It counts as a constant, and for the backward pass only `x` is kept,
/// where `A` is trained, beside the few values of `x Aᵀ`.
///
/// # Shapes
/// - `x`: `[rows, d_input]`
/// - `weight`: `[d_output, d_input]`
/// - `a`: `[rank, d_input]`
/// - `b`: `[d_output, rank]`
/// - output: `[rows, d_output]`
///
/// # Panics
/// If the shapes do not fit.
#[must_use]
pub fn adapted_product(
    x: &Tensor<2>,
    weight: &Tensor<2>,
    a: &Tensor<2>,
    b: &Tensor<2>,
    scale: f64,
) -> Option<Tensor<2>> {
    if weight.is_tracked() || !has_adapted_product(x, a, b, weight.dims()) {
        return None;
    }
    Some(Tensor::from_dispatch(<Dispatch as AdaptedBackend>::adapted_matmul(
        x.clone().into_dispatch(),
        weight.clone().into_dispatch(),
        a.clone().into_dispatch(),
        b.clone().into_dispatch(),
        scale,
    )))
}

/// Whether a product with a weight of this shape and its update are one operation; see [`adapted_product`].
///
/// # Panics
/// If the shapes do not fit.
#[must_use]
pub fn has_adapted_product(
    x: &Tensor<2>,
    a: &Tensor<2>,
    b: &Tensor<2>,
    [d_output, d_input]: [usize; 2],
) -> bool {
    let ([rows, width], [rank, _]) = (x.dims(), a.dims());
    assert_eq!(width, d_input, "inputs as wide as the weight");
    assert_eq!(a.dims(), [rank, d_input], "A as wide as the weight");
    assert_eq!(b.dims(), [d_output, rank], "B from A's rank to the weight's rows");
    let filled = ![rows, d_input, d_output, rank].contains(&0);
    let wide = [a.dtype(), b.dtype()] == [DType::F32; 2] && x.dtype() != DType::F64;
    filled && wide && place(x.device().as_dispatch()) == Some(Place::Host)
}

/// Backends with the product and the update in one piece.
#[backend_extension(Autodiff, Flex: cfg(feature = "cpu"))]
pub(crate) trait AdaptedBackend: Backend {
    /// `x Wᵀ + scale · x Aᵀ Bᵀ`, in the type of `x`.
    fn adapted_matmul(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        scale: f64,
    ) -> FloatTensor<Self>;
}

#[cfg(feature = "cpu")]
mod host {
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::flex::FlexTensor;
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Autodiff, Flex};

    use super::super::low_rank::{Adapted, HostWeight};
    use super::super::{LowRank, Side, host, multiply};
    use super::AdaptedBackend;

    /// A dense weight `[d_output, d_input]`.
    #[derive(Debug, Clone)]
    struct Dense(FlexTensor);

    impl HostWeight for Dense {
        fn multiply(&self, x: &FlexTensor, side: Side, update: LowRank<'_>) -> FlexTensor {
            host::dense(x, &self.0, side, Some(update)).unwrap_or_else(|| {
                update.added_to(multiply::<Flex>(x.clone(), self.0.clone(), side), side)
            })
        }
    }

    impl AdaptedBackend for Flex {
        fn adapted_matmul(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            a: FloatTensor<Self>,
            b: FloatTensor<Self>,
            scale: f64,
        ) -> FloatTensor<Self> {
            Adapted { weight: Dense(weight), a, b, scale }.forward(&x).0
        }
    }

    impl<C: CheckpointStrategy> AdaptedBackend for Autodiff<Flex, C> {
        fn adapted_matmul(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            a: FloatTensor<Self>,
            b: FloatTensor<Self>,
            scale: f64,
        ) -> FloatTensor<Self> {
            Adapted::under_autodiff::<C>(x, Dense(weight.into_primitive()), [a, b], scale)
        }
    }
}
