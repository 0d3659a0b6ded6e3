//! How a low-rank adapter is shaped and scaled.

use burn::config::Config;

use crate::error::{Error, Result};

/// Configuration of the low-rank adapters of a model, named as in PEFT.
#[derive(Config, Debug, PartialEq)]
pub struct LoraConfig {
    /// Rank `r` of the update.
    #[config(default = 8)]
    pub rank: usize,
    /// Numerator of the scale.
    #[config(default = 16.0)]
    pub alpha: f64,
    /// Share of the adapter's inputs set to zero in training, in `[0, 1)`.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Whether the scale is `alpha / sqrt(r)` (rsLoRA) instead of `alpha / r`.
    #[config(default = false)]
    pub use_rslora: bool,
    /// Whether row norms are trained apart from directions (DoRA).
    #[config(default = false)]
    pub use_dora: bool,
    /// Modules that get an adapter: the last segments of their paths.
    #[config(default = "llama_projections()")]
    pub target_modules: Vec<String>,
}

/// The seven projections of a Llama block.
fn llama_projections() -> Vec<String> {
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        .map(String::from)
        .to_vec()
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl LoraConfig {
    /// Factor of the update: `alpha / r`, or `alpha / sqrt(r)` with rsLoRA
    /// (Kalajdzievski, <https://arxiv.org/abs/2312.03732>).
    pub fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }

    /// Whether the module at this dotted path gets an adapter.
    ///
    /// As in PEFT, a target is the whole path or its last segments: `q_proj` and
    /// `self_attn.q_proj` both match `model.layers.0.self_attn.q_proj`.
    pub fn targets(&self, path: &str) -> bool {
        self.target_modules.iter().any(|target| {
            path.strip_suffix(target.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`Error::Config`] for a rank of 0, an alpha that is not a positive number and a dropout
    /// outside `[0, 1)`.
    pub fn validate(&self) -> Result<()> {
        let wrong = |field, expected, found| Err(Error::Config { field, expected, found });
        if self.rank == 0 {
            return wrong("rank", "at least 1", self.rank.to_string());
        }
        if !(self.alpha.is_finite() && self.alpha > 0.0) {
            return wrong("alpha", "a positive number", self.alpha.to_string());
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return wrong(
                "dropout",
                "a number from 0 up to, not including, 1",
                self.dropout.to_string(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_by_rank_or_by_its_root() {
        let config = LoraConfig::new().with_rank(16).with_alpha(32.0);
        assert_eq!(config.scale(), 2.0);
        assert_eq!(config.with_use_rslora(true).scale(), 8.0);
    }

    #[test]
    fn targets_match_whole_trailing_segments() {
        let config =
            LoraConfig::new().with_target_modules(vec!["q_proj".into(), "mlp.up_proj".into()]);
        for (path, expected) in [
            ("q_proj", true),
            ("model.layers.0.self_attn.q_proj", true),
            ("model.layers.0.self_attn.xq_proj", false),
            ("model.layers.0.mlp.up_proj", true),
            ("model.layers.0.other.up_proj", false),
            ("q_proj.inner", false),
        ] {
            assert_eq!(config.targets(path), expected, "{path}");
        }
    }

    #[test]
    fn rejects_values_without_sense() {
        let good = LoraConfig::new();
        assert!(good.validate().is_ok());
        for (bad, name) in [
            (good.clone().with_rank(0), "rank"),
            (good.clone().with_alpha(-1.0), "alpha"),
            (good.clone().with_alpha(0.0), "alpha"),
            (good.clone().with_alpha(f64::NAN), "alpha"),
            (good.clone().with_dropout(1.0), "dropout"),
            (good.clone().with_dropout(-0.1), "dropout"),
            (good.clone().with_dropout(f64::NAN), "dropout"),
        ] {
            match bad.validate() {
                Err(Error::Config { field, .. }) => assert_eq!(field, name),
                other => panic!("{bad:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn survives_json() {
        let config = LoraConfig::new().with_rank(3).with_use_dora(true);
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<LoraConfig>(&text).unwrap(), config);
    }
}
