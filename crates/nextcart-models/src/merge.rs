//! A model with its adapters folded into its weights.

use nextcart_adapters::{Base, MergeOnto, Projection};
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::llama::Llama;

/// Name of the list of [`MergeRecord`]s in the folder of a merged model.
pub const MERGE_RECORD: &str = "merge.json";

/// Which weights adapters are folded into for good.
#[derive(Debug, Clone, Copy)]
pub enum MergeTarget<'a> {
    /// Those that the model holds, beside which the adapters were trained; packed ones are unpacked.
    Own,
    /// Those of the checkpoint that the model was packed from. The merged model computes something else than
    /// the model with adapters did; not for adapters that began as [`Init::Loftq`](nextcart_adapters::Init::Loftq), which
    /// hold already what packing took.
    Original(&'a Checkpoint),
}

/// What a merged model was made of; [`save_checkpoint`](crate::save_checkpoint) writes it beside the weights, and
/// loading reads it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeRecord {
    /// Which weights the adapters were folded into.
    pub onto: MergedWeights,
    /// Names of the adapters.
    pub adapters: Vec<String>,
    /// Dotted paths of the modules that had one.
    pub modules: Vec<String>,
}

/// Which weights adapters were folded into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergedWeights {
    /// The model's dense weights.
    Dense,
    /// Weights unpacked from NF4.
    Dequantized,
    /// The weights before they were packed to NF4.
    Original,
}

impl Llama {
    /// The same model, frozen, with the adapters in use folded into its weights, and without any adapter.
    ///
    /// # Errors
    /// If the original checkpoint is of another shape or packed itself, or a file cannot be read.
    pub fn merge_and_unload(self, into: MergeTarget<'_>) -> Result<Self> {
        let (device, records) = (self.device(), self.records_with(into));
        let merged = self.frozen().map_projections(|path, projection| {
            let onto = match into {
                MergeTarget::Own => MergeOnto::Own,
                MergeTarget::Original(checkpoint) => {
                    MergeOnto::Original(checkpoint.projection_weight(path, &device)?)
                }
            };
            Ok(projection.merge_and_unload(onto).map_err(|error| error.within(path))?)
        })?;
        Ok(Self { merges: records, ..merged })
    }

    /// The same model with the adapters in use [merged](Projection::merge_adapter) until
    /// [`with_unmerged_adapters`](Self::with_unmerged_adapters) undoes it. Until then nothing of it trains.
    #[must_use]
    pub fn with_merged_adapters(self) -> Self {
        self.with_projections(Projection::merge_adapter)
    }

    /// Undoes [`with_merged_adapters`](Self::with_merged_adapters), to the bit.
    #[must_use]
    pub fn with_unmerged_adapters(self) -> Self {
        self.with_projections(Projection::unmerge_adapter)
    }

    /// What the model's weights were merged of, in this order, also before they were saved; empty if they were not.
    #[must_use]
    pub fn merge_records(&self) -> Vec<MergeRecord> {
        let is_merged = self.projections().iter().any(|(_, projection)| projection.is_merged());
        match is_merged {
            true => self.records_with(MergeTarget::Own),
            false => self.merges.clone(),
        }
    }

    /// The records of before and that of the adapters in use.
    pub(crate) fn records_with(&self, into: MergeTarget<'_>) -> Vec<MergeRecord> {
        let mut records = self.merges.clone();
        let record = self.record(into);
        if record.onto == MergedWeights::Original || !record.modules.is_empty() {
            records.push(record);
        }
        records
    }

    fn with_projections(self, change: impl Fn(&mut Projection)) -> Self {
        let changed = self.map_projections(|_, mut projection| {
            change(&mut projection);
            Ok(projection)
        });
        changed.expect("merging cannot fail")
    }

    fn record(&self, into: MergeTarget<'_>) -> MergeRecord {
        let projections = self.projections();
        let enabled = projections.iter().filter_map(|(path, projection)| {
            let adapter = projection.adapter().filter(|_| projection.is_adapter_enabled())?;
            Some((path, *projection, adapter.name()))
        });
        let packed = enabled.clone().any(|(_, p, _)| matches!(p.base(), Base::Nf4(_)));
        let mut adapters: Vec<String> =
            enabled.clone().map(|(_, _, name)| name.to_owned()).collect();
        adapters.sort();
        adapters.dedup();
        MergeRecord {
            onto: match into {
                MergeTarget::Original(_) => MergedWeights::Original,
                MergeTarget::Own if packed => MergedWeights::Dequantized,
                MergeTarget::Own => MergedWeights::Dense,
            },
            adapters,
            modules: enabled.map(|(path, ..)| path.clone()).collect(),
        }
    }
}
