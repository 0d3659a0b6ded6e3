//! Adapters and their training against PEFT and an independent f64 model.

use burn::tensor::{Device, Tensor};
use nextcart_adapters::{Base, LoraConfig, PeftAdapter, Projection, load_peft};
use nextcart_models::{Checkpoint, Llama, LlamaConfig, MergeTarget, ModelInput};
use nextcart_text::Sample;
use nextcart_train::{
    Batch, Checkpointing, PassOptions, Schedule, SftConfig, Trainer, loss_and_gradients,
    loss_and_gradients_with,
};
use serde_json::Value;

use crate::reference::{Deviation, Reference, Tensors, array, float, ids, object, size};

/// Bound of a logit in f32.
const LOGITS: f64 = 2e-5;

/// Bound of a logit after the adapter was folded into the weight.
const MERGED: f64 = 1e-4;

/// Bound of a batch's loss.
const LOSS: f64 = 1e-5;

/// Bound of a loss, and of a gradient norm relative to 1 or itself, at each step of a run.
const TRACE: f64 = 1e-4;

/// Bound of a trained adapter's value.
const FINAL: f64 = 2e-5;

/// What the keys of PEFT's tensors begin with.
const PREFIX: &str = "base_model.model.";

/// A run with its golden numbers.
struct Run {
    name: String,
    config: LlamaConfig,
    /// Frozen, on an autodiff device; packed, from the dense checkpoint, if the run's base is.
    base: Llama,
    packed: bool,
    trace: Value,
    probe: Tensors,
    gradients: Tensors,
    start: PeftAdapter,
    end: PeftAdapter,
}

impl Run {
    /// Logits of the probe, a single row.
    fn logits(&self, model: &Llama) -> Tensor<3> {
        let ids = self.probe.ids("input_ids");
        model.forward(&ModelInput::new(&[&ids], &self.config, &model.device())).inner()
    }

    /// The base with the adapter that training starts from.
    fn model(&self) -> Llama {
        self.base.clone().with_peft(&self.start).expect("an adapter of this model")
    }

    fn samples(&self) -> Vec<Sample> {
        let sample = |sequence: &Value| {
            let (ids, prompt) = (ids(&sequence["ids"]), size(&sequence["prompt_len"]));
            Sample::completion(&ids[..prompt], &ids[prompt..]).expect("a prompt and an answer")
        };
        array(&self.trace["sequences"]).iter().map(sample).collect()
    }

    /// The recipe, as far as it is not the default of this crate as well as of PyTorch.
    fn sft(&self) -> SftConfig {
        let recipe = &self.trace["recipe"];
        SftConfig {
            max_steps: Some(size(&recipe["steps"]) as u64),
            batch_size: size(&recipe["batch"]),
            learning_rate: float(&recipe["lr"]),
            warmup_steps: size(&recipe["warmup"]) as u64,
            schedule: Schedule::Linear,
            weight_decay: float(&recipe["weight_decay"]),
            max_grad_norm: Some(float(&recipe["clip"])),
            ..SftConfig::default()
        }
    }
}

fn indices(value: &Value) -> Vec<usize> {
    array(value).iter().map(size).collect()
}

/// Every run of the specification.
fn runs(reference: &Reference) -> Vec<Run> {
    let runs: Vec<_> = object(&reference.spec["lora"]["runs"])
        .map(|(name, spec)| {
            let base = spec["base"].as_str().expect("the name of a model");
            let checkpoint = Checkpoint::open(reference.path(&format!("models/{base}")))
                .unwrap_or_else(|error| panic!("{base}: {error}"));
            let packed = spec["nf4"] == Value::Bool(true);
            let device = Device::flex().autodiff();
            let trace = reference.json(&format!("lora/{name}/trace.json"));
            let base = match packed {
                true => {
                    let folder = trace["base"].as_str().expect("the name of a model");
                    let stored = Checkpoint::open(reference.path(&format!("models/{folder}")))
                        .unwrap_or_else(|error| panic!("{folder}: {error}"));
                    let stored = stored.load(&device).expect("readable");
                    assert_packed_alike(
                        &checkpoint.load_quantized(&device).expect("readable"),
                        &stored,
                    );
                    stored
                }
                false => checkpoint.load(&device).expect("readable"),
            };
            let adapter = |stage: &str| {
                load_peft(&reference.path(&format!("lora/{name}/{stage}")))
                    .unwrap_or_else(|error| panic!("{name}, {stage}: {error}"))
            };
            Run {
                name: name.clone(),
                config: checkpoint.config().clone(),
                base,
                packed,
                trace,
                probe: reference.tensors(&format!("lora/{name}/probe.safetensors")),
                gradients: reference.tensors(&format!("lora/{name}/grads.safetensors")),
                start: adapter("adapter_init"),
                end: adapter("adapter_final"),
            }
        })
        .collect();
    assert!(!runs.is_empty(), "no run to compare");
    runs
}

/// Weights packed here have the codes of those that bitsandbytes packed, bit for bit, but not all absmax codes:
/// bitsandbytes does not always take the nearest, which moves a loss by up to 1e-4.
fn assert_packed_alike(own: &Llama, stored: &Llama) {
    for ((path, own), (_, stored)) in own.projections().into_iter().zip(stored.projections()) {
        let (Base::Nf4(own), Base::Nf4(stored)) = (own.base(), stored.base()) else {
            panic!("{path}: not packed")
        };
        let (own, stored) = (own.to_host(), stored.to_host());
        assert_eq!(own.packed(), stored.packed(), "{path}: packed otherwise");
        assert_eq!(own.absmax().scales.len(), stored.absmax().scales.len());
    }
}

#[test]
fn golden_adapters_give_the_logits_of_peft() {
    let Some(reference) = Reference::open() else { return };
    for run in runs(&reference) {
        let mut deviation = Deviation::default();
        let mut check = |name: &str, model: &Llama| {
            let expected = run.probe.values(name);
            deviation.compare(
                &format!("{}, {name}", run.name),
                run.logits(model),
                expected,
                LOGITS,
            );
        };
        check("base_f32", &run.base);
        check("init_f32", &run.model());
        let last = run.base.clone().with_peft(&run.end).expect("an adapter of this model");
        check("final_f32", &last);
        check("final_f64", &last);
        deviation.report(&format!("logits of {}", run.name));
    }
}

#[test]
fn golden_merged_adapters_give_the_logits_of_peft() {
    let Some(reference) = Reference::open() else { return };
    for run in runs(&reference) {
        let mut deviation = Deviation::default();
        let model = run.base.clone().with_peft(&run.end).expect("an adapter of this model");
        let unmerged: Vec<f64> = run.logits(&model).into_data().iter().collect();
        let merged = model.merge_and_unload(MergeTarget::Own).unwrap();
        assert!(merged.projections().iter().all(|(_, p)| p.adapter().is_none()));
        let merged = run.logits(&merged);
        let what = format!("{}, against unmerged", run.name);
        deviation.compare(&what, merged.clone(), &unmerged, MERGED);
        // PEFT folds no adapter into a packed base without packing it again.
        match run.packed {
            true => assert!(!run.probe.has("merged_f32")),
            false => {
                let expected = run.probe.values("merged_f32");
                deviation.compare(&format!("{}, against PEFT", run.name), merged, expected, MERGED);
            }
        }
        deviation.report(&format!("merged logits of {}", run.name));
    }
}

/// The path of the parameter behind a key of PEFT's, in a model of ours.
fn path(key: &str) -> String {
    let key = key.strip_prefix(PREFIX).expect("a key of PEFT's");
    let (module, field) =
        [(".lora_A.weight", "a"), (".lora_B.weight", "b"), (".lora_magnitude_vector", "magnitude")]
            .iter()
            .find_map(|(suffix, field)| Some((key.strip_suffix(suffix)?, field)))
            .expect("a tensor of an adapter");
    format!("{module}.adapter.{field}")
}

#[test]
fn golden_loss_and_gradients_equal_peft_and_f64() {
    let Some(reference) = Reference::open() else { return };
    for run in runs(&reference) {
        let (mut losses, mut gradients) = (Deviation::default(), Deviation::default());
        let golden = &run.trace["grad_batch"];
        let samples = run.samples();
        let rows: Vec<&Sample> =
            indices(&golden["indices"]).into_iter().map(|index| &samples[index]).collect();
        let model = run.model();
        // One sample a row and the graph of all blocks; all in one row, and block by block.
        let single: Vec<Vec<&Sample>> = rows.iter().map(|&row| vec![row]).collect();
        for (rows, checkpointing) in
            [(single, Checkpointing::None), (vec![rows], Checkpointing::Blocks)]
        {
            let batch = Batch::packed(&rows, &run.config, &model.device());
            let trained_tokens = batch.trained_tokens();
            // Fewer rows than there are, so that the loss is in pieces.
            let options = PassOptions { checkpointing, loss_rows: 7, dropout_seed: 0 };
            let found = loss_and_gradients_with(&model, [batch], trained_tokens, options);
            losses.compare_one(&run.name, found.loss(), float(&golden["loss_f64"]), LOSS);
            losses.compare_one(&run.name, found.loss(), float(&golden["loss_f32"]), LOSS);

            for name in run.gradients.names() {
                let (key, _) = name.rsplit_once('|').expect("a key and a float type");
                let expected = run.gradients.values(name);
                let largest = expected.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
                let tolerance = 1e-5 + 1e-4 * largest;
                let what = format!("{}, {name}", run.name);
                match run.gradients.shape(name).len() {
                    1 => {
                        let gradient = found.gradients.get::<1>(&path(key)).expect(&what);
                        gradients.compare(&what, gradient, expected, tolerance);
                    }
                    _ => {
                        let gradient = found.gradients.get::<2>(&path(key)).expect(&what);
                        assert_eq!(gradient.dims().as_slice(), run.gradients.shape(name), "{what}");
                        gradients.compare(&what, gradient, expected, tolerance);
                    }
                }
            }
            // The adapters' tensors have a gradient, all of them, and nothing else has.
            let each = if run.start.config.use_dora { 3 } else { 2 };
            assert_eq!(found.gradients.paths().count(), each * run.start.modules.len());
            assert!(found.gradients.paths().all(|path| path.contains(".adapter.")), "{}", run.name);
        }
        losses.report(&format!("loss of {}", run.name));
        gradients.report(&format!("gradients of {}", run.name));
        if let Some(frozen) = model.projections().iter().find(|(_, p)| p.adapter().is_none()) {
            panic!("{}: `{}` has no adapter", run.name, frozen.0);
        }
    }
}

#[test]
fn golden_accumulated_losses_weigh_every_token_alike() {
    let Some(reference) = Reference::open() else { return };
    let mut deviation = Deviation::default();
    for run in runs(&reference) {
        let golden = &run.trace["grad_accumulation"];
        let samples = run.samples();
        let batches: Vec<Vec<&Sample>> = array(&golden["micro_batches"])
            .iter()
            .map(|batch| indices(batch).into_iter().map(|index| &samples[index]).collect())
            .collect();
        let found = loss_and_gradients(&run.model(), &run.config, &batches, 0);
        let kept = indices(&golden["kept_tokens"]);
        assert_eq!(found.trained_tokens, kept.iter().sum::<usize>(), "{}", run.name);
        let expected = array(&golden["loss_f64"]);
        assert_eq!(found.loss_sums.len(), expected.len(), "{}", run.name);
        for ((sum, kept), expected) in found.loss_sums.iter().zip(kept).zip(expected) {
            deviation.compare_one(&run.name, sum / kept as f64, float(expected), LOSS);
        }
        let expected = float(&golden["token_weighted"]);
        deviation.compare_one(&run.name, found.loss(), expected, LOSS);
    }
    deviation.report("accumulated losses");
}

#[test]
fn golden_training_runs_follow_peft_step_by_step() {
    let Some(reference) = Reference::open() else { return };
    for run in runs(&reference) {
        let samples = run.samples();
        let mut trainer = trainer(&run, run.model(), &samples);
        check_run(&run, &mut trainer, ["loss_f64", "grad_norm_f64"], &run.trace, "");

        let mut deviation = Deviation::default();
        let trained = trainer.into_model();
        let device = trained.device();
        for (path, projection) in trained.projections() {
            let what = format!("{}, {path}", run.name);
            let adapter = projection.adapter().expect("trained");
            let expected = &run.end.modules[&path];
            let values = |tensor: Tensor<2>| tensor.into_data().iter().collect::<Vec<f64>>();
            let (a, b) = (values(expected.a(&device)), values(expected.b(&device)));
            deviation.compare(&format!("{what}, A"), adapter.a(), &a, FINAL);
            deviation.compare(&format!("{what}, B"), adapter.b(), &b, FINAL);
            let magnitudes = (adapter.magnitude(), expected.magnitude(&device));
            if let (Some(found), Some(expected)) = magnitudes {
                let expected: Vec<f64> = expected.into_data().iter().collect();
                deviation.compare(&format!("{what}, m"), found, &expected, FINAL);
            }
        }
        deviation.report(&format!("trained adapter of {}", run.name));
    }
}

#[test]
fn golden_training_runs_from_the_usual_start_follow_peft() {
    let Some(reference) = Reference::open() else { return };
    for run in runs(&reference) {
        let samples = run.samples();
        let config = &run.start.config;
        let model = run.model().map_projections(|_, projection| Ok(fresh(projection, config)));
        let mut trainer = trainer(&run, model.expect("no error in it"), &samples);
        let names = ["loss_f32", "grad_norm_f32"];
        check_run(&run, &mut trainer, names, &run.trace["zero_b"], ", from B = 0");
    }
}

/// The projection with its `A`, but `B` and the magnitude vector as they are at the start.
fn fresh(mut projection: Projection, config: &LoraConfig) -> Projection {
    let adapter = projection.adapter().expect("loaded");
    let (a, b) = (adapter.a(), adapter.b().zeros_like());
    let weight = projection.weight();
    let magnitude = config.use_dora.then(|| weight.square().sum_dim(1).sqrt().squeeze_dim::<1>(1));
    projection.set_adapter(a, b, magnitude, config).expect("of the same shapes");
    projection
}

fn trainer<'a>(run: &Run, model: Llama, samples: &'a [Sample]) -> Trainer<'a> {
    Trainer::new(model, &run.config, run.sft(), samples)
        .unwrap_or_else(|error| panic!("{}: {error}", run.name))
}

/// Takes the run's steps and compares each with the golden one.
fn check_run(run: &Run, trainer: &mut Trainer, [loss, norm]: [&str; 2], golden: &Value, how: &str) {
    let (mut losses, mut norms) = (Deviation::default(), Deviation::default());
    let batches = array(&run.trace["batches"]);
    assert_eq!(trainer.total_steps() as usize, batches.len(), "{}", run.name);
    for (step, batch) in batches.iter().enumerate() {
        let what = format!("{}{how}, step {step}", run.name);
        let report = trainer.step_on(&indices(batch)).expect("a finite step");
        let rate = float(&run.trace["lr"][step]);
        assert!((report.learning_rate - rate).abs() <= 1e-12, "{what}: {report:?}");
        losses.compare_one(&what, report.loss, float(&golden[loss][step]), TRACE);
        let expected = float(&golden[norm][step]);
        norms.compare_one(&what, report.gradient_norm, expected, TRACE * expected.max(1.0));
    }
    losses.report(&format!("losses of {}{how}", run.name));
    norms.report(&format!("gradient norms of {}{how}", run.name));
}
