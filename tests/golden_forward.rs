//! The decoder against transformers and an independent f64 forward pass.

use burn::tensor::{DType, Device, Tensor};
use nextcart_models::{
    Checkpoint, GenerateOptions, Llama, LlamaConfig, LoadOptions, ModelInput, Padding, Precision,
    Sampling, generate, score_continuations,
};
use serde_json::Value;

use crate::reference::{Deviation, Reference, Tensors, array, float, ids, object, size};

/// Bound of a logit in f32, in units of logits.
const LOGITS: f64 = 2e-5;

/// Bound of a hidden state in f32.
const HIDDEN: f64 = 3e-5;

/// A checkpoint with its golden numbers.
struct Case {
    name: String,
    config: LlamaConfig,
    model: Llama,
    tensors: Tensors,
    notes: Value,
}

impl Case {
    fn input(&self, rows: &[&[u32]]) -> ModelInput {
        ModelInput::new(rows, &self.config, &self.model.device())
    }
}

/// Every model of the specification that has forward numbers.
fn cases(reference: &Reference) -> Vec<Case> {
    let cases: Vec<_> = object(&reference.spec["models"])
        .filter(|(_, spec)| spec["forward"] != Value::Bool(false))
        .map(|(name, _)| {
            let checkpoint = Checkpoint::open(reference.path(&format!("models/{name}")))
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            Case {
                name: name.clone(),
                config: checkpoint.config().clone(),
                model: checkpoint.load(&Device::flex()).expect("readable"),
                tensors: reference.tensors(&format!("forward/{name}.safetensors")),
                notes: reference.json(&format!("forward/{name}.json")),
            }
        })
        .collect();
    assert!(!cases.is_empty(), "no model to compare");
    cases
}

#[test]
fn golden_logits_equal_an_f64_forward_pass() {
    let Some(reference) = Reference::open() else { return };
    for case in cases(&reference) {
        let mut deviation = Deviation::default();
        for length in array(&reference.spec["forward"]["lengths"]) {
            let key = format!("len{}", size(length));
            let ids = case.tensors.ids(&format!("{key}.input_ids"));
            let logits = case.model.forward(&case.input(&[&ids]));
            let expected = case.tensors.values(&format!("{key}.logits_f64"));
            deviation.compare(&format!("{}, {key}", case.name), logits, expected, LOGITS);
        }
        deviation.report(&format!("logits of {}", case.name));
    }
}

#[test]
fn golden_hidden_states_equal_an_f64_forward_pass() {
    let Some(reference) = Reference::open() else { return };
    let length = size(&reference.spec["forward"]["hidden_length"]);
    for case in cases(&reference) {
        let mut deviation = Deviation::default();
        let mut check = |name: &str, x: Tensor<3>| {
            let expected = case.tensors.values(&format!("hidden.{name}"));
            deviation.compare(&format!("{}, {name}", case.name), x, expected, HIDDEN);
        };
        let input = case.input(&[&case.tensors.ids(&format!("len{length}.input_ids"))]);
        let mut x = case.model.embed(&input);
        check("0", x.clone());
        for (layer, block) in case.model.blocks().iter().enumerate() {
            x = block.forward(x, &input, None);
            check(&(layer + 1).to_string(), x.clone());
        }
        check("final", case.model.final_norm().forward(x));
        check("final", case.model.hidden(&input, None));
        deviation.report(&format!("hidden states of {}", case.name));
    }
}

#[test]
fn golden_padding_changes_no_row() {
    let Some(reference) = Reference::open() else { return };
    for case in cases(&reference) {
        let (mut deviation, mut alone) = (Deviation::default(), Deviation::default());
        for (side, padding) in [("left", Padding::Left), ("right", Padding::Right)] {
            let key = |name: &str| format!("pad_{side}.{name}");
            let shape = case.tensors.shape(&key("input_ids"));
            let (batch, seq) = (shape[0], shape[1]);
            let ids = case.tensors.ids(&key("input_ids"));
            let mask = case.tensors.values(&key("attention_mask"));
            let kept = |row: usize| (row * seq..(row + 1) * seq).filter(|&i| mask[i] == 1.0);
            let rows: Vec<Vec<u32>> =
                (0..batch).map(|row| kept(row).map(|i| ids[i]).collect()).collect();
            let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();

            let device = case.model.device();
            let input = ModelInput::padded(&rows, padding, &case.config, &device);
            assert_eq!(input.dims(), [batch, seq], "{}", case.name);
            let logits = case.model.forward(&input);
            let expected = case.tensors.values(&key("logits_f64"));
            let vocab = case.config.vocab;
            for row in 0..batch {
                // Where its tokens lie in the row: all of them side by side.
                let first = kept(row).next().expect("a row with a token") - row * seq;
                let count = rows[row].len();
                let what = format!("{}, {side}, row {row}", case.name);
                let padded = logits
                    .clone()
                    .narrow(0, row, 1)
                    .narrow(1, first, count)
                    .reshape([count, vocab]);
                let start = (row * seq + first) * vocab;
                let expected = &expected[start..start + count * vocab];
                deviation.compare(&what, padded.clone(), expected, LOGITS);

                let own: Vec<f64> =
                    case.model.forward(&case.input(&rows[row..=row])).into_data().iter().collect();
                alone.compare(&what, padded, &own, LOGITS);
            }
        }
        deviation.report(&format!("padded logits of {}", case.name));
        alone.report(&format!("padded against alone, {}", case.name));
    }
}

#[test]
fn golden_bf16_runs_stay_near_the_f64_forward_pass() {
    const MAX: f64 = 0.15;
    const MEAN: f64 = 0.025;

    let Some(reference) = Reference::open() else { return };
    let length = size(&reference.spec["forward"]["hidden_length"]);
    let (mut compared, mut sum) = (Deviation::default(), 0.0);
    for case in cases(&reference) {
        // Numbers of a run in bf16 are there for the checkpoints that are stored so.
        if !case.tensors.has(&format!("len{length}.logits_bf16")) {
            continue;
        }
        let input = case.input(&[&case.tensors.ids(&format!("len{length}.input_ids"))]);
        let checkpoint = Checkpoint::open(reference.path(&format!("models/{}", case.name)))
            .expect("opened before");
        let bf16 = LoadOptions { weights: Precision::Bf16, ..LoadOptions::default() };
        let load = |options| checkpoint.load_with(&Device::flex(), options).expect("readable");
        // Weights as they are stored, activations in f32: nothing is lost.
        assert_eq!(
            load(bf16).forward(&input).into_data(),
            case.model.forward(&input).into_data(),
            "{}",
            case.name
        );
        let logits = load(LoadOptions { activations: Precision::Bf16, ..bf16 }).forward(&input);
        assert_eq!(logits.dtype(), DType::BF16);
        let expected = case.tensors.values(&format!("len{length}.logits_f64"));
        compared.compare(&case.name, logits.clone(), expected, MAX);
        let found: Vec<f64> = logits.into_data().iter().collect();
        let off = found.iter().zip(expected).map(|(x, y)| (x - y).abs());
        let mean = off.sum::<f64>() / expected.len() as f64;
        assert!(mean <= MEAN, "{}: mean {mean}", case.name);
        sum += mean;
    }
    match sum > 0.0 {
        true => compared.report(&format!("bf16 (mean {sum:.4})")),
        false => eprintln!("skipped: no model of the reference was run in bf16"),
    }
}

#[test]
fn golden_greedy_generation_equals_transformers_token_for_token() {
    let Some(reference) = Reference::open() else { return };
    let mut tokens = 0;
    for case in cases(&reference) {
        let mut prompts = Vec::new();
        let mut answers = Vec::new();
        for run in array(&case.notes["generation"]) {
            // Where the two likeliest tokens are as near as rounding errors, either is right.
            if float(&run["min_top2_gap_f64"]) > 2.0 * LOGITS {
                prompts.push(ids(&run["prompt"]));
                answers.push(ids(&run["tokens"]));
            }
        }
        let options = |answer: &Vec<u32>| GenerateOptions {
            max_new_tokens: answer.len(),
            stop_tokens: Vec::new(),
            sampling: Sampling::Greedy,
        };
        for (prompt, answer) in prompts.iter().zip(&answers) {
            let found = generate(&case.model, &case.config, &[prompt], &options(answer));
            assert_eq!(found, std::slice::from_ref(answer), "{}: {prompt:?}", case.name);
            tokens += answer.len();
        }
        // All at once, padded: the same.
        if let Some(longest) = answers.iter().max_by_key(|answer| answer.len()) {
            let rows: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
            let found = generate(&case.model, &case.config, &rows, &options(longest));
            for (found, answer) in found.iter().zip(&answers) {
                assert_eq!(found[..answer.len()], *answer, "{}, as a batch", case.name);
            }
        }
    }
    assert!(tokens > 0, "no token to compare");
    eprintln!("generation: {tokens} tokens, all equal");
}

#[test]
fn golden_options_have_the_likelihoods_of_the_f64_forward_pass() {
    let Some(reference) = Reference::open() else { return };
    let mut deviation = Deviation::default();
    for case in cases(&reference) {
        let golden = &case.notes["option_scoring"];
        let options: Vec<Vec<u32>> =
            array(&golden["options"]).iter().map(|option| ids(&option["tokens"])).collect();
        let options: Vec<&[u32]> = options.iter().map(Vec::as_slice).collect();
        let prompt = ids(&golden["prompt"]);
        let scores = score_continuations(&case.model, &case.config, &prompt, &options);

        assert_eq!(scores.len(), options.len());
        for (score, option) in scores.iter().zip(array(&golden["options"])) {
            let what = format!("{}, {}", case.name, option["tokens"]);
            assert_eq!(score.tokens, array(&option["tokens"]).len(), "{what}");
            // Each token's log-probability is a logit less a mean of logits.
            let tolerance = LOGITS * score.tokens as f64;
            let expected = float(&option["sum_logprob_f64"]);
            deviation.compare_one(&what, score.log_likelihood, expected, tolerance);
            deviation.compare_one(&what, score.mean(), float(&option["mean_logprob_f64"]), LOGITS);
        }
        let likeliest = |score: fn(&nextcart_models::ContinuationScore) -> f64| {
            (0..scores.len()).max_by(|&i, &j| score(&scores[i]).total_cmp(&score(&scores[j])))
        };
        let expected = |name: &str| Some(size(&golden[name]));
        assert_eq!(likeliest(|s| s.log_likelihood), expected("argmax_sum"), "{}", case.name);
        assert_eq!(likeliest(|s| s.mean()), expected("argmax_mean"), "{}", case.name);
    }
    deviation.report("option log-likelihoods");
}
