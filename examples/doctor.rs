//! Shows a sample as the model will see it, token by token, and what is wrong with any of them.
//!
//! Run: `cargo run --release --example doctor -- data --tokenizer out/quickstart/base`

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use nextcart_data::{Contexts, Part, Question, read_any_questions};
use nextcart_examples::{check_choice, end_of_output, example, in_colour, print, template};
use nextcart_models::LlamaConfig;
use nextcart_prompt::{ChatTemplate, Layout, Wrapper};
use nextcart_text::{Error, Lengths, SampleBuilder, Tokenizer, diagnose};

/// Looks for faults in samples before a model is trained on them.
///
/// Makes a sample of each training question, as training does, shows one token by token with its loss mask and
/// labels, and counts what is wrong with any: two beginnings, no end, an empty answer, options that say the same,
/// purchases dropped because the sample was too long.
#[derive(Parser)]
#[command(name = "doctor", version)]
#[command(after_help = example("doctor -- data --tokenizer out/quickstart/base"))]
struct Arguments {
    /// Questions, or a folder that `prepare` wrote.
    questions: PathBuf,
    /// A tokenizer.json, or the folder of a checkpoint that has one.
    #[arg(long)]
    tokenizer: PathBuf,
    /// Id of the token that ends a text; `eos_token_id` of the checkpoint's config if left out.
    #[arg(long)]
    eos: Option<u32>,
    /// Name of a built-in template, or file of one of your own; what configurations train with if left out.
    #[arg(long, default_value = "options_first")]
    template: String,
    /// What stands around a prompt.
    #[arg(long, alias = "layout", value_enum, default_value_t = Around::Plain)]
    wrapper: Around,
    /// Purchases that a sample shows, the latest ones, as `data.history` in configurations; all of them if left out.
    #[arg(long)]
    history: Option<usize>,
    /// Longest sample, beyond which older purchases are dropped, as `data.max_tokens` in configurations; as many as the
    /// model of the checkpoint takes if left out, or 2048 without its config.
    #[arg(long)]
    max_tokens: Option<usize>,
    /// Questions to look at, at most.
    #[arg(long, default_value_t = 10_000)]
    questions_at_most: usize,
    /// Which sample to show, from 0; the first one that something is wrong with if left out.
    #[arg(long)]
    show: Option<usize>,
    /// End with status 1 where anything is wrong with a sample or training would refuse it, for scripts.
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Around {
    Plain,
    Alpaca,
    Seed,
    /// The chat template beside the tokenizer.
    Chat,
}

fn main() -> ExitCode {
    end_of_output(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let template = template(&arguments.template)?;
    let path = &arguments.tokenizer;
    let file = if path.is_dir() { path.join("tokenizer.json") } else { path.clone() };
    if !file.is_file() {
        let expected = "expected a tokenizer.json, or the folder of a checkpoint that has one";
        bail!("cannot read `{}`: {expected}", file.display());
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let model = model(arguments, folder)?;
    let tokenizer = Tokenizer::from_file(&file, eos(arguments, folder, model.as_ref())?)?;
    let of_model = || model.as_ref().map_or(2048, |model| model.max_position_embeddings);
    let max_tokens = arguments.max_tokens.unwrap_or_else(of_model);
    let layout = match arguments.wrapper {
        Around::Plain => Wrapper::Plain.into(),
        Around::Alpaca => Wrapper::Alpaca.into(),
        Around::Seed => Wrapper::Seed.into(),
        Around::Chat => Layout::from(ChatTemplate::from_folder(folder)?),
    };
    let builder = SampleBuilder::new(&tokenizer, &template, layout).with_max_tokens(max_tokens);

    let mut built = Vec::new();
    let mut diagnoses = Vec::new();
    let mut found: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    let mut note = |finding, question: &Question| {
        found.entry(finding).or_insert_with(|| (0, question.id.clone())).0 += 1;
    };
    let asked = questions(arguments)?;
    // What training knows beside the questions is told of a folder; a file has nothing but these.
    let is_told = |field: &str| template.mentions(field);
    let told = || Contexts::wanted(&arguments.questions, &asked, is_told);
    let told = arguments.questions.is_dir().then(told).transpose()?;
    let build = |question: &Question| match &told {
        Some(told) => builder.build(&told.of(question)),
        None => builder.build(question),
    };
    for question in &asked {
        let samples = match build(question) {
            Ok(samples) => samples,
            Err(error @ (Error::TooLong { .. } | Error::NoTokens { .. })) => {
                note(kind(&error), question);
                continue;
            }
            Err(error) => {
                check_choice([question], &arguments.questions)?;
                return Err(error).context(format!("question `{}`", question.id));
            }
        };
        for sample in samples {
            let titles = question.candidates.iter().map(|product| product.title.as_str());
            let diagnosis = diagnose(&sample.sample, &tokenizer)?
                .with_dropped(sample.dropped)
                .with_options(titles);
            for finding in &diagnosis.findings {
                note(finding.kind(), question);
            }
            diagnoses.push(diagnosis);
            built.push(sample);
        }
    }

    let mut out = String::new();
    let ill = diagnoses.iter().position(|diagnosis| !diagnosis.findings.is_empty());
    let shown = arguments.show.unwrap_or(ill.unwrap_or(0));
    match diagnoses.get(shown) {
        Some(diagnosis) => {
            writeln!(out, "sample {shown}\n\n{}", diagnosis.show(in_colour()))?;
        }
        None if arguments.show.is_some() => {
            bail!("expected a sample {shown}, found {} of them", diagnoses.len());
        }
        None => {}
    }
    writeln!(out, "{}", Lengths::of(&built))?;
    for (finding, (times, id)) in &found {
        writeln!(out, "{times} times, first in `{id}`: {finding}")?;
    }
    if found.is_empty() {
        writeln!(out, "nothing found")?;
    }
    print(&out)?;
    let faults = found.len();
    ensure!(!arguments.strict || faults == 0, "--strict: expected no fault, found {faults} kinds");
    Ok(())
}

/// Training questions of a folder, or all questions of a file.
fn questions(arguments: &Arguments) -> Result<Vec<Question>> {
    let path = &arguments.questions;
    let mut questions = match path.is_dir() {
        true => {
            let all = read_any_questions(path.join("questions.parquet"))?;
            all.into_iter().filter(|question| question.part == Part::Train).collect()
        }
        false => read_any_questions(path)?,
    };
    questions.truncate(arguments.questions_at_most);
    questions.iter_mut().for_each(|question| question.keep_latest(arguments.history));
    if questions.is_empty() {
        bail!("no question to look at in `{}`", path.display());
    }
    Ok(questions)
}

/// Why no sample could be made.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::TooLong { .. } => {
            "too long even with the latest purchase alone: training refuses it; prepare with fewer \
             --candidates, or drop the question"
        }
        _ => "the answer is empty: training refuses it; drop the question",
    }
}

/// The model beside the tokenizer, where there is one; one that cannot be read is none where --eos does without it.
fn model(arguments: &Arguments, folder: &Path) -> Result<Option<LlamaConfig>> {
    let config = folder.join("config.json");
    let found = config.is_file().then(|| LlamaConfig::from_file(&config));
    match arguments.eos {
        Some(_) => Ok(found.and_then(Result::ok)),
        None => Ok(found.transpose()?),
    }
}

/// The token that ends a text: as asked for, or as the checkpoint's config has it.
fn eos(arguments: &Arguments, folder: &Path, model: Option<&LlamaConfig>) -> Result<Option<u32>> {
    if arguments.eos.is_none() && model.is_none() {
        let config = folder.join("config.json");
        bail!("which token ends a text? `{}` is missing: name it with --eos", config.display());
    }
    Ok(arguments.eos.or_else(|| model?.eos_token_ids.first().copied()))
}
