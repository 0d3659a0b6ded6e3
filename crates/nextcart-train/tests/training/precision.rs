use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use nextcart_adapters::LoraConfig;
use nextcart_models::{
    Checkpoint, GenerateOptions, KvCache, Llama, LoadOptions, ModelInput, Precision, generate,
    save_checkpoint,
};
use nextcart_text::Sample;
use nextcart_train::{
    Batch, Checkpointing, Gradients, PassOptions, evaluate_loss, loss_and_gradients,
    loss_and_gradients_with,
};
use tempfile::TempDir;

use crate::common::{base, learnt, llama, lora, samples};

const WIDTHS: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::F16];

fn checkpoint() -> (TempDir, Checkpoint) {
    let folder = tempfile::tempdir().unwrap();
    save_checkpoint(folder.path(), &base(), &llama(), None).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    (folder, checkpoint)
}

fn load(checkpoint: &Checkpoint, weights: Precision, activations: Precision) -> Llama {
    let options = LoadOptions { weights, activations, quantized: false };
    checkpoint.load_with(&Device::flex().autodiff(), options).unwrap()
}

/// With adapters that have learnt something.
fn adapted(model: Llama, config: &LoraConfig) -> Llama {
    learnt(model.with_adapters(config, 3).unwrap(), &llama()).valid()
}

fn gradients(model: &Llama, samples: &[Sample]) -> Gradients {
    loss_and_gradients(model, &llama(), &[samples.iter().collect()], 0).gradients
}

/// Cosine of the angle between all gradients of two models.
fn likeness(left: &Gradients, right: &Gradients) -> f64 {
    let dot = |a: &Gradients, b: &Gradients| -> f64 {
        let of_path = |path| {
            let (a, b): (Tensor<2>, Tensor<2>) = (a.get(path).unwrap(), b.get(path).unwrap());
            assert_eq!((a.dtype(), b.dtype()), (DType::F32, DType::F32), "{path}");
            f64::from((a * b).sum().into_scalar::<f32>())
        };
        a.paths().map(of_path).sum()
    };
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

#[test]
fn narrow_weights_and_activations_give_adapters_gradients_in_f32() {
    let (_folder, checkpoint) = checkpoint();
    let samples = samples(5);
    let fresh = |weights, activations| {
        load(&checkpoint, weights, activations).with_adapters(&lora(), 3).unwrap()
    };
    let wide = adapted(load(&checkpoint, Precision::F32, Precision::F32), &lora());
    let expected = gradients(&fresh(Precision::F32, Precision::F32), &samples);
    let expected_loss = evaluate_loss(&wide, &llama(), &samples, 4).unwrap();
    for weights in WIDTHS {
        for activations in WIDTHS {
            let model = adapted(load(&checkpoint, weights, activations), &lora());
            for (path, projection) in model.projections() {
                let adapter = projection.adapter().expect("each has one");
                assert_eq!(adapter.a().dtype(), DType::F32, "{path}");
                assert_eq!(
                    projection.weight().dtype(),
                    match weights {
                        Precision::F32 => DType::F32,
                        Precision::Bf16 => DType::BF16,
                        Precision::F16 => DType::F16,
                    }
                );
            }
            let found = gradients(&fresh(weights, activations), &samples);
            let likeness = likeness(&found, &expected);
            assert!(likeness > 0.99, "{weights:?} {activations:?}: {likeness}");
            let loss = evaluate_loss(&model, &llama(), &samples, 4).unwrap();
            assert!((loss / expected_loss - 1.0).abs() < 0.02, "{loss}, {expected_loss}");
        }
    }
}

#[test]
fn blocks_on_16_bits_are_computed_again_alike() {
    let (_folder, checkpoint) = checkpoint();
    let samples = samples(5);
    let rows: Vec<&Sample> = samples.iter().collect();
    for activations in [Precision::Bf16, Precision::F16] {
        let model = adapted(load(&checkpoint, Precision::Bf16, activations), &lora()).train();
        let pass = |checkpointing| {
            let batch = Batch::new(&rows, &llama(), &model.device());
            let options = PassOptions { checkpointing, loss_rows: 4, ..PassOptions::default() };
            let trained = batch.trained_tokens();
            loss_and_gradients_with(&model, [batch], trained, options).gradients
        };
        let at_once = pass(Checkpointing::None);
        for checkpointing in [Checkpointing::Blocks, Checkpointing::BlocksOnHost] {
            let likeness = likeness(&pass(checkpointing), &at_once);
            assert!(likeness > 0.9999, "{activations:?}, {checkpointing:?}: {likeness}");
        }
    }
}

#[test]
fn dora_merging_packing_and_generation_work_on_16_bits() {
    let (_folder, checkpoint) = checkpoint();
    let samples = samples(5);
    let model = load(&checkpoint, Precision::Bf16, Precision::F32);
    let packed = model.clone().quantized().unwrap();
    let wide = load(&checkpoint, Precision::F32, Precision::F32).quantized().unwrap();
    let loss = |model: &Llama| evaluate_loss(model, &llama(), &samples, 4).unwrap();
    assert!((loss(&packed) / loss(&wide) - 1.0).abs() < 0.02);

    let tuned = adapted(model, &lora().with_use_dora(true));
    let merged = tuned.clone().with_merged_adapters();
    let (before, after) = (loss(&tuned), loss(&merged));
    assert!((before / after - 1.0).abs() < 0.02, "{before}, {after}");
    // Without a token that ends a text, it writes as much as is asked for.
    let options = GenerateOptions { stop_tokens: vec![], ..GenerateOptions::new(5, &llama()) };
    let tokens = generate(&merged, &llama(), &[&[1, 5], &[4]], &options);
    assert!(tokens.len() == 2 && tokens.iter().all(|it| it.len() == 5), "{tokens:?}");
}

/// What a model says of the last place.
fn last(values: Tensor<3>) -> Vec<f32> {
    let [_, seq, _] = values.dims();
    let all: Vec<f32> = values.cast(DType::F32).into_data().iter::<f32>().collect();
    all[all.len() / seq * (seq - 1)..].to_vec()
}

/// Length of the difference of two vectors, in lengths of the second.
fn distance(found: &[f32], expected: &[f32]) -> f32 {
    let length = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>().sqrt();
    let difference: Vec<f32> = found.iter().zip(expected).map(|(one, other)| one - other).collect();
    length(&difference) / length(expected)
}

#[test]
fn a_cache_of_16_bits_gives_the_same_answers_as_none() {
    let (_folder, checkpoint) = checkpoint();
    let narrow = load(&checkpoint, Precision::Bf16, Precision::Bf16);
    let model = adapted(narrow, &lora()); // what has learnt looks at more than the last token
    let (llama, device) = (llama(), model.device());
    let options = GenerateOptions { stop_tokens: vec![], ..GenerateOptions::new(8, &llama) };
    let mut text = vec![1_u32, 5, 9];
    let answer = generate(&model, &llama, &[text.as_slice()], &options).remove(0);
    assert_eq!(answer.len(), 8);

    let mut cache = KvCache::new(1);
    let mut next = ModelInput::new(&[text.as_slice()], &llama, &device);
    for token in answer {
        let whole = model.hidden(&ModelInput::new(&[text.as_slice()], &llama, &device), None);
        let logits = last(model.logits(whole.clone()));
        let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let least = logits.iter().copied().fold(f32::INFINITY, f32::min);
        // Another one may be as good, up to rounding. On an AVX2 machine both figures are 0; where sums run in another
        // order with a cache, steps of bf16 (1 in 256) are between them.
        let behind = (best - logits[token as usize]) / (best - least);
        assert!(behind < 0.05, "{token} after {text:?}: {behind} of the spread behind the best");
        let off = distance(&last(model.hidden(&next, Some(&mut cache))), &last(whole));
        assert!(off < 0.03, "after {text:?}: {off}");
        text.push(token);
        next = ModelInput::continued(&[&[token]], &cache, &llama, &device);
    }
}
