use std::collections::BTreeSet;

use burn::tensor::Tensor;
use nextcart_adapters::LoraConfig;
use nextcart_models::Llama;
use nextcart_text::Sample;
use nextcart_train::{Gradients, StepGradients, evaluate_loss, loss_and_gradients};

use crate::common::{
    VOCAB, adapted, base, largest_difference, learnt, llama, lora, samples, values,
};

/// Gradients of the samples in micro-batches of `size`.
fn pass(model: &Llama, samples: &[Sample], size: usize) -> StepGradients {
    let micro_batches: Vec<Vec<&Sample>> =
        samples.chunks(size).map(|chunk| chunk.iter().collect()).collect();
    loss_and_gradients(model, &llama(), &micro_batches, 0)
}

#[track_caller]
fn check_paths(model: &Llama, expected: impl IntoIterator<Item = String>) {
    let gradients = pass(model, &samples(2), 2).gradients;
    let found: BTreeSet<String> = gradients.paths().map(str::to_owned).collect();
    assert_eq!(found, expected.into_iter().collect::<BTreeSet<_>>());
}

fn with_fields(config: &LoraConfig, fields: &[&str]) -> Vec<String> {
    let model = adapted(config);
    let targets = model.projections().into_iter().filter(|(path, _)| config.targets(path));
    targets.flat_map(|(path, _)| fields.iter().map(move |f| format!("{path}.{f}"))).collect()
}

#[test]
fn adapters_alone_receive_gradients() {
    let config = lora();
    check_paths(&adapted(&config), with_fields(&config, &["adapter.a", "adapter.b"]));

    let config = lora().with_target_modules(["q_proj", "v_proj"].into());
    let expected = with_fields(&config, &["adapter.a", "adapter.b"]);
    assert_eq!(expected.len(), 8);
    assert!(expected.contains(&"model.layers.1.self_attn.v_proj.adapter.b".to_owned()));
    check_paths(&adapted(&config), expected);

    let config = lora().with_use_dora(true);
    let fields = ["adapter.a", "adapter.b", "adapter.magnitude"];
    check_paths(&adapted(&config), with_fields(&config, &fields));
}

#[test]
fn every_weight_of_a_trainable_model_receives_a_gradient() {
    let model = base();
    let mut expected: Vec<String> =
        model.projections().iter().map(|(path, _)| format!("{path}.base.weight")).collect();
    for layer in 0..2 {
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            expected.push(format!("model.layers.{layer}.{norm}.gamma"));
        }
    }
    expected.extend(["model.norm.gamma", "model.embed_tokens"].map(str::to_owned));
    check_paths(&base().trainable(), expected);
}

#[test]
fn an_untied_head_stands_beside_the_model() {
    let config = nextcart_models::LlamaConfig { tie_word_embeddings: false, ..llama() };
    let device = burn::tensor::Device::flex().autodiff();
    let samples = samples(1);
    let pass =
        loss_and_gradients(&config.init(1, &device).trainable(), &config, &[vec![&samples[0]]], 0);
    assert!(pass.gradients.get::<2>("lm_head.base.weight").is_some());
}

#[test]
fn accumulation_weighs_every_trained_token_the_same() {
    let samples = samples(8);
    let counts: BTreeSet<usize> = samples.iter().map(Sample::trained_tokens).collect();
    assert!(counts.len() > 2, "the samples must differ in their number of trained tokens");
    // Trainable, because a fresh adapter's A has no gradient at all.
    let model = base().trainable();
    let whole = pass(&model, &samples, 8);
    let expected = values(&whole.gradients);
    let scale = expected.iter().fold(0.0_f32, |max, value| max.max(value.abs()));
    assert!(scale > 1e-3, "{scale}");
    for size in [1, 2, 3, 4] {
        let parts = pass(&model, &samples, size);
        assert_eq!(parts.loss_sums.len(), 8_usize.div_ceil(size));
        assert_eq!(parts.trained_tokens, whole.trained_tokens);
        assert!((parts.loss() - whole.loss()).abs() < 1e-5);
        let difference = largest_difference(&values(&parts.gradients), &expected);
        assert!(difference < 1e-5 * scale.max(1.0), "{size}: {difference} of {scale}");
    }
}

/// 32 samples in one pass, in 4 passes of 8 and one by one, some with one trained token and some with dozens.
#[test]
fn passes_of_every_size_add_up_to_one_step() {
    let samples: Vec<Sample> = (0..32_usize)
        .map(|n| {
            let id = |place: usize| (3 + (n * 5 + place * 7 + n * place) % (VOCAB - 3)) as u32;
            let ids: Vec<u32> = (0..3 + n * 11 % 45).map(id).collect();
            match n % 3 {
                0 => Sample::text(&ids),
                _ => Sample::completion(&ids, &[id(99)]),
            }
            .unwrap()
        })
        .collect();
    let counts: BTreeSet<usize> = samples.iter().map(Sample::trained_tokens).collect();
    assert!(counts.contains(&1) && counts.last() > Some(&40), "{counts:?}");
    let model = learnt(adapted(&lora()), &llama());
    let whole = pass(&model, &samples, 32);
    let expected = values(&whole.gradients);
    let scale = expected.iter().fold(0.0_f32, |max, value| max.max(value.abs()));
    for size in [8, 1] {
        let parts = pass(&model, &samples, size);
        assert_eq!(parts.loss_sums.len(), 32 / size);
        assert!((parts.loss() - whole.loss()).abs() < 1e-6 * whole.loss());
        let off = largest_difference(&values(&parts.gradients), &expected) / scale;
        assert!(off < 1e-5, "{size}: {off} of the largest gradient");
        // A mean of the passes' means is another number.
        let of_pass = |(sum, part): (&f64, &[Sample])| {
            sum / part.iter().map(Sample::trained_tokens).sum::<usize>() as f64
        };
        let means: Vec<f64> =
            parts.loss_sums.iter().zip(samples.chunks(size)).map(of_pass).collect();
        let mean = means.iter().sum::<f64>() / means.len() as f64;
        assert!((mean / whole.loss() - 1.0).abs() > 1e-3, "{mean}, {}", whole.loss());
    }
}

#[test]
fn padding_changes_no_gradient() {
    let samples = samples(5);
    let short: Vec<Sample> = samples.iter().filter(|s| s.len() < 6).cloned().collect();
    let longest = samples.iter().max_by_key(|sample| sample.len()).unwrap();
    let model = base().trainable();
    let alone = pass(&model, &short, 1);
    // Beside a long sample the short ones are padded; its own share is taken off again.
    let together: Vec<Sample> = short.iter().chain([longest]).cloned().collect();
    let together = pass(&model, &together, 10);
    let longest = pass(&model, std::slice::from_ref(longest), 1);
    let sums = |pass: &StepGradients| -> Vec<f32> {
        values(&pass.gradients).into_iter().map(|g| g * pass.trained_tokens as f32).collect()
    };
    let rest: Vec<f32> =
        sums(&together).iter().zip(sums(&longest)).map(|(both, one)| both - one).collect();
    let difference = largest_difference(&rest, &sums(&alone));
    assert!(difference < 1e-4, "{difference}");
}

/// `b` of every adapter moved along its gradient.
fn moved(model: Llama, gradients: &Gradients, step: f64) -> Llama {
    let move_one = |path: &str, mut projection: nextcart_adapters::Projection| {
        let adapter = projection.adapter().expect("adapters on all projections");
        let gradient: Tensor<2> = gradients.get(&format!("{path}.adapter.b")).unwrap();
        let (a, b) = (adapter.a().inner(), adapter.b().inner() + gradient * step);
        projection.set_adapter(a.autodiff(), b.autodiff(), None, &lora())?;
        Ok(projection)
    };
    model.map_projections(move_one).unwrap()
}

#[test]
fn gradients_predict_how_the_loss_changes() {
    let samples = samples(4);
    let gradients = pass(&adapted(&lora()), &samples, 2).gradients;
    // A fresh adapter's `a` has no gradient, so the slope along the gradient is its squared norm.
    let slope = gradients.norm().powi(2);
    assert!(slope > 1e-4, "{slope}");
    let loss = |step| {
        let model = moved(adapted(&lora()), &gradients, step);
        evaluate_loss(&model, &llama(), &samples, 4).unwrap()
    };
    let step = 0.01 / gradients.norm();
    let found = (loss(step) - loss(-step)) / (2.0 * step);
    assert!((found / slope - 1.0).abs() < 0.01, "{found}, not {slope}");
}

#[test]
fn clipping_scales_to_the_limit_and_leaves_small_gradients_alone() {
    let gradients = pass(&base().trainable(), &samples(3), 3).gradients;
    let squares: f64 = values(&gradients).iter().map(|&g| f64::from(g).powi(2)).sum();
    let norm = gradients.norm();
    assert!((norm - squares.sqrt()).abs() < 1e-5 * norm, "{norm}, not {}", squares.sqrt());

    let (limit, before) = (norm / 3.0, values(&gradients));
    let clipped = gradients.clone().clipped(norm, limit);
    assert!((clipped.norm() - limit).abs() < 1e-5 * limit, "{}", clipped.norm());
    assert_eq!(values(&gradients.clipped(norm, 2.0 * norm)), before);
}

#[test]
fn there_is_no_norm_without_gradients() {
    assert_eq!(Gradients::default().norm(), 0.0);
}
