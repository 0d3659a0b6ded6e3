//! The matrix product behind every projection.

use burn::tensor::{Tensor, module};

/// Folds all leading axes into rows: `[..., d_input]` to `[rows, d_input]`.
pub(crate) fn fold<const D: usize>(x: Tensor<D>) -> Tensor<2> {
    let dims = x.dims();
    let rows = dims[..D - 1].iter().product::<usize>();
    x.reshape([rows, dims[D - 1]])
}

/// Undoes [`fold`] after a product that changed the last axis.
pub(crate) fn unfold<const D: usize>(y: Tensor<2>, mut dims: [usize; D]) -> Tensor<D> {
    dims[D - 1] = y.dims()[1];
    y.reshape(dims)
}

/// `y = x Wᵀ + b` with `W [d_output, d_input]` as stored.
///
/// Two axes only: a batched product would have to give the transposed view leading axes, and
/// reshaping a transposed view copies it. In two dimensions the view's strides go to the kernel.
pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    module::linear(x, weight.transpose(), bias)
}
