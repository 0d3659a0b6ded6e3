//! A run that is saved, resumed, and taken back to its best checkpoint.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use nextcart_models::{Llama, LlamaConfig};
use nextcart_text::Sample;

use super::{Trainer, non_finite};
use crate::checkpoint::{self, Checkpoint, Curves, Probe};
use crate::config::SftConfig;
use crate::error::{Error, Result};
use crate::loss::evaluate_loss_with;
use crate::parameters::{AnyTensor, HostTensors, trainable, with_values};

/// The quantity of an error after a step that was taken.
pub(crate) const AFTER_THE_STEP: &str = "loss after the step";

impl<'a> Trainer<'a> {
    /// Goes on from the newest whole checkpoint in `folder`.
    ///
    /// `model` is made as it was for the first start; trained values come from the checkpoint. A
    /// checkpoint that is damaged is passed over with a warning.
    ///
    /// # Errors
    /// Those of [`Trainer::new`]; [`Error::NoCheckpoint`]; [`Error::OtherRun`] if configuration
    /// (all but `checkpoints_kept`), model, adapters or samples are not those of the checkpoint; or why the
    /// newest checkpoint is damaged, if all are.
    pub fn resume(
        model: Llama,
        llama: &LlamaConfig,
        config: SftConfig,
        samples: &'a [Sample],
        folder: impl AsRef<Path>,
    ) -> Result<Self> {
        let mut trainer = Self::new(model, llama, config, samples)?;
        let checkpoint = Checkpoint::newest(folder.as_ref())?;
        let model = trainer.take_model();
        checkpoint.check_parameters(&trainable(&model))?;
        checkpoint.check_run(&trainer.run)?;

        let Checkpoint { path, state, parameters, moments } = checkpoint;
        let device = model.device().inner();
        trainer.put_model(with_values(model, on_device(parameters, &device)));
        trainer.optimizer.restore(state.step, moments, &device);
        trainer.losses = state.losses();
        trainer.evaluations = state.evaluations();
        state.probe.check(&path, trainer.probe()?)?;
        Ok(trainer)
    }

    /// Writes `folder/checkpoint-<step>` and deletes the oldest beyond
    /// [`checkpoints_kept`](SftConfig::checkpoints_kept), but for the best of those that were
    /// [evaluated](Self::evaluate).
    ///
    /// The checkpoint appears under its name when it is whole and on the disk; one of the same step that is there
    /// already gives way only then, so that a process that dies leaves one of them. It holds the trained parameters
    /// and the optimiser's moments as safetensors and everything else in `state.json`, which also names the size and
    /// the SHA-256 of both files, and its own. Frozen weights are not in it.
    ///
    /// # Errors
    /// If a file cannot be written; [`Error::NonFinite`] if the loss of the sample that identifies the
    /// model, the shortest, is not finite.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<PathBuf> {
        let parameters = trainable(self.model_ref());
        let parameters = parameters.iter().map(|(path, value)| (path.clone(), value.to_host()));
        checkpoint::save(
            folder.as_ref(),
            &self.run,
            self.optimizer.steps(),
            self.probe()?,
            Curves { losses: &self.losses, evaluations: &self.evaluations },
            &parameters.collect(),
            &self.optimizer.to_host(),
        )
    }

    /// Notes the evaluations so far in the checkpoint that this step has already, or else writes one.
    pub(crate) fn save_evaluations(&self, folder: &Path) -> Result<PathBuf> {
        let curves = Curves { losses: &self.losses, evaluations: &self.evaluations };
        match checkpoint::renew(folder, &self.run, self.steps(), self.probe()?, curves)? {
            Some(path) => Ok(path),
            None => self.save(folder),
        }
    }

    /// Ends the run with the trained values of the [best checkpoint](crate::best_checkpoint) in `folder`.
    ///
    /// # Errors
    /// [`Error::NoCheckpoint`] if no whole checkpoint was evaluated; [`Error::OtherRun`].
    pub fn into_best_model(mut self, folder: impl AsRef<Path>) -> Result<Llama> {
        let checkpoint = Checkpoint::best(folder.as_ref())?;
        let model = self.take_model();
        checkpoint.check_parameters(&trainable(&model))?;
        checkpoint.check_run(&self.run)?;
        let device = model.device().inner();
        Ok(with_values(model, on_device(checkpoint.parameters, &device)).valid())
    }

    /// The loss of the shortest sample, which tells the whole model from another, frozen weights and
    /// scales included, for the price of one small forward pass.
    fn probe(&self) -> Result<Probe> {
        let shortest = (0..self.samples.len()).min_by_key(|&index| self.samples[index].len());
        let sample = shortest.ok_or(Error::NoSamples)?;
        let samples = &self.samples[sample..=sample];
        let rows = self.run.config.loss_rows;
        match evaluate_loss_with(self.model_ref(), &self.run.model, samples, 1, rows) {
            Err(Error::NonFiniteEvaluation { .. }) => {
                Err(non_finite(AFTER_THE_STEP, self.steps(), vec![sample], &self.last))
            }
            loss => Ok(Probe { sample, loss: loss? }),
        }
    }
}

fn on_device(values: HostTensors, device: &Device) -> BTreeMap<String, AnyTensor> {
    values.into_iter().map(|(path, data)| (path, AnyTensor::from_host(data, device))).collect()
}
