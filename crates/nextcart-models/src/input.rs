//! The one place where token ids become tensors.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::cache::KvCache;
use crate::config::LlamaConfig;
use crate::rope::RotaryEmbedding;

/// Added to the score of a key that a query may not see. Finite, so that a row of padding that sees
/// nothing still has a softmax.
const HIDDEN: f32 = -1e30;

/// The side on which shorter rows are filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Padding {
    /// Tokens first, padding last: for training and scoring.
    #[default]
    Right,
    /// Padding first, so that all rows end together: for generation.
    Left,
}

/// Token ids with their positions and what each may attend to.
#[derive(Debug, Clone)]
pub struct ModelInput {
    pub(crate) ids: Tensor<2, Int>, // [batch, seq]
    pub(crate) rope: RotaryEmbedding,
    pub(crate) bias: Tensor<4>, // [batch, 1, seq, past + seq]: 0 or HIDDEN
    /// Position of each token of this input, `None` for padding: what a cache remembers.
    pub(crate) positions: Vec<Vec<Option<usize>>>,
}

impl ModelInput {
    /// Rows of token ids, right-padded to the longest.
    ///
    /// # Panics
    /// If `rows` is empty or every row is.
    #[must_use]
    pub fn new(rows: &[&[u32]], config: &LlamaConfig, device: &Device) -> Self {
        Self::padded(rows, Padding::Right, config, device)
    }

    /// Rows of token ids, padded to the longest on the given side.
    ///
    /// # Panics
    /// If `rows` is empty or every row is.
    #[must_use]
    pub fn padded(
        rows: &[&[u32]],
        padding: Padding,
        config: &LlamaConfig,
        device: &Device,
    ) -> Self {
        Self::after(rows, padding, &vec![Vec::new(); rows.len()], config, device)
    }

    /// Rows that continue what `cache` holds, right-padded to the longest.
    ///
    /// # Panics
    /// If `rows` is empty, every row is, or their number is not the cache's.
    #[must_use]
    pub fn continued(
        rows: &[&[u32]],
        cache: &KvCache,
        config: &LlamaConfig,
        device: &Device,
    ) -> Self {
        assert_eq!(rows.len(), cache.positions().len(), "one row for each row of the cache");
        Self::after(rows, Padding::Right, cache.positions(), config, device)
    }

    fn after(
        rows: &[&[u32]],
        padding: Padding,
        past: &[Vec<Option<usize>>],
        config: &LlamaConfig,
        device: &Device,
    ) -> Self {
        let batch = rows.len();
        let seq = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        assert!(seq > 0, "a model input needs at least one token");

        let mut ids = Vec::with_capacity(batch * seq);
        let mut positions = Vec::with_capacity(batch);
        for (row, past) in rows.iter().zip(past) {
            let next = past.iter().flatten().max().map_or(0, |last| last + 1);
            let fill = seq - row.len();
            let (before, after) = match padding {
                Padding::Left => (fill, 0),
                Padding::Right => (0, fill),
            };
            ids.extend(std::iter::repeat_n(0, before));
            ids.extend(row.iter().map(|&id| i64::from(id)));
            ids.extend(std::iter::repeat_n(0, after));
            let mut of_row = vec![None; before];
            of_row.extend((next..next + row.len()).map(Some));
            of_row.extend(std::iter::repeat_n(None, after));
            positions.push(of_row);
        }

        let turned: Vec<Vec<usize>> = positions
            .iter()
            .map(|row: &Vec<Option<usize>>| row.iter().map(|p| p.unwrap_or(0)).collect())
            .collect();
        Self {
            ids: Tensor::from_data(TensorData::new(ids, [batch, seq]), device),
            rope: RotaryEmbedding::new(&turned, config, device),
            bias: bias(&positions, past, config.sliding_window, device),
            positions,
        }
    }

    /// `[batch, seq]`.
    #[must_use]
    pub fn dims(&self) -> [usize; 2] {
        self.ids.dims()
    }

    /// The same input off the autodiff graph, for a forward pass without gradients.
    #[must_use]
    pub fn inner(&self) -> Self {
        Self {
            ids: self.ids.clone().inner(),
            rope: self.rope.map(Tensor::inner),
            bias: self.bias.clone().inner(),
            positions: self.positions.clone(),
        }
    }
}

/// A key at position `k` is visible to a query at position `q` when `0 <= q - k < window`.
fn bias(
    queries: &[Vec<Option<usize>>],
    past: &[Vec<Option<usize>>],
    window: Option<usize>,
    device: &Device,
) -> Tensor<4> {
    let window = window.unwrap_or(usize::MAX);
    let batch = queries.len();
    let seq = queries[0].len();
    let keys = past[0].len() + seq;
    let mut values = Vec::with_capacity(batch * seq * keys);
    for (row, past) in queries.iter().zip(past) {
        for query in row {
            values.extend(past.iter().chain(row).map(|key| match (query, key) {
                (Some(q), Some(k)) if k <= q && q - k < window => 0.0,
                _ => HIDDEN,
            }));
        }
    }
    Tensor::from_data(TensorData::new(values, [batch, 1, seq, keys]), device)
}
