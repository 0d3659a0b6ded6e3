//! Decoders with scaled rotary embeddings or attention biases, beside transformers.
//!
//! `tests/golden/decoder_variants.json` was made by the script beside it, which says how the weights
//! follow from a rule.
#![expect(clippy::unwrap_used, reason = "a test may fail and say why")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::tensor::Device;
use nextcart_models::{Checkpoint, LlamaConfig, ModelInput, save_checkpoint};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

/// The weights of a tiny decoder as the script makes them, in a folder with its config.
fn checkpoint(config: &Value, folder: &Path) -> Checkpoint {
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let shape = LlamaConfig::from_file(&folder.join("config.json")).unwrap();
    // A model of this shape, written, tells names and shapes.
    let written = tempfile::tempdir().unwrap();
    save_checkpoint(written.path(), &shape.init(1, &Device::flex()), &shape, None).unwrap();
    let bytes = fs::read(written.path().join("model.safetensors")).unwrap();
    let names = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let shapes: BTreeMap<String, Vec<usize>> =
        names.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec())).collect();
    let values: Vec<(String, Vec<usize>, Vec<u8>)> = shapes
        .into_iter()
        .zip(1_u64..)
        .map(|((name, shape), number)| {
            let gain = f64::from(u8::from(name.contains("norm")));
            let count: usize = shape.iter().product();
            let bytes = (0..count as u64).flat_map(|index| {
                let whole = (index * 1_103_515_245 + number * 12_345) % (1 << 31);
                let value = (whole as f64 / f64::from(1_u32 << 31) - 0.5) / 4.0 + gain;
                (value as f32).to_le_bytes()
            });
            let bytes = bytes.collect();
            (name, shape, bytes)
        })
        .collect();
    let views = values.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize_to_file(views, None, &folder.join("model.safetensors")).unwrap();
    Checkpoint::open(folder).unwrap()
}

#[test]
fn logits_are_those_of_transformers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/decoder_variants.json");
    let golden: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let device = Device::flex();
    for case in golden["cases"].as_array().unwrap() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = checkpoint(&case["config"], folder.path());
        let config = checkpoint.config();
        let ids: Vec<u32> =
            case["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        let model = checkpoint.load(&device).unwrap();
        let logits = model.forward(&ModelInput::new(&[&ids], config, &device)).into_data();
        let logits: Vec<f32> = logits.iter::<f32>().collect();
        let rows =
            case["positions"].as_array().unwrap().iter().zip(case["logits"].as_array().unwrap());
        for (position, expected) in rows {
            let start = position.as_u64().unwrap() as usize * config.vocab;
            for (found, expected) in logits[start..].iter().zip(expected.as_array().unwrap()) {
                let difference = (f64::from(*found) - expected.as_f64().unwrap()).abs();
                assert!(difference < 2e-5, "{} at {position}: {difference}", case["name"]);
            }
        }
    }
    assert_eq!(golden["cases"].as_array().unwrap().len(), 3);
}

#[test]
fn biases_survive_saving() {
    let config = LlamaConfig { attention_bias: true, ..LlamaConfig::tiny(40) };
    let folder = tempfile::tempdir().unwrap();
    let model = config.init(3, &Device::flex());
    save_checkpoint(folder.path(), &model, &config, None).unwrap();
    let read = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(read.config(), &config);
    let input = ModelInput::new(&[&[1, 5, 9]], &config, &Device::flex());
    let logits = |model: &nextcart_models::Llama| {
        model.forward(&input).into_data().iter::<f32>().collect::<Vec<f32>>()
    };
    assert_eq!(logits(&read.load(&Device::flex()).unwrap()), logits(&model));
}
