//! Runs that do not fit, and what would.

use super::{DeviceFacts, Plan, Planner};
use crate::checkpointing::Checkpointing;
use crate::error::{Error, Result};
use crate::optimizer::Optimizer;
use crate::packing::Packing;

/// A change of one setting.
type Change = fn(&mut Planner) -> Option<String>;

/// From those that cost the least on.
const CHANGES: [Change; 5] = [fewer_logits, small_moments, blocks, smaller_batch, packed];

impl Planner {
    /// [`estimate`](Self::estimate), if the device has the memory.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] with the settings that would make it fit: the first one that does alone, or else as many
    /// as it takes, from those that cost the least time on.
    pub fn plan(&self, device: &DeviceFacts) -> Result<Plan> {
        let plan = self.estimate(device);
        if plan.bytes() <= device.memory {
            return Ok(plan);
        }
        Err(Error::DoesNotFit {
            needed: plan.bytes(),
            available: device.memory,
            settings: self.settings(device),
        })
    }

    /// Empty if nothing helps.
    fn settings(&self, device: &DeviceFacts) -> Vec<String> {
        let fits = |planner: &Self| planner.estimate(device).bytes() <= device.memory;
        for change in CHANGES {
            let mut changed = self.clone();
            // A batch is halved until it fits.
            while let Some(setting) = change(&mut changed) {
                if fits(&changed) {
                    return vec![setting];
                }
            }
        }
        let mut changed = self.clone();
        let mut settings = Vec::new();
        for change in CHANGES {
            let mut last = None;
            while let Some(setting) = change(&mut changed) {
                last = Some(setting);
                if fits(&changed) {
                    break;
                }
            }
            settings.extend(last);
            if fits(&changed) {
                return settings;
            }
        }
        Vec::new()
    }
}

fn fewer_logits(planner: &mut Planner) -> Option<String> {
    const ROWS: usize = 32;
    let changes = planner.training.loss_rows > ROWS;
    planner.training.loss_rows = planner.training.loss_rows.min(ROWS);
    changes.then(|| format!("training.loss_rows = {ROWS}"))
}

fn small_moments(planner: &mut Planner) -> Option<String> {
    let changes = planner.training.optimizer != Optimizer::AdamW8bit;
    planner.training.optimizer = Optimizer::AdamW8bit;
    changes.then(|| "training.optimizer = \"adamw8bit\"".to_owned())
}

fn blocks(planner: &mut Planner) -> Option<String> {
    let changes = planner.training.checkpointing == Checkpointing::None;
    if changes {
        planner.training.checkpointing = Checkpointing::Blocks;
    }
    changes.then(|| "training.checkpointing = \"blocks\"".to_owned())
}

/// The same step in twice as many passes.
fn smaller_batch(planner: &mut Planner) -> Option<String> {
    let training = &mut planner.training;
    let largest = &mut planner.workload.largest;
    if largest.rows < 2 {
        return None;
    }
    let halved = largest.rows / 2;
    largest.trained = (largest.trained * halved).div_ceil(largest.rows).max(largest.most);
    largest.rows = halved;
    if let Packing::Packed { rows, .. } = &mut training.packing {
        *rows = halved;
        return Some(format!("training.packing.packed.rows = {halved}"));
    }
    let step = training.samples_per_step();
    training.batch_size = halved;
    training.gradient_accumulation = step.div_ceil(halved);
    let passes = training.gradient_accumulation;
    Some(format!("training.batch_size = {halved} with gradient_accumulation = {passes}"))
}

fn packed(planner: &mut Planner) -> Option<String> {
    let changes = !planner.load.quantized;
    planner.load.quantized = true;
    changes.then(|| "model.quantized = true".to_owned())
}
