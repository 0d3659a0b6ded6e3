//! Adapters in a file that people write.

use nextcart_adapters::{Bias, Init, LoraConfig, Patterns, TargetModules};
use serde::{Deserialize, Serialize};

/// [`LoraConfig`] with every field optional and no other allowed.
#[derive(Serialize, Deserialize)]
#[serde(remote = "LoraConfig", default = "LoraConfig::new", deny_unknown_fields)]
pub(super) struct LoraFields {
    rank: usize,
    alpha: f64,
    dropout: f64,
    use_rslora: bool,
    use_dora: bool,
    target_modules: TargetModules,
    #[serde(with = "pairs")]
    rank_pattern: Patterns<usize>,
    #[serde(with = "pairs")]
    alpha_pattern: Patterns<f64>,
    bias: Bias,
    init: Init,
}

/// A list of patterns and values: the order counts, and tables of TOML have none.
mod pairs {
    use super::Patterns;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize + Copy, S: Serializer>(
        patterns: &Patterns<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(patterns.iter())
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Patterns<T>, D::Error> {
        Ok(Vec::<(String, T)>::deserialize(from)?.into_iter().collect())
    }
}
