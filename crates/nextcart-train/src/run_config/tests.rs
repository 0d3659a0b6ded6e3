use std::fs;
use std::path::Path;

use nextcart_adapters::{Bias, Init, TargetModules};
use nextcart_models::{LlamaConfig, save_checkpoint};

use super::*;
use crate::{Checkpointing, Every, Optimizer, Packing, Schedule};

/// No field has its default.
fn unusual() -> RunConfig {
    RunConfig {
        adapter_seed: 9,
        output: "else where".into(),
        memory_limit: Some(7.5),
        model: ModelConfig {
            name: "some/where".to_owned(),
            revision: Some("v2".to_owned()),
            weights: Precision::F16,
            activations: Precision::Bf16,
            quantized: true,
        },
        data: DataConfig {
            folder: "a folder".into(),
            template: "t.jinja".to_owned(),
            wrapper: "alpaca".to_owned(),
            history: Some(8),
            max_tokens: Some(700),
            held_out: 9,
            asked: 3,
        },
        lora: LoraConfig::new()
            .with_rank(3)
            .with_alpha(0.1)
            .with_dropout(0.25)
            .with_use_rslora(true)
            .with_use_dora(true)
            .with_target_modules(TargetModules::AllLinear)
            .with_rank_pattern([("z", 2), ("a", 1)].into())
            .with_alpha_pattern([("z", 2.5), ("a", 1.0)].into())
            .with_bias(Bias::LoraOnly)
            .with_init(Init::Gaussian),
        training: SftConfig {
            epochs: 2,
            max_steps: Some(5),
            batch_size: 3,
            gradient_accumulation: 2,
            devices: 3,
            packing: Packing::Packed { window: 64, rows: 2 },
            group_by_length: true,
            checkpointing: Checkpointing::BlocksOnHost,
            loss_rows: usize::MAX,
            learning_rate: 0.03 / 7.0,
            warmup_steps: 1,
            schedule: Schedule::Cosine,
            optimizer: Optimizer::AdamW8bit,
            lora_plus_ratio: Some(16.0),
            weight_decay: 0.01,
            beta1: 0.8,
            beta2: 0.99,
            epsilon: 1e-7,
            max_grad_norm: None,
            seed: u64::MAX,
            checkpoints_kept: 4,
        },
        watch: WatchConfig {
            evaluate: Every::Steps(7),
            evaluation_batch: 5,
            save: Every::End,
            patience: Some(3),
            min_delta: 0.001,
        },
    }
}

#[test]
fn files_of_both_formats_give_back_every_field() {
    let folder = tempfile::tempdir().unwrap();
    let presets = RunConfig::PRESETS.iter().map(|name| RunConfig::by_name(name).unwrap());
    for config in presets.chain([unusual()]) {
        for name in ["run.toml", "run.json"] {
            let path = folder.path().join(name);
            config.write(&path).unwrap();
            assert_eq!(RunConfig::read(&path).unwrap(), config, "{name}");
        }
    }
}

#[test]
fn a_run_goes_on_in_the_formats_that_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = RunConfig { output: folder.path().to_owned(), ..RunConfig::tiny_cpu() };
    let fitted = |goes_on: bool| {
        let mut config = fresh.clone();
        config.fit_device(&Device::flex(), goes_on).unwrap();
        config
    };
    // A CPU takes what is written, and so does a run that had no configuration.
    assert_eq!((fitted(false), fitted(true)), (fresh.clone(), fresh.clone()));
    let mut begun = fresh.clone();
    begun.model.weights = Precision::Bf16;
    begun.model.activations = Precision::Bf16;
    begun.training.batch_size += 1;
    begun.write(folder.path().join("run.toml")).unwrap();
    assert_eq!(fitted(false), fresh);
    assert_eq!(fitted(true).model, begun.model);
    assert_eq!(fitted(true).training, fresh.training);
    std::fs::write(folder.path().join("run.toml"), "[model").unwrap();
    assert!(fresh.clone().fit_device(&Device::flex(), true).is_err());
}

#[test]
fn presets_are_those_of_the_seed_project() {
    for name in RunConfig::PRESETS {
        let RunConfig { data, lora, training, watch, adapter_seed, .. } =
            RunConfig::by_name(name).unwrap();
        assert_eq!((&*data.template, &*data.wrapper, data.history), ("seed", "seed", Some(4)));
        assert_eq!((lora.rank, lora.alpha, lora.scale()), (16, 16.0, 1.0));
        assert_eq!(lora.target_modules, TargetModules::llama());
        assert_eq!((training.epochs, training.batch_size), (5, 8));
        assert_eq!((training.gradient_accumulation, training.warmup_steps), (1, 3));
        assert_eq!((training.learning_rate, training.weight_decay), (1e-3, 0.001));
        assert_eq!(
            (training.schedule, training.optimizer),
            (Schedule::Linear, Optimizer::AdamW8bit)
        );
        assert_eq!((training.seed, adapter_seed, watch.evaluate), (3407, 3407, Every::Epoch));
        assert_eq!((watch.save, training.checkpoints_kept), (Every::Steps(50), 2));
    }
    let quantized = |name| RunConfig::by_name(name).unwrap().model.quantized;
    assert!(quantized("tinyllama_qlora") && quantized("mistral_qlora") && !quantized("tiny_cpu"));
    let found = RunConfig::by_name("tinylama").unwrap_err().to_string();
    assert!(found.contains("tinyllama_qlora") && found.contains("`tinylama`"), "{found}");
}

/// The error must name file, line, field and the rest of `expected`.
#[track_caller]
fn check(name: &str, text: &str, line: usize, field: &str, expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    let error = RunConfig::read(&path).unwrap_err();
    let shown = error.to_string();
    let Error::ConfigFile { path: named, line: found_line, field: found, problem } = error else {
        panic!("{shown}")
    };
    assert_eq!((named, found_line, found.as_str()), (path, line, field), "{shown}");
    for text in expected {
        assert!(problem.contains(text), "{text} in {problem}");
    }
}

#[test]
fn what_is_wrong_in_a_file_is_named_by_line_and_field() {
    let model = "[model]\nname = \"x\"\n";
    let toml = |text: &str| format!("{model}{text}");
    let check_toml = |text: &str, line, field, expected: &[&str]| {
        check("run.toml", &toml(text), line, field, expected);
    };
    check_toml("[training]\n\nbatch_siz = 3\n", 5, "training.batch_siz", &["batch_size"]);
    check_toml("[lora]\nrnk = 3\n", 4, "lora.rnk", &["unknown field `rnk`", "rank"]);
    check_toml("[tuning]\n", 3, "tuning", &["unknown field `tuning`", "training"]);
    check_toml(
        "[training]\nlearning_rate = \"high\"\n",
        4,
        "training.learning_rate",
        &["\"high\"", "expected f64"],
    );
    check_toml("[training]\nschedule = \"step\"\n", 4, "training.schedule", &["step", "cosine"]);
    check_toml(
        "[training]\nmax_grad_norm = \"no\"\n",
        4,
        "training.max_grad_norm",
        &["\"no\"", "a number or"],
    );
    check_toml("[watch]\nevaluate = { step = 3 }\n", 4, "watch.evaluate", &["`step`", "steps"]);
    check_toml(
        "[training]\nseed = 1\nbatch_size = 0\n",
        5,
        "training.batch_size",
        &["expected at least 1, found 0"],
    );
    check("run.toml", &format!("\nmemory_limit = 0.0\n{model}"), 2, "memory_limit", &["found 0"]);
    let json = "{\"model\": {\"name\": \"x\"},\n\"memory_limit\": -1.0}";
    check("run.json", json, 2, "memory_limit", &["a positive number, found -1"]);
    check_toml("[lora]\nrank = 0\n", 4, "lora.rank", &["expected at least 1, found 0"]);
    check_toml("[lora]\ninit = \"loftq\"\n", 4, "lora.init", &["`model.quantized`"]);
    check_toml("[data]\nhistory = 0\n", 4, "data.history", &["expected at least 1, found 0"]);
    let expected = "expected at most the 6 of `data.held_out`, found 7";
    check_toml("[data]\nheld_out = 6\nasked = 7\n", 5, "data.asked", &[expected]);
    check_toml("[data]\nasked = 201\n", 4, "data.asked", &["at most the 200 of `data.held_out`"]);
    check_toml("[watch]\npatience = 0\n", 4, "watch.patience", &["expected at least 1, found 0"]);
    // Words of the text that are not the field.
    let text = "# beta1 = 2.0 (in training)\n[watch]\npatience = 2 # beta1\n[training]\nseed = 7\nbeta1 = 2.0\n";
    check_toml(text, 8, "training.beta1", &["found 2"]);
    let text = "watch = { min_delta = 0.1,\n patience = 0 }\n[model]\nname = \"x\"\n";
    check("run.toml", text, 2, "watch.patience", &["found 0"]);
    check_toml("[watch]\nevaluate.steps = 0\n", 4, "watch.evaluate", &["at least 1 step"]);
    check_toml("[training\n", 3, ".", &[]);
    check("run.toml", "[training]\n", 1, ".", &["missing field `model`"]);
    check(
        "run.json",
        "{\n\"model\": {\"name\": \"x\",\n\"quantised\": true}}",
        3,
        "model.quantised",
        &["unknown field `quantised`", "quantized"],
    );
    let json = "{\"model\": {\"name\": \"x\"},\n\"training\": {\n\"beta1\": 1.0}}";
    check("run.json", json, 3, "training.beta1", &["not including, 1", "found 1"]);
    let json = "{\"model\": {\"name\": \"training beta1\"},\n\"watch\": {\"patience\": 1},\n\"training\":\n\
                {\"seed\": 1,\n\"beta1\": 1.0}}";
    check("run.json", json, 5, "training.beta1", &["found 1"]);
    check("run.json", "{} {}", 1, ".", &["missing field"]);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.yaml");
    assert!(matches!(RunConfig::read(&path), Err(Error::ConfigFormat { .. })));
    assert!(matches!(RunConfig::read(path.with_extension("toml")), Err(Error::Io { .. })));
}

/// Of each field, the book has the default and forms that can be read.
#[test]
fn the_book_has_a_table_of_every_section() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let pages = ["training.md", "adapters.md"].map(|page| fs::read_to_string(docs.join(page)));
    let [Ok(training), Ok(adapters)] = pages else { return };
    for (page, heading, section) in [
        (&training, "### At the top", ""),
        (&training, "### `[model]`", "model"),
        (&training, "### `[data]`", "data"),
        (&training, "### `[training]`", "training"),
        (&training, "### `[watch]`", "watch"),
        (&adapters, "## In a configuration", "lora"),
    ] {
        check_table(page, heading, section);
    }
}

#[track_caller]
fn check_table(page: &str, heading: &str, section: &str) {
    let read = |line: &str| -> RunConfig {
        let text = match section {
            "" => format!("{line}\n[model]\nname = \"x\"\n"),
            "model" => format!("[model]\nname = \"x\"\n{line}\n"),
            _ => format!("[model]\nname = \"x\"\n[{section}]\n{line}\n"),
        };
        text.parse().unwrap_or_else(|error| panic!("{line}: {error}"))
    };
    let all = serde_json::to_value(read("")).unwrap();
    let fields = if section.is_empty() { &all } else { &all[section] };
    let (_, rest) = page.split_once(&format!("\n{heading}\n")).unwrap();
    let table = rest.split("\n#").next().unwrap();
    let mut named = Vec::new();
    for row in table.lines().filter_map(|line| line.strip_prefix("| `")) {
        let (field, rest) = row.split_once("` | ").unwrap();
        let (default, meaning) = rest.split_once(" | ").unwrap();
        match default {
            "none" => assert!(fields[field].is_null(), "{field}"),
            "must be given" => {
                let error = "[model]".parse::<RunConfig>().unwrap_err().to_string();
                assert!(error.contains(field), "{error}");
            }
            _ => {
                let line = format!("{field} = {}", default.trim_matches('`'));
                assert_eq!(read(&line), read(""), "{line}");
            }
        }
        let start = format!("{field} = ");
        for form in meaning.split('`').filter(|code| code.starts_with(&start)) {
            assert_ne!(read(form), read(""), "{form}");
        }
        named.push(field);
    }
    named.sort_unstable();
    let sections = ["model", "data", "lora", "training", "watch"];
    let mut expected: Vec<&str> = fields.as_object().unwrap().keys().map(String::as_str).collect();
    expected.retain(|field| !section.is_empty() || !sections.contains(field));
    expected.sort_unstable();
    assert_eq!(named, expected, "{section}");
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_not_utf_8_cannot_be_written() {
    use std::os::unix::ffi::OsStringExt;

    let folder = tempfile::tempdir().unwrap();
    let mut config = RunConfig::tiny_cpu();
    config.data.folder = std::ffi::OsString::from_vec(vec![b'd', 0xff]).into();
    for name in ["run.toml", "run.json"] {
        let found = config.write(folder.path().join(name));
        assert!(matches!(found, Err(Error::Config { field: "folder", .. })), "{found:?}");
    }
}

#[test]
fn a_configuration_loads_its_model_with_its_adapters() {
    let folder = tempfile::tempdir().unwrap();
    let llama = LlamaConfig { layers: 1, ..LlamaConfig::tiny(32) };
    let device = Device::flex();
    save_checkpoint(folder.path(), &llama.init(3, &device), &llama, None).unwrap();
    let text = format!(
        "[model]\nname = {:?}\nquantized = true\n[lora]\nrank = 5\ntarget_modules = [\"q_proj\"]",
        folder.path()
    );
    let config: RunConfig = text.parse().unwrap();
    let model = config.load(&config.model.open().unwrap(), &device).unwrap();
    let adapters = model.projections().into_iter().filter_map(|(path, projection)| {
        projection.adapter().map(|adapter| (path, adapter.a().dims()))
    });
    let adapters: Vec<_> = adapters.collect();
    assert_eq!(adapters, [("model.layers.0.self_attn.q_proj".to_owned(), [5, 192])]);

    let plain = RunConfig { lora: config.lora.clone().with_dropout(0.0), ..config.clone() };
    let loftq = RunConfig { lora: plain.lora.clone().with_init(Init::Loftq), ..plain.clone() };
    let checkpoint = config.model.open().unwrap();
    let original = checkpoint.load(&device).unwrap();
    // How far the weight that the adapter starts with is from the one before it was packed.
    let distance = |config: &RunConfig| -> f32 {
        let model = config.load(&checkpoint, &device).unwrap();
        let (_, start) = model.projections()[0];
        let adapter = start.adapter().unwrap();
        let update = adapter.b().matmul(adapter.a()) * adapter.scale();
        let (_, before) = original.projections()[0];
        (start.weight() + update - before.weight()).square().sum().into_scalar()
    };
    assert!(distance(&loftq) < 0.95 * distance(&plain));
    let dense = ModelConfig { quantized: false, ..loftq.model.clone() };
    let error = RunConfig { model: dense, ..loftq }.load(&checkpoint, &device).unwrap_err();
    assert!(matches!(error, Error::Config { field: "init", .. }), "{error}");

    let missing = ModelConfig { name: "./nowhere".to_owned(), ..config.model };
    let error = missing.open().unwrap_err();
    assert!(error.to_string().contains("./nowhere"), "{error}");
}

#[test]
fn a_revision_of_a_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let llama = LlamaConfig { layers: 1, ..LlamaConfig::tiny(32) };
    save_checkpoint(folder.path(), &llama.init(3, &Device::flex()), &llama, None).unwrap();
    let name = folder.path().display().to_string();
    let text = format!("config, field `model.revision`: expected none, as `{name}` names a folder");
    let model = ModelConfig { name, revision: Some("v1".to_owned()), ..unusual().model };
    let opened = [model.open(), model.open_to_plan(), model.open_with_progress(|_| ())];
    for error in opened.map(|opened| opened.unwrap_err().to_string()) {
        assert_eq!(error, format!("{text}, found v1"));
    }
    assert!(ModelConfig { revision: None, ..model }.open().is_ok());
}
