//! The product with a packed weight and its low-rank update in one operation.
#![cfg_attr(
    not(feature = "cpu"),
    allow(unused_variables, reason = "the generated dispatch then has no backend to hand them to")
)]

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;
use nextcart_kernels::has_adapted_product;

use super::op::{Parts, has_backend};

/// `x Wᵀ + scale · x Aᵀ Bᵀ` for `x [rows, d_input]`; `None` where [`has_adapted_product`] says that there is none.
pub(super) fn forward(
    x: &Tensor<2>,
    parts: Parts,
    shape: [usize; 2],
    [a, b]: [&Tensor<2>; 2],
    scale: f64,
) -> Option<Tensor<2>> {
    // Features may differ between the two crates: both must have the device's backend.
    let has_both = has_backend(x.device().as_dispatch()) && has_adapted_product(x, a, b, shape);
    has_both.then(|| {
        Tensor::from_dispatch(<Dispatch as Nf4AdaptedBackend>::nf4_adapted_matmul(
            x.clone().into_dispatch(),
            parts.packed.into_dispatch(),
            parts.codes.into_dispatch(),
            parts.scales.into_dispatch(),
            parts.offset.into_dispatch(),
            shape,
            a.clone().into_dispatch(),
            b.clone().into_dispatch(),
            scale,
        ))
    })
}

/// Backends with the product and the update in one piece.
#[backend_extension(Autodiff, Flex: cfg(feature = "cpu"))]
pub(crate) trait Nf4AdaptedBackend: Backend {
    /// `x Wᵀ + scale · x Aᵀ Bᵀ` for the weight `[d_output, d_input]` of the given shape.
    #[allow(
        clippy::too_many_arguments,
        reason = "the parts of a packed weight, as the dispatch takes them"
    )]
    fn nf4_adapted_matmul(
        x: FloatTensor<Self>,
        packed: IntTensor<Self>,
        codes: IntTensor<Self>,
        scales: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        shape: [usize; 2],
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        scale: f64,
    ) -> FloatTensor<Self>;
}

#[cfg(feature = "cpu")]
mod host {
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::tensor::{FloatTensor, IntTensor};
    use burn::backend::{Autodiff, Flex};
    use nextcart_kernels::Adapted;

    use super::super::flex::PackedWeight;
    use super::Nf4AdaptedBackend;

    impl Nf4AdaptedBackend for Flex {
        fn nf4_adapted_matmul(
            x: FloatTensor<Self>,
            packed: IntTensor<Self>,
            codes: IntTensor<Self>,
            scales: FloatTensor<Self>,
            offset: FloatTensor<Self>,
            shape: [usize; 2],
            a: FloatTensor<Self>,
            b: FloatTensor<Self>,
            scale: f64,
        ) -> FloatTensor<Self> {
            let weight = PackedWeight { packed, codes, scales, offset, shape };
            Adapted { weight, a, b, scale }.forward(&x).0
        }
    }

    impl<C: CheckpointStrategy> Nf4AdaptedBackend for Autodiff<Flex, C> {
        fn nf4_adapted_matmul(
            x: FloatTensor<Self>,
            packed: IntTensor<Self>,
            codes: IntTensor<Self>,
            scales: FloatTensor<Self>,
            offset: FloatTensor<Self>,
            shape: [usize; 2],
            a: FloatTensor<Self>,
            b: FloatTensor<Self>,
            scale: f64,
        ) -> FloatTensor<Self> {
            let (scales, offset) = (scales.into_primitive(), offset.into_primitive());
            let weight = PackedWeight { packed, codes, scales, offset, shape };
            Adapted::under_autodiff::<C>(x, weight, [a, b], scale)
        }
    }
}
