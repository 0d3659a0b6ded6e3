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
///
/// # Panics
/// If there is not one gain for each value of the last axis.
#[must_use]
pub fn rms_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, epsilon: f64) -> Tensor<D> {
    assert_eq!(x.dims()[D - 1], gamma.dims()[0], "one gain for each value of the last axis");
    let own = has_backend(x.device().as_dispatch());
    let (x, gamma) = (x.into_dispatch(), gamma.into_dispatch());
    Tensor::from_dispatch(match own {
        true => <Dispatch as DecoderBackend>::rms_norm(x, gamma, epsilon),
        false => plain::rms_norm::<Dispatch>(x, gamma, epsilon),
    })
}

/// `silu(gate) · up`, computed in the type of `gate`, on the CPU in f32, and given in the former; Shazeer
/// (<https://arxiv.org/abs/2002.05202>).
///
/// # Shapes
/// - `gate`, `up`, output: the same
///
/// # Panics
/// If the shapes differ.
#[must_use]
pub fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    assert_eq!(gate.dims(), up.dims(), "gate and up are of one shape");
    let own = has_backend(gate.device().as_dispatch());
    let (gate, up) = (gate.into_dispatch(), up.into_dispatch());
    Tensor::from_dispatch(match own {
        true => <Dispatch as DecoderBackend>::swiglu(gate, up),
        false => plain::swiglu::<Dispatch>(gate, up),
    })
}

/// Splits heads and turns each by its position, halves of a head paired, as Hugging Face stores them:
/// `x · cos + rotate_half(x) · sin`, computed in the type of `x`, on the CPU in f32, and given in the former; Su et al.
/// (<https://arxiv.org/abs/2104.09864>).
///
/// # Shapes
/// - `x`: `[batch, seq, heads · head_dim]`
/// - `cos`, `sin`: `[batch, 1, seq, head_dim]`, without gradients
/// - output: `[batch, heads, seq, head_dim]`
///
/// # Panics
/// If the shapes do not fit or `head_dim` is odd.
#[must_use]
pub fn rotate_heads(x: Tensor<3>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    let ([batch, seq, width], [.., head_dim]) = (x.dims(), cos.dims());
    assert!(
        head_dim > 0 && head_dim % 2 == 0 && width % head_dim == 0,
        "whole heads of two halves"
    );
    assert_eq!(cos.dims(), [batch, 1, seq, head_dim], "one turn for each token");
    assert_eq!(sin.dims(), cos.dims(), "sines as cosines");
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
///
/// # Panics
/// If the shapes do not fit.
#[must_use]
pub fn masked_softmax(scores: Tensor<4>, bias: Tensor<4>, scale: f64) -> Tensor<4> {
    let [batch, _, seq, keys] = scores.dims();
    assert_eq!(bias.dims(), [batch, 1, seq, keys], "one bias for each query and key");
    let own = has_backend(scores.device().as_dispatch());
    let (scores, bias) = (scores.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(match own {
        true => <Dispatch as DecoderBackend>::masked_softmax(scores, bias, scale),
        false => plain::masked_softmax::<Dispatch>(scores, bias, scale),
    })
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::backend::Flex;
    use burn::backend::tensor::FloatTensor;
    use burn::tensor::{DType, Device, TensorData, Tolerance};
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    type Float = FloatTensor<Flex>;

    /// Values from -2.5 to 2.5.
    fn random<const D: usize>(shape: [usize; D], dtype: DType, rng: &mut ChaCha8Rng) -> Float {
        let count: usize = shape.iter().product();
        let values: Vec<f32> =
            (0..count).map(|_| rng.next_u32() as f32 / u32::MAX as f32 * 5.0 - 2.5).collect();
        let drawn = Tensor::<D>::from_data(TensorData::new(values, shape), &Device::flex());
        flex_of(drawn.cast(dtype))
    }

    /// The backend's own tensor.
    fn flex_of<const D: usize>(tensor: Tensor<D>) -> Float {
        burn::backend::flex::FlexTensor::from_data(tensor.into_data())
    }

    fn assert_close(found: &Float, expected: &Float, dtype: DType) {
        assert_eq!(found.dtype(), dtype);
        let tolerance = match dtype {
            DType::F32 => Tolerance::absolute(2e-5).set_relative(2e-5),
            _ => Tolerance::absolute(4e-2).set_relative(4e-2),
        };
        let data = |x: &Float| {
            use burn::backend::ops::FloatTensorOps;
            burn::tensor::read_sync(Flex::float_into_data(x.clone())).expect("on the host")
        };
        data(found).assert_approx_eq::<f32>(&data(expected), tolerance);
    }

    /// What runs on GPUs is held against what runs on the CPU, forward and backward, wide and narrow.
    #[test]
    fn fused_operations_are_the_plain_ones() {
        const EPSILON: f64 = 1e-5;
        const SCALE: f64 = 0.3;
        let [batch, seq, heads, head_dim, keys] = [2, 7, 3, 10, 19];
        for dtype in [DType::F32, DType::BF16, DType::F16] {
            let mut rng = ChaCha8Rng::seed_from_u64(7);
            let mut rows = || random([batch, seq, heads * head_dim], dtype, &mut rng);
            let (x, y, g) = (rows(), rows(), rows());
            let gamma = random([heads * head_dim], DType::F32, &mut rng);
            let close = |found: Float, expected: Float| assert_close(&found, &expected, dtype);
            close(
                flex::rms_norm(x.clone(), gamma.clone(), EPSILON),
                plain::rms_norm::<Flex>(x.clone(), gamma.clone(), EPSILON),
            );
            close(
                flex::rms_norm_input(x.clone(), gamma.clone(), EPSILON, g.clone()),
                plain::rms_norm_input::<Flex>(x.clone(), gamma, EPSILON, g.clone()),
            );
            close(flex::swiglu(x.clone(), y.clone()), plain::swiglu::<Flex>(x.clone(), y.clone()));
            let found = flex::swiglu_inputs(x.clone(), y.clone(), g.clone());
            let expected = plain::swiglu_inputs::<Flex>(x.clone(), y, g);
            close(found.0, expected.0);
            close(found.1, expected.1);

            let mut table = || random([batch, 1, seq, head_dim], DType::F32, &mut rng);
            let (cos, sin) = (table(), table());
            close(
                flex::rotate_heads(x.clone(), cos.clone(), sin.clone()),
                plain::rotate_heads::<Flex>(x, cos.clone(), sin.clone()),
            );
            let g = random([batch, heads, seq, head_dim], dtype, &mut rng);
            close(
                flex::rotate_heads_input(g.clone(), cos.clone(), sin.clone()),
                plain::rotate_heads_input::<Flex>(g, cos, sin),
            );

            let mut scores = || random([batch, heads, seq, keys], dtype, &mut rng);
            let (s, g) = (scores(), scores());
            let bias = random([batch, 1, seq, keys], DType::F32, &mut rng);
            let weights = flex::masked_softmax(s.clone(), bias.clone(), SCALE);
            close(weights.clone(), plain::masked_softmax::<Flex>(s, bias, SCALE));
            close(
                flex::masked_softmax_scores(weights.clone(), SCALE, g.clone()),
                plain::masked_softmax_scores::<Flex>(weights, SCALE, g),
            );
        }
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        let device = Device::flex();
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let x = Tensor::<2>::from_data([[1.0, wrong], [2.0, 3.0]], &device);
            let finite = |x: Tensor<2>| -> Vec<bool> {
                x.into_data().iter::<f32>().map(f32::is_finite).collect()
            };
            let normed = finite(rms_norm(x.clone(), Tensor::ones([2], &device), 1e-5));
            assert_eq!((normed[1], &normed[2..]), (false, &[true, true][..]), "{wrong}");
            let gated = finite(swiglu(x.clone(), x.clone()));
            assert_eq!(gated, [true, false, true, true], "{wrong}");
            if wrong != f32::NEG_INFINITY {
                let scores = x.reshape([1, 1, 2, 2]);
                let bias = Tensor::zeros([1, 1, 2, 2], &device);
                let weights = finite(masked_softmax(scores, bias, 1.0).reshape([2, 2]));
                assert_eq!(weights, [false, false, true, true], "{wrong}");
            }
        }
    }
}
