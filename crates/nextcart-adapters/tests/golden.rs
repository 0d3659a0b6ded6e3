//! Against numbers and files made by bitsandbytes and PEFT.
//!
//! `NEXTCART_REFERENCE` names the folder; every shape, name and number is read from it.
#![expect(clippy::unwrap_used, reason = "a test may fail and say why")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use half::{bf16, f16};
use nextcart_adapters::nf4::{self, BLOCK, CODE, NESTED_BLOCK, NestedAbsmax, Nf4Weight};
use nextcart_adapters::{Projection, TargetModules, load_peft, save_peft};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// How much farther from its value than the nearest entry, in units of its group's scale, a code of
/// bitsandbytes' 8-bit quantiser may lie: it searches the map only roughly.
const ROUGH: f64 = 3.04e-5;

/// The reference folder; `None` with a note if none is named.
fn reference() -> Option<PathBuf> {
    let Some(path) = std::env::var_os("NEXTCART_REFERENCE") else {
        // Straight to the terminal: what a passing test prints would not be shown.
        std::io::stderr().write_all(b"skipped: NEXTCART_REFERENCE is not set\n").unwrap();
        return None;
    };
    let path = PathBuf::from(path);
    assert!(path.is_dir(), "NEXTCART_REFERENCE names `{}`, which is no folder", path.display());
    Some(path)
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().expect("a JSON object").iter()
}

fn size(value: &Value) -> usize {
    usize::try_from(value.as_u64().expect("a whole number")).unwrap()
}

/// A tensor of a file.
#[derive(Debug, PartialEq)]
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Stored {
    /// The values, widened to f32 where they are narrower.
    fn floats(&self) -> Vec<f32> {
        match self.dtype {
            Dtype::F32 => self.numbers(f32::from_le_bytes),
            Dtype::F16 => self.numbers(|bytes| f16::from_le_bytes(bytes).to_f32()),
            Dtype::BF16 => self.numbers(|bytes| bf16::from_le_bytes(bytes).to_f32()),
            other => panic!("{other:?} is no float that f32 holds"),
        }
    }

    fn bytes(&self) -> &[u8] {
        assert_eq!(self.dtype, Dtype::U8);
        &self.bytes
    }

    fn numbers<const N: usize>(&self, decode: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        self.bytes.as_chunks().0.iter().map(|&chunk| decode(chunk)).collect()
    }

    fn matrix(&self) -> [usize; 2] {
        self.shape.as_slice().try_into().expect("two axes")
    }
}

fn tensors(path: &Path) -> BTreeMap<String, Stored> {
    let bytes =
        fs::read(path).unwrap_or_else(|error| panic!("cannot read `{}`: {error}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let stored = file.iter().map(|(name, view)| {
        let (shape, bytes) = (view.shape().to_vec(), view.data().to_vec());
        (name.to_owned(), Stored { dtype: view.dtype(), shape, bytes })
    });
    stored.collect()
}

/// All tensors of a checkpoint's folder, in one file or several.
fn checkpoint(folder: &Path) -> BTreeMap<String, Stored> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .flat_map(|path| tensors(&path))
        .collect()
}

#[track_caller]
fn same_bits(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}: another length");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.to_bits(), expected.to_bits(), "{what}, {i}: {found} is not {expected}");
    }
}

/// Compares within a relative bound and returns the largest deviation.
#[track_caller]
fn close(what: &str, found: &[f32], expected: &[f32], relative: f64) -> f64 {
    assert_eq!(found.len(), expected.len(), "{what}: another length");
    let mut largest = 0.0;
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        if found == expected {
            continue;
        }
        let (found, expected) = (f64::from(found), f64::from(expected));
        let deviation = (found - expected).abs() / expected.abs();
        assert!(deviation <= relative, "{what}, {i}: {found} is not {expected}");
        largest = f64::max(largest, deviation);
    }
    largest
}

/// The cases of `nf4.json`, each with its tensors under their own names.
fn cases(folder: &Path) -> Vec<(String, Value, BTreeMap<String, Stored>)> {
    let description = json(&folder.join("nf4/nf4.json"));
    assert_eq!(size(&description["blocksize"]), BLOCK);
    assert_eq!(size(&description["nested_blocksize"]), NESTED_BLOCK);
    let mut all = tensors(&folder.join("nf4/nf4.safetensors"));
    let cases: Vec<_> = object(&description["cases"])
        .map(|(name, case)| {
            let prefix = format!("{name}.");
            let names: Vec<_> =
                all.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
            let own = names.into_iter().map(|key| {
                let stored = all.remove(&key).unwrap();
                (key[prefix.len()..].to_owned(), stored)
            });
            (name.clone(), case.clone(), own.collect())
        })
        .collect();
    assert!(!cases.is_empty(), "no case to compare");
    cases
}

/// The double-quantised absmax values as bitsandbytes stores them.
fn stored_absmax(tensors: &BTreeMap<String, Stored>) -> NestedAbsmax {
    NestedAbsmax {
        codes: tensors["dq.absmax_u8"].bytes().to_vec(),
        scales: tensors["dq.nested_absmax"].floats(),
        offset: tensors["dq.offset"].floats()[0],
    }
}

#[test]
fn golden_nf4_tables_equal_those_of_bitsandbytes() {
    let Some(folder) = reference() else { return };
    let tables = tensors(&folder.join("nf4/nf4.safetensors"));
    same_bits("NF4 values", &CODE, &tables["nf4_code"].floats());
    same_bits("signed map", &nf4::dynamic_map(true), &tables["dynamic_signed"].floats());
    same_bits("unsigned map", &nf4::dynamic_map(false), &tables["dynamic_unsigned"].floats());
}

#[test]
fn golden_nf4_blocks_equal_bitsandbytes_bit_for_bit() {
    let Some(folder) = reference() else { return };
    for (name, case, tensors) in cases(&folder) {
        let blocks = nf4::quantize(&tensors["input"].floats());
        assert_eq!(blocks.absmax.len(), size(&case["blocks"]), "{name}");
        assert_eq!(blocks.packed, tensors["packed"].bytes(), "{name}: packed");
        same_bits(&format!("{name}: absmax"), &blocks.absmax, &tensors["absmax"].floats());

        let mut values = vec![0.0; size(&case["n"])];
        nf4::dequantize(&blocks.packed, &blocks.absmax, &mut values);
        same_bits(&format!("{name}: unpacked"), &values, &tensors["dequant"].floats());
        // Where bitsandbytes' own rounding is the usual one: it drops what bf16 holds without a
        // leading one.
        if case["bf16_equals_rounded_f32"] == Value::Bool(true) {
            let expected = &tensors["dequant_bf16"];
            let rounded: Vec<f32> =
                values.iter().map(|&value| bf16::from_f32(value).to_f32()).collect();
            same_bits(&format!("{name}: unpacked to bf16"), &rounded, &expected.floats());
        }
    }
}

#[test]
fn golden_double_quantisation_follows_bitsandbytes() {
    let Some(folder) = reference() else { return };
    let map = nf4::dynamic_map(true);
    let (mut compared, mut rough, mut offsets) = (0, 0, 0.0_f64);
    for (name, _, tensors) in cases(&folder) {
        let absmax = tensors["absmax"].floats();
        let expected = tensors["dq.offset"].floats();
        let own = NestedAbsmax::quantize(&absmax);
        let deviation = close(&format!("{name}: offset"), &[own.offset], &expected, 1e-6);
        offsets = offsets.max(deviation);

        let nested = NestedAbsmax::quantize_around(&absmax, expected[0]);
        let scales = tensors["dq.nested_absmax"].floats();
        same_bits(&format!("{name}: scales"), &nested.scales, &scales);

        let nearest = tensors["dq.absmax_u8_nearest"].bytes();
        let theirs = tensors["dq.absmax_u8"].bytes();
        assert_eq!(nested.codes.len(), nearest.len(), "{name}: codes");
        for (i, (&value, &code)) in absmax.iter().zip(&nested.codes).enumerate() {
            let scale = f64::from(scales[i / NESTED_BLOCK]).max(1e-38);
            let x = f64::from(value - expected[0]) / scale;
            let distance = |code: u8| (f64::from(map[usize::from(code)]) - x).abs();
            if code != nearest[i] {
                // Halfway between two entries, either is right.
                let gap = (distance(code) - distance(nearest[i])).abs();
                assert!(gap < 2e-7, "{name}, {i}: code {code} is not {}", nearest[i]);
            }
            compared += 1;
            // Where the scale is 0, every code stands for 0; nearly so where it has lost its digits.
            if !scales[i / NESTED_BLOCK].is_normal() {
                continue;
            }
            let farther = distance(theirs[i]) - distance(code);
            assert!((-2e-7..=ROUGH).contains(&farther), "{name}, {i}: {code}, {}", theirs[i]);
            rough += usize::from(code != theirs[i]);
        }
    }
    assert!(compared > 0, "no code to compare");
    eprintln!(
        "offset: at most {offsets:.1e} off; {compared} codes, {rough} of them other than \
         bitsandbytes' rough ones"
    );
}

#[test]
fn golden_double_quantised_weights_unpack_as_in_bitsandbytes() {
    let Some(folder) = reference() else { return };
    let device = Device::flex();
    let mut largest = 0.0_f64;
    for (name, _, tensors) in cases(&folder) {
        let absmax = stored_absmax(&tensors);
        let what = format!("{name}: absmax");
        let restored = tensors["dq.absmax_restored"].floats();
        largest = largest.max(close(&what, &absmax.restore(), &restored, 1e-6));

        let packed = tensors["packed"].bytes().to_vec();
        let weight = Nf4Weight::from_parts(tensors["input"].matrix(), packed, absmax).unwrap();
        let expected = tensors["dq.dequant"].floats();
        let what = format!("{name}: unpacked");
        largest = largest.max(close(&what, &weight.dequantize(), &expected, 1e-6));

        let on_device = Projection::nf4(&weight, None, &device).weight().into_data();
        let on_device: Vec<f32> = on_device.try_into_vec().unwrap();
        same_bits(&format!("{name}: on a device"), &on_device, &weight.dequantize());
    }
    eprintln!("unpacked: at most {largest:.1e} off, relatively");
}

#[test]
fn golden_linear_4bit_gives_outputs_and_input_gradients() {
    const TOLERANCE: f32 = 1e-6;

    let Some(folder) = reference() else { return };
    let layer = tensors(&folder.join("nf4/adamw8bit.safetensors"));
    let [x, y, grad_y, grad_x] =
        ["x", "y", "grad_y", "grad_x"].map(|name| &layer[&format!("linear4bit.{name}")]);
    let device = Device::flex().autodiff();
    let tensor = |stored: &Stored| {
        Tensor::<2>::from_data(TensorData::new(stored.floats(), stored.matrix()), &device)
    };
    let deviation = |found: Tensor<2>, expected: &Stored| -> f32 {
        (found - tensor(expected)).abs().max().into_scalar()
    };

    // The file does not say which of the weights it was: one of them has to be it.
    let shape = [y.shape[1], x.shape[1]];
    let candidates: Vec<_> =
        cases(&folder).into_iter().filter(|(_, _, case)| case["input"].shape == shape).collect();
    let mut results = Vec::new();
    for (name, _, case) in &candidates {
        let blocks = nf4::quantize(&case["input"].floats());
        let absmax = stored_absmax(case);
        let weight = Nf4Weight::from_parts(shape, blocks.packed, absmax).unwrap();
        let projection = Projection::nf4(&weight, None, &device);
        let input = tensor(x).require_grad();
        let output = projection.forward(input.clone());
        let gradients = (output.clone() * tensor(grad_y)).sum().backward();
        let gradient = Tensor::from_inner(input.grad(&gradients).unwrap());
        results.push((name, deviation(output, y), deviation(gradient, grad_x)));
    }
    let best = results.iter().find(|(_, y, x)| *y <= TOLERANCE && *x <= TOLERANCE);
    assert!(best.is_some(), "no case gives the layer's values: {results:?}");
    eprintln!("linear: case, output and gradient off by {:?}", best.unwrap());
}

/// Runs of the adapters' goldens and the folder of each.
fn runs(folder: &Path) -> Vec<(PathBuf, Value, Value)> {
    let spec = json(&folder.join("spec.json"));
    let runs: Vec<_> = object(&spec["lora"]["runs"])
        .map(|(name, run)| {
            let model = spec["models"][run["base"].as_str().unwrap()].clone();
            (folder.join("lora").join(name), run.clone(), model)
        })
        .collect();
    assert!(!runs.is_empty(), "no run to compare");
    runs
}

#[test]
fn golden_dense_bases_pack_to_the_bytes_of_the_4bit_checkpoints() {
    let Some(folder) = reference() else { return };
    let (mut weights, mut values, mut rough) = (0, 0, 0);
    for (run, spec, _) in runs(&folder) {
        if spec["nf4"] != Value::Bool(true) {
            continue;
        }
        let models = folder.join("models");
        let dense = checkpoint(&models.join(spec["base"].as_str().unwrap()));
        let trace = json(&run.join("trace.json"));
        let packed = checkpoint(&models.join(trace["base"].as_str().unwrap()));
        for (name, stored) in &packed {
            let Some(codes) = packed.get(&format!("{name}.absmax")) else { continue };
            let scales = packed[&format!("{name}.nested_absmax")].floats();
            let state = &packed[&format!("{name}.quant_state.bitsandbytes__nf4")];
            let state: Value = serde_json::from_slice(state.bytes()).unwrap();
            let shape: [usize; 2] = serde_json::from_value(state["shape"].clone()).unwrap();
            let offset = state["nested_offset"].as_f64().unwrap() as f32;

            let weight = &dense[name];
            assert_eq!(weight.matrix(), shape, "{name}");
            let weight = Nf4Weight::quantize(&weight.floats(), shape).unwrap();
            assert_eq!(weight.packed(), stored.bytes(), "{name}: packed");
            close(&format!("{name}: offset"), &[weight.absmax().offset], &[offset], 1e-6);

            // Each restored absmax is as near as the rough codes allow.
            let absmax = NestedAbsmax { codes: codes.bytes().to_vec(), scales, offset };
            let (own, theirs) = (weight.absmax().restore(), absmax.restore());
            assert_eq!(own.len(), theirs.len(), "{name}: blocks");
            let exact = nf4::quantize(&dense[name].floats()).absmax;
            for i in 0..own.len() {
                let scale = f64::from(absmax.scales[i / NESTED_BLOCK]);
                let off = |found: f32| f64::from((found - exact[i]).abs());
                let allowed = off(own[i]) + ROUGH * scale + 1e-6 * f64::from(exact[i]);
                assert!(off(theirs[i]) <= allowed, "{name}, block {i}");
                rough += usize::from(weight.absmax().codes[i] != absmax.codes[i]);
            }
            weights += 1;
            values += shape[0] * shape[1];
        }
    }
    if weights == 0 {
        eprintln!("skipped: no run of the reference has a 4-bit base");
    } else {
        eprintln!("{weights} weights of {values} values packed alike; {rough} other absmax codes");
    }
}

#[test]
fn golden_adapters_load_as_peft_wrote_them_and_save_alike() {
    let Some(folder) = reference() else { return };
    for (run, spec, model) in runs(&folder) {
        let trace = json(&run.join("trace.json"));
        let mut stages = 0;
        for entry in fs::read_dir(&run).unwrap() {
            let stage = entry.unwrap().path();
            if stage.join("adapter_config.json").is_file() {
                check_adapter(&stage, &spec, &trace["recipe"], &model);
                stages += 1;
            }
        }
        assert!(stages > 0, "no adapter in `{}`", run.display());
    }
}

fn check_adapter(stage: &Path, run: &Value, recipe: &Value, model: &Value) {
    let what = stage.display();
    let adapter = load_peft(stage).unwrap_or_else(|error| panic!("{what}: {error}"));
    let config = &adapter.config;
    assert_eq!(config.rank, size(&recipe["r"]), "{what}");
    assert_eq!(config.alpha, recipe["alpha"].as_f64().unwrap(), "{what}");
    let scale = recipe["scale"].as_f64().unwrap();
    assert!((config.scale() / scale - 1.0).abs() < 1e-12, "{what}: {} {scale}", config.scale());
    assert_eq!(config.use_rslora, recipe["use_rslora"].as_bool().unwrap(), "{what}");
    assert_eq!(config.use_dora, recipe["use_dora"].as_bool().unwrap(), "{what}");
    assert_eq!(config.dropout, 0.0, "{what}");
    assert_eq!(adapter.base_model.as_deref(), run["base"].as_str(), "{what}");
    let written = json(&stage.join("adapter_config.json"));
    let targets: BTreeSet<String> =
        serde_json::from_value(written["target_modules"].clone()).unwrap();
    let TargetModules::Names(names) = &config.target_modules else { panic!("{what}: no names") };
    assert_eq!(names.iter().cloned().collect::<BTreeSet<_>>(), targets, "{what}");
    let modules = targets.len() * size(&model["num_hidden_layers"]);
    assert_eq!(adapter.modules.len(), modules, "{what}");

    // Through projections and out again: the same tensors, bit for bit.
    let device = Device::flex();
    let projections: Vec<_> = adapter
        .modules
        .iter()
        .map(|(module, weights)| {
            let base = Tensor::ones([weights.d_output(), weights.d_input()], &device);
            let mut projection = Projection::dense(base, None);
            projection.load_adapter(weights, config).unwrap();
            (module, projection)
        })
        .collect();
    let projections: Vec<_> = projections.iter().map(|(module, p)| (*module, p)).collect();
    let saved = tempfile::tempdir().unwrap();
    save_peft(saved.path(), run["base"].as_str().unwrap(), config, &projections).unwrap();
    let file = "adapter_model.safetensors";
    assert_eq!(tensors(&saved.path().join(file)), tensors(&stage.join(file)), "{what}");

    // Our configuration says nothing that PEFT's does not say as well.
    let own = json(&saved.path().join("adapter_config.json"));
    for (field, value) in object(&own) {
        let theirs = &written[field];
        match field.as_str() {
            "target_modules" => {
                let names: BTreeSet<String> = serde_json::from_value(value.clone()).unwrap();
                assert_eq!(names, targets, "{what}");
            }
            _ if value.is_number() => {
                assert_eq!(value.as_f64(), theirs.as_f64(), "{what}: {field}")
            }
            _ => assert_eq!(value, theirs, "{what}: {field}"),
        }
    }
}
