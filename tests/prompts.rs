//! Real questions through every template, to samples.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, activation};
use nextcart_data::synthetic::{Corpus, SyntheticConfig};
use nextcart_data::{
    ContextOptions, Contexts, Distractors, FullCatalogue, IngestOptions, Part, PrepareOptions,
    Product, Question, RelationOptions, Resources, prepare, read_seed_questions, title_key,
};
use nextcart_eval::{Answering, Edited, Predictor, TemplateModel, evaluate, rank_catalogue};
use nextcart_models::{Llama, LlamaConfig, ModelInput, score_texts};
use nextcart_prompt::{Fields, Style, Template, Wrapper, catalogue, line};
use nextcart_text::{Lengths, SampleBuilder, Tokenizer, diagnose};
use nextcart_train::{SftConfig, Trainer};
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

/// Questions of a small shop, and a model that has learnt nothing.
fn untrained() -> (Vec<Question>, Tokenizer, LlamaConfig, Llama) {
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
    (questions, tokenizer, config, model)
}

#[track_caller]
fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 1e-4, "{found:?} {expected:?}");
    }
}

#[test]
fn titles_that_a_prompt_shows_alike_have_one_key() {
    let words =
        ["", " ", "\n", "\u{a0}", ":", " :", "Tea", "TEA", "İ", "Straße", "3:1", "\u{3000}", "Σ"];
    for a in words {
        for b in words {
            for c in words {
                let title = format!("{a}{b}{c}");
                assert_eq!(title_key(&title), line(&title).to_lowercase(), "{title:?}");
            }
        }
    }
}

#[test]
fn a_model_is_asked_as_it_was_trained() {
    let (questions, tokenizer, config, model) = untrained();
    let template = Template::builtin("next_purchase").unwrap();
    let builder = SampleBuilder::new(&tokenizer, &template, Wrapper::Plain);
    let mut asked = TemplateModel::new("asked", &model, &config, builder);
    let direct = |question: &Question| {
        let prompt = template.render(question).unwrap().prefix(Wrapper::Plain);
        let titles: Vec<&str> = question.candidates.iter().map(|c| c.title.as_str()).collect();
        score_texts(&model, &config, &tokenizer, &prompt, &titles).unwrap()
    };
    let answering = |answering| {
        let builder = SampleBuilder::new(&tokenizer, &template, Wrapper::Plain);
        TemplateModel::new("asked", &model, &config, builder).with_answering(answering)
    };
    for question in questions.iter().take(3) {
        let with = direct(question);
        let sums: Vec<f64> = with.iter().map(|score| score.log_likelihood).collect();
        close(&asked.score(question).unwrap(), &sums);
        let means: Vec<f64> = with.iter().map(|score| score.mean()).collect();
        close(&answering(Answering::PerToken).score(question).unwrap(), &means);
        let without = direct(&Question { history: Vec::new(), ..question.clone() });
        let pmi: Vec<f64> = with.iter().zip(&without).map(|(a, b)| a.pmi(b)).collect();
        close(&answering(Answering::Pmi).score(question).unwrap(), &pmi);
        // The history-blind twin has nothing to tell beyond itself.
        let mut blind = Edited::without_history(answering(Answering::Pmi));
        close(&blind.score(question).unwrap(), &vec![0.0; question.candidates.len()]);

        let written = answering(Answering::Constrained).answer(question).unwrap();
        assert_eq!(written.scores.iter().sum::<f64>(), 1.0);
        let chosen = written.scores.iter().position(|score| *score == 1.0).unwrap();
        assert_eq!(written.text.as_deref(), Some(question.candidates[chosen].title.as_str()));
    }
    let free = Answering::Free { max_new_tokens: 8 };
    // An untrained model writes nothing that is an option.
    let found = evaluate(&mut answering(free), &questions[..20]).unwrap();
    assert_eq!((found.valid_ratio(), found.accuracy), (0.0, 0.0));
    assert!(found.predictions.iter().all(|p| p.text.is_some() && !p.valid));

    let letters = template.clone().with_style(Style::LETTERS).unwrap();
    let (pointwise, pairwise) =
        (Template::builtin("pointwise").unwrap(), Template::builtin("pairwise").unwrap());
    for template in [&letters, &pointwise, &pairwise] {
        let builder = SampleBuilder::new(&tokenizer, template, Wrapper::Plain);
        let mut model = TemplateModel::new("asked", &model, &config, builder);
        let scores = model.score(&questions[0]).unwrap();
        assert_eq!(scores.len(), questions[0].candidates.len());
        assert!(scores.iter().all(|score| score.is_finite() && *score < 0.0), "{scores:?}");
        let mut writing = model.with_answering(Answering::Constrained);
        match writing.answer(&questions[0]) {
            Ok(answer) => assert_eq!(template.name(), "next_purchase", "{answer:?}"),
            Err(error) => {
                let expected = "`asked` cannot answer by writing one of the options: expected a template that \
                                asks about the whole question";
                assert_eq!(error.to_string(), expected);
            }
        }
    }
}

/// The log-likelihood of an answer and the end of the text behind a prompt, from the logits of the whole.
fn log_likelihood(
    model: &Llama,
    config: &LlamaConfig,
    tokenizer: &Tokenizer,
    prompt: &str,
    answer: &str,
) -> f64 {
    let text = tokenizer.encode_pair(prompt, answer).unwrap();
    let input = ModelInput::new(&[&text.ids], config, &model.device());
    let log = activation::log_softmax(model.forward(&input), 2).into_data();
    let log: Vec<f32> = log.iter::<f32>().collect();
    let of = |at: usize| f64::from(log[(at - 1) * config.vocab + text.ids[at] as usize]);
    (text.spans[1].start..text.ids.len()).map(of).sum()
}

/// Against prompts that are written out here, and sums that are done here.
#[test]
fn letters_yes_and_no_and_pairs_score_what_their_logits_say() {
    let (questions, tokenizer, config, model) = untrained();
    let letters = Template::builtin("next_purchase").unwrap().with_style(Style::LETTERS).unwrap();
    let [pointwise, pairwise] = ["pointwise", "pairwise"].map(|it| Template::builtin(it).unwrap());
    let found = |template: &Template, question: &Question| {
        let builder = SampleBuilder::new(&tokenizer, template, Wrapper::Plain);
        TemplateModel::new("asked", &model, &config, builder).score(question).unwrap()
    };
    let likelihood =
        |prompt: &str, answer: &str| log_likelihood(&model, &config, &tokenizer, prompt, answer);
    // The log-probability of the first answer against the second.
    let against = |prompt: &str, first: &str, second: &str| -> f64 {
        -(likelihood(prompt, second) - likelihood(prompt, first)).exp().ln_1p()
    };
    let different = questions.iter().step_by(questions.len() / 4).take(4);
    for question in different {
        let titles: Vec<&str> = question.candidates.iter().map(|c| c.title.as_str()).collect();
        let bought: String =
            question.history.iter().map(|it| format!("{}\n", it.product.title)).collect();
        let bought = format!("Bought, oldest first:\n{bought}");

        let marks = ["A", "B", "C", "D"];
        let marked = marks.iter().zip(&titles).map(|(mark, title)| format!("{mark}) {title}\n"));
        let prompt = format!(
            "Which of the options does the customer buy next?\n{bought}Options:\n{}Answer:\n",
            marked.collect::<String>()
        );
        let expected = marks.map(|mark| likelihood(&prompt, mark));
        close(&found(&letters, question), &expected);

        let yes = titles.iter().map(|title| {
            let ask = "Does the customer buy this product next? Answer Yes or No.";
            let prompt = format!("{ask}\n{bought}Product:\n{title}\nAnswer:\n");
            against(&prompt, "Yes", "No")
        });
        close(&found(&pointwise, question), &yes.collect::<Vec<_>>());

        // Each pair in both orders; what one of the two wins by is the logarithm of its probability.
        let mut wins = vec![0.0; titles.len()];
        for (a, first) in titles.iter().enumerate() {
            for (b, second) in titles.iter().enumerate().filter(|(b, _)| *b != a) {
                let ask = "Which of the two products does the customer buy next? Answer A or B.";
                let products = format!("Products:\nA) {first}\nB) {second}");
                let prompt = format!("{ask}\n{bought}{products}\nAnswer:\n");
                wins[a] += against(&prompt, "A", "B");
                wins[b] += against(&prompt, "B", "A");
            }
        }
        close(&found(&pairwise, question), &wins);
    }
}

/// A model that has learnt one text by heart writes it, and what it writes is found among the options.
#[test]
fn what_a_model_writes_is_looked_for_among_the_options() {
    let titles = ["Green Tea", "Acacia Honey", "Dog Leash"];
    let tokenizer = Tokenizer::train(titles.iter(), 300).unwrap();
    let config = LlamaConfig { layers: 1, ..LlamaConfig::tiny(tokenizer.vocab()) };
    let device = Device::flex().autodiff();
    let model = config.init(3, &device).trainable();
    let template =
        Template::new("ask", "", "{{ history | length }}", "{{ candidates | chosen(answer) }}")
            .unwrap();
    let builder = SampleBuilder::new(&tokenizer, &template, Wrapper::Plain);
    let question = Question {
        id: "q".into(),
        user: "u".into(),
        part: Part::Test,
        time: None,
        history: Vec::new(),
        candidates: titles.map(product).to_vec(),
        answer: 1,
        excluded: Vec::new(),
    };
    let samples: Vec<_> =
        builder.build(&question).unwrap().into_iter().map(|built| built.sample).collect();
    let tuning = SftConfig {
        max_steps: Some(40),
        batch_size: 1,
        learning_rate: 1e-2,
        ..SftConfig::default()
    };
    let mut trainer = Trainer::new(model, &config, tuning, &samples).unwrap();
    while trainer.step().unwrap().is_some() {}
    let model = trainer.into_model().frozen();

    let free = Answering::Free { max_new_tokens: 20 };
    let mut writer =
        TemplateModel::new("writer", &model, &config, builder.clone()).with_answering(free);
    let answer = writer.answer(&question).unwrap();
    assert_eq!(answer.text.as_deref(), Some("Acacia Honey"));
    assert_eq!((answer.scores, answer.valid), (vec![0.0, 1.0, 0.0], true));
    // The same words are no answer where they are no option.
    let mut other = question.clone();
    other.candidates[1] = product("Acacia  Honey!");
    assert!(!writer.answer(&other).unwrap().valid);
    // Within the options it writes one of them in any case.
    let mut bound = writer.with_answering(Answering::Constrained);
    assert!(bound.answer(&other).unwrap().scores.contains(&1.0));
}

fn product(title: &str) -> Product {
    let category = Vec::new();
    Product { item: title.into(), title: title.into(), brand: None, category, price: None }
}

/// Against the scores of the titles one by one, each behind the whole prompt.
#[test]
fn a_whole_catalogue_is_ranked_as_its_titles_would_be() {
    let folder = tempfile::tempdir().unwrap();
    let config = SyntheticConfig { items: 120, ..SyntheticConfig::tiny() };
    let files = Corpus::generate(&config).unwrap().write(folder.path()).unwrap();
    let out = folder.path().join("out");
    let options =
        PrepareOptions { distractors: Distractors::Catalogue, ..PrepareOptions::default() };
    let prepared = prepare(&[files.reviews], &[files.meta], &out, &options).unwrap();
    let questions = prepared.load().unwrap().questions;
    let catalogue = FullCatalogue::read(&out).unwrap();
    let titles = catalogue.products().iter().map(|product| product.title.clone());
    let tokenizer = Tokenizer::train(titles.collect::<Vec<_>>().into_iter(), 500).unwrap();
    let config = LlamaConfig { layers: 1, ..LlamaConfig::tiny(tokenizer.vocab()) };
    let model = config.init(3, &Device::flex());
    let input = "{% for item in history %}\n{{ item.title | line }}\n{% endfor %}";
    let template =
        Template::new("next", "Next?", input, "{{ candidates | chosen(answer) }}").unwrap();
    let builder = SampleBuilder::new(&tokenizer, &template, Wrapper::Plain);
    let mut asked = TemplateModel::new("asked", &model, &config, builder);

    let some = &questions[questions.len() - 3..];
    let found = rank_catalogue(&mut asked, some, &catalogue).unwrap();
    assert_eq!(found.ranks.len(), 3);
    for (question, rank) in some.iter().zip(&found.ranks) {
        let expanded = catalogue.expand(question);
        assert!(expanded.candidates.len() > 64, "enough for a trie");
        let prompt = template.render(question).unwrap().prefix(Wrapper::Plain);
        let titles: Vec<&str> = expanded.candidates.iter().map(|c| c.title.as_str()).collect();
        let scores = score_texts(&model, &config, &tokenizer, &prompt, &titles).unwrap();
        let own = scores[expanded.answer].log_likelihood;
        let above = scores.iter().filter(|score| score.log_likelihood > own + 1e-4).count();
        let at_most = scores.iter().filter(|score| score.log_likelihood > own - 1e-4).count();
        assert!((above..=at_most).contains(&rank.above()), "{above} {rank:?} {at_most}");
    }
    let (first, all) = (found.score(10).unwrap(), found.score(usize::MAX).unwrap());
    assert!((0.0..=1.0).contains(&first.ndcg) && (first.n, all.hit_rate) == (3, 1.0));
    assert!(found.reciprocal_rank().is_some_and(|mean| mean > 0.0) && found.auc().is_some());
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
