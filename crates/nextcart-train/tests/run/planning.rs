//! A run beside its plan, and what is refused before it begins.

use std::fs;

use burn::module::Module;
use burn::tensor::Device;
use nextcart_models::{Checkpoint, Llama, LlamaConfig, LoadOptions, Precision, save_checkpoint};
use nextcart_text::Sample;
use nextcart_train::{
    DeviceFacts, Ending, Error, Every, Metric, ModelConfig, Planner, Run, RunConfig, RunRecord,
    SftConfig, Trained, WatchConfig, Workload, read_metrics,
};
use serde_json::json;

use crate::common::{VOCAB, adapted, base, llama};
use crate::watching::{go, open};
use crate::{config, lora, samples, turn, watch};

fn planner(samples: &[Sample], training: SftConfig) -> Planner {
    Planner {
        model: llama(),
        load: LoadOptions::default(),
        lora: Some(lora()),
        trained: None,
        workload: Workload::of(samples, &training).unwrap(),
        training,
        watch: watch(),
        memory_limit: None,
    }
}

#[test]
fn a_plan_stands_beside_what_was_seen() {
    let _turn = turn();
    let (samples, _) = samples();
    let folder = tempfile::tempdir().unwrap();
    let plan = planner(&samples, config(9)).plan(&DeviceFacts::host(1 << 32, 1e10)).unwrap();
    let mut run = open(folder.path(), config(9), &samples).with_plan(plan.clone());
    run.train(&go()).unwrap();
    let found = RunRecord::read(folder.path()).unwrap().plan.unwrap();
    assert_eq!(found.plan.memory, plan.memory);
    let [seen, error] = [found.seen_seconds, found.time_error].map(Option::unwrap);
    assert!(seen > 0.0 && ((1.0 + error) * seen / plan.seconds_per_step - 1.0).abs() < 1e-9);
    // The first step prepares, the next three are measured, the others foretold from them.
    let pace = found.pace.unwrap();
    assert_eq!(pace.steps, 5);
    assert!((pace.foretold_seconds / pace.seen_seconds - 1.0 - pace.error).abs() < 1e-12);
    let metrics = read_metrics(folder.path().join("metrics.jsonl")).unwrap();
    let later = metrics.iter().filter_map(|metric| match metric {
        Metric::Step(step) if step.step > 4 => Some(step.seconds),
        _ => None,
    });
    assert!((later.sum::<f64>() / pace.seen_seconds - 1.0).abs() < 1e-9);
    let Metric::Step(last) = metrics[metrics.len() - 1] else { panic!("a step") };
    let mfu = last.mfu.unwrap();
    assert!(mfu > 0.0 && mfu < plan.flops_per_step * 4.0 / last.seconds / 1e10, "{mfu}");
}

#[test]
fn without_a_plan_the_run_makes_one_of_the_model_in_hand() {
    let _turn = turn();
    let (samples, held_out) = samples();
    let folder = tempfile::tempdir().unwrap();
    let mut run = open(folder.path(), config(3), &samples).with_held_out(&held_out);
    run.train(&go()).unwrap();
    let found = RunRecord::read(folder.path()).unwrap().plan.unwrap().plan;
    let own = planner(&samples, config(3));
    let own = Planner {
        workload: own.workload.clone().with_evaluation(&held_out, watch().evaluation_batch),
        ..own
    };
    let expected = own.estimate(&DeviceFacts::host(1 << 32, 1e10));
    assert_eq!((found.memory, found.operations), (expected.memory, expected.operations));
    assert_eq!(found.disk, expected.disk);
    assert!(found.memory.evaluation > 0 && found.available > found.bytes());

    // A model that trains as a whole, and one with ranks of its own.
    let whole = base().trainable();
    let parameters = whole.num_params() as u64;
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::open(folder.path(), whole, &llama(), config(3), &samples).unwrap();
    run.train(&go()).unwrap();
    let record = RunRecord::read(folder.path()).unwrap();
    assert_eq!(record.trained, Some(Trained::All));
    let memory = record.plan.unwrap().plan.memory;
    assert_eq!((memory.adapters, memory.gradients), (0, 4 * parameters));
    let lora = lora().with_rank(4).with_rank_pattern([("layers.1.*q_proj", 2)].into());
    let lora = lora.with_target_modules(["q_proj", "layers.1.mlp.up_proj"].into());
    let model = adapted(&lora);
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::open(folder.path(), model, &llama(), config(3), &samples).unwrap();
    run.train(&go()).unwrap();
    let memory = RunRecord::read(folder.path()).unwrap().plan.unwrap().plan.memory;
    assert_eq!(memory.adapters, 4 * (4 * (32 + 32) + 2 * (32 + 32) + 4 * (32 + 48)));
}

#[test]
fn what_takes_gradients_is_planned_and_recorded_beside_adapters_and_packed_weights_too() {
    let _turn = turn();
    let (samples, _) = samples();
    let run = |model: Llama| {
        let folder = tempfile::tempdir().unwrap();
        let mut run = Run::open(folder.path(), model, &llama(), config(3), &samples).unwrap();
        run.train(&go()).unwrap();
        RunRecord::read(folder.path()).unwrap()
    };
    let adapters = planner(&samples, config(3)).estimate(&DeviceFacts::host(1 << 32, 1e10));
    let both = adapted(&lora()).trainable();
    let parameters = both.num_params() as u64;
    let record = run(both);
    assert_eq!(record.trained, Some(Trained::All));
    let memory = record.plan.unwrap().plan.memory;
    assert_eq!(memory.gradients, 4 * parameters);
    assert_eq!(memory.adapters, adapters.memory.adapters);

    // What is packed stays as it is: embedding and norms train.
    let record = run(base().quantized().unwrap().trainable());
    assert_eq!(record.trained, Some(Trained::All));
    let memory = record.plan.unwrap().plan.memory;
    let trained = (VOCAB + 2 * llama().layers + 1) * llama().d_model;
    assert_eq!((memory.adapters, memory.gradients), (0, 4 * trained as u64));
}

#[test]
fn a_packed_model_is_planned_as_it_is_held_whatever_its_configuration_says() {
    let _turn = turn();
    let (samples, _) = samples();
    let folder = tempfile::tempdir().unwrap();
    let model = base().quantized().unwrap().with_adapters(&lora(), 3).unwrap();
    let whole = RunConfig { lora: lora(), training: config(3), ..RunConfig::tiny_cpu() };
    let run = Run::open(folder.path(), model, &llama(), config(3), &samples).unwrap();
    run.with_config(whole).train(&go()).unwrap();
    let found = RunRecord::read(folder.path()).unwrap().plan.unwrap().plan;
    let own = planner(&samples, config(3));
    let load = LoadOptions { quantized: true, ..own.load };
    let expected = Planner { load, ..own }.estimate(&DeviceFacts::host(1 << 32, 1e10));
    assert_eq!(found.memory.weights, expected.memory.weights);
}

#[test]
fn a_packed_checkpoint_is_planned_as_it_is_stored_whatever_the_configuration_says() {
    let _turn = turn();
    let (samples, held_out) = samples();
    let folder = tempfile::tempdir().unwrap();
    let [base, path] = ["base", "run"].map(|name| folder.path().join(name));
    let llama = LlamaConfig::tinyllama_1_1b();
    let mut json = llama.to_json();
    json["quantization_config"] = json!({
        "quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": true,
    });
    fs::create_dir(&base).unwrap();
    fs::write(base.join("config.json"), json.to_string()).unwrap();
    let checkpoint = Checkpoint::open_without_weights(&base).unwrap();
    let model = ModelConfig {
        name: base.display().to_string(),
        revision: None,
        weights: Precision::F32,
        activations: Precision::Bf16, // no steps are timed
        quantized: false,
    };
    let dense =
        RunConfig { training: config(3), memory_limit: Some(2.2), ..RunConfig::new(model.clone()) };
    let packed = RunConfig { model: ModelConfig { quantized: true, ..model }, ..dense.clone() };
    let weights =
        |planner: Planner| planner.estimate(&DeviceFacts::host(1 << 40, 1e10)).memory.weights;
    let found = weights(dense.planner_for(&checkpoint, &samples, &held_out).unwrap());
    assert_eq!(found, weights(packed.planner(&llama, &samples, &held_out).unwrap()));
    assert!(weights(dense.planner(&llama, &samples, &held_out).unwrap()) > 4_000_000_000);
    // There is room for it, so that its weights are looked for: there are none.
    let run = Run::start(&path, &dense, &checkpoint, &Device::flex(), (&samples, &held_out));
    let error = run.map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Model { .. }), "{error}");
}

#[test]
fn a_configuration_that_does_not_validate_is_not_planned() {
    let (samples, held_out) = samples();
    let limit = |limit: f64| {
        let config = RunConfig { memory_limit: Some(limit), ..RunConfig::tiny_cpu() };
        config.planner(&llama(), &samples, &held_out).map(|_| ()).unwrap_err().to_string()
    };
    assert!(limit(f64::NAN).contains("`memory_limit`"), "{}", limit(f64::NAN));
    let training = SftConfig { devices: usize::MAX, ..config(3) };
    let config = RunConfig { training, ..RunConfig::tiny_cpu() };
    let found = config.planner(&llama(), &samples, &held_out);
    assert!(matches!(found, Err(Error::Config { field: "devices", .. })), "{found:?}");
}

#[test]
fn what_does_not_fit_is_refused_before_a_weight_is_read() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let [base, path] = ["base", "run"].map(|name| folder.path().join(name));
    save_checkpoint(&base, &llama().init(1, &Device::flex()), &llama(), None).unwrap();
    let config = RunConfig {
        training: config(3),
        ..RunConfig::new(ModelConfig {
            name: base.display().to_string(),
            revision: None,
            weights: Precision::F32,
            activations: Precision::F32,
            quantized: false,
        })
    };
    let (samples, held_out) = samples();
    let checkpoint = Checkpoint::open(&base).unwrap();
    let start = |samples: &[Sample]| {
        let mut run =
            Run::start(&path, &config, &checkpoint, &Device::flex(), (samples, &held_out))?;
        run.train(&go())
    };

    // Attention from each of so many tokens to each: hundreds of gigabytes.
    let long = [Sample::text(&vec![3; 200_000]).unwrap()];
    match start(&long) {
        Err(Error::DoesNotFit { needed, available, .. }) => assert!(needed > available),
        other => panic!("expected a refusal, got {other:?}"),
    }
    assert!(!path.exists());

    assert_eq!(start(&samples).unwrap(), Ending::Finished);
    let record = RunRecord::read(&path).unwrap();
    assert_eq!(record.config.as_ref(), Some(&config));
    let machine = record.machine.unwrap();
    assert!(machine.device.contains("Flex") && !machine.device.contains("utodiff"), "{machine:?}");

    // Nor does it read a weight for what cannot begin, or go on.
    fs::remove_file(base.join("model.safetensors")).unwrap();
    let refused = |config: RunConfig, held_out: &[Sample]| {
        let samples = (samples.as_slice(), held_out);
        let run = Run::start(&path, &config, &checkpoint, &Device::flex(), samples);
        run.map(|_| ()).unwrap_err()
    };
    let warm = SftConfig { warmup_steps: 3, ..config.training.clone() };
    let error = refused(RunConfig { training: warm, ..config.clone() }, &held_out);
    assert!(matches!(error, Error::Config { field: "warmup_steps", .. }), "{error}");
    for (watch, named) in [
        (WatchConfig { patience: Some(2), ..WatchConfig::default() }, "patience"),
        (WatchConfig { evaluate: Every::Steps(2), ..WatchConfig::default() }, "evaluate"),
    ] {
        let error = refused(RunConfig { watch, ..config.clone() }, &[]);
        let is_named = matches!(&error, Error::Config { field, .. } if *field == named);
        assert!(is_named && error.to_string().contains("no held-out samples"), "{error}");
    }
    let unknown = [Sample::text(&[1, 99]).unwrap()];
    let error = refused(config.clone(), &unknown);
    assert!(matches!(error, Error::Token { list: "held-out", sample: 0, .. }), "{error}");
    let nowhere = config.lora.clone().with_target_modules(["nowhere"].into());
    let error = refused(RunConfig { lora: nowhere, ..config.clone() }, &held_out);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("nowhere"), "{source}");
    // What it is told where it does not fit leaves it the run that it is.
    let small = RunConfig { memory_limit: Some(1e-9), ..config.clone() };
    let text = refused(small, &held_out).to_string();
    assert!(text.contains("a run that has begun") && !text.contains("training."), "{text}");
    // Nor for what the disk does not take.
    let training = SftConfig {
        max_steps: Some(1 << 50),
        checkpoints_kept: 1 << 50,
        ..config.training.clone()
    };
    let many = RunConfig { training, ..config.clone() };
    let elsewhere = folder.path().join("elsewhere");
    let data = (samples.as_slice(), held_out.as_slice());
    let run = Run::start(&elsewhere, &many, &checkpoint, &Device::flex(), data);
    match run.map(|_| ()) {
        Err(Error::NoRoom { folder, needed, available }) => {
            assert!(folder == elsewhere && needed > available && !elsewhere.exists());
        }
        // Other systems may not say what room there is.
        other => assert!(!cfg!(target_os = "linux") && other.is_err(), "{other:?}"),
    }
    let other = RunConfig { lora: config.lora.clone().with_alpha(3.0), ..config.clone() };
    let error = refused(other, &held_out);
    assert!(
        matches!(&error, Error::OtherRun { field, .. } if field == "config.lora.alpha"),
        "{error}"
    );
    let error = refused(config.clone(), &held_out[1..]);
    assert!(matches!(&error, Error::OtherRun { field, .. } if field == "held_out"), "{error}");
    let error = refused(config.clone(), &held_out);
    assert!(matches!(error, Error::Model { .. }), "{error}");
}
