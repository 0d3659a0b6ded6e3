//! A model with its adapters folded into its weights.

use nextcart_adapters::{Base, MergeOnto, Projection};
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::llama::Llama;

/// Name of the [`MergeRecord`] in the folder of a merged model.
pub const MERGE_RECORD: &str = "merge.json";

/// Which weights adapters are folded into for good.
#[derive(Debug, Clone, Copy)]
pub enum MergeInto<'a> {
    /// Those that the model holds, beside which the adapters were trained; packed ones are unpacked.
    Own,
    /// Those of the checkpoint that the model was packed from. The merged model computes something else than
    /// the model with adapters did.
    Original(&'a Checkpoint),
}

/// What a merged model was made of; [`save_checkpoint`](crate::save_checkpoint) writes it beside the weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeRecord {
    /// Which weights the adapters were folded into.
    pub onto: MergedOnto,
    /// Names of the adapters.
    pub adapters: Vec<String>,
    /// Dotted paths of the modules that had one.
    pub modules: Vec<String>,
}

/// Which weights adapters were folded into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergedOnto {
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
    pub fn merge_and_unload(self, into: MergeInto<'_>) -> Result<Self> {
        let device = self.device();
        let record = self.record(into);
        let merged = self.map_projections(|path, projection| {
            let onto = match into {
                MergeInto::Own => MergeOnto::Own,
                MergeInto::Original(checkpoint) => {
                    MergeOnto::Original(checkpoint.projection_weight(path, &device)?)
                }
            };
            Ok(projection.merge_and_unload(onto))
        })?;
        Ok(Self { merge: Some(record), ..merged })
    }

    /// The same model with the adapters in use [merged](Projection::merge_adapter) until
    /// [`unmerged`](Self::unmerged) undoes it.
    #[must_use]
    pub fn merged(self) -> Self {
        self.with_projections(Projection::merge_adapter)
    }

    /// Undoes [`merged`](Self::merged), to the bit.
    #[must_use]
    pub fn unmerged(self) -> Self {
        self.with_projections(Projection::unmerge_adapter)
    }

    /// What the model's weights were merged of, if they were.
    #[must_use]
    pub fn merge_record(&self) -> Option<MergeRecord> {
        let is_merged = self.projections().iter().any(|(_, projection)| projection.is_merged());
        match is_merged {
            true => Some(self.record(MergeInto::Own)),
            false => self.merge.clone(),
        }
    }

    fn with_projections(self, change: impl Fn(&mut Projection)) -> Self {
        let changed = self.map_projections(|_, mut projection| {
            change(&mut projection);
            Ok(projection)
        });
        changed.expect("merging cannot fail")
    }

    fn record(&self, into: MergeInto<'_>) -> MergeRecord {
        let projections = self.projections();
        let enabled = projections.iter().filter_map(|(path, projection)| {
            let adapter = projection.adapter().filter(|adapter| adapter.is_enabled())?;
            Some((path, *projection, adapter.name()))
        });
        let packed = enabled.clone().any(|(_, p, _)| matches!(p.base(), Base::Nf4(_)));
        let mut adapters: Vec<String> =
            enabled.clone().map(|(_, _, name)| name.to_owned()).collect();
        adapters.sort();
        adapters.dedup();
        MergeRecord {
            onto: match into {
                MergeInto::Original(_) => MergedOnto::Original,
                MergeInto::Own if packed => MergedOnto::Dequantized,
                MergeInto::Own => MergedOnto::Dense,
            },
            adapters,
            modules: enabled.map(|(path, ..)| path.clone()).collect(),
        }
    }
}
