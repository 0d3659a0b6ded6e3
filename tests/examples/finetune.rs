//! Fine-tuning by a configuration file: its plan, a whole run, one that is interrupted, and what it refuses.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
#[cfg(target_os = "linux")]
use nextcart_data::FullCatalogue;
use nextcart_data::{PrepareOptions, prepare, read_questions};
use nextcart_models::{LlamaConfig, save_checkpoint};
use nextcart_text::Tokenizer;
use nextcart_train::{DataConfig, Metric, RunConfig, RunRecord, read_metrics};

use super::{check, check_error, check_succeeds, corpus};

/// A folder with prepared questions, a small base model and `run.toml`, whose output is the folder `run`.
pub(crate) fn prepared() -> tempfile::TempDir {
    let (folder, files) = corpus();
    let data = folder.path().join("data");
    prepare(&[files.reviews], &[files.meta], &data, &PrepareOptions::default()).unwrap();
    let questions = read_questions(data.join("questions.parquet")).unwrap();
    let template = DataConfig::default().template().unwrap();
    let texts: Vec<String> = questions
        .iter()
        .take(60)
        .map(|question| {
            let prompt = template.render(question).unwrap();
            format!("{}\n{}\nAnswer:\n{}", prompt.instruction, prompt.input, prompt.output)
        })
        .collect();
    let tokenizer = Tokenizer::train(texts.iter(), 400).unwrap();
    let llama = LlamaConfig {
        layers: 2,
        d_model: 32,
        d_hidden: 64,
        heads: 2,
        kv_heads: 1,
        head_dim: 16,
        ..LlamaConfig::tiny(tokenizer.vocab())
    };
    let model = llama.init(1, &Device::flex());
    save_checkpoint(folder.path().join("base"), &model, &llama, Some(&tokenizer)).unwrap();
    fs::write(folder.path().join("run.toml"), CONFIG).unwrap();
    folder
}

const CONFIG: &str = r#"
output = "run"
[model]
name = "./base"
[data]
folder = "data"
history = 3
max_tokens = 900
held_out = 6
asked = 3
[lora]
rank = 4
[training]
max_steps = 30
batch_size = 2
learning_rate = 1e-3
[watch]
evaluate = { steps = 15 }
save = { steps = 5 }
"#;

const ARGUMENTS: [&str; 2] = ["--config", "run.toml"];

fn adapter(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("run/adapter/adapter_model.safetensors")).unwrap()
}

#[test]
fn a_file_says_what_is_trained_and_the_folder_what_came_of_it() {
    let folder = prepared();
    let folder = folder.path();
    let plan = check_succeeds("finetune", folder, &[&ARGUMENTS[..], &["--plan"]].concat());
    for part in ["memory at the peak", "weights", "activations", "an evaluation", "30 steps"] {
        assert!(plan.contains(part), "{part} in {plan}");
    }
    assert!(!folder.join("run").exists());
    let small = check("finetune", folder, &[&ARGUMENTS[..], &["--plan", "0.001"]].concat());
    assert!(!small.success && small.stdout.contains("memory at the peak"), "{}", small.stdout);
    assert!(small.stderr.contains("are there"), "{}", small.stderr);
    check_succeeds("finetune", folder, &ARGUMENTS);

    let record = RunRecord::read(folder.join("run")).unwrap();
    assert_eq!(record.config, Some(RunConfig::read(folder.join("run.toml")).unwrap()));
    let manifest = fs::read(folder.join("data/manifest.json")).unwrap();
    let machine = record.machine.unwrap();
    assert!(machine.threads > 0 && !machine.device.is_empty());
    assert_eq!(machine.processor.is_some(), cfg!(all(target_os = "linux", target_arch = "x86_64")));
    assert_eq!(record.data_manifest.unwrap(), sha256(&manifest));
    let outcome = record.plan.unwrap();
    let seconds = outcome.pace.unwrap();
    assert_eq!(seconds.steps, 30 - 4);
    assert!(outcome.seen_seconds.unwrap() > 0.0 && outcome.plan.peak_flops > 0.0);
    let metrics = read_metrics(folder.join("run/metrics.jsonl")).unwrap();
    let evaluations = metrics.iter().filter_map(|metric| match metric {
        Metric::Evaluation(it) => Some((it.step, it.questions, it.accuracy.is_some())),
        _ => None,
    });
    assert_eq!(evaluations.collect::<Vec<_>>(), [(15, 3, true), (30, 3, true)]);
    assert!(!adapter(folder).is_empty());
    assert!(folder.join("run/loss.svg").is_file());

    // What is there already is not overwritten, and a run that is over stays as it is.
    let again = check("finetune", folder, &ARGUMENTS);
    let expected = ["`run/checkpoint-30` already exists: add --resume to continue", "`output`"];
    check_error(&again, &expected);
    // Nor does another run go on from it.
    fs::write(folder.join("run.toml"), CONFIG.replace("rank = 4", "rank = 8")).unwrap();
    let other = check("finetune", folder, &[&ARGUMENTS[..], &["--resume"]].concat());
    check_error(&other, &["belongs to another run", "rank", "; go on with", "another folder"]);
    fs::write(folder.join("run.toml"), CONFIG).unwrap();
    let (before, record) = (adapter(folder), fs::read(folder.join("run/run.json")).unwrap());
    check_succeeds("finetune", folder, &[&ARGUMENTS[..], &["--resume"]].concat());
    assert_eq!(adapter(folder), before);
    assert_eq!(fs::read(folder.join("run/run.json")).unwrap(), record);
    // On a terminal it ends with what comes next, which works.
    #[cfg(target_os = "linux")]
    if let Some(shown) = super::on_terminal("finetune", folder, "--config run.toml --resume", 100) {
        let (_, next) = shown.rsplit_once("next: cargo run --release --example ").unwrap();
        assert_eq!(next, "recommend -- --run run\n", "{shown}");
        let bought = FullCatalogue::read(folder.join("data")).unwrap().products()[0].title.clone();
        fs::write(folder.join("bought.txt"), bought).unwrap();
        let run = check("recommend", folder, &["--run", "run", "--history", "bought.txt"]);
        assert!(run.success && run.stdout.contains(" %"), "{}{}", run.stdout, run.stderr);
    }
}

/// Relations, reviews and a profile are not among a question's fields.
#[test]
fn a_template_may_tell_what_training_knows() {
    let folder = prepared();
    let folder = folder.path();
    // Such prompts are longer than the texts that the model says it was made for, of which a run would warn.
    let base = folder.join("base/config.json");
    let text = fs::read_to_string(&base).unwrap();
    assert!(text.contains("1024"));
    fs::write(base, text.replace("1024", "2048")).unwrap();
    let file = "Of both kinds.\n--- instruction\nWhich next?\n--- input\n\
                {{ profile.purchases }} bought, as did others: {{ similar_users_bought | join(', ') }}.\n\
                {% for item in history %}\n{{ item.title | line }}, with {{ item.bought_together | join(', ') }}\n\
                {% endfor %}\n{% for item in candidates %}\n{{ item.title | line }}\n{% endfor %}\n\
                --- output\n{{ candidates[answer].title | line }}\n";
    fs::write(folder.join("own.jinja"), file).unwrap();
    for template in ["item_relations", "own.jinja"] {
        let config = CONFIG.replace("max_steps = 30", "max_steps = 2");
        let config = config.replace("held_out", &format!("template = \"{template}\"\nheld_out"));
        let config = config.replace("max_tokens = 900", "max_tokens = 2000");
        fs::write(folder.join("run.toml"), config).unwrap();
        let plan = check_succeeds("finetune", folder, &[&ARGUMENTS[..], &["--plan"]].concat());
        assert!(plan.contains("2 steps"), "{plan}");
        check_succeeds("finetune", folder, &ARGUMENTS);
        let metrics = read_metrics(folder.join("run/metrics.jsonl")).unwrap();
        let Some(Metric::Evaluation(last)) = metrics.last() else { panic!("an evaluation") };
        assert_eq!((last.step, last.questions), (2, 3));
        fs::remove_dir_all(folder.join("run")).unwrap();
    }
}

/// SHA-256 in hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on_to_the_same_adapter() {
    let folder = prepared();
    let folder = folder.path();
    let config = CONFIG.replace("[training]\n", "[training]\ngradient_accumulation = 2\n");
    let config = config.replace("max_steps = 30", "max_steps = 60");
    fs::write(folder.join("run.toml"), config).unwrap();
    let resume = [&ARGUMENTS[..], &["--resume"]].concat();
    let expected = ["nothing to resume: no checkpoint in `run`; leave --resume out"];
    check_error(&check("finetune", folder, &resume), &expected);

    let checkpoint = folder.join("run/checkpoint-5");
    let stderr = super::interrupt("finetune", folder, &ARGUMENTS, || checkpoint.is_dir()).stderr;
    assert!(stderr.contains("--resume goes on from there"), "{stderr}");
    assert!(!folder.join("run/adapter").exists());

    check_succeeds("finetune", folder, &resume);
    let resumed = adapter(folder);
    fs::remove_dir_all(folder.join("run")).unwrap();
    check_succeeds("finetune", folder, &ARGUMENTS);
    assert_eq!(resumed, adapter(folder));
}

#[test]
fn what_is_wrong_in_the_file_is_named_before_anything_is_written() {
    let folder = prepared();
    let folder = folder.path();
    let refused = |from: &str, to: &str, expected: &[&str]| {
        assert!(CONFIG.contains(from));
        fs::write(folder.join("run.toml"), CONFIG.replace(from, to)).unwrap();
        check_error(&check("finetune", folder, &ARGUMENTS), expected);
        assert!(!folder.join("run").exists());
    };
    refused("batch_size = 2", "batch_size = 0", &["run.toml", "line 15", "training.batch_size"]);
    refused("history = 3", "histroy = 3", &["run.toml", "line 7", "data.histroy", "history"]);
    refused("\"./base\"", "\"./nowhere\"", &["./nowhere"]);
    refused("\"data\"", "\"nowhere\"", &["`nowhere/questions.parquet`", "`prepare` writes it"]);
    // What is asked of the disk comes before what may be asked of the hub.
    refused("\"./base\"\n[data]\nfolder = \"data\"", "\"a/b\"\n[data]\nfolder = \"no\"", &["`no/"]);
    refused("held_out = 6", "template = \"sed\"", &["data.template", "sed"]);
    refused("held_out = 6", "wrapper = \"sed\"", &["wrapper", "chat", "sed"]);
    refused("held_out = 6", "wrapper = \"chat\"", &["data.wrapper"]);
}

#[test]
fn the_files_beside_the_example_are_the_presets() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    for name in RunConfig::PRESETS {
        let found = RunConfig::read(folder.join(format!("{name}.toml"))).unwrap();
        assert_eq!(found, RunConfig::by_name(name).unwrap(), "{name}");
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), RunConfig::PRESETS.len());
}
