//! A training run.

mod checkpoints;
mod report;

use std::time::Instant;

use burn::module::Module;
use nextcart_models::{Llama, LlamaConfig};
use nextcart_text::Sample;
use rand_chacha::rand_core::Rng;
use tracing::warn;

use crate::batch::{Batch, positions};
use crate::check::{TRAINING, check_packing, check_samples};
use crate::checkpoint::Identity;
use crate::config::SftConfig;
use crate::error::{Error, Result};
use crate::gradients::shared_loss_and_gradients;
use crate::loss::evaluate_loss_with;
use crate::optimizer::AdamW;
use crate::packing::passes;
use crate::parameters::is_trainable;
use crate::pass::PassOptions;
use crate::plan::StepWork;
use crate::random::{Use, generator};
use crate::replicas::Replicas;
use crate::sampler::Sampler;

pub(crate) use checkpoints::AFTER_THE_STEP;
pub use report::StepReport;

/// A training run: a model, its optimiser and a place in the samples.
///
/// What trains is what takes gradients: adapters after
/// [`Llama::with_adapters`](nextcart_models::Llama::with_adapters), every weight after
/// [`Llama::trainable`](nextcart_models::Llama::trainable). Frozen weights get no gradient and none is
/// computed.
///
/// The caller writes the loop and so decides when to report, save or stop; see the example at the
/// top of this crate. A run depends on its model, configuration and samples alone. Stopped after any
/// step and [resumed](Self::resume) on the same machine, it ends with the same bits. Dropout draws
/// from the device's generator, seeded anew for every block of every pass; where a backend has one generator
/// for the whole process, as burn's CPU backend has, two runs with dropout must not share a process
/// at one time.
#[derive(Debug)]
pub struct Trainer<'a> {
    model: Option<Llama>, // always there, but for the moment of an update
    replicas: Replicas,
    run: Identity,
    samples: &'a [Sample],
    sampler: Sampler<'a>,
    optimizer: AdamW,
    total_steps: u64,
    losses: Vec<(u64, f64)>,
    evaluations: Vec<(u64, f64)>,
    /// Samples of the step that was taken last; none of one before a resume.
    last: Vec<usize>,
}

impl<'a> Trainer<'a> {
    /// A run at its start. A model that is not on an autodiff device is put on one, and adapters that were switched off or
    /// merged take part again.
    ///
    /// # Errors
    /// If the configuration does not validate, there are no samples, one has a token that the model
    /// does not know or is longer than a packed row, nothing is trainable, or there are fewer
    /// [`devices`](SftConfig::devices).
    pub fn new(
        model: Llama,
        llama: &LlamaConfig,
        config: SftConfig,
        samples: &'a [Sample],
    ) -> Result<Self> {
        let optimizer = AdamW::new(&config)?;
        check_samples(samples, llama, TRAINING)?;
        check_packing(samples, config.packing)?;
        let (limit, count) = (llama.max_position_embeddings, too_long(samples, llama));
        if count > 0 {
            warn!(count, limit, "samples are longer than the texts that the model was made for");
        }
        let sampler = Sampler::new(&config, samples);
        let total_steps = config.total_steps(sampler.steps_per_epoch())?;
        // What an evaluation switched off or merged takes part again; to a model in training, this does nothing.
        let model = with_adapters_on(model).train();
        if !is_trainable(&model) {
            return Err(Error::NothingTrainable);
        }
        let replicas = Replicas::new(&model, config.devices)?;
        let run = Identity::new(config, llama.clone(), &model, samples);
        Ok(Self {
            model: Some(model),
            replicas,
            run,
            samples,
            sampler,
            optimizer,
            total_steps,
            losses: Vec::new(),
            evaluations: Vec::new(),
            last: Vec::new(),
        })
    }

    /// The next step, with the samples that its place in the run calls for; `None` after the last.
    ///
    /// # Errors
    /// [`Error::NonFinite`]; the run is then as it was before.
    pub fn step(&mut self) -> Result<Option<StepReport>> {
        if self.optimizer.steps() >= self.total_steps {
            return Ok(None);
        }
        let indices = self.sampler.samples_of(self.optimizer.steps()).to_vec();
        self.step_on(&indices).map(Some)
    }

    /// A step with samples of the caller's choice instead, in as many passes of
    /// [`batch_size`](SftConfig::batch_size), or of packed rows, as they take.
    ///
    /// It counts as a step of the run: the next [`step`](Self::step) goes on with the place after it.
    ///
    /// # Errors
    /// As [`step`](Self::step), and if there is no index or one names no sample.
    pub fn step_on(&mut self, indices: &[usize]) -> Result<StepReport> {
        let started = Instant::now();
        self.check_indices(indices)?;
        let (samples, done) = (self.samples, self.optimizer.steps());
        let config = &self.run.config;
        let passes = passes(samples, indices, config);
        let options = PassOptions {
            checkpointing: config.checkpointing,
            loss_rows: config.loss_rows,
            dropout_seed: generator(config.seed, Use::Dropout, done).next_u64(),
        };
        let models = self.replicas.with(self.model_ref());
        let batches = passes.iter().enumerate().map(|(place, rows)| {
            let device = models[place % models.len()].device();
            let of_row = |row: &Vec<usize>| row.iter().map(|&index| &samples[index]).collect();
            let rows: Vec<Vec<&Sample>> = rows.iter().map(of_row).collect();
            Batch::packed(&rows, &self.run.model, &device)
        });
        let chosen = indices.iter().map(|&index| &samples[index]);
        let trained_tokens = chosen.clone().map(Sample::weight).sum();
        let tokens = chosen.map(Sample::len).sum();
        let pass = shared_loss_and_gradients(&models, batches, trained_tokens, options);
        let bad = pass.loss_sums.iter().position(|sum| !sum.is_finite());
        if let Some(batch) = bad {
            let samples = self.culprits(&passes[batch].concat());
            return Err(non_finite("loss", done + 1, samples, indices));
        }
        let gradient_norm = pass.gradients.norm();
        if !gradient_norm.is_finite() {
            let samples = passes.concat().concat();
            return Err(non_finite("gradient norm", done + 1, samples, indices));
        }

        // As precise as the sums are, and what a checkpoint's JSON gives back exactly.
        let loss = f64::from(pass.loss() as f32);
        let gradients = match config.max_grad_norm {
            Some(limit) => pass.gradients.clipped(gradient_norm, limit),
            None => pass.gradients,
        };
        let learning_rate = config.learning_rate_at(done, self.total_steps);
        let model = self.take_model();
        let model = self.optimizer.step(model, gradients, learning_rate);
        self.put_model(model);
        self.losses.push((done + 1, loss));
        self.last = indices.to_vec();
        Ok(StepReport {
            step: done + 1,
            total_steps: self.total_steps,
            epoch: self.sampler.epochs(done + 1),
            loss,
            learning_rate,
            gradient_norm,
            samples: indices.len(),
            trained_tokens,
            tokens,
            work: StepWork::of(samples, &passes),
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Mean loss of samples that the run does not train on, in nats per trained token, choice, or purchase of a
    /// contrast, with dropout off; noted for this step, so that [`save`](Self::save) keeps the best checkpoint.
    ///
    /// # Errors
    /// Those of [`evaluate_loss`](crate::evaluate_loss).
    pub fn evaluate(&mut self, held_out: &[Sample], batch_size: usize) -> Result<f64> {
        let loss = self.loss_of(held_out, batch_size)?;
        self.note_evaluation(loss);
        Ok(loss)
    }

    /// The same, not noted.
    pub(crate) fn loss_of(&self, samples: &[Sample], batch_size: usize) -> Result<f64> {
        let rows = self.run.config.loss_rows;
        let loss =
            evaluate_loss_with(self.model_ref(), &self.run.model, samples, batch_size, rows)?;
        Ok(f64::from(loss as f32)) // what a checkpoint gives back
    }

    pub(crate) fn note_evaluation(&mut self, loss: f64) {
        let step = self.steps();
        self.evaluations.retain(|(seen, _)| *seen != step);
        self.evaluations.push((step, loss));
    }

    /// The model as it stands, off the autodiff graph and with dropout off: to evaluate it, to
    /// generate with it or to save it. It shares its tensors with the run.
    #[must_use]
    pub fn model(&self) -> Llama {
        self.model_ref().valid()
    }

    /// Ends the run with its model, as [`model`](Self::model) gives it.
    #[must_use]
    pub fn into_model(self) -> Llama {
        self.model()
    }

    /// Steps taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.optimizer.steps()
    }

    /// Steps of the whole run.
    #[must_use]
    pub fn total_steps(&self) -> u64 {
        self.total_steps
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &SftConfig {
        &self.run.config
    }

    /// Step and loss of every step from the start of the run, also after it was resumed.
    #[must_use]
    pub fn losses(&self) -> &[(u64, f64)] {
        &self.losses
    }

    /// Step and loss of every [evaluation](Self::evaluate), also after the run was resumed.
    #[must_use]
    pub fn evaluations(&self) -> &[(u64, f64)] {
        &self.evaluations
    }

    /// Steps of a pass over all samples.
    pub(crate) fn steps_per_epoch(&self) -> u64 {
        self.sampler.steps_per_epoch()
    }

    /// Epochs done, in parts.
    pub(crate) fn epochs(&mut self) -> f64 {
        self.sampler.epochs(self.optimizer.steps())
    }

    /// There must be indices, each of a sample.
    fn check_indices(&self, indices: &[usize]) -> Result<()> {
        let samples = self.samples.len();
        if indices.is_empty() {
            return Err(Error::NoSamples);
        }
        match indices.iter().find(|&&index| index >= samples) {
            Some(&index) => Err(Error::SampleIndex { samples, index }),
            None => Ok(()),
        }
    }

    /// The samples of a batch whose own loss is not finite, or all if each alone is fine.
    fn culprits(&self, batch: &[usize]) -> Vec<usize> {
        let model = self.model();
        let is_bad = |&index: &usize| {
            let (sample, rows) = (&self.samples[index..=index], self.run.config.loss_rows);
            evaluate_loss_with(&model, &self.run.model, sample, 1, rows).is_err()
        };
        let found: Vec<usize> = batch.iter().copied().filter(is_bad).collect();
        if found.is_empty() { batch.to_vec() } else { found }
    }

    /// The model as it trains.
    pub(crate) fn model_ref(&self) -> &Llama {
        self.model.as_ref().expect("the model is only away during an update")
    }

    fn put_model(&mut self, model: Llama) {
        self.replicas.follow(&model);
        self.model = Some(model);
    }

    fn take_model(&mut self) -> Llama {
        self.model.take().expect("the model is only away during an update")
    }
}

/// The model with its adapters switched on, each beside its weight.
fn with_adapters_on(model: Llama) -> Llama {
    let model = model.map_projections(|_, mut projection| {
        projection.set_adapter_enabled(true); // unmerges as well
        Ok(projection)
    });
    model.expect("switching cannot fail")
}

fn non_finite(quantity: &'static str, step: u64, samples: Vec<usize>, batch: &[usize]) -> Error {
    Error::NonFinite { quantity, step, samples, batch: batch.to_vec(), checkpoint: None }
}

/// Number of samples that go on behind the last position that the model was made for.
fn too_long(samples: &[Sample], llama: &LlamaConfig) -> usize {
    let limit = llama.max_position_embeddings;
    samples.iter().filter(|sample| positions(sample) > limit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_as_long_as_its_longest_option_makes_it() {
        let llama = LlamaConfig { max_position_embeddings: 6, ..LlamaConfig::tiny(16) };
        let prompt = [1, 2, 3, 4];
        let fits = Sample::choice(&prompt, &[&[5, 6], &[7, 8], &[9, 10]], 0).unwrap();
        let longer = Sample::choice(&prompt, &[&[5, 6], &[7, 8, 9]], 0).unwrap();
        let text = Sample::text(&[1; 7]).unwrap();
        assert_eq!(fits.len(), 10);
        assert_eq!([fits, longer, text].map(|sample| too_long(&[sample], &llama)), [0, 1, 1]);
    }
}
