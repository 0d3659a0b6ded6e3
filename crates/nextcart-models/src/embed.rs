//! Vectors of short texts.

use std::cmp::Reverse;
use std::ops::Range;

use burn::tensor::{DType, Tensor, TensorData};

use crate::config::LlamaConfig;
use crate::input::ModelInput;
use crate::llama::Llama;

/// Tokens of a row of texts that are read together, where no single text is longer: they do not see each other, so
/// long rows would compute attention that is thrown away, and short ones waste time between products.
const ROW: usize = 128;

/// Rows that go through the model at once.
const ROWS: usize = 16;

/// The rows that texts of such lengths are read in, by index: the longest first, each into the first row with room.
#[must_use]
pub fn text_rows(lengths: &[usize]) -> Vec<Vec<usize>> {
    let longest = lengths.iter().copied().max().unwrap_or(0).max(ROW);
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&text| Reverse(lengths[text]));
    let mut rows: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut first_with_room = 0;
    for text in order {
        let tokens = lengths[text];
        let row = (first_with_room..rows.len()).find(|&row| rows[row].0 >= tokens);
        let row = row.unwrap_or_else(|| {
            rows.push((longest, Vec::new()));
            rows.len() - 1
        });
        rows[row].0 -= tokens;
        rows[row].1.push(text);
        while rows.get(first_with_room).is_some_and(|(room, _)| *room < 2) {
            first_with_room += 1;
        }
    }
    rows.into_iter().map(|(_, texts)| texts).collect()
}

/// The mean of the hidden states at each text's places, in f32.
///
/// # Shapes
/// - `hidden`: `[places, d_model]`, after the final norm
/// - `texts`: places of each text, at least one
/// - output: `[texts, d_model]`
#[must_use]
pub fn text_means(hidden: Tensor<2>, texts: &[Range<usize>]) -> Tensor<2> {
    let [places, _] = hidden.dims();
    let mut means = vec![0.0f32; texts.len() * places];
    for (text, range) in texts.iter().enumerate() {
        means[text * places..][range.clone()].fill(1.0 / range.len() as f32);
    }
    let means = TensorData::new(means, [texts.len(), places]);
    Tensor::from_data(means, &hidden.device()).matmul(hidden.cast(DType::F32))
}

/// Vectors of some texts: each column with a mean of 0 and a variance of 1 over them, then each row made as long as 1.
///
/// A decoder's hidden states share one direction and a few huge entries, so that the cosine of any two is near 1
/// (Ethayarajh, EMNLP 2019); this takes both away. Gradients pass through. With the [means](text_means) over all tokens
/// of a text but its first, where a causal model rests its attention, these are the vectors that a
/// [contrast](nextcart_text::Contrast) trains and [`embed_texts`] gives.
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

/// The [vector](standardized) of each text, `[texts][d_model]`, of length 1, made of the mean of the hidden states after the
/// final norm over all tokens but the first.
///
/// The texts are read side by side, hidden from each other, but each column is standardised over all of them: give
/// a whole catalogue.
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
    assert!(texts.iter().all(|text| text.len() > 1), "a text needs at least two tokens");
    let lengths: Vec<usize> = texts.iter().map(|text| text.len()).collect();
    let rows = text_rows(&lengths);
    let (mut means, mut count) = (Vec::new(), 0);
    for rows in rows.chunks(ROWS) {
        let tokens: Vec<Vec<&[u32]>> =
            rows.iter().map(|row| row.iter().map(|&text| texts[text]).collect()).collect();
        let input = ModelInput::packed(&tokens, config, &model.device());
        let (places, ranges) = pooled_places(&tokens);
        means.push(text_means(model.hidden_at(&input, &places, None), &ranges));
        count += ranges.len();
        done(count);
    }
    if means.is_empty() {
        return Vec::new();
    }
    let found = standardized(Tensor::cat(means, 0)).into_data();
    let found: Vec<f32> = found.iter::<f32>().collect();
    let mut vectors = vec![Vec::new(); texts.len()];
    for (&text, vector) in rows.iter().flatten().zip(found.chunks(config.d_model)) {
        vectors[text] = vector.to_vec();
    }
    vectors
}

/// Places of all tokens but each text's first, for every row, and which of them, row by row, are those of each text.
#[must_use]
pub fn pooled_places(rows: &[Vec<&[u32]>]) -> (Vec<Vec<usize>>, Vec<Range<usize>>) {
    let mut ranges = Vec::new();
    let mut next = 0;
    let places = rows.iter().map(|texts| {
        let (mut places, mut start) = (Vec::new(), 0);
        for text in texts {
            places.extend(start + 1..start + text.len());
            ranges.push(next..next + text.len() - 1);
            next += text.len() - 1;
            start += text.len();
        }
        places
    });
    (places.collect(), ranges)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn every_text_is_in_one_row_and_rows_are_not_too_long() {
        let lengths: Vec<usize> = (0..200).map(|text| 2 + text * 7 % 40).collect();
        let rows = text_rows(&lengths);
        let mut seen: Vec<usize> = rows.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..200).collect::<Vec<_>>());
        let tokens = |row: &Vec<usize>| row.iter().map(|&text| lengths[text]).sum::<usize>();
        assert!(rows.iter().all(|row| tokens(row) <= ROW));
        let all: usize = lengths.iter().sum();
        assert_eq!(rows.len(), all.div_ceil(ROW), "rows of {all} tokens");
        // A text longer than a row has one that is as long.
        assert_eq!(text_rows(&[3, 500, 490]), [vec![1], vec![2, 0]]);
        assert!(text_rows(&[]).is_empty());
    }

    #[test]
    fn texts_have_the_vectors_of_each_read_alone() {
        let config = LlamaConfig::tiny(50);
        let model = config.init(5, &Device::flex());
        let texts: Vec<Vec<u32>> = (0..70u32)
            .map(|text| (0..2 + text % 9).map(|at| (text * 3 + at) % 50).collect())
            .collect();
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let mut seen = 0;
        let together = embed_texts_with(&model, &config, &texts, |done| seen = done);
        assert_eq!((together.len(), seen), (70, 70));
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
            let of =
                |f: &dyn Fn(f64) -> f64| alone.iter().map(|row| f(row[column])).sum::<f64>() / 70.0;
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
