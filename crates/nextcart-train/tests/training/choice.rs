//! Choices between options against the formula written out.

use burn::tensor::{Device, Int, Tensor, activation};
use nextcart_models::{Llama, LlamaConfig, ModelInput};
use nextcart_text::Sample;
use nextcart_train::{
    Batch, Checkpointing, Gradients, PassOptions, SftConfig, StepGradients, Trainer, evaluate_loss,
    loss_and_gradients_with, loss_sum,
};

use crate::common::{adapted, check_close, learnt, llama, lora};

const PROMPT: [u32; 4] = [1, 5, 9, 7];
const OPTIONS: [&[u32]; 3] = [&[4, 8, 2], &[6, 2], &[4, 3, 11, 2]];
const OFFSETS: [f64; 3] = [0.5, -0.25, 1.0];

fn choice() -> Sample {
    Sample::choice(&PROMPT, &OPTIONS, 1).unwrap().with_offsets(&OFFSETS).unwrap()
}

/// `-ln softmax(s)[1]` with `s` the log-likelihoods of the options, each a text of its own, and the offsets.
fn written_out(model: &Llama, config: &LlamaConfig) -> Tensor<1> {
    let scores = OPTIONS.iter().zip(OFFSETS).map(|(option, offset)| {
        let text = [&PROMPT, *option].concat();
        let input = ModelInput::new(&[&text[..text.len() - 1]], config, &model.device());
        let logits: Tensor<2> = model.forward(&input).squeeze_dim(0);
        let logits = logits.narrow(0, PROMPT.len() - 1, option.len());
        let ids: Vec<i64> = option.iter().map(|&id| i64::from(id)).collect();
        let ids = Tensor::<1, Int>::from_ints(ids.as_slice(), &model.device());
        let each = activation::log_softmax(logits, 1).gather(1, ids.unsqueeze_dim::<2>(1));
        each.sum() + offset
    });
    let scores = Tensor::cat(scores.collect(), 0); // [options]
    activation::log_softmax(scores, 0).narrow(0, 1, 1).neg()
}

fn pass(model: &Llama, batch: Batch, options: PassOptions) -> StepGradients {
    let weight = batch.weight();
    loss_and_gradients_with(model, [batch], weight, options)
}

#[test]
fn loss_and_gradients_are_those_of_the_formula() {
    for sliding_window in [None, Some(3)] {
        let config = LlamaConfig { layers: 3, sliding_window, ..llama() };
        let model = config.init(7, &Device::flex().autodiff());
        let adapted = learnt(model.clone().with_adapters(&lora(), 3).unwrap(), &config);
        for model in [adapted, model.trainable()] {
            let expected = written_out(&model, &config);
            let mut gradients = Gradients::default();
            gradients.add_backward(&model, &expected);
            let expected = expected.into_scalar::<f32>();

            let batch = || Batch::new(&[&choice()], &config, &model.device());
            for (checkpointing, loss_rows) in
                [(Checkpointing::None, 256), (Checkpointing::Blocks, 2)]
            {
                let options = PassOptions { checkpointing, loss_rows, ..PassOptions::default() };
                let found = pass(&model, batch(), options);
                assert!(
                    (found.loss_sums[0] as f32 - expected).abs() < 1e-5,
                    "{:?}",
                    found.loss_sums
                );
                check_close(&found.gradients, &gradients, 1e-5);
            }
            let loss = loss_sum(&model, &batch());
            let mut found = Gradients::default();
            found.add_backward(&model, &loss);
            check_close(&found, &gradients, 1e-5);
            assert!((loss.into_scalar::<f32>() - expected).abs() < 1e-5);
        }
    }
}

/// A text beside a choice in one row, and another choice in another.
#[test]
fn packed_with_others_a_choice_is_worth_what_it_is_worth_alone() {
    let config = llama();
    let model = learnt(adapted(&lora()), &config);
    let text = Sample::completion(&[1, 4, 4], &[6, 2]).unwrap();
    let other = Sample::choice(&[1, 3], &[&[5, 2], &[9, 9, 2]], 0).unwrap();
    let (choice, device) = (choice(), model.device());
    let packed = Batch::packed(&[vec![&text, &choice], vec![&other]], &config, &device);
    assert_eq!((packed.weight(), packed.trained_tokens()), (4, 2 + 9 + 5));
    let found = pass(&model, packed, PassOptions::default());

    let each = [&text, &choice, &other].map(|sample| Batch::new(&[sample], &config, &device));
    let expected = loss_and_gradients_with(&model, each, 4, PassOptions::default());
    let off = (found.loss() - expected.loss()).abs();
    assert!(off < 1e-5, "{off}");
    check_close(&found.gradients, &expected.gradients, 1e-5);
}

/// The same two options behind two prompts: nothing but the prompt says which is right.
#[test]
fn a_run_learns_which_option_follows_which_prompt() {
    let config = llama();
    let options: [&[u32]; 2] = [&[8, 2], &[9, 10, 2]];
    let samples: Vec<Sample> = [(4, 0), (5, 1)]
        .map(|(asked, answer)| Sample::choice(&[1, asked, 7], &options, answer).unwrap())
        .into();
    let training = SftConfig {
        max_steps: Some(100),
        batch_size: 2,
        learning_rate: 5e-3,
        warmup_steps: 5,
        ..SftConfig::default()
    };
    let model = config.init(7, &Device::flex()).trainable();
    let mut trainer = Trainer::new(model, &config, training, &samples).unwrap();
    let first = trainer.step().unwrap().unwrap();
    assert_eq!(first.trained_tokens, 2);
    while trainer.step().unwrap().is_some() {}
    let loss = evaluate_loss(&trainer.model(), &config, &samples, 2).unwrap();
    assert!(loss < 0.05 && loss < first.loss / 5.0, "{loss}, {}", first.loss);
}
