//! Questions of a known process: the oracle is above all, and the options alone give nothing away.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use nextcart_data::synthetic::{Corpus, SyntheticConfig};
use nextcart_data::{Dataset, Part, PrepareOptions, Question, prepare};
use nextcart_eval::{
    Chance, CoOccurrence, FnPredictor, Popularity, Predictor, PunctuationRule, TextSimilarity,
    Verdict, audit, compare, evaluate,
};

fn prepared(users: usize) -> (Corpus, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    let config = SyntheticConfig { users, ..SyntheticConfig::default() };
    let corpus = Corpus::generate(&config).unwrap();
    let files = corpus.write(folder.path()).unwrap();
    let out = folder.path().join("out");
    let prepared =
        prepare(&[files.reviews], &[files.meta], out, &PrepareOptions::default()).unwrap();
    (corpus, prepared.load().unwrap())
}

#[test]
fn no_baseline_reaches_the_oracle_and_none_is_far_below_chance() {
    let (corpus, prepared) = prepared(6000);
    let test: Vec<Question> =
        prepared.questions.iter().filter(|q| q.part == Part::Test).cloned().collect();
    let histories = || prepared.histories.iter().map(|history| &history.items);
    let titles = prepared.catalogue.products().map(|product| &product.title);
    let mut oracle = FnPredictor::new("oracle", |question| corpus.oracle(question));
    let oracle = evaluate(&mut oracle, &test).unwrap();

    let expected: f64 = test.iter().map(|q| corpus.oracle(q).into_iter().fold(0.0, f64::max)).sum();
    let expected = expected / test.len() as f64;
    assert!(oracle.low < expected && expected < oracle.high, "{expected}: {:?}", oracle.score());

    let mut accuracy = std::collections::HashMap::new();
    let baselines: [&mut dyn Predictor; 5] = [
        &mut Popularity::fit(histories()),
        &mut CoOccurrence::fit(histories()),
        &mut TextSimilarity::fit(titles),
        &mut PunctuationRule,
        &mut Chance,
    ];
    for baseline in baselines {
        let found = evaluate(baseline, &test).unwrap();
        let lift = compare(&oracle, &found).unwrap();
        assert!(lift.low > 0.0, "{lift:?}");
        accuracy.insert(found.name.clone(), found);
    }
    // Distractors are as popular as targets, so that popularity alone says nothing.
    for name in ["popularity", "punctuation_rule"] {
        let found = &accuracy[name];
        assert!((found.accuracy - 0.25).abs() < 0.05, "{:?}", found.score());
    }
    for name in ["cooccurrence", "text"] {
        assert!(accuracy[name].low > 0.3, "{:?}", accuracy[name].score());
    }
}

#[test]
fn generated_questions_are_clean() {
    // A tenth of the questions are held out, and only these are set against counts of the training part.
    let found = audit(&prepared(15_000).1.questions).unwrap();
    assert_eq!((found.verdict, found.conclusive), (Verdict::Clean, true), "{}", found.explain());
}
