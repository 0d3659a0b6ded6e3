//! An assessment that is stopped goes on where it was, and ends in the same scores.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use nextcart_adapters::LoraConfig;
use nextcart_data::synthetic::{Corpus, SyntheticConfig};
use nextcart_data::{Contexts, Dataset, Part};
use nextcart_eval::{Assessed, Assessment, Error, Evaluation, Report, Score};
use nextcart_models::LlamaConfig;
use nextcart_prompt::{Template, Wrapper};
use nextcart_text::{SampleBuilder, Tokenizer};

fn scores(assessed: &Assessed) -> Vec<Score> {
    assessed.evaluations.iter().map(Evaluation::score).collect()
}

#[test]
fn an_assessment_that_was_stopped_goes_on_to_the_same_scores() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let files = Corpus::generate(&SyntheticConfig::tiny()).unwrap().write(here).unwrap();
    let never = AtomicBool::new(false);
    let data = Dataset::prepare_or_open(&[files.reviews], &[files.meta], here.join("data"), &never);
    let data = data.unwrap();
    let titles = data.catalogue.products().map(|product| product.title.clone());
    let tokenizer = Tokenizer::train(titles.collect::<Vec<_>>().into_iter(), 400).unwrap();
    let llama = LlamaConfig { layers: 1, ..LlamaConfig::tiny(tokenizer.vocab()) };
    let lora = LoraConfig::new();
    let model = llama.init(3, &Device::flex()).with_adapters(&lora, 1).unwrap();
    let template = Template::builtin("item_relations").unwrap();
    let is_told = |field: &str| template.mentions(field);
    let contexts = Contexts::wanted(here.join("data"), &data.questions, is_told).unwrap();
    let assessment = Assessment {
        model: &model,
        config: &llama,
        builder: SampleBuilder::new(&tokenizer, &template, Wrapper::Plain),
        contexts: Some(&contexts),
        data: &data,
        purchases: Some(2),
        questions: 12,
    };
    let report = Report::of_run("Stopped", &[], &[]);
    let whole = assessment.write(here.join("whole"), "", report, &never, |_, _, _| ()).unwrap();
    let page = std::fs::read_to_string(here.join("whole/report.md")).unwrap();
    assert!(page.contains("Customers who bought"), "{page}");
    let asked = whole.evaluations[0].n;
    assert_eq!(asked, 12);
    assert!(data.part(Part::Test, None).len() > asked);
    // A fresh adapter changes nothing.
    let named = |name: &str| whole.evaluations.iter().find(|it| it.name == name).unwrap();
    assert_eq!(named("fine_tuned").accuracy, named("base").accuracy);

    let (stop, mut answers) = (AtomicBool::new(false), 0);
    let stopped = assessment.write(here.join("parts"), "", report, &stop, |_, _, _| {
        answers += 1;
        stop.store(answers == asked + 3, Ordering::Relaxed);
    });
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    assert_eq!(answers, asked + 3);
    assert!(!here.join("parts/report.html").exists());

    let mut rest = 0;
    let found = assessment.write(here.join("parts"), "", report, &never, |_, _, _| rest += 1);
    let found = found.unwrap();
    assert_eq!(rest + answers, asked * found.evaluations.len());
    assert_eq!(scores(&found), scores(&whole));
    assert_eq!(found.to_string(), whole.to_string());
    assert!(found.files.html.is_file() && found.files.chart.is_none());

    let other = assessment.write(here.join("parts"), "other", report, &never, |_, _, _| ());
    assert!(matches!(other, Err(Error::OtherEvaluation { .. })), "{other:?}");
}
