//! Fine-tunes a language model to put titles that the same customers buy close to each other, and asks what that is worth.
//!
//! Run: `cargo run --release --example retrieve -- data --model out/quickstart/base`
//!
//! The model reads each title alone and makes a vector of it. A customer is the sum of the vectors of what was bought,
//! and the candidate nearest to it the answer. It learns from the training part, group by group of customers: the next title
//! against all others of the group. Set beside it are the model as it was, predictors without a language model, sums of
//! both, and each sum without the history. `report.html` has the rest. Ctrl-C during training leaves a checkpoint; the
//! same command goes on from it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use indicatif::ProgressBar;
use nextcart_adapters::LoraConfig;
use nextcart_data::{Dataset, Part, Question};
use nextcart_eval::{
    AuditOptions, Blend, CatalogueRanker, Edited, Evaluation, FullAudit, Interactions, ItemKnn,
    ItemKnnOptions, ModelAudit, ModelAuditOptions, Predictor, RankingScore, Report, Stack,
    TextIndex, TitleVectors, TrainingFacts, audit_model, audit_with, bought_products,
    classical_rankers, evaluate, full_ranking,
};
use nextcart_examples::{
    Tuning, at_least, checkpoint, compared, dataset, end, end_on_ctrl_c, example, find_device, log,
    print, say, say_rankings, say_scores, wrapped,
};
use nextcart_models::{Llama, LlamaConfig, embed_texts_with};
use nextcart_text::{ContrastOptions, Sample, Tokenizer};
use nextcart_train::{Schedule, SftConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Fine-tunes a language model to put titles that the same customers buy close to each other, and asks what that is worth.
///
/// A customer is the sum of the vectors of what was bought, and the candidate nearest to it the answer. Set beside it are the
/// model as it was, predictors without a language model, sums of both, and each sum without the history. Checkpoints,
/// predictions and `report.html` go to --out.
#[derive(Parser)]
#[command(name = "retrieve", version)]
#[command(after_help = example("retrieve -- data --model out/quickstart/base"))]
struct Arguments {
    /// A folder that `prepare` wrote, or one with review or sequence files and `items…` or `meta…` files. Of
    /// these, each customer's last purchase becomes the test and the one before it validation.
    folder: PathBuf,
    /// Folder or hub id of a Llama-family checkpoint.
    #[arg(long)]
    model: String,
    /// Folder for all that is written.
    #[arg(long, default_value = "out/retrieve")]
    out: PathBuf,
    /// Blocks of the model that read, its first ones, or all if it has fewer.
    #[arg(long, default_value_t = 2, value_parser = at_least::<1>)]
    blocks: usize,
    /// Of these, blocks with adapters, the last ones: those below need no backward pass (default 8, or all of fewer).
    #[arg(long, value_parser = at_least::<1>)]
    adapted: Option<usize>,
    /// Rank of the adapters; alpha is twice that.
    #[arg(long, default_value_t = 32, value_parser = at_least::<1>)]
    rank: usize,
    /// Tokens of a title that are read, its first ones.
    #[arg(long, default_value_t = 20, value_parser = at_least::<4>)]
    tokens: usize,
    /// Customers whose titles are set against each other.
    #[arg(long, default_value_t = 64, value_parser = at_least::<2>)]
    group: usize,
    /// Passes over the training part; 0 leaves the model as it is.
    #[arg(long, default_value_t = 3)]
    epochs: u64,
    /// Highest learning rate.
    #[arg(long, default_value_t = 3e-3)]
    learning_rate: f64,
    /// Customers to learn from, the first ones (default all).
    #[arg(long)]
    customers: Option<usize>,
}

fn main() -> ExitCode {
    log("error,hf_hub=off");
    end(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    end_on_ctrl_c()?;
    let data = dataset(&arguments.folder, &arguments.out)?;
    let checkpoint = checkpoint(&arguments.model)?;
    let all = checkpoint.config();
    let llama = all.clone().with_first_blocks(arguments.blocks.min(all.layers));
    if let Some(adapted) = arguments.adapted.filter(|adapted| *adapted > llama.layers) {
        bail!("--adapted: expected at most the {} blocks that read, found {adapted}", llama.layers);
    }
    let part = |part| data.questions.iter().filter(move |question| question.part == part).cloned();
    let [validation, test] =
        [Part::Validation, Part::Test].map(|p| part(p).collect::<Vec<Question>>());

    // What needs no model first: data that will not do are refused before anything is trained.
    let mut judge = Judge { data: &data, test: &test, asked: Vec::new(), audits: Vec::new() };
    let knn = ItemKnn::fit(&Interactions::of(&data), ItemKnnOptions::default())?;
    let text = TextIndex::tf_idf(bought_products(&data));
    judge.ask(&mut Blend::fit("knn_text", knn, text, &validation)?)?;
    let stack = |name: &str, more: Option<TitleVectors>| -> Result<Stack> {
        let mut parts = classical_rankers(&data, ItemKnnOptions::default())?;
        parts.extend(more.map(|vectors| Box::new(vectors) as Box<dyn CatalogueRanker>));
        Ok(Stack::fit(name, parts, &validation)?)
    };
    judge.ask_both(&mut stack("stack", None)?)?;

    let titles = Titles::new(&data, &checkpoint.tokenizer()?, arguments.tokens)?;
    let base = checkpoint.load(&find_device()?)?.with_first_blocks(llama.layers);
    let (mut models, mut losses) = (vec![("untuned", base)], Vec::new());
    if arguments.epochs > 0 {
        let samples = titles.contrasts(&data, arguments)?;
        let (tuned, seen) = tune(models[0].1.clone(), &llama, &samples, arguments)?;
        models.push(("tuned", tuned));
        losses = seen;
    }
    for (name, model) in models {
        let mut vectors = titles.vectors(name, &model, &llama)?;
        judge.ask(&mut vectors)?;
        let mut sum = stack(&format!("stack and {name}"), Some(vectors))?;
        let weights = sum.weights().map(|(name, weight)| format!("{name} {weight:.2}"));
        let weights = weights.collect::<Vec<_>>().join(", ");
        say!("{}", wrapped(format!("{}: {weights}", sum.name())))?;
        judge.ask_both(&mut sum)?;
        if name == "tuned" {
            judge.audit(&mut sum)?;
        }
    }
    judge.tell()?;
    judge.report(arguments, llama.layers, &losses)
}

/// What the names of the report stand for.
const MEANINGS: [(&str, &str); 5] = [
    ("fine_tuned", "the stack and the tuned vectors of titles, added up."),
    (
        "history_blind",
        "the same without the history: what the options tell of themselves in the training part.",
    ),
    ("base", "the stack and the vectors as they come, added up."),
    ("tuned", "nearness of the tuned vectors to what was bought."),
    ("untuned", "nearness of the vectors as they come."),
];

/// Asks predictors the test and keeps what they reach.
struct Judge<'a> {
    data: &'a Dataset,
    test: &'a [Question],
    asked: Vec<(Evaluation, Option<RankingScore>)>, // a blind twin ranks no catalogue
    audits: Vec<ModelAudit>,
}

impl Judge<'_> {
    fn ask(&mut self, ranker: &mut impl CatalogueRanker) -> Result<()> {
        let evaluation = evaluate(ranker, self.test)?;
        let ranking = full_ranking(ranker, self.test, &self.data.histories, PLACES)?;
        self.asked.push((evaluation, Some(ranking)));
        Ok(())
    }

    /// A predictor and the same without the history.
    fn ask_both(&mut self, ranker: &mut Stack) -> Result<()> {
        self.ask(ranker)?;
        let mut twin = Edited::without_history(ranker as &mut dyn Predictor);
        self.asked.push((evaluate(&mut twin, self.test)?, None));
        Ok(())
    }

    /// The predictor asked last but for its twin, with other histories.
    fn audit(&mut self, ranker: &mut Stack) -> Result<()> {
        let options = ModelAuditOptions { ordered: 0, ..ModelAuditOptions::default() };
        self.audits.push(audit_model(ranker, self.last()?, self.test, &options)?);
        Ok(())
    }

    /// What is judged: the last predictor that is no twin.
    fn last(&self) -> Result<&Evaluation> {
        let able = self.asked.iter().rfind(|(_, ranking)| ranking.is_some());
        able.map(|(evaluation, _)| evaluation).context("nobody was asked")
    }

    /// Accuracies, rankings of the whole catalogue, and the tuned vectors and the last sum against each asked before.
    fn tell(&self) -> Result<()> {
        let scores: Vec<_> = self.asked.iter().map(|(evaluation, _)| evaluation.score()).collect();
        say_scores(&scores)?;
        let rankings = self.asked.iter().filter_map(|(_, ranking)| ranking.as_ref());
        say_rankings(PLACES, &rankings.collect::<Vec<_>>())?;
        let last = self.last()?;
        let able = self.asked.iter().filter(|(_, ranking)| ranking.is_some());
        let able: Vec<&Evaluation> = able.map(|(evaluation, _)| evaluation).collect();
        let mut pairs = Vec::new();
        for (place, judged) in able.iter().enumerate().rev() {
            if judged.name == last.name || judged.name == "tuned" {
                pairs.extend(able[..place].iter().map(|other| (*judged, *other)));
            }
        }
        print(wrapped(compared(&pairs)?))
    }

    /// The same as a page, under the names that reports know.
    fn report(&self, arguments: &Arguments, blocks: usize, losses: &[(u64, f64)]) -> Result<()> {
        let last = self.last()?;
        let known = AuditOptions { histories: Some(&self.data.histories), ..Default::default() };
        let audit =
            FullAudit { questions: audit_with(self.test, &known)?, models: self.audits.clone() };
        say!("\n{}", wrapped(audit.explain()))?;
        let named = |name: &str| {
            match name {
                "stack and tuned" => "fine_tuned",
                "stack and tuned, without history" => "history_blind",
                "stack and untuned" => "base",
                other => other,
            }
            .to_owned()
        };
        let renamed = |it: &Evaluation| Evaluation { name: named(&it.name), ..it.clone() };
        let mut evaluations: Vec<Evaluation> =
            self.asked.iter().map(|(evaluation, _)| renamed(evaluation)).collect();
        evaluations.sort_by_key(|evaluation| evaluation.name != named(&last.name)); // first
        let histories = self.data.histories.iter().map(|history| &history.items);
        let titles = self.data.catalogue.products().map(|product| &product.title);
        let report = Report {
            notes: &[format!("model: {}, its first {blocks} blocks", arguments.model)],
            questions: self.test,
            evaluations: &evaluations,
            audit: Some(&audit),
            meanings: &MEANINGS,
            training: Some(&TrainingFacts::fit(histories, titles)),
            ..Report::of_run("Titles that are bought together", losses, &[])
        };
        say!("report: {}", report.write(&arguments.out)?.html.display())?;
        Ok(())
    }
}

/// Places that count in HR and NDCG.
const PLACES: usize = 10;

/// What stands before a title.
const PREFIX: &str = "- ";

/// All titles of a catalogue in tokens, each once, and which of them an item has.
struct Titles {
    tokens: Vec<Vec<u32>>,
    of_item: HashMap<String, usize>,
    bought: Vec<String>,
}

impl Titles {
    fn new(data: &Dataset, tokenizer: &Tokenizer, most: usize) -> Result<Self> {
        let (mut tokens, mut known, mut of_item) = (Vec::new(), HashMap::new(), HashMap::new());
        for product in data.catalogue.products() {
            let mut ids = tokenizer.encode(&format!("{PREFIX}{}", product.title))?;
            ids.truncate(most);
            // What reads the same is the same, or it would be told from itself.
            let title = *known.entry(ids).or_insert_with_key(|ids: &Vec<u32>| {
                tokens.push(ids.clone());
                tokens.len() - 1
            });
            of_item.insert(product.item.clone(), title);
        }
        let bought =
            bought_products(data).into_iter().map(|product| product.item.clone()).collect();
        Ok(Self { tokens, of_item, bought })
    }

    /// The vectors of all items, as a model makes them.
    fn vectors(&self, name: &str, model: &Llama, llama: &LlamaConfig) -> Result<TitleVectors> {
        let texts: Vec<&[u32]> = self.tokens.iter().map(Vec::as_slice).collect();
        let bar = ProgressBar::new(texts.len() as u64);
        let tell = |done: usize| bar.set_position(done as u64);
        let vectors = embed_texts_with(model, llama, &texts, tell);
        let of_items = self.of_item.iter();
        let of_items = of_items.map(|(item, title)| (item.as_str(), vectors[*title].clone()));
        let vectors = TitleVectors::new(name, of_items, ContrastOptions::default())?;
        Ok(vectors.ranking(self.bought.iter().map(String::as_str)))
    }

    /// Groups of customers with what they bought in the training part.
    fn contrasts(&self, data: &Dataset, arguments: &Arguments) -> Result<Vec<Sample>> {
        let options = ContrastOptions::default();
        let most = arguments.customers.unwrap_or(usize::MAX);
        let customers = data.histories.iter().filter(|history| history.items.len() > 1).take(most);
        let bought: Vec<Vec<usize>> = customers
            .map(|history| {
                history.items.iter().filter_map(|item| self.of_item.get(item)).copied().collect()
            })
            .collect();
        // Of one size: the last one would have few to be told from.
        let count = bought.len().div_ceil(arguments.group).max(1);
        let groups = bought.chunks(bought.len().div_ceil(count).max(1));
        let sample = |group: &[Vec<usize>]| {
            let mut titles: Vec<usize> = group.concat();
            titles.sort_unstable();
            titles.dedup();
            if titles.len() < 2 {
                return None;
            }
            let place = |title: &usize| titles.binary_search(title).unwrap_or_default();
            let histories: Vec<Vec<usize>> =
                group.iter().map(|history| history.iter().map(place).collect()).collect();
            let texts: Vec<&[u32]> =
                titles.iter().map(|&title| self.tokens[title].as_slice()).collect();
            let histories: Vec<&[usize]> = histories.iter().map(Vec::as_slice).collect();
            Some(Sample::contrast(&texts, &histories, options).context("a group of customers"))
        };
        let samples: Vec<Sample> = groups.filter_map(sample).collect::<Result<_>>()?;
        if samples.is_empty() {
            bail!("no customer of the training part bought two items: there is nothing to learn");
        }
        Ok(samples)
    }
}

/// Tunes a model and saves its adapter, with what makes vectors of it beside it.
fn tune(
    base: Llama,
    llama: &LlamaConfig,
    samples: &[Sample],
    arguments: &Arguments,
) -> Result<(Llama, Vec<(u64, f64)>)> {
    let tuning = Tuning {
        out: &arguments.out,
        base: &arguments.model,
        lora: LoraConfig::new()
            .with_rank(arguments.rank)
            .with_alpha(2.0 * arguments.rank as f64)
            .with_target_modules(llama.last_blocks(arguments.adapted.unwrap_or(8))),
        seed: 7,
        config: SftConfig {
            epochs: arguments.epochs,
            batch_size: 1,
            learning_rate: arguments.learning_rate,
            warmup_steps: (samples.len() as u64 / 20).min(10),
            schedule: Schedule::Cosine,
            ..SftConfig::default()
        },
        save: 20,
    };
    let (tuned, losses) = tuning.train(base, llama, samples)?;
    let ContrastOptions { decay, longest, temperature } = ContrastOptions::default();
    let vectors = serde_json::json!({
        "base": arguments.model, "blocks": llama.layers, "prefix": PREFIX, "tokens": arguments.tokens,
        "decay": decay, "longest": longest, "temperature": temperature,
    });
    // The adapter is of these blocks alone: behind the others it means nothing.
    let file = arguments.out.join("adapter/vectors.json");
    std::fs::write(file.with_extension("new"), serde_json::to_vec_pretty(&vectors)?)?;
    std::fs::rename(file.with_extension("new"), file)?;
    Ok((tuned, losses))
}
