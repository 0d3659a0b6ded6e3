use burn::module::Module;
use burn::tensor::Device;
use nextcart_models::Llama;
use nextcart_text::Sample;
use nextcart_train::{Error, Optimizer, Schedule, SftConfig, StepReport, Trainer, evaluate_loss};

use crate::common::{VOCAB, adapted, base, bits, llama, lora, samples, with_broken_token};

fn config() -> SftConfig {
    SftConfig { batch_size: 2, learning_rate: 1e-2, ..SftConfig::default() }
}

fn run(trainer: &mut Trainer) -> Vec<StepReport> {
    std::iter::from_fn(|| trainer.step().unwrap()).collect()
}

/// The model after a whole run.
fn trained(model: Llama, config: SftConfig, samples: &[Sample]) -> Llama {
    let mut trainer = Trainer::new(model, &llama(), config, samples).unwrap();
    run(&mut trainer);
    trainer.into_model()
}

#[test]
fn learns_a_handful_of_samples_by_heart() {
    let all = samples(40);
    let (learnt, others) = all.split_at(8);
    let config = SftConfig { batch_size: 8, max_steps: Some(150), ..config() };
    // Adapters need a base that has learnt every token: the head, which is frozen then, cannot tell
    // the others apart.
    let texts: Vec<Sample> = others.iter().map(|s| Sample::text(s.ids()).unwrap()).collect();
    let pre_training = SftConfig { max_steps: Some(600), ..config.clone() };
    let base = trained(base().trainable(), pre_training, &texts);
    let adapted = |lora| base.clone().with_adapters(&lora, 3).unwrap();
    for model in [base.clone().trainable(), adapted(lora()), adapted(lora().with_use_dora(true))] {
        let before = evaluate_loss(&model, &llama(), learnt, 8).unwrap();
        assert!(before > 1.0, "{before}");
        let mut trainer = Trainer::new(model, &llama(), config.clone(), learnt).unwrap();
        let last = run(&mut trainer).pop().unwrap();
        assert!(last.loss < 0.01, "{last:?}");
        let loss = evaluate_loss(&trainer.into_model(), &llama(), learnt, 8).unwrap();
        assert!(loss < 0.01, "{loss}");
    }
}

#[test]
fn moments_in_8_bits_teach_as_much() {
    let samples = samples(8);
    let rank = lora().with_rank(128).with_alpha(128.0);
    // Sixty such steps let a rounding grow until it moves the last loss by a tenth of what was learnt: several runs.
    let behind: Vec<f64> = (0..4)
        .map(|run_index| {
            let loss = |optimizer| {
                let learning_rate = 1e-2 * (1.0 + f64::from(run_index) * 1e-5);
                let config = SftConfig { optimizer, learning_rate, batch_size: 8, ..config() };
                let config = SftConfig { max_steps: Some(60), ..config };
                let mut trainer = Trainer::new(adapted(&rank), &llama(), config, &samples).unwrap();
                let reports = run(&mut trainer);
                (reports[0].loss, reports[59].loss)
            };
            let (full, packed) = (loss(Optimizer::AdamW), loss(Optimizer::AdamW8bit));
            assert_eq!(full.0, packed.0);
            assert!(full.1 < full.0 - 0.4, "{full:?}");
            assert_ne!(packed.1, full.1);
            (packed.1 - full.1) / (full.0 - full.1)
        })
        .collect();
    let mean = behind.iter().sum::<f64>() / behind.len() as f64;
    assert!(mean.abs() < 0.08 && behind.iter().all(|one| one.abs() < 0.2), "{behind:?}");
}

#[test]
fn lora_plus_moves_b_further() {
    let samples = samples(4);
    let moved = |ratio| {
        let config = SftConfig { lora_plus_ratio: ratio, max_steps: Some(1), ..config() };
        bits(&trained(adapted(&lora()), config, &samples))
    };
    let (plain, plus) = (moved(None), moved(Some(4.0)));
    for (path, values) in &plus {
        let floats = |bits: &[u32]| bits.iter().map(|b| f32::from_bits(*b)).collect::<Vec<_>>();
        let (found, expected) = (floats(values), floats(&plain[path]));
        // B starts from zero, so after a step it is the step.
        let factor = if path.ends_with(".adapter.b") { 4.0 } else { 1.0 };
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - factor * expected).abs() <= 1e-6 * expected.abs(), "{path}");
        }
    }
}

#[test]
fn adapters_move_and_frozen_weights_keep_every_bit() {
    let before = bits(&adapted(&lora()));
    let after = bits(&trained(adapted(&lora()), config(), &samples(4)));
    assert_eq!(before.len(), after.len());
    let (mut moved, mut frozen) = (0, 0);
    for (path, values) in &after {
        if path.contains(".adapter.") {
            assert_ne!(values, &before[path], "{path}");
            moved += 1;
        } else {
            assert_eq!(values, &before[path], "{path}");
            frozen += 1;
        }
    }
    assert_eq!((moved, frozen), (2 * 14, 14 + 2 * 2 + 2));
}

#[test]
fn pre_training_moves_every_weight() {
    let texts = [Sample::text(&[1, 5, 9, 7, 2]).unwrap(), Sample::text(&[1, 6, 2]).unwrap()];
    let before = bits(&base());
    let after = bits(&trained(base().trainable(), config(), &texts));
    assert!(after.iter().all(|(path, values)| *values != before[path]));
}

#[test]
fn one_seed_gives_one_model_to_the_last_bit() {
    let train =
        |seed| bits(&trained(adapted(&lora()), SftConfig { seed, ..config() }, &samples(7)));
    let first = train(1);
    assert_eq!(first, train(1));
    assert_ne!(first, train(2));
}

#[test]
fn steps_of_one_size_end_alike_however_they_are_divided() {
    let samples = samples(8);
    let train = |batch_size, gradient_accumulation| {
        let config = SftConfig {
            batch_size,
            gradient_accumulation,
            epochs: 2,
            // Adam divides by the gradient, so rounding in one that should be zero grows to a whole
            // step; an epsilon above the rounding keeps the comparison about accumulation.
            epsilon: 1e-4,
            ..config()
        };
        let mut trainer = Trainer::new(adapted(&lora()), &llama(), config, &samples).unwrap();
        let reports = run(&mut trainer);
        assert_eq!(reports.len(), 2);
        let trained: usize = samples.iter().map(Sample::trained_tokens).sum();
        assert_eq!(reports[1].trained_tokens, trained);
        bits(&trainer.into_model())
    };
    let whole = train(8, 1);
    for (batch_size, accumulation) in [(4, 2), (2, 4), (1, 8)] {
        for (path, values) in train(batch_size, accumulation) {
            for (value, expected) in values.iter().zip(&whole[&path]) {
                let (value, expected) = (f32::from_bits(*value), f32::from_bits(*expected));
                assert!((value - expected).abs() < 1e-5, "{path}: {value}, not {expected}");
            }
        }
    }
}

#[test]
fn reports_say_where_the_run_is() {
    let samples = samples(7);
    let config = SftConfig {
        gradient_accumulation: 2,
        epochs: 2,
        warmup_steps: 2,
        schedule: Schedule::Linear,
        ..config()
    };
    let mut trainer = Trainer::new(adapted(&lora()), &llama(), config, &samples).unwrap();
    assert_eq!((trainer.steps(), trainer.total_steps()), (0, 4));
    let reports = run(&mut trainer);
    let list = |value: fn(&StepReport) -> f64| reports.iter().map(value).collect::<Vec<_>>();
    assert_eq!(list(|r| r.step as f64), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(list(|r| r.epoch), [4.0 / 7.0, 1.0, 1.0 + 4.0 / 7.0, 2.0]);
    assert_eq!(list(|r| r.learning_rate), [0.0, 5e-3, 1e-2, 5e-3]);
    let tokens: usize = samples.iter().map(Sample::len).sum();
    assert_eq!(list(|r| r.tokens as f64).iter().sum::<f64>(), 2.0 * tokens as f64);
    assert!(reports.iter().all(|r| r.total_steps == 4 && r.gradient_norm > 0.0 && r.seconds > 0.0));
    let losses: Vec<(u64, f64)> = reports.iter().map(|r| (r.step, r.loss)).collect();
    assert_eq!(trainer.losses(), losses);
    assert!(trainer.step().unwrap().is_none());
    assert_eq!(trainer.steps(), 4);
}

#[test]
fn the_first_step_of_a_warm_up_changes_nothing() {
    let samples = samples(4);
    let config = SftConfig { warmup_steps: 1, weight_decay: 0.1, ..config() };
    let mut trainer = Trainer::new(adapted(&lora()), &llama(), config, &samples).unwrap();
    let before = bits(&trainer.model());
    trainer.step().unwrap().unwrap();
    assert_eq!(bits(&trainer.model()), before);
    trainer.step().unwrap().unwrap();
    assert_ne!(bits(&trainer.model()), before);
}

#[test]
fn a_step_on_chosen_samples_sees_just_these() {
    let samples = samples(6);
    let mut trainer = Trainer::new(adapted(&lora()), &llama(), config(), &samples).unwrap();
    for chosen in [&[4][..], &[0, 5, 2], &[1, 1]] {
        let picked: Vec<Sample> = chosen.iter().map(|&index| samples[index].clone()).collect();
        let expected = evaluate_loss(&trainer.model(), &llama(), &picked, 8).unwrap();
        let report = trainer.step_on(chosen).unwrap();
        assert!((report.loss - expected).abs() < 1e-5, "{} not {expected}", report.loss);
    }
    assert_eq!(trainer.steps(), 3);
    assert!(matches!(trainer.step_on(&[]), Err(Error::NoSamples)));
    assert!(matches!(trainer.step_on(&[0, 6]), Err(Error::SampleIndex { samples: 6, index: 6 })));
}

#[test]
fn a_loss_that_is_not_finite_names_its_samples_and_changes_nothing() {
    // An untied head, so that a broken embedding breaks the samples that read it and no others.
    let llama = nextcart_models::LlamaConfig { tie_word_embeddings: false, ..llama() };
    let model = llama.init(1, &Device::flex().autodiff()).with_adapters(&lora(), 1).unwrap();
    let model = with_broken_token(model, 5);
    let samples: Vec<Sample> =
        [[1, 6, 7], [1, 5, 7], [1, 8, 9], [4, 5, 9]].map(|ids| Sample::text(&ids).unwrap()).into();
    let config = SftConfig { batch_size: 4, ..config() };
    let mut trainer = Trainer::new(model, &llama, config, &samples).unwrap();
    let before = bits(&trainer.model());
    match trainer.step() {
        Err(Error::NonFinite {
            quantity: "loss",
            step: 1,
            mut samples,
            mut batch,
            checkpoint: None,
        }) => {
            samples.sort_unstable();
            batch.sort_unstable();
            assert_eq!((samples, batch), (vec![1, 3], vec![0, 1, 2, 3]));
        }
        other => panic!("expected an error, got {other:?}"),
    }
    assert_eq!(bits(&trainer.model()), before);
    assert_eq!((trainer.steps(), trainer.losses().len()), (0, 0));
    assert!(trainer.step_on(&[0, 2]).is_ok());
}

#[test]
fn a_model_off_the_graph_is_put_on_it_and_comes_back_off() {
    let plain = llama().init(7, &Device::flex()).with_adapters(&lora(), 3).unwrap();
    let expected = bits(&trained(adapted(&lora()), config(), &samples(4)));
    let model = trained(plain, config(), &samples(4));
    assert_eq!(bits(&model), expected);
    assert!(!model.device().is_autodiff());
    // Back in training without a word about what is trainable.
    assert!(Trainer::new(model, &llama(), config(), &samples(4)).is_ok());
}

#[test]
fn adapters_that_an_evaluation_switched_off_or_merged_train_as_if_it_had_not() {
    let off = adapted(&lora()).map_projections(|_, mut projection| {
        projection.set_adapter_enabled(false);
        Ok(projection)
    });
    let expected = bits(&trained(adapted(&lora()), config(), &samples(4)));
    for model in [off.unwrap(), adapted(&lora()).with_merged_adapters()] {
        assert_eq!(bits(&trained(model, config(), &samples(4))), expected);
    }
}

#[test]
fn names_what_keeps_a_run_from_starting() {
    let start = |model: Llama, config, samples: &[Sample]| {
        Trainer::new(model, &llama(), config, samples).map(|_| ()).unwrap_err()
    };
    let good = || adapted(&lora());
    assert!(matches!(start(base(), config(), &samples(2)), Error::NothingTrainable));
    assert!(matches!(
        start(base().trainable().no_grad(), config(), &samples(2)),
        Error::NothingTrainable
    ));
    assert!(matches!(start(good(), config(), &[]), Error::NoSamples));
    let unknown = [Sample::text(&[1, VOCAB as u32]).unwrap()];
    assert!(matches!(start(good(), config(), &unknown), Error::Token { vocab: VOCAB, .. }));
    let bad = SftConfig { batch_size: 0, ..config() };
    assert!(matches!(start(good(), bad, &samples(2)), Error::Config { field: "batch_size", .. }));
    let bad = SftConfig { warmup_steps: 3, ..config() };
    assert!(matches!(start(good(), bad, &samples(2)), Error::Config { field: "warmup_steps", .. }));
}
