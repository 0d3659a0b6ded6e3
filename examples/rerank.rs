//! Fine-tunes a language model to choose between what a retriever finds, and asks what that is worth.
//!
//! Run: `cargo run --release --example rerank -- data --model out/quickstart/base --weighing 300`
//!
//! The retriever adds up item-kNN, text similarity, Markov and popularity, overall and recent, all counted in the
//! training part and weighed on validation questions. The model reads the latest purchases as a list of titles, and
//! scores each option as the next line of it: a title and, as a digit, what the retriever thinks of it. It learns on
//! validation questions, whose targets the retriever has not seen, and both are asked the test questions. Ctrl-C leaves
//! a checkpoint; the same command goes on from it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use indicatif::ProgressBar;
use nextcart_adapters::LoraConfig;
use nextcart_data::{Dataset, Part, Product, Purchase, Question};
use nextcart_eval::{
    AuditOptions, Blend, ChoiceModel, Edited, Error, Evaluation, Interactions, ItemKnn,
    ItemKnnOptions, Predictor, ScoreTable, Stack, TextIndex, audit_with, bought_products,
    classical_rankers, evaluate,
};
use nextcart_examples::{
    SAME_COMMAND, Tuning, ask, checkpoint, compared, dataset, end, end_on_ctrl_c, example,
    find_device, go_on, in_order, log, print, say, wrapped,
};
use nextcart_models::{Checkpoint, Llama, LlamaConfig, score_continuations};
use nextcart_prompt::{Template, Wrapper};
use nextcart_text::{Sample, SampleBuilder, digest};
use nextcart_train::{Schedule, SftConfig};
use serde::{Deserialize, Serialize};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Fine-tunes a language model to choose between what a retriever finds, and asks what that is worth.
///
/// It reads the latest purchases as a list of titles and scores each option as the next line: a title, and a digit for what
/// the retriever thinks of it. It learns on validation questions and is asked the test questions, as is the retriever alone.
/// Checkpoints, answers and the adapter go to --out.
#[derive(Parser)]
#[command(name = "rerank", version)]
#[command(after_help = example("rerank -- data --model out/quickstart/base --weighing 300"))]
struct Arguments {
    /// A folder that `prepare` wrote, or one with review or sequence files and `items…` or `meta…` files. Of
    /// these, each customer's last purchase becomes the test and the one before it validation.
    folder: PathBuf,
    /// Folder or hub id of a Llama-family checkpoint.
    #[arg(long)]
    model: String,
    /// Folder for all that is written.
    #[arg(long, default_value = "out/rerank")]
    out: PathBuf,
    /// Validation questions that the retriever's weights are fitted on; the model learns on others.
    #[arg(long, default_value_t = 2_000)]
    weighing: usize,
    /// Validation questions that the model learns on.
    #[arg(long, default_value_t = 4_000)]
    train: usize,
    /// Test questions.
    #[arg(long, default_value_t = 4_000)]
    test: usize,
    /// Of these, questions to the model before it learnt and to the one without history.
    #[arg(long, default_value_t = 1_000)]
    twins: usize,
    /// Purchases that the model reads, the latest ones.
    #[arg(long, default_value_t = 5)]
    history: usize,
    /// Blocks with adapters, the last ones: those below need no backward pass.
    #[arg(long, default_value_t = 10)]
    blocks: usize,
    /// Weight of what the model says of an option, the log-likelihood of its line: the smaller, the less a single line
    /// decides and the more alike are the chances that training starts from.
    #[arg(long, default_value_t = 0.2)]
    scale: f64,
    /// Highest learning rate.
    #[arg(long, default_value_t = 5e-4)]
    learning_rate: f64,
    /// Add the retriever's log-odds to the model's scores, so that it learns what is beyond them.
    #[arg(long)]
    prior: bool,
}

/// How a purchase and an option are written.
const INPUT: &str = "\
{% for item in history %}
- {{ item.title | line }}
{% endfor %}";
const OUTPUT: &str = "\
- {{ candidates[answer].title | line }}\
{% if candidates[answer].fit is not none %} (fit {{ candidates[answer].fit }} of 9){% endif %}";

/// A question as the template sees it.
#[derive(Serialize)]
struct Asked<'a> {
    id: &'a str,
    history: &'a [Purchase],
    candidates: Vec<Hinted<'a>>,
    answer: usize,
}

#[derive(Serialize)]
struct Hinted<'a> {
    title: &'a str,
    fit: Option<u8>,
}

fn main() -> ExitCode {
    log("error,hf_hub=off");
    end(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    end_on_ctrl_c()?;
    let data = dataset(&arguments.folder, &arguments.out)?;
    let part = |part| data.questions.iter().filter(move |question| question.part == part).cloned();
    let mut weighing: Vec<Question> = part(Part::Validation).collect();
    let mut train = weighing.split_off(arguments.weighing.min(weighing.len()));
    train.truncate(arguments.train);
    let test: Vec<Question> = part(Part::Test).take(arguments.test).collect();
    ensure!(
        !train.is_empty() || arguments.train == 0,
        "the retriever takes all {} validation questions, and none is left to tune the model on: give a smaller \
         --weighing, or --train 0 for the untuned model alone",
        weighing.len()
    );

    let checkpoint = checkpoint(&arguments.model)?;
    let retriever = retriever(&data, &weighing)?;
    let weights: Vec<_> = retriever.weights().collect();
    let told = weights.iter().map(|(name, weight)| format!("{name} {weight:.2}"));
    say!("retriever: {}", told.collect::<Vec<_>>().join(", "))?;
    let weights = format!("{weights:?}");
    let mut evaluations = vec![evaluate(&mut knn_text(&data, &weighing)?, &test)?];

    let device = find_device()?;
    let (llama, tokenizer) = (checkpoint.config().clone(), checkpoint.tokenizer()?);
    let template = Template::new("rerank", "Products that a customer bought:", INPUT, OUTPUT)?;
    let builder = SampleBuilder::new(&tokenizer, &template, Wrapper::Plain).with_max_tokens(600);
    let base = checkpoint.load(&device)?;
    let shown: BTreeMap<&str, &Product> = train
        .iter()
        .chain(&test)
        .flat_map(|question| &question.candidates)
        .map(|product| (product.item.as_str(), product))
        .collect();
    let worth = in_order(|stop| worth(&checkpoint, &base, &builder, &shown, arguments, stop))?;
    go_on(SAME_COMMAND)?;
    let mut asker = Asker { arguments, builder, retriever, worth };
    evaluations.insert(0, evaluate(&mut asker.retriever, &test)?);
    say!("{}", ScoreTable::new(&evaluations.iter().map(Evaluation::score).collect::<Vec<_>>()))?;

    let samples = train.iter().map(|question| asker.ask(question));
    let samples: Vec<Sample> = samples.collect::<Result<_, Error>>()?;
    if let Some(sample) = samples.first() {
        say!("{}\n", tokenizer.decode(sample.ids())?)?;
        let tokens = samples.iter().map(Sample::len).sum::<usize>();
        say!("{} tokens a question", tokens / samples.len())?;
    }
    let Arguments { history, scale, prior, blocks, learning_rate, .. } = arguments;
    let identity = format!(
        "{} {history} {scale} {prior} {blocks} {learning_rate} {weights} {}",
        checkpoint.fingerprint()?,
        digest(&samples)
    );
    let twins = &test[..arguments.twins.min(test.len())];
    let mut ask = |name: &str, model: &Llama, blind: bool, asked: &[Question]| {
        let chooses = ChoiceModel::new(name, model, &llama, |question| asker.ask(question));
        if blind {
            ask(&mut Edited::without_history(chooses), asked, &identity, &arguments.out)
        } else {
            ask(&mut { chooses }, asked, &identity, &arguments.out)
        }
    };
    if !twins.is_empty() {
        evaluations.push(ask("untuned", &base, false, twins)?);
    }
    if !samples.is_empty() {
        let tuning = tuning(&llama, samples.len(), arguments);
        let (tuned, _) = tuning.train(base, &llama, &samples)?;
        evaluations.insert(0, ask("tuned", &tuned, false, &test)?);
        if !twins.is_empty() {
            evaluations.push(ask("tuned", &tuned, true, twins)?);
        }
    }
    say!("{}", ScoreTable::new(&evaluations.iter().map(Evaluation::score).collect::<Vec<_>>()))?;
    let (first, n) = (&evaluations[0], evaluations[0].predictions.len());
    let others = evaluations[1..].iter().filter(|other| other.predictions.len() == n);
    let pairs: Vec<_> = others.map(|other| (first, other)).collect();
    print(wrapped(compared(&pairs)?))?;
    let known = AuditOptions { histories: Some(&data.histories), ..AuditOptions::default() };
    say!("\n{}", wrapped(audit_with(&data.questions, &known)?.explain()))?;
    Ok(())
}

/// Item-kNN and text similarity, the two best predictors without training, weighed.
fn knn_text(data: &Dataset, weighing: &[Question]) -> Result<impl Predictor + use<>> {
    let knn = ItemKnn::fit(&Interactions::of(data), ItemKnnOptions::default())?;
    Ok(Blend::fit("knn_text", knn, TextIndex::tf_idf(bought_products(data)), weighing)?)
}

/// All that training says of an option.
fn retriever(data: &Dataset, weighing: &[Question]) -> Result<Stack> {
    let parts = classical_rankers(data, ItemKnnOptions::default())?;
    Ok(Stack::fit("retriever", parts, weighing)?)
}

/// Makes choices of questions.
struct Asker<'a> {
    arguments: &'a Arguments,
    builder: SampleBuilder<'a>,
    retriever: Stack,
    worth: BTreeMap<String, f32>,
}

impl Asker<'_> {
    fn ask(&mut self, question: &Question) -> Result<Sample, Error> {
        let odds = self.retriever.score(question)?;
        let mean = odds.iter().sum::<f64>() / odds.len() as f64;
        let fit = |odds: &f64| ((odds - mean) * 2.0 + 4.5).round().clamp(0.0, 9.0) as u8;
        let candidates = question.candidates.iter().zip(&odds);
        let Arguments { history, scale, prior, .. } = *self.arguments;
        let asked = Asked {
            id: &question.id,
            history: &question.history[question.history.len().saturating_sub(history)..],
            candidates: candidates
                .map(|(product, odds)| Hinted { title: &product.title, fit: Some(fit(odds)) })
                .collect(),
            answer: question.answer,
        };
        let offsets: Vec<f64> = question
            .candidates
            .iter()
            .zip(&odds)
            .map(|(product, odds)| {
                let odds = if prior { odds - mean } else { 0.0 };
                odds - scale
                    * f64::from(self.worth.get(&product.title).copied().unwrap_or_default())
            })
            .collect();
        let sample = self.builder.choice(&asked, question.answer);
        let sample = sample.and_then(|sample| sample.with_scale(scale)?.with_offsets(&offsets));
        sample.map_err(|source| Error::predictor("rerank", &question.id, source))
    }
}

/// What a model says of titles alone.
#[derive(Serialize, Deserialize)]
struct Worth {
    /// The model's fingerprint.
    model: String,
    titles: BTreeMap<String, f32>,
}

/// The log-likelihood of each title's line without any purchase before it, by which options differ whoever asks.
fn worth(
    checkpoint: &Checkpoint,
    model: &Llama,
    builder: &SampleBuilder,
    products: &BTreeMap<&str, &Product>,
    arguments: &Arguments,
    stop: &AtomicBool,
) -> Result<BTreeMap<String, f32>> {
    let (file, found) = (arguments.out.join("worth.json"), checkpoint.fingerprint()?);
    let mut known = match std::fs::read(&file) {
        Ok(text) => serde_json::from_slice(&text)
            .with_context(|| format!("`{}` is damaged: delete it", file.display()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Worth { model: found.clone(), titles: BTreeMap::new() }
        }
        Err(error) => bail!("cannot read `{}`: {error}", file.display()),
    };
    if known.model != found {
        bail!(
            "`{}`: expected what `{}` says of titles, found what another model says: name another --out",
            file.display(),
            arguments.model
        );
    }
    let mut missing: Vec<&&Product> =
        products.values().filter(|product| !known.titles.contains_key(&product.title)).collect();
    // Titles of like length, so that little is padded.
    missing.sort_by_key(|product| product.title.len());
    let bar = ProgressBar::new(missing.len() as u64);
    for products in missing.chunks(64) {
        if stop.load(Ordering::Relaxed) {
            keep(&known, &file)?;
            bail!("stopped; {SAME_COMMAND}");
        }
        let candidates =
            products.iter().map(|product| Hinted { title: &product.title, fit: None }).collect();
        let asked = Asked { id: "titles", history: &[], candidates, answer: 0 };
        let built = builder.decisions(&asked)?.remove(0);
        let answers: Vec<&[u32]> = built.answers.iter().map(Vec::as_slice).collect();
        let scores = score_continuations(model, checkpoint.config(), &built.prompt, &answers);
        let scores = scores.iter().map(|score| score.log_likelihood as f32);
        known.titles.extend(products.iter().map(|product| product.title.clone()).zip(scores));
        bar.inc(products.len() as u64);
    }
    keep(&known, &file)?;
    Ok(known.titles)
}

/// Writes a file as a whole or not at all.
fn keep(known: &Worth, file: &Path) -> Result<()> {
    let new = file.with_extension("new");
    std::fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
    std::fs::write(&new, serde_json::to_vec(known)?)?;
    Ok(std::fs::rename(new, file)?)
}

/// What the model is tuned with.
fn tuning<'a>(llama: &LlamaConfig, samples: usize, arguments: &'a Arguments) -> Tuning<'a> {
    let steps = (samples / 8) as u64;
    Tuning {
        out: &arguments.out,
        base: &arguments.model,
        lora: LoraConfig::new()
            .with_rank(16)
            .with_alpha(32.0)
            .with_target_modules(llama.last_blocks(arguments.blocks)),
        seed: 7,
        config: SftConfig {
            epochs: 1,
            batch_size: 8,
            group_by_length: true,
            learning_rate: arguments.learning_rate,
            warmup_steps: (steps / 20).min(20),
            schedule: Schedule::Cosine,
            ..SftConfig::default()
        },
        save: 50,
    }
}
