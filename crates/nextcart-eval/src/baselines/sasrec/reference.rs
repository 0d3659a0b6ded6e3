//! The model once more, with loops over one history, for the tests to compare with.

use burn::nn::{LayerNorm, Linear};
use burn::tensor::{Device, Tensor};

use super::batches::Padded;
use super::block::Block;
use super::config::SasRecConfig;
use super::dropout::Dropout;
use super::model::Model;

type Rows = Vec<Vec<f64>>;

fn rows<const D: usize>(tensor: Tensor<D>) -> Rows {
    let width = tensor.dims()[D - 1];
    let values: Vec<f64> = tensor.into_data().iter::<f32>().map(f64::from).collect();
    values.chunks(width).map(<[f64]>::to_vec).collect()
}

fn add(a: &Rows, b: &Rows) -> Rows {
    a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn linear(layer: &Linear, x: &Rows) -> Rows {
    let weight = rows(layer.weight.val()); // [d_input, d_output]
    let bias = rows(layer.bias.as_ref().unwrap().val()).remove(0);
    let column = |j: usize| weight.iter().map(|row| row[j]).collect::<Vec<_>>();
    x.iter().map(|x| (0..bias.len()).map(|j| bias[j] + dot(x, &column(j))).collect()).collect()
}

fn norm(layer: &LayerNorm, x: &Rows) -> Rows {
    let gamma = rows(layer.gamma.val()).remove(0);
    let beta = rows(layer.beta.as_ref().unwrap().val()).remove(0);
    let one = |x: &Vec<f64>| {
        let count = x.len() as f64;
        let mean = x.iter().sum::<f64>() / count;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let value = |i: usize| (x[i] - mean) / (variance + 1e-5).sqrt() * gamma[i] + beta[i];
        (0..x.len()).map(value).collect()
    };
    x.iter().map(one).collect()
}

fn attend(block: &Block, x: &Rows) -> Rows {
    let [q, k, v] = [&block.query, &block.key, &block.value].map(|layer| linear(layer, x));
    let width = x[0].len() / block.heads;
    let mut mixed = vec![Vec::new(); x.len()];
    for (place, mixed) in mixed.iter_mut().enumerate() {
        for head in 0..block.heads {
            let part = head * width..(head + 1) * width;
            let score = |other: usize| {
                dot(&q[place][part.clone()], &k[other][part.clone()]) / (width as f64).sqrt()
            };
            let weights: Vec<f64> = (0..=place).map(|other| score(other).exp()).collect();
            let sum: f64 = weights.iter().sum();
            for i in part.clone() {
                let value = |other: usize| weights[other] / sum * v[other][i];
                mixed.push((0..=place).map(value).sum());
            }
        }
    }
    linear(&block.output, &mixed)
}

/// Scores of all items behind a history.
fn scores(model: &Model, history: &[u32]) -> Vec<f64> {
    let (items, positions) = (rows(model.items.val()), rows(model.positions.val()));
    let read: Rows = history.iter().map(|item| items[*item as usize].clone()).collect();
    let mut x = add(&read, &positions);
    for block in &model.blocks {
        x = add(&x, &attend(block, &norm(&block.attention_norm, &x)));
        let mut hidden = linear(&block.up, &norm(&block.feed_forward_norm, &x));
        hidden.iter_mut().flatten().for_each(|value| *value = value.max(0.0));
        x = add(&x, &linear(&block.down, &hidden));
    }
    let last = norm(&model.norm, &x).pop().unwrap();
    items.iter().map(|item| dot(item, &last)).collect()
}

#[test]
fn tensors_and_loops_give_the_same_scores() {
    let config = SasRecConfig::new().with_d_model(12).with_heads(3).with_max_length(7);
    let model = Model::new(20, &config, &Device::flex());
    let histories: [Vec<u32>; 3] = [vec![4], vec![19, 3, 0, 7, 7, 2, 11], vec![1, 2, 3]];
    let found = model.logits(&Padded::ends(&histories), &mut Dropout::off());
    for (found, history) in rows(found).iter().zip(&histories) {
        for (found, expected) in found.iter().zip(scores(&model, history)) {
            assert!((found - expected).abs() < 1e-5, "{history:?}: {found} is not {expected}");
        }
    }
}
