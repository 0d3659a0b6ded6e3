//! Rotary frequencies for texts longer than those of pre-training.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

/// How a model's rotary frequencies were stretched after pre-training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rope_type", rename_all = "lowercase")]
pub enum RopeScaling {
    /// All frequencies divided by `factor`: position interpolation
    /// (Chen et al., <https://arxiv.org/abs/2306.15595>).
    Linear {
        /// How many times longer texts may be, at least 1.
        factor: f64,
    },
    /// Low frequencies divided by `factor`, high ones kept, those between blended, as Llama 3.1 does
    /// (<https://arxiv.org/abs/2407.21783>, section 3.4.1).
    Llama3 {
        /// How many times longer texts may be, at least 1.
        factor: f64,
        /// Wavelengths above the original length over this are divided in full.
        low_freq_factor: f64,
        /// Wavelengths below the original length over this are kept.
        high_freq_factor: f64,
        /// Longest text of pre-training, in tokens.
        original_max_position_embeddings: usize,
    },
}

impl RopeScaling {
    /// The frequency used in place of this one, in radians a position.
    pub(crate) fn apply(self, frequency: f64) -> f64 {
        match self {
            Self::Linear { factor } => frequency / factor,
            Self::Llama3 {
                factor,
                low_freq_factor: low,
                high_freq_factor: high,
                original_max_position_embeddings: original,
            } => {
                // Turns within a text of the original length.
                let turns = original as f64 * frequency / TAU;
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                (1.0 - kept) * frequency / factor + kept * frequency
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama3_keeps_high_frequencies_divides_low_ones_and_blends_between() {
        let scaling = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192,
        };
        assert_eq!(scaling.apply(1.0), 1.0);
        assert_eq!(scaling.apply(1e-6), 1e-6 / 8.0);
        let middle = 2.5 * TAU / 8192.0; // two and a half turns: half way
        assert!((scaling.apply(middle) - middle * (0.5 / 8.0 + 0.5)).abs() < 1e-12);
    }
}
