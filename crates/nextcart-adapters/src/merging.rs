//! Folding an adapter into a weight.

use burn::tensor::Tensor;

use crate::base::frozen;
use crate::error::{Error, Result};
#[cfg(doc)]
use crate::init::Init;
use crate::projection::Projection;

impl Projection {
    /// Folds the adapter into the base's own weight, unpacked if need be, for as long as
    /// [`unmerge_adapter`](Self::unmerge_adapter) does not undo it. Without an adapter that is on, nothing happens.
    ///
    /// A product less is to be computed for each input. The base stays as it is, so that unmerging is
    /// exact; the merged weight takes memory beside it, in the type of a dense base, in f32 beside a packed one.
    pub fn merge_adapter(&mut self) {
        let merged = self.enabled_adapter().map(|adapter| adapter.merged(self.base().weight()));
        self.merged = merged.map(frozen);
    }

    /// Undoes [`merge_adapter`](Self::merge_adapter), to the bit.
    pub fn unmerge_adapter(&mut self) {
        self.merged = None;
    }

    /// Whether the adapter is [merged](Self::merge_adapter).
    pub fn is_merged(&self) -> bool {
        self.merged.is_some()
    }

    /// The layer without any adapter, computing what it computes with the one in use.
    ///
    /// An adapter that is on is folded into the weight, which is then dense and frozen; one that is
    /// off takes no part in the layer's output and is dropped, as is what was set aside. A weight in
    /// 16 bits stays so: what is less than half of its last place is lost.
    ///
    /// The adapter was trained beside what the base holds. Folded into a packed base's
    /// [original](MergeOnto::Original) weight, the layer computes something else than before: closer to the
    /// original where packing was off, further from what the adapter has learnt to repair. One that started as
    /// [`Init::Loftq`] repairs from the first step on: fold it into the base's own weight.
    ///
    /// # Errors
    /// [`Error::Shape`] for an original weight of another shape.
    pub fn merge_and_unload(self, onto: MergeOnto) -> Result<Self> {
        let bias = self.bias();
        let weight = match onto {
            MergeOnto::Own if self.enabled_adapter().is_none() => {
                return Ok(self.without_any_adapter(bias));
            }
            MergeOnto::Own => self.base().weight(),
            MergeOnto::Original(weight) => weight,
        };
        self.check_original(&weight)?;
        Ok(match self.enabled_adapter() {
            Some(adapter) => Self::dense(adapter.merged(weight), bias),
            None => Self::dense(weight, bias),
        })
    }

    /// Checks that a weight may be what the base was packed from.
    pub(crate) fn check_original(&self, weight: &Tensor<2>) -> Result<()> {
        let (expected, found) = (self.base().shape(), weight.dims());
        if expected == found {
            return Ok(());
        }
        let what = "original weight".to_owned();
        Err(Error::Shape { what, expected: expected.into(), found: found.into() })
    }
}

/// Which weight an adapter is folded into for good.
#[derive(Debug, Clone, Default)]
#[expect(clippy::large_enum_variant, reason = "handed over, never stored")]
pub enum MergeOnto {
    /// That which the layer holds; a packed one is unpacked.
    #[default]
    Own,
    /// That which the layer had before it was packed, `W [d_output, d_input]`. An adapter that started as
    /// [`Init::Loftq`] holds what packing to `Q` took from it, and adds that a second time: `2 W - Q` at the start.
    Original(Tensor<2>),
}
