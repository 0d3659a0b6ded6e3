//! Models with random weights.

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::assemble::{TensorSource, assemble};
use crate::config::LlamaConfig;
use crate::error::Result;
use crate::llama::Llama;

/// Standard deviation of a fresh weight, as in GPT-2 and Llama (`initializer_range`).
const DEVIATION: f64 = 0.02;

impl LlamaConfig {
    /// A model of this shape with random weights, all of them frozen
    /// ([`Llama::trainable`] makes them trainable).
    ///
    /// Weights are normal with deviation 0.02; those that write to the residual stream are smaller
    /// by `√(2 · layers)`, after Radford et al., *GPT-2*. The numbers come from a generator of our
    /// own, so that a seed means the same on every device.
    #[must_use]
    pub fn init(&self, seed: u64, device: &Device) -> Llama {
        let mut source = Random {
            rng: ChaCha8Rng::seed_from_u64(seed),
            residual: DEVIATION / (2.0 * self.layers as f64).sqrt(),
            device,
        };
        assemble(self, &mut source, device).expect("random tensors cannot fail")
    }
}

struct Random<'a> {
    rng: ChaCha8Rng,
    residual: f64,
    device: &'a Device,
}

impl TensorSource for Random<'_> {
    fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Tensor<2>> {
        let writes_residual =
            ["o_proj.weight", "down_proj.weight"].iter().any(|n| name.ends_with(n));
        let deviation = if writes_residual { self.residual } else { DEVIATION };
        let count = shape[0] * shape[1];
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            values.extend(self.normal_pair().map(|value| (value * deviation) as f32));
        }
        values.truncate(count);
        Ok(Tensor::from_data(TensorData::new(values, shape), (self.device, DType::F32)))
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Tensor<1>> {
        let value = if name.ends_with(".bias") { 0.0 } else { 1.0 };
        Ok(Tensor::full([length], value, (self.device, DType::F32)))
    }
}

impl Random<'_> {
    /// Two standard normal values (Box and Muller, 1958).
    fn normal_pair(&mut self) -> [f64; 2] {
        // 53 bits are exact in f64; the radius takes (0, 1], where the logarithm is finite.
        let mut unit = || (self.rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let radius = (-2.0 * (1.0 - unit()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * unit()).sin_cos();
        [radius * cos, radius * sin]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedding(seed: u64) -> Vec<f32> {
        let model = LlamaConfig::tiny(300).init(seed, &Device::flex());
        model.embed_tokens.val().into_data().iter::<f32>().collect()
    }

    #[test]
    fn a_seed_decides_the_weights() {
        assert_eq!(embedding(3), embedding(3));
        assert_ne!(embedding(3), embedding(4));
    }

    #[test]
    fn weights_have_the_stated_mean_and_deviation() {
        let values = embedding(1);
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let deviation = (values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / n).sqrt();
        assert!(mean.abs() < 5.0 * DEVIATION / n.sqrt(), "{mean}");
        assert!((deviation / DEVIATION - 1.0).abs() < 0.02, "{deviation}");
    }
}
