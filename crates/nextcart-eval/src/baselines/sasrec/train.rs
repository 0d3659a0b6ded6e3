//! Adam until validation gets no better.

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::Device;
use nextcart_data::{History, Question};
use nextcart_metrics::{Rank, TieRule};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;

use super::batches::epoch;
use super::config::SasRecConfig;
use super::dropout::Dropout;
use super::model::Model;
use super::predictor::SasRec;
use crate::baselines::interactions::Interactions;
use crate::baselines::validation::check_validation;
use crate::error::{Error, Result};
use crate::ranking::target_ranks;

/// Places that count in the figure that ends training.
const K: usize = 10;

/// Sets the generator of order and dropout apart from that of the weights.
const TRAINING: u64 = 0x7361_7372;

/// A pass over the training histories.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Epoch {
    /// Mean loss of its steps in nats.
    pub loss: f64,
    /// NDCG@10 among all items on validation after it.
    pub ndcg: f64,
}

pub(super) fn fit(
    training: &[History],
    validation: &[Question],
    config: &SasRecConfig,
    device: &Device,
) -> Result<SasRec> {
    config.validate()?;
    check_validation(validation, "stop training by")?;
    let interactions = Interactions::new(training.iter().map(|history| &history.items));
    if interactions.histories().all(|history| history.len() < 2) {
        return Err(Error::NoSequences);
    }
    let device = device.clone().inner().autodiff();
    let mut model = Model::new(interactions.items().len(), config, &device);
    let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed ^ TRAINING);
    let mut best = SasRec::new(interactions.items().clone(), model.valid(), config.max_length);
    let (mut curve, mut best_epoch): (Vec<Epoch>, usize) = (Vec::new(), 0);
    while curve.len() < config.max_epochs && curve.len() - best_epoch < config.patience {
        let (mut sum, mut targets) = (0.0, 0);
        for batch in epoch(interactions.histories(), config.max_length, config.batch_size, &mut rng)
        {
            let mut dropout = Dropout::new(config.dropout, rng.next_u64());
            let loss = model.loss(&batch, &mut dropout);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(config.learning_rate, model, gradients);
            let count = batch.targets.len();
            sum += f64::from(loss.into_scalar::<f32>()) * count as f64;
            targets += count;
        }
        let loss = sum / targets as f64;
        if !loss.is_finite() {
            return Err(Error::Diverged { epoch: curve.len() + 1, loss });
        }
        let items = interactions.items().clone();
        let mut now = SasRec::new(items, model.valid(), config.max_length);
        let ranks = target_ranks(&mut now, validation, training)?.into_iter();
        let gain = |rank: Option<Rank>| rank.map_or(0.0, |rank| rank.ndcg_at(K, TieRule::Expected));
        let ndcg = ranks.map(gain).sum::<f64>() / validation.len() as f64;
        let better = curve.iter().all(|epoch| ndcg > epoch.ndcg);
        curve.push(Epoch { loss, ndcg });
        tracing::info!(epoch = curve.len(), loss, ndcg, "trained");
        if better {
            (best, best_epoch) = (now, curve.len());
        }
    }
    Ok(best.with_curve(curve))
}
