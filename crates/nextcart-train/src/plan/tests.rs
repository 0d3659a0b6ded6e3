use burn::tensor::Device;
use nextcart_adapters::Bias;
use nextcart_models::Precision;
use nextcart_text::Sample;

use super::*;
use crate::error::Error;
use crate::{Batch, Checkpointing, Optimizer};

const GIB: u64 = 1 << 30;

/// TinyLlama in f32 and passes of 8 rows of 512 tokens, 20 of them trained.
fn planner() -> Planner {
    let mut config = RunConfig::tinyllama_qlora();
    config.model.quantized = false;
    config.model.weights = Precision::F32;
    config.training.optimizer = Optimizer::AdamW;
    config.training.checkpointing = Checkpointing::None;
    let ids: Vec<u32> = (0..513).collect();
    let mask = (0..513).map(|place| place >= 493).collect();
    let samples = vec![Sample::new(ids, mask).unwrap(); 16];
    let workload = Workload::of(&samples, &config.training).unwrap();
    Planner::new(&config, &LlamaConfig::tinyllama_1_1b(), workload)
}

#[test]
fn devices_bring_gradients_of_their_own_and_gpus_their_speed() {
    let one = planner();
    let mut three = planner();
    three.training.devices = 3;
    let host = DeviceFacts::host(GIB, 1e12);
    let gpu = DeviceFacts { is_host: false, ..host };
    let plans = [host, gpu].map(|facts| (one.estimate(&facts), three.estimate(&facts)));
    for ((one, three), gradients) in plans.iter().zip([3, 2]) {
        assert_eq!(three.memory.gradients, gradients * one.memory.gradients);
        assert_eq!(three.memory.weights, one.memory.weights);
    }
    let [(host_one, host_three), (gpu_one, gpu_three)] = plans;
    assert_eq!(host_three.seconds_per_step, host_one.seconds_per_step);
    assert!((3.0 * gpu_three.seconds_per_step / gpu_one.seconds_per_step - 1.0).abs() < 1e-9);
    // What waits in the middle of a pass lets no other device begin.
    three.training.checkpointing = Checkpointing::BlocksOnHost;
    let turns = three.estimate(&gpu);
    assert!(turns.seconds_per_step > gpu_one.seconds_per_step);
}

#[test]
fn contrasts_are_planned_as_they_are_read_and_not_divided() {
    let title = |length: usize| vec![1; length];
    let titles: Vec<Vec<u32>> = (0..40).map(|number| title(2 + number % 12)).collect();
    let titles: Vec<&[u32]> = titles.iter().map(Vec::as_slice).collect();
    let sample = Sample::contrast(&titles, &[&[0, 5, 39]], Default::default()).unwrap();
    let config = SftConfig { batch_size: 1, ..SftConfig::default() };
    let found = Workload::of(std::slice::from_ref(&sample), &config).unwrap();
    let batch = Batch::new(&[&sample], &LlamaConfig::tiny(16), &Device::flex());
    let [rows, seq] = batch.input().dims();
    let most = batch.places.iter().map(Vec::len).max().unwrap();
    assert!(rows > 1);
    assert_eq!(found.passes, [PassShape { rows, seq, most, trained: 0 }]);
    assert_eq!((found.step.tokens, found.step.scored), ((rows * seq) as f64, 0.0));

    let mut planner = planner();
    planner.workload = found;
    let refused = planner.plan(&DeviceFacts::host(1, 1e12)).unwrap_err().to_string();
    assert!(!refused.contains("batch_size"), "{refused}");
}

#[test]
fn the_workload_is_that_of_the_passes() {
    let samples: Vec<Sample> = [3, 9, 5, 6, 4]
        .map(|length| Sample::completion(&vec![1; length - 2], &[2, 2]).unwrap())
        .into();
    let config = SftConfig { batch_size: 2, gradient_accumulation: 3, ..SftConfig::default() };
    let found = Workload::of(&samples, &config).unwrap();
    // The longest share a pass: 9 and 6, then 5 and 4, then 3; the last token of each is not read.
    assert_eq!(found.passes, [PassShape { rows: 2, seq: 8, most: 2, trained: 4 }]);
    assert_eq!(found.step.tokens, f64::from(2 * 8 + 2 * 4 + 2));
    assert_eq!(found.step.pairs, f64::from(2 * 64 + 2 * 16 + 4));
    assert_eq!((found.step.trained, found.steps), (10.0, 3));
    assert_eq!(
        (found.step.places, found.step.place_pairs),
        (10.0, f64::from(4 * 8 + 4 * 4 + 2 * 2))
    );
    assert!(found.evaluation.is_empty());
    // Rows of fewer places are filled up to as many as the others have.
    let uneven = [1, 3].map(|answer| Sample::completion(&[1; 5], &vec![2; answer]).unwrap());
    let two = SftConfig { batch_size: 2, ..SftConfig::default() };
    let step = Workload::of(&uneven, &two).unwrap().step;
    assert_eq!((step.tokens, step.trained), (14.0, 4.0));
    assert_eq!((step.places, step.place_pairs), (6.0, 42.0));
    // 9, 6 and 5 in a pass, then 4 and 3, which needs less in every respect.
    let found = found.with_evaluation(&samples, 3);
    assert_eq!(found.evaluation, [PassShape { rows: 3, seq: 8, most: 2, trained: 6 }]);
    assert!(matches!(Workload::of(&[], &config), Err(Error::NoSamples)));
}

/// The pass with the most padded tokens is not the one that takes the most memory where logits weigh more.
#[test]
fn memory_is_that_of_the_pass_that_takes_the_most() {
    let long = || Sample::completion(&vec![1; 400], &[2, 2]).unwrap();
    let answers = || Sample::completion(&[1, 1], &vec![2; 380]).unwrap();
    let plan = |samples: &[Sample]| {
        let mut planner = planner();
        planner.training.batch_size = 1;
        planner.training.loss_rows = usize::MAX;
        planner.model.layers = 1;
        planner.workload = Workload::of(samples, &planner.training).unwrap();
        (planner.workload.passes.len(), planner.estimate(&DeviceFacts::host(GIB, 1e12)).bytes())
    };
    let (long, answers, both) = (plan(&[long()]), plan(&[answers()]), plan(&[long(), answers()]));
    assert_eq!((long.0, answers.0, both.0), (1, 1, 2));
    assert!(answers.1 > long.1);
    assert_eq!(both.1, answers.1);
}

/// Later epochs put other samples together, and so may their passes be larger.
#[test]
fn the_largest_pass_may_be_in_a_later_epoch() {
    let sample =
        |trained: usize| Sample::completion(&vec![1; 50 - trained], &vec![2; trained]).unwrap();
    let samples: Vec<Sample> = [40, 2, 2, 40, 2, 2].map(sample).into();
    let trained = |epochs, seed| {
        let config = SftConfig { epochs, seed, batch_size: 2, ..SftConfig::default() };
        let passes = Workload::of(&samples, &config).unwrap().passes;
        passes.iter().map(|shape| shape.trained).max().unwrap()
    };
    assert!((0..20).all(|seed| trained(60, seed) == 80));
    assert!((0..20).any(|seed| trained(1, seed) == 42));
}

#[test]
fn an_evaluation_and_a_checkpoint_may_take_more_than_a_step() {
    let mut planner = planner();
    let device = DeviceFacts::host(64 * GIB, 1e12);
    let step = planner.estimate(&device).bytes();
    let ids: Vec<u32> = (0..2048).collect();
    let held_out = vec![Sample::text(&ids).unwrap(); 64];
    planner.workload = planner.workload.clone().with_evaluation(&held_out, 64);
    let found = planner.estimate(&device);
    assert!(found.bytes() > step);
    assert_eq!(
        found.bytes() - step,
        found.memory.evaluation - {
            let memory = found.memory;
            memory.gradients + memory.activations + memory.backward.max(memory.logits)
        }
    );
    check(&planner, found.bytes() - 1, &["watch.evaluation_batch = 32"]);

    // All weights, their gradients and moments; a checkpoint takes a copy of weights and moments.
    let whole = Planner { lora: None, ..planner };
    let memory = whole.estimate(&device).memory;
    assert_eq!(memory.weights, 4 * 1_100_048_384);
    assert_eq!((memory.adapters, memory.gradients), (0, memory.weights));
    assert_eq!((memory.optimizer, memory.saving), (2 * memory.weights, 3 * memory.weights));
}

#[test]
fn parameters_and_weights_are_those_of_the_model() {
    let planner = planner();
    let memory = planner.estimate(&DeviceFacts::host(GIB, 1e12)).memory;
    // What PEFT reports for TinyLlama at rank 16, and the size of its checkpoint in f32.
    assert_eq!(memory.adapters, 4 * 12_615_680);
    assert_eq!(memory.weights, 4 * 1_100_048_384);
    assert_eq!((memory.gradients, memory.optimizer), (4 * 12_615_680, 8 * 12_615_680));
    let mut packed = planner.clone();
    packed.load = LoadOptions { quantized: true, weights: Precision::Bf16, ..planner.load };
    let weights = packed.estimate(&DeviceFacts::host(GIB, 1e12)).memory.weights;
    assert!((755_000_000..770_000_000).contains(&weights), "{weights}");
}

#[test]
fn operations_are_four_times_the_weights_a_token_and_six_with_blocks_again() {
    let mut planner = planner();
    let device = DeviceFacts::host(GIB, 1e12);
    let plan = planner.estimate(&device);
    let weights = 22.0 * (2.0 * 2048.0 * 2048.0 + 2.0 * 256.0 * 2048.0 + 3.0 * 2048.0 * 5632.0);
    let a_token = |plan: &Plan| plan.flops_per_step / plan.work.tokens / weights;
    assert!((4.0..4.6).contains(&a_token(&plan)), "{}", a_token(&plan));
    assert_eq!(plan.seconds_per_step, plan.flops_per_step / 1e12);
    let whole = Planner { lora: None, ..planner.clone() }.estimate(&device);
    assert!((6.0..6.6).contains(&a_token(&whole)), "{}", a_token(&whole));
    planner.training.checkpointing = Checkpointing::Blocks;
    let again = planner.estimate(&device);
    assert!((6.0..6.9).contains(&a_token(&again)), "{}", a_token(&again));
    // What is computed again is no use that the model makes of the device.
    assert_eq!(again.mfu(&again.work, 2.0), plan.mfu(&plan.work, 2.0));
    assert!((plan.mfu(&plan.work, 2.0 * plan.seconds_per_step) - 0.5).abs() < 1e-12);
    assert!(again.memory.activations * 5 < plan.memory.activations);
}

#[test]
fn only_what_is_computed_is_counted() {
    let llama = planner().model;
    let (d, kv, hidden) = (2048.0, 256.0, 5632.0);
    let (keys, queries) = (2.0 * d * kv, 2.0 * d * d + 3.0 * d * hidden);
    let attention = 4.0 * d;
    let head = 32_000.0 * d;

    let whole = Planner { lora: None, ..planner() }.operations().0;
    let expected = Operations {
        per_token: 6.0 * (21.0 * (keys + queries) + keys),
        per_pair: 3.0 * 21.0 * attention,
        per_place: 6.0 * queries,
        per_place_pair: 3.0 * attention,
        per_trained: 6.0 * head,
        per_scored: 0.0,
    };
    assert_eq!(whole, expected);

    // Adapters of the last block alone: nothing goes back through those below, nor to what this one reads.
    let lora = LoraConfig::new().with_rank(16).with_target_modules(llama.last_blocks(1));
    let mut last = Planner { lora: Some(lora), ..planner() };
    last.training.checkpointing = Checkpointing::Blocks;
    let (own, all) = last.operations();
    // Forward; the factors' gradients and what lies between; the input's.
    let first = |input: f64, output: f64| 2.0 * 16.0 * ((input + output) + (input + 2.0 * output));
    let later =
        |input: f64, output: f64| first(input, output) + 2.0 * (input * output + 16.0 * input);
    let expected = Operations {
        per_token: 2.0 * (21.0 * (keys + queries) + keys) + 2.0 * first(d, kv),
        per_pair: 21.0 * attention,
        per_place: 2.0 * queries
            + first(d, d)
            + later(d, d)
            + 2.0 * later(d, hidden)
            + later(hidden, d),
        per_place_pair: 3.0 * attention,
        per_trained: 4.0 * head,
        per_scored: 0.0,
    };
    assert_eq!(own, expected);
    // The last block is not computed again.
    assert_eq!(Operations { per_scored: 0.0, ..all }, own);
}

#[test]
fn a_bias_that_trains_below_the_adapters_is_reached() {
    let lora = LoraConfig::new().with_target_modules(planner().model.last_blocks(1));
    let mut last = Planner { lora: Some(lora.clone()), ..planner() };
    assert_eq!(last.lowest_trained(), 21);
    last.lora = Some(lora.with_bias(Bias::All));
    assert_eq!(last.lowest_trained(), 21, "this model has none");
    let without = last.estimate(&DeviceFacts::host(GIB, 1e12));
    last.model.attention_bias = true;
    assert_eq!(last.lowest_trained(), 0);
    let with = last.estimate(&DeviceFacts::host(GIB, 1e12));
    assert!(with.flops_per_step > 1.7 * without.flops_per_step);
    assert!(with.memory.activations > 10 * without.memory.activations);
    assert!(without.memory.below > 0 && with.memory.below == 0);
}

#[test]
fn a_plan_from_before_places_were_counted_is_read() {
    let mut plan = serde_json::to_value(planner().estimate(&DeviceFacts::host(GIB, 1e12))).unwrap();
    for (part, names) in [
        ("work", &["places", "place_pairs"][..]),
        ("own", &["per_place", "per_place_pair"]),
        ("memory", &["below"]),
    ] {
        for name in names {
            plan[part].as_object_mut().unwrap().remove(*name).unwrap();
        }
    }
    plan.as_object_mut().unwrap().remove("disk").unwrap();
    let plan: Plan = serde_json::from_value(plan).unwrap();
    assert_eq!((plan.work.places, plan.own.per_place, plan.memory.below), (0.0, 0.0, 0));
    assert_eq!(plan.disk, DiskNeeds::default());
    assert!(!plan.to_string().contains("on disk"), "{plan}");
}

#[test]
fn the_table_tells_what_lies_on_the_disk() {
    let text = |planner: &Planner| planner.estimate(&DeviceFacts::host(GIB, 1e12)).to_string();
    let mut planner = planner();
    planner.workload.steps = 1000;
    let table = text(&planner);
    // 12,615,680 values of adapters with both moments in f32, and all weights in f32.
    for line in
        ["checkpoints          455 MB on disk at most, 3 of 152 MB", "a merged model      4400 MB"]
    {
        assert!(table.contains(line), "{line} in {table}");
    }
    planner.lora =
        planner.lora.map(|lora| lora.with_rank(1).with_target_modules(["q_proj"].into()));
    assert!(text(&planner).contains(" KB on disk at most, 3 of "), "{}", text(&planner));
}

#[test]
fn what_is_out_of_all_proportion_does_not_fit() {
    let mut planner = planner();
    planner.training.devices = usize::MAX;
    let device = DeviceFacts { taken: GIB, ..DeviceFacts::host(64 * GIB, 1e12) };
    assert_eq!(planner.estimate(&device).bytes(), u64::MAX);
    assert!(matches!(planner.plan(&device), Err(Error::DoesNotFit { needed: u64::MAX, .. })));
}

#[test]
fn weights_that_train_beside_adapters_are_planned_with_them() {
    let device = DeviceFacts::host(GIB, 1e12);
    let of = |planner: Planner| planner.estimate(&device);
    let (adapters, weights) = (of(planner()), of(Planner { lora: None, ..planner() }));
    let parameters =
        [planner().trained_sizes(), Planner { lora: None, ..planner() }.trained_sizes()];
    let trained = TrainedSizes { parameters: parameters.concat(), of_base: true };
    let both = Planner { trained: Some(trained), ..planner() };
    let found = of(both.clone());
    assert_eq!(found.memory.adapters, adapters.memory.adapters);
    assert_eq!(found.memory.gradients, adapters.memory.gradients + weights.memory.gradients);
    assert_eq!(found.memory.optimizer, adapters.memory.optimizer + weights.memory.optimizer);
    assert_eq!(found.memory.updating, weights.memory.updating);
    assert!(found.flops_per_step > weights.flops_per_step);
    // Packing them would leave nothing of the kind to train.
    let refused = both.plan(&DeviceFacts::host(1, 1e12)).unwrap_err().to_string();
    assert!(!refused.contains("quantized"), "{refused}");
}

/// What a checkpoint goes on with may not change but for the passes of an evaluation.
#[test]
fn a_run_that_has_begun_is_offered_no_settings_of_another_run() {
    let mut planner = planner();
    let ids: Vec<u32> = (0..2048).collect();
    let held_out = vec![Sample::text(&ids).unwrap(); 64];
    planner.workload = planner.workload.clone().with_evaluation(&held_out, 64);
    let refused = |memory: u64| match planner.fit(&DeviceFacts::host(memory, 1e12), true) {
        Err(error) => error,
        Ok(plan) => panic!("{} bytes fit", plan.bytes()),
    };
    let needed = planner.estimate(&DeviceFacts::host(GIB, 1e12)).bytes();
    match refused(needed - 1) {
        Error::DoesNotFit { settings, has_begun: true, .. } => {
            assert_eq!(settings, ["watch.evaluation_batch = 32"]);
        }
        other => panic!("{other}"),
    }
    let text = refused(GIB / 4).to_string();
    assert!(text.contains("no setting that may change in a run that has begun"), "{text}");
    assert!(text.contains("with watch.evaluation_batch = "), "{text}");
    assert!(text.ends_with("another run, which takes a folder of its own"), "{text}");
    assert!(!text.contains("training.") && !text.contains("model."), "{text}");
}

/// The settings that a run is refused with on a device of so many bytes must be these, and make it fit.
#[track_caller]
fn check(planner: &Planner, memory: u64, expected: &[&str]) {
    let device = DeviceFacts::host(memory, 1e12);
    match planner.plan(&device) {
        Err(Error::DoesNotFit { needed, available, settings, least, .. }) => {
            assert!(needed > available && available == memory);
            assert_eq!(settings, expected);
            assert_eq!(least <= memory, !settings.is_empty(), "{least}");
        }
        Ok(plan) => panic!("{} bytes fit", plan.bytes()),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let mut planner = planner();
    assert!(planner.plan(&DeviceFacts::host(64 * GIB, 1e12)).is_ok());
    let whole = planner.estimate(&DeviceFacts::host(GIB, 1e12)).bytes();
    check(&planner, whole - 1, &["training.optimizer = \"adamw8bit\""]);
    check(&planner, 8 * GIB, &["training.checkpointing = \"blocks\""]);
    check(&planner, GIB / 4, &[]);
    let taken = DeviceFacts { taken: 60 * GIB, ..DeviceFacts::host(64 * GIB, 1e12) };
    assert!(matches!(planner.plan(&taken), Err(Error::DoesNotFit { .. })));

    planner.training.checkpointing = Checkpointing::Blocks;
    let found = planner.estimate(&DeviceFacts::host(GIB, 1e12));
    let without = found.bytes() - found.memory.activations / 2;
    check(&planner, without, &["training.batch_size = 4 with gradient_accumulation = 2"]);
    let bytes = |planner: &Planner| planner.estimate(&DeviceFacts::host(GIB, 1e12)).bytes();
    let mut packed = planner.clone();
    packed.load.quantized = true;
    check(&planner, bytes(&packed), &["model.quantized = true"]);

    // Where none of them is enough, as many as it takes.
    let mut least = packed.clone();
    least.training.optimizer = Optimizer::AdamW8bit;
    least.training.loss_rows = 32;
    least.workload.passes = vec![PassShape { rows: 1, seq: 512, most: 20, trained: 20 }];
    // The logits of so few trained tokens are not at the peak: fewer of them at a time would not help.
    let expected = [
        "training.optimizer = \"adamw8bit\"",
        "training.batch_size = 1 with gradient_accumulation = 8",
    ];
    check(&packed, bytes(&least), &expected);
    // A step stays as large as it was.
    let mut six = planner.clone();
    (six.training.batch_size, six.training.gradient_accumulation) = (6, 3);
    six.workload.passes = vec![PassShape { rows: 6, seq: 512, most: 20, trained: 120 }];
    let found = six.estimate(&DeviceFacts::host(GIB, 1e12));
    let third = found.bytes() - found.memory.activations / 3;
    check(&six, third, &["training.batch_size = 3 with gradient_accumulation = 6"]);
    (six.training.batch_size, six.training.gradient_accumulation) = (5, 3);
    six.workload.passes = vec![PassShape { rows: 5, seq: 512, most: 20, trained: 100 }];
    let found = six.estimate(&DeviceFacts::host(GIB, 1e12));
    let half = found.bytes() - found.memory.activations / 2;
    check(&six, half, &["training.batch_size = 1 with gradient_accumulation = 15"]);

    planner.training.loss_rows = usize::MAX;
    planner.model.vocab = 1_000_000;
    let found = planner.estimate(&DeviceFacts::host(GIB, 1e12));
    check(&planner, found.bytes() - found.memory.logits / 4, &["training.loss_rows = 32"]);
}

#[test]
fn where_nothing_helps_the_least_is_told() {
    let planner = planner();
    let text = |planner: &Planner| {
        planner.plan(&DeviceFacts::host(GIB / 4, 1e12)).unwrap_err().to_string()
    };
    let smallest = |planner: &Planner| {
        let mut least = planner.clone();
        least.training.optimizer = Optimizer::AdamW8bit;
        least.training.checkpointing = Checkpointing::Blocks;
        least.load.quantized = true;
        least.workload.passes = vec![PassShape { rows: 1, seq: 512, most: 20, trained: 20 }];
        least.estimate(&DeviceFacts::host(GIB, 1e12)).bytes()
    };
    let expected = format!(
        "; no setting that was tried makes it fit: it needs {} MB with training.optimizer = \"adamw8bit\", \
         training.checkpointing = \"blocks\", training.batch_size = 1 with gradient_accumulation = 8, \
         model.quantized = true",
        smallest(&planner).div_ceil(1_000_000)
    );
    assert!(text(&planner).ends_with(&expected), "{}", text(&planner));
    assert!(!text(&planner).contains("[]"));

    let mut small = planner.clone();
    small.training.optimizer = Optimizer::AdamW8bit;
    small.training.checkpointing = Checkpointing::Blocks;
    small.training.loss_rows = 32;
    small.load.quantized = true;
    small.workload.passes = vec![PassShape { rows: 1, seq: 512, most: 20, trained: 20 }];
    assert!(text(&small).ends_with("; no setting that was tried makes it fit, or smaller"));
}

#[test]
fn a_limit_stands_in_where_the_device_does_not_tell() {
    let gpu = DeviceFacts { is_host: false, ..DeviceFacts::host(u64::MAX, 1e12) };
    let mut config = RunConfig::tinyllama_qlora();
    let plan = |config: &RunConfig, device: &DeviceFacts| {
        let workload = planner().workload;
        Planner::new(config, &LlamaConfig::tinyllama_1_1b(), workload).plan(device)
    };
    assert_eq!(plan(&config, &gpu).unwrap().available, u64::MAX);
    config.memory_limit = Some(0.5);
    match plan(&config, &gpu) {
        Err(Error::DoesNotFit { available, .. }) => assert_eq!(available, 500_000_000),
        other => panic!("expected a refusal, got {other:?}"),
    }
    config.memory_limit = Some(40.0);
    assert_eq!(plan(&config, &gpu).unwrap().available, 40_000_000_000);
    // It is no more than there is.
    let host = DeviceFacts::host(32 * GIB, 1e12);
    assert_eq!(plan(&config, &host).unwrap().available, 32 * GIB);
}

#[test]
fn a_choice_is_planned_as_its_options_are_read() {
    let option: Vec<u32> = vec![2; 10];
    let options: Vec<&[u32]> = vec![&option; 4];
    let choice = Sample::choice(&[1; 100], &options, 0).unwrap();
    let config = SftConfig { batch_size: 1, ..SftConfig::default() };
    let work = |sample: &Sample| {
        let workload = Workload::of(std::slice::from_ref(sample), &config).unwrap();
        (workload.passes[0], workload.step)
    };
    let llama = LlamaConfig { layers: 1, ..LlamaConfig::tiny(16) };
    let device = burn::tensor::Device::flex();
    let [rows, seq] = crate::Batch::new(&[&choice], &llama, &device).input().dims();
    let (shape, step) = work(&choice);
    assert_eq!((shape.rows, shape.seq, shape.most, shape.trained), (rows, seq, 40, 40));
    assert_eq!((step.tokens, step.trained, step.scored), (136.0, 40.0, 40.0));
    assert_eq!((step.places, step.place_pairs), (40.0, 40.0 * 136.0));
    // The head goes forward once more than for a text of as many tokens.
    let text = Sample::completion(&[1; 97], &[2; 40]).unwrap();
    let (of_text, text) = work(&text);
    assert_eq!((of_text, text.scored), (shape, 0.0));
    let plan = planner().estimate(&DeviceFacts::host(GIB, 1e12));
    let head = 2.0 * 32_000.0 * 2048.0;
    assert_eq!(plan.operations.of(&step) - plan.operations.of(&text), 40.0 * head);
    assert_eq!(plan.own.of(&step), plan.own.of(&text));
}

#[test]
fn an_evaluation_has_as_many_logits_at_one_time_as_training() {
    let mut planner = planner();
    planner.model.vocab = 1_000_000;
    let held_out = vec![Sample::text(&[1; 200]).unwrap(); 4];
    planner.workload = planner.workload.clone().with_evaluation(&held_out, 4);
    let evaluation = |planner: &Planner, rows| {
        let mut planner = planner.clone();
        planner.training.loss_rows = rows;
        planner.estimate(&DeviceFacts::host(GIB, 1e12)).memory.evaluation
    };
    let (few, many) = (evaluation(&planner, 100), evaluation(&planner, 500));
    assert_eq!(many - few, 2 * 4 * 400 * 1_000_000);
}

#[test]
fn a_run_that_ends_within_its_warm_up_is_not_planned() {
    let samples = vec![Sample::text(&[1; 9]).unwrap(); 8];
    let config = SftConfig { epochs: 2, warmup_steps: 2, ..SftConfig::default() };
    let found = Workload::of(&samples, &config);
    assert!(matches!(found, Err(Error::Config { field: "warmup_steps", .. })), "{found:?}");
}

#[test]
fn dropout_keeps_a_mask_and_what_it_leaves_but_not_what_it_was_left_of() {
    let mut planner = planner();
    let activations =
        |planner: &Planner| planner.estimate(&DeviceFacts::host(GIB, 1e12)).memory.activations;
    let without = activations(&planner);
    planner.lora = planner.lora.map(|lora| lora.with_dropout(0.1));
    let (all, trained) = (8 * 512, 8 * 20);
    let (to_all, to_some) = (2 * 2048, 4 * 2048 + 5632); // inputs of k and v, and of the others
    let inputs = 22 * all * to_all + (21 * all + trained) * to_some;
    // The first norm, also of the last block's trained places; then what o, gate and up, and down read.
    let freed = (22 * all + trained) * 2048 + (21 * all + trained) * (2 * 2048 + 5632);
    assert_eq!(activations(&planner) - without, 4 * (2 * inputs - freed));
}
