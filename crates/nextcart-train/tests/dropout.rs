//! Dropout in passes that compute blocks again.
//!
//! One test, because burn's CPU backend has one generator for the whole process.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use burn::tensor::Tensor;
use common::{adapted, bits, largest_difference, learnt, llama, lora, samples, values};
use nextcart_models::Llama;
use nextcart_text::Sample;
use nextcart_train::{
    Batch, Checkpointing, Gradients, PassOptions, SftConfig, StepGradients, Trainer,
    loss_and_gradients_with,
};

fn pass(model: &Llama, checkpointing: Checkpointing, dropout_seed: u64) -> StepGradients {
    let samples = samples(6);
    let trained = samples.iter().map(Sample::trained_tokens).sum();
    let batches = samples.chunks(3).map(|part| {
        let rows: Vec<&Sample> = part.iter().collect();
        Batch::new(&rows, &llama(), &model.device())
    });
    let options = PassOptions { checkpointing, dropout_seed, ..PassOptions::default() };
    loss_and_gradients_with(model, batches, trained, options)
}

/// `a` and `b` of every adapter moved along their gradients.
fn moved(model: &Llama, gradients: &Gradients, step: f64) -> Llama {
    let config = lora().with_dropout(0.3);
    let move_one = |path: &str, mut projection: nextcart_adapters::Projection| {
        let adapter = projection.adapter().expect("adapters on all projections");
        let along = |value: Tensor<2>, name: &str| {
            let gradient: Tensor<2> = gradients.get(&format!("{path}.adapter.{name}")).unwrap();
            (value.inner() + gradient * step).autodiff()
        };
        let (a, b) = (along(adapter.a(), "a"), along(adapter.b(), "b"));
        projection.set_adapter(a, b, None, &config)?;
        Ok(projection)
    };
    model.clone().map_projections(move_one).unwrap()
}

/// Two passes of a step draw the same masks on one device and on two.
fn devices_draw_the_masks_of_one() {
    let samples = samples(8);
    let lora = lora().with_dropout(0.3);
    let trained = |devices, gradient_accumulation| {
        let config =
            SftConfig { batch_size: 4, devices, gradient_accumulation, ..SftConfig::default() };
        let config = SftConfig { max_steps: Some(3), learning_rate: 0.05, ..config };
        let mut trainer = Trainer::new(adapted(&lora), &llama(), config, &samples).unwrap();
        while trainer.step().unwrap().is_some() {}
        bits(&trainer.into_model())
    };
    assert_eq!(trained(2, 1), trained(1, 2));
}

#[test]
fn blocks_computed_again_draw_the_masks_of_the_forward_pass() {
    devices_draw_the_masks_of_one();
    let config = lora().with_dropout(0.3);
    for config in [config.clone(), config.with_use_dora(true)] {
        let model = learnt(adapted(&config), &llama());
        let expected = pass(&model, Checkpointing::None, 9);
        let list = values(&expected.gradients);
        let scale = list.iter().fold(0.0_f32, |max, value| max.max(value.abs()));
        for checkpointing in [Checkpointing::Blocks, Checkpointing::BlocksOnHost] {
            let found = pass(&model, checkpointing, 9);
            assert_eq!(found.loss_sums, expected.loss_sums);
            let off = largest_difference(&values(&found.gradients), &list) / scale;
            assert!(off < 2e-6, "{checkpointing:?}: {off}");
            // Again, the same bits; with another seed, other masks.
            let again = pass(&model, checkpointing, 9);
            assert_eq!(values(&again.gradients), values(&found.gradients));
            let other = pass(&model, checkpointing, 10);
            assert!(largest_difference(&values(&other.gradients), &list) / scale > 1e-2);
        }
    }

    // And the gradient is that of the loss with these masks.
    let model = learnt(adapted(&lora().with_dropout(0.3)), &llama());
    let gradients = pass(&model, Checkpointing::Blocks, 9).gradients;
    let slope = gradients.norm().powi(2);
    let loss = |step| pass(&moved(&model, &gradients, step), Checkpointing::Blocks, 9).loss();
    let step = 0.003 / gradients.norm();
    let found = (loss(step) - loss(-step)) / (2.0 * step);
    assert!((found / slope - 1.0).abs() < 0.01, "{found}, not {slope}");
}
