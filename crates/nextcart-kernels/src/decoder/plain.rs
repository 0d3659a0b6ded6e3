//! The operations out of those that every backend has, and what the fused ones are held against.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, FloatDType, Shape, Slice};

pub(super) fn rms_norm<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    epsilon: f64,
) -> FloatTensor<B> {
    let dtype = x.dtype();
    let x = full::<B>(x);
    let factor = inverse_rms::<B>(x.clone(), epsilon);
    let gamma = as_row::<B>(gamma, rank::<B>(&x));
    narrow::<B>(B::float_mul(B::float_mul(x, factor), gamma), dtype)
}

/// With `r = 1 / rms(x)`: `r · (g γ − x · r² · mean(g γ x))`.
pub(super) fn rms_norm_input<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    epsilon: f64,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let dtype = x.dtype();
    let x = full::<B>(x);
    let last = rank::<B>(&x) - 1;
    let factor = inverse_rms::<B>(x.clone(), epsilon);
    let gradient = B::float_mul(full::<B>(gradient), as_row::<B>(gamma, last + 1));
    let mean = B::float_mean_dim(B::float_mul(gradient.clone(), x.clone()), last);
    let mean = B::float_mul(B::float_mul(mean, factor.clone()), factor.clone());
    let inner = B::float_sub(gradient, B::float_mul(x, mean));
    narrow::<B>(B::float_mul(inner, factor), dtype)
}

/// Gradient of `gamma`, in f32: the sum over rows of `g · x / rms(x)`.
pub(super) fn rms_norm_gamma<B: Backend>(
    x: FloatTensor<B>,
    epsilon: f64,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let x = full::<B>(x);
    let dims = x.shape();
    let d_model = dims[dims.num_dims() - 1];
    let rows = dims.num_elements() / d_model.max(1);
    let factor = inverse_rms::<B>(x.clone(), epsilon);
    let product = B::float_mul(full::<B>(gradient), B::float_mul(x, factor));
    let product = B::float_reshape(product, Shape::from([rows, d_model]));
    B::float_reshape(B::float_sum_dim(product, 0), Shape::from([d_model]))
}

pub(super) fn swiglu<B: Backend>(gate: FloatTensor<B>, up: FloatTensor<B>) -> FloatTensor<B> {
    let open = B::sigmoid(gate.clone());
    B::float_mul(B::float_mul(gate, open), up)
}

/// With `s = sigmoid(gate)`: `g · up · s · (1 + gate · (1 − s))` and `g · gate · s`.
pub(super) fn swiglu_inputs<B: Backend>(
    gate: FloatTensor<B>,
    up: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let open = B::sigmoid(gate.clone());
    let closed = B::float_add_scalar(B::float_neg(open.clone()), 1.0.into());
    let slope = B::float_add_scalar(B::float_mul(gate.clone(), closed), 1.0.into());
    let slope = B::float_mul(open.clone(), slope);
    let of_gate = B::float_mul(B::float_mul(gradient.clone(), up), slope);
    let of_up = B::float_mul(gradient, B::float_mul(gate, open));
    (of_gate, of_up)
}

pub(super) fn rotate_heads<B: Backend>(
    x: FloatTensor<B>,
    cos: FloatTensor<B>,
    sin: FloatTensor<B>,
) -> FloatTensor<B> {
    let (dims, head_dim) = (x.shape(), cos.shape()[3]);
    let shape = Shape::from([dims[0], dims[1], dims[2] / head_dim, head_dim]);
    let x = B::float_swap_dims(B::float_reshape(x, shape), 1, 2);
    let dtype = x.dtype();
    let (first, second) = halves::<B>(x.clone());
    let turned = B::float_cat(vec![B::float_neg(second), first], 3);
    let (cos, sin) = (narrow::<B>(cos, dtype), narrow::<B>(sin, dtype));
    B::float_add(B::float_mul(x, cos), B::float_mul(turned, sin))
}

/// The transposed rotation: `g · cos + [second, −first](g · sin)`.
pub(super) fn rotate_heads_input<B: Backend>(
    gradient: FloatTensor<B>,
    cos: FloatTensor<B>,
    sin: FloatTensor<B>,
) -> FloatTensor<B> {
    let (dims, dtype) = (gradient.shape(), gradient.dtype());
    let (cos, sin) = (narrow::<B>(cos, dtype), narrow::<B>(sin, dtype));
    let (first, second) = halves::<B>(B::float_mul(gradient.clone(), sin));
    let turned = B::float_cat(vec![second, B::float_neg(first)], 3);
    let x = B::float_add(B::float_mul(gradient, cos), turned);
    let shape = Shape::from([dims[0], dims[2], dims[1] * dims[3]]);
    B::float_reshape(B::float_swap_dims(x, 1, 2), shape)
}

pub(super) fn masked_softmax<B: Backend>(
    scores: FloatTensor<B>,
    bias: FloatTensor<B>,
    scale: f64,
) -> FloatTensor<B> {
    let dtype = scores.dtype();
    let scores = B::float_mul_scalar(full::<B>(scores), scale.into());
    narrow::<B>(B::softmax(B::float_add(scores, bias), 3), dtype)
}

/// With the weights `p`: `scale · p · (g − Σ g p)`.
pub(super) fn masked_softmax_scores<B: Backend>(
    weights: FloatTensor<B>,
    scale: f64,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let dtype = weights.dtype();
    let (weights, gradient) = (full::<B>(weights), full::<B>(gradient));
    let product = B::float_mul(weights.clone(), gradient);
    let sum = B::float_sum_dim(product.clone(), 3);
    let scores = B::float_sub(product, B::float_mul(weights, sum));
    narrow::<B>(B::float_mul_scalar(scores, scale.into()), dtype)
}

fn rank<B: Backend>(x: &FloatTensor<B>) -> usize {
    x.shape().num_dims()
}

fn full<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_cast(x, FloatDType::F32)
}

fn narrow<B: Backend>(x: FloatTensor<B>, dtype: DType) -> FloatTensor<B> {
    B::float_cast(x, dtype.into())
}

/// `1 / √(mean(x²) + epsilon)` over the last axis, which stays as one.
fn inverse_rms<B: Backend>(x: FloatTensor<B>, epsilon: f64) -> FloatTensor<B> {
    let last = rank::<B>(&x) - 1;
    let mean = B::float_mean_dim(B::float_mul(x.clone(), x), last);
    B::float_recip(B::float_sqrt(B::float_add_scalar(mean, epsilon.into())))
}

/// A vector in f32 as the last axis of so many.
fn as_row<B: Backend>(vector: FloatTensor<B>, rank: usize) -> FloatTensor<B> {
    let mut dims = vec![1; rank];
    dims[rank - 1] = vector.shape()[0];
    full::<B>(B::float_reshape(vector, Shape::from(dims)))
}

/// Both halves of the last of four axes.
fn halves<B: Backend>(x: FloatTensor<B>) -> (FloatTensor<B>, FloatTensor<B>) {
    let dims = x.shape();
    let half = dims[3] / 2;
    let part = |x, from| {
        let whole = |axis: usize| Slice::from(0..dims[axis]);
        B::float_slice(x, &[whole(0), whole(1), whole(2), Slice::from(from..from + half)])
    };
    (part(x.clone(), 0), part(x, half))
}
