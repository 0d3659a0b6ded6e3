//! `answering`: one model, asked in every way of answering.

use std::fs;

use burn::tensor::Device;
use nextcart_adapters::LoraConfig;
use nextcart_eval::{Evaluation, read_predictions};
use nextcart_models::{Checkpoint, save_adapter};

use super::finetune::prepared;
use super::{check_fails, check_succeeds};

const ARGUMENTS: [&str; 7] = ["data", "--model", "base", "--out", "out", "--questions", "6"];

/// The rows of the table, in its order.
const ROWS: [&str; 10] = [
    "likelihood",
    "likelihood, without history",
    "per_token",
    "pmi",
    "constrained",
    "free",
    "letters",
    "letters, without history",
    "yes_no",
    "pairwise",
];

/// The table without the seconds, which are of the run alone.
fn scores(told: &str) -> Vec<String> {
    let rows = told.lines().take_while(|line| !line.is_empty());
    rows.map(|row| row.rsplit_once("  ").unwrap().0.trim_end().to_owned()).collect()
}

#[test]
fn every_way_of_answering_has_a_row_and_what_is_answered_is_not_asked_again() {
    let folder = prepared();
    let here = folder.path();
    let all = [&ARGUMENTS[..], &["--catalogue", "2"]].concat();
    let told = check_succeeds("answering", here, &all);
    let table = scores(&told);
    assert!(table[0].starts_with("name ") && table[0].ends_with("valid"), "{told}");
    assert_eq!(table.len(), 1 + ROWS.len(), "{told}");
    for (row, name) in table[1..].iter().zip(ROWS) {
        assert!(row.starts_with(&format!("{name} ")), "{name} in {told}");
        // An untrained model writes nothing that is an option.
        let valid = if name == "free" { " 0.0 %" } else { " 100.0 %" };
        assert!(row.ends_with(valid), "{name} in {told}");
    }
    assert!(told.contains("Chance is 25.0 %.") && told.contains("n (n - 1) prompts, here 12;"));
    assert!(told.contains("rules that never look at the history"), "{told}");
    assert!(told.contains("items: HR@10 ") && told.contains(", 2 questions, "), "{told}");
    assert!(told.contains(" %), NDCG@10 "), "{told}");

    let found = read_predictions(here.join("out/answering.parquet")).unwrap();
    assert!(found.iter().map(|evaluation| evaluation.name.as_str()).eq(ROWS));
    assert!(found.iter().all(|evaluation| evaluation.n == 6));
    let named = |name: &str| found.iter().find(|evaluation| evaluation.name == name).unwrap();
    assert!(named("free").predictions.iter().all(|it| it.text.is_some() && it.hit == 0.0));
    assert_eq!(named("constrained").valid_ratio(), 1.0);
    // With the history and without it, the model does not find the same.
    let scores_of = |evaluation: &Evaluation| evaluation.predictions[0].scores.clone();
    for name in ["likelihood", "letters"] {
        let blind = named(&format!("{name}, without history"));
        assert_ne!(scores_of(named(name)), scores_of(blind));
    }

    // The seconds are those of the answers, which are kept.
    let again = check_succeeds("answering", here, &ARGUMENTS);
    assert!(told.starts_with(&again), "{again}\n{told}");
    #[cfg(target_os = "linux")]
    if let Some(narrow) = super::on_terminal("answering", here, &ARGUMENTS.join(" "), 60) {
        assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
        assert!(narrow.contains(" % valid, ") && narrow.starts_with("likelihood: "), "{narrow}");
        assert!(narrow.contains("\nlikelihood, without history: "), "{narrow}");
    }
}

/// Relations are not among a question's fields.
#[test]
fn a_template_may_tell_what_training_knows() {
    let folder = prepared();
    let here = folder.path();
    // Such prompts are longer than the texts that the model says it was made for.
    let base = here.join("base/config.json");
    let text = fs::read_to_string(&base).unwrap();
    fs::write(base, text.replace("1024", "2048")).unwrap();
    let told = [&ARGUMENTS[..], &["--template", "item_relations", "--forms", "letters"]].concat();
    let told = check_succeeds("answering", here, &told);
    assert!(scores(&told)[1].starts_with("letters "), "{told}");
}

#[test]
fn an_adapter_is_laid_over_the_model() {
    let folder = prepared();
    let here = folder.path();
    let checkpoint = Checkpoint::open(here.join("base")).unwrap();
    let lora = LoraConfig::new();
    let model = checkpoint.load(&Device::flex()).unwrap().with_adapters(&lora, 1).unwrap();
    save_adapter(here.join("adapter"), &model, &lora, "base").unwrap();
    let forms = ["--forms", "pmi, likelihood"];
    let base = check_succeeds("answering", here, &[&ARGUMENTS[..], &forms].concat());
    assert!(base.lines().nth(1).is_some_and(|row| row.starts_with("pmi ")), "{base}");
    // A fresh adapter changes nothing.
    let adapter = ["--adapter", "adapter", "--out", "tuned"];
    let own = ["data", "--model", "base", "--questions", "6"];
    let tuned = check_succeeds("answering", here, &[&own[..], &forms, &adapter].concat());
    assert_eq!(scores(&tuned), scores(&base));
    // Its answers are not those of the base, for all that is known.
    let mixed = [&ARGUMENTS[..], &forms, &adapter[..2]].concat();
    check_fails("answering", here, &mixed, &["out/answers/pmi/evaluation.json"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on_to_the_same_scores() {
    let folder = prepared();
    let here = folder.path();
    let third = here.join("out/answers/per_token/evaluation.json");
    let stderr = super::interrupt("answering", here, &ARGUMENTS, || third.is_file()).stderr;
    let kept = "what was answered so far is kept; the same command goes on";
    assert!(stderr.contains(kept), "{stderr}");
    assert!(!here.join("out/answering.parquet").exists());

    let resumed = check_succeeds("answering", here, &ARGUMENTS);
    fs::remove_dir_all(here.join("out")).unwrap();
    assert_eq!(scores(&check_succeeds("answering", here, &ARGUMENTS)), scores(&resumed));
}

#[test]
fn an_unknown_form_and_folders_that_are_not_there_are_named() {
    let folder = prepared();
    let fails = |arguments: &[&str], expected: &[&str]| {
        check_fails("answering", folder.path(), arguments, expected);
    };
    let form = [&ARGUMENTS[..], &["--forms", "pmi,leters"]].concat();
    fails(&form, &["--forms", "likelihood, per_token, pmi", "yes_no, pairwise", "found `leters`"]);
    fails(&["nowhere", "--model", "base", "--out", "out"], &["nowhere"]);
    let expected = ["--model: expected the folder of a checkpoint, or an id", "`nowhere`"];
    fails(&["data", "--model", "nowhere", "--out", "out"], &expected);
    fails(&[&ARGUMENTS[..], &["--adapter", "data"]].concat(), &["data/adapter_config.json"]);
    fails(&[&ARGUMENTS[..], &["--template", "sed"]].concat(), &["data.template", "sed"]);
    // Of one candidate at a time, an answer alone cannot be written.
    let pointwise = ["--template", "pointwise", "--forms", "constrained", "--questions", "1"];
    let arguments = [&["data", "--model", "base"], &pointwise[..]].concat();
    let run = super::check("answering", folder.path(), &arguments);
    assert!(!run.success && run.stderr.contains("asks about the whole question"), "{}", run.stderr);
}
