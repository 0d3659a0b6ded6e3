//! The fused operations against the same written with burn's own.

use std::cell::RefCell;

use burn::module::Param;
use burn::nn::RmsNorm;
use burn::tensor::{DType, Device, Tensor, TensorData, Tolerance, activation};
use nextcart_kernels::{masked_softmax, rms_norm, rotate_heads, swiglu};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Widths of one vector, of several and a rest, and large enough for several threads.
const SHAPES: [[usize; 3]; 4] = [[1, 1, 2], [2, 3, 24], [3, 7, 70], [2, 90, 160]];

thread_local! {
    // Each test has a thread to itself and so the same numbers in every run.
    static RNG: RefCell<ChaCha8Rng> = RefCell::new(ChaCha8Rng::seed_from_u64(7));
}

/// Roughly normal values of mean 0 and deviation 2.
fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let normal = |rng: &mut ChaCha8Rng| {
        (0..12).map(|_| rng.next_u32() as f32 / u32::MAX as f32).sum::<f32>() * 2.0 - 12.0
    };
    let count = shape.iter().product();
    let values: Vec<f32> =
        RNG.with_borrow_mut(|rng| std::iter::repeat_with(|| normal(rng)).take(count).collect());
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

fn assert_close<const D: usize>(found: Tensor<D>, expected: Tensor<D>) {
    let tolerance = Tolerance::absolute(2e-5).set_relative(2e-5);
    found.into_data().assert_approx_eq::<f32>(&expected.into_data(), tolerance);
}

/// Values and gradients of two functions of one tensor, the gradients of a weighted sum of the values.
fn assert_same<const D: usize, const E: usize>(
    x: &Tensor<D>,
    found: impl Fn(Tensor<D>) -> Tensor<E>,
    expected: impl Fn(Tensor<D>) -> Tensor<E>,
) {
    let weights = random(expected(x.clone()).dims());
    let run = |f: &dyn Fn(Tensor<D>) -> Tensor<E>| {
        let x = x.clone().require_grad();
        let y = f(x.clone());
        let gradients = (y.clone() * weights.clone()).sum().backward();
        (y.detach(), x.grad(&gradients).expect("a gradient"))
    };
    let ((found, found_gradient), (expected, expected_gradient)) = (run(&found), run(&expected));
    assert_close(found, expected);
    assert_close(found_gradient, expected_gradient);
}

#[test]
fn rms_norm_is_burns() {
    for shape in SHAPES {
        let x = random(shape);
        let gamma = random([shape[2]]);
        let norm = RmsNorm { gamma: Param::from_tensor(gamma.clone()), epsilon: 1e-5 };
        assert_same(&x, |x| rms_norm(x, gamma.clone(), 1e-5), |x| norm.forward(x));
        let of_gamma = |gamma: Tensor<1>| rms_norm(x.clone(), gamma, 1e-5);
        let expected = |gamma: Tensor<1>| {
            let rms = (x.clone().square().mean_dim(2) + 1e-5).sqrt();
            x.clone() / rms * gamma.unsqueeze()
        };
        assert_same(&gamma, of_gamma, expected);
    }
}

#[test]
fn swiglu_is_silu_times_up() {
    for shape in SHAPES {
        let (gate, up) = (random(shape), random(shape));
        let expected = |gate: Tensor<3>, up: Tensor<3>| activation::silu(gate) * up;
        assert_same(&gate, |gate| swiglu(gate, up.clone()), |gate| expected(gate, up.clone()));
        assert_same(&up, |up| swiglu(gate.clone(), up), |up| expected(gate.clone(), up));
    }
}

#[test]
fn heads_turn_as_in_hugging_faces_code() {
    for ([batch, seq, head_dim], heads) in SHAPES.into_iter().zip([1, 2, 3, 5]) {
        let x = random([batch, seq, heads * head_dim]);
        let (cos, sin) = (random([batch, 1, seq, head_dim]), random([batch, 1, seq, head_dim]));
        let expected = |x: Tensor<3>| {
            let x = x.reshape([batch, seq, heads, head_dim]).swap_dims(1, 2);
            let half = head_dim / 2;
            let first = x.clone().narrow(3, 0, half);
            let second = x.clone().narrow(3, half, half);
            x * cos.clone() + Tensor::cat(vec![second.neg(), first], 3) * sin.clone()
        };
        assert_same(&x, |x| rotate_heads(x, cos.clone(), sin.clone()), expected);
    }
}

#[test]
fn softmax_is_burns_of_scaled_and_biased_scores() {
    for ([batch, seq, keys], heads) in SHAPES.into_iter().zip([1, 2, 3, 5]) {
        let scores = random([batch, heads, seq, keys]);
        // Some keys are hidden, and from some queries all.
        let hidden = random([batch, 1, seq, keys]).greater_elem(1.0).float() * -1e30;
        let row = random([batch, 1, seq, 1]).greater_elem(3.0).float() * -1e30;
        let bias = hidden + row;
        let expected = |scores: Tensor<4>| activation::softmax(scores * 0.3 + bias.clone(), 3);
        assert_same(&scores, |scores| masked_softmax(scores, bias.clone(), 0.3), expected);
    }
}

#[test]
fn narrow_types_come_back_as_they_came() {
    let x = random([2, 5, 32]).cast(DType::BF16);
    let gamma = random([32]);
    let exact = rms_norm(x.clone().cast(DType::F32), gamma.clone(), 1e-6);
    let found = rms_norm(x.clone(), gamma, 1e-6);
    assert_eq!(found.dtype(), DType::BF16);
    let difference = (found.cast(DType::F32) - exact.clone()).abs() / (exact.abs() + 1e-3);
    assert!(difference.max().into_scalar::<f32>() < 5e-3);
    assert_eq!(swiglu(x.clone(), x).dtype(), DType::BF16);
}
