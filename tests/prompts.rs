//! Real questions through every template, to samples.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use nextcart_data::synthetic::{Corpus, SyntheticConfig};
use nextcart_data::{
    ContextOptions, Contexts, IngestOptions, Part, PrepareOptions, Question, RelationOptions,
    Resources, prepare, read_seed_questions,
};
use nextcart_eval::{LanguageModel, Predictor, TemplateModel};
use nextcart_models::LlamaConfig;
use nextcart_prompt::{Error, Fields, Style, Template, Wrapper, catalogue};
use nextcart_text::{Lengths, SampleBuilder, Tokenizer, diagnose};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The folder that `NEXTCART_DATA` names; `None` with a note if it is not set.
fn data() -> Option<PathBuf> {
    let Some(path) = std::env::var_os("NEXTCART_DATA") else {
        // Straight to the terminal: what a passing test prints would not be shown.
        std::io::stderr().write_all(b"skipped: NEXTCART_DATA is not set\n").unwrap();
        return None;
    };
    let path = PathBuf::from(path);
    assert!(path.is_dir(), "NEXTCART_DATA names `{}`, which is no folder", path.display());
    Some(path)
}

#[test]
fn a_model_is_asked_as_it_was_trained() {
    let folder = tempfile::tempdir().unwrap();
    let files = Corpus::generate(&SyntheticConfig::tiny()).unwrap().write(folder.path()).unwrap();
    let out = folder.path().join("out");
    let options = PrepareOptions::default();
    let prepared = prepare(&[files.reviews], &[files.meta], &out, &options).unwrap();
    let questions = prepared.load().unwrap().questions;
    let titles = questions.iter().flat_map(|question| &question.candidates);
    let tokenizer = Tokenizer::train(titles.map(|product| &product.title), 500).unwrap();
    let config = LlamaConfig { layers: 1, ..LlamaConfig::tiny(tokenizer.vocab()) };
    let model = config.init(3, &Device::flex());

    let template = Template::builtin("next_purchase").unwrap();
    let builder = SampleBuilder::new(&tokenizer, &template, Wrapper::Plain);
    let mut asked = TemplateModel::new("asked", &model, &config, builder);
    let prompt =
        |question: &Question| Ok::<_, Error>(template.render(question)?.prefix(Wrapper::Plain));
    let mut direct = LanguageModel::new("direct", &model, &config, &tokenizer, prompt);
    for question in questions.iter().take(3) {
        let (asked, direct) = (asked.score(question).unwrap(), direct.score(question).unwrap());
        for (asked, direct) in asked.iter().zip(direct) {
            assert!((asked - direct).abs() < 1e-4, "{asked} {direct}");
        }
    }

    let letters = template.clone().with_style(Style::LETTERS).unwrap();
    let (pointwise, pairwise) =
        (Template::builtin("pointwise").unwrap(), Template::builtin("pairwise").unwrap());
    for template in [&letters, &pointwise, &pairwise] {
        let builder = SampleBuilder::new(&tokenizer, template, Wrapper::Plain);
        let mut model = TemplateModel::new("asked", &model, &config, builder);
        let scores = model.score(&questions[0]).unwrap();
        assert_eq!(scores.len(), questions[0].candidates.len());
        assert!(scores.iter().all(|score| score.is_finite() && *score < 0.0), "{scores:?}");
    }
    // Yes and no share one probability, and so do the two of a pair.
    let builder = SampleBuilder::new(&tokenizer, &pairwise, Wrapper::Plain);
    let scores =
        TemplateModel::new("pairs", &model, &config, builder).score(&questions[0]).unwrap();
    let pairs = scores.len() * (scores.len() - 1);
    assert!(scores.iter().sum::<f64>() <= pairs as f64 * 2.0 * 0.5_f64.ln() + 1e-6, "{scores:?}");
}

/// `tests/golden/seed_prompts.json` was made by the script beside it.
#[test]
fn golden_seed_prompts_are_those_of_all_published_rows() {
    let Some(data) = data() else { return };
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/seed_prompts.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    let questions = read_seed_questions(data.join("seed/final_dataset.parquet")).unwrap();
    assert_eq!(questions.len(), golden["rows"]);
    let template = Template::builtin("seed").unwrap();
    let mut hash = Sha256::new();
    for question in &questions {
        let prompt = template.render(question).unwrap();
        let text = prompt.prefix(Wrapper::Seed) + &prompt.output;
        if question.id == "seed:0" {
            assert_eq!(text, golden["first"]);
        }
        hash.update(text.as_bytes());
        hash.update([0]);
    }
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, golden["sha256"]);
}

#[test]
fn every_template_makes_sound_samples_of_real_questions() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = PrepareOptions {
        ingest: IngestOptions { text: true, description: true, ..IngestOptions::default() },
        ..PrepareOptions::default()
    };
    let cards = data.join("gift_cards");
    let prepared = prepare(
        &[cards.join("Gift_Cards_5.json.gz")],
        &[cards.join("meta_Gift_Cards.json.gz")],
        folder.path().join("out"),
        &options,
    )
    .unwrap();
    let questions: Vec<_> = prepared.load().unwrap().questions;
    let told = ContextOptions {
        review: Some(80),
        descriptions: true,
        relations: RelationOptions { crawl: true, ..RelationOptions::default() },
        ..ContextOptions::default()
    };
    let contexts = Contexts::read(&prepared, &questions, &told, &Resources::default()).unwrap();
    let contexts: Vec<_> = questions.iter().map(|question| contexts.of(question)).collect();
    assert!(contexts.iter().any(|context| !context.paths.is_empty()));
    assert!(contexts.iter().any(|context| !context.similar_users_bought.is_empty()));
    let titles = questions.iter().flat_map(|question| &question.candidates);
    let tokenizer = Tokenizer::train(titles.map(|product| &product.title), 600).unwrap();

    for builtin in catalogue() {
        let template = Template::builtin(builtin.name).unwrap();
        let builder =
            SampleBuilder::new(&tokenizer, &template, Wrapper::Plain).with_max_tokens(900);
        let built = builder.build_all(&contexts).unwrap();
        let lengths = Lengths::of(&built);
        assert!(lengths.samples >= questions.len(), "{}", builtin.name);
        assert!(lengths.tokens.unwrap().max <= 900, "{}: {lengths}", builtin.name);
        for built in &built {
            let diagnosis = diagnose(&built.sample, &tokenizer).unwrap();
            let findings = diagnosis.findings;
            assert!(findings.is_empty(), "{}: {findings:?}", builtin.name);
        }
        // What is asked does not depend on what was bought.
        let test = contexts.iter().find(|context| context.part == Part::Test).unwrap();
        let mut other = test.clone();
        other.answer = (test.answer + 1) % test.candidates.len();
        let decisions = |context| template.decisions(&Fields::new(context)).unwrap();
        assert_eq!(decisions(test), decisions(&other), "{}", builtin.name);
    }
}
