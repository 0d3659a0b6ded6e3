//! Adapters that PEFT wrote, here; and those written here, in PEFT itself.
//!
//! Runs where `NEXTCART_PYTHON` names a Python with torch, transformers and peft.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use burn::tensor::{Device, Distribution, Tensor};
use nextcart_adapters::{Bias, LoraConfig, TargetModules, load_peft};
use nextcart_models::{Checkpoint, Llama, LlamaConfig, ModelInput, save_adapter, save_checkpoint};

const IDS: &[u32] = &[1, 8, 40, 2, 17, 33];

/// As for golden logits with adapters.
const TOLERANCE: f32 = 1e-4;

fn config() -> LlamaConfig {
    LlamaConfig { layers: 2, attention_bias: true, ..LlamaConfig::tiny(300) }
}

/// Runs the script beside the golden files; `None` where there is no Python for it.
fn peft(arguments: &[&str]) -> Option<Vec<Vec<f32>>> {
    let Some(python) = std::env::var_os("NEXTCART_PYTHON") else {
        std::io::stderr().write_all(b"skipped: NEXTCART_PYTHON is not set\n").unwrap();
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/peft_round_trip.py");
    let output = Command::new(python).arg(script).args(arguments).output().expect("a Python");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    let last = String::from_utf8(output.stdout).unwrap();
    Some(serde_json::from_str(last.lines().last().expect("logits")).unwrap())
}

/// A model with biases, on disk and loaded.
fn base(folder: &Path) -> Llama {
    let device = Device::flex();
    let model = config().init(3, &device).map_projections(|_, mut projection| {
        if let Some(bias) = projection.bias() {
            projection.set_bias(Tensor::random(bias.dims(), Distribution::Default, &device))?;
        }
        Ok(projection)
    });
    save_checkpoint(folder, &model.unwrap(), &config(), None).unwrap();
    Checkpoint::open(folder).unwrap().load(&device).unwrap()
}

#[track_caller]
fn check(what: &str, model: &Llama, expected: &[Vec<f32>]) {
    let input = ModelInput::new(&[IDS], &config(), &Device::flex());
    let found = model.forward(&input).into_data();
    assert_eq!(found.shape().as_slice(), [1, expected.len(), expected[0].len()], "{what}");
    let expected = expected.iter().flatten();
    let off = found.iter::<f32>().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("{what}: {off:.1e}");
    assert!(off <= TOLERANCE, "{what}: {off}");
}

#[test]
fn adapters_of_peft_give_its_logits_here() {
    let folder = tempfile::tempdir().unwrap();
    let (at, model) = (folder.path().join("base"), base(&folder.path().join("base")));
    let at = at.to_str().unwrap();
    for kind in ["plain", "patterns", "dora", "bias_all", "bias_lora_only", "gaussian"] {
        let out = folder.path().join(kind);
        let Some(expected) = peft(&["make", at, kind, out.to_str().unwrap()]) else { return };
        let adapter = load_peft(&out).unwrap_or_else(|error| panic!("{kind}: {error}"));
        let adapted = model.clone().with_peft(&adapter).unwrap();
        check(kind, &adapted, &expected);

        // Written again from here, PEFT reads the same.
        let again = folder.path().join(format!("{kind}-again"));
        save_adapter(&again, &adapted, &adapter.config, at).unwrap();
        let found = peft(&["logits", at, again.to_str().unwrap()]).unwrap();
        check(&format!("{kind}, written again"), &adapted, &found);
    }
}

#[test]
fn adapters_made_here_give_their_logits_in_peft() {
    let folder = tempfile::tempdir().unwrap();
    let (at, model) = (folder.path().join("base"), base(&folder.path().join("base")));
    let lora = LoraConfig::new().with_rank(4).with_alpha(6.0);
    for (kind, config) in [
        ("plain", lora.clone()),
        ("rsLoRA", lora.clone().with_use_rslora(true)),
        ("DoRA", lora.clone().with_use_dora(true)),
        ("all linear", lora.clone().with_target_modules(TargetModules::AllLinear)),
        ("biases", lora.clone().with_target_modules(["v_proj"].into()).with_bias(Bias::All)),
        (
            "patterns",
            lora.with_target_modules(TargetModules::Pattern(r".*\.(q_proj|down_proj)".into()))
                .with_rank_pattern([(r"1\.self_attn\.q_proj", 2), ("q_proj", 8)].into())
                .with_alpha_pattern([("down_proj", 2.5)].into())
                .with_bias(Bias::LoraOnly),
        ),
    ] {
        let device = Device::flex();
        let random =
            |dims: [usize; 2]| Tensor::random(dims, Distribution::Normal(0.0, 0.2), &device);
        let adapted = model.clone().with_adapters(&config, 5).unwrap();
        let adapted = adapted.map_projections(|path, mut projection| {
            let Some(adapter) = projection.adapter() else { return Ok(projection) };
            let (a, b) = (random(adapter.a().dims()), random(adapter.b().dims()));
            let magnitude = adapter.magnitude().map(|magnitude| magnitude * 1.5);
            projection.set_adapter(a, b, magnitude, &config.at(path))?;
            if config.trains_bias(path) && projection.bias().is_some() {
                projection.set_bias(Tensor::ones([projection.d_output()], &device))?;
            }
            Ok(projection)
        });
        let adapted = adapted.unwrap();
        let out = folder.path().join(kind);
        save_adapter(&out, &adapted, &config, at.to_str().unwrap()).unwrap();
        let Some(found) = peft(&["logits", at.to_str().unwrap(), out.to_str().unwrap()]) else {
            return;
        };
        check(kind, &adapted, &found);
    }
}

#[test]
fn what_an_adapter_cannot_say_alone_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("base");
    base(&at);
    for (kind, message) in [
        ("modules_to_save", "field `modules_to_save`: expected nothing (not supported)"),
        ("pissa", "field `init_lora_weights`: expected a start that keeps the base's weight"),
    ] {
        let out = folder.path().join(kind);
        if peft(&["make", at.to_str().unwrap(), kind, out.to_str().unwrap()]).is_none() {
            return;
        }
        let error = load_peft(&out).expect_err(kind).to_string();
        assert!(error.contains(message), "{error}");
    }
}
