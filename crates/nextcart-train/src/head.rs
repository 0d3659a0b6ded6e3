//! The backward pass of the head, some rows at a time.

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use nextcart_models::Llama;

use crate::batch::{Aim, Batch};
use crate::contrast::{Group, contrast_loss};
use crate::decision::objective;
use crate::gradients::Gradients;
use crate::loss::{chunks, in_f32, log_likelihoods, values};

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
/// tokens and never for all. What trains in the head gets its share of each piece added to `gradients`. Where options
/// are chosen between, a forward pass comes first, since the slope of one depends on all.
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
    let (targets, decisions) = match &batch.aim {
        Aim::Titles(groups) => return titles_pass(hidden, groups, scale),
        Aim::Tokens { targets, decisions } => (targets, decisions),
    };
    let count = batch.trained_tokens();
    let between = (!decisions.is_empty()).then(|| {
        let pieces = chunks(count, rows);
        let slices = pieces.map(|(start, rows)| {
            let hidden = hidden.clone().narrow(0, start, rows);
            (hidden, targets.clone().narrow(0, start, rows))
        });
        objective(decisions, &untracked(model, slices))
    });
    let slopes_of = between.as_ref().map(|objective| in_f32(&objective.slopes, &model.device()));
    let mut losses = Vec::new();
    let mut slopes = Vec::new();
    for (start, rows) in chunks(count, rows) {
        let piece = hidden.clone().narrow(0, start, rows).autodiff().require_grad();
        let targets = targets.clone().narrow(0, start, rows);
        let likelihoods = log_likelihoods(model, piece.clone(), targets);
        let loss = match &slopes_of {
            Some(slopes) => (likelihoods * slopes.clone().narrow(0, start, rows)).sum(),
            None => likelihoods.sum().neg(),
        };
        let mut backward = (loss.clone() * scale).backward();
        slopes.push(piece.grad_remove(&mut backward).expect("the loss depends on the piece"));
        gradients.collect(model, backward);
        losses.push(loss.inner());
    }
    let loss = match between {
        Some(objective) => in_f32(&[objective.loss as f32], &hidden.device()),
        None => Tensor::cat(losses, 0).sum(),
    };
    HeadPass { loss, slope: Tensor::cat(slopes, 0) }
}

/// Log-likelihoods of the targets of hidden states, piece by piece, without a graph.
fn untracked(model: &Llama, pieces: impl Iterator<Item = (Tensor<2>, Tensor<1, Int>)>) -> Vec<f32> {
    let model = model.clone().no_grad();
    let of = |(hidden, targets): (Tensor<2>, _)| {
        values(log_likelihoods(&model, hidden.autodiff(), targets))
    };
    pieces.flat_map(of).collect()
}

/// The loss of titles, which have no logits, forward and back.
fn titles_pass(hidden: &Tensor<2>, groups: &[Group], scale: f64) -> HeadPass {
    let hidden = hidden.clone().autodiff().require_grad();
    let loss = contrast_loss(&hidden, groups);
    let mut backward = (loss.clone() * scale).backward();
    let slope = hidden.grad_remove(&mut backward).expect("the loss depends on the hidden states");
    HeadPass { loss: loss.inner(), slope }
}
