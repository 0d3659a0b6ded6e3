//! From raw reviews to a fine-tuned model and an honest score.
//!
//! Run: `cargo run --release --example quickstart`
//!
//! Generates reviews in the Amazon format unless `--reviews` and `--meta` name real ones, pre-trains a
//! small Llama on the spot unless `--model` names a checkpoint, fine-tunes it with LoRA and sets its
//! score beside those of simpler predictors and of its twin that cannot see the history. Ctrl-C stops
//! at the next step and leaves a checkpoint from which `--resume` goes on.

mod base;
mod shop;
mod stage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use nextcart_adapters::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, LoraConfig};
use nextcart_data::{Dataset, Part, Question};
use nextcart_eval::{
    AuditOptions, Chance, Evaluation, FnPredictor, FullAudit, ModelAuditOptions, Predictor,
    PunctuationRule, Report, TrainingFacts, audit_model, audit_with, baselines, evaluate_each,
};
use nextcart_examples::{
    check_files, end, end_on_ctrl_c, example, find_device, in_colour, log, next, say, word, wrapped,
};
use nextcart_models::save_adapter;
use nextcart_prompt::{Template, Wrapper};
use nextcart_text::{Built, Lengths, Sample, Tokenizer, diagnose};
use nextcart_train::SftConfig;

use crate::base::Base;
use crate::shop::reviews_to_questions;
use crate::stage::{Stage, warmup};

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
#[command(name = "quickstart", version)]
#[command(after_help = example("quickstart"))]
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
    #[arg(long, requires = "model")]
    bf16: bool,
    /// Folder for everything that is written. Without --model, a run replaces what one without --model left there;
    /// checkpoints and adapter of a run with --model stay unless --overwrite is given.
    #[arg(long, default_value = "out/quickstart")]
    out: PathBuf,
    /// Go on from the checkpoint that an interrupted run left in the folder.
    #[arg(long)]
    resume: bool,
    /// Replace the checkpoints and the adapter that lie in the folder.
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Optimiser steps of fine-tuning (default: 200, or 60 with --model).
    #[arg(long, value_parser = value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Optimiser steps of pre-training the small model.
    #[arg(long, default_value_t = 1000, value_parser = value_parser!(u64).range(1..))]
    pretraining_steps: u64,
    /// Test questions at most; the audit shows a customer the history of another.
    #[arg(long, default_value_t = 600, value_parser = value_parser!(u64).range(2..))]
    questions: u64,
}

fn main() -> ExitCode {
    log("error,hf_hub=off");
    end(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    end_on_ctrl_c()?;
    let out = arguments.out.as_path();
    let checkpoints = out.join("checkpoints");
    match arguments.resume {
        true if checkpoints.is_dir() => {}
        true => {
            bail!("nothing to resume: `{}` is missing; leave --resume out", checkpoints.display())
        }
        false => check(arguments)?,
    }
    check_files(arguments.reviews.iter().chain(&arguments.meta))?;
    let device = find_device()?;
    let checkpoint = Base::of_arguments(arguments, &device)?;

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
    say!("{shown}{}\n", prompt.output)?;

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
    say!("{}\n", Lengths::of(&built))?;
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
    say!("adapter: {}", out.join("adapter").display())?;

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
    say!("{}\n\n{}", report.table(), wrapped(audit.explain()))?;
    let files = report.write(out)?;
    say!("\nreport: {}, {}", files.page.display(), files.html.display())?;
    next(format_args!(
        "recommend -- --model {} --adapter {} --data {}{}",
        word(&base.name),
        word(out.join("adapter")),
        word(out.join("data")),
        if arguments.qlora { " --quantized" } else { "" }
    ))
}

/// Folders of a run that the next one replaces, and all that lies in them.
const REPLACED: [(&str, [&str; 2]); 2] = [
    ("adapter", [ADAPTER_CONFIG, ADAPTER_WEIGHTS]),
    ("checkpoints", ["pre-training", "fine-tuning"]),
];

/// An error where the folder holds what nobody asked to replace: another run's work of hours, or files of others.
fn check(arguments: &Arguments) -> Result<()> {
    // The small model is pre-trained and tuned again in minutes.
    let is_small = arguments.out.join("checkpoints/pre-training").is_dir();
    let may_replace = arguments.overwrite || (arguments.model.is_none() && is_small);
    // With --resume, a run goes on with the base that it began with.
    let can_go_on =
        arguments.model.is_some() && !is_small && arguments.out.join("checkpoints").is_dir();
    let goes_on = if can_go_on { "--resume goes on, " } else { "" };
    for (name, known) in REPLACED {
        let folder = arguments.out.join(name);
        if !folder.exists() {
            continue;
        }
        let unread = || format!("cannot read `{}`", folder.display());
        for entry in std::fs::read_dir(&folder).with_context(unread)? {
            let file = entry.with_context(unread)?.file_name();
            ensure!(
                known.iter().any(|known| file == **known),
                "`{}` is not the quickstart's, which replaces the folder: move it, or name another --out",
                folder.join(file).display()
            );
            ensure!(
                may_replace,
                "`{}` is there: {goes_on}--overwrite replaces it, or name another --out",
                folder.display()
            );
        }
    }
    Ok(())
}

/// Removes what an earlier run left and this one makes anew, and nothing else; not `base`, which may be the `--model`.
fn clear(out: &Path) -> Result<()> {
    let [(adapter, files), (checkpoints, runs)] = REPLACED;
    for folder in runs.map(|run| out.join(checkpoints).join(run)) {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
    }
    let reports = ["report.md", "report.html", "metrics.json", "loss.svg"].map(PathBuf::from);
    for file in files.map(|file| Path::new(adapter).join(file)).into_iter().chain(reports) {
        let file = out.join(file);
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
            say!("{}", diagnosis.near_answer(3).show(in_colour()))?;
        }
    }
    for (finding, samples) in found {
        say!("{samples} samples: {finding}")?;
    }
    Ok(())
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

fn heading(text: &str) -> Result<()> {
    say!("\n== {text}")
}

fn progress(name: &str, length: u64) -> ProgressBar {
    let style = "{prefix:>17} [{wide_bar}] {pos}/{len} {eta} left";
    let style = ProgressStyle::with_template(style).expect("a valid template");
    ProgressBar::new(length).with_style(style.progress_chars("=> ")).with_prefix(name.to_owned())
}
