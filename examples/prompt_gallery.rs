//! One question in every style: all built-in prompt templates, or one of your own.
//!
//! Run: `cargo run --release --example prompt_gallery -- data --template crowd`
//!
//! Without a folder it makes a small shop and asks about that.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use nextcart_data::synthetic::{Corpus, SyntheticConfig};
use nextcart_data::{
    ContextOptions, Contexts, IngestOptions, Part, PrepareOptions, Prepared, Question, Resources,
    prepare,
};
use nextcart_examples::{check_choice, end_of_output, example, print, template};
use nextcart_prompt::{
    ChatTemplate, Fields, Layout, SegmentKind, Style, Template, Wrapper, catalogue,
};

/// Prints one question as every built-in template asks it.
///
/// Between « and » stands the answer, which is all that a model is trained on. Without a folder the question is of
/// a small shop made for it.
#[derive(Parser)]
#[command(name = "prompt_gallery", version)]
#[command(after_help = example("prompt_gallery -- data --template crowd"))]
struct Arguments {
    /// A folder that `prepare` wrote; a small generated shop if left out.
    folder: Option<PathBuf>,
    /// Which of the test questions, from 0.
    #[arg(long, default_value_t = 0)]
    question: usize,
    /// The one way of asking to show, all built-in ones if left out: the name of a built-in template, such as
    /// options_first, or a file of your own with the sections instruction, input and output.
    #[arg(long)]
    template: Option<String>,
    /// What marks the options and is answered; templates whose answers have a form of their own keep it.
    #[arg(long, value_enum, default_value_t = Answers::Titles)]
    answers: Answers,
    /// Tell what the crawl of the shop's pages lists, where a template does (item_relations): undated, it may hold the
    /// very answer.
    #[arg(long)]
    crawl: bool,
    /// Folder of a checkpoint whose chat template to use.
    #[arg(long)]
    chat: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Answers {
    Titles,
    Letters,
    Numbers,
}

impl Answers {
    fn style(self) -> Style {
        match self {
            Self::Titles => Style::default(),
            Self::Letters => Style::LETTERS,
            Self::Numbers => Style::NUMBERS,
        }
    }
}

fn main() -> ExitCode {
    end_of_output(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let chat = arguments.chat.as_ref().map(ChatTemplate::from_folder).transpose()?;
    let layout = chat.map(Layout::from);
    let templates = match &arguments.template {
        Some(name) => {
            let only = template(name)?;
            check(&only, arguments)?;
            vec![only]
        }
        None => {
            catalogue().iter().map(|it| Template::builtin(it.name)).collect::<Result<_, _>>()?
        }
    };
    let generated = tempfile::tempdir().context("cannot make a temporary folder")?;
    let prepared = match &arguments.folder {
        Some(folder) => Prepared::open(folder)?,
        None => small_shop(generated.path())?,
    };
    let crawl = arguments.crawl || arguments.folder.is_none();
    let mut told = match &templates[..] {
        [only] => ContextOptions::wanted(|field| only.mentions(field)),
        _ => ContextOptions::kept_by(&prepared), // and where nothing was kept, some of them show that
    };
    told.relations.crawl = crawl;
    let (question, contexts) = ask(&prepared, arguments.question, &told)?;
    let context = contexts.of(&question);
    let fields = Fields::new(&context);

    let from = arguments.folder.as_deref().unwrap_or(generated.path());
    let mut out = String::new();
    for template in templates {
        let template = match template.takes_style() {
            true => template.with_style(arguments.answers.style())?,
            false => template,
        };
        let wrapper =
            if template.name().starts_with("seed") { Wrapper::Seed } else { Wrapper::Plain };
        let layout = layout.clone().unwrap_or_else(|| wrapper.into());
        let prompts = template.prompts(&fields).or_else(|error| {
            check_choice([&question], from)?;
            Err(anyhow::Error::from(error))
        })?;
        writeln!(out, "=== {} ===\n{}\n", template.name(), template.about())?;
        for (number, prompt) in prompts.iter().enumerate() {
            if prompts.len() > 1 {
                writeln!(out, "--- prompt {} of {} ---", number + 1, prompts.len())?;
            }
            for segment in layout.segments(prompt)? {
                match segment.kind {
                    SegmentKind::Answer => write!(out, "«{}»", segment.text)?,
                    _ => write!(out, "{}", segment.text)?,
                }
            }
            writeln!(out, "\n")?;
        }
    }
    print(&out)
}

/// An error for an option that changes nothing of the template.
fn check(template: &Template, arguments: &Arguments) -> Result<()> {
    let name = template.name();
    ensure!(
        template.takes_style() || arguments.answers == Answers::Titles,
        "--answers: template `{name}` writes its answers in a form of its own: leave the option out"
    );
    ensure!(
        !arguments.crawl || template.mentions("also_viewed"),
        "--crawl: template `{name}` tells nothing that the crawl lists: expected one with `also_viewed`"
    );
    Ok(())
}

/// A test question, and what may be told beside it.
fn ask(prepared: &Prepared, index: usize, told: &ContextOptions) -> Result<(Question, Contexts)> {
    let questions = prepared.load()?.questions;
    let mut test = questions.into_iter().filter(|question| question.part == Part::Test);
    let Some(question) = test.nth(index) else {
        let (asked, folder) = (prepared.manifest.questions.test, prepared.folder.display());
        bail!("expected a test question {index}, found {asked} of them in `{folder}`");
    };
    let questions = std::slice::from_ref(&question);
    let contexts = Contexts::read(prepared, questions, told, &Resources::default())?;
    Ok((question, contexts))
}

/// Generates and prepares a shop with everything that templates can tell.
fn small_shop(folder: &Path) -> Result<Prepared> {
    let corpus = Corpus::generate(&SyntheticConfig { items: 120, ..SyntheticConfig::default() })?;
    let files = corpus.write(folder)?;
    let ingest = IngestOptions { description: true, ..IngestOptions::default() };
    let options = PrepareOptions { ingest, ..PrepareOptions::default() };
    Ok(prepare(&[files.reviews], &[files.meta], folder.join("prepared"), &options)?)
}
