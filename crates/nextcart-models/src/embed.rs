//! Vectors of short texts.

use std::cmp::Reverse;
use std::ops::Range;

use burn::module::Module as _;
use burn::tensor::{DType, Tensor, TensorData};

use crate::config::LlamaConfig;
use crate::input::ModelInput;
use crate::llama::Llama;

/// Tokens of a row of texts that are read together, where no single text is longer: they do not see each other, so
/// long rows would compute attention that is thrown away, and short ones waste time between products.
const ROW: usize = 128;

/// Texts that go through the model at once.
const TEXTS: usize = 96;

/// Short texts in rows, side by side and hidden from each other, and the places whose hidden states make their vectors:
/// all tokens of a text but its first, where a causal model rests its attention.
#[derive(Debug, Clone)]
pub struct TextRows {
    rows: Vec<Vec<usize>>,
    tokens: Vec<usize>,
    places: Vec<Range<usize>>, // of each text, row by row
}

impl TextRows {
    /// Rows for texts of so many tokens: the longest first, each into the first row with room.
    ///
    /// # Panics
    /// If a text has fewer than two tokens.
    #[must_use]
    pub fn of(tokens: impl IntoIterator<Item = usize>) -> Self {
        let tokens: Vec<usize> = tokens.into_iter().collect();
        assert!(tokens.iter().all(|tokens| *tokens > 1), "a text needs at least two tokens");
        let longest = tokens.iter().copied().max().unwrap_or(0).max(ROW);
        let mut order: Vec<usize> = (0..tokens.len()).collect();
        order.sort_by_key(|&text| Reverse(tokens[text]));
        let mut rows: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut first_with_room = 0;
        for text in order {
            let row = (first_with_room..rows.len()).find(|&row| rows[row].0 >= tokens[text]);
            let row = row.unwrap_or_else(|| {
                rows.push((longest, Vec::new()));
                rows.len() - 1
            });
            rows[row].0 -= tokens[text];
            rows[row].1.push(text);
            while rows.get(first_with_room).is_some_and(|(room, _)| *room < 2) {
                first_with_room += 1;
            }
        }
        let rows: Vec<Vec<usize>> = rows.into_iter().map(|(_, texts)| texts).collect();
        let (mut places, mut next) = (vec![0..0; tokens.len()], 0);
        for &text in rows.iter().flatten() {
            places[text] = next..next + tokens[text] - 1;
            next = places[text].end;
        }
        Self { rows, tokens, places }
    }

    /// The texts of each row, by index.
    #[must_use]
    pub fn rows(&self) -> &[Vec<usize>] {
        &self.rows
    }

    /// The places of each row whose hidden states are wanted.
    #[must_use]
    pub fn places(&self) -> Vec<Vec<usize>> {
        let of_row = |row: &Vec<usize>| {
            let mut start = 0;
            let of_text = row.iter().flat_map(|&text| {
                let first = start + 1;
                start += self.tokens[text];
                first..start
            });
            of_text.collect()
        };
        self.rows.iter().map(of_row).collect()
    }

    /// Number of these places in all rows.
    #[must_use]
    pub fn place_count(&self) -> usize {
        self.tokens.iter().map(|tokens| tokens - 1).sum()
    }

    /// The mean hidden state of each text, in f32. Gradients pass through.
    ///
    /// # Shapes
    /// - `hidden`: `[places, d_model]`, of [these places](Self::places) row by row, after the final norm
    /// - output: `[texts, d_model]`, in the order of the texts
    ///
    /// # Panics
    /// If there is not one hidden state a place.
    #[must_use]
    pub fn means(&self, hidden: Tensor<2>) -> Tensor<2> {
        let [places, _] = hidden.dims();
        assert_eq!(places, self.place_count(), "one hidden state a place");
        let mut means = vec![0.0f32; self.tokens.len() * places];
        for (text, range) in self.places.iter().enumerate() {
            means[text * places..][range.clone()].fill(1.0 / range.len() as f32);
        }
        let means = TensorData::new(means, [self.tokens.len(), places]);
        let means = Tensor::from_data(means, (&hidden.device(), DType::F32));
        means.matmul(hidden.cast(DType::F32))
    }
}

/// Vectors of some texts: each column with a mean of 0 and a variance of 1 over them, then each row made as long as 1.
///
/// A decoder's hidden states share one direction and a few huge entries, so that the cosine of any two is near 1
/// (Ethayarajh, EMNLP 2019); this takes both away. Gradients pass through. Of the [means](TextRows::means) of a group's
/// titles, these are the vectors that a [contrast](nextcart_text::Contrast) trains, and of a catalogue's those that
/// [`embed_texts`] gives.
///
/// # Shapes
/// - `means`: `[texts, d_model]`
/// - output: `[texts, d_model]`
#[must_use]
pub fn standardized(means: Tensor<2>) -> Tensor<2> {
    let centred = means.clone() - means.mean_dim(0);
    let variance = centred.clone().square().mean_dim(0); // [1, d_model]
    unit(centred / (variance + 1e-8).sqrt())
}

/// Rows made as long as 1; one of zeros stays as it is.
///
/// # Shapes
/// - output: as `rows`, `[rows, columns]`
#[must_use]
pub fn unit(rows: Tensor<2>) -> Tensor<2> {
    let squares = rows.clone().square().sum_dim(1); // [rows, 1]
    rows / (squares + 1e-12).sqrt()
}

/// The [vector](standardized) of each text, `[texts][d_model]`, of length 1.
///
/// The texts are read side by side, hidden from each other, but each column is standardised over all of them: give
/// a whole catalogue.
///
/// It computes off the autodiff graph and with dropout off, on whatever device the model is.
///
/// # Panics
/// If a text has fewer than two tokens, or the model does not know one.
#[must_use]
pub fn embed_texts(model: &Llama, config: &LlamaConfig, texts: &[&[u32]]) -> Vec<Vec<f32>> {
    embed_texts_with(model, config, texts, |_| {})
}

/// [`embed_texts`], telling a caller how many texts are done.
///
/// # Panics
/// As [`embed_texts`].
#[must_use]
pub fn embed_texts_with(
    model: &Llama,
    config: &LlamaConfig,
    texts: &[&[u32]],
    mut done: impl FnMut(usize),
) -> Vec<Vec<f32>> {
    let model = &model.valid();
    // Like lengths together, so that little is padded.
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|&text| Reverse(texts[text].len()));
    let (mut means, mut count) = (Vec::new(), 0);
    for some in order.chunks(TEXTS) {
        let some: Vec<&[u32]> = some.iter().map(|&text| texts[text]).collect();
        let layout = TextRows::of(some.iter().map(|text| text.len()));
        let of_row = |row: &Vec<usize>| row.iter().map(|&text| some[text]).collect();
        let rows: Vec<Vec<&[u32]>> = layout.rows().iter().map(of_row).collect();
        let input = ModelInput::packed(&rows, config, &model.device());
        means.push(layout.means(model.hidden_at(&input, &layout.places(), None)));
        count += some.len();
        done(count);
    }
    if means.is_empty() {
        return Vec::new();
    }
    let found = standardized(Tensor::cat(means, 0)).into_data();
    let found: Vec<f32> = found.iter::<f32>().collect();
    let mut vectors = vec![Vec::new(); texts.len()];
    for (&text, vector) in order.iter().zip(found.chunks(config.d_model)) {
        vectors[text] = vector.to_vec();
    }
    vectors
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn every_text_is_in_one_row_and_rows_are_not_too_long() {
        let tokens: Vec<usize> = (0..200).map(|text| 2 + text * 7 % 40).collect();
        let layout = TextRows::of(tokens.iter().copied());
        let mut seen: Vec<usize> = layout.rows().concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..200).collect::<Vec<_>>());
        let length = |row: &Vec<usize>| row.iter().map(|&text| tokens[text]).sum::<usize>();
        assert!(layout.rows().iter().all(|row| length(row) <= ROW));
        let all: usize = tokens.iter().sum();
        assert_eq!(layout.rows().len(), all.div_ceil(ROW), "rows of {all} tokens");
        assert_eq!(layout.places().concat().len(), all - 200);
        // A text longer than a row has one that is as long.
        assert_eq!(TextRows::of([3, 500, 490]).rows(), [vec![1], vec![2, 0]]);
        assert!(TextRows::of([]).rows().is_empty());
    }

    #[test]
    fn a_mean_is_that_of_all_tokens_but_the_first() {
        let layout = TextRows::of([2, 4, 3]);
        assert_eq!(
            (layout.rows(), layout.places()),
            (&[vec![1, 2, 0]][..], vec![vec![1, 2, 3, 5, 6, 8]])
        );
        let hidden = TensorData::from([[1.0f32], [2.0], [6.0], [10.0], [20.0], [-5.0]]);
        let means = layout.means(Tensor::from_data(hidden, &Device::flex()));
        let means: Vec<f32> = means.into_data().iter::<f32>().collect();
        for (found, expected) in means.iter().zip([-5.0, 3.0, 15.0]) {
            assert!((found - expected).abs() < 1e-5, "{means:?}");
        }
    }

    #[test]
    fn texts_have_the_vectors_of_each_read_alone() {
        let config = LlamaConfig::tiny(50);
        let model = config.init(5, &Device::flex());
        let text = |text: u32| (0..2 + text % 9).map(|at| (text * 3 + at) % 50).collect();
        let texts: Vec<Vec<u32>> = (0..130).map(text).collect();
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let mut seen = Vec::new();
        let together = embed_texts_with(&model, &config, &texts, |done| seen.push(done));
        assert_eq!((together.len(), seen), (130, vec![TEXTS, 130]));
        // Alone, one by one, in f64.
        let mut alone: Vec<Vec<f64>> = texts
            .iter()
            .map(|text| {
                let input = ModelInput::new(&[text], &config, &model.device());
                let hidden = model.hidden(&input, None).narrow(1, 1, text.len() - 1);
                hidden.mean_dim(1).into_data().iter::<f64>().collect()
            })
            .collect();
        for column in 0..config.d_model {
            let of = |f: &dyn Fn(f64) -> f64| {
                alone.iter().map(|row| f(row[column])).sum::<f64>() / alone.len() as f64
            };
            let mean = of(&|x| x);
            let deviation = of(&|x| (x - mean) * (x - mean)).sqrt();
            alone.iter_mut().for_each(|row| row[column] = (row[column] - mean) / deviation);
        }
        for (vector, expected) in together.iter().zip(&alone) {
            let length = expected.iter().map(|x| x * x).sum::<f64>().sqrt();
            for (found, expected) in vector.iter().zip(expected) {
                let off = (f64::from(*found) - expected / length).abs();
                assert!(off < 1e-4, "{found}, {}", expected / length);
            }
        }
        assert!(embed_texts(&model, &config, &[]).is_empty());
    }
}
