//! Ranks what a customer may buy next, for purchases that are typed or come from a file.
//!
//! Run: `cargo run --release --example recommend -- --run out/run`
//!
//! `--run` names the folder of a fine-tuning run, whose model, adapter and prompts are used; `--model`, `--adapter` and
//! `--data` do without one, as for what the quickstart leaves. Without `--history`, purchases are typed, a line each,
//! and an empty line ranks. Without `--candidates`, all items that were bought in training are candidates.

use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail, ensure};
use burn::tensor::Device;
use clap::{ArgGroup, Parser};
use nextcart_adapters::load_peft;
use nextcart_data::{Catalogue, Contexts, FullCatalogue, Part, Product, Purchase, Question};
use nextcart_eval::{Predictor, TemplateModel};
use nextcart_examples::{
    end_of_output, example, fetching, find_device, purchases_template, say, word,
};
use nextcart_prompt::Template;
use nextcart_text::Error as TextError;
use nextcart_train::{ModelConfig, RunConfig};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Ranks what a customer may buy next.
///
/// Purchases are typed, a title or an item's id a line, and an empty line ranks; or they come from a file. Without
/// --candidates, all other items that were bought in training are ranked; the prompt tells then what was bought and lists
/// nothing, unless --template says otherwise. Each has its probability among the candidates.
#[derive(Parser)]
#[command(name = "recommend", version)]
#[command(after_help = example("recommend -- --run out/run"))]
#[command(group(ArgGroup::new("who").args(["run", "model"]).required(true).multiple(true)))]
struct Arguments {
    /// Folder that finetune, finetune_tinyllama or finetune_mistral wrote, with its run.toml: the run's model, adapter,
    /// data and prompts. What the quickstart wrote has none: name its base, adapter and data with the options below.
    #[arg(long)]
    run: Option<PathBuf>,
    /// Folder or hub id of a model, instead of the run's.
    #[arg(long)]
    model: Option<String>,
    /// Folder of an adapter, instead of the run's.
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// Hold the model in 4 bits.
    #[arg(long)]
    quantized: bool,
    /// Prepared folder, instead of the run's: purchases must be items of it.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Template that asks, by name or file, instead of the run's.
    #[arg(long)]
    template: Option<String>,
    /// What stands around it: plain, alpaca, seed or chat, instead of the run's.
    #[arg(long)]
    wrapper: Option<String>,
    /// Purchases, oldest first, a title or an item's id a line; `-` for the standard input.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Candidates, a line each.
    #[arg(long, value_name = "FILE")]
    candidates: Option<PathBuf>,
    /// Candidates to show.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    top: u64,
    /// A line of JSON for each ranking.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    end_of_output(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let device = find_device()?;
    let config = config(arguments, &device)?;
    // Before what is typed, and a model that may have to be fetched.
    let adapter = match adapter(arguments)? {
        Some(folder) => Some((load_peft(&folder)?, folder)),
        None => None,
    };
    let shop = Shop::open(arguments, &config)?;
    let history = arguments.history.as_deref().map(|file| shop.read(file)).transpose()?;
    let candidates = arguments.candidates.as_deref().map(|file| shop.read(file)).transpose()?;
    if let (Some(file), Some([] | [_])) = (&arguments.candidates, candidates.as_deref()) {
        bail!("`{}`: expected at least two candidates", file.display());
    }
    let mut note = None;
    let template = match (&arguments.template, &candidates) {
        // A template that lists its options cannot list a whole catalogue.
        (None, None) => {
            let learnt = &config.data.template;
            note = arguments.run.as_ref().map(|_| {
                format!(
                    "note: for a whole catalogue the prompt lists the purchases alone; `--template {learnt}` asks as \
                     the run learnt"
                )
            });
            purchases_template()?
        }
        _ => config.data.template()?,
    };

    let checkpoint = config.model.open_with_progress(fetching())?;
    let (llama, tokenizer) = (checkpoint.config(), checkpoint.tokenizer()?);
    let mut model = checkpoint.load_with(&device, config.model.load_options())?;
    if let Some((adapter, folder)) = &adapter {
        let within = || format!("`{}`", folder.display());
        model = model.with_peft(adapter).with_context(within)?;
    }
    let builder = config.data.builder(&checkpoint, &tokenizer, &template)?;
    let told = shop.told(&template)?;
    let mut predictor =
        TemplateModel::new("model", &model, llama, builder).with_contexts(told.as_ref());
    let mut rank = |history: &[Product]| -> Result<()> {
        let others = shop.bought.as_ref().map(|all| all.without(history));
        let candidates = candidates.clone().or(others).unwrap_or_default();
        ensure!(!candidates.is_empty(), "these purchases leave no item to recommend");
        let question = question(history, candidates, config.data.history);
        let scores = predictor.score(&question).map_err(|error| {
            let error = anyhow::Error::from(error);
            let length = |cause: &TextError| matches!(cause, TextError::TooLong { .. });
            let is_long = error.chain().any(|cause| cause.downcast_ref().is_some_and(length));
            if is_long { anyhow!("{error:#}; give fewer with --candidates") } else { error }
        })?;
        show(&question, &scores, arguments)?;
        note.take().into_iter().for_each(|note| eprintln!("{note}"));
        Ok(())
    };
    match history {
        Some(history) => rank(&history),
        None => converse(&shop, rank),
    }
}

/// The run's configuration with what the command line says otherwise.
fn config(arguments: &Arguments, device: &Device) -> Result<RunConfig> {
    let mut config = match &arguments.run {
        Some(folder) => read(folder)?,
        None => RunConfig::new(ModelConfig {
            name: String::new(), // `--model` is there
            revision: None,
            weights: Default::default(),
            activations: Default::default(),
            quantized: false,
        }),
    };
    config.model.quantized |= arguments.quantized;
    config.model.fit_gpu(device);
    let given = |value: &Option<String>, place: &mut String| {
        if let Some(value) = value {
            place.clone_from(value);
        }
    };
    if let Some(name) = &arguments.model {
        (config.model.name, config.model.revision) = (name.clone(), None);
    }
    given(&arguments.template, &mut config.data.template);
    given(&arguments.wrapper, &mut config.data.wrapper);
    Ok(config)
}

/// What a run was told, or what else to name where a folder is of none.
fn read(folder: &Path) -> Result<RunConfig> {
    let file = folder.join("run.toml");
    let [base, adapter, data] = ["base", "adapter", "data"].map(|name| word(folder.join(name)));
    ensure!(
        file.is_file(),
        "`{}` is not there: --run takes a folder that finetune, finetune_tinyllama or finetune_mistral wrote; for \
         others, such as one of the quickstart, give --model {base} --adapter {adapter} --data {data}",
        file.display()
    );
    Ok(RunConfig::read(file)?)
}

fn adapter(arguments: &Arguments) -> Result<Option<PathBuf>> {
    if let (None, Some(run)) = (&arguments.adapter, &arguments.run) {
        let folder = run.join("adapter");
        ensure!(
            folder.exists(),
            "`{}` is not there: a run leaves it when training has ended; what began the run goes on with --resume",
            folder.display()
        );
        return Ok(Some(folder));
    }
    Ok(arguments.adapter.clone())
}

/// What can be bought.
struct Shop {
    folder: Option<PathBuf>,
    /// None where any title will do.
    catalogue: Option<Catalogue>,
    /// Those bought in training, where no candidates are given.
    bought: Option<FullCatalogue>,
}

impl Shop {
    fn open(arguments: &Arguments, config: &RunConfig) -> Result<Self> {
        let of_run = arguments.run.as_ref().map(|_| config.data.folder.as_path());
        let folder = match (arguments.data.as_deref().or(of_run), &arguments.candidates) {
            (Some(folder), _) => folder,
            (None, Some(_)) => {
                return Ok(Self { folder: None, catalogue: None, bought: None });
            }
            (None, None) => bail!("expected --candidates, or --data with a catalogue of them"),
        };
        let catalogue = Some(Catalogue::read(folder.join("items.parquet"))?);
        let bought = match arguments.candidates {
            Some(_) => None,
            None => Some(FullCatalogue::read(folder)?),
        };
        Ok(Self { folder: Some(folder.to_owned()), catalogue, bought })
    }

    /// What training knows, such as relations, as far as the template tells it; none without a folder.
    fn told(&self, template: &Template) -> Result<Option<Contexts>> {
        let Some(folder) = &self.folder else { return Ok(None) };
        // Whatever may be bought.
        let all: Vec<Product> =
            self.catalogue.iter().flat_map(Catalogue::products).cloned().collect();
        let asked = [question(&all, Vec::new(), None)];
        Ok(Some(Contexts::wanted(folder, &asked, |field| template.mentions(field))?))
    }

    /// The products that the lines of a file name.
    fn read(&self, file: &Path) -> Result<Vec<Product>> {
        let failed = || format!("cannot read `{}`", file.display());
        let text = match file.to_str() {
            Some("-") => std::io::read_to_string(std::io::stdin()),
            _ => std::fs::read_to_string(file),
        };
        let text = text.with_context(failed)?;
        let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
        let find = |(line, number): (&str, usize)| {
            self.find(line.trim()).with_context(|| format!("`{}`, line {number}", file.display()))
        };
        let products: Vec<Product> = lines.map(find).collect::<Result<_>>()?;
        ensure!(
            !products.is_empty(),
            "`{}`: expected a product a line, found none",
            file.display()
        );
        Ok(products)
    }

    /// The product of an id, a title or a part that one title alone has.
    fn find(&self, name: &str) -> Result<Product> {
        let Some(catalogue) = &self.catalogue else {
            let (item, title) = (name.to_owned(), name.to_owned());
            return Ok(Product { item, title, brand: None, category: Vec::new(), price: None });
        };
        let lower = name.to_lowercase();
        let mut titles = catalogue.products();
        let exact = catalogue
            .get(name)
            .or_else(|| titles.find(|product| product.title.to_lowercase() == lower));
        if let Some(product) = exact {
            return Ok(product.clone());
        }
        let partly = |product: &&Product| product.title.to_lowercase().contains(&lower);
        let found: Vec<&Product> = catalogue.products().filter(partly).collect();
        let expected = "expected an item's id, its title, or a part that one title alone has";
        match found.as_slice() {
            [product] => Ok((*product).clone()),
            [] => bail!("{expected}; no title has `{name}` in it"),
            [first, second, ..] => bail!(
                "{expected}; {} titles have `{name}` in them, such as `{}` and `{}`",
                found.len(),
                first.title,
                second.title
            ),
        }
    }
}

/// A question that nobody knows the answer to.
fn question(history: &[Product], candidates: Vec<Product>, purchases: Option<usize>) -> Question {
    let bought =
        |product: &Product| Purchase { product: product.clone(), time: None, rating: None };
    let question = Question {
        id: "typed".to_owned(),
        user: "you".to_owned(),
        part: Part::Test,
        time: None,
        history: history.iter().map(bought).collect(),
        candidates,
        answer: 0,
        excluded: Vec::new(),
    };
    question.with_latest(purchases)
}

/// Prints the likeliest candidates with their shares of the probability of all.
fn show(question: &Question, scores: &[f64], arguments: &Arguments) -> Result<()> {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order.truncate(arguments.top as usize);
    let history: Vec<&str> = question.history.iter().map(|it| it.product.title.as_str()).collect();
    let ranking = order.iter().zip(1..).map(|(&place, rank)| {
        let (product, probability) = (&question.candidates[place], weights[place] / total);
        if !arguments.json {
            say!("{rank:>3}. {:>5.1} %  {}", 100.0 * probability, product.title)?;
        }
        Ok(json!({
            "rank": rank,
            "item": product.item,
            "title": product.title,
            "probability": probability,
            "log_likelihood": scores[place],
        }))
    });
    let ranking: Vec<_> = ranking.collect::<Result<_>>()?;
    let of = question.candidates.len();
    match arguments.json {
        true => say!("{}", json!({ "history": history, "candidates": of, "ranking": ranking })),
        false => say!("     of {of} candidates, for {}\n", history.join(", ")),
    }
}

/// Takes purchases from the standard input, a line each, and ranks at an empty one and at the end.
fn converse(shop: &Shop, mut rank: impl FnMut(&[Product]) -> Result<()>) -> Result<()> {
    let by_hand = std::io::stdin().is_terminal();
    if by_hand {
        eprintln!("What was bought, oldest first, a line each; an empty line ranks, Ctrl-D ends.");
    }
    let (mut history, mut ranked) = (Vec::new(), 0);
    for (line, number) in std::io::stdin().lock().lines().zip(1..) {
        let line = line.context("cannot read the standard input")?;
        let line = line.trim();
        if line.is_empty() {
            if history.len() > ranked {
                rank(&history)?;
                ranked = history.len();
            }
            continue;
        }
        match shop.find(line) {
            Ok(product) => {
                if by_hand && product.title != line {
                    eprintln!("  {}", product.title);
                }
                history.push(product);
            }
            Err(error) if by_hand => eprintln!("  {error:#}"), // to be typed again
            Err(error) => return Err(error.context(format!("standard input, line {number}"))),
        }
    }
    if history.len() > ranked {
        rank(&history)?;
    }
    ensure!(!history.is_empty(), "standard input: expected a product a line, found none");
    Ok(())
}
