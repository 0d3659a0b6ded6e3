//! Runs that do not fit, and what would.

use std::path::Path;

use super::{DeviceFacts, PassShape, Plan, Planner};
use crate::checkpoint::newest_checkpoint;
use crate::checkpointing::Checkpointing;
use crate::error::{Error, Result};
use crate::optimizer::Optimizer;
use crate::packing::Packing;

/// A change of one setting.
type Change = fn(&mut Planner) -> Option<String>;

/// From those that cost the least on.
const CHANGES: [Change; 6] =
    [smaller_evaluation, fewer_logits, small_moments, blocks, smaller_batch, quantized];

/// Those that leave a run the one that it is.
const OF_A_BEGUN_RUN: [Change; 1] = [smaller_evaluation];

impl Planner {
    /// [`estimate`](Self::estimate), if the device has the memory.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] with the settings that would make it fit: the first one that does alone, or else as many
    /// as it takes, from those that cost the least time on.
    pub fn plan(&self, device: &DeviceFacts) -> Result<Plan> {
        self.fit(device, false)
    }

    /// [`plan`](Self::plan) of the run in a folder, if its disk has room as well. Where the folder holds a checkpoint, no
    /// settings are told but those that may change when the run goes on: others would make another run.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`], [`Error::NoRoom`] and those of [`newest_checkpoint`].
    pub fn plan_in(&self, folder: impl AsRef<Path>, device: &DeviceFacts) -> Result<Plan> {
        let folder = folder.as_ref();
        let plan = self.fit(device, newest_checkpoint(folder)?.is_some())?;
        self.check_disk(folder, &[])?;
        Ok(plan)
    }

    /// [`plan`](Self::plan) of a run that has begun, or has not.
    pub(crate) fn fit(&self, device: &DeviceFacts, has_begun: bool) -> Result<Plan> {
        let plan = self.estimate(device);
        if plan.bytes() <= plan.available {
            return Ok(plan);
        }
        let changes: &[Change] = if has_begun { &OF_A_BEGUN_RUN } else { &CHANGES };
        let (least, least_with) = self.least(changes, device);
        Err(Error::DoesNotFit {
            needed: plan.bytes(),
            available: plan.available,
            settings: self.settings(changes, device, plan.available),
            has_begun,
            least,
            least_with,
        })
    }

    /// Empty if nothing helps.
    fn settings(&self, all: &[Change], device: &DeviceFacts, available: u64) -> Vec<String> {
        let with = |changes: &[Change]| {
            let (bytes, settings) = self.changed(changes, device, available);
            (bytes <= available).then_some(settings)
        };
        if let Some(alone) = all.iter().find_map(|change| with(&[*change])) {
            return alone;
        }
        let needed = fewest(all, |changes| with(changes).is_some());
        with(&needed).unwrap_or_default()
    }

    /// The fewest bytes that any changes lead to, and their settings.
    fn least(&self, all: &[Change], device: &DeviceFacts) -> (u64, Vec<String>) {
        let (least, _) = self.changed(all, device, 0);
        let needed = fewest(all, |changes| self.changed(changes, device, 0).0 == least);
        self.changed(&needed, device, 0)
    }

    /// Bytes and settings after these changes, as far as it takes them for the run to need no more than so many.
    fn changed(
        &self,
        changes: &[Change],
        device: &DeviceFacts,
        available: u64,
    ) -> (u64, Vec<String>) {
        let bytes = |planner: &Self| planner.estimate(device).bytes();
        let mut planner = self.clone();
        let mut settings = Vec::new();
        for change in changes {
            let mut changed = planner.clone();
            let mut last = None;
            // A batch is divided until it fits.
            while bytes(&changed) > available
                && let Some(setting) = change(&mut changed)
            {
                last = Some(setting);
            }
            if bytes(&changed) <= bytes(&planner) {
                planner = changed;
                settings.extend(last);
            }
        }
        (bytes(&planner), settings)
    }
}

/// All changes but those that something holds without, those that cost the most left out first.
fn fewest(all: &[Change], holds: impl Fn(&[Change]) -> bool) -> Vec<Change> {
    let mut needed = all.to_vec();
    for place in (0..all.len()).rev() {
        let mut fewer = needed.clone();
        fewer.remove(place);
        if holds(&fewer) {
            needed = fewer;
        }
    }
    needed
}

/// An evaluation in at least twice as many passes.
fn smaller_evaluation(planner: &mut Planner) -> Option<String> {
    let passes = &mut planner.workload.evaluation;
    if are_contrasts(passes) {
        return None;
    }
    let rows = passes.iter().map(|shape| shape.rows).max().filter(|rows| *rows > 1)?;
    let fewer = rows / 2;
    shrink(passes, fewer);
    Some(format!("watch.evaluation_batch = {fewer}"))
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

/// The same step in more passes, at least twice as many: of a number of samples that divides those of the step.
fn smaller_batch(planner: &mut Planner) -> Option<String> {
    let training = &mut planner.training;
    let passes = &mut planner.workload.passes;
    if are_contrasts(passes) {
        return None;
    }
    let rows = passes.iter().map(|shape| shape.rows).max().filter(|rows| *rows > 1)?;
    // A device's share of it.
    let step = training.batch_size.saturating_mul(training.gradient_accumulation);
    let halved = rows / 2;
    let is_packed = matches!(training.packing, Packing::Packed { .. });
    let divides = |rows: &usize| is_packed || step.is_multiple_of(*rows);
    let fewer = (1..=halved).rev().find(divides).unwrap_or(1);
    shrink(passes, fewer);
    if let Packing::Packed { rows, .. } = &mut training.packing {
        *rows = fewer;
        return Some(format!("training.packing.packed.rows = {fewer}"));
    }
    training.batch_size = fewer;
    training.gradient_accumulation = step / fewer;
    let passes = training.gradient_accumulation;
    Some(format!("training.batch_size = {fewer} with gradient_accumulation = {passes}"))
}

/// Passes of contrasts between titles, many rows of which are one sample, which cannot be divided.
fn are_contrasts(passes: &[PassShape]) -> bool {
    passes.iter().all(|shape| shape.trained == 0)
}

/// The passes with so many rows at most. Rows lie by their length and not by what is trained of them, so that those with
/// the most trained tokens may come to share a pass.
fn shrink(passes: &mut [PassShape], rows: usize) {
    let largest = |of: fn(&PassShape) -> usize| passes.iter().map(of).max().unwrap_or(0);
    let before = largest(|shape| shape.rows);
    let (seq, most) = (largest(|shape| shape.seq), largest(|shape| shape.most));
    for shape in passes.iter_mut().filter(|shape| shape.rows > rows) {
        if before.is_multiple_of(rows) {
            shape.trained = shape.trained.min(rows * shape.most);
        } else {
            // A pass may have rows of two that were neighbours.
            (shape.seq, shape.most, shape.trained) = (seq, most, rows * most);
        }
        shape.rows = rows;
    }
}

fn quantized(planner: &mut Planner) -> Option<String> {
    // What is in NF4 cannot be trained.
    let changes = !planner.load.quantized && !planner.trains_base();
    planner.load.quantized |= changes;
    changes.then(|| "model.quantized = true".to_owned())
}

#[cfg(test)]
mod tests {
    use nextcart_text::Sample;

    use super::*;
    use crate::config::SftConfig;
    use crate::plan::Workload;

    /// Tokens of a sample, and how many of them are trained.
    type Lengths = (usize, usize);

    fn passes(lengths: &[Lengths], batch_size: usize, accumulation: usize) -> Vec<PassShape> {
        let sample = |&(tokens, trained): &Lengths| {
            Sample::completion(&vec![1; tokens - trained], &vec![2; trained]).unwrap()
        };
        let samples: Vec<Sample> = lengths.iter().map(sample).collect();
        let config =
            SftConfig { batch_size, gradient_accumulation: accumulation, ..SftConfig::default() };
        Workload::of(&samples, &config).unwrap().passes
    }

    /// Most trained tokens of a pass of fewer rows, as foretold. No pass of the samples may be larger in any respect.
    #[track_caller]
    fn check(lengths: &[Lengths], (batch, accumulation): (usize, usize), fewer: usize) -> usize {
        let mut foretold = passes(lengths, batch, accumulation);
        shrink(&mut foretold, fewer);
        for pass in passes(lengths, fewer, batch * accumulation / fewer) {
            assert!(foretold.iter().any(|shape| shape.covers(pass)), "{pass:?}, {foretold:?}");
        }
        foretold.iter().map(|shape| shape.trained).max().unwrap()
    }

    #[test]
    fn passes_of_fewer_rows_are_foretold_no_smaller_than_they_are() {
        let few = [(109, 1), (108, 1), (107, 1), (106, 1), (105, 1), (104, 1)];
        let long = [&[(140, 100), (130, 100)][..], &few].concat();
        assert_eq!([4, 2, 1].map(|rows| check(&long, (8, 1), rows)), [206, 200, 100]);
        let alike = [(50, 20); 8];
        assert_eq!([4, 2, 1].map(|rows| check(&alike, (8, 1), rows)), [80, 40, 20]);
        // The third pass has the last row of the first one before and the first row of the second.
        let many = |place: usize| if place == 4 || place == 5 { 9 } else { 1 };
        let split: Vec<Lengths> = (0..10).map(|place| (30 - place, many(place))).collect();
        assert_eq!(check(&split, (5, 2), 2), 18);
    }
}
