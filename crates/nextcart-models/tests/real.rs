//! Real tokenizers and trained checkpoints, where the environment names them.
//!
//! `NEXTCART_TOKENIZERS` holds `tinyllama/` and `mistral/`, `NEXTCART_CHECKPOINTS` holds `stories260K/`,
//! and `NEXTCART_SMOLLM2` is SmolLM2-135M in Hugging Face layout. `tests/golden/smollm2.json` was
//! made from it by the script beside it.
#![expect(clippy::unwrap_used, reason = "a test may fail and say why")]

use std::io::Write as _;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use nextcart_models::{Checkpoint, GenerateOptions, ModelInput, Sampling, generate, score_texts};
use serde_json::Value;

/// The folder a variable names; `None` with a note if it is not set.
fn folder(variable: &str) -> Option<PathBuf> {
    let Some(path) = std::env::var_os(variable) else {
        // Straight to the terminal: what a passing test prints would not be shown.
        std::io::stderr()
            .write_all(format!("skipped: {variable} is not set\n").as_bytes())
            .unwrap();
        return None;
    };
    let path = PathBuf::from(path);
    assert!(path.is_dir(), "{variable} names `{}`, which is no folder", path.display());
    Some(path)
}

#[test]
fn a_small_trained_llama_tells_its_story() {
    let Some(folder) = folder("NEXTCART_CHECKPOINTS") else { return };
    let checkpoint = Checkpoint::open(folder.join("stories260K")).unwrap();
    let (config, tokenizer) = (checkpoint.config().clone(), checkpoint.tokenizer().unwrap());
    let model = checkpoint.load(&Device::flex()).unwrap();
    let prompt = tokenizer.encode("Once upon a time").unwrap();
    let options = GenerateOptions::new(60, &config);
    let tokens = generate(&model, &config, &[&prompt], &options).remove(0);
    let story = tokenizer.decode(&tokens).unwrap();
    assert!(story.contains("there was a little girl named"), "{story}");

    let endings = ["named Lily. She loved to play outside", "zzkq 77 [] ((( xx"];
    let text = "Once upon a time, there was a little girl ";
    let scores = score_texts(&model, &config, &tokenizer, text, &endings).unwrap();
    assert!(scores[0].mean() > scores[1].mean() + 2.0, "{scores:?}");
}

#[test]
fn smollm2_generates_what_transformers_generates() {
    let Some(folder) = folder("NEXTCART_SMOLLM2") else { return };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/smollm2.json");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect()
    };
    let tokens =
        |value: &Value| -> Vec<u32> { numbers(value).into_iter().map(|id| id as u32).collect() };
    let stride = golden["stride"].as_u64().unwrap() as usize;

    let checkpoint = Checkpoint::open(folder).unwrap();
    let (config, tokenizer) = (checkpoint.config().clone(), checkpoint.tokenizer().unwrap());
    let device = Device::flex();
    let model = checkpoint.load(&device).unwrap();
    let mut worst = 0.0_f64;
    for case in golden["cases"].as_array().unwrap() {
        let ids = tokenizer.encode(case["prompt"].as_str().unwrap()).unwrap();
        assert_eq!(ids, tokens(&case["ids"]));

        let hidden = model.hidden(&ModelInput::new(&[&ids], &config, &device), None);
        let last = hidden.narrow(1, ids.len() - 1, 1);
        let logits: Vec<f64> =
            model.logits(last).into_data().iter::<f32>().map(f64::from).step_by(stride).collect();
        let expected = numbers(&case["logits"]);
        assert_eq!(logits.len(), expected.len());
        let error = logits.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        // Two f32 implementations of 30 blocks; a wrong epsilon or base moves logits by 1e-2.
        assert!(error < 2e-3, "{error}");
        worst = worst.max(error);

        let expected = tokens(&case["tokens"]);
        let options = GenerateOptions {
            max_new_tokens: expected.len(),
            stop_tokens: vec![],
            sampling: Sampling::Greedy,
        };
        assert_eq!(generate(&model, &config, &[&ids], &options), [expected]);
    }
    println!("logits are at most {worst:.1e} off");
}
