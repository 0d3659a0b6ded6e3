//! From purchases to scores of what comes next.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::module::embedding;
use burn::tensor::{Device, Int, Tensor, TensorData, activation};

use super::batches::{Batch, Padded};
use super::block::Block;
use super::config::SasRecConfig;
use super::dropout::Dropout;
use super::init::Init;

/// Added to the scores of later purchases, so that attention gives them nothing.
const HIDDEN: f32 = -1e9;

/// Items and positions to hidden states, and these to scores by the same items' embeddings.
#[derive(Module, Debug)]
pub(super) struct Model {
    pub(super) items: Param<Tensor<2>>,     // [items, d_model]
    pub(super) positions: Param<Tensor<2>>, // [max_length, d_model]
    pub(super) blocks: Vec<Block>,
    pub(super) norm: LayerNorm,
}

impl Model {
    pub(super) fn new(items: usize, config: &SasRecConfig, device: &Device) -> Self {
        let mut init = Init::new(config.seed, device);
        let d_model = config.d_model;
        Self {
            items: init.matrix([items, d_model]),
            positions: init.matrix([config.max_length, d_model]),
            blocks: (0..config.layers)
                .map(|_| Block::new(d_model, config.heads, &mut init))
                .collect(),
            norm: LayerNormConfig::new(d_model).init(device),
        }
    }

    /// Hidden states of chosen places.
    ///
    /// # Shapes
    /// - output: `[places, d_model]`
    fn hidden(&self, input: &Padded, dropout: &mut Dropout) -> Tensor<2> {
        let device = self.items.device();
        let [batch, seq] = input.shape;
        let ids = TensorData::new(input.items.clone(), [batch, seq]);
        let x = embedding(self.items.val(), Tensor::<2, Int>::from_data(ids, &device));
        let positions = self.positions.val().narrow(0, 0, seq).unsqueeze::<3>();
        let mut x = dropout.apply(x + positions); // [batch, seq, d_model]
        let bias = causal(seq, &device);
        for block in &self.blocks {
            x = block.forward(x, &bias, dropout);
        }
        let x = self.norm.forward(x);
        let [_, _, d_model] = x.dims();
        let places = TensorData::new(input.places.clone(), [input.places.len()]);
        x.reshape([batch * seq, d_model]).select(0, Tensor::from_data(places, &device))
    }

    /// Scores of all items behind chosen places.
    ///
    /// # Shapes
    /// - output: `[places, items]`
    pub(super) fn logits(&self, input: &Padded, dropout: &mut Dropout) -> Tensor<2> {
        self.hidden(input, dropout).matmul(self.items.val().transpose())
    }

    /// Mean cross-entropy of the targets among all items, in nats.
    pub(super) fn loss(&self, batch: &Batch, dropout: &mut Dropout) -> Tensor<1> {
        let count = batch.targets.len();
        let targets = TensorData::new(batch.targets.clone(), [count, 1]);
        let targets = Tensor::<2, Int>::from_data(targets, &self.items.device());
        let logits = self.logits(&batch.input, dropout);
        -activation::log_softmax(logits, 1).gather(1, targets).mean()
    }
}

/// # Shapes
/// - output: `[1, 1, seq, seq]`, 0 where a row may look and [`HIDDEN`] behind it
fn causal(seq: usize, device: &Device) -> Tensor<4> {
    let value = |place: usize| if place % seq > place / seq { HIDDEN } else { 0.0 };
    let values: Vec<f32> = (0..seq * seq).map(value).collect();
    Tensor::from_data(TensorData::new(values, [1, 1, seq, seq]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> SasRecConfig {
        SasRecConfig::new().with_d_model(8).with_max_length(6).with_heads(2)
    }

    fn logits(model: &Model, histories: &[&[u32]]) -> Vec<Vec<f32>> {
        let histories: Vec<Vec<u32>> = histories.iter().map(|h| h.to_vec()).collect();
        let input = Padded::ends(&histories);
        let scores = model.logits(&input, &mut Dropout::off());
        let [_, items] = scores.dims();
        let scores: Vec<f32> = scores.into_data().iter::<f32>().collect();
        scores.chunks(items).map(<[f32]>::to_vec).collect()
    }

    #[track_caller]
    fn check_close(found: &[f32], expected: &[f32]) {
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
        assert!(found.iter().zip(expected).all(close), "{found:?} is not {expected:?}");
    }

    #[test]
    fn what_comes_later_and_what_fills_a_row_change_nothing() {
        let model = Model::new(10, &tiny(), &Device::flex());
        let alone = logits(&model, &[&[3, 1, 4]]);
        let beside = logits(&model, &[&[9, 8, 7, 6, 5], &[3, 1, 4]]);
        check_close(&alone[0], &beside[1]);
        let input = Padded { items: vec![3, 1, 4, 5, 2], shape: [1, 5], places: vec![2] };
        let scores = model.logits(&input, &mut Dropout::off()).into_data();
        check_close(&alone[0], &scores.iter::<f32>().collect::<Vec<_>>());
        let other = logits(&model, &[&[1, 3, 4]]);
        assert!(alone[0].iter().zip(&other[0]).any(|(a, b)| (a - b).abs() > 1e-5));
    }

    #[test]
    fn every_weight_gets_a_gradient() {
        let device = Device::flex().autodiff();
        let model = Model::new(10, &tiny(), &device);
        let batch = Batch::new(&[&[3, 1, 4, 1], &[5, 9]]);
        let grads = model.loss(&batch, &mut Dropout::off()).backward();
        let norm = |grad: Option<Tensor<2>>| grad.map(|grad| grad.abs().sum().into_scalar::<f32>());
        assert!(norm(model.items.grad(&grads)).is_some_and(|sum| sum > 0.0));
        assert!(norm(model.positions.grad(&grads)).is_some_and(|sum| sum > 0.0));
        let found = burn::optim::GradientsParams::from_grads(grads, &model);
        // Two tables, the last norm, and in each of two blocks two norms and six layers of two parts.
        assert_eq!(found.len(), 2 + 2 + 2 * (2 * 2 + 6 * 2));
    }

    #[test]
    fn an_untrained_model_finds_all_items_about_as_likely() {
        let model = Model::new(50, &tiny(), &Device::flex());
        let batch = Batch::new(&[&[3, 1, 4, 1], &[5, 9]]);
        let loss = model.loss(&batch, &mut Dropout::off()).into_scalar::<f32>();
        assert!((loss - 50_f32.ln()).abs() < 0.1, "{loss}");
    }
}
