//! Continues a prompt with a checkpoint, as it writes.
//!
//! Run: `cargo run --release --example generate -- --model out/quickstart/base --prompt "Bought, oldest first:"`
//!
//! Without `--prompt`, the prompt is the standard input. Greedy unless `--temperature` is given.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use nextcart_adapters::load_peft;
use nextcart_examples::{checkpoint, end_of_output, example, find_device, print, say};
use nextcart_models::{GenerateOptions, LoadOptions, Sampling, generate_with, gpu_precision};
use nextcart_prompt::{ChatTemplate, Message};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Continues a prompt, a token at a time.
///
/// Without --prompt, the prompt is the standard input; without --temperature, each token is the likeliest. The model is a
/// folder in Hugging Face's layout or an id on the hub; of --adapter, PEFT's two files are read.
#[derive(Parser)]
#[command(name = "generate", version)]
#[command(after_help = example("generate -- --model out/quickstart/base --prompt \"Bought, oldest first:\""))]
struct Arguments {
    /// Folder or hub id of the model.
    #[arg(long)]
    model: String,
    /// Folder of an adapter, as PEFT writes it.
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// Hold the model in 4 bits.
    #[arg(long)]
    quantized: bool,
    /// The text to go on from.
    #[arg(long)]
    prompt: Option<String>,
    /// Ask as a user does in the checkpoint's chat template.
    #[arg(long)]
    chat: bool,
    /// Tokens at most.
    #[arg(long, default_value_t = 200)]
    max_new_tokens: usize,
    /// Draw tokens; below 1 the likely become likelier.
    #[arg(long)]
    temperature: Option<f64>,
    /// Draw from so many of the likeliest.
    #[arg(long, requires = "temperature")]
    top_k: Option<usize>,
    /// Draw from the likeliest that have so much of the probability.
    #[arg(long, requires = "temperature", default_value_t = 1.0)]
    top_p: f64,
    /// The same seed draws the same text.
    #[arg(long, requires = "temperature", default_value_t = 42)]
    seed: u64,
    /// End before this text; may be given several times.
    #[arg(long)]
    stop: Vec<String>,
}

fn main() -> ExitCode {
    end_of_output(run(Arguments::parse()))
}

fn run(arguments: Arguments) -> Result<()> {
    let sampling = sampling(&arguments)?;
    ensure!(!arguments.stop.contains(&String::new()), "--stop: expected a text, found none");
    let (device, checkpoint) = (find_device()?, checkpoint(&arguments.model)?);
    let (llama, tokenizer) = (checkpoint.config(), checkpoint.tokenizer()?);
    let prompt = match arguments.prompt {
        Some(prompt) => prompt,
        None => typed_prompt()?,
    };
    let prompt = match arguments.chat {
        true => {
            let chat = ChatTemplate::from_folder(checkpoint.folder())?;
            let segments = chat.prompt_segments(&[Message::new("user", prompt)])?;
            tokenizer.encode_segments(&segments)?.ids
        }
        false => tokenizer.encode(&prompt)?,
    };
    ensure!(!prompt.is_empty(), "the prompt has no token: give a text with --prompt");

    // On a CPU, as the checkpoint stores them: in 16 bits half the memory of f32, and the same numbers.
    let own = gpu_precision(&device);
    let (weights, activations) =
        (own.unwrap_or_else(|| checkpoint.precision()), own.unwrap_or_default());
    let options = LoadOptions { weights, activations, quantized: arguments.quantized };
    let mut model = checkpoint.load_with(&device, options)?;
    if let Some(folder) = &arguments.adapter {
        let within = || format!("`{}`", folder.display());
        model = model.with_peft(&load_peft(folder)?).with_context(within)?;
    }

    let options = GenerateOptions::new(arguments.max_new_tokens, llama).with_sampling(sampling);
    let (mut tokens, mut text, mut shown) = (Vec::new(), String::new(), 0);
    let mut failed: Option<anyhow::Error> = None;
    let _ = generate_with(&model, llama, &[&prompt], &options, None, |_, token| {
        tokens.push(token);
        match tokenizer.decode(&tokens) {
            Ok(known) => text = known,
            Err(error) => failed = Some(error.into()),
        }
        let end = arguments.stop.iter().filter_map(|stop| text.find(stop.as_str())).min();
        let known = end.unwrap_or_else(|| settled(&text, &arguments.stop));
        failed = failed.take().or(show(&text, &mut shown, known).err());
        if let Some(end) = end {
            text.truncate(end);
        }
        match end.is_some() || failed.is_some() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    if let Some(error) = failed {
        return Err(error);
    }
    show(&text, &mut shown, text.len())?;
    say!("")
}

/// The standard input up to its end.
fn typed_prompt() -> Result<String> {
    let mut stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprintln!("the text to go on from; Ctrl-D on a line of its own ends it:");
    }
    let mut prompt = String::new();
    stdin.read_to_string(&mut prompt).context("cannot read the prompt")?;
    Ok(prompt)
}

/// How tokens are chosen.
fn sampling(arguments: &Arguments) -> Result<Sampling> {
    let &Arguments { temperature, top_k, top_p, seed, .. } = arguments;
    let Some(temperature) = temperature else { return Ok(Sampling::Greedy) };
    let is_warm = temperature.is_finite() && temperature > 0.0;
    ensure!(is_warm, "--temperature: expected a number above 0, found {temperature}");
    ensure!(top_k != Some(0), "--top-k: expected at least 1, found 0");
    let is_share = top_p > 0.0 && top_p <= 1.0;
    ensure!(is_share, "--top-p: expected a number above 0 and up to 1, found {top_p}");
    Ok(Sampling::Random { temperature, top_k, top_p, seed })
}

/// Where the text ends that what follows cannot change: before a character of which not all bytes are known, and
/// before what may become a text to end at.
fn settled(text: &str, stop: &[String]) -> usize {
    let whole = text.trim_end_matches(char::REPLACEMENT_CHARACTER).len();
    let begins = |place: &usize| stop.iter().any(|stop| stop.starts_with(&text[*place..]));
    text.char_indices().map(|(place, _)| place).find(begins).unwrap_or(whole).min(whole)
}

/// Prints the text up to a place, but for what was shown before.
fn show(text: &str, shown: &mut usize, end: usize) -> Result<()> {
    let Some(new) = text.get(*shown..end) else { return Ok(()) };
    print(new)?;
    *shown = end;
    std::io::stdout().flush().context("cannot write to the standard output")
}
