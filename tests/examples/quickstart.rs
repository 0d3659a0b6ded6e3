//! The quickstart: a short run, one that is interrupted, and what it refuses.

use std::{fs, path::Path};

#[cfg(target_os = "linux")]
use nextcart_data::FullCatalogue;
use nextcart_eval::{compare, read_predictions};
use serde_json::{Value, json};

use super::{check, check_error, check_fails, data_folder};

/// Names that scripts rely on, in the order of the table.
const NAMES: [&str; 13] = [
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
    "oracle",
];

fn short<'a>(out: &'a str, steps: &'a str) -> Vec<&'a str> {
    let steps = ["--pretraining-steps", "3", "--steps", steps, "--questions", "5", "--out", out];
    steps.to_vec()
}

/// No model is better than the process that made the shop, but for what so few questions cannot tell.
#[track_caller]
fn check_oracle(run: &Path, questions: usize) {
    let found = read_predictions(run.join("predictions.parquet")).unwrap();
    let named = |name: &str| found.iter().find(|evaluation| evaluation.name == name).unwrap();
    for model in ["fine_tuned", "base", "history_blind"] {
        let lift = compare(named("oracle"), named(model)).unwrap();
        assert!(lift.high >= 0.0 && lift.n == questions, "{lift:?}");
    }
}

#[test]
fn a_short_run_leaves_base_adapter_and_report_and_refuses_what_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let run = check("quickstart", folder.path(), &short("out of it", "2"));
    assert!(run.success, "{}", run.stderr);
    let out = folder.path().join("out of it");

    let metrics: Value =
        serde_json::from_slice(&fs::read(out.join("metrics.json")).unwrap()).unwrap();
    let scores = metrics["scores"].as_array().unwrap();
    let names: Vec<&str> = scores.iter().map(|score| score["name"].as_str().unwrap()).collect();
    assert_eq!(names, NAMES);
    for score in scores {
        let [low, accuracy, high] = ["low", "accuracy", "high"].map(|f| score[f].as_f64().unwrap());
        assert!(0.0 <= low && low <= accuracy && accuracy <= high && high <= 1.0, "{score}");
        assert_eq!(score["n"], 5);
        assert!(run.stdout.contains(score["name"].as_str().unwrap()));
    }
    for file in [
        "report.md",
        "report.html",
        "loss.svg",
        "predictions.parquet",
        "data/manifest.json",
        "data/questions.parquet",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "base/model.safetensors",
    ] {
        assert!(out.join(file).metadata().unwrap().len() > 0, "{file}");
    }

    check_oracle(&out, 5);

    // The base model is a checkpoint like any other, until it is damaged.
    let base = out.join("base");
    let model = ["--model", base.to_str().unwrap(), "--qlora"];
    let run = check("quickstart", folder.path(), &[&short("packed", "1")[..], &model].concat());
    assert!(run.success, "{}", run.stderr);
    assert!(folder.path().join("packed/adapter/adapter_config.json").is_file());
    assert!(!folder.path().join("packed/base").exists());

    // With a model, what lies in the folder may have taken hours.
    let again = [&short("out of it", "1")[..], &model].concat();
    let refused = ["`out of it/adapter` is there: --overwrite replaces it, or name another --out"];
    check_fails("quickstart", folder.path(), &again, &refused);
    fs::remove_dir_all(out.join("adapter")).unwrap();
    check_fails("quickstart", folder.path(), &again, &["`out of it/checkpoints` is there"]);
    // A run that reads its base from the folder it writes to keeps it.
    let run = check("quickstart", folder.path(), &[&again[..], &["--overwrite"]].concat());
    assert!(run.success && base.join("model.safetensors").is_file(), "{}", run.stderr);
    check_fails("quickstart", folder.path(), &again, &["is there: --resume goes on, --overwrite"]);
    // A run without a model does not replace it either.
    check_fails("quickstart", folder.path(), &short("out of it", "1"), &refused);
    // And none removes what the quickstart did not make.
    for own in ["adapter/notes.txt", "checkpoints/mine"] {
        fs::write(out.join(own), "by hand").unwrap();
        let overwriting = [short("out of it", "1"), vec!["--overwrite"]].concat();
        let expected = [format!("`out of it/{own}` is not the quickstart's"), "move it".to_owned()];
        let expected = expected.each_ref().map(String::as_str);
        check_fails("quickstart", folder.path(), &overwriting, &expected);
        fs::remove_file(out.join(own)).unwrap();
    }

    let narrow = check("quickstart", folder.path(), &["--bf16", "--out", "other"]);
    assert!(
        narrow.code == Some(2) && narrow.stderr.contains("--model <MODEL>"),
        "{}",
        narrow.stderr
    );
    check_fails(
        "quickstart",
        folder.path(),
        &["--resume", "--out", "other"],
        &["nothing to resume: `other/checkpoints` is missing", "leave --resume out"],
    );
    // Files before the model, which may have to be fetched.
    let files = ["--reviews", "absent", "--meta", "absent", "--model", "./nowhere"];
    check_fails("quickstart", folder.path(), &files, &["cannot read `absent`: No such file"]);
    let missing = check("quickstart", folder.path(), &["--model", "./nowhere"]);
    check_error(&missing, &["--model: expected the folder", "cannot access", "./nowhere"]);
    let refused = |expected: &[&str]| {
        let model = base.to_str().unwrap();
        let run = check("quickstart", folder.path(), &["--model", model, "--out", "other"]);
        assert!(!run.success);
        check_error(&run, expected);
        assert!(!folder.path().join("other").exists());
    };
    edit(&base.join("config.json"), "intermediate_size", json!(512));
    refused(&["base", "model.layers.0.mlp.down_proj.weight", "expected shape", "512", "found"]);
    edit(&base.join("config.json"), "intermediate_size", json!(768));
    edit(&base.join("config.json"), "vocab_size", json!(100));
    refused(&["base", "model.embed_tokens.weight", "expected shape [100,", "found"]);
}

#[cfg(target_os = "linux")]
#[test]
fn the_small_run_is_repeated_at_will_and_ends_on_a_terminal_with_what_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    assert!(check("quickstart", folder.path(), &short("shop", "1")).success);
    let again = short("shop", "1").join(" ");
    let Some(text) = super::on_terminal("quickstart", folder.path(), &again, 100) else { return };
    let next = text.trim_end().lines().last().unwrap();
    let next = next.strip_prefix("next: cargo run --release --example recommend -- ").unwrap();
    let next: Vec<&str> = next.split(' ').collect();
    let expected = ["--model", "shop/base", "--adapter", "shop/adapter", "--data", "shop/data"];
    assert_eq!(next, expected);
    let bought = FullCatalogue::read(folder.path().join("shop/data")).unwrap();
    fs::write(folder.path().join("bought.txt"), &bought.products()[0].title).unwrap();
    let recommended = [&next[..], &["--history", "bought.txt"]].concat();
    super::check_succeeds("recommend", folder.path(), &recommended);
}

fn edit(path: &Path, field: &str, value: Value) {
    let mut json: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    json[field] = value;
    fs::write(path, json.to_string()).unwrap();
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_a_checkpoint_that_ends_in_the_same_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("stopped/checkpoints/fine-tuning/checkpoint-50");
    let arguments = short("stopped", "70");
    let stderr =
        super::interrupt("quickstart", folder.path(), &arguments, || checkpoint.is_dir()).stderr;
    assert!(stderr.contains("--resume goes on from there"), "{stderr}");
    let stopped = folder.path().join("stopped");
    assert!(!stopped.join("report.md").exists() && !stopped.join("adapter").exists());

    let resumed = [short("stopped", "70"), vec!["--resume"]].concat();
    assert!(check("quickstart", folder.path(), &resumed).success);
    let mut whole = short("whole", "70");
    whole[5] = "40"; // questions: the oracle is set beside a model that has learnt something
    assert!(check("quickstart", folder.path(), &whole).success);
    check_oracle(&folder.path().join("whole"), 40);
    let adapter = |run: &str| {
        let file = folder.path().join(run).join("adapter/adapter_model.safetensors");
        fs::read(file).unwrap()
    };
    assert_eq!(adapter("stopped"), adapter("whole"));
}

#[test]
fn real_reviews_take_the_same_path() {
    let Some(data) = data_folder() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| data.join("gift_cards").join(name).to_str().unwrap().to_owned();
    let (reviews, meta) = (file("Gift_Cards_5.json.gz"), file("meta_Gift_Cards.json.gz"));
    let real = vec!["--reviews", reviews.as_str(), "--meta", meta.as_str()];
    let run = check("quickstart", folder.path(), &[short("gift cards", "2"), real].concat());
    assert!(run.success, "{}", run.stderr);

    let out = folder.path().join("gift cards");
    let metrics: Value =
        serde_json::from_slice(&fs::read(out.join("metrics.json")).unwrap()).unwrap();
    let scores = metrics["scores"].as_array().unwrap();
    let names: Vec<&str> = scores.iter().map(|score| score["name"].as_str().unwrap()).collect();
    // Nobody knows the best possible answer to real questions.
    assert_eq!(names, NAMES[..12]);
    let manifest: Value =
        serde_json::from_slice(&fs::read(out.join("data/manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["reviews"]["read"], 2972);
    assert_eq!(manifest["histories"]["users"], 422);
}
