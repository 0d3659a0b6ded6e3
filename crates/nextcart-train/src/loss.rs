//! Cross-entropy over the trained tokens.

use std::cmp::Reverse;

use burn::module::Module;
use burn::tensor::{DType, Device, Int, Tensor, TensorData, activation};
use nextcart_models::{Llama, LlamaConfig};
use nextcart_text::Sample;

use crate::batch::{Aim, Batch};
use crate::check::{GIVEN, check_samples};
use crate::config::wrong;
use crate::contrast::contrast_loss;
use crate::decision::{Objective, objective};
use crate::error::{Error, Result};

/// Trained tokens whose logits exist at one time, where nothing else is said.
pub const DEFAULT_LOSS_ROWS: usize = 256;

/// Negative log-likelihood of the trained tokens of a batch in nats, summed, of shape `[1]`.
///
/// `-Σ log softmax(h_t Wᵀ)[x_(t+1)]` over the places `t` whose next token is trained, in f32; a
/// [choice](nextcart_text::Choice) adds the loss between its options in place of that of its tokens, and a
/// [contrast](nextcart_text::Contrast) that of its customers' next purchases. A sum
/// and no mean, so that batches with unequal numbers of targets add up to one correct loss.
///
/// Hidden states are picked out inside the last block, so its output and logits exist for trained tokens alone,
/// and logits for [`DEFAULT_LOSS_ROWS`] of them at a time: with 32,000 tokens they would be the largest tensor by
/// far. A backward pass from here needs all of them again; [`loss_and_gradients`](crate::loss_and_gradients) does not.
///
/// # Panics
/// If no token of the batch is trained.
#[must_use]
pub fn loss_sum(model: &Llama, batch: &Batch) -> Tensor<1> {
    loss_sum_with(model, batch, DEFAULT_LOSS_ROWS)
}

/// [`loss_sum`] with logits of so many trained tokens at one time, at least 1.
fn loss_sum_with(model: &Llama, batch: &Batch, rows: usize) -> Tensor<1> {
    let hidden = model.hidden_at(batch.input(), &batch.places, None); // [trained, d_model]
    let (targets, decisions) = match &batch.aim {
        Aim::Titles(groups) => return contrast_loss(&hidden, groups),
        Aim::Tokens { targets, decisions } => (targets, decisions),
    };
    let pieces = chunks(batch.trained_tokens(), rows).map(|(start, rows)| {
        let targets = targets.clone().narrow(0, start, rows);
        log_likelihoods(model, hidden.clone().narrow(0, start, rows), targets)
    });
    let likelihoods = Tensor::cat(pieces.collect(), 0);
    if decisions.is_empty() {
        return likelihoods.sum().neg();
    }
    // Its value is the loss, and its gradient that of the loss: the slopes are constants of the graph.
    let (values, device) = (values(likelihoods.clone()), likelihoods.device());
    let Objective { loss, slopes } = objective(decisions, &values);
    let slopes = in_f32(&slopes, &device);
    let sloped = (likelihoods * slopes).sum();
    sloped.clone() - sloped.detach() + loss
}

/// Log-likelihood of the target of each of some hidden states in nats, `[rows]`.
///
/// # Shapes
/// - `hidden`: `[rows, d_model]`
/// - `targets`: `[rows]`
pub(crate) fn log_likelihoods(
    model: &Llama,
    hidden: Tensor<2>,
    targets: Tensor<1, Int>,
) -> Tensor<1> {
    let logits = model.logits(hidden).cast(DType::F32); // [rows, vocab]
    let targets = targets.unsqueeze_dim::<2>(1); // [rows, 1]
    activation::log_softmax(logits, 1).gather(1, targets).squeeze_dim(1)
}

/// Numbers in f32, whatever the device makes where nothing is said.
pub(crate) fn in_f32(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::from(values), (device, DType::F32))
}

/// Numbers of a tensor, on the host.
pub(crate) fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.try_into_vec_as().expect("numbers of a finished pass can be read")
}

/// Where the pieces of at most `rows` of `0..count` start, and how long they are.
pub(crate) fn chunks(count: usize, rows: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).step_by(rows).map(move |start| (start, rows.min(count - start)))
}

/// Mean loss in nats per trained token, choice, or purchase of a contrast, with dropout off and without gradients.
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
    evaluate_loss_with(model, config, samples, batch_size, DEFAULT_LOSS_ROWS)
}

/// [`evaluate_loss`] with logits of so many trained tokens at one time, at least 1.
pub(crate) fn evaluate_loss_with(
    model: &Llama,
    config: &LlamaConfig,
    samples: &[Sample],
    batch_size: usize,
    loss_rows: usize,
) -> Result<f64> {
    check_samples(samples, config, GIVEN)?;
    if batch_size == 0 {
        return Err(wrong("", "batch_size", "at least 1", 0));
    }
    let model = model.valid();
    let mut sum = 0.0;
    let mut weight = 0;
    for indices in evaluation_batches(samples, batch_size) {
        let rows: Vec<&Sample> = indices.iter().map(|&index| &samples[index]).collect();
        let batch = Batch::new(&rows, config, &model.device());
        let loss = f64::from(loss_sum_with(&model, &batch, loss_rows).into_scalar::<f32>());
        if !loss.is_finite() {
            return Err(Error::NonFiniteEvaluation { samples: indices, checkpoint: None });
        }
        sum += loss;
        weight += batch.weight();
    }
    Ok(sum / weight as f64)
}

/// The passes of an evaluation, by index: the longest samples first, as what does not fit fails at once.
pub(crate) fn evaluation_batches(samples: &[Sample], batch_size: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by_key(|&index| Reverse(samples[index].len()));
    order.chunks(batch_size).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_all_rows_and_the_last_may_be_short() {
        let of = |count, rows| chunks(count, rows).collect::<Vec<_>>();
        assert_eq!(of(7, 3), [(0, 3), (3, 3), (6, 1)]);
        assert_eq!(of(6, 3), [(0, 3), (3, 3)]);
        assert_eq!(of(2, 256), [(0, 2)]);
    }
}
