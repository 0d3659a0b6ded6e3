//! Bytes that a run writes.

use std::path::{Path, PathBuf};

use nextcart_models::{Precision, available_space};
use serde::{Deserialize, Serialize};

use super::Planner;
use crate::checkpoint::{checkpoint_bytes, newest_step};
use crate::disk::bytes_in;
use crate::error::{Error, Result};
use crate::optimizer::saved;
use crate::watch::{Every, WatchConfig};

/// What a file says of each tensor in it.
const OF_TENSOR: u64 = 128;

/// What a state says of each projection.
const OF_PROJECTION: u64 = 160;

/// A step with its loss in a state.
const OF_STEP: u64 = 48;

/// What else a state says.
const OF_RUN: u64 = 4096;

/// Bytes that a run takes on the disk, beside its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DiskNeeds {
    /// A checkpoint: what trains, the optimiser's moments, and the losses of all steps.
    pub checkpoint: u64,
    /// Checkpoints that are there at one time, at most: those that stay, the best one, and one that is being written, but
    /// no more than the run writes. What Ctrl-C has it write is not among them.
    pub at_once: u64,
    /// The whole model with its adapters merged, in the format of its weights: a checkpoint of its own, which a
    /// [`Run`](crate::Run) does not write itself.
    pub merged: u64,
}

impl DiskNeeds {
    /// Bytes of all checkpoints that are there at one time, at most.
    #[must_use]
    pub fn checkpoints(&self) -> u64 {
        self.checkpoint.saturating_mul(self.at_once)
    }
}

impl Planner {
    /// What the run will write.
    #[must_use]
    pub fn disk(&self) -> DiskNeeds {
        let sizes = self.trained_sizes();
        let tensors = sizes.iter().map(|&count| {
            let moments = saved(self.training.optimizer, count);
            4 * count as u64 + moments.bytes + (1 + moments.tensors) * OF_TENSOR
        });
        let projections = (self.projections().len() * self.model.layers) as u64;
        let steps = self.workload.steps;
        let state = OF_STEP.saturating_mul(steps).saturating_add(OF_PROJECTION * projections);
        let best = u64::from(!self.workload.evaluation.is_empty());
        let stay = (self.training.checkpoints_kept as u64).saturating_add(best);
        let times = |every: Every| every.times(steps, self.workload.steps_per_epoch);
        let WatchConfig { evaluate, save, .. } = self.watch;
        // Before an evaluation a run saves itself as well.
        let evaluations = if best > 0 && evaluate != save { times(evaluate) } else { 0 };
        let saves = times(save).saturating_add(evaluations).min(steps);
        DiskNeeds {
            checkpoint: tensors.sum::<u64>().saturating_add(state).saturating_add(OF_RUN),
            at_once: stay.saturating_add(1).min(saves),
            merged: self.merged_bytes(self.load.weights),
        }
    }

    /// Bytes of the whole model with its adapters merged, as a checkpoint in a number format.
    #[must_use]
    pub fn merged_bytes(&self, format: Precision) -> u64 {
        let (tables, norms, blocks) = self.parameters();
        let projections = self.projections().into_iter();
        let with_bias = projections.filter(|(name, ..)| self.model.has_bias(name));
        let biases: usize = with_bias.map(|(_, output, _)| output).sum();
        let values = tables + norms + blocks + self.model.layers * biases;
        (values * format.size()) as u64
    }

    /// Refuses a folder that has no room for the run's checkpoints and what the caller writes beside them: folders, such as
    /// that of a merged model, each with the bytes that it will hold. What is there already is no longer needed, nor are
    /// checkpoints of a run that is over. Where the system does not tell what room there is, nothing is refused.
    ///
    /// # Errors
    /// [`Error::NoRoom`].
    pub fn check_disk(&self, folder: impl AsRef<Path>, beside: &[(PathBuf, u64)]) -> Result<()> {
        let folder = folder.as_ref();
        let others = beside.iter().map(|(path, bytes)| bytes.saturating_sub(bytes_in(path)));
        let is_over = newest_step(folder).is_some_and(|step| step >= self.workload.steps);
        let own = match is_over {
            true => 0,
            false => self.disk().checkpoints().saturating_sub(checkpoint_bytes(folder)),
        };
        let needed = others.fold(own, u64::saturating_add);
        check_room(folder, needed, available_space(folder))
    }
}

fn check_room(folder: &Path, needed: u64, available: Option<u64>) -> Result<()> {
    match available {
        Some(available) if available < needed => {
            Err(Error::NoRoom { folder: folder.to_owned(), needed, available })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use nextcart_models::LlamaConfig;
    use nextcart_text::Sample;

    use super::super::Workload;
    use super::*;
    use crate::run_config::RunConfig;

    /// A run of so many steps.
    fn planner(mut config: RunConfig, llama: &LlamaConfig, steps: u64) -> Planner {
        (config.training.max_steps, config.training.warmup_steps) = (Some(steps), 0);
        let samples = vec![Sample::text(&[1, 2, 3]).unwrap(); 8];
        let workload = Workload::of(&samples, &config.training).unwrap();
        Planner::new(&config, llama, workload)
    }

    #[test]
    fn a_full_size_run_writes_its_adapters_three_times_and_the_model_once() {
        let mistral = LlamaConfig::mistral_7b_v0_1();
        let mut planner = planner(RunConfig::mistral_qlora(), &mistral, 1000);
        // 41,943,040 values of adapters in f32, and two moments of a byte with a scale for 256 of each.
        let tensors: u64 = 4 * 41_943_040 + 2 * (41_943_040 + 41_943_040 / 64);
        let disk = planner.disk();
        assert!((tensors..tensors + 1_000_000).contains(&disk.checkpoint), "{disk:?}");
        assert_eq!((disk.at_once, disk.checkpoints()), (3, 3 * disk.checkpoint));
        // As large as what the hub has in bf16.
        assert_eq!(disk.merged, 2 * 7_241_732_096);
        assert_eq!(planner.merged_bytes(Precision::F32), 2 * disk.merged);
        // One that is saved once needs no room for more, nor does one that saves itself as it is evaluated.
        planner.watch.save = Every::End;
        assert_eq!(planner.disk().at_once, 1);
        planner.watch.save = Every::Steps(600);
        assert_eq!(planner.disk().at_once, 2);
        planner.watch.save = Every::Steps(50);
        // With an evaluation the best one stays as well, and there are never more than steps.
        let samples = [Sample::text(&[1, 2, 3]).unwrap()];
        planner.workload = planner.workload.clone().with_evaluation(&samples, 1);
        assert_eq!(planner.disk().at_once, 4);
        planner.workload.steps = 2;
        assert_eq!(planner.disk().at_once, 2);
        planner.watch.evaluate = planner.watch.save;
        assert_eq!(planner.disk().at_once, 1);
    }

    #[test]
    fn a_run_that_is_over_needs_no_room() {
        let llama = LlamaConfig { layers: 1, ..LlamaConfig::tiny(16) };
        let mut planner = planner(RunConfig::tiny_cpu(), &llama, 9);
        planner.training.checkpoints_kept = usize::MAX;
        planner.watch.save = Every::Steps(1);
        planner.workload.steps = 1 << 60;
        let folder = tempfile::tempdir().unwrap();
        if available_space(folder.path()).is_some() {
            assert!(planner.check_disk(folder.path(), &[]).is_err());
        }
        std::fs::create_dir(folder.path().join(format!("checkpoint-{}", 1_u64 << 60))).unwrap();
        assert!(planner.check_disk(folder.path(), &[]).is_ok());
    }

    #[test]
    fn what_there_is_no_room_for_is_refused_with_a_way_out() {
        let folder = Path::new("out/run");
        assert!(check_room(folder, 7, None).is_ok());
        assert!(check_room(folder, 7, Some(7)).is_ok());
        let text = check_room(folder, 7_000_001, Some(6_999_999)).unwrap_err().to_string();
        for part in ["8 MB of disk", "`out/run`", "6 are there", "`training.checkpoints_kept`"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn what_is_written_beside_counts_but_for_what_is_there() {
        let llama = LlamaConfig { layers: 1, ..LlamaConfig::tiny(16) };
        let planner = planner(RunConfig::tiny_cpu(), &llama, 9);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let merged = folder.path().join("merged");
        assert!(planner.check_disk(&path, &[]).is_ok());
        std::fs::create_dir(&merged).unwrap();
        std::fs::write(merged.join("model"), [0; 10]).unwrap();
        assert!(planner.check_disk(&path, &[(merged.clone(), 10)]).is_ok());
        let Some(available) = available_space(&path) else { return };
        match planner.check_disk(&path, &[(merged, u64::MAX - 1)]) {
            // Other processes write as well.
            Err(Error::NoRoom { needed, .. }) => assert!(needed > available),
            other => panic!("expected a refusal, got {other:?}"),
        }
        assert!(!path.exists());
    }
}
