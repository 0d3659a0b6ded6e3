//! Generated files look like the real ones, and the oracle knows what it claims to know.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::Path,
};

use nextcart_data::{
    Dataset, Distractors, Part, PrepareOptions, Question, prepare,
    source::Reason,
    synthetic::{Corpus, CorpusFiles, SyntheticConfig},
};
use serde_json::Value;

use crate::common::{data_folder, lines};

fn generate(config: &SyntheticConfig) -> (tempfile::TempDir, Corpus, CorpusFiles) {
    let folder = tempfile::tempdir().unwrap();
    let corpus = Corpus::generate(config).unwrap();
    let files = corpus.write(folder.path().join("raw")).unwrap();
    (folder, corpus, files)
}

fn prepared(config: &SyntheticConfig, options: &PrepareOptions) -> (Corpus, Dataset) {
    let (folder, corpus, files) = generate(config);
    let out = folder.path().join("out");
    let prepared = prepare(&[files.reviews], &[files.meta], out, options).unwrap();
    let prepared = prepared.load().unwrap();
    (corpus, prepared)
}

/// Rows of a file; lines that are no JSON are left out.
fn parsed(path: &Path) -> Vec<Value> {
    lines(path).iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The JSON types that each field has.
fn types(rows: &[Value]) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut types: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for (field, value) in rows.iter().flat_map(|row| row.as_object().unwrap()) {
        types.entry(field.clone()).or_default().insert(match value {
            Value::Null => "null",
            Value::Bool(_) => "flag",
            Value::Number(_) => "number",
            Value::String(_) => "text",
            Value::Array(_) => "list",
            Value::Object(_) => "object",
        });
    }
    types
}

#[test]
fn the_files_have_the_fields_and_types_of_the_real_ones() {
    let Some(data) = data_folder() else { return };
    let (_folder, _, files) = generate(&SyntheticConfig::default());
    for (generated, real) in [
        (files.reviews, "gift_cards/Gift_Cards_5.json.gz"),
        (files.meta, "magazine/meta_Magazine_Subscriptions.json.gz"),
    ] {
        let (generated, real) = (types(&parsed(&generated)), types(&parsed(&data.join(real))));
        assert_eq!(generated.keys().collect::<Vec<_>>(), real.keys().collect::<Vec<_>>());
        for (field, found) in &generated {
            assert!(found.is_subset(&real[field]), "{field}: {found:?} and not {:?}", real[field]);
        }
    }
}

#[test]
fn reviews_hold_every_oddity_of_the_real_ones() {
    let (_folder, _, files) = generate(&SyntheticConfig::default());
    let rows = parsed(&files.reviews);
    let share = |holds: &dyn Fn(&Value) -> bool| {
        rows.iter().filter(|row| holds(row)).count() as f64 / rows.len() as f64
    };
    for field in [
        "overall",
        "verified",
        "reviewTime",
        "reviewerID",
        "asin",
        "reviewerName",
        "summary",
        "unixReviewTime",
    ] {
        assert!(rows.iter().all(|row| row.get(field).is_some()), "{field}");
    }
    for (field, expected) in
        [("vote", 0.07), ("style", 0.3), ("image", 0.02), ("reviewText", 0.998)]
    {
        let found = share(&|row| row.get(field).is_some());
        assert!((found - expected).abs() < 0.01 && found < 1.0, "{field}: {found}");
    }
    assert!(share(&|row| row["verified"] == false) > 0.01);
    assert!(rows.iter().any(|row| row["vote"].as_str().is_some_and(|vote| vote.contains(','))));
    // Ties: several purchases of a user on one day.
    let mut days: HashMap<(&str, i64), HashSet<&str>> = HashMap::new();
    for row in rows.iter().filter(|row| row["verified"] == true) {
        let key = (row["reviewerID"].as_str().unwrap(), row["unixReviewTime"].as_i64().unwrap());
        days.entry(key).or_default().insert(row["asin"].as_str().unwrap());
    }
    let tied = days.values().filter(|items| items.len() > 1).count();
    assert!(tied > days.len() / 10, "{tied} of {}", days.len());
    // Later reviews of an item bought before.
    let pairs = |rows: &[Value]| -> usize {
        let pairs: HashSet<(String, String)> = rows
            .iter()
            .map(|row| (row["reviewerID"].to_string(), row["asin"].to_string()))
            .collect();
        pairs.len()
    };
    assert!(pairs(&rows) + 300 < rows.len());
}

#[test]
fn metadata_holds_every_oddity_of_the_real_ones() {
    let (_folder, _, files) = generate(&SyntheticConfig::default());
    let rows = parsed(&files.meta);
    let any = |field: &str, holds: &dyn Fn(&str) -> bool| {
        rows.iter().any(|row| row[field].as_str().is_some_and(holds))
    };
    assert!(any("title", &|title| title.contains("&amp;") && !title.contains("&amp;amp;")));
    assert!(any("title", &|title| title.contains("&amp;amp;")));
    assert!(any("title", &|title| title.contains("&#39;")));
    assert!(any("title", &|title| title.starts_with("<span id=\"productTitle\"")));
    assert!(any("title", &|title| title == "<span class=\"a-size-medium a-color-secondary\""));
    assert!(any("title", &|title| title.contains("getTime()")));
    assert!(any("title", &str::is_empty));
    assert!(any("brand", &|brand| brand.starts_with("by\n")));
    assert!(any("price", &str::is_empty));
    assert!(any("price", &|price| price.contains("<script")));
    assert!(any("price", &|price| price.contains("a-box-inner")));
    assert!(any("price", &|price| price.starts_with('$')));
    assert!(rows.iter().any(|row| row["rank"].is_array()));
    assert!(rows.iter().any(|row| row["rank"].is_string()));
    assert!(rows.iter().all(|row| row["main_cat"] == "Grocery"));
    assert!(rows.iter().any(|row| !row["also_buy"].as_array().unwrap().is_empty()));
    let asins: HashSet<&str> = rows.iter().map(|row| row["asin"].as_str().unwrap()).collect();
    assert!(asins.len() < rows.len(), "no row stands twice");
}

#[test]
fn preparing_removes_the_noise_and_nothing_else() {
    let config = SyntheticConfig { broken_lines: 9, seed: 4, ..SyntheticConfig::default() };
    let (folder, corpus, files) = generate(&config);
    let copies = |path: &Path| {
        let mut seen = HashSet::new();
        lines(path).into_iter().filter(|line| !seen.insert(line.clone())).count() as u64
    };
    let (review_copies, row_copies) = (copies(&files.reviews), copies(&files.meta));
    assert!(review_copies > 200 && row_copies > 0, "{review_copies}, {row_copies}");
    let out = folder.path().join("out");
    let prepared =
        prepare(&[files.reviews], &[files.meta], out, &PrepareOptions::default()).unwrap();
    let prepared = prepared.load().unwrap();
    let manifest = &prepared.manifest;
    assert_eq!(
        manifest.reviews.reasons,
        BTreeMap::from([(Reason::BrokenJson, 9), (Reason::Duplicate, review_copies)])
    );
    let items = &manifest.items;
    assert_eq!(items.lines.reasons[&Reason::BrokenJson], 9);
    assert_eq!(items.lines.kept, (config.items + config.junk_rows) as u64);
    assert_eq!(items.titled, config.items as u64);
    let tally = &manifest.histories;
    assert_eq!((tally.users, tally.interactions), (config.users as u64, corpus.purchases()));
    assert_eq!(tally.dropped.untitled_item + tally.dropped.unknown_item, 0);
    assert!(
        tally.dropped.unverified > 0
            && tally.dropped.repeat > 0
            && 10 * tally.ties > tally.interactions
    );
    for product in prepared.catalogue.products() {
        assert!(!product.title.contains("&amp;") && !product.title.contains("&#39;"));
        assert!(!product.title.contains('<') && product.brand.is_some(), "{product:?}");
    }
}

/// How far the oracle's hits are from what it expects, in standard deviations: of all candidates with a
/// probability within each fifth, of its choices, and of the logarithm of the target's popularity. The
/// last tells a wrong weight for popularity, which evens out in the others.
fn deviations<'a>(
    questions: impl Iterator<Item = &'a Question>,
    popularity: &HashMap<&str, f64>,
    oracle: impl Fn(&Question) -> Vec<f64>,
) -> [f64; 7] {
    let (mut expected, mut found, mut variance) = ([0.0; 7], [0.0; 7], [0.0; 7]);
    for question in questions {
        let posterior = oracle(question);
        assert!((posterior.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{posterior:?}");
        let best = (0..posterior.len()).max_by(|a, b| posterior[*a].total_cmp(&posterior[*b]));
        let best = best.unwrap();
        let mut count = |row: usize, place: usize| {
            let p = posterior[place];
            expected[row] += p;
            variance[row] += p * (1.0 - p);
            found[row] += f64::from(u8::from(place == question.answer));
        };
        for (place, p) in posterior.iter().enumerate() {
            count(((p * 5.0) as usize).min(4), place);
        }
        count(5, best);
        let logarithms: Vec<f64> = question
            .candidates
            .iter()
            .map(|product| popularity[product.item.as_str()].ln())
            .collect();
        let mean = |power| -> f64 {
            posterior.iter().zip(&logarithms).map(|(p, value)| p * value.powi(power)).sum()
        };
        expected[6] += mean(1);
        variance[6] += mean(2) - mean(1).powi(2);
        found[6] += logarithms[question.answer];
    }
    std::array::from_fn(|row| (found[row] - expected[row]) / variance[row].sqrt().max(1.0))
}

/// Purchases of each item in training.
fn popularity(prepared: &Dataset) -> HashMap<&str, f64> {
    let mut popularity = HashMap::new();
    for item in prepared.histories.iter().flat_map(|history| &history.items) {
        *popularity.entry(item.as_str()).or_default() += 1.0;
    }
    popularity
}

#[track_caller]
fn check_calibrated(deviations: [f64; 7]) {
    assert!(deviations.iter().all(|deviation| deviation.abs() < 4.0), "{deviations:?}");
}

#[test]
fn the_oracle_is_as_often_right_as_it_says() {
    let config = SyntheticConfig { users: 8000, seed: 11, ..SyntheticConfig::default() };
    let (corpus, prepared) = prepared(&config, &PrepareOptions::default());
    let of = |part| prepared.questions.iter().filter(move |question| question.part == part);
    assert!(of(Part::Test).count() > 1000);
    let popularity = popularity(&prepared);
    for part in [Part::Train, Part::Validation, Part::Test] {
        check_calibrated(deviations(of(part), &popularity, |question| corpus.oracle(question)));
    }
    // The check is sharp: weights for another way to draw distractors do not pass it.
    let wrong = deviations(of(Part::Train), &popularity, |question| {
        corpus.oracle_for(question, Distractors::Uniform)
    });
    assert!(wrong.iter().any(|deviation| deviation.abs() > 8.0), "{wrong:?}");
}

#[test]
fn the_oracle_knows_uniform_distractors_too() {
    let config = SyntheticConfig { users: 8000, seed: 12, ..SyntheticConfig::default() };
    let options =
        PrepareOptions { distractors: Distractors::Uniform, candidates: 6, ..Default::default() };
    let (corpus, prepared) = prepared(&config, &options);
    let test = prepared.questions.iter().filter(|question| question.part == Part::Test);
    check_calibrated(deviations(test, &popularity(&prepared), |question| {
        corpus.oracle_for(question, Distractors::Uniform)
    }));
}

#[test]
fn the_oracle_treats_what_it_does_not_know_alike() {
    let (corpus, prepared) = prepared(&SyntheticConfig::tiny(), &PrepareOptions::default());
    let mut question = prepared.questions[0].clone();
    question.candidates[1].item = "unknown".into();
    assert_eq!(corpus.oracle(&question)[1], 0.0);
    question.candidates.iter_mut().for_each(|product| product.item = "unknown".into());
    assert_eq!(corpus.oracle(&question), [0.25; 4]);
    let timeless = Question { time: None, ..prepared.questions[0].clone() };
    assert_eq!(corpus.oracle(&timeless), [0.25; 4]);
}

#[test]
fn the_seed_decides_all() {
    let config = SyntheticConfig::tiny();
    let lines_of = |config: &SyntheticConfig| {
        let (_folder, _, files) = generate(config);
        (lines(&files.reviews), lines(&files.meta))
    };
    let first = lines_of(&config);
    assert_eq!(first, lines_of(&config));
    let (reviews, meta) = lines_of(&SyntheticConfig { seed: 1, ..config });
    assert_ne!(first.0, reviews);
    assert_ne!(first.1, meta);
}
