//! How the factors of a fresh adapter are drawn.
//!
//! The numbers come from a generator of our own, so that a seed means the same on every device.

use std::f32::consts::TAU;

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// How the factors of a fresh adapter are drawn, PEFT's `init_lora_weights`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Init {
    /// `A` uniform on `±1/√d_input`, `B` zero: PEFT's default, `kaiming_uniform_(a = √5)`.
    #[default]
    Kaiming,
    /// `A` normal with deviation `1/r`, `B` zero.
    Gaussian,
    /// What packing took from the weight `W`, as far as rank `r` goes: `scale · B A` is the best approximation of
    /// `W - Q` with `Q = dequantize(quantize(W))`. The codes of `Q` are those of bitsandbytes, its absmax values nearly
    /// so ([`nf4`](crate::nf4)): the adapter loads onto any base packed to NF4, as with PEFT's
    /// `replace_lora_weights_loftq`.
    ///
    /// It belongs on packed weights. [Merged](crate::MergeOnto::Original) onto `W`, or loaded beside it, it adds what
    /// packing took a second time: `2 W - Q` at the start.
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

/// A number from `[0, 1)`, of 24 random bits: exact in f32, so that it does not depend on rounding modes.
fn unit(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1u32 << 24) as f32
}

fn matrix(values: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
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
}
