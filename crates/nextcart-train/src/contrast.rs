//! The loss of contrasts between titles.

use burn::tensor::{DType, Int, Tensor, TensorData, activation};
use nextcart_models::TextRows;
use nextcart_models::embed::{standardized, unit};
use nextcart_text::{Contrast, Sample};

/// Added to the score of a title that a customer has bought before.
const BOUGHT: f32 = -1e30;

/// The titles of one sample among the places of a batch, and who bought them.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    layout: TextRows,
    contrast: Contrast,
}

/// The rows in which a contrast's titles are read.
pub(crate) fn layout(contrast: &Contrast) -> TextRows {
    TextRows::of(contrast.texts().map(|ids| ids.len()))
}

/// The rows of titles that samples are read in, and the group of each sample.
///
/// # Panics
/// If a sample is no contrast.
pub(crate) fn rows_and_groups<'a>(samples: &[&'a Sample]) -> (Vec<Vec<&'a [u32]>>, Vec<Group>) {
    let (mut rows, mut groups) = (Vec::new(), Vec::new());
    for sample in samples {
        let contrast = sample.as_contrast().expect("a contrast among contrasts");
        let ids: Vec<&[u32]> = contrast.texts().map(|text| &sample.ids()[text]).collect();
        let layout = layout(contrast);
        let of_row = |row: &Vec<usize>| row.iter().map(|&title| ids[title]).collect();
        rows.extend(layout.rows().iter().map(of_row));
        groups.push(Group { layout, contrast: contrast.clone() });
    }
    (rows, groups)
}

/// Negative log-likelihood of every next purchase of all groups, in nats, summed, `[1]`.
///
/// # Shapes
/// - `hidden`: `[places, d_model]`, after the final norm
pub(crate) fn contrast_loss(hidden: &Tensor<2>, groups: &[Group]) -> Tensor<1> {
    let mut first = 0;
    let losses = groups.iter().map(|group| {
        let count = group.layout.place_count();
        first += count;
        group.loss(hidden.clone().narrow(0, first - count, count))
    });
    Tensor::cat(losses.collect(), 0).sum()
}

impl Group {
    /// The places of its rows whose hidden states it takes.
    pub(crate) fn places(&self) -> Vec<Vec<usize>> {
        self.layout.places()
    }

    /// One entry, `[1]`.
    fn loss(&self, hidden: Tensor<2>) -> Tensor<1> {
        let (device, options) = (hidden.device(), self.contrast.options());
        let count = self.contrast.texts().len();
        let (mut weights, mut bought, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for next in self.contrast.purchases() {
            let (mut counts, mut hides) = (vec![0.0f32; count], vec![0.0f32; count]);
            for (&title, weight) in next.before.iter().zip(options.weights(next.before.len())) {
                counts[title] += weight as f32;
                hides[title] = BOUGHT;
            }
            hides[next.target] = 0.0; // bought again
            weights.extend(counts);
            bought.extend(hides);
            targets.push(next.target as i64);
        }
        let rows = targets.len();
        let table = |values| {
            let values = TensorData::new(values, [rows, count]);
            Tensor::<2>::from_data(values, (&device, DType::F32)) // [purchases, titles]
        };
        let titles = standardized(self.layout.means(hidden)); // [titles, d_model]
        let customers = unit(table(weights).matmul(titles.clone())); // [purchases, d_model]
        let scores = customers.matmul(titles.transpose()) / options.temperature + table(bought);
        let targets = Tensor::<2, Int>::from_data(TensorData::new(targets, [rows, 1]), &device);
        activation::log_softmax(scores, 1).gather(1, targets).sum().neg()
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use burn::tensor::Device;
    use nextcart_text::ContrastOptions;

    use super::*;

    /// Vectors and loss by hand, in f64.
    fn expected(vectors: &[Vec<f64>], histories: &[&[usize]], options: ContrastOptions) -> f64 {
        let unit = |vector: &[f64]| -> Vec<f64> {
            let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
            vector.iter().map(|x| x / length).collect()
        };
        let mut vectors = vectors.to_vec();
        for column in 0..vectors[0].len() {
            let of = |f: &dyn Fn(f64) -> f64| -> f64 {
                vectors.iter().map(|row| f(row[column])).sum::<f64>() / vectors.len() as f64
            };
            let mean = of(&|x| x);
            let deviation = of(&|x| (x - mean) * (x - mean)).sqrt();
            vectors.iter_mut().for_each(|row| row[column] = (row[column] - mean) / deviation);
        }
        let vectors: Vec<Vec<f64>> = vectors.iter().map(|vector| unit(vector)).collect();
        let mut loss = 0.0;
        for history in histories {
            for next in 1..history.len() {
                let mut customer = vec![0.0; vectors[0].len()];
                let first = next.saturating_sub(options.longest);
                for (age, &title) in history[first..next].iter().rev().enumerate() {
                    let weight = options.decay.powi(age as i32);
                    customer.iter_mut().zip(&vectors[title]).for_each(|(c, x)| *c += weight * x);
                }
                let customer = unit(&customer);
                let score = |title: usize| {
                    let dot = customer.iter().zip(&vectors[title]).map(|(c, x)| c * x);
                    (dot.sum::<f64>() / options.temperature).exp()
                };
                let target = history[next];
                let allowed = (0..vectors.len())
                    .filter(|title| *title == target || !history[..next].contains(title));
                loss -= (score(target) / allowed.map(score).sum::<f64>()).ln();
            }
        }
        loss
    }

    #[test]
    fn the_loss_is_that_of_each_next_title_among_those_not_bought() {
        let texts: [&[u32]; 4] = [&[1, 2], &[1, 3, 4, 5], &[1, 6], &[1, 7, 8]];
        let histories: [&[usize]; 3] = [&[0, 1, 2, 3], &[3, 1, 3], &[2]];
        let options = ContrastOptions { decay: 0.5, longest: 2, temperature: 0.3 };
        let sample = Sample::contrast(&texts, &histories, options).unwrap();
        let (rows, groups) = rows_and_groups(&[&sample, &sample]);
        // The longest first: titles 1, 3, 0 and 2, of 3, 2, 1 and 1 places.
        assert_eq!(rows, [[texts[1], texts[3], texts[0], texts[2]]; 2]);
        let number = |place: usize, column: usize| ((place * 7 + column * 3) % 11) as f32 - 4.5;
        let values: Vec<f32> =
            (0..14).flat_map(|at| (0..3).map(move |c| number(at % 7, c))).collect();
        let hidden = Tensor::<2>::from_data(TensorData::new(values, [14, 3]), &Device::flex());
        let mean = |places: Range<usize>| -> Vec<f64> {
            let of = |column| places.clone().map(|at| f64::from(number(at, column))).sum::<f64>();
            (0..3).map(|column| of(column) / places.len() as f64).collect()
        };
        let vectors = [mean(5..6), mean(0..3), mean(6..7), mean(3..5)];
        let expected = 2.0 * expected(&vectors, &histories, options);
        let found = f64::from(contrast_loss(&hidden, &groups).into_scalar::<f32>());
        assert!((found - expected).abs() < 1e-4, "{found}, {expected}");
    }
}
