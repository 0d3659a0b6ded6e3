//! Operations between products as a backend gives them, forward and back.
#![cfg_attr(
    not(any(feature = "cpu", feature = "cuda", feature = "wgpu")),
    allow(unused_variables, reason = "the generated dispatch then has no backend to hand them to")
)]

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

#[cfg(feature = "cpu")]
use super::flex;
use super::plain;

/// Backends with these operations in one piece.
#[backend_extension(
    Autodiff,
    Flex: cfg(feature = "cpu"),
    Cube: cfg(any(feature = "cuda", feature = "wgpu"))
)]
pub(crate) trait DecoderBackend: Backend {
    fn rms_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self>;

    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;

    fn rotate_heads(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    fn masked_softmax(
        scores: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: f64,
    ) -> FloatTensor<Self>;
}

/// Gradients of [`DecoderBackend`]'s operations, given that of their output.
pub(crate) trait DecoderGradients: DecoderBackend {
    /// Gradient of `x`.
    fn rms_norm_input(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        epsilon: f64,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        plain::rms_norm_input::<Self>(x, gamma, epsilon, gradient)
    }

    /// Gradients of `gate` and `up`.
    fn swiglu_inputs(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        plain::swiglu_inputs::<Self>(gate, up, gradient)
    }

    /// Gradient of `x`, `[batch, seq, heads · head_dim]`.
    fn rotate_heads_input(
        gradient: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        plain::rotate_heads_input::<Self>(gradient, cos, sin)
    }

    /// Gradient of the scores, from the weights that came out.
    fn masked_softmax_scores(
        weights: FloatTensor<Self>,
        scale: f64,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        plain::masked_softmax_scores::<Self>(weights, scale, gradient)
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl DecoderGradients for burn::backend::Cube {}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl DecoderBackend for burn::backend::Cube {
    fn rms_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        plain::rms_norm::<Self>(x, gamma, epsilon)
    }

    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        plain::swiglu::<Self>(gate, up)
    }

    fn rotate_heads(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        plain::rotate_heads::<Self>(x, cos, sin)
    }

    fn masked_softmax(
        scores: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: f64,
    ) -> FloatTensor<Self> {
        plain::masked_softmax::<Self>(scores, bias, scale)
    }
}

#[cfg(feature = "cpu")]
impl DecoderBackend for burn::backend::Flex {
    fn rms_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        flex::rms_norm(x, gamma, epsilon)
    }

    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        flex::swiglu(gate, up)
    }

    fn rotate_heads(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        flex::rotate_heads(x, cos, sin)
    }

    fn masked_softmax(
        scores: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: f64,
    ) -> FloatTensor<Self> {
        flex::masked_softmax(scores, bias, scale)
    }
}

#[cfg(feature = "cpu")]
impl DecoderGradients for burn::backend::Flex {
    fn rms_norm_input(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        epsilon: f64,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        flex::rms_norm_input(x, gamma, epsilon, gradient)
    }

    fn swiglu_inputs(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        flex::swiglu_inputs(gate, up, gradient)
    }

    fn rotate_heads_input(
        gradient: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        flex::rotate_heads_input(gradient, cos, sin)
    }

    fn masked_softmax_scores(
        weights: FloatTensor<Self>,
        scale: f64,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        flex::masked_softmax_scores(weights, scale, gradient)
    }
}
