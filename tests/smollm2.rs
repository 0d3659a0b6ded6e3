//! A real pretrained checkpoint, fine-tuned for a few steps.
//!
//! `NEXTCART_SMOLLM2` names SmolLM2-135M in Hugging Face layout.

use std::io::Write as _;

use burn::tensor::Device;
use nextcart_adapters::LoraConfig;
use nextcart_models::Checkpoint;
use nextcart_text::Sample;
use nextcart_train::{SftConfig, Trainer, evaluate_loss};

#[test]
fn a_short_lora_run_on_smollm2_lowers_the_loss() {
    let Some(folder) = std::env::var_os("NEXTCART_SMOLLM2") else {
        // Straight to the terminal: what a passing test prints would not be shown.
        std::io::stderr().write_all(b"skipped: NEXTCART_SMOLLM2 is not set\n").unwrap();
        return;
    };
    let checkpoint = Checkpoint::open(folder).unwrap();
    let (config, tokenizer) = (checkpoint.config(), checkpoint.tokenizer().unwrap());
    let samples: Vec<Sample> = [("Green Tea", "Acacia Honey"), ("Dog Leash", "Dog Food")]
        .iter()
        .map(|(bought, next)| {
            let prompt = format!("Bought:\n{bought}\nAnswer:\n");
            let pair = tokenizer.encode_pair(&prompt, next).unwrap();
            let (prompt, answer) = pair.ids.split_at(pair.spans[1].start);
            Sample::completion(prompt, answer).unwrap()
        })
        .collect();

    let device = Device::flex().autodiff();
    let lora = LoraConfig::new().with_rank(8);
    let model = checkpoint.load(&device).unwrap().with_adapters(&lora, 1).unwrap();
    let before = evaluate_loss(&model, config, &samples, 2).unwrap();
    let options = SftConfig { max_steps: Some(6), learning_rate: 5e-4, ..SftConfig::default() };
    let mut trainer = Trainer::new(model, config, options, &samples).unwrap();
    while trainer.step().unwrap().is_some() {}
    let after = evaluate_loss(&trainer.into_model(), config, &samples, 2).unwrap();
    assert!(after < 0.8 * before, "{before} to {after}");
}
