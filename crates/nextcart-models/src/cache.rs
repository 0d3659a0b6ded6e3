//! Keys and values of tokens that the model has seen.

use burn::tensor::{Int, Tensor, TensorData};

/// Keys and values of the tokens seen so far, one pair a block.
#[derive(Debug, Clone, Default)]
pub struct KvCache {
    layers: Vec<(Tensor<4>, Tensor<4>)>, // each [batch, kv_heads, past, head_dim]
    positions: Vec<Vec<Option<usize>>>,  // [batch][past], None for padding
}

impl KvCache {
    /// An empty cache for `batch` rows.
    #[must_use]
    pub fn new(batch: usize) -> Self {
        Self { layers: Vec::new(), positions: vec![Vec::new(); batch] }
    }

    /// Tokens held for each row, padding included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.positions.first().map_or(0, Vec::len)
    }

    /// Whether nothing has been seen yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A cache of one row, shared by `batch` rows that continue it.
    ///
    /// # Panics
    /// If this cache holds another number of rows than one.
    #[must_use]
    pub fn repeated(&self, batch: usize) -> Self {
        assert_eq!(self.positions.len(), 1, "only a cache of one row can be shared");
        let share = |x: &Tensor<4>| {
            let [_, kv_heads, past, head_dim] = x.dims();
            x.clone().expand([batch, kv_heads, past, head_dim])
        };
        Self {
            layers: self.layers.iter().map(|(k, v)| (share(k), share(v))).collect(),
            positions: vec![self.positions[0].clone(); batch],
        }
    }

    /// A cache of some of this one's rows, which may come more than once.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let Some((first, _)) = self.layers.first() else {
            return Self::new(rows.len());
        };
        let places: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
        let data = TensorData::new(places, [rows.len()]);
        let places = Tensor::<1, Int>::from_data(data, &first.device());
        let take = |x: &Tensor<4>| x.clone().select(0, places.clone());
        Self {
            layers: self.layers.iter().map(|(k, v)| (take(k), take(v))).collect(),
            positions: rows.iter().map(|row| self.positions[*row].clone()).collect(),
        }
    }

    pub(crate) fn positions(&self) -> &[Vec<Option<usize>>] {
        &self.positions
    }

    /// Adds the keys and values of block `layer` and returns all that it has.
    pub(crate) fn extend(
        &mut self,
        layer: usize,
        key: Tensor<4>,
        value: Tensor<4>,
    ) -> (Tensor<4>, Tensor<4>) {
        if layer == self.layers.len() {
            self.layers.push((key, value));
        } else {
            let (keys, values) = &mut self.layers[layer];
            keys.inplace(|past| Tensor::cat(vec![past, key], 2));
            values.inplace(|past| Tensor::cat(vec![past, value], 2));
        }
        self.layers[layer].clone()
    }

    /// Notes that the tokens at these positions are now held by every block.
    pub(crate) fn advance(&mut self, positions: &[Vec<Option<usize>>]) {
        for (held, new) in self.positions.iter_mut().zip(positions) {
            held.extend_from_slice(new);
        }
    }
}
