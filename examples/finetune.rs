//! Fine-tunes a model on prepared questions, as a configuration file says.
//!
//! Run: `cargo run --release --example finetune -- --config examples/configs/tiny_cpu.toml --plan`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use nextcart_data::read_any_questions;
use nextcart_examples::{
    RunSamples, check_run, end, end_on_ctrl_c, example, fetching, find_device, in_order, log, next,
    planned, say, word,
};
use nextcart_models::save_adapter;
use nextcart_train::{Ending, ProgressLine, Run, RunConfig, newest_checkpoint};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Fine-tunes a model on prepared questions.
///
/// The questions are those of the folder that the configuration names, as `prepare` wrote it. Checkpoints, `metrics.jsonl`,
/// `loss.svg` and at the end `adapter` go to its `output`. What a configuration may say is in docs/training.md.
#[derive(Parser)]
#[command(name = "finetune", version)]
#[command(after_help = example("finetune -- --config examples/configs/tiny_cpu.toml --plan"))]
struct Arguments {
    /// The run, in TOML or JSON; `examples/configs` holds some.
    #[arg(long)]
    config: PathBuf,
    /// Say what the run will need and end; with a number, whether so many GB are enough.
    #[arg(long, value_name = "GB", num_args = 0..=1, default_missing_value = "inf")]
    plan: Option<f64>,
    /// Go on from the newest checkpoint in the output folder.
    #[arg(long)]
    resume: bool,
}

fn main() -> ExitCode {
    log("error,hf_hub=off,nextcart_train=warn");
    end(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let (device, mut config) = (find_device()?, RunConfig::read(&arguments.config)?);
    config.fit_device(&device, arguments.resume)?;
    let (model, data, out) = (&config.model, &config.data, config.output.as_path());
    check_run(newest_checkpoint(out)?.as_deref(), out, arguments.plan.is_some(), arguments.resume)?;
    let questions = read_any_questions(data.folder.join("questions.parquet"))?;
    let known = model.open_to_plan()?; // weights are fetched after the plan fits
    let (tokenizer, template) = (known.tokenizer()?, data.template()?);
    let builder = data.builder(&known, &tokenizer, &template)?;
    let samples = RunSamples::new(questions, data, &template, &builder)?;

    let planner = config.planner_for(&known, &samples.training, &samples.held_out)?;
    if planned(&planner, (out, &[]), &device, arguments.plan)? {
        return Ok(());
    }
    end_on_ctrl_c()?;
    let checkpoint = model.open_with_progress(fetching())?;
    let run = Run::start(out, &config, &checkpoint, &device, samples.lists())?;
    let run = samples.watched(run, known.config());
    let mut run = run.with_observer(ProgressLine::new("fine-tuning"));
    if in_order(|stop| run.train(stop))? == Ending::Interrupted {
        bail!("stopped after step {}; --resume goes on from there", run.trainer().steps());
    }
    let (path, model) = (out.join("adapter"), run.into_best_model()?);
    in_order(|_| save_adapter(path, &model, &config.lora, &config.model.name))?;
    say!("adapter: {}", out.join("adapter").display())?;
    match data.folder.join("histories.parquet").is_file() {
        true => next(format_args!("recommend -- --run {}", word(out))),
        false => Ok(()), // questions alone, of which no catalogue is known
    }
}
