//! How a low-rank adapter is shaped and scaled.

use burn::config::Config;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::init::Init;
use crate::patterns::Patterns;
use crate::targets::TargetModules;

/// Configuration of the low-rank adapters of a model, named as in PEFT but for
/// `rank` (`r`), `alpha` (`lora_alpha`) and `dropout` (`lora_dropout`).
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
    /// Modules that get an adapter.
    #[config(default = "TargetModules::llama()")]
    pub target_modules: TargetModules,
    /// Ranks of some modules, where they differ from `rank`.
    #[config(default = "Patterns::default()")]
    pub rank_pattern: Patterns<usize>,
    /// Alphas of some modules, where they differ from `alpha`.
    #[config(default = "Patterns::default()")]
    pub alpha_pattern: Patterns<f64>,
    /// Which biases of the base are trained with the adapters.
    #[config(default = "Bias::None")]
    pub bias: Bias,
    /// How the factors of a fresh adapter are drawn.
    #[config(default = "Init::Kaiming")]
    pub init: Init,
}

/// Which biases of the base are trained with the adapters, as PEFT's `bias`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bias {
    /// None of them.
    #[default]
    None,
    /// All that the model has.
    All,
    /// Those of modules with an adapter.
    LoraOnly,
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

    /// The configuration of the module at this dotted path: its rank and its alpha, patterns resolved.
    #[must_use]
    pub fn at(&self, path: &str) -> Self {
        Self {
            rank: self.rank_pattern.get(path).unwrap_or(self.rank),
            alpha: self.alpha_pattern.get(path).unwrap_or(self.alpha),
            rank_pattern: Patterns::default(),
            alpha_pattern: Patterns::default(),
            ..self.clone()
        }
    }

    /// Whether the module at this dotted path gets an adapter.
    pub fn targets(&self, path: &str) -> bool {
        self.target_modules.contains(path)
    }

    /// Whether the bias of the module at this dotted path is trained, if it has one.
    pub fn trains_bias(&self, path: &str) -> bool {
        match self.bias {
            Bias::None => false,
            Bias::All => true,
            Bias::LoraOnly => self.targets(path),
        }
    }

    /// Entries of `target_modules`, `rank_pattern` and `alpha_pattern` that match none of the modules at these dotted
    /// paths, each behind the name of its field.
    pub fn unmatched<S: AsRef<str>>(&self, paths: &[S]) -> Vec<(&'static str, String)> {
        [
            ("target_modules", self.target_modules.unmatched(paths)),
            ("rank_pattern", self.rank_pattern.unmatched(paths)),
            ("alpha_pattern", self.alpha_pattern.unmatched(paths)),
        ]
        .into_iter()
        .flat_map(|(field, entries)| entries.into_iter().map(move |entry| (field, entry)))
        .collect()
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`Error::Config`] for a rank of 0, an alpha that is not a positive number, a dropout outside `[0, 1)`, and
    /// a pattern that is not a regular expression.
    pub fn validate(&self) -> Result<()> {
        let wrong = |field, expected, found| Err(Error::Config { field, expected, found });
        for (field, ranks) in [
            ("rank", vec![self.rank]),
            ("rank_pattern", self.rank_pattern.iter().map(|(_, rank)| rank).collect()),
        ] {
            if ranks.contains(&0) {
                return wrong(field, "at least 1", "0".to_owned());
            }
        }
        for (field, alphas) in [
            ("alpha", vec![self.alpha]),
            ("alpha_pattern", self.alpha_pattern.iter().map(|(_, alpha)| alpha).collect()),
        ] {
            if let Some(alpha) = alphas.iter().find(|alpha| !(alpha.is_finite() && **alpha > 0.0)) {
                return wrong(field, "a positive number", alpha.to_string());
            }
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return wrong(
                "dropout",
                "a number from 0 up to, not including, 1",
                self.dropout.to_string(),
            );
        }
        for (field, fault) in [
            ("target_modules", self.target_modules.fault()),
            ("rank_pattern", self.rank_pattern.fault()),
            ("alpha_pattern", self.alpha_pattern.fault()),
        ] {
            if let Some(pattern) = fault {
                return wrong(
                    field,
                    "a regular expression (without look-around or back-references)",
                    pattern,
                );
            }
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
    fn modules_may_have_ranks_and_alphas_of_their_own() {
        let config = LoraConfig::new()
            .with_rank(4)
            .with_rank_pattern([("q_proj", 16)].into())
            .with_alpha_pattern([(r"layers\.0\..*", 8.0)].into());
        let found = |path: &str| {
            let config = config.at(path);
            (config.rank, config.alpha)
        };
        assert_eq!(found("model.layers.0.self_attn.q_proj"), (16, 8.0));
        assert_eq!(found("model.layers.1.self_attn.q_proj"), (16, 16.0));
        assert_eq!(found("model.layers.1.self_attn.k_proj"), (4, 16.0));
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
            (good.clone().with_rank_pattern([("q_proj", 0)].into()), "rank_pattern"),
            (good.clone().with_rank_pattern([("(", 1)].into()), "rank_pattern"),
            (good.clone().with_alpha_pattern([("q_proj", -1.0)].into()), "alpha_pattern"),
            (good.clone().with_alpha_pattern([("(?=a)", 1.0)].into()), "alpha_pattern"),
            (
                good.clone().with_target_modules(TargetModules::Pattern("[".into())),
                "target_modules",
            ),
        ] {
            match bad.validate() {
                Err(Error::Config { field, .. }) => assert_eq!(field, name),
                other => panic!("{bad:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn survives_json() {
        let config = LoraConfig::new()
            .with_rank(3)
            .with_use_dora(true)
            .with_target_modules(TargetModules::AllLinear)
            .with_rank_pattern([("z", 2), ("a", 1)].into())
            .with_bias(Bias::LoraOnly)
            .with_init(Init::Gaussian);
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<LoraConfig>(&text).unwrap(), config);
    }
}
