use burn::tensor::Device;
use nextcart_models::ModelInput;
use nextcart_text::Sample;
use nextcart_train::{Batch, Error, evaluate_loss, loss_sum};

use crate::common::{VOCAB, adapted, base, llama, lora, samples, with_broken_token};

/// Mean loss per trained token from full logits of single rows, in f64.
fn by_hand(samples: &[Sample]) -> f64 {
    let (model, device) = (base(), Device::flex().autodiff());
    let (mut sum, mut count) = (0.0, 0);
    for sample in samples {
        let logits = model.forward(&ModelInput::new(&[sample.ids()], &llama(), &device));
        let logits: Vec<f32> = logits.try_into_vec_as().unwrap();
        for (place, _) in sample.loss_mask().iter().enumerate().filter(|(_, trained)| **trained) {
            let row = &logits[(place - 1) * VOCAB..place * VOCAB];
            let total: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
            sum += total.ln() - f64::from(row[sample.ids()[place] as usize]);
            count += 1;
        }
    }
    sum / f64::from(count)
}

#[test]
fn equals_cross_entropy_by_hand_in_batches_of_any_size() {
    let samples = samples(8);
    let expected = by_hand(&samples);
    assert!(expected > 1.0, "an untrained model is not sure of anything: {expected}");
    for batch_size in [1, 3, 8, 100] {
        let found = evaluate_loss(&base(), &llama(), &samples, batch_size).unwrap();
        assert!((found - expected).abs() < 1e-5, "{batch_size}: {found}, not {expected}");
    }
}

#[test]
fn counts_trained_tokens_alone() {
    let masked = Sample::new(vec![1, 5, 9, 7], vec![false, false, true, false]).unwrap();
    let cut = Sample::new(vec![1, 5, 9], vec![false, false, true]).unwrap();
    let text = Sample::text(&[1, 5, 9, 7]).unwrap();
    let loss = |sample: Sample| evaluate_loss(&base(), &llama(), &[sample], 1).unwrap();
    let (masked, cut, text) = (loss(masked), loss(cut), loss(text));
    assert!((masked - cut).abs() < 1e-6, "{masked}, {cut}");
    assert!((masked - text).abs() > 1e-3, "{masked}, {text}");
}

#[test]
fn the_sum_is_the_mean_times_the_number_of_trained_tokens() {
    let samples = samples(5);
    let rows: Vec<&Sample> = samples.iter().collect();
    let batch = Batch::new(&rows, &llama(), &Device::flex().autodiff());
    let trained: usize = samples.iter().map(Sample::trained_tokens).sum();
    assert_eq!(batch.trained_tokens(), trained);
    let sum = f64::from(loss_sum(&base(), &batch).into_scalar::<f32>());
    let mean = evaluate_loss(&base(), &llama(), &samples, 5).unwrap();
    assert!((sum / trained as f64 - mean).abs() < 1e-5);
}

#[test]
fn evaluation_switches_dropout_off() {
    let samples = samples(4);
    let plain = evaluate_loss(&base(), &llama(), &samples, 4).unwrap();
    // Fresh adapters change nothing, so any difference would be dropout.
    let model = adapted(&lora().with_dropout(0.9));
    assert_eq!(evaluate_loss(&model, &llama(), &samples, 4).unwrap(), plain);
}

#[test]
fn evaluation_refuses_what_it_cannot_average() {
    let evaluate = |samples: &[Sample], size| evaluate_loss(&base(), &llama(), samples, size);
    assert!(matches!(evaluate(&[], 1), Err(Error::NoSamples)));
    assert!(matches!(evaluate(&samples(2), 0), Err(Error::Config { field: "batch_size", .. })));
    let unknown = Sample::text(&[1, VOCAB as u32]).unwrap();
    assert!(matches!(evaluate(&[unknown], 1), Err(Error::Token { sample: 0, position: 1, .. })));

    let broken = with_broken_token(base(), 5);
    let samples = [Sample::text(&[1, 6, 7]).unwrap(), Sample::text(&[1, 5, 7]).unwrap()];
    let found = evaluate_loss(&broken, &llama(), &samples, 1);
    // The head shares the embedding, so the broken token breaks every softmax.
    assert!(matches!(found, Err(Error::NonFiniteEvaluation { .. })), "{found:?}");
}
