//! How the factors of a fresh adapter are drawn.
//!
//! The numbers come from a generator of our own, so that a seed means the same on every device.

use std::f32::consts::TAU;

use burn::linalg::{qr, svd};
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// How the factors of a fresh adapter are drawn, named as PEFT's `init_lora_weights`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Init {
    /// `A` uniform on `±1/√d_input`, `B` zero: PEFT's default, `kaiming_uniform_(a = √5)`.
    #[default]
    Kaiming,
    /// `A` normal with deviation `1/r`, `B` zero.
    Gaussian,
    /// What packing took from the weight, as far as rank `r` goes: `scale · B A` is the best approximation of
    /// `W - dequantize(quantize(W))`. The packed weight is that of bitsandbytes, so that the adapter loads onto any
    /// base packed to NF4, as with PEFT's `replace_lora_weights_loftq`.
    ///
    /// After Li et al., *LoftQ* (<https://arxiv.org/abs/2310.08659>), with one step of their alternation.
    Loftq,
}

/// Uniform numbers on `±1/√d_input`, `[rank, d_input]`.
pub(crate) fn kaiming_uniform(
    rank: usize,
    d_input: usize,
    seed: u64,
    device: &Device,
) -> Tensor<2> {
    let bound = 1.0 / (d_input as f32).sqrt();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values = (0..rank * d_input).map(|_| (2.0 * unit(&mut rng) - 1.0) * bound).collect();
    matrix(values, [rank, d_input], device)
}

/// Normal numbers of mean 0.
pub(crate) fn gaussian(shape: [usize; 2], deviation: f32, seed: u64, device: &Device) -> Tensor<2> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values = (0..shape[0] * shape[1])
        .map(|_| {
            // Box and Muller, of whose two numbers one is used; the logarithm's argument is not 0.
            let radius = (-2.0 * (1.0 - unit(&mut rng)).ln()).sqrt();
            radius * (TAU * unit(&mut rng)).cos() * deviation
        })
        .collect();
    matrix(values, shape, device)
}

/// Factors `B [m, rank]` and `A [rank, n]` whose product is close to the best approximation of this rank of
/// `matrix [m, n]`, each with the root of the singular values.
///
/// By random projection and power iteration: Halko, Martinsson, Tropp (<https://arxiv.org/abs/0909.4061>),
/// algorithm 4.4. What exceeds the shorter side of the matrix in rank is zero.
pub(crate) fn low_rank(matrix: Tensor<2>, rank: usize, seed: u64) -> (Tensor<2>, Tensor<2>) {
    const MORE: usize = 8; // directions, so that those that count are among them
    const ITERATIONS: usize = 4;
    const SWEEPS: usize = 64;

    let ([m, n], device) = (matrix.dims(), matrix.device());
    let kept = rank.min(m).min(n);
    let tried = (kept + MORE).min(m).min(n);
    let turned = matrix.clone().transpose();
    let basis = |directions: Tensor<2>| qr(directions, true).0;
    let mut left = basis(matrix.clone().matmul(gaussian([n, tried], 1.0, seed, &device)));
    for _ in 0..ITERATIONS {
        left = basis(matrix.clone().matmul(basis(turned.clone().matmul(left))));
    }
    // matrix ≈ left (matrixᵀ left)ᵀ = left Rᵀ rightᵀ, of which only R needs a decomposition of its own.
    let (right, r) = qr(turned.matmul(left.clone()), true);
    let (u, values, vt) = svd::<2, 1>(r.transpose(), SWEEPS);

    let roots = values.narrow(0, 0, kept).sqrt();
    let b = left.matmul(u.narrow(1, 0, kept)) * roots.clone().unsqueeze_dim(0);
    let a = vt.narrow(0, 0, kept).matmul(right.transpose()) * roots.unsqueeze_dim(1);
    if rank == kept {
        return (b, a);
    }
    let zeros = |shape: [usize; 2]| Tensor::zeros(shape, &device);
    let rest = rank - kept;
    (Tensor::cat(vec![b, zeros([m, rest])], 1), Tensor::cat(vec![a, zeros([rest, n])], 0))
}

/// A number from `[0, 1)`, of 24 random bits: exact in f32, so that it does not depend on rounding modes.
fn unit(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1u32 << 24) as f32
}

fn matrix(values: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaussian_numbers_have_their_mean_and_deviation() {
        let device = Device::flex();
        let values = gaussian([200, 300], 0.25, 7, &device);
        let mean = values.clone().mean().into_scalar::<f32>();
        let deviation = values.clone().square().mean().sqrt().into_scalar::<f32>();
        let beyond = values.abs().greater_elem(0.5).float().mean().into_scalar::<f32>();
        assert!(mean.abs() < 0.005, "{mean}");
        assert!((deviation - 0.25).abs() < 0.005, "{deviation}");
        assert!((beyond - 0.0455).abs() < 0.005, "beyond two deviations: {beyond}");
    }

    #[test]
    fn a_matrix_of_low_rank_is_found_again() {
        let device = Device::flex();
        for ([m, n], rank) in [([40, 24], 3), ([24, 40], 3), ([30, 30], 8)] {
            let product =
                gaussian([m, rank], 1.0, 1, &device).matmul(gaussian([rank, n], 1.0, 2, &device));
            let (b, a) = low_rank(product.clone(), rank, 3);
            assert_eq!((b.dims(), a.dims()), ([m, rank], [rank, n]));
            let off = (b.matmul(a) - product).abs().max().into_scalar::<f32>();
            assert!(off < 1e-4, "[{m}, {n}]: {off}");
        }
    }

    #[test]
    fn the_error_is_that_of_the_best_approximation() {
        // Singular values 1, 1/2, 1/3 and so on between two bases: the best error of rank r is the norm of the rest.
        let device = Device::flex();
        let basis = |seed| qr(gaussian([60, 20], 1.0, seed, &device), true).0;
        let values: Vec<f32> = (1..=20).map(|i| 1.0 / i as f32).collect();
        let best = values[6..].iter().map(|value| value * value).sum::<f32>().sqrt();
        let values = Tensor::<1>::from_floats(values.as_slice(), &device).unsqueeze_dim(0);
        let matrix = (basis(1) * values).matmul(basis(2).transpose());
        let (b, a) = low_rank(matrix.clone(), 6, 3);
        let (of_b, of_a) = (b.clone().square().sum(), a.clone().square().sum());
        let error = (b.matmul(a) - matrix).square().sum().sqrt().into_scalar::<f32>();
        assert!(error <= best * 1.01, "{error}, not {best}");
        let balance = (of_b / of_a).into_scalar::<f32>();
        assert!((balance - 1.0).abs() < 1e-3, "{balance}");
    }

    #[test]
    fn a_rank_beyond_the_matrix_is_filled_with_zeros() {
        let matrix = gaussian([3, 5], 1.0, 1, &Device::flex());
        let (b, a) = low_rank(matrix.clone(), 7, 2);
        assert_eq!((b.dims(), a.dims()), ([3, 7], [7, 5]));
        assert!((b.matmul(a) - matrix).abs().max().into_scalar::<f32>() < 1e-5);
    }
}
