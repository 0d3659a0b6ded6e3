//! The backward pass of the head, some rows at a time.

use burn::tensor::Tensor;
use nextcart_models::Llama;

use crate::batch::Batch;
use crate::gradients::Gradients;
use crate::loss::{chunks, head_loss};

/// The loss of a batch and what it passes down to its hidden states.
pub(crate) struct HeadPass {
    /// In nats, summed over the trained tokens, `[1]`, off the autodiff graph.
    pub(crate) loss: Tensor<1>,
    /// Gradient of the scaled loss, `[trained, d_model]`, off the autodiff graph.
    pub(crate) slope: Tensor<2>,
}

/// Forward and backward pass of the head over all hidden states, `rows` of them at a time.
///
/// Each piece goes forward and back before the next begins, so that logits and their gradient exist for `rows`
/// tokens and never for all. What trains in the head gets its share of each piece added to `gradients`.
///
/// # Shapes
/// - `hidden`: `[trained, d_model]`, off the autodiff graph
pub(crate) fn head_pass(
    model: &Llama,
    hidden: &Tensor<2>,
    batch: &Batch,
    rows: usize,
    scale: f64,
    gradients: &mut Gradients,
) -> HeadPass {
    let mut losses = Vec::new();
    let mut slopes = Vec::new();
    for (start, rows) in chunks(batch.trained_tokens(), rows) {
        let piece = hidden.clone().narrow(0, start, rows).autodiff().require_grad();
        let targets = batch.targets.clone().narrow(0, start, rows);
        let loss = head_loss(model, piece.clone(), targets);
        let mut backward = (loss.clone() * scale).backward();
        slopes.push(piece.grad_remove(&mut backward).expect("the loss depends on the piece"));
        gradients.collect(model, backward);
        losses.push(loss.inner());
    }
    HeadPass { loss: Tensor::cat(losses, 0).sum(), slope: Tensor::cat(slopes, 0) }
}
