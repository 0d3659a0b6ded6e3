//! Against numbers made by scikit-learn, numpy and torchmetrics.
//!
//! `NEXTCART_REFERENCE` names the folder; every shape, seed, name and number is read from it.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;

use nextcart_metrics::{
    Average, Binning, Gain, Rank, SplitMix64, TieRule, accuracy, bootstrap_mean, bootstrap_means,
    brier, exact_match, expected_calibration_error, hit_rate_at_k, maximum_calibration_error,
    mean_ndcg_at_k, mean_reciprocal_rank, ndcg_at_k, negative_log_likelihood, paired_permutation,
    precision_recall_f1, wilson,
};
use nextcart_metrics::{
    Sensitivity, bootstrap_clustered, detectable_difference, detectable_paired_difference, holm,
    mcnemar_exact, mean_auc, roc_auc,
};
use serde_json::Value;

const TOLERANCE: f64 = 1e-9;

/// The folder a variable names; `None` with a note if it is not set.
fn folder(variable: &str) -> Option<PathBuf> {
    let Some(path) = std::env::var_os(variable) else {
        // Straight to the terminal: what a passing test prints would not be shown.
        let note = format!("skipped: {variable} is not set\n");
        std::io::stderr().write_all(note.as_bytes()).unwrap();
        return None;
    };
    let path = PathBuf::from(path);
    assert!(path.is_dir(), "{variable} names `{}`, which is no folder", path.display());
    Some(path)
}

fn golden(name: &str) -> Option<Value> {
    let path = folder("NEXTCART_REFERENCE")?.join("metrics").join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", path.display()));
    Some(serde_json::from_str(&text).unwrap())
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn size(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

#[track_caller]
fn close(what: &str, found: f64, expected: &Value) {
    let expected = expected.as_f64().unwrap_or_else(|| panic!("{what}: no golden number"));
    assert!((found - expected).abs() <= TOLERANCE, "{what}: {found} is not {expected}");
}

#[track_caller]
fn check_classification<T: Ord + AsRef<str>>(truth: &[T], predicted: &[T], expected: &Value) {
    assert_eq!(truth.len(), size(&expected["rows"]));
    close("accuracy", accuracy(truth, predicted).unwrap().unwrap(), &expected["accuracy"]);
    close("match", exact_match(truth, predicted).unwrap().unwrap(), &expected["exact_match"]);
    let averages =
        [("micro", Average::Micro), ("macro", Average::Macro), ("weighted", Average::Weighted)];
    for (name, average) in averages {
        let found = precision_recall_f1(truth, predicted, average).unwrap().unwrap();
        close(name, found.precision, &expected[name]["precision"]);
        close(name, found.recall, &expected[name]["recall"]);
        close(name, found.f1, &expected[name]["f1"]);
    }
}

#[test]
fn golden_classification_equals_scikit_learn() {
    let Some(golden) = golden("classification.json") else { return };
    let mut cases = 0;
    for case in golden.as_object().unwrap().values() {
        // Cases without their own truth are over the seed project's outputs, see below.
        let Some(truth) = case.get("truth") else { continue };
        check_classification(&strings(truth), &strings(&case["pred"]), &case["metrics"]);
        cases += 1;
    }
    assert!(cases > 0, "no case with truth and predictions");
}

/// Truth and answer of the seed project's published model.
fn seed_outputs() -> Option<(Vec<String>, Vec<String>)> {
    let path = folder("NEXTCART_DATA")?.join("seed").join("test_outputs.jsonl.gz");
    let file = std::fs::File::open(&path)
        .unwrap_or_else(|error| panic!("cannot open `{}`: {error}", path.display()));
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    let rows = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Some(rows.map(|row| (text(&row["truth"]), text(&row["generated"]))).unzip())
}

#[test]
fn golden_seed_outputs_equal_scikit_learn() {
    let Some(golden) = golden("classification.json") else { return };
    let Some((truth, predicted)) = seed_outputs() else { return };
    let mut cases = 0;
    for (name, expected) in golden.as_object().unwrap() {
        if name == "full" || name.starts_with("first_") {
            let rows = size(&expected["rows"]);
            check_classification(&truth[..rows], &predicted[..rows], expected);
            cases += 1;
        }
    }
    assert!(cases > 0, "no case over the seed project's outputs");
}

#[test]
fn the_figures_of_the_seed_outputs_are_those_that_are_quoted() {
    let Some((truth, predicted)) = seed_outputs() else { return };
    let figures = precision_recall_f1(&truth, &predicted, Average::Weighted).unwrap().unwrap();
    let found = [
        accuracy(&truth, &predicted).unwrap().unwrap(),
        figures.precision,
        figures.recall,
        figures.f1,
    ];
    let rounded = found.map(|share| format!("{share:.5}"));
    assert_eq!(truth.len(), 2479);
    assert_eq!(rounded, ["0.98507", "0.98568", "0.98507", "0.98529"]);
}

#[test]
fn golden_ranking_equals_every_tie_rule() {
    let Some(golden) = golden("ranking.json") else { return };
    let single = &golden["single"];
    let targets: Vec<usize> = single["target"].as_array().unwrap().iter().map(size).collect();
    let rows = |value: &Value| -> Vec<Vec<f64>> {
        value.as_array().unwrap().iter().map(numbers).collect()
    };
    let ranks = |scores: &[Vec<f64>]| -> Vec<Rank> {
        let pairs = scores.iter().zip(&targets);
        pairs.map(|(scores, &target)| Rank::of(scores, target).unwrap()).collect()
    };
    let rules: BTreeMap<&str, TieRule> = [
        ("optimistic", TieRule::Optimistic),
        ("pessimistic", TieRule::Pessimistic),
        ("by_index", TieRule::ByIndex),
        ("expected", TieRule::Expected),
    ]
    .into();

    let check = |ranks: &[Rank], rule: TieRule, expected: &Value| {
        for (name, number) in expected.as_object().unwrap() {
            let found = match name.split_once('@') {
                None => mean_reciprocal_rank(ranks, rule),
                Some(("hr", k)) => hit_rate_at_k(ranks, k.parse().unwrap(), rule),
                Some((_, k)) => mean_ndcg_at_k(ranks, k.parse().unwrap(), rule),
            };
            close(&format!("{rule:?} {name}"), found.unwrap(), number);
        }
    };
    let tied = ranks(&rows(&single["scores"]));
    for (name, expected) in single["mean"].as_object().unwrap() {
        check(&tied, rules[name.as_str()], expected);
    }
    for (rank, query) in tied.iter().zip(single["first_5_queries"].as_array().unwrap()) {
        for (name, expected) in query.as_object().unwrap() {
            check(&[*rank], rules[name.as_str()], expected);
        }
    }
    // Without ties every rule must agree with torchmetrics.
    let untied = ranks(&rows(&golden["no_ties"]["permutation_scores_x7"]));
    for &rule in rules.values() {
        check(&untied, rule, &golden["no_ties"]["mean"]);
    }

    let relevance = rows(&golden["graded"]["relevance"]);
    let scores = rows(&single["scores"]);
    for (name, expected) in golden["graded"]["mean"].as_object().unwrap() {
        let (name, k) = name.split_once('@').unwrap();
        let (gain, rule) = name.strip_prefix("ndcg_").unwrap().split_once('_').unwrap();
        let gain = if gain == "linear" { Gain::Linear } else { Gain::Exponential };
        let k = k.parse().unwrap();
        let queries = scores.iter().zip(&relevance);
        // The golden mean counts a query without a relevant item as 0.
        let each = queries.map(|(scores, relevance)| {
            ndcg_at_k(scores, relevance, k, gain, rules[rule]).unwrap().unwrap_or(0.0)
        });
        close(name, each.sum::<f64>() / scores.len() as f64, expected);
    }
}

fn outcomes(value: &Value) -> Vec<bool> {
    value.as_array().unwrap().iter().map(|bit| bit.as_u64() == Some(1)).collect()
}

#[test]
fn golden_calibration_equals_numpy() {
    let Some(golden) = golden("calibration.json") else { return };
    let (p, ok) = (numbers(&golden["confidence"]), outcomes(&golden["correct"]));
    let bins = size(&golden["bins"]);
    let ece = |binning| expected_calibration_error(&p, &ok, bins, binning).unwrap().unwrap();
    let mce = maximum_calibration_error(&p, &ok, bins, Binning::EqualWidth).unwrap().unwrap();
    close("ECE, equal width", ece(Binning::EqualWidth), &golden["ece_equal_width"]);
    close("ECE, equal mass", ece(Binning::EqualMass), &golden["ece_equal_mass"]);
    close("MCE, equal width", mce, &golden["mce_equal_width"]);
    close("Brier", brier(&p, &ok).unwrap().unwrap(), &golden["brier"]);
    let clips = golden.as_object().unwrap().iter();
    for (clip, expected) in clips.filter_map(|(k, v)| Some((k.strip_prefix("nll_clip_")?, v))) {
        let found = negative_log_likelihood(&p, &ok, clip.parse().unwrap());
        close("NLL", found.unwrap().unwrap(), expected);
    }
}

#[track_caller]
fn check_bootstrap(values: &[f64], expected: &Value) {
    assert_eq!(values.len(), size(&expected["n"]));
    let (replicates, seed) = (size(&expected["replicates"]), expected["seed"].as_u64().unwrap());
    let means = bootstrap_means(values, replicates, seed).unwrap();
    for (found, expected) in means.iter().zip(expected["first_5_replicates"].as_array().unwrap()) {
        close("replicate", *found, expected);
    }
    let found = bootstrap_mean(values, replicates, 0.95, seed).unwrap().unwrap();
    close("mean", found.mean, &expected["mean"]);
    close("low", found.interval.low, &expected["ci95"][0]);
    close("high", found.interval.high, &expected["ci95"][1]);
    close("standard error", found.standard_error.unwrap(), &expected["std_error"]);
    let hits = expected["k"].as_f64().unwrap();
    let interval = wilson(hits, values.len(), 0.95).unwrap().unwrap();
    close("Wilson low", interval.low, &expected["wilson95"][0]);
    close("Wilson high", interval.high, &expected["wilson95"][1]);
}

fn indicator(hits: impl IntoIterator<Item = bool>) -> Vec<f64> {
    hits.into_iter().map(|hit| if hit { 1.0 } else { 0.0 }).collect()
}

#[test]
fn golden_bootstrap_wilson_and_permutation_equal_numpy() {
    let Some(golden) = golden("bootstrap.json") else { return };
    let Some(calibration) = self::golden("calibration.json") else { return };
    let correct = indicator(outcomes(&calibration["correct"]));
    check_bootstrap(&correct, &golden["calibration_correct"]);

    let paired = &golden["paired_permutation"];
    let other = indicator(outcomes(&paired["other_correct"]));
    let (permutations, seed) = (size(&paired["replicates"]), paired["seed"].as_u64().unwrap());
    let found = paired_permutation(&correct, &other, permutations, seed).unwrap();
    assert_eq!(found.at_least_as_large, size(&paired["count_ge"]));
    close("sum of differences", found.difference, &paired["sum_difference"]);
    close("p", found.p, &paired["p"]);

    let mut random = SplitMix64::new(golden["calibration_correct"]["seed"].as_u64().unwrap());
    for expected in strings(&golden["splitmix64_first_4"]) {
        assert_eq!(random.next_u64().to_string(), expected);
    }
}

#[test]
fn golden_bootstrap_of_the_seed_outputs_equals_numpy() {
    let Some(golden) = golden("bootstrap.json") else { return };
    let Some(expected) = golden.get("seed_project_exact_match") else { return };
    let Some((truth, predicted)) = seed_outputs() else { return };
    check_bootstrap(&indicator(truth.iter().zip(&predicted).map(|(t, p)| t == p)), expected);
}

/// `tests/golden/statistics.json` was made by the script beside it.
#[test]
fn golden_statistics_equal_scikit_learn_and_scipy() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/statistics.json");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let array = |value: &Value| value.as_array().unwrap().clone();

    let auc = &golden["auc"];
    let relevant = outcomes(&auc["relevant"]);
    let found = roc_auc(&numbers(&auc["scores"]), &relevant, TieRule::Expected).unwrap();
    close("AUC", found.unwrap(), &auc["roc_auc"]);
    let queries = array(&auc["queries"]);
    let ranks: Vec<Rank> = queries
        .iter()
        .map(|query| Rank::of(&numbers(&query["scores"]), size(&query["target"])).unwrap())
        .collect();
    for (rank, query) in ranks.iter().zip(&queries) {
        close("AUC of a query", rank.auc(TieRule::Expected).unwrap(), &query["roc_auc"]);
    }
    let found = mean_auc(&ranks, TieRule::Expected).unwrap();
    close("mean AUC", found, &auc["mean_roc_auc"]);

    for case in array(&golden["holm"]) {
        let adjusted = holm(&numbers(&case["p"])).unwrap();
        for (found, expected) in adjusted.into_iter().zip(case["adjusted"].as_array().unwrap()) {
            close("Holm", found, expected);
        }
    }
    for case in array(&golden["mcnemar"]) {
        let (b, c) = (size(&case["first_only"]), size(&case["second_only"]));
        let first: Vec<bool> = (0..b + c).map(|i| i < b).collect();
        let second: Vec<bool> = first.iter().map(|hit| !hit).collect();
        close("McNemar", mcnemar_exact(&first, &second).unwrap().p, &case["p"]);
    }
    for case in array(&golden["detectable"]) {
        let number = |name: &str| case[name].as_f64().unwrap();
        let asked = Sensitivity { confidence: number("confidence"), power: number("power") };
        let n = size(&case["n"]);
        let found = detectable_difference(n, number("share"), asked).unwrap();
        close("unpaired", found.unwrap(), &case["unpaired"]);
        let found = detectable_paired_difference(n, number("disagreement"), asked).unwrap();
        close("paired", found.unwrap(), &case["paired"]);
    }
    let case = &golden["clustered"];
    let clusters: Vec<usize> = array(&case["clusters"]).iter().map(size).collect();
    let (replicates, seed) = (size(&case["replicates"]), case["seed"].as_u64().unwrap());
    let values = numbers(&case["values"]);
    let found = bootstrap_clustered(&values, &clusters, replicates, 0.95, seed).unwrap().unwrap();
    close("mean", found.mean, &case["mean"]);
    close("low", found.interval.low, &case["ci95"][0]);
    close("high", found.interval.high, &case["ci95"][1]);
    close("standard error", found.standard_error.unwrap(), &case["std_error"]);
}
