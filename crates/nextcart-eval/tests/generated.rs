//! Questions of a known process: the oracle is above all, and the options alone give nothing away.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use burn::tensor::Device;
use nextcart_data::synthetic::{Corpus, SyntheticConfig};
use nextcart_data::{Dataset, Part, PrepareOptions, Question, prepare};
use nextcart_eval::{
    Blend, Bm25Options, CatalogueRanker, Chance, CoOccurrence, FnPredictor, Interactions, ItemKnn,
    ItemKnnOptions, Markov, MarkovOptions, Popularity, Predictor, PunctuationRule, Random,
    RecencyOptions, RecentPopularity, SasRec, SasRecConfig, Stack, TextIndex, TextSimilarity,
    Verdict, audit, classical_rankers, compare, evaluate, full_ranking,
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

/// Those that are fitted on training histories and rank the catalogue.
fn rankers(data: &Dataset) -> Vec<Box<dyn CatalogueRanker>> {
    let histories = || data.histories.iter().map(|history| &history.items);
    let training = Interactions::new(histories());
    let validation: Vec<Question> =
        data.questions.iter().filter(|q| q.part == Part::Validation).cloned().collect();
    let known = |item: &str| training.items().position(item).is_some();
    let bought = || data.catalogue.products().filter(|product| known(&product.item));
    let knn = ItemKnn::fit(&training, ItemKnnOptions::default()).unwrap();
    let text = TextIndex::tf_idf(bought());
    let sasrec = SasRecConfig::new().with_d_model(32).with_max_epochs(6);
    let device = Device::flex();
    let parts = classical_rankers(data, ItemKnnOptions::default()).unwrap();
    vec![
        Box::new(Random::fit(&training, 0)),
        Box::new(Popularity::fit(histories())),
        Box::new(RecentPopularity::fit(&data.histories, RecencyOptions::default()).unwrap()),
        Box::new(CoOccurrence::fit(histories())),
        Box::new(Markov::fit(&training, MarkovOptions::default()).unwrap()),
        Box::new(TextIndex::bm25(bought(), Bm25Options::default()).unwrap()),
        Box::new(Blend::fit("knn_text", knn.clone(), text.clone(), &validation).unwrap()),
        Box::new(knn),
        Box::new(text),
        Box::new(SasRec::fit(&data.histories, &validation, &sasrec, &device).unwrap()),
        Box::new(Stack::fit("stack", parts, &validation).unwrap()),
    ]
}

#[test]
fn no_ranker_beats_the_oracle_and_all_that_look_at_the_history_beat_chance() {
    let (corpus, data) = prepared(6000);
    let test: Vec<Question> =
        data.questions.iter().filter(|q| q.part == Part::Test).cloned().collect();
    let mut oracle = FnPredictor::new("oracle", |question| corpus.oracle(question));
    let oracle = evaluate(&mut oracle, &test).unwrap();
    let blind = ["random", "popularity", "recent_popularity"];
    let mut random = None;
    for mut ranker in rankers(&data) {
        let found = evaluate(&mut ranker, &test).unwrap();
        let lift = compare(&oracle, &found).unwrap();
        assert!(lift.low > 0.0, "{lift:?}");
        let looks = !blind.contains(&&*found.name);
        assert_eq!(found.low > 0.27, looks, "{:?}", found.score());
        let ranking = full_ranking(&mut *ranker, &test, &data.histories, 10).unwrap();
        let random = random.get_or_insert_with(|| ranking.clone());
        assert!(ranking.ndcg >= random.ndcg, "{ranking:?} {random:?}");
        if looks {
            assert!(ranking.ndcg_interval[0] > random.ndcg_interval[1], "{ranking:?}");
        }
    }
}

#[test]
fn generated_questions_are_clean() {
    // A tenth of the questions are held out, and only these are set against counts of the training part.
    let found = audit(&prepared(15_000).1.questions).unwrap();
    assert_eq!((found.verdict, found.conclusive), (Verdict::Clean, true), "{}", found.explain());
}
