//! Scores predictors that any model has to beat, counted or learnt on the training part and weighed on validation.
//!
//! Run: `cargo run --release --example baselines -- data`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use nextcart_data::{Dataset, Part, PrepareOptions, Prepared, Question, Resources, prepare_until};
use nextcart_eval::{
    AuditOptions, Blend, Bm25Options, CatalogueRanker, CoOccurrence, Interactions, ItemKnn,
    ItemKnnOptions, Markov, MarkovOptions, Popularity, Random, RankingScore, RecencyOptions,
    RecentPopularity, SasRec, SasRecConfig, Score, Stack, TextIndex, audit_with, bought_products,
    classical_rankers, evaluate, full_ranking,
};
use nextcart_examples::{
    at_least, check_choice, check_folder, end_of_output, end_on_ctrl_c, example, find_device, fits,
    go_on, in_order, log, percent_interval, ranking_columns, ranking_heading, say, wrapped,
};
use serde::Serialize;

/// Scores predictors that any model has to beat, each fitted on the training part alone.
///
/// For every test question they choose among its candidates (accuracy), and from its history they rank
/// all items of training but those that the customer has (HR and NDCG). Weights and epochs are chosen on
/// validation questions. All figures stand with their 95 % intervals; seconds are those of fitting. Below them
/// stands what rules reach that never look at the history.
///
/// RUST_LOG=info shows the epochs of sasrec.
#[derive(Parser)]
#[command(name = "baselines", version)]
#[command(after_help = example("baselines -- data"))]
struct Arguments {
    /// A folder that `prepare` wrote, or one with review or sequence files and `items…` or `meta…` files.
    /// Of these, each customer's last purchase becomes the test and the one before it validation.
    folder: PathBuf,
    /// Where to keep the tables and questions made of files (default: nowhere).
    #[arg(long)]
    out: Option<PathBuf>,
    /// Seed of questions made of files, of random scores and of sasrec.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Places that count in HR and NDCG.
    #[arg(long, default_value_t = 10, value_parser = at_least::<1>)]
    k: usize,
    /// Test questions at most.
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true, value_parser = at_least::<1>)]
    questions: usize,
    /// Epochs of sasrec at most; 0 leaves it out.
    #[arg(long, default_value_t = SasRecConfig::new().max_epochs)]
    epochs: usize,
    /// Epochs without a better validation after which sasrec stops.
    #[arg(long, default_value_t = SasRecConfig::new().patience, value_parser = at_least::<1>)]
    patience: usize,
    /// Share of values that sasrec drops in training.
    #[arg(long, default_value_t = SasRecConfig::new().dropout, value_parser = below_one)]
    dropout: f64,
    /// Histories in a step of sasrec.
    #[arg(long, default_value_t = SasRecConfig::new().batch_size, value_parser = at_least::<1>)]
    batch: usize,
    /// Nearest neighbours that item_knn keeps for an item.
    #[arg(long, default_value_t = ItemKnnOptions::default().neighbours, value_parser = at_least::<1>)]
    neighbours: usize,
    /// Shrinkage of item_knn: what is added under the cosine, so that few common customers make no near neighbours.
    #[arg(long, default_value_t = ItemKnnOptions::default().shrinkage, value_parser = not_negative)]
    shrinkage: f64,
    /// Print the figures as JSON and nothing else.
    #[arg(long)]
    json: bool,
}

fn below_one(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| "expected a number of at least 0 and below 1".to_owned())
}

fn not_negative(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|it| (0.0..f64::INFINITY).contains(it));
    number.ok_or_else(|| "expected a number of at least 0".to_owned())
}

/// A row of the table.
#[derive(Serialize)]
struct Row {
    candidates: Score,
    catalogue: RankingScore,
    fit_seconds: f64,
}

fn main() -> ExitCode {
    log("error");
    end_of_output(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    end_on_ctrl_c()?;
    check_folder(&arguments.folder)?;
    let data = load(arguments)?;
    check_choice(&data.questions, &arguments.folder)?;
    let part = |part| data.questions.iter().filter(move |question| question.part == part).cloned();
    let test: Vec<Question> = part(Part::Test).take(arguments.questions).collect();
    let validation: Vec<Question> = part(Part::Validation).collect();
    let mut rows = Vec::new();
    for (index, fit) in BASELINES.iter().enumerate() {
        let started = Instant::now();
        let Some(mut ranker) = fit(arguments, &data, &validation)? else { continue };
        let fit_seconds = started.elapsed().as_secs_f64();
        let candidates = evaluate(&mut ranker, &test)?.score();
        let catalogue = full_ranking(&mut *ranker, &test, &data.histories, arguments.k)?;
        let row = Row { candidates, catalogue, fit_seconds };
        if !arguments.json {
            let heading = heading(&row);
            let is_narrow = !fits([heading.as_str()]);
            match (is_narrow, index) {
                (true, _) => say!("{}", record(&row))?,
                (false, 0) => say!("{heading}\n{}", line(&row))?,
                (false, _) => say!("{}", line(&row))?,
            }
        }
        rows.push(row);
    }
    if arguments.json {
        return say!("{}", serde_json::to_string_pretty(&rows)?);
    }
    let known = AuditOptions { histories: Some(&data.histories), ..AuditOptions::default() };
    say!("\n{}", wrapped(audit_with(&data.questions, &known)?.explain()))
}

/// Reads a prepared folder, or prepares one of files.
fn load(arguments: &Arguments) -> Result<Dataset> {
    let folder = &arguments.folder;
    if folder.join("manifest.json").is_file() {
        return Ok(Prepared::open(folder)?.load()?);
    }
    let options = PrepareOptions { seed: arguments.seed, ..PrepareOptions::leave_one_out() };
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    let out: &Path = arguments.out.as_deref().unwrap_or(scratch.path());
    let files = [folder.clone()];
    let resources = Resources::default();
    let prepared = in_order(|stop| prepare_until(&files, &files, out, &options, &resources, stop))?;
    go_on("the same command prepares again")?;
    Ok(prepared.load()?)
}

type Fit = fn(&Arguments, &Dataset, &[Question]) -> Result<Option<Box<dyn CatalogueRanker>>>;

/// All of them, from the simplest to the one that takes longest; `None` where one does not apply.
const BASELINES: [Fit; 11] = [
    |arguments, data, _| boxed(Random::fit(&Interactions::of(data), arguments.seed)),
    |_, data, _| boxed(Popularity::fit(data.histories.iter().map(|history| &history.items))),
    |_, data, _| boxed(RecentPopularity::fit(&data.histories, RecencyOptions::default())?),
    |_, data, _| boxed(CoOccurrence::fit(data.histories.iter().map(|history| &history.items))),
    |arguments, data, _| boxed(item_knn(arguments, data)?),
    |_, data, _| boxed(Markov::fit(&Interactions::of(data), MarkovOptions::default())?),
    |_, data, _| boxed(TextIndex::tf_idf(bought_products(data))),
    |_, data, _| boxed(TextIndex::bm25(bought_products(data), Bm25Options::default())?),
    |arguments, data, validation| {
        let (knn, text) = (item_knn(arguments, data)?, TextIndex::tf_idf(bought_products(data)));
        match validation {
            [] => Ok(None),
            some => boxed(Blend::fit("knn_text", knn, text, some)?),
        }
    },
    |arguments, data, validation| {
        if validation.is_empty() {
            return Ok(None);
        }
        let Arguments { neighbours, shrinkage, .. } = *arguments;
        let parts = classical_rankers(data, ItemKnnOptions { neighbours, shrinkage })?;
        boxed(Stack::fit("stack", parts, validation)?)
    },
    |arguments, data, validation| {
        if arguments.epochs == 0 || validation.is_empty() {
            return Ok(None);
        }
        let config = SasRecConfig::new()
            .with_max_epochs(arguments.epochs)
            .with_patience(arguments.patience)
            .with_dropout(arguments.dropout)
            .with_batch_size(arguments.batch)
            .with_seed(arguments.seed);
        boxed(SasRec::fit(&data.histories, validation, &config, &find_device()?)?)
    },
];

fn boxed(ranker: impl CatalogueRanker + 'static) -> Result<Option<Box<dyn CatalogueRanker>>> {
    Ok(Some(Box::new(ranker)))
}

fn item_knn(arguments: &Arguments, data: &Dataset) -> Result<ItemKnn> {
    let Arguments { neighbours, shrinkage, .. } = *arguments;
    Ok(ItemKnn::fit(&Interactions::of(data), ItemKnnOptions { neighbours, shrinkage })?)
}

fn heading(row: &Row) -> String {
    let ranking = ranking_heading(row.catalogue.k);
    format!(
        "{:<18} {:>8}  {:<15} {ranking} {:>6} {:>8}",
        "name", "accuracy", "95 % interval", "n", "seconds"
    )
}

fn line(Row { candidates, catalogue, fit_seconds }: &Row) -> String {
    let Score { name, accuracy, low, high, n } = candidates;
    format!(
        "{name:<18} {:>6.1} %  {:<15} {} {n:>6} {fit_seconds:>8.2}",
        100.0 * accuracy,
        percent_interval([*low, *high], 1),
        ranking_columns(catalogue)
    )
}

/// The same, a figure a line: for terminals that are narrower than the table.
fn record(Row { candidates, catalogue, fit_seconds }: &Row) -> String {
    let Score { name, accuracy, low, high, n } = candidates;
    let RankingScore { k, hit_rate, hit_rate_interval, ndcg, ndcg_interval, .. } = catalogue;
    let [low_gain, high_gain] = ndcg_interval;
    let (accuracy, hit_rate) = (100.0 * accuracy, 100.0 * hit_rate);
    let right = percent_interval([*low, *high], 1);
    let hits = percent_interval(*hit_rate_interval, 2);
    format!(
        "name: {name}\naccuracy: {accuracy:.1} % ({right})\nHR@{k}: {hit_rate:.2} % ({hits})\n\
         NDCG@{k}: {ndcg:.4} ({low_gain:.4} to {high_gain:.4})\nn: {n}\nseconds: {fit_seconds:.2}\n"
    )
}
