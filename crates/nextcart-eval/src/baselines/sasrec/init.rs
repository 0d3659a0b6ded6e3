//! Weights at the start, from a generator of our own.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Standard deviation of all matrices, as in BERT.
const DEVIATION: f64 = 0.02;

/// Draws matrices, so that a seed means the same on every device.
pub(super) struct Init<'a> {
    rng: ChaCha8Rng,
    device: &'a Device,
}

impl<'a> Init<'a> {
    pub(super) fn new(seed: u64, device: &'a Device) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), device }
    }

    pub(super) fn device(&self) -> &'a Device {
        self.device
    }

    /// Normal values of mean 0.
    pub(super) fn matrix(&mut self, shape: [usize; 2]) -> Param<Tensor<2>> {
        let count = shape[0] * shape[1];
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            values.extend(self.normal_pair().map(|value| (value * DEVIATION) as f32));
        }
        values.truncate(count);
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device))
    }

    /// A square layer without bias at the start.
    pub(super) fn linear(&mut self, size: usize) -> Linear {
        let bias = Param::from_tensor(Tensor::zeros([size], self.device));
        Linear { weight: self.matrix([size, size]), bias: Some(bias) }
    }

    /// Two standard normal values (Box and Muller, 1958).
    fn normal_pair(&mut self) -> [f64; 2] {
        let mut unit = || (self.rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let radius = (-2.0 * (1.0 - unit()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * unit()).sin_cos();
        [radius * cos, radius * sin]
    }
}
