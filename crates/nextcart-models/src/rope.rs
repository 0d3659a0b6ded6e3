//! Positions as rotations of queries and keys.

use burn::tensor::{DType, Device, Tensor, TensorData};
use nextcart_kernels::rotate_heads;

use crate::config::LlamaConfig;

/// Rotary position embedding in Hugging Face's half-split pairing.
///
/// `R(x) = x · cos(p θ_i) + rotate_half(x) · sin(p θ_i)` with `θ_i = theta^(-2i / head_dim)`, after
/// Su et al., *RoFormer* (<https://arxiv.org/abs/2104.09864>); `θ_i` is scaled where the model was
/// stretched to longer texts ([`RopeScaling`](crate::RopeScaling)).
#[derive(Debug, Clone)]
pub struct RotaryEmbedding {
    cos: Tensor<4>, // [batch, 1, seq, head_dim]
    sin: Tensor<4>, // [batch, 1, seq, head_dim]
}

impl RotaryEmbedding {
    /// Tables for the given positions, `positions[batch][seq]`, computed in f64.
    #[must_use]
    pub fn new(positions: &[Vec<usize>], config: &LlamaConfig, device: &Device) -> Self {
        let half = config.head_dim / 2;
        let frequencies: Vec<f64> = (0..half)
            .map(|i| config.rope_theta.powf(-2.0 * i as f64 / config.head_dim as f64))
            .map(|frequency| {
                config.rope_scaling.map_or(frequency, |scaling| scaling.apply(frequency))
            })
            .collect();
        let batch = positions.len();
        let seq = positions.first().map_or(0, Vec::len);
        let mut cos = Vec::with_capacity(batch * seq * config.head_dim);
        let mut sin = Vec::with_capacity(batch * seq * config.head_dim);
        for &position in positions.iter().flatten() {
            let angles = frequencies.iter().map(|f| (position as f64 * f).sin_cos());
            let (sines, cosines): (Vec<f32>, Vec<f32>) =
                angles.map(|(s, c)| (s as f32, c as f32)).unzip();
            // Both halves of a head turn by the same angles.
            for _ in 0..2 {
                cos.extend_from_slice(&cosines);
                sin.extend_from_slice(&sines);
            }
        }
        let shape = [batch, 1, seq, config.head_dim];
        Self {
            cos: Tensor::from_data(TensorData::new(cos, shape), (device, DType::F32)),
            sin: Tensor::from_data(TensorData::new(sin, shape), (device, DType::F32)),
        }
    }

    /// Splits heads and turns each by its position.
    ///
    /// # Shapes
    /// - `x`: `[batch, seq, heads · head_dim]`
    /// - output: `[batch, heads, seq, head_dim]`
    #[must_use]
    pub fn forward(&self, x: Tensor<3>) -> Tensor<4> {
        rotate_heads(x, self.cos.clone(), self.sin.clone())
    }

    pub(crate) fn map(&self, f: impl Fn(Tensor<4>) -> Tensor<4>) -> Self {
        Self { cos: f(self.cos.clone()), sin: f(self.sin.clone()) }
    }
}
