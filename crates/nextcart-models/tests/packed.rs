//! Checkpoints that bitsandbytes packed, written here in its layout.
#![expect(clippy::unwrap_used, reason = "a test may fail and say why")]

use std::collections::BTreeMap;
use std::fs;

use burn::tensor::Device;
use nextcart_adapters::Base;
use nextcart_adapters::nf4::{CODE, dynamic_map};
use nextcart_models::{
    Checkpoint, Error, Llama, LlamaConfig, LoadOptions, ModelInput, TensorMismatch, save_checkpoint,
};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use tempfile::TempDir;

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

const UP: &str = "model.layers.1.mlp.up_proj.weight";
const STATE: &str = "model.layers.1.mlp.up_proj.weight.quant_state.bitsandbytes__nf4";

fn config() -> LlamaConfig {
    LlamaConfig { layers: 2, tie_word_embeddings: false, ..LlamaConfig::tiny(40) }
}

fn floats(values: &[f32]) -> (Dtype, Vec<usize>, Vec<u8>) {
    (Dtype::F32, vec![values.len()], values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

fn bytes(values: &[u8]) -> (Dtype, Vec<usize>, Vec<u8>) {
    (Dtype::U8, vec![values.len()], values.to_vec())
}

/// The checkpoint of a model whose projections are packed, with what bitsandbytes writes beside them.
fn packed() -> (TempDir, Llama, Tensors) {
    let folder = tempfile::tempdir().unwrap();
    let model = config().init(3, &Device::flex());
    save_checkpoint(folder.path(), &model, &config(), None).unwrap();
    let model = model.quantized().unwrap();
    let stored = fs::read(folder.path().join("model.safetensors")).unwrap();
    let mut tensors: Tensors = SafeTensors::deserialize(&stored)
        .unwrap()
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec())))
        .collect();
    for (path, projection) in model.projections() {
        let Base::Nf4(base) = projection.base() else { panic!("{path}: not packed") };
        let weight = base.to_host();
        let absmax = weight.absmax();
        let name = |suffix: &str| format!("{path}.weight{suffix}");
        let (dtype, shape, codes) = bytes(weight.packed());
        tensors.insert(name(""), (dtype, vec![shape[0], 1], codes));
        tensors.insert(name(".absmax"), bytes(&absmax.codes));
        tensors.insert(name(".nested_absmax"), floats(&absmax.scales));
        tensors.insert(name(".quant_map"), floats(&CODE));
        tensors.insert(name(".nested_quant_map"), floats(&dynamic_map(true)));
        let state = json!({
            "quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": weight.shape(),
            "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": absmax.offset,
        });
        let state = state.to_string();
        tensors.insert(name(".quant_state.bitsandbytes__nf4"), bytes(state.as_bytes()));
    }
    write(&folder, &tensors);
    (folder, model, tensors)
}

fn write(folder: &TempDir, tensors: &Tensors) {
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    let path = folder.path().join("model.safetensors");
    safetensors::serialize_to_file(views, None, &path).unwrap();
}

fn logits(model: &Llama) -> Vec<f32> {
    let input = ModelInput::new(&[&[1, 8, 30, 2], &[1, 5]], &config(), &Device::flex());
    model.forward(&input).into_data().iter::<f32>().collect()
}

#[test]
fn a_packed_checkpoint_loads_as_it_is() {
    let (folder, model, _) = packed();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    for quantized in [false, true] {
        let options = LoadOptions { quantized, ..LoadOptions::default() };
        let loaded = checkpoint.load_with(&Device::flex(), options).unwrap();
        for ((path, a), (_, b)) in loaded.projections().into_iter().zip(model.projections()) {
            let (Base::Nf4(a), Base::Nf4(b)) = (a.base(), b.base()) else { panic!("{path}") };
            assert_eq!(a.to_host(), b.to_host(), "{path}");
        }
        assert_eq!(logits(&loaded), logits(&model));
    }
}

#[test]
fn a_checkpoint_says_whether_its_projections_are_packed() {
    let (folder, ..) = packed();
    let opened = || Checkpoint::open(folder.path()).unwrap().is_quantized();
    let without_weights = |quantization: Value| {
        let path = folder.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config["quantization_config"] = quantization;
        fs::write(path, config.to_string()).unwrap();
        Checkpoint::open_without_weights(folder.path()).unwrap().is_quantized()
    };
    let in_4_bits = || json!({"quant_method": "bitsandbytes", "load_in_4bit": true});
    for (quantization, expected) in [
        (Value::Null, false),
        (json!({"load_in_4bit": false, "load_in_8bit": true}), false),
        (in_4_bits(), true),
    ] {
        assert_eq!(without_weights(quantization.clone()), expected, "{quantization}");
        assert!(opened(), "the tensors tell");
    }
    let dense = config().init(3, &Device::flex());
    save_checkpoint(folder.path(), &dense, &config(), None).unwrap();
    assert!(without_weights(in_4_bits()) && !opened(), "the tensors tell");
}

/// What opening or loading says after a change.
fn problems(change: impl FnOnce(&mut Tensors)) -> Vec<TensorMismatch> {
    let (folder, _, mut tensors) = packed();
    change(&mut tensors);
    write(&folder, &tensors);
    let loaded = Checkpoint::open(folder.path()).and_then(|c| c.load(&Device::flex()));
    match loaded {
        Err(Error::Tensors { problems, .. }) => problems,
        other => panic!("{other:?}"),
    }
}

fn state(tensors: &mut Tensors, field: &str, value: Value) {
    let mut state: Value = serde_json::from_slice(&tensors[STATE].2).unwrap();
    state[field] = value;
    tensors.insert(STATE.to_owned(), bytes(state.to_string().as_bytes()));
}

#[test]
fn what_is_packed_otherwise_is_named() {
    for (field, value) in [
        ("blocksize", json!(128)),
        ("nested_blocksize", json!(64)),
        ("quant_type", json!("fp4")),
        ("shape", json!([1, 2])),
        ("nested_offset", Value::Null),
    ] {
        let problems = problems(|tensors| state(tensors, field, value));
        let [TensorMismatch::Packed { name, what, .. }] = &problems[..] else {
            panic!("{problems:?}")
        };
        assert_eq!((name.as_str(), *what), (STATE, field));
    }
    let no_json = problems(|tensors| drop(tensors.insert(STATE.to_owned(), bytes(b"{"))));
    assert!(matches!(&no_json[..], [TensorMismatch::Packed { what: "state", .. }]), "{no_json:?}");
    let map = problems(|tensors| {
        tensors.insert(format!("{UP}.quant_map"), floats(&[0.5; 16]));
    });
    assert!(matches!(&map[..], [TensorMismatch::Packed { what: "quant_map", .. }]), "{map:?}");
}

#[test]
fn parts_that_are_missing_or_misshapen_are_named_at_once() {
    let problems = problems(|tensors| {
        tensors.remove(&format!("{UP}.absmax"));
        tensors.insert(format!("{UP}.nested_absmax"), floats(&[1.0]));
        tensors.insert(format!("{UP}.nested_quant_map"), (Dtype::U8, vec![256], vec![0; 256]));
        tensors.get_mut(UP).unwrap().1 = vec![1, 512 * 192 / 2];
        tensors.insert("model.layers.0.mlp.up_proj.weight.extra".to_owned(), floats(&[1.0]));
        tensors.insert("model.norm.weight.absmax".to_owned(), floats(&[1.0]));
    });
    let shapes = problems.iter().filter(|p| matches!(p, TensorMismatch::Shape { .. })).count();
    let missing = problems.iter().filter(|p| matches!(p, TensorMismatch::Missing { .. })).count();
    let packed = problems.iter().filter(|p| matches!(p, TensorMismatch::Packed { .. })).count();
    let extra = problems.iter().filter(|p| matches!(p, TensorMismatch::Extra { .. })).count();
    assert_eq!((shapes, missing, packed, extra), (2, 1, 1, 2), "{problems:?}");
}

#[test]
fn fp4_and_plain_absmax_are_refused_by_their_names() {
    let fp4 = problems(|tensors| {
        let state = tensors.remove(STATE).unwrap();
        tensors.insert(STATE.replace("nf4", "fp4"), state);
    });
    let [problem] = &fp4[..] else { panic!("{fp4:?}") };
    let expected =
        format!("`{UP}.quant_state.bitsandbytes__fp4`: expected the quant_type nf4, found fp4");
    assert_eq!(problem.to_string(), expected);

    // As bitsandbytes writes it without double quantisation: no nested state, and one f32 a block.
    let plain = problems(|tensors| {
        for suffix in [".nested_absmax", ".nested_quant_map"] {
            tensors.remove(&format!("{UP}{suffix}")).unwrap();
        }
        let blocks = tensors[&format!("{UP}.absmax")].1[0];
        tensors.insert(format!("{UP}.absmax"), floats(&vec![0.5; blocks]));
    });
    let [problem] = &plain[..] else { panic!("{plain:?}") };
    let expected = format!(
        "`{UP}.absmax`: expected the absmax in double quantisation (bnb_4bit_use_double_quant=true), found plain f32 \
         absmax"
    );
    assert_eq!(problem.to_string(), expected);
}

#[test]
fn a_packed_head_is_refused() {
    let head = problems(|tensors| {
        let (_, shape, _) = &tensors["lm_head.weight"];
        let size = shape[0] * shape[1];
        tensors
            .insert("lm_head.weight".to_owned(), (Dtype::U8, vec![size / 2, 1], vec![0; size / 2]));
    });
    assert!(matches!(&head[..], [TensorMismatch::Shape { .. }]), "{head:?}");
}
