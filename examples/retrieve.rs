//! Fine-tunes a language model to put titles that the same customers buy close to each other, and asks what that is worth.
//!
//! Run: `cargo run --release --example retrieve -- FOLDER --model CHECKPOINT`
//!
//! The model reads each title alone and makes a vector of it. A customer is the sum of the vectors of what was bought,
//! and the candidate nearest to it the answer. It learns from the training part, group by group of customers: the next title
//! against all others of the group. Set beside it are the model as it was, predictors without a language model, sums of
//! both, and each sum without the history. Ctrl-C leaves a checkpoint; the same command goes on from it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use clap::Parser;
use indicatif::ProgressBar;
use nextcart_adapters::{LoraConfig, TargetModules};
use nextcart_data::{
    Dataset, Part, PrepareOptions, Prepared, Question, Resources, SplitMethod, prepare_until,
};
use nextcart_eval::{
    Blend, CatalogueRanker, Edited, Evaluation, Interactions, ItemKnn, ItemKnnOptions,
    RankingScore, ScoreTable, Stack, TextIndex, TitleVectors, bought_products, classical_rankers,
    evaluate, full_ranking, write_predictions,
};
use nextcart_metrics::mcnemar_exact;
use nextcart_models::{
    Checkpoint, Llama, LlamaConfig, embed_texts_with, find_device, save_adapter,
};
use nextcart_text::{ContrastOptions, Sample, Tokenizer};
use nextcart_train::{Ending, Every, ProgressLine, Run, Schedule, SftConfig, WatchConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Fine-tunes a language model to put titles that the same customers buy close to each other, and asks what that is worth.
#[derive(Parser)]
struct Arguments {
    /// A folder that `prepare` wrote, or one with review or sequence files and `items…` or `meta…` files. Of
    /// these, each customer's last purchase becomes the test and the one before it validation.
    folder: PathBuf,
    /// Folder of a Llama-family checkpoint.
    #[arg(long)]
    model: PathBuf,
    /// Folder for all that is written.
    #[arg(long, default_value = "out/retrieve")]
    out: PathBuf,
    /// Blocks of the model that read, its first ones; 0 for all.
    #[arg(long, default_value_t = 10)]
    blocks: usize,
    /// Of these, blocks with adapters, the last ones: those below need no backward pass.
    #[arg(long, default_value_t = 8)]
    adapted: usize,
    /// Tokens of a title that are read, its first ones.
    #[arg(long, default_value_t = 20)]
    tokens: usize,
    /// Customers whose titles are set against each other.
    #[arg(long, default_value_t = 64)]
    group: usize,
    /// Passes over the training part; 0 leaves the model as it is.
    #[arg(long, default_value_t = 1)]
    epochs: u64,
    /// Highest learning rate.
    #[arg(long, default_value_t = 1e-3)]
    learning_rate: f64,
    /// Customers to learn from, the first ones (default all).
    #[arg(long)]
    customers: Option<usize>,
}

/// Set by Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_env_filter("error").with_writer(std::io::stderr).init();
    let Err(error) = run(&Arguments::parse()) else { return ExitCode::SUCCESS };
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    eprintln!("error: {}", causes.join(": "));
    ExitCode::FAILURE
}

fn run(arguments: &Arguments) -> Result<()> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130); // the second time at once
        }
    })?;
    let checkpoint = Checkpoint::open(&arguments.model)?;
    let data = load(arguments)?;
    let part = |part| data.questions.iter().filter(move |question| question.part == part).cloned();
    let validation: Vec<Question> = part(Part::Validation).collect();
    let test: Vec<Question> = part(Part::Test).collect();

    let llama = match arguments.blocks {
        0 => checkpoint.config().clone(),
        blocks => LlamaConfig {
            layers: blocks.min(checkpoint.config().layers),
            ..checkpoint.config().clone()
        },
    };
    let base = checkpoint.load(&find_device()?)?.with_first_blocks(llama.layers);
    let titles = Titles::new(&data, &checkpoint.tokenizer()?, arguments.tokens)?;
    let untuned = titles.vectors("untuned", &base, &llama)?;
    let samples = titles.contrasts(&data, arguments)?;
    let mut vectors = vec![untuned];
    if arguments.epochs > 0 {
        let (tuned, lora) = tune(base, &llama, &samples, arguments)?;
        save_adapter(
            arguments.out.join("adapter"),
            &tuned,
            &lora,
            &arguments.model.display().to_string(),
        )?;
        vectors.push(titles.vectors("tuned", &tuned, &llama)?);
    }

    let mut judge =
        Judge { data: &data, test: &test, evaluations: Vec::new(), rankings: Vec::new() };
    let knn = ItemKnn::fit(&Interactions::of(&data), ItemKnnOptions::default())?;
    let text = TextIndex::tf_idf(bought_products(&data));
    judge.ask(&mut Blend::fit("knn_text", knn, text, &validation)?)?;
    let stack = |name: String, more: Option<TitleVectors>| -> Result<Stack> {
        let mut parts = classical_rankers(&data, ItemKnnOptions::default())?;
        parts.extend(more.map(|vectors| Box::new(vectors) as Box<dyn CatalogueRanker>));
        Ok(Stack::fit(name, parts, &validation)?)
    };
    judge.ask(&mut stack("stack".to_owned(), None)?)?;
    for vectors in &mut vectors {
        judge.ask(vectors)?;
        let name = format!("stack and {}", nextcart_eval::Predictor::name(vectors));
        let mut sum = stack(name, Some(vectors.clone()))?;
        judge.ask(&mut sum)?;
        let weights = sum.weights().map(|(name, weight)| format!("{name} {weight:.2}"));
        println!("weights: {}", weights.collect::<Vec<_>>().join(", "));
        judge.evaluations.push(evaluate(&mut Edited::without_history(sum), &test)?);
    }
    judge.tell(arguments)
}

/// Asks predictors the test and keeps what they reach.
struct Judge<'a> {
    data: &'a Dataset,
    test: &'a [Question],
    evaluations: Vec<Evaluation>,
    rankings: Vec<RankingScore>,
}

impl Judge<'_> {
    fn ask(&mut self, ranker: &mut impl CatalogueRanker) -> Result<()> {
        self.evaluations.push(evaluate(ranker, self.test)?);
        self.rankings.push(full_ranking(ranker, self.test, &self.data.histories, 10)?);
        Ok(())
    }

    /// Accuracies, rankings of the whole catalogue, and the sum with the tuned model against each of the others.
    fn tell(&self, arguments: &Arguments) -> Result<()> {
        let scores: Vec<_> = self.evaluations.iter().map(Evaluation::score).collect();
        println!("{}", ScoreTable::new(&scores));
        println!("{:<18} {:>7} {:>8}", "all items", "HR@10", "NDCG@10");
        for RankingScore { name, hit_rate, ndcg, .. } in &self.rankings {
            println!("{name:<18} {hit_rate:>7.4} {ndcg:>8.4}");
        }
        let hits = |evaluation: &Evaluation| -> Vec<bool> {
            evaluation.predictions.iter().map(|prediction| prediction.hit > 0.5).collect()
        };
        let Some(best) = self.evaluations.iter().rfind(|e| !e.name.ends_with("without history"))
        else {
            return Ok(());
        };
        for other in self.evaluations.iter().filter(|other| other.name != best.name) {
            let test = mcnemar_exact(&hits(best), &hits(other))?;
            println!(
                "{} against {}: {} questions to {}, McNemar p = {:.2e}",
                best.name, other.name, test.first_only, test.second_only, test.p
            );
        }
        let file = arguments.out.join("predictions.parquet");
        write_predictions(&file, std::slice::from_ref(best))?;
        println!("predictions of {}: {}", best.name, file.display());
        Ok(())
    }
}

/// Reads a prepared folder, or prepares one of files.
fn load(arguments: &Arguments) -> Result<Dataset> {
    let folder = &arguments.folder;
    if folder.join("manifest.json").is_file() {
        return Ok(Prepared::open(folder)?.load()?);
    }
    let data = arguments.out.join("data");
    if data.join("manifest.json").is_file() {
        return Ok(Prepared::open(data)?.load()?);
    }
    let options = PrepareOptions {
        split: SplitMethod::LeaveOneOut,
        max_history: 50,
        ..PrepareOptions::default()
    };
    let files = [folder.clone()];
    Ok(prepare_until(&files, &files, data, &options, &Resources::default(), &STOP)?.load()?)
}

/// All titles of a catalogue in tokens, each once, and which of them an item has.
struct Titles {
    tokens: Vec<Vec<u32>>,
    of_item: HashMap<String, usize>,
}

impl Titles {
    fn new(data: &Dataset, tokenizer: &Tokenizer, most: usize) -> Result<Self> {
        let (mut tokens, mut known, mut of_item) = (Vec::new(), HashMap::new(), HashMap::new());
        for product in data.catalogue.products() {
            let title = match known.get(product.title.as_str()) {
                Some(title) => *title,
                None => {
                    let mut ids = tokenizer.encode(&format!("- {}", product.title))?;
                    ids.truncate(most.max(2));
                    tokens.push(ids);
                    tokens.len() - 1
                }
            };
            known.insert(product.title.as_str(), title);
            of_item.insert(product.item.clone(), title);
        }
        Ok(Self { tokens, of_item })
    }

    /// The vectors of all items, as a model makes them.
    fn vectors(&self, name: &str, model: &Llama, llama: &LlamaConfig) -> Result<TitleVectors> {
        let texts: Vec<&[u32]> = self.tokens.iter().map(Vec::as_slice).collect();
        let bar = ProgressBar::new(texts.len() as u64);
        let vectors = embed_texts_with(model, llama, &texts, |done| {
            if STOP.load(Ordering::Relaxed) {
                std::process::exit(130); // takes minutes, and nothing is lost but them
            }
            bar.set_position(done as u64);
        });
        let of_items = self.of_item.iter();
        let of_items = of_items.map(|(item, title)| (item.as_str(), vectors[*title].clone()));
        Ok(TitleVectors::new(name, of_items, ContrastOptions::default())?)
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
        let groups = bought.chunks(arguments.group.max(2));
        let samples = groups.map(|group| {
            let mut titles: Vec<usize> = group.concat();
            titles.sort_unstable();
            titles.dedup();
            let place = |title: &usize| titles.binary_search(title).unwrap_or_default();
            let histories: Vec<Vec<usize>> =
                group.iter().map(|history| history.iter().map(place).collect()).collect();
            let texts: Vec<&[u32]> =
                titles.iter().map(|&title| self.tokens[title].as_slice()).collect();
            let histories: Vec<&[usize]> = histories.iter().map(Vec::as_slice).collect();
            Sample::contrast(&texts, &histories, options).context("a group of customers")
        });
        samples.collect()
    }
}

fn tune(
    base: Llama,
    llama: &LlamaConfig,
    samples: &[Sample],
    arguments: &Arguments,
) -> Result<(Llama, LoraConfig)> {
    let first = llama.layers.saturating_sub(arguments.adapted.max(1));
    let blocks: Vec<String> = (first..llama.layers).map(|block| block.to_string()).collect();
    let targets = format!(r"model\.layers\.({})\..*_proj", blocks.join("|"));
    let lora = LoraConfig::new()
        .with_rank(16)
        .with_alpha(32.0)
        .with_target_modules(TargetModules::Pattern(targets));
    let config = SftConfig {
        epochs: arguments.epochs,
        batch_size: 1,
        learning_rate: arguments.learning_rate,
        warmup_steps: (samples.len() as u64 / 20).min(10),
        schedule: Schedule::Cosine,
        ..SftConfig::default()
    };
    let watch = WatchConfig { save: Every::Steps(20), ..WatchConfig::default() };
    let model = base.with_adapters(&lora, 7)?;
    let mut run = Run::open(arguments.out.join("run"), model, llama, config, samples)?
        .with_watch(watch)
        .with_observer(ProgressLine::new("fine-tuning"));
    if run.train(&STOP)? == Ending::Interrupted {
        bail!("stopped after step {}; the same command goes on", run.trainer().steps());
    }
    Ok((run.into_model(), lora))
}
