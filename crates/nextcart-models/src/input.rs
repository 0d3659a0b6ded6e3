//! The one place where token ids become tensors.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::branched::{Branched, Token};
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
    /// If `rows` is empty, every row is, or the model does not know a token.
    #[must_use]
    pub fn new(rows: &[&[u32]], config: &LlamaConfig, device: &Device) -> Self {
        Self::padded(rows, Padding::Right, config, device)
    }

    /// Rows of token ids, padded to the longest on the given side.
    ///
    /// # Panics
    /// If `rows` is empty, every row is, or the model does not know a token.
    #[must_use]
    pub fn padded(
        rows: &[&[u32]],
        padding: Padding,
        config: &LlamaConfig,
        device: &Device,
    ) -> Self {
        Self::after(rows, padding, &vec![Vec::new(); rows.len()], config, device)
    }

    /// Rows of several texts one after the other, right-padded to the longest row. Positions start anew with each text
    /// and no text sees another, so that each is worth what it is worth alone.
    ///
    /// Not to be continued with a cache, which knows one text a row.
    ///
    /// # Panics
    /// If there is no token, or the model does not know one.
    #[must_use]
    pub fn packed(rows: &[Vec<&[u32]>], config: &LlamaConfig, device: &Device) -> Self {
        let mut branched: Vec<Vec<Branched<'_>>> = Vec::with_capacity(rows.len());
        for texts in rows {
            branched.push(texts.iter().map(|text| Branched::whole(text)).collect());
        }
        Self::packed_branched(&branched, config, device)
    }

    /// As [`packed`](Self::packed), of texts that go on in several ways: all branches of a text follow its prompt in
    /// position and see it, but not each other.
    ///
    /// # Panics
    /// If there is no token, or the model does not know one.
    #[must_use]
    pub fn packed_branched(
        rows: &[Vec<Branched<'_>>],
        config: &LlamaConfig,
        device: &Device,
    ) -> Self {
        let batch = rows.len();
        let seq: usize = rows
            .iter()
            .map(|texts| texts.iter().map(Branched::token_count).sum())
            .max()
            .unwrap_or(0);
        assert!(seq > 0, "a model input needs at least one token");

        let mut ids = Vec::with_capacity(batch * seq);
        let mut tokens: Vec<Vec<Option<Token>>> = Vec::with_capacity(batch);
        for texts in rows {
            texts.iter().flat_map(Branched::ids).for_each(|id| check_token(id, config));
            ids.extend(texts.iter().flat_map(Branched::ids).map(i64::from));
            ids.resize((tokens.len() + 1) * seq, 0);
            let of_text = |(text, branched): (usize, &Branched<'_>)| branched.tokens(text);
            let mut of_row: Vec<_> = texts.iter().enumerate().flat_map(of_text).map(Some).collect();
            of_row.resize(seq, None);
            tokens.push(of_row);
        }
        let window = config.sliding_window.unwrap_or(usize::MAX);
        let mut values = Vec::with_capacity(batch * seq * seq);
        for row in &tokens {
            for query in row {
                values.extend(row.iter().map(|key| match (query, key) {
                    (Some(query), Some(key)) if query.sees(key, window) => 0.0,
                    _ => HIDDEN,
                }));
            }
        }
        let positions: Vec<Vec<Option<usize>>> = tokens
            .iter()
            .map(|row| row.iter().map(|token| token.map(|token| token.position)).collect())
            .collect();
        Self {
            ids: Tensor::from_data(TensorData::new(ids, [batch, seq]), device),
            rope: RotaryEmbedding::new(&turns(&positions), config, device),
            bias: in_f32(values, [batch, 1, seq, seq], device),
            positions,
        }
    }

    /// One row: a prompt, then branches that all continue it and do not see each other.
    ///
    /// # Panics
    /// If there is no token, or the model does not know one.
    pub(crate) fn branched(
        prompt: &[u32],
        branches: &[&[u32]],
        config: &LlamaConfig,
        device: &Device,
    ) -> Self {
        let text = Branched { prompt, branches: branches.to_vec() };
        Self::packed_branched(&[vec![text]], config, device)
    }

    /// Rows that continue what `cache` holds, right-padded to the longest.
    ///
    /// # Panics
    /// If `rows` is empty, every row is, their number is not the cache's, or the model does not know a token.
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
            row.iter().for_each(|&id| check_token(id, config));
            ids.extend(row.iter().map(|&id| i64::from(id)));
            ids.extend(std::iter::repeat_n(0, after));
            let mut of_row = vec![None; before];
            of_row.extend((next..next + row.len()).map(Some));
            of_row.extend(std::iter::repeat_n(None, after));
            positions.push(of_row);
        }

        Self {
            ids: Tensor::from_data(TensorData::new(ids, [batch, seq]), device),
            rope: RotaryEmbedding::new(&turns(&positions), config, device),
            bias: bias(&positions, past, config.sliding_window, device),
            positions,
        }
    }

    /// `[batch, seq]`.
    #[must_use]
    pub fn dims(&self) -> [usize; 2] {
        self.ids.dims()
    }

    /// Some places of each row as queries.
    ///
    /// # Panics
    /// If there is not one list for each row, all are empty, or a place lies outside.
    pub(crate) fn choose(&self, places: &[Vec<usize>]) -> Chosen {
        let [batch, seq] = self.dims();
        assert_eq!(places.len(), batch, "one list of places for each row");
        assert!(places.iter().flatten().all(|place| *place < seq), "places of the input");
        let most = places.iter().map(Vec::len).max().unwrap_or(0);
        assert!(most > 0, "at least one place");
        let mut flat = Vec::with_capacity(batch * most);
        let mut kept = Vec::with_capacity(batch * most);
        for (row, places) in places.iter().enumerate() {
            kept.extend((flat.len()..flat.len() + places.len()).map(|place| place as i64));
            flat.extend(places.iter().map(|place| (row * seq + place) as i64));
            flat.resize((row + 1) * most, (row * seq) as i64); // computed and left out again
        }
        let device = self.ids.device();
        let tensor = |values: Vec<i64>| {
            let shape = [values.len()];
            Tensor::<1, Int>::from_data(TensorData::new(values, shape), &device)
        };
        let kept = (kept.len() < flat.len()).then(|| tensor(kept));
        let flat = tensor(flat);
        let [_, _, _, keys] = self.bias.dims();
        let bias = self.bias.clone().reshape([batch * seq, keys]).select(0, flat.clone());
        Chosen {
            rope: self.rope.map(|table| {
                let [_, _, _, head_dim] = table.dims();
                let rows = table.reshape([batch * seq, head_dim]).select(0, flat.clone());
                rows.reshape([batch, 1, most, head_dim])
            }),
            bias: bias.reshape([batch, 1, most, keys]),
            shape: [batch, most],
            flat,
            kept,
        }
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

/// Some places of an input, the same number in each row, where a row with fewer is filled up.
pub(crate) struct Chosen {
    pub(crate) rope: RotaryEmbedding,
    pub(crate) bias: Tensor<4>,   // [batch, 1, most, past + seq]
    shape: [usize; 2],            // [batch, most]
    flat: Tensor<1, Int>,         // [batch · most], among [batch · seq]
    kept: Option<Tensor<1, Int>>, // those that were asked for, among [batch · most]; None for all
}

impl Chosen {
    /// The states at the places, `[batch, seq, d]` to `[batch, most, d]`.
    pub(crate) fn of(&self, x: Tensor<3>) -> Tensor<3> {
        let ([batch, seq, d], [_, most]) = (x.dims(), self.shape);
        x.reshape([batch * seq, d]).select(0, self.flat.clone()).reshape([batch, most, d])
    }

    /// The states that were asked for, row by row, `[batch, most, d]` to `[places, d]`.
    pub(crate) fn kept(&self, x: Tensor<3>) -> Tensor<2> {
        let [batch, most, d] = x.dims();
        let x = x.reshape([batch * most, d]);
        match &self.kept {
            Some(kept) => x.select(0, kept.clone()),
            None => x,
        }
    }
}

/// The position that each token is turned by; that of padding does not matter.
fn turns(positions: &[Vec<Option<usize>>]) -> Vec<Vec<usize>> {
    positions.iter().map(|row| row.iter().map(|p| p.unwrap_or(0)).collect()).collect()
}

/// A key at position `k` is visible to a query at position `q` when `0 <= q - k < window`.
pub(crate) fn sees(query: usize, key: usize, window: usize) -> bool {
    key <= query && query - key < window
}

/// What is added to the score of each key, for each query.
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
                (Some(q), Some(k)) if sees(*q, *k, window) => 0.0,
                _ => HIDDEN,
            }));
        }
    }
    in_f32(values, [batch, 1, seq, keys], device)
}

/// As `HIDDEN` needs it, whatever the device makes where nothing is said.
fn in_f32(values: Vec<f32>, shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
}

/// # Panics
/// If the model has no such token: a GPU would read beyond its embedding.
fn check_token(id: u32, config: &LlamaConfig) {
    let vocab = config.vocab;
    assert!((id as usize) < vocab, "expected tokens below the model's {vocab}, found {id}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_a_model_does_not_know_are_refused_before_a_gpu_would_read_them() {
        let (device, config) = (Device::flex(), LlamaConfig::tiny(16));
        let fails = |make: &dyn Fn()| {
            let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(make)).unwrap_err();
            panic.downcast_ref::<String>().cloned().unwrap_or_default()
        };
        let expected = "expected tokens below the model's 16, found 16";
        let row: [&[u32]; 1] = [&[3, 16]];
        assert_eq!(fails(&|| drop(ModelInput::new(&row, &config, &device))), expected);
        let rows = [vec![row[0]]];
        assert_eq!(fails(&|| drop(ModelInput::packed(&rows, &config, &device))), expected);
    }

    #[test]
    fn packed_texts_have_positions_and_a_view_of_their_own() {
        let device = Device::flex();
        let rows = [vec![&[5, 6, 7][..], &[8, 9][..]], vec![&[4][..]]];
        let visible = |sliding_window| {
            let config = LlamaConfig { sliding_window, ..LlamaConfig::tiny(16) };
            let input = ModelInput::packed(&rows, &config, &device);
            assert_eq!(input.ids.try_into_vec_as::<i64>().unwrap(), [5, 6, 7, 8, 9, 4, 0, 0, 0, 0]);
            let some = |positions: &[usize]| positions.iter().map(|p| Some(*p)).collect::<Vec<_>>();
            assert_eq!(input.positions[0], some(&[0, 1, 2, 0, 1]));
            assert_eq!(input.positions[1], [Some(0), None, None, None, None]);
            // The turns are those of the texts alone.
            let alone = RotaryEmbedding::new(&[vec![0, 1, 2, 0, 1], vec![0; 5]], &config, &device);
            let x = Tensor::ones([2, 5, config.head_dim], &device);
            let turned = |rope: &RotaryEmbedding| rope.forward(x.clone()).into_data();
            assert_eq!(turned(&input.rope), turned(&alone));
            let bias = input.bias.try_into_vec_as::<f32>().unwrap();
            bias.chunks(5).map(|row| row.iter().map(|b| u8::from(*b == 0.0)).collect()).collect()
        };
        let all: Vec<Vec<u8>> = visible(None);
        assert_eq!(all[..3], [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]]);
        assert_eq!(all[3..6], [[0, 0, 0, 1, 0], [0, 0, 0, 1, 1], [1, 0, 0, 0, 0]]);
        assert!(all[6..].iter().all(|row| row == &[0; 5]), "padding sees nothing");
        let near: Vec<Vec<u8>> = visible(Some(2));
        assert_eq!(near[2..5], [[0, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 1, 1]]);
    }
}
