//! How fast the steps of a run are, before its model is loaded.

use burn::tensor::Device;
use nextcart_adapters::Init;
use nextcart_models::{Llama, LlamaConfig, Precision};
use nextcart_text::Sample;

use super::{DeviceFacts, Planner, StepWork};
use crate::config::SftConfig;
use crate::packing::Packing;
use crate::trainer::Trainer;

/// Blocks of the two models that are timed. What a step takes beside blocks is the same in both, and so is the last
/// block, which computes its trained places alone.
const LAYERS: [usize; 2] = [1, 3];

/// How long a step of the larger would take at the speed of large products.
const SECONDS: f64 = 0.1;

/// Steps of each; the first one prepares what the others use.
const STEPS: u64 = 4;

/// Tokens of a sample at least, below which products are small.
const FEWEST_TOKENS: usize = 64;

/// Parameters of a block, and of the embedding, at most: larger ones are halved, which changes their speed little.
const MOST_PARAMETERS: usize = 16 << 20;

impl DeviceFacts {
    /// What [`measure`](Self::measure) says, on a GPU of products in the format of the run's activations, and the speed of
    /// a few steps of a run: of models like its own, with one and three blocks of random weights. That takes about a second
    /// on a CPU, and is left out where the run does not fit in the memory, has no more than three blocks itself, so that the
    /// models would take as much as the run, has adapters in its last blocks alone, which these models lack, or has dense
    /// weights or activations in 16 bits.
    #[must_use]
    pub fn measure_for(planner: &Planner, device: &Device) -> Self {
        let facts = Self::measure_in(planner.load.activations, device);
        let plan = planner.estimate(&facts);
        let fits = plan.bytes() <= plan.available;
        let step_flops = fits.then(|| planner.step_speed(device, &facts)).flatten();
        device.clone().inner().memory_cleanup();
        Self { step_flops, ..facts }
    }
}

/// The run that is timed.
struct Probe {
    planner: Planner,
    sample: Sample,
}

impl Planner {
    /// Operations a second in steps of the run; `None` where no such model can be made.
    fn step_speed(&self, device: &Device, facts: &DeviceFacts) -> Option<f64> {
        let probe = self.probe(facts)?;
        let [few, many] = LAYERS;
        let (base, larger) = (probe.seconds(few, device)?, probe.seconds(many, device)?);
        // Noise must not make blocks free.
        let block = ((larger - base) / (many - few) as f64).max(larger / (2 * many) as f64);
        let layers = self.model.layers;
        let whole = probe.with_layers(layers);
        let seconds = base + (layers as f64 - few as f64) * block;
        Some(whole.operations().1.of(&probe.work()) / seconds)
    }

    /// A model of the run's shape, held and trained as that is.
    fn random_model(&self, device: &Device) -> Option<Llama> {
        const SEED: u64 = 0;
        let model = self.model.init(SEED, device);
        let model = if self.load.quantized { model.quantized().ok()? } else { model };
        let model = match &self.lora {
            Some(lora) => {
                model.with_adapters(&lora.clone().with_init(Init::default()), SEED).ok()?
            }
            None => model,
        };
        Some(if self.trains_base() { model.trainable() } else { model })
    }

    /// A pass as it is on average, of as many rows as there is time for.
    fn probe(&self, facts: &DeviceFacts) -> Option<Probe> {
        let StepWork { tokens, pairs, trained, .. } = self.workload.step;
        let is_plain = self.load.quantized || self.load.weights == Precision::F32;
        let is_larger = self.model.layers > LAYERS[1];
        if !is_plain || !is_larger || self.load.activations != Precision::F32 || tokens < 1.0 {
            return None;
        }
        let mut model = LlamaConfig { layers: LAYERS[1], ..self.model.clone() };
        while block_parameters(&model) > MOST_PARAMETERS {
            let LlamaConfig { heads, kv_heads, .. } = model;
            if heads % 2 + kv_heads % 2 > 0 {
                return None;
            }
            model.d_model /= 2;
            model.d_hidden /= 2;
            (model.heads, model.kv_heads) = (heads / 2, kv_heads / 2);
        }
        model.vocab = model.vocab.min(MOST_PARAMETERS / model.d_model);

        let planner = Self { model, ..self.clone() };
        let operations = planner.operations().1;
        let of_row = |seq: f64| {
            let trained = seq * trained / tokens;
            operations.of(&row(seq, trained))
        };
        let budget = SECONDS * facts.flops;
        let mut seq = (pairs / tokens).max(1.0);
        while of_row(seq) > budget && seq > 2.0 * FEWEST_TOKENS as f64 {
            seq /= 2.0;
        }
        let rows = self.workload.passes.iter().map(|shape| shape.rows).max()?;
        let rows = ((budget / of_row(seq)) as usize).clamp(1, rows);
        let seq = seq.round() as usize;
        let answer = ((seq as f64 * trained / tokens).round() as usize).clamp(1, seq);
        let ids = (0..=seq).map(|place| (place * 31 % planner.model.vocab) as u32).collect();
        let mask = (0..=seq).map(|place| place > seq - answer).collect();
        let training = SftConfig {
            max_steps: Some(STEPS),
            batch_size: rows,
            gradient_accumulation: 1,
            devices: 1,
            packing: Packing::None,
            group_by_length: false,
            learning_rate: 0.0,
            warmup_steps: 0,
            ..self.training.clone()
        };
        let sample = Sample::new(ids, mask).ok()?;
        Some(Probe { planner: Self { training, ..planner }, sample })
    }
}

impl Probe {
    fn with_layers(&self, layers: usize) -> Planner {
        let model = LlamaConfig { layers, ..self.planner.model.clone() };
        Planner { model, ..self.planner.clone() }
    }

    /// What a step computes on.
    fn work(&self) -> StepWork {
        let rows = self.planner.training.batch_size as f64;
        let seq = (self.sample.len() - 1) as f64;
        let of_row = row(seq, self.sample.trained_tokens() as f64);
        StepWork {
            tokens: rows * of_row.tokens,
            pairs: rows * of_row.pairs,
            places: rows * of_row.places,
            place_pairs: rows * of_row.place_pairs,
            trained: rows * of_row.trained,
            scored: 0.0,
        }
    }

    /// The fastest step of a model of so many blocks.
    fn seconds(&self, layers: usize, device: &Device) -> Option<f64> {
        let planner = self.with_layers(layers);
        // Adapters of the last blocks of many are in none of these.
        if !planner.trains() {
            return None;
        }
        let model = planner.random_model(device)?;
        let Planner { model: llama, training, .. } = planner;
        let samples = vec![self.sample.clone(); training.batch_size];
        let mut trainer = Trainer::new(model, &llama, training, &samples).ok()?;
        let mut fastest = None;
        while let Some(report) = trainer.step().ok()? {
            if report.step > 1 {
                fastest =
                    Some(fastest.map_or(report.seconds, |least: f64| least.min(report.seconds)));
            }
        }
        fastest
    }
}

/// A row of its own.
fn row(seq: f64, trained: f64) -> StepWork {
    StepWork {
        tokens: seq,
        pairs: seq * seq,
        places: trained,
        place_pairs: trained * seq,
        trained,
        scored: 0.0,
    }
}

fn block_parameters(model: &LlamaConfig) -> usize {
    let attention = 2 * (model.heads + model.kv_heads) * model.head_dim;
    model.d_model * (attention + 3 * model.d_hidden)
}

#[cfg(test)]
mod tests {
    use nextcart_adapters::LoraConfig;
    use nextcart_models::LoadOptions;

    use super::super::{TrainedSizes, Workload};
    use super::*;

    /// Adapters on a small model of so many blocks.
    fn planner(layers: usize) -> Planner {
        let training = SftConfig { batch_size: 2, ..SftConfig::default() };
        let samples = vec![Sample::completion(&[1; 20], &[2; 5]).unwrap(); 4];
        Planner {
            model: LlamaConfig { layers, ..LlamaConfig::tiny(64) },
            load: LoadOptions::default(),
            lora: Some(LoraConfig::new().with_rank(2)),
            trained: None,
            workload: Workload::of(&samples, &training).unwrap(),
            training,
            watch: crate::WatchConfig::default(),
            memory_limit: None,
        }
    }

    #[track_caller]
    fn check(planner: &Planner, is_timed: bool) {
        let facts = DeviceFacts::host(1 << 32, 1e9);
        let found = planner.step_speed(&Device::flex(), &facts);
        assert_eq!(found.is_some(), is_timed, "{found:?}");
        assert!(found.is_none_or(|flops| flops.is_finite() && flops > 0.0), "{found:?}");
    }

    #[test]
    fn steps_are_timed_of_models_like_the_runs_own() {
        check(&planner(4), true);
        let packed = LoadOptions { quantized: true, weights: Precision::Bf16, ..planner(4).load };
        check(&Planner { load: packed, ..planner(4) }, true);
        check(&Planner { lora: None, ..planner(4) }, true);
        let both = TrainedSizes { parameters: vec![1], of_base: true };
        check(&Planner { trained: Some(both), ..planner(4) }, true);
    }

    #[test]
    fn nothing_is_timed_where_no_model_is_like_the_runs_own() {
        check(&planner(3), false);
        let wide = LoadOptions { activations: Precision::Bf16, ..planner(4).load };
        check(&Planner { load: wide, ..planner(4) }, false);
        let dense = LoadOptions { weights: Precision::Bf16, ..planner(4).load };
        check(&Planner { load: dense, ..planner(4) }, false);
        let last = LoraConfig::new().with_target_modules(planner(4).model.last_blocks(1));
        check(&Planner { lora: Some(last), ..planner(4) }, false);
    }

    #[test]
    fn a_run_that_does_not_fit_is_not_timed() {
        let of = |planner: &Planner| DeviceFacts::measure_for(planner, &Device::flex()).step_flops;
        assert!(of(&planner(4)).is_some());
        assert!(of(&Planner { memory_limit: Some(1), ..planner(4) }).is_none());
    }
}
