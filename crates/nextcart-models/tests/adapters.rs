//! Adapters of a whole model: which modules get one, several side by side, merging.
#![expect(clippy::unwrap_used, reason = "a test may fail and say why")]

use std::fs;
use std::path::Path;

use burn::module::Module as _;
use burn::tensor::{Device, Tensor, TensorData};
use nextcart_adapters::{Bias, Init, LoraConfig, Projection, TargetModules, load_peft, nf4};
use nextcart_models::{
    Checkpoint, Error, GenerateOptions, Llama, LlamaConfig, MERGE_RECORD, MergeRecord, MergeTarget,
    MergedWeights, ModelInput, Precision, SaveOptions, TokenTrie, embed_texts, generate,
    save_adapter, save_checkpoint, save_checkpoint_with, save_merged_checkpoint,
    score_continuations, score_trie,
};
use tempfile::TempDir;

fn config() -> LlamaConfig {
    LlamaConfig { layers: 2, attention_bias: true, ..LlamaConfig::tiny(300) }
}

fn logits(model: &Llama) -> Vec<f32> {
    let input = ModelInput::new(&[&[1, 8, 40, 2], &[1, 5]], &config(), &Device::flex());
    model.forward(&input).into_data().iter::<f32>().collect()
}

fn off(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The model with adapters that change what it says, by a number.
fn adapted(model: Llama, lora: &LoraConfig, number: f32) -> Llama {
    let (device, model) = (model.device(), model.with_adapters(lora, 5).unwrap());
    let changed = model.map_projections(|path, mut projection| {
        let Some(adapter) = projection.adapter() else { return Ok(projection) };
        let shape = adapter.b().dims();
        let values = (0..shape[0] * shape[1]).map(|i| (i as f32 * number).sin() * 0.3);
        let b = Tensor::from_data(TensorData::new(values.collect(), shape), &device);
        let (a, magnitude) = (adapter.a(), adapter.magnitude());
        projection.set_adapter(a, b, magnitude, &lora.at(path))?;
        Ok(projection)
    });
    changed.unwrap()
}

fn paths(model: &Llama) -> Vec<String> {
    let projections = model.projections();
    let adapted = projections.iter().filter(|(_, projection)| projection.adapter().is_some());
    adapted.map(|(path, _)| path.clone()).collect()
}

#[test]
fn answers_hang_neither_on_dropout_nor_on_a_graph() {
    let lora = LoraConfig::new().with_dropout(0.5);
    let model = adapted(config().init(3, &Device::flex().autodiff()), &lora, 1.7);
    let answers = |model: &Llama| {
        let scores = score_continuations(model, &config(), &[1, 8, 40], &[&[5, 7], &[9]]);
        let scores: Vec<f64> = scores.iter().map(|score| score.log_likelihood).collect();
        let trie = TokenTrie::new([[5, 7].as_slice(), &[9]]);
        let ranked = score_trie(model, &config(), &[1, 8, 40], &trie, 2);
        let ranked: Vec<f64> = ranked.iter().map(|score| score.log_likelihood).collect();
        let options = GenerateOptions::new(6, &config());
        let texts: [&[u32]; 2] = [&[1, 8, 40, 2], &[1, 5]];
        (
            [scores, ranked],
            generate(model, &config(), &[&[1, 8]], &options),
            embed_texts(model, &config(), &texts),
        )
    };
    assert_eq!(answers(&model), answers(&model.valid()));
}

#[test]
fn targets_are_named_matched_or_all() {
    let model = config().init(3, &Device::flex());
    let with = |targets: TargetModules| {
        model.clone().with_adapters(&LoraConfig::new().with_target_modules(targets), 1)
    };
    let query = "model.layers.1.self_attn.q_proj";
    assert_eq!(paths(&with(["layers.1.self_attn.q_proj"].into()).unwrap()), [query]);
    let pattern = TargetModules::Pattern(r".*1\.self_attn\.q.*".into());
    assert_eq!(paths(&with(pattern).unwrap()), [query]);
    assert_eq!(paths(&with(TargetModules::AllLinear).unwrap()).len(), 14);
    let error = with(TargetModules::Pattern("q_proj".into())).unwrap_err();
    assert!(error.to_string().starts_with("adapter targets `q_proj`"), "{error}");
    let error = with(TargetModules::Pattern("(".into())).unwrap_err();
    assert!(error.to_string().contains("regular expression"), "{error}");
}

#[test]
fn every_entry_that_matches_nothing_is_named() {
    let model = config().init(3, &Device::flex());
    let lora = LoraConfig::new()
        .with_target_modules(["q_proj", "query", "lm_head"].into())
        .with_rank_pattern([("q_proj", 4), ("layers.7.*", 2)].into())
        .with_alpha_pattern([("output", 3.0)].into());
    let expected = "adapter configuration: expected entries that match projections inside the model's blocks, which \
                    alone take adapters, found none for `query` in `target_modules`, `lm_head` in `target_modules`, \
                    `layers.7.*` in `rank_pattern`, `output` in `alpha_pattern`";
    let before = config().check_entries(&lora);
    for result in [model.with_adapters(&lora, 1).map(|_| ()), before] {
        assert_eq!(result.unwrap_err().to_string(), expected);
    }
    for lora in [LoraConfig::new(), LoraConfig::new().with_target_modules(TargetModules::AllLinear)]
    {
        assert!(config().check_entries(&lora).is_ok(), "{lora:?}");
    }
    let head = LoraConfig::new().with_target_modules(["lm_head"].into());
    let error = config().check_entries(&head).unwrap_err();
    assert!(matches!(error, Error::NoTarget { .. }), "{error}");
}

#[test]
fn adapters_from_files_are_read_as_peft_reads_them_and_sit_in_blocks_alone() {
    let folder = tempfile::tempdir().unwrap();
    let base = config().init(3, &Device::flex());
    let lora = LoraConfig::new().with_rank(3).with_target_modules(["q_proj"].into());
    save_adapter(folder.path(), &adapted(base.clone(), &lora, 1.0), &lora, "base").unwrap();
    let mut peft = load_peft(folder.path()).unwrap();
    // PEFT passes over entries that match nothing.
    peft.config.target_modules = ["q_proj", "query"].into();
    peft.config.rank_pattern = [("query", 2)].into();
    assert_eq!(paths(&base.clone().with_peft(&peft).unwrap()).len(), 2);

    let query = peft.modules["model.layers.0.self_attn.q_proj"].clone();
    peft.modules.insert("lm_head".to_owned(), query);
    let error = base.with_peft(&peft).map(|_| ()).unwrap_err();
    let expected = "adapter: expected projections inside the model's blocks, which alone take adapters, \
                    found `lm_head`";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn biases_are_trained_where_the_configuration_says() {
    let model = config().init(3, &Device::flex().autodiff());
    for (bias, expected) in [(Bias::None, 0), (Bias::LoraOnly, 2), (Bias::All, 8)] {
        let lora = LoraConfig::new().with_target_modules(["q_proj"].into()).with_bias(bias);
        let model = model.clone().with_adapters(&lora, 1).unwrap();
        let projections = model.projections();
        let biases = projections.iter().filter_map(|(_, projection)| projection.bias());
        assert_eq!(biases.filter(Tensor::is_require_grad).count(), expected, "{bias:?}");
    }
}

#[test]
fn what_was_trained_before_is_not_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let base = config().init(3, &Device::flex());
    let [wide, narrow] = [["q_proj", "up_proj"], ["q_proj", "q_proj"]].map(|targets| {
        LoraConfig::new().with_rank(3).with_target_modules(targets.into()).with_bias(Bias::All)
    });
    save_adapter(folder.path(), &adapted(base.clone(), &narrow, 1.0), &narrow, "base").unwrap();
    let peft = load_peft(folder.path()).unwrap();
    let expected = logits(&base.clone().with_peft(&peft).unwrap());
    let over = adapted(base.clone(), &wide, 2.0).with_peft(&peft).unwrap();
    assert_eq!(logits(&over), expected);
    let over = adapted(base.clone(), &wide, 2.0).with_adapters(&narrow, 1).unwrap();
    assert_eq!(paths(&over).len(), 2);
}

/// The model with every bias trained to this value.
fn biased(model: Llama, value: f32) -> Llama {
    let changed = model.map_projections(|_, mut projection| {
        if projection.bias().is_some() {
            let bias = Tensor::ones([projection.d_output()], &Device::flex()) * value;
            projection.set_trained_bias(bias)?;
        }
        Ok(projection)
    });
    changed.unwrap()
}

#[test]
fn trained_biases_come_and_go_with_their_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let base = config().init(3, &Device::flex());
    let lora = LoraConfig::new().with_rank(3).with_target_modules(["q_proj"].into());
    let mut loaded = base.clone();
    let mut expected = Vec::new();
    // All biases, those of adapters, and none: of what the one before trained nothing is left.
    let kinds = [("one", Bias::All), ("two", Bias::LoraOnly), ("three", Bias::None)];
    for (number, (name, bias)) in (1..).zip(kinds) {
        let lora = lora.clone().with_bias(bias);
        let model = adapted(base.clone(), &lora, number as f32);
        let model = if bias == Bias::None { model } else { biased(model, number as f32) };
        let at = folder.path().join(name);
        save_adapter(&at, &model, &lora, "base").unwrap();
        let peft = load_peft(&at).unwrap();
        expected.push((name, logits(&base.clone().with_peft(&peft).unwrap())));
        loaded = loaded.with_named_peft(name, &peft).unwrap();
    }
    for (name, expected) in [0, 2, 1, 0].map(|place: usize| &expected[place]) {
        loaded = loaded.with_adapter_in_use(name).unwrap();
        assert_eq!(&logits(&loaded), expected, "{name}");
    }
}

#[test]
fn a_model_whose_adapters_are_off_takes_others_with_their_biases() {
    let folder = tempfile::tempdir().unwrap();
    let base = config().init(3, &Device::flex());
    let lora = LoraConfig::new().with_target_modules(["q_proj"].into()).with_bias(Bias::All);
    let model = biased(adapted(base.clone(), &lora, 1.0), 2.0);
    let switched = |model: Llama, on: bool| {
        let changed = model.map_projections(|_, mut projection| {
            projection.set_adapter_enabled(on);
            Ok(projection)
        });
        changed.unwrap()
    };
    // Off, they are saved as they are when they are on.
    save_adapter(folder.path(), &switched(model.clone(), false), &lora, "base").unwrap();
    let peft = load_peft(folder.path()).unwrap();
    let loaded = switched(switched(base, false).with_peft(&peft).unwrap(), true);
    assert_eq!(logits(&loaded), logits(&model));
}

#[test]
fn a_checkpoint_has_trained_biases_where_it_has_the_adapters() {
    let folder = tempfile::tempdir().unwrap();
    let base = config().init(3, &Device::flex());
    let lora = LoraConfig::new().with_target_modules(["q_proj"].into()).with_bias(Bias::All);
    let model = biased(adapted(base.clone(), &lora, 1.0), 2.0);
    let found = |model: &Llama| {
        save_checkpoint(folder.path(), model, &config(), None).unwrap();
        logits(&Checkpoint::open(folder.path()).unwrap().load(&Device::flex()).unwrap())
    };
    assert!(off(&found(&model), &logits(&base)) < 1e-6);
    let merged = model.clone().with_merged_adapters();
    assert!(off(&found(&merged), &logits(&model)) < 1e-4);
    assert!(off(&logits(&model), &logits(&base)) > 1e-2);
    save_merged_checkpoint(folder.path(), &model, &config(), None, &SaveOptions::default())
        .unwrap();
    let saved = Checkpoint::open(folder.path()).unwrap().load(&Device::flex()).unwrap();
    assert!(off(&logits(&saved), &logits(&model)) < 1e-4);
}

#[test]
fn an_adapter_that_was_cut_short_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let base = config().init(3, &Device::flex());
    let lora = LoraConfig::new().with_target_modules(["q_proj"].into());
    save_adapter(folder.path(), &adapted(base.clone(), &lora, 1.0), &lora, "base").unwrap();
    let mut peft = load_peft(folder.path()).unwrap();
    peft.modules.remove("model.layers.1.self_attn.q_proj").unwrap();
    let error = base.with_peft(&peft).map(|_| ()).unwrap_err();
    assert!(error.to_string().starts_with("`model.layers.1.self_attn.q_proj`"), "{error}");
}

#[test]
fn weights_that_are_not_finite_are_not_packed() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let model = config().init(3, &device).map_projections(|path, projection| {
        let weight = match path.ends_with("1.mlp.up_proj") {
            true => projection.weight() / 0.0,
            false => projection.weight(),
        };
        Ok(Projection::dense(weight, projection.bias()))
    });
    let model = model.unwrap();
    save_checkpoint(folder.path(), &model, &config(), None).unwrap();
    let loaded = Checkpoint::open(folder.path()).unwrap().load_quantized(&device);
    let file = folder.path().join("model.safetensors").display().to_string();
    let told = loaded.as_ref().map(|_| ()).unwrap_err().to_string();
    assert!(told.starts_with(&format!("`{file}`, tensor `model.layers.1.mlp.up_proj")), "{told}");
    for error in [loaded.map(|_| ()).unwrap_err(), model.quantized().map(|_| ()).unwrap_err()] {
        let text = error.to_string();
        assert!(text.contains("model.layers.1.mlp.up_proj") && text.contains("finite"), "{text}");
    }
}

#[test]
fn several_adapters_share_a_base() {
    let folder = tempfile::tempdir().unwrap();
    let base = config().init(3, &Device::flex());
    let mut loaded = base.clone();
    let mut expected = Vec::new();
    for (name, targets) in [("one", ["q_proj", "up_proj"]), ("two", ["q_proj", "down_proj"])] {
        let lora = LoraConfig::new().with_rank(3).with_target_modules(targets.into());
        let model = adapted(base.clone(), &lora, name.len() as f32 + expected.len() as f32);
        let at = folder.path().join(name);
        save_adapter(&at, &model, &lora, "base").unwrap();
        expected.push(logits(&model));
        loaded = loaded.with_named_peft(name, &load_peft(&at).unwrap()).unwrap();
    }
    assert!(off(&expected[0], &expected[1]) > 1e-2);
    assert_eq!(loaded.adapter_names().into_iter().collect::<Vec<_>>(), ["one", "two"]);
    for (name, expected) in [("two", 1), ("one", 0), ("two", 1)].map(|(n, i)| (n, &expected[i])) {
        loaded = loaded.with_adapter_in_use(name).unwrap();
        assert_eq!(&logits(&loaded), expected, "{name}");
    }
    match loaded.with_adapter_in_use("three") {
        Err(Error::AdapterName { found, .. }) => assert_eq!(found, ["one", "two"]),
        other => panic!("{:?}", other.map(|_| ())),
    }
}

/// The lines that docs/adapters.md shows, in a folder with a base and two adapters: merged onto both.
fn as_in_the_book(folder: &Path) -> Result<[Llama; 2], Error> {
    let device = Device::flex();
    let [base, shop, reviews, merged] =
        ["base", "shop", "reviews", "merged"].map(|name| folder.join(name));

    let checkpoint = Checkpoint::open(&base)?;
    let model = checkpoint.load_quantized(&device)?;

    // Two adapters on one base; the last one is in use until another is asked for.
    let model = model.with_named_peft("shop", &load_peft(&shop)?)?;
    let model = model.with_named_peft("reviews", &load_peft(&reviews)?)?;
    let model = model.with_adapter_in_use("shop")?;

    // For a while, and undone.
    let model = model.with_merged_adapters();
    let model = model.with_unmerged_adapters();

    // For good, onto either weights.
    let own = model.clone().merge_and_unload(MergeTarget::Own)?;
    let original = model.merge_and_unload(MergeTarget::Original(&checkpoint))?;
    save_checkpoint(&merged, &own, checkpoint.config(), None)?;
    Ok([own, original])
}

#[test]
fn what_the_book_shows_works() {
    let folder = tempfile::tempdir().unwrap();
    let dense = config().init(3, &Device::flex());
    save_checkpoint(folder.path().join("base"), &dense, &config(), None).unwrap();
    let lora = LoraConfig::new().with_rank(3).with_target_modules(["q_proj"].into());
    for (name, number) in [("shop", 1.0), ("reviews", 2.0)] {
        let model = adapted(dense.clone(), &lora, number);
        save_adapter(folder.path().join(name), &model, &lora, "base").unwrap();
    }
    let [own, original] = as_in_the_book(folder.path()).unwrap();
    let shop = |base: Llama| logits(&adapted(base, &lora, 1.0));
    assert!(off(&logits(&original), &shop(dense.clone())) < 1e-4);
    assert!(off(&logits(&own), &shop(dense.quantized().unwrap())) < 1e-4);
    assert!(folder.path().join("merged").join(MERGE_RECORD).is_file());
}

fn merged_once(model: &Llama, lora: &LoraConfig) -> Llama {
    adapted(model.clone(), lora, 1.0).merge_and_unload(MergeTarget::Own).unwrap()
}

#[test]
fn merging_says_onto_which_weights() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let dense = config().init(3, &device);
    save_checkpoint(folder.path().join("base"), &dense, &config(), None).unwrap();
    let original = Checkpoint::open(folder.path().join("base")).unwrap();
    let packed = original.load_quantized(&device).unwrap();
    let lora = LoraConfig::new().with_rank(3).with_target_modules(["q_proj"].into());

    let record = |model: &Llama, name: &str| -> Option<MergeRecord> {
        let at = folder.path().join(name);
        save_checkpoint(&at, model, &config(), None).unwrap();
        let saved = Checkpoint::open(&at).unwrap().load(&device).unwrap();
        assert!(off(&logits(&saved), &logits(model)) < 1e-5, "{name}");
        assert_eq!(saved.merge_records(), model.merge_records());
        let text = fs::read_to_string(at.join(MERGE_RECORD)).ok()?;
        let mut records: Vec<MergeRecord> = serde_json::from_str(&text).unwrap();
        assert_eq!(records.len(), 1);
        records.pop()
    };
    assert_eq!(record(&dense, "plain"), None);
    for (name, model, into, onto) in [
        ("dense", dense.clone(), MergeTarget::Own, MergedWeights::Dense),
        ("dequantized", packed.clone(), MergeTarget::Own, MergedWeights::Dequantized),
        ("original", packed.clone(), MergeTarget::Original(&original), MergedWeights::Original),
    ] {
        let model = adapted(model, &lora, 1.0);
        let merged = model.clone().merge_and_unload(into).unwrap();
        assert!(paths(&merged).is_empty());
        let record = record(&merged, name).unwrap();
        assert_eq!((record.onto, record.adapters), (onto, vec!["default".to_owned()]));
        assert_eq!(record.modules, paths(&model));
        let found = logits(&merged);
        match onto {
            // All weights are the original ones then, with and without an adapter.
            MergedWeights::Original => {
                let expected = logits(&adapted(dense.clone(), &lora, 1.0));
                assert!(off(&found, &expected) < 1e-4);
                assert!(off(&found, &logits(&model)) > 1e-3);
            }
            _ => assert!(off(&found, &logits(&model)) < 1e-4, "{name}"),
        }
    }

    // For a while, and saved in that state.
    let model = adapted(packed, &lora, 1.0);
    let expected = logits(&model);
    let merged = model.with_merged_adapters();
    assert!(off(&logits(&merged), &expected) < 1e-4);
    assert_eq!(record(&merged, "for a while").unwrap().onto, MergedWeights::Dequantized);
    let unmerged = merged.with_unmerged_adapters();
    assert_eq!(unmerged.merge_records(), []);
    assert_eq!(dense.clone().merge_and_unload(MergeTarget::Own).unwrap().merge_records(), []);
    let twice = adapted(merged_once(&dense, &lora), &lora, 2.0);
    assert_eq!(twice.with_merged_adapters().merge_records().len(), 2);
    assert_eq!(logits(&unmerged), expected);
    // What was written over a merged model is not called merged.
    assert_eq!(record(&dense, "dequantized"), None);
}

#[test]
fn loftq_takes_the_model_closer_to_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let dense = config().init(3, &device);
    save_checkpoint(folder.path(), &dense, &config(), None).unwrap();
    let original = Checkpoint::open(folder.path()).unwrap();
    let packed = original.load_quantized(&device).unwrap();
    let lora = LoraConfig::new().with_rank(48).with_init(Init::Loftq);

    let distance = |model: &Llama| {
        let (found, expected) = (logits(model), logits(&dense));
        found.iter().zip(&expected).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
    };
    let started = packed.clone().with_loftq(&original, &lora, 1).unwrap();
    let (before, after) = (distance(&packed), distance(&started));
    assert!(after < 0.7 * before, "{after}, before {before}");
    assert!(packed.with_adapters(&lora, 1).is_err());
}

#[test]
fn an_original_that_is_not_one_is_refused() {
    let device = Device::flex();
    let folder = TempDir::new().unwrap();
    let small = LlamaConfig { layers: 1, ..config() };
    save_checkpoint(folder.path(), &small.init(3, &device), &small, None).unwrap();
    let other = Checkpoint::open(folder.path()).unwrap();
    let model = adapted(config().init(3, &device), &LoraConfig::new(), 1.0);
    let merged = model.clone().merge_and_unload(MergeTarget::Original(&other)).map(|_| ());
    let lora = LoraConfig::new().with_target_modules(["layers.1.self_attn.q_proj"].into());
    let started = model.with_loftq(&other, &lora, 1).map(|_| ());
    let head = other.projection_weight("lm_head", &device).map(|_| ());
    let first = "model.layers.1.self_attn.q_proj.weight";
    for (result, named) in [(merged, first), (started, first), (head, "lm_head.weight")] {
        match result {
            Err(Error::NoProjection { path, tensor }) => {
                assert_eq!((&*path, &*tensor), (folder.path(), named));
            }
            other => panic!("{other:?}"),
        }
    }

    // As many layers, of another width.
    let folder = TempDir::new().unwrap();
    let wide = LlamaConfig { d_model: 256, ..config() };
    save_checkpoint(folder.path(), &wide.init(3, &device), &wide, None).unwrap();
    let other = Checkpoint::open(folder.path()).unwrap();
    let packed = config().init(3, &device).quantized().unwrap();
    let merged = packed.clone().merge_and_unload(MergeTarget::Original(&other)).map(|_| ());
    let started = packed.with_loftq(&other, &LoraConfig::new(), 1).map(|_| ());
    for result in [merged, started] {
        let expected = "`model.layers.0.self_attn.q_proj`, original weight: expected shape [192, 192], \
                        found [192, 256]";
        assert_eq!(result.unwrap_err().to_string(), expected);
    }
}

#[test]
fn linear_layers_really_take_four_bits() {
    let device = Device::flex();
    for (config, most) in
        [(LlamaConfig::tinyllama_1_1b(), 0.55e9), (LlamaConfig::mistral_7b_v0_1(), 3.9e9)]
    {
        let (d_model, d_hidden) = (config.d_model, config.d_hidden);
        let kv = config.kv_heads * config.head_dim;
        // One of each shape is packed; its size on the device counts for all of them.
        let shapes = [
            ([d_model, d_model], 2),
            ([kv, d_model], 2),
            ([d_hidden, d_model], 2),
            ([d_model, d_hidden], 1),
        ];
        let bytes = shapes.map(|([d_output, d_input], count)| {
            let packed =
                nf4::Nf4Weight::quantize(&vec![0.0; d_output * d_input], [d_output, d_input])
                    .unwrap();
            count * Projection::nf4(&packed, None, &device).byte_size()
        });
        let all = (config.layers * bytes.iter().sum::<usize>()) as f64;
        println!("{:.3} GB", all / 1e9);
        assert!(all <= most && all > 0.8 * most, "{all}");
    }
}

#[test]
fn merging_while_saving_gives_the_bytes_of_merging_before() {
    let folder = tempfile::tempdir().unwrap();
    let lora = LoraConfig::new().with_target_modules(["q_proj", "down_proj"].into());
    let options = SaveOptions { format: Precision::Bf16, max_shard_bytes: 100_000 };
    let base = config().init(3, &Device::flex());
    for (name, base) in [("dense", base.clone()), ("packed", base.quantized().unwrap())] {
        let model = adapted(base, &lora, 1.0);
        let [before, while_saving] =
            ["before", "while"].map(|how| folder.path().join(name).join(how));
        save_merged_checkpoint(&while_saving, &model, &config(), None, &options).unwrap();
        let merged = model.merge_and_unload(MergeTarget::Own).unwrap();
        save_checkpoint_with(&before, &merged, &config(), None, &options).unwrap();
        let mut files = 0;
        for entry in fs::read_dir(&before).unwrap() {
            let file = entry.unwrap().file_name();
            let (expected, found) = (before.join(&file), while_saving.join(&file));
            assert!(fs::read(expected).unwrap() == fs::read(found).unwrap(), "{name}: {file:?}");
            files += 1;
        }
        assert!(files > 4 && before.join(MERGE_RECORD).is_file(), "{name}: {files} files");
        assert_eq!(fs::read_dir(&while_saving).unwrap().count(), files);
    }
}
