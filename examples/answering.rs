//! Asks one model the same questions in every way of answering, and sets the scores side by side.
//!
//! Run: `cargo run --release --example answering -- data --model out/quickstart/base`
//!
//! By the likelihood of each option, that of a token of it, and what the history adds to it; by writing one of the options,
//! or anything; by a letter, by yes and no to each option, and by one of two for each pair. Ctrl-C keeps the answers so
//! far; the same command goes on.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use indicatif::ProgressBar;
use nextcart_adapters::{ADAPTER_WEIGHTS, load_peft};
use nextcart_data::{Contexts, FullCatalogue, Part, Question};
use nextcart_eval::{
    Answering, AuditOptions, CatalogueRanks, Edited, Evaluation, Predictor, ScoreTable,
    TemplateModel, audit_with, chance, rank_catalogue, spread, write_predictions,
};
use nextcart_examples::{
    ask, checkpoint, dataset, end, end_on_ctrl_c, example, find_device, fits, in_words, log,
    percent_interval, purchases_template, say, wrapped,
};
use nextcart_prompt::{Style, Template};
use nextcart_text::digest;
use nextcart_train::DataConfig;
use sha2::{Digest, Sha256};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Asks one model the same questions in every way of answering, and sets the scores side by side.
///
/// FOLDER is one that `prepare` wrote, or of review files, which it then prepares. All forms are asked unless --forms names
/// some; two also without the history. Answers are kept in --out as they come, and `answering.parquet` there holds all.
#[derive(Parser)]
#[command(name = "answering", version)]
#[command(after_help = example("answering -- data --model out/quickstart/base"))]
struct Arguments {
    /// A folder that `prepare` wrote, or one with review or sequence files and `items…` or `meta…` files. Of
    /// these, each customer's last purchase becomes the test and the one before it validation.
    folder: PathBuf,
    /// Folder or hub id of a Llama-family checkpoint.
    #[arg(long)]
    model: String,
    /// Folder of an adapter for it, as PEFT writes it.
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// Folder for all that is written.
    #[arg(long, default_value = "out/answering")]
    out: PathBuf,
    /// Ways to answer, commas between them: likelihood, per_token, pmi, constrained, free, letters, yes_no and pairwise
    /// (default: all). The book's page on evaluation says when each is of use.
    #[arg(long, value_delimiter = ',')]
    forms: Vec<String>,
    /// Test questions at most, evenly spaced.
    #[arg(long, default_value_t = 100)]
    questions: usize,
    /// Purchases that the model reads, the latest ones.
    #[arg(long, default_value_t = 5)]
    history: usize,
    /// Template that asks about a whole question, by name or file; yes_no and pairwise have their own.
    #[arg(long, default_value = "options_first")]
    template: String,
    /// What stands around it: plain, alpaca, seed or chat.
    #[arg(long, default_value = "plain")]
    wrapper: String,
    /// Of the questions, so many for which all items are ranked by likelihood; takes a folder that `prepare` wrote.
    #[arg(long, default_value_t = 0)]
    catalogue: usize,
}

/// The ways to answer; the last three choose between other answers than titles.
const FORMS: [(&str, Answering); 8] = [
    ("likelihood", Answering::Likelihood),
    ("per_token", Answering::PerToken),
    ("pmi", Answering::Pmi),
    ("constrained", Answering::Constrained),
    ("free", Answering::Free { max_new_tokens: 48 }),
    ("letters", Answering::Likelihood),
    ("yes_no", Answering::Likelihood),
    ("pairwise", Answering::Likelihood),
];

/// Those that are asked without the history, too.
const TWINS: [&str; 2] = ["likelihood", "letters"];

fn main() -> ExitCode {
    log("error,hf_hub=off");
    end(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    end_on_ctrl_c()?;
    let Arguments { folder, out, history, .. } = arguments;
    let forms = forms(&arguments.forms)?;
    let data = dataset(folder, out)?;
    let whole = spread(&data.part(Part::Test, None), arguments.questions);
    ensure!(!whole.is_empty(), "`{}`: expected test questions, found none", folder.display());
    let shown: Vec<Question> = whole.iter().map(|it| it.with_latest(Some(*history))).collect();
    let read = || FullCatalogue::read(folder).context("--catalogue: expected a prepared folder");
    let catalogue = (arguments.catalogue > 0).then(read).transpose()?;

    let checkpoint = checkpoint(&arguments.model)?;
    let (llama, tokenizer) = (checkpoint.config(), checkpoint.tokenizer()?);
    let Arguments { template, wrapper, .. } = arguments;
    let prompts = DataConfig {
        template: template.clone(),
        wrapper: wrapper.clone(),
        ..DataConfig::default()
    };
    let titles = prompts.template()?;
    let mut model = checkpoint.load(&find_device()?)?;
    let mut identity = checkpoint.fingerprint()?;
    if let Some(folder) = &arguments.adapter {
        let within = || format!("`{}`", folder.display());
        model = model.with_peft(&load_peft(folder)?).with_context(within)?;
        let digest = Sha256::digest(std::fs::read(folder.join(ADAPTER_WEIGHTS))?);
        identity += " ";
        identity.extend(digest.iter().map(|byte| format!("{byte:02x}")));
    }

    let told = Contexts::wanted(&data.folder, &shown, |field| titles.mentions(field))?;
    let (mut evaluations, answers) = (Vec::new(), out.join("answers"));
    for (name, answering) in forms {
        let template = match name {
            "letters" => titles.clone().with_style(Style::LETTERS)?,
            "yes_no" => Template::builtin("pointwise")?,
            "pairwise" => Template::builtin("pairwise")?,
            _ => titles.clone(),
        };
        let builder = prompts.builder(&checkpoint, &tokenizer, &template)?;
        let samples = builder.samples(&told.of_all(&shown))?;
        let identity = format!("{identity} {answering:?} {}", digest(&samples));
        let asked = TemplateModel::new(name, &model, llama, builder);
        let mut asked = asked.with_contexts(&told).with_answering(answering);
        evaluations.push(ask(&mut asked, &shown, &identity, &answers)?);
        if TWINS.contains(&name) {
            let mut blind = Edited::without_history(asked);
            evaluations.push(ask(&mut blind, &shown, &identity, &answers)?);
        }
    }
    write_predictions(out.join("answering.parquet"), &evaluations)?;
    show(&evaluations, &shown)?;
    let known = AuditOptions { histories: Some(&data.histories), ..AuditOptions::default() };
    say!("\n{}", wrapped(audit_with(&data.questions, &known)?.explain()))?;

    if let Some(catalogue) = catalogue {
        let template = purchases_template()?;
        let builder = prompts.builder(&checkpoint, &tokenizer, &template)?;
        let mut ranker = TemplateModel::new("likelihood", &model, llama, builder);
        let some = spread(&whole, arguments.catalogue);
        rank(&mut ranker, &some, &catalogue, *history)?;
    }
    Ok(())
}

/// The forms of these names; all of them where none is named.
fn forms(names: &[String]) -> Result<Vec<(&'static str, Answering)>> {
    let find = |name: &String| {
        let known = FORMS.map(|(form, _)| form).join(", ");
        let form = FORMS.into_iter().find(|(form, _)| *form == name.trim());
        form.with_context(|| format!("--forms: expected some of {known}, found `{name}`"))
    };
    match names {
        [] => Ok(FORMS.to_vec()),
        _ => names.iter().map(find).collect(),
    }
}

/// Prints the scores with two more columns, and what the forms cost.
fn show(evaluations: &[Evaluation], questions: &[Question]) -> Result<()> {
    let scores: Vec<_> = evaluations.iter().map(Evaluation::score).collect();
    let table = ScoreTable::new(&scores).to_string();
    let more = evaluations.iter().map(|it| (100.0 * it.valid_ratio(), it.seconds() / it.n as f64));
    let header = format!("{:>7}  {:>17}", "valid", "seconds an answer");
    let beside = more.clone().map(|(valid, seconds)| format!("{valid:>5.1} %  {seconds:>17.3}"));
    let lines = table.lines().zip([header].into_iter().chain(beside));
    let lines: Vec<String> = lines.map(|(line, more)| format!("{line}  {more}")).collect();
    if fits(lines.iter().map(String::as_str)) {
        say!("{}", lines.join("\n"))?;
    } else {
        for (score, (valid, seconds)) in scores.iter().zip(more) {
            let told = in_words(score);
            say!(
                "{}",
                wrapped(format!("{told}, {valid:.1} % valid, {seconds:.3} seconds an answer"))
            )?;
        }
    }
    let n = questions.iter().map(|question| question.candidates.len()).max().unwrap_or_default();
    let told = format!(
        "Chance is {:.1} %. Of a question with n options, pairwise asks n (n - 1) prompts, here {}; yes_no asks n, pmi \
         2, all others 1.",
        100.0 * chance(questions).unwrap_or_default(),
        n * n.saturating_sub(1)
    );
    say!("\n{}", wrapped(told))
}

/// Ranks all that was bought in training, but for what the customer has, and prints where the targets stand.
fn rank(
    predictor: &mut dyn Predictor,
    questions: &[Question],
    catalogue: &FullCatalogue,
    history: usize,
) -> Result<()> {
    let name = predictor.name().to_owned();
    let mut found = CatalogueRanks { name, ranks: Vec::new(), seconds: 0.0 };
    let bar = ProgressBar::new(questions.len() as u64);
    for question in questions {
        let mut asked = question.with_latest(Some(history));
        let has = question.history.iter().map(|purchase| &purchase.product.item);
        if has.clone().all(|item| *item != question.target().item) {
            asked.excluded.extend(has.cloned());
        }
        let one = rank_catalogue(predictor, &[asked], catalogue)?;
        found.ranks.extend(one.ranks);
        found.seconds += one.seconds;
        bar.inc(1);
    }
    let score = found.score(10)?;
    let [low, high] = score.ndcg_interval;
    let told = format!(
        "Of {} items: HR@10 {:.1} % ({}), NDCG@10 {:.3} ({low:.3} to {high:.3}), {} questions, {:.1} seconds each",
        catalogue.products().len(),
        100.0 * score.hit_rate,
        percent_interval(score.hit_rate_interval, 1),
        score.ndcg,
        score.n,
        found.seconds / score.n as f64
    );
    say!("\n{}", wrapped(told))
}
