//! TinyLlama's and Mistral's recipes on a small checkpoint: from review files to a report, interrupted or not.

use std::fs;
use std::path::Path;

use nextcart_data::{Part, PrepareOptions, prepare, read_questions};
use nextcart_models::{
    Architecture, Checkpoint, LlamaConfig, MERGE_RECORD, Precision, SaveOptions,
    write_random_checkpoint,
};
use nextcart_text::{Tokenizer, digest};
use nextcart_train::{Metric, RunConfig, RunRecord, read_metrics};
use serde_json::Value;

use super::{check, check_error, check_fails, check_succeeds, command, corpus};

/// Names that scripts rely on, in the order of the table.
const NAMES: [&str; 12] = [
    "fine_tuned",
    "base",
    "history_blind",
    "popularity",
    "recent_popularity",
    "cooccurrence",
    "item_knn",
    "markov",
    "text",
    "stack",
    "punctuation_rule",
    "chance",
];

pub(super) const FILES: [&str; 4] = ["--reviews", "reviews.json.gz", "--meta", "meta.json.gz"];

/// A folder with review files, a small random checkpoint in bf16 in the folder `base`, and `run.toml`.
pub(super) fn folder(architecture: Architecture) -> tempfile::TempDir {
    let (folder, files) = corpus();
    let here = folder.path();
    fs::rename(files.reviews, here.join("reviews.json.gz")).unwrap();
    fs::rename(files.meta, here.join("meta.json.gz")).unwrap();
    let texts = ["Reviewer has bought", "Considering their purchase history", "A) B) C) D)"];
    let tokenizer = Tokenizer::train(texts.iter(), 300).unwrap();
    let llama = LlamaConfig {
        architecture,
        layers: 2,
        d_model: 64,
        d_hidden: 128,
        heads: 4,
        kv_heads: 2,
        head_dim: 16,
        sliding_window: (architecture == Architecture::Mistral).then_some(100),
        ..LlamaConfig::tiny(tokenizer.vocab())
    };
    let options = SaveOptions { format: Precision::Bf16, max_shard_bytes: 50_000 };
    write_random_checkpoint(here.join("base"), &llama, 3, &options).unwrap();
    fs::write(here.join("base/tokenizer.json"), tokenizer.to_json().unwrap()).unwrap();
    fs::write(here.join("run.toml"), CONFIG).unwrap();
    folder
}

/// The shipped configurations with fewer steps, and with folders of their own. The model that `--model` names has no
/// revision.
const CONFIG: &str = r#"
output = "out"
[model]
name = "somebody/else"
revision = "v1.0"
weights = "bf16"
quantized = true
[data]
folder = "data"
template = "seed"
wrapper = "seed"
history = 2
held_out = 4
asked = 2
[lora]
rank = 4
[training]
max_steps = 6
batch_size = 2
learning_rate = 1e-3
optimizer = "adamw8bit"
[watch]
evaluate = { steps = 3 }
save = { steps = 1 }
"#;

pub(super) const RUN: [&str; 4] = ["--config", "run.toml", "--model", "./base"];

#[track_caller]
fn check_recipe(example: &str, architecture: Architecture) {
    let folder = folder(architecture);
    let here = folder.path();
    let plan = check_succeeds(example, here, &[&RUN[..], &FILES, &["--plan"]].concat());
    for part in ["memory at the peak", "weights", "6 steps"] {
        assert!(plan.contains(part), "{part} in {plan}");
    }
    assert!(!here.join("out").exists() && here.join("data/manifest.json").is_file());
    let small = check(example, here, &[&RUN[..], &["--plan", "0.001"]].concat());
    assert!(!small.success && small.stdout.contains("memory at the peak"), "{}", small.stdout);
    assert!(
        small.stderr.starts_with("error: ")
            && small.stderr.contains("MB of memory and 1 are there"),
        "{}",
        small.stderr
    );

    let table = check_succeeds(example, here, &RUN);
    let out = here.join("out");
    let metrics: Value =
        serde_json::from_slice(&fs::read(out.join("metrics.json")).unwrap()).unwrap();
    let scores = metrics["scores"].as_array().unwrap();
    let names: Vec<&str> = scores.iter().map(|score| score["name"].as_str().unwrap()).collect();
    assert_eq!(names, NAMES);
    assert!(scores.iter().all(|score| score["n"] == scores[0]["n"]));
    assert!(NAMES.iter().all(|name| table.contains(name)), "{table}");
    assert!(metrics["verdict"].is_string() && metrics["model_audits"][0]["lift"].is_object());
    assert!(metrics["lift_over_history_blind"].is_object());
    for file in ["report.html", "report.md", "loss.svg", "adapter/adapter_model.safetensors"] {
        assert!(out.join(file).metadata().unwrap().len() > 0, "{file}");
    }
    let logged = read_metrics(out.join("metrics.jsonl")).unwrap();
    let asked = logged.iter().filter_map(|metric| match metric {
        Metric::Evaluation(it) => Some((it.step, it.questions)),
        _ => None,
    });
    assert_eq!(asked.collect::<Vec<_>>(), [(3, 2), (6, 2)]);
    let page = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(page.contains("latest 2 purchases") && page.contains("evenly spaced"), "{page}");
    assert!(page.starts_with("# base with QLoRA\n"), "{page}");
    let end = "\nadapter: out/adapter\nmerged model: out/merged\nreport: out/report.html\n";
    assert!(table.ends_with(end), "{table}");

    // What was merged is a checkpoint like its base, without adapters.
    let merged = Checkpoint::open(out.join("merged")).unwrap();
    assert_eq!(merged.config(), Checkpoint::open(here.join("base")).unwrap().config());
    assert!(merged.tokenizer().is_ok() && out.join("merged").join(MERGE_RECORD).is_file());

    let again = check(example, here, &RUN);
    check_error(&again, &["`out` already exists: add --resume to continue", "another `output`"]);
    let before = adapter(here);
    // With what a run may change, it is the same report.
    let config = fs::read_to_string(here.join("run.toml")).unwrap();
    let changed = config.replace("output =", "memory_limit = 8\noutput =");
    let changed = changed.replace("[watch]\n", "[watch]\nevaluation_batch = 1\n");
    assert_ne!(changed, config);
    fs::write(here.join("run.toml"), changed).unwrap();
    let resumed = check(example, here, &[&RUN[..], &["--resume"]].concat());
    assert!(resumed.success, "{}", resumed.stderr);
    assert_eq!(resumed.stdout, table);
    assert!(resumed.stderr.contains("the run goes on otherwise"), "{}", resumed.stderr);
    assert_eq!(adapter(here), before);
}

fn adapter(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("out/adapter/adapter_model.safetensors")).unwrap()
}

#[test]
fn tinyllama_goes_from_review_files_to_a_report() {
    check_recipe("finetune_tinyllama", Architecture::Llama);
}

#[test]
fn mistral_goes_from_review_files_to_a_report() {
    check_recipe("finetune_mistral", Architecture::Mistral);
}

/// Lines that are neither blank nor a comment.
#[test]
fn the_recipes_are_shorter_than_80_lines_of_code() {
    for name in ["finetune_tinyllama", "finetune_mistral"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{name}.rs"));
        let source = fs::read_to_string(path).unwrap();
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
        let lines = source.lines().filter(is_code).count();
        assert!(lines < 80, "{name}: {lines}");
    }
}

#[test]
fn a_plan_needs_no_weights() {
    let folder = folder(Architecture::Llama);
    let here = folder.path();
    for file in fs::read_dir(here.join("base")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            fs::remove_file(path).unwrap();
        }
    }
    let plan =
        check_succeeds("finetune_tinyllama", here, &[&RUN[..], &FILES, &["--plan"]].concat());
    assert!(plan.contains("memory at the peak"), "{plan}");
    check_error(&check("finetune_tinyllama", here, &RUN), &["base", "safetensors"]);
    // Weights are asked for after the plan was found to fit.
    fs::write(here.join("run.toml"), format!("memory_limit = 1e-3\n{CONFIG}")).unwrap();
    check_error(&check("finetune_tinyllama", here, &RUN), &["needs", "are there"]);
}

/// Of a question, this template makes a sample for each candidate.
#[test]
fn held_out_are_questions_and_not_samples() {
    let folder = folder(Architecture::Llama);
    let here = folder.path();
    let config = CONFIG.replace("template = \"seed\"", "template = \"pointwise\"");
    let config = config.replace("wrapper = \"seed\"", "wrapper = \"plain\"");
    fs::write(here.join("run.toml"), config.replace("max_steps = 6", "max_steps = 1")).unwrap();
    // What stands in the place of the adapter ends it before the report.
    fs::create_dir(here.join("out")).unwrap();
    fs::write(here.join("out/adapter"), "").unwrap();
    let run = [&RUN[..], &FILES, &["--resume"]].concat();
    check_error(&check("finetune_tinyllama", here, &run), &["adapter"]);

    let config = RunConfig::read(here.join("run.toml")).unwrap();
    let base = Checkpoint::open(here.join("base")).unwrap();
    let (tokenizer, template) = (base.tokenizer().unwrap(), config.data.template().unwrap());
    let builder = config.data.builder(&base, &tokenizer, &template).unwrap();
    let mut questions = read_questions(here.join("data/questions.parquet")).unwrap();
    questions.retain(|question| question.part == Part::Validation);
    questions.truncate(config.data.held_out);
    questions.iter_mut().for_each(|question| question.keep_latest(config.data.history));
    let samples = builder.samples(&questions).unwrap();
    assert!(questions.len() == 4 && samples.len() > 4, "{}", samples.len());
    assert_eq!(RunRecord::read(here.join("out")).unwrap().held_out, digest(&samples));
}

/// The twin that cannot see the history has none to take the latest purchase of.
#[test]
fn a_template_that_the_report_cannot_fill_in_is_refused_before_training() {
    let folder = folder(Architecture::Mistral);
    let here = folder.path();
    let own = "Of the latest.\n--- instruction\nWhich next?\n--- input\n{{ history[-1].title | line }}\n\
               --- output\n{{ candidates[answer].title | line }}\n";
    fs::write(here.join("own.jinja"), own).unwrap();
    let config = CONFIG.replace("template = \"seed\"", "template = \"own.jinja\"");
    fs::write(here.join("run.toml"), config).unwrap();
    let run = check("finetune_mistral", here, &[&RUN[..], &FILES].concat());
    check_error(&run, &["data.template", "report", "own", "is undefined"]);
    assert!(!here.join("out").exists());
}

/// Relations are not among a question's fields: the report tells them as training did.
#[test]
fn a_report_tells_what_training_told() {
    let folder = folder(Architecture::Mistral);
    let here = folder.path();
    let config = CONFIG.replace("template = \"seed\"", "template = \"item_relations\"");
    let config = config.replace("wrapper = \"seed\"", "wrapper = \"plain\"");
    fs::write(here.join("run.toml"), config.replace("max_steps = 6", "max_steps = 1")).unwrap();
    let table = check_succeeds("finetune_mistral", here, &[&RUN[..], &FILES].concat());
    assert!(NAMES.iter().all(|name| table.contains(name)), "{table}");
    let page = fs::read_to_string(here.join("out/report.md")).unwrap();
    assert!(page.contains("Customers who bought") && page.contains("also bought"), "{page}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_recipe_goes_on_to_the_same_adapter_and_report() {
    let [stopped, whole] = [(); 2].map(|()| folder(Architecture::Llama));
    for folder in [&stopped, &whole] {
        let config = CONFIG.replace("max_steps = 6", "max_steps = 60");
        fs::write(folder.path().join("run.toml"), config).unwrap();
    }
    let arguments = [&RUN[..], &FILES].concat();
    let has_checkpoint = || {
        let entries = fs::read_dir(stopped.path().join("out")).into_iter().flatten();
        entries.flatten().any(|it| it.file_name().to_string_lossy().starts_with("checkpoint-"))
    };
    let stderr =
        super::interrupt("finetune_tinyllama", stopped.path(), &arguments, has_checkpoint).stderr;
    assert_eq!(stderr, "error: stopped; --resume goes on\n");
    assert!(!stopped.path().join("out/adapter").exists());

    let resumed = [&RUN[..], &["--resume"]].concat();
    let resumed = check_succeeds("finetune_tinyllama", stopped.path(), &resumed);
    assert_eq!(resumed, check_succeeds("finetune_tinyllama", whole.path(), &arguments));
    assert_eq!(adapter(stopped.path()), adapter(whole.path()));
}

/// As `--plan` leaves it, and as the run behind it wants it.
#[test]
fn what_is_prepared_is_taken_and_never_replaced_by_something_else() {
    let folder = folder(Architecture::Llama);
    let here = folder.path();
    let plan = [&RUN[..], &FILES, &["--plan"]].concat();
    check_succeeds("finetune_tinyllama", here, &plan);
    let written = || fs::metadata(here.join("data/questions.parquet")).unwrap().modified().unwrap();
    let before = written();
    check_succeeds("finetune_tinyllama", here, &plan);
    assert_eq!(written(), before);

    let refused = |why: &str| {
        let way_out = ["; leave --reviews and --meta out", "another `folder`"];
        let expected = [&[why][..], &way_out].concat();
        check_fails("finetune_tinyllama", here, &plan, &expected);
    };
    let (mut reviews, meta) = (fs::read(here.join("reviews.json.gz")).unwrap(), "meta.json.gz");
    let files = ["reviews.json.gz", meta].map(|name| [here.join(name)]);
    let options = PrepareOptions { seed: 9, ..PrepareOptions::default() };
    prepare(&files[0], &files[1], here.join("data"), &options).unwrap();
    refused("`data` was prepared with other options");
    prepare(&files[0], &files[1], here.join("data"), &PrepareOptions::default()).unwrap();
    // As many bytes: of the header of a gzipped file, the fifth to the eighth are its time, which changes no line.
    reviews[4] ^= 1;
    fs::write(here.join("reviews.json.gz"), reviews).unwrap();
    refused("`data` was prepared of other files");
    check_succeeds("finetune_tinyllama", here, &[&RUN[..], &["--plan"]].concat());
}

#[test]
fn without_a_network_an_error_says_each_thing_once_and_what_to_do_last() {
    let folder = folder(Architecture::Llama);
    let here = folder.path();
    let fetch = |arguments: &[&str]| {
        // Nobody listens there.
        let mut command = command("finetune_mistral", here, arguments);
        command.env("HF_ENDPOINT", "http://127.0.0.1:1").env("HF_HOME", here.join("hub"));
        super::Run::of(command.env("NO_PROXY", "127.0.0.1").output().unwrap())
    };
    let run = fetch(&[&["--config", "run.toml", "--plan"][..], &FILES].concat());
    check_error(
        &run,
        &["`somebody/else` is neither a folder nor a model", "without the hub: --model"],
    );
    assert!(run.stderr.ends_with(" a folder that holds it\n"), "{}", run.stderr);
    for (said, times) in [("`somebody/else`", 1), ("http://127.0.0.1:1", 1)] {
        assert_eq!(run.stderr.matches(said).count(), times, "{said} in {}", run.stderr);
    }
    // A file that is missing is not taken for that.
    let files = ["--reviews", "absent", "--meta", "meta.json.gz"];
    check_error(
        &fetch(&[&["--config", "run.toml"][..], &files].concat()),
        &["cannot read `absent`: No such file"],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_the_verdict_is_broken_and_the_next_command_last() {
    let folder = folder(Architecture::Mistral);
    let arguments = [&RUN[..], &FILES].concat().join(" ");
    let shown = super::on_terminal("finetune_mistral", folder.path(), &arguments, 100);
    let Some(shown) = shown else { return };
    let (_, told) = shown.rsplit_once("\nfine_tuned ").unwrap();
    let (told, end) = told.split_once("\nadapter: out/adapter\n").unwrap();
    let longest = told.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest <= 100 && told.lines().count() > NAMES.len(), "{shown}");
    let next = "\nnext: cargo run --release --example recommend -- --run out\n";
    assert!(end.ends_with(next), "{shown}");
}

#[test]
fn what_is_not_there_is_named() {
    let folder = folder(Architecture::Llama);
    let config = ["--config", "run.toml"];
    let fails = |arguments: &[&str], expected: &[&str]| {
        super::check_fails("finetune_mistral", folder.path(), arguments, expected);
    };
    fails(&["--config", "no.toml"], &["no.toml"]);
    fails(&[&config[..], &["--model", "./nowhere"], &FILES].concat(), &["./nowhere"]);
    let without = ["`data` holds no prepared data", "--reviews and --meta", "`folder`"];
    fails(&RUN, &without);
    // Before the hub is asked for a model.
    fails(&[&config[..], &["--model", "some/model"]].concat(), &without);
    fails(&[&RUN[..], &["--resume"]].concat(), &["nothing to resume", "leave --resume out"]);
}

#[test]
fn the_shipped_settings_are_those_of_the_seed_project() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    for (name, base) in [
        ("tinyllama_qlora", "TinyLlama/TinyLlama-1.1B-Chat-v1.0"),
        ("mistral_qlora", "mistralai/Mistral-7B-v0.1"),
    ] {
        let config = RunConfig::read(configs.join(format!("{name}.toml"))).unwrap();
        assert_eq!(config, RunConfig::by_name(name).unwrap());
        assert_eq!((config.model.name.as_str(), config.model.quantized), (base, true));
    }
}
