//! From raw reviews to a fine-tuned model and an honest score.
//!
//! Run: `cargo run --release --example quickstart`
//!
//! Generates reviews in the Amazon format unless `--reviews` and `--meta` name real ones, pre-trains a
//! small Llama on the spot unless `--model` names a checkpoint, fine-tunes it with LoRA and sets its
//! score beside those of simpler predictors and of its twin that cannot see the history. Ctrl-C stops
//! at the next step and leaves a checkpoint from which `--resume` goes on.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail};
use burn::module::Module;
use burn::tensor::Device;
use clap::{Parser, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use nextcart_adapters::LoraConfig;
use nextcart_data::synthetic::{Corpus, SyntheticConfig};
use nextcart_data::{Dataset, Part, PrepareOptions, Question, Resources, Tally, prepare_until};
use nextcart_eval::{
    AuditOptions, Chance, Evaluation, FnPredictor, FullAudit, ModelAuditOptions, Predictor,
    PunctuationRule, Report, TemplateModel, TrainingFacts, audit_model, audit_with, baselines,
    evaluate_each,
};
use nextcart_models::{
    Checkpoint, HubModel, Llama, LlamaConfig, LoadOptions, Precision, find_device, save_adapter,
    save_checkpoint,
};
use nextcart_prompt::{Template, Wrapper};
use nextcart_text::{Built, Lengths, Sample, SampleBuilder, Tokenizer, diagnose};
use nextcart_train::{Ending, Every, ProgressLine, Run, Schedule, SftConfig, WatchConfig};
use tracing_subscriber::EnvFilter;

/// Training frees and takes the same large blocks again at every step; an allocator that keeps them
/// saves the system from clearing their pages each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// From raw reviews to a fine-tuned model and an honest score.
///
/// Without options it needs nothing: it makes a small shop, pre-trains a small Llama on its histories, fine-tunes
/// it with LoRA and sets its score beside those of simpler predictors, of chance and of its twin that cannot see
/// the history. That takes two to five minutes on two cores. `report.html` in the folder of --out has the rest.
///
/// Ctrl-C leaves a checkpoint; the same command with --resume goes on from there.
#[derive(Parser)]
struct Arguments {
    /// Review files or folders, as `prepare` takes them; generated ones if left out.
    #[arg(long, num_args = 1.., requires = "meta")]
    reviews: Vec<PathBuf>,
    /// Metadata files or folders that belong to the reviews.
    #[arg(long, num_args = 1.., requires = "reviews")]
    meta: Vec<PathBuf>,
    /// Folder or hub id of a Llama-family checkpoint; a small one is pre-trained if left out.
    #[arg(long)]
    model: Option<String>,
    /// Fine-tune with the base model in 4 bits.
    #[arg(long)]
    qlora: bool,
    /// Keep the weights of --model in bf16, half of what f32 takes; on a GPU, compute in it, too.
    #[arg(long)]
    bf16: bool,
    /// Folder for everything that is written.
    #[arg(long, default_value = "out/quickstart")]
    out: PathBuf,
    /// Go on from the checkpoint that an interrupted run left in the folder.
    #[arg(long)]
    resume: bool,
    /// Optimiser steps of fine-tuning (default: 200, or 60 with --model).
    #[arg(long, value_parser = value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Optimiser steps of pre-training the small model.
    #[arg(long, default_value_t = 1000, value_parser = value_parser!(u64).range(1..))]
    pretraining_steps: u64,
    /// Test questions at most.
    #[arg(long, default_value_t = 600, value_parser = value_parser!(u64).range(1..))]
    questions: u64,
}

/// Set by Ctrl-C.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether an interrupt waits for something to be left in order: a checkpoint, or no half of a table.
static GRACEFUL: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error,hf_hub=off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let Err(error) = run(&Arguments::parse()) else { return ExitCode::SUCCESS };
    eprintln!("error: {error:#}");
    ExitCode::from(if INTERRUPTED.load(Ordering::Relaxed) { 130 } else { 1 })
}

fn run(arguments: &Arguments) -> Result<()> {
    ctrlc::set_handler(|| {
        if !GRACEFUL.load(Ordering::Relaxed) || INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })?;
    let device = find_device()?;
    let out = arguments.out.as_path();
    let options = load_options(arguments);
    let checkpoint = arguments.model.as_deref().map(|model| {
        // A damaged checkpoint says itself what is wrong.
        let expected =
            "--model: expected the folder of a checkpoint, or an id `owner/name` on the hub";
        let is_there = Path::new(model).exists();
        let loaded = Base::load(model, options, &device);
        if is_there { loaded } else { loaded.context(expected) }
    });
    let checkpoint = checkpoint.transpose()?;
    let checkpoints = out.join("checkpoints");
    if arguments.resume && !checkpoints.is_dir() {
        bail!("nothing to resume: `{}` is missing", checkpoints.display());
    }

    heading("Reviews to questions")?;
    let (corpus, prepared) = reviews_to_questions(arguments)?;
    if !arguments.resume {
        clear(out)?;
    }
    let part = |part| prepared.questions.iter().filter(move |question| question.part == part);
    let test: Vec<Question> =
        part(Part::Test).take(arguments.questions as usize).cloned().collect();

    heading("Questions to prompts")?;
    let template = Template::builtin("options_first")?;
    let history_free = Template::builtin("history_free")?;
    let train: Vec<&Question> = part(Part::Train).collect();
    let validation: Vec<&Question> = part(Part::Validation).take(100).collect();
    let Some(first) = train.first() else { bail!("no question to train on") };
    let prompt = template.render(first)?;
    let shown = prompt.prefix(Wrapper::Plain);
    say(format_args!("{shown}{}\n", prompt.output))?;

    heading("Base model")?;
    let mut base = match checkpoint {
        Some(base) => base,
        None => {
            let prompts = train.iter().take(200).map(|question| template.render(question));
            let prompts = prompts.map(|prompt| Ok(prompt?.prefix(Wrapper::Plain)));
            Base::pretrain(&prepared, prompts.collect::<Result<_>>()?, arguments, &device)?
        }
    };

    heading("Fine-tuning")?;
    let builder = base.builder(&template);
    let built = builder.build_all(&train)?;
    say(format_args!("{}\n", Lengths::of(&built)))?;
    look_at(&built, &train, &base.tokenizer)?;
    let samples: Vec<Sample> = built.into_iter().map(|built| built.sample).collect();
    let held_out = builder.build_all(&validation)?.into_iter().map(|built| built.sample);
    let held_out: Vec<Sample> = held_out.collect();
    if let Some(steps) = arguments.steps {
        base.tuning =
            SftConfig { max_steps: Some(steps), warmup_steps: warmup(steps), ..base.tuning };
    }
    let lora = LoraConfig::new().with_rank(16).with_alpha(32.0);
    let stage =
        Stage { name: "fine-tuning", llama: &base.llama, samples: &samples, held_out: &held_out };
    let tuned =
        stage.train(base.model.clone().with_adapters(&lora, 7)?, base.tuning.clone(), arguments)?;
    save_adapter(out.join("adapter"), &tuned.model, &lora, &base.name)?;
    say(format_args!("adapter: {}", out.join("adapter").display()))?;

    heading("Scores")?;
    let histories = || prepared.histories.iter().map(|history| &history.items);
    let titles = || prepared.catalogue.products().map(|product| &product.title);
    let mut predictors: Vec<Box<dyn Predictor + '_>> = vec![
        Box::new(base.predictor("fine_tuned", &tuned.model, &template)),
        Box::new(base.predictor("base", &base.model, &template)),
        Box::new(base.predictor("history_blind", &tuned.model, &history_free)),
    ];
    predictors.extend(baselines(&prepared)?.into_iter().map(|it| it as Box<dyn Predictor>));
    predictors.push(Box::new(PunctuationRule));
    predictors.push(Box::new(Chance));
    if let Some(corpus) = &corpus {
        predictors.push(Box::new(FnPredictor::new("oracle", |question| corpus.oracle(question))));
    }
    let evaluations = score(&mut predictors, &test)?;

    // The rules look at all questions: the test's alone would be too few to tell.
    let known = AuditOptions { histories: Some(&prepared.histories), ..AuditOptions::default() };
    let questions = audit_with(&prepared.questions, &known)?;
    let options = ModelAuditOptions { ordered: 100, ..ModelAuditOptions::default() };
    let model = audit_model(&mut predictors[0], &evaluations[0], &test, &options)?;
    let audit = FullAudit { questions, models: vec![model] };
    let training = TrainingFacts::fit(histories(), titles());
    let report = Report {
        title: "nextcart quickstart",
        notes: &notes(arguments, &prepared, &base),
        questions: &test,
        evaluations: &evaluations,
        audit: Some(&audit),
        training: Some(&training),
        training_loss: &tuned.losses,
        validation_loss: &tuned.validation,
        prompt: Some(&shown),
        meanings: &[],
    };
    say(format_args!("{}\n\n{}", report.table(), audit.explain()))?;
    let files = report.write(out)?;
    say(format_args!("\nreport: {}, {}", files.page.display(), files.html.display()))?;
    Ok(())
}

/// Removes what an earlier run left and this one makes anew; not `base`, which may be the `--model`.
fn clear(out: &Path) -> Result<()> {
    for folder in ["checkpoints", "adapter"].map(|name| out.join(name)) {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
    }
    for file in ["report.md", "report.html", "metrics.json", "loss.svg"].map(|name| out.join(name))
    {
        if file.exists() {
            std::fs::remove_file(file)?;
        }
    }
    Ok(())
}

/// Shows what the first sample is trained on, and whatever is wrong with any of them.
fn look_at(built: &[Built], questions: &[&Question], tokenizer: &Tokenizer) -> Result<()> {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, (built, question)) in built.iter().zip(questions).enumerate() {
        let options = question.candidates.iter().map(|product| product.title.as_str());
        let diagnosis =
            diagnose(&built.sample, tokenizer)?.with_dropped(built.dropped).with_options(options);
        for finding in &diagnosis.findings {
            *found.entry(finding.kind()).or_default() += 1;
        }
        if index == 0 {
            say(diagnosis.near_answer(3).show(in_colour()))?;
        }
    }
    for (finding, samples) in found {
        say(format_args!("{samples} samples: {finding}"))?;
    }
    Ok(())
}

/// Generates a corpus unless there are real files, and prepares the questions.
fn reviews_to_questions(arguments: &Arguments) -> Result<(Option<Corpus>, Dataset)> {
    let out = &arguments.out;
    let (corpus, reviews, meta) = if arguments.reviews.is_empty() {
        // A small shop, so that a small model can learn it in minutes.
        let corpus = Corpus::generate(&SyntheticConfig {
            items: 120,
            categories: 8,
            complements_per_item: 2,
            complement_probability: 0.6,
            ..SyntheticConfig::default()
        })?;
        let files = corpus.write(out.join("corpus"))?;
        (Some(corpus), vec![files.reviews], vec![files.meta])
    } else {
        (None, arguments.reviews.clone(), arguments.meta.clone())
    };
    let options = PrepareOptions::default();
    GRACEFUL.store(true, Ordering::Relaxed);
    let (data, limits) = (out.join("data"), Resources::default());
    let prepared = prepare_until(&reviews, &meta, data, &options, &limits, &INTERRUPTED)?.load()?;
    GRACEFUL.store(false, Ordering::Relaxed);
    let manifest = &prepared.manifest;
    for (what, lines) in [("reviews", &manifest.reviews), ("items", &manifest.items.lines)] {
        let Tally { read, kept, rejected, reasons, .. } = lines;
        let reasons: Vec<String> = reasons.iter().map(|(why, n)| format!("; {n} {why}")).collect();
        say(format_args!(
            "{what}: {read} read, {kept} kept, {rejected} rejected{}",
            reasons.concat()
        ))?;
    }
    let (histories, questions) = (&manifest.histories, &manifest.questions);
    say(format_args!(
        "histories: {} users, {} purchases",
        histories.users, histories.interactions
    ))?;
    say(format_args!(
        "questions: {} to train, {} to validate, {} to test",
        questions.train, questions.validation, questions.test
    ))?;
    Ok((corpus, prepared))
}

/// How the model of `--model` is held in memory.
fn load_options(arguments: &Arguments) -> LoadOptions {
    let narrow = |wanted: bool| if wanted { Precision::Bf16 } else { Precision::F32 };
    let gpu = cfg!(any(feature = "cuda", feature = "wgpu"));
    LoadOptions {
        weights: narrow(arguments.bf16),
        activations: narrow(arguments.bf16 && gpu),
        quantized: arguments.qlora,
    }
}

/// A base model and what belongs to it.
struct Base {
    name: String,
    llama: LlamaConfig,
    tokenizer: Tokenizer,
    model: Llama,
    tuning: SftConfig,
}

impl Base {
    /// A checkpoint from a folder or the hub.
    fn load(name: &str, options: LoadOptions, device: &Device) -> Result<Self> {
        let checkpoint = match HubModel::named(name) {
            Some(model) => Checkpoint::open(fetch(model)?)?,
            None => Checkpoint::open(name)?,
        };
        let (llama, tokenizer) = (checkpoint.config().clone(), checkpoint.tokenizer()?);
        let model = checkpoint.load_with(device, options)?;
        let tuning = SftConfig {
            max_steps: Some(60),
            batch_size: 4,
            learning_rate: 3e-4,
            warmup_steps: 5,
            schedule: Schedule::Cosine,
            ..SftConfig::default()
        };
        Ok(Self { name: name.to_owned(), llama, tokenizer, model, tuning })
    }

    /// A small Llama that learns the language of the shop from the training part of the histories.
    fn pretrain(
        prepared: &Dataset,
        prompts: Vec<String>,
        arguments: &Arguments,
        device: &Device,
    ) -> Result<Self> {
        let titles = prepared.catalogue.products().map(|product| product.title.clone());
        let tokenizer =
            Tokenizer::train(titles.chain(prompts).collect::<Vec<_>>().into_iter(), 900)?;
        // Few blocks and wide ones: the fastest of this size on a CPU.
        let llama = LlamaConfig {
            d_model: 320,
            d_hidden: 768,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            head_dim: 80,
            ..LlamaConfig::tiny(tokenizer.vocab())
        };
        let model = llama.init(1, device).trainable();
        let parameters = model.num_params() as f64 / 1e6;
        say(format_args!(
            "a Llama of {parameters:.1} M parameters and {} tokens",
            tokenizer.vocab()
        ))?;

        let mut samples = Vec::new();
        for history in &prepared.histories {
            let titles = history.items.iter().filter_map(|item| prepared.catalogue.get(item));
            let titles: Vec<&str> = titles.map(|product| product.title.as_str()).collect();
            let text = format!("Bought, oldest first:\n{}", titles.join("\n"));
            samples.push(Sample::text(&tokenizer.encode_whole(&text)?)?);
        }
        let config = SftConfig {
            max_steps: Some(arguments.pretraining_steps),
            batch_size: 8,
            learning_rate: 2e-3,
            warmup_steps: warmup(arguments.pretraining_steps),
            schedule: Schedule::Cosine,
            weight_decay: 0.01,
            ..SftConfig::default()
        };
        let stage = Stage { name: "pre-training", llama: &llama, samples: &samples, held_out: &[] };
        let model = stage.train(model, config, arguments)?.model.frozen();
        let folder = arguments.out.join("base");
        save_checkpoint(&folder, &model, &llama, Some(&tokenizer))?;
        say(format_args!("base model: {}", folder.display()))?;
        let model = if arguments.qlora { model.quantized()? } else { model };
        let tuning = SftConfig {
            max_steps: Some(200),
            batch_size: 16,
            learning_rate: 2e-3,
            warmup_steps: 10,
            schedule: Schedule::Cosine,
            ..SftConfig::default()
        };
        Ok(Self { name: folder.display().to_string(), llama, tokenizer, model, tuning })
    }

    /// Samples as this model takes them.
    fn builder<'a>(&'a self, template: &'a Template) -> SampleBuilder<'a> {
        SampleBuilder::new(&self.tokenizer, template, Wrapper::Plain)
            .with_max_tokens(self.llama.max_position_embeddings)
    }

    fn predictor<'a>(
        &'a self,
        name: &str,
        model: &'a Llama,
        template: &'a Template,
    ) -> impl Predictor + 'a {
        TemplateModel::new(name, model, &self.llama, self.builder(template))
    }
}

/// Fetches a model with a bar of all its bytes.
fn fetch(model: HubModel) -> Result<PathBuf> {
    let bar = progress("fetching", 0);
    let (shown, files) = (bar.clone(), Mutex::new(BTreeMap::new()));
    let model = model.with_progress(move |file| {
        let Ok(mut files) = files.lock() else { return };
        files.insert(file.file.to_owned(), (file.bytes, file.total));
        shown.set_length(files.values().map(|(_, total)| total).sum());
        shown.set_position(files.values().map(|(bytes, _)| bytes).sum());
    });
    let folder = model.fetch()?;
    bar.finish_and_clear();
    Ok(folder)
}

/// A training run and what it is watched by.
struct Stage<'a> {
    name: &'a str,
    llama: &'a LlamaConfig,
    samples: &'a [Sample],
    held_out: &'a [Sample],
}

/// What a training run leaves.
struct Trained {
    model: Llama,
    losses: Vec<(u64, f64)>,
    validation: Vec<(u64, f64)>,
}

impl Stage<'_> {
    /// Steps between checkpoints, and between looks at the held-out loss.
    const INTERVAL: Every = Every::Steps(50);

    fn train(&self, model: Llama, config: SftConfig, arguments: &Arguments) -> Result<Trained> {
        let folder = arguments.out.join("checkpoints").join(self.name);
        let watch = WatchConfig {
            evaluate: Self::INTERVAL,
            save: Self::INTERVAL,
            ..WatchConfig::default()
        };
        let mut run = Run::open(folder, model, self.llama, config, self.samples)?
            .with_watch(watch)
            .with_held_out(self.held_out)
            .with_observer(ProgressLine::new(self.name));
        GRACEFUL.store(true, Ordering::Relaxed);
        if run.train(&INTERRUPTED)? == Ending::Interrupted {
            eprintln!("stopped after step {}; --resume goes on from there", run.trainer().steps());
            std::process::exit(130);
        }
        GRACEFUL.store(false, Ordering::Relaxed);
        let validation = run.trainer().evaluations().to_vec();
        let losses = run.trainer().losses().to_vec();
        if let (Some(first), Some(last)) = (losses.first(), losses.last()) {
            say(format_args!("loss {:.3} at the first step, {:.3} at the last", first.1, last.1))?;
        }
        Ok(Trained { model: run.into_model(), losses, validation })
    }
}

fn score(predictors: &mut [Box<dyn Predictor + '_>], test: &[Question]) -> Result<Vec<Evaluation>> {
    predictors
        .iter_mut()
        .map(|predictor| {
            let bar = progress(predictor.name(), test.len() as u64);
            let evaluation = evaluate_each(predictor, test, |_| bar.inc(1))?;
            bar.finish_and_clear();
            Ok(evaluation)
        })
        .collect()
}

fn notes(arguments: &Arguments, prepared: &Dataset, base: &Base) -> Vec<String> {
    let data = match arguments.reviews.as_slice() {
        [] => "generated, with the best possible answer known".to_owned(),
        files => files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", "),
    };
    let histories = &prepared.manifest.histories;
    let method = if arguments.qlora { "QLoRA" } else { "LoRA" };
    vec![
        format!("data: {data}; {} users, {} purchases", histories.users, histories.interactions),
        format!("base model: {}", base.name),
        format!("fine-tuning: {method}, rank 16, {} steps", base.tuning.max_steps.unwrap_or(0)),
    ]
}

/// A short warm-up, shorter still in a short run.
fn warmup(steps: u64) -> u64 {
    (steps / 10).min(10)
}

fn heading(text: &str) -> Result<()> {
    say(format_args!("\n== {text}"))
}

/// Whether the output goes to someone who wants colours.
fn in_colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !refused
}

/// Not `println!`, which panics where the output cannot be written.
fn say(text: impl std::fmt::Display) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("cannot write to the standard output")
}

fn progress(name: &str, length: u64) -> ProgressBar {
    let style = "{prefix:>17} [{wide_bar}] {pos}/{len} {eta} left";
    let style = ProgressStyle::with_template(style).expect("a valid template");
    ProgressBar::new(length).with_style(style.progress_chars("=> ")).with_prefix(name.to_owned())
}
