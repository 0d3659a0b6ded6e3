//! The quickstart: a short run, one that is interrupted, and what it refuses.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{check, check_error, command};

/// Names that scripts rely on, in the order of the table.
const NAMES: [&str; 9] = [
    "fine_tuned",
    "base",
    "history_blind",
    "popularity",
    "cooccurrence",
    "text",
    "punctuation_rule",
    "chance",
    "oracle",
];

fn short<'a>(out: &'a str, steps: &'a str) -> Vec<&'a str> {
    let steps = ["--pretraining-steps", "3", "--steps", steps, "--questions", "5", "--out", out];
    steps.to_vec()
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

    // The base model is a checkpoint like any other, until it is damaged.
    let base = out.join("base");
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

fn edit(path: &Path, field: &str, value: Value) {
    let mut json: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    json[field] = value;
    fs::write(path, json.to_string()).unwrap();
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_a_checkpoint_that_ends_in_the_same_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = command("quickstart", folder.path(), &short("stopped", "25"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut lines = lines.skip_while(|line| !line.contains("== Fine-tuning"));
    assert!(lines.any(|line| line.contains("of them trained")));
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let sent = Command::new("kill").args(["-INT", &process.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output = process.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("--resume goes on from there"), "{stderr}");
    let stopped = folder.path().join("stopped");
    assert!(!stopped.join("report.md").exists() && !stopped.join("adapter").exists());

    let resumed = [short("stopped", "25"), vec!["--resume"]].concat();
    assert!(check("quickstart", folder.path(), &resumed).success);
    assert!(check("quickstart", folder.path(), &short("whole", "25")).success);
    let adapter = |run: &str| {
        let file = folder.path().join(run).join("adapter/adapter_model.safetensors");
        fs::read(file).unwrap()
    };
    assert_eq!(adapter("stopped"), adapter("whole"));
}
