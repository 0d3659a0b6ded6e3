//! Dropout from a generator of our own: the backends' is shared by all threads of a process.

use burn::tensor::{Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Sets values to zero and scales up the others, or lets all pass.
pub(super) struct Dropout {
    rng: Option<ChaCha8Rng>,
    /// Of 65,536 values, how many become zero.
    dropped: u16,
}

impl Dropout {
    /// Lets all pass.
    pub(super) fn off() -> Self {
        Self { rng: None, dropped: 0 }
    }

    /// Drops this share, which lies in `[0, 1)`.
    pub(super) fn new(share: f64, seed: u64) -> Self {
        let dropped = (share * 65_536.0).round().min(65_535.0) as u16;
        let rng = (dropped > 0).then(|| ChaCha8Rng::seed_from_u64(seed));
        Self { rng, dropped }
    }

    pub(super) fn apply<const D: usize>(&mut self, x: Tensor<D>) -> Tensor<D> {
        let Some(rng) = &mut self.rng else { return x };
        let shape = x.dims();
        let mut bytes = vec![0; 2 * shape.iter().product::<usize>()];
        rng.fill_bytes(&mut bytes);
        let kept = 65_536.0 / (65_536.0 - f32::from(self.dropped));
        let factor = |pair: &[u8]| {
            let drawn = u16::from_le_bytes([pair[0], pair[1]]);
            if drawn < self.dropped { 0.0 } else { kept }
        };
        let factors: Vec<f32> = bytes.chunks_exact(2).map(factor).collect();
        let factors = Tensor::from_data(TensorData::new(factors, shape), &x.device());
        x * factors
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn as_many_values_fall_out_as_asked_and_the_mean_stays() {
        let ones = || Tensor::<2>::ones([200, 100], &Device::flex());
        let drop = |seed| Dropout::new(0.25, seed).apply(ones()).into_data();
        let values: Vec<f32> = drop(1).iter::<f32>().collect();
        let zeros = values.iter().filter(|value| **value == 0.0).count();
        // Four standard deviations.
        assert!(zeros.abs_diff(5000) < 250, "{zeros}");
        assert!(values.iter().all(|value| *value == 0.0 || (value - 4.0 / 3.0).abs() < 1e-6));
        assert_eq!(drop(1), drop(1));
        assert_ne!(drop(1), drop(2));
        assert_eq!(Dropout::new(0.0, 1).apply(ones()).into_data(), ones().into_data());
    }
}
