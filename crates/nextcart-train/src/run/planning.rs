//! Planning a run before it begins, and holding the plan against what came.

use std::path::Path;

use burn::tensor::Device;
use nextcart_models::{Checkpoint, LlamaConfig};
use nextcart_text::Sample;
use tracing::info;

use super::lock::Lock;
use super::memory::{device_memory, peak_memory};
use super::{Run, RunRecord, StepMetrics, Trained};
use crate::check::{HELD_OUT, TRAINING, check_list};
use crate::checkpoint::newest_checkpoint;
use crate::config::wrong;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::plan::{DeviceFacts, Pace, Plan, PlanOutcome, Planner, Workload};
use crate::replicas::beside;
use crate::run_config::RunConfig;
use crate::trainer::StepReport;
use crate::watch::Every;

impl RunConfig {
    /// The run of this configuration to be planned, for a checkpoint: projections that it holds packed are planned so,
    /// whatever the configuration says.
    ///
    /// # Errors
    /// Those of [`planner`](Self::planner).
    pub fn planner_for(
        &self,
        checkpoint: &Checkpoint,
        samples: &[Sample],
        held_out: &[Sample],
    ) -> Result<Planner> {
        let mut planner = self.planner(checkpoint.config(), samples, held_out)?;
        planner.load.quantized |= checkpoint.is_quantized();
        Ok(planner)
    }

    /// The run of this configuration to be planned, for a model of a shape that is held as it says.
    ///
    /// # Errors
    /// What keeps such a run from starting, as far as it can be known without the model: those of
    /// [`validate`](Self::validate) and [`Workload::of`], [`Error::Config`] for a patience, or evaluations at other times
    /// than each epoch, without held-out samples, [`Error::Token`] for a sample of either list, [`Error::Mixed`], and
    /// [`Error::Model`] for adapters that none of its modules gets, or entries that match none.
    pub fn planner(
        &self,
        model: &LlamaConfig,
        samples: &[Sample],
        held_out: &[Sample],
    ) -> Result<Planner> {
        self.validate()?;
        let workload = Workload::of(samples, &self.training)?
            .with_evaluation(held_out, self.watch.evaluation_batch);
        self.watch.check_patience(held_out)?;
        if held_out.is_empty() && self.watch.evaluate != Every::default() {
            let expected = "its default, as there are no held-out samples to evaluate";
            return Err(wrong("watch", "evaluate", expected, format!("{:?}", self.watch.evaluate)));
        }
        check_list(samples, model, TRAINING)?;
        check_list(held_out, model, HELD_OUT)?;
        model.check_entries(&self.lora).map_err(|error| self.model.error(error))?;
        Ok(Planner::new(self, model, workload))
    }
}

impl<'a> Run<'a> {
    /// The run of a configuration, in a folder: checked and planned before anything is allocated, then loaded and
    /// [opened](Self::open).
    ///
    /// # Errors
    /// Before a weight is read, [`Error::Config`] also where there are fewer devices, [`Error::Locked`], those of
    /// [`RunConfig::planner`], [`Error::OtherRun`] if the folder holds checkpoints and its record is of another run,
    /// [`Error::DoesNotFit`] with the settings that would, of a run that goes on only those that may change, and
    /// [`Error::NoRoom`] where the disk does not take its checkpoints; then those of [`RunConfig::load`] and [`Run::open`].
    pub fn start(
        folder: impl AsRef<Path>,
        config: &RunConfig,
        checkpoint: &Checkpoint,
        device: &Device,
        (samples, held_out): (&'a [Sample], &'a [Sample]),
    ) -> Result<Self> {
        config.validate()?;
        beside(device, config.training.devices)?;
        let (folder, llama) = (folder.as_ref(), checkpoint.config());
        let lock = Lock::if_there(folder)?;
        let planner = config.planner_for(checkpoint, samples, held_out)?;
        let has_begun = newest_checkpoint(folder)?.is_some();
        if has_begun {
            let settings = (&config.training, &config.watch, Some(config));
            let model = (llama, Trained::Adapters);
            RunRecord::new(folder, settings, model, (samples, held_out), device)?.check(folder)?;
        }
        let plan = planner.fit(&DeviceFacts::measure_for(&planner, device), has_begun)?;
        planner.check_disk(folder, &[])?;
        let model = config.load(checkpoint, device)?;
        let training = config.training.clone();
        let run = Self::open_locked((folder, lock), model, llama, training, samples)?;
        Ok(run.with_config(config.clone()).with_held_out(held_out).with_plan(plan))
    }

    /// The plan that was given, or one for the model in hand, which is already there.
    pub(super) fn planned(&mut self) -> Result<Plan> {
        let plan = match self.plan.take() {
            Some(plan) => plan,
            None => {
                let (model, training) = (self.trainer.model_ref(), self.trainer.config());
                let workload = Workload::of(self.samples, training)?
                    .with_evaluation(self.held_out, self.watch.evaluation_batch);
                let mut planner = Planner::of_model(model, &self.llama, training, workload);
                planner.watch = self.watch.clone();
                planner.memory_limit = self.config.as_ref().and_then(RunConfig::memory_limit_bytes);
                let facts = DeviceFacts::measure_for(&planner, &model.device().inner());
                let memory = planner.estimate(&facts).memory;
                let there = memory.weights.saturating_add(memory.adapters);
                let facts = DeviceFacts { taken: facts.taken.saturating_sub(there), ..facts };
                let plan = planner.fit(&facts, self.trainer.steps() > 0)?;
                planner.check_disk(&self.folder, &[])?;
                plan
            }
        };
        info!(
            bytes = plan.bytes(),
            available = plan.available,
            flops_per_step = plan.flops_per_step,
            seconds_per_step = plan.seconds_per_step,
            "planned"
        );
        self.plan = Some(plan.clone());
        Ok(plan)
    }
}

/// A run beside its plan.
pub(super) struct Watched {
    plan: Plan,
    pace: Pace,
    device: Device,
    /// The most that the process had held before.
    before: Option<u64>,
    /// The most that the device had reserved.
    reserved: Option<u64>,
}

impl Watched {
    pub(super) fn new(plan: Plan, device: Device) -> Self {
        let before = peak_memory();
        Self { plan, pace: Pace::default(), device: device.inner(), before, reserved: None }
    }

    /// What is noted of a step.
    pub(super) fn step(&mut self, report: &StepReport) -> StepMetrics {
        let Self { plan, pace, device, reserved, .. } = self;
        *reserved = device_memory(device).max(*reserved);
        pace.add(plan.operations.of(&report.work), report.seconds);
        if let Some(flops) = pace.flops().filter(|_| pace.is_just_measured()) {
            let left = report.total_steps - report.step;
            let seconds = plan.flops_per_step / flops;
            info!(flops, seconds_per_step = seconds, seconds_left = seconds * left as f64, "pace");
        }
        StepMetrics {
            mfu: Some(plan.mfu(&report.work, report.seconds)),
            device_bytes: *reserved,
            ..StepMetrics::new(report)
        }
    }

    /// The plan beside what was seen; none without a step.
    pub(super) fn outcome(&self) -> Option<PlanOutcome> {
        if self.pace.is_empty() {
            return None;
        }
        let seen = match self.plan.on_host {
            // A peak that lies before the run says nothing of it.
            true => peak_memory().filter(|peak| Some(*peak) > self.before),
            false => self.reserved,
        };
        let outcome = self.plan.beside(seen, &self.pace);
        info!(
            memory_error = outcome.memory_error,
            time_error = outcome.time_error,
            "planned and seen"
        );
        Some(outcome)
    }
}
