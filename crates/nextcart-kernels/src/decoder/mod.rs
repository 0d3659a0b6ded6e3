//! What stands between the products of a decoder block.

mod autodiff;
mod backend;
#[cfg(feature = "cpu")]
mod flex;
mod plain;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use self::backend::DecoderBackend;
use crate::device::has_backend;

/// Root mean square norm over the last axis: `x / √(mean(x²) + epsilon) · gamma`, computed in f32 and given in
/// the type of `x`; Zhang and Sennrich (<https://arxiv.org/abs/1910.07467>).
///
/// # Shapes
/// - `x`: `[..., d_model]`
/// - `gamma`: `[d_model]`
#[must_use]
pub fn rms_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, epsilon: f64) -> Tensor<D> {
    let own = has_backend(x.device().as_dispatch());
    let (x, gamma) = (x.into_dispatch(), gamma.into_dispatch());
    Tensor::from_dispatch(match own {
        true => <Dispatch as DecoderBackend>::rms_norm(x, gamma, epsilon),
        false => plain::rms_norm::<Dispatch>(x, gamma, epsilon),
    })
}

/// `silu(gate) · up`; Shazeer (<https://arxiv.org/abs/2002.05202>).
///
/// # Shapes
/// - `gate`, `up`, output: the same
#[must_use]
pub fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    let own = has_backend(gate.device().as_dispatch());
    let (gate, up) = (gate.into_dispatch(), up.into_dispatch());
    Tensor::from_dispatch(match own {
        true => <Dispatch as DecoderBackend>::swiglu(gate, up),
        false => plain::swiglu::<Dispatch>(gate, up),
    })
}

/// Splits heads and turns each by its position, halves of a head paired, as Hugging Face stores them:
/// `x · cos + rotate_half(x) · sin`; Su et al. (<https://arxiv.org/abs/2104.09864>).
///
/// # Shapes
/// - `x`: `[batch, seq, heads · head_dim]`
/// - `cos`, `sin`: `[batch, 1, seq, head_dim]`, without gradients
/// - output: `[batch, heads, seq, head_dim]`
#[must_use]
pub fn rotate_heads(x: Tensor<3>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    let own = has_backend(x.device().as_dispatch());
    let (x, cos, sin) = (x.into_dispatch(), cos.into_dispatch(), sin.into_dispatch());
    Tensor::from_dispatch(match own {
        true => <Dispatch as DecoderBackend>::rotate_heads(x, cos, sin),
        false => plain::rotate_heads::<Dispatch>(x, cos, sin),
    })
}

/// `softmax(scores · scale + bias)` over the last axis, computed in f32 and given in the type of `scores`.
///
/// # Shapes
/// - `scores`, output: `[batch, heads, seq, keys]`
/// - `bias`: `[batch, 1, seq, keys]` in f32, without gradients
#[must_use]
pub fn masked_softmax(scores: Tensor<4>, bias: Tensor<4>, scale: f64) -> Tensor<4> {
    let own = has_backend(scores.device().as_dispatch());
    let (scores, bias) = (scores.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(match own {
        true => <Dispatch as DecoderBackend>::masked_softmax(scores, bias, scale),
        false => plain::masked_softmax::<Dispatch>(scores, bias, scale),
    })
}
