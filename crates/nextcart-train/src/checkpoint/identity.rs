//! What makes two runs the same.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::DType;
use nextcart_adapters::Base;
use nextcart_models::{Llama, LlamaConfig};
use nextcart_text::{Sample, digest};
use serde::{Deserialize, Serialize};

use crate::config::SftConfig;
use crate::difference::{Difference, differences};
use crate::error::{Error, Result};

/// What makes two runs the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) config: SftConfig,
    pub(crate) model: LlamaConfig,
    /// What its blocks compute in; some checkpoints do not say.
    #[serde(default)]
    activations: Option<String>,
    samples: SampleDigest,
    /// What shapes and values of parameters do not tell, by module path.
    projections: BTreeMap<String, ProjectionFacts>,
}

/// How a projection is held and adapted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProjectionFacts {
    /// `nf4` if it is packed, or the type of its weight.
    base: String,
    /// Factor of its adapter.
    scale: Option<f64>,
    /// Share of the adapter's inputs that are dropped.
    dropout: Option<f64>,
}

impl ProjectionFacts {
    /// Those of all projections inside the blocks.
    fn of(model: &Llama) -> BTreeMap<String, Self> {
        let facts = |(path, projection): (String, &nextcart_adapters::Projection)| {
            let base = match projection.base() {
                Base::Nf4(_) => "nf4".to_owned(),
                _ => named(projection.weight().dtype()),
            };
            let adapter = projection.adapter();
            let (scale, dropout) = (adapter.map(|a| a.scale()), adapter.map(|a| a.dropout()));
            (path, Self { base, scale, dropout })
        };
        model.projections().into_iter().map(facts).collect()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SampleDigest {
    count: usize,
    sha256: String,
}

/// The loss of one sample, without dropout.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Probe {
    pub(crate) sample: usize,
    pub(crate) loss: f64,
}

impl Identity {
    pub(crate) fn new(
        config: SftConfig,
        llama: LlamaConfig,
        model: &Llama,
        samples: &[Sample],
    ) -> Self {
        Self {
            config,
            model: llama,
            activations: Some(named(model.activations())),
            samples: SampleDigest { count: samples.len(), sha256: digest(samples) },
            projections: ProjectionFacts::of(model),
        }
    }

    /// This run, from a checkpoint, must be `current` but for what changes no parameter.
    pub(crate) fn check(&self, current: &Self, path: &Path) -> Result<()> {
        let json = |source| Error::Json { path: path.to_owned(), source };
        let mut found = self.clone();
        found.config.checkpoints_kept = current.config.checkpoints_kept;
        found.activations = found.activations.or_else(|| current.activations.clone());
        // Through text and back as well, because JSON may change the last bit of a float.
        let text = serde_json::to_string(current).map_err(json)?;
        let current: Self = serde_json::from_str(&text).map_err(json)?;
        let value = |run: &Self| serde_json::to_value(run).map_err(json);
        match differences(&value(&current)?, &value(&found)?).into_iter().next() {
            Some(Difference { field, before, now }) => {
                let path = path.to_owned();
                Err(Error::OtherRun { path, field, expected: now, found: before })
            }
            None => Ok(()),
        }
    }
}

impl Probe {
    /// Relative difference up to which a loss counts as the same. Another device, or another number
    /// of threads, moves it in the sixth digit; another model in the first.
    const TOLERANCE: f64 = 1e-3;

    /// The model must have the loss that it had when the checkpoint was written.
    pub(crate) fn check(&self, path: &Path, current: Self) -> Result<()> {
        let bound = Self::TOLERANCE * self.loss.abs().max(1.0);
        if self.sample == current.sample && (self.loss - current.loss).abs() <= bound {
            return Ok(());
        }
        Err(Error::OtherRun {
            path: path.to_owned(),
            field: format!("loss of sample {}", self.sample),
            expected: current.loss.to_string(),
            found: self.loss.to_string(),
        })
    }
}

fn named(dtype: DType) -> String {
    format!("{dtype:?}").to_lowercase()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A run of a tiny model with this rate.
    pub(in super::super) fn run(learning_rate: f64) -> Identity {
        let samples = [Sample::text(&[1, 2]).unwrap()];
        let config = SftConfig { learning_rate, ..SftConfig::default() };
        let llama = LlamaConfig {
            layers: 1,
            d_model: 8,
            d_hidden: 8,
            heads: 1,
            kv_heads: 1,
            head_dim: 8,
            ..LlamaConfig::tiny(8)
        };
        let model = llama.init(1, &burn::tensor::Device::flex());
        Identity::new(config, llama, &model, &samples)
    }

    /// Whether a run with one rate goes on from a checkpoint with another.
    fn matches(saved: f64, current: f64) -> bool {
        let text = serde_json::to_string(&run(saved)).unwrap();
        let saved: Identity = serde_json::from_str(&text).unwrap();
        saved.check(&run(current), Path::new("checkpoint-1")).is_ok()
    }

    #[test]
    fn a_run_equals_itself_whatever_its_floats_look_like_in_json() {
        for number in 1..200 {
            let rate = 1.0 / f64::from(number) / 3e5;
            assert!(matches(rate, rate), "{rate}");
            assert!(!matches(rate, rate * (1.0 + 1e-9)), "{rate}");
        }
    }

    #[test]
    fn blocks_that_compute_in_another_type_are_of_another_run() {
        let (saved, mut current) = (run(1e-4), run(1e-4));
        current.activations = Some("bf16".to_owned());
        let refused = |saved: &Identity| saved.check(&current, Path::new("checkpoint-1"));
        match refused(&saved) {
            Err(Error::OtherRun { field, expected, found, .. }) => {
                assert_eq!([field, expected, found], ["activations", "\"bf16\"", "\"f32\""]);
            }
            other => panic!("expected a refusal, got {other:?}"),
        }
        assert!(refused(&Identity { activations: None, ..saved }).is_ok());
    }
}
