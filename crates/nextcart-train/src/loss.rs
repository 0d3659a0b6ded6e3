//! Cross-entropy over the trained tokens.

use std::cmp::Reverse;

use burn::module::Module;
use burn::tensor::{DType, Tensor, activation};
use nextcart_models::{Llama, LlamaConfig};
use nextcart_text::Sample;

use crate::batch::Batch;
use crate::check::check_samples;
use crate::error::{Error, Result};

/// Negative log-likelihood of the trained tokens of a batch in nats, summed, of shape `[1]`.
///
/// `-Σ log softmax(h_t Wᵀ)[x_(t+1)]` over the places `t` whose next token is trained, in f32. A sum
/// and no mean, so that batches with unequal numbers of targets add up to one correct loss.
///
/// Hidden states are picked out inside the last block, so its output and logits exist for trained tokens alone:
/// with a long prompt, a short answer and 32,000 tokens the logits would be the largest tensor by far.
///
/// # Panics
/// If no token of the batch is trained.
#[must_use]
pub fn loss_sum(model: &Llama, batch: &Batch) -> Tensor<1> {
    let hidden = model.hidden_at(batch.input(), &batch.places, None); // [trained, d_model]
    let logits = model.logits(hidden).cast(DType::F32); // [trained, vocab]
    let targets = batch.targets.clone().unsqueeze_dim::<2>(1); // [trained, 1]
    activation::log_softmax(logits, 1).gather(1, targets).sum().neg()
}

/// Mean loss in nats per trained token, with dropout off and without gradients.
///
/// Samples of like length share a batch of `batch_size`; the result is the same in any batches, up
/// to rounding.
///
/// # Errors
/// If there are no samples, a token is outside the vocabulary, `batch_size` is 0 or the loss of a
/// batch is not finite.
pub fn evaluate_loss(
    model: &Llama,
    config: &LlamaConfig,
    samples: &[Sample],
    batch_size: usize,
) -> Result<f64> {
    check_samples(samples, config)?;
    if batch_size == 0 {
        let (expected, found) = ("at least 1".to_owned(), "0".to_owned());
        return Err(Error::Config { field: "batch_size", expected, found });
    }
    let model = model.valid();
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by_key(|&index| Reverse(samples[index].len()));

    let mut sum = 0.0;
    let mut trained_tokens = 0;
    for indices in order.chunks(batch_size) {
        let rows: Vec<&Sample> = indices.iter().map(|&index| &samples[index]).collect();
        let batch = Batch::new(&rows, config, &model.device());
        let loss = f64::from(loss_sum(&model, &batch).into_scalar::<f32>());
        if !loss.is_finite() {
            return Err(Error::NonFiniteEvaluation { samples: indices.to_vec() });
        }
        sum += loss;
        trained_tokens += batch.trained_tokens();
    }
    Ok(sum / trained_tokens as f64)
}
