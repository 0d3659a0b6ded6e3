use nextcart_models::Llama;
use nextcart_train::{Checkpointing, Error, SftConfig, Trainer};

use crate::common::{adapted, base, bits, llama, lora, samples};

/// Five steps on eight samples each: the losses, and the model after them.
fn run(model: Llama, config: SftConfig) -> (Vec<f64>, Llama) {
    let samples = samples(24);
    let config = SftConfig { max_steps: Some(5), learning_rate: 0.01, ..config };
    let mut trainer = Trainer::new(model, &llama(), config, &samples).unwrap();
    let mut losses = Vec::new();
    while let Some(step) = trainer.step().unwrap() {
        assert_eq!(step.samples, 8);
        losses.push(step.loss);
    }
    (losses, trainer.into_model())
}

#[test]
fn two_devices_with_four_samples_each_are_one_with_eight() {
    let shapes = [(4, 1, 2), (2, 2, 2), (2, 1, 4), (1, 2, 4)];
    let dora = lora().with_use_dora(true);
    for checkpointing in [Checkpointing::None, Checkpointing::Blocks] {
        for model in [adapted(&lora()), adapted(&dora), base().trainable()] {
            let one = SftConfig { batch_size: 8, checkpointing, ..SftConfig::default() };
            let (losses, expected) = run(model.clone(), one.clone());
            let expected = bits(&expected);
            for (batch_size, gradient_accumulation, devices) in shapes {
                let config =
                    SftConfig { batch_size, gradient_accumulation, devices, ..one.clone() };
                let (found, model) = run(model.clone(), config);
                for (found, expected) in found.iter().zip(&losses) {
                    assert!((found - expected).abs() < 1e-4 * expected, "{found} {expected}");
                }
                for (path, values) in bits(&model) {
                    for (found, expected) in values.iter().zip(&expected[&path]) {
                        let [found, expected] = [*found, *expected].map(f32::from_bits);
                        // AdamW's first steps are of the learning rate, whatever the gradient's size.
                        assert!((found - expected).abs() < 5e-3, "{path}: {found} {expected}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_run_on_two_devices_resumes_to_the_bit_and_on_no_other_number() {
    let samples = samples(12);
    let folder = tempfile::tempdir().unwrap();
    let config = SftConfig { batch_size: 2, devices: 2, epochs: 2, ..SftConfig::default() };
    let mut whole = Trainer::new(adapted(&lora()), &llama(), config.clone(), &samples).unwrap();
    for step in 1..=6 {
        whole.step().unwrap().unwrap();
        if step == 3 {
            whole.save(folder.path()).unwrap();
        }
    }
    let resume =
        |config| Trainer::resume(adapted(&lora()), &llama(), config, &samples, folder.path());
    let mut resumed = resume(config.clone()).unwrap();
    while resumed.step().unwrap().is_some() {}
    assert_eq!(bits(&resumed.into_model()), bits(&whole.into_model()));
    let other = resume(SftConfig { batch_size: 4, devices: 1, ..config });
    assert!(matches!(other, Err(Error::OtherRun { .. })), "{:?}", other.err());
}
