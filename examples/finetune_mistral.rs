//! Fine-tunes Mistral-7B with QLoRA: review files to adapter, merged model and report.
//!
//! Run: `cargo run --release --example finetune_mistral -- --reviews reviews.json.gz --meta meta.json.gz`

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Parser;
use nextcart_data::Dataset;
use nextcart_eval::Report;
use nextcart_examples::{
    RunSamples, SAME_COMMAND, check_data, check_run, end, end_on_ctrl_c, example, fetching,
    find_device, go_on, in_order, log, planned, report,
};
use nextcart_models::{SaveOptions, save_adapter, save_merged_checkpoint};
use nextcart_train::{ProgressLine, Run, RunConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Fine-tunes Mistral-7B on purchase histories.
///
/// Turns review and metadata files into questions and fine-tunes on them with QLoRA. The `output` folder then holds
/// checkpoints, losses, the adapter (PEFT), the merged model, predictions and `report.html`, which asks 300 test questions
/// of the model, its base, a blind twin and baselines. The model comes from a folder or from the hub, which gives 14.5 GB;
/// `--plan` says first what the run needs. With `--features cuda` or `wgpu` it runs on a GPU, which is what it is made for.
#[derive(Parser)]
#[command(name = "finetune_mistral", version)]
#[command(after_help = example("finetune_mistral -- --reviews reviews.json.gz --meta meta.json.gz"))]
struct Arguments {
    /// Review files to prepare into the configuration's data folder. Leave out if it is already prepared.
    #[arg(long, num_args = 1.., requires = "meta")]
    reviews: Vec<PathBuf>,
    /// Metadata files that belong to the reviews.
    #[arg(long, num_args = 1.., requires = "reviews")]
    meta: Vec<PathBuf>,
    /// Folder or hub id of the model, instead of the configuration's.
    #[arg(long)]
    model: Option<String>,
    /// All settings.
    #[arg(long, default_value = "examples/configs/mistral_qlora.toml")]
    config: PathBuf,
    /// Prepare, say what the run will need and end; with a number, whether so many GB are enough.
    #[arg(long, value_name = "GB", num_args = 0..=1, default_missing_value = "inf")]
    plan: Option<f64>,
    /// Go on after Ctrl-C.
    #[arg(long)]
    resume: bool,
}

fn main() -> ExitCode {
    log("error,hf_hub=off,nextcart_train=warn");
    end(run(Arguments::parse()))
}

fn run(Arguments { reviews, meta, model, config, plan, resume }: Arguments) -> Result<()> {
    let (device, mut config) = (find_device()?, RunConfig::read(config)?);
    if let Some(name) = model {
        (config.model.name, config.model.revision) = (name, None);
    }
    let format = config.model.weights; // of the merged model, whatever a GPU computes in
    config.fit_device(&device, resume)?;
    let (model, out, data) = (&config.model, &config.output, &config.data);
    check_run(out.exists().then_some(out.as_path()), out, plan.is_some(), resume)?;
    check_data(&reviews, &meta, &data.folder)?;
    end_on_ctrl_c()?;

    let known = model.open_to_plan()?; // weights are fetched after the plan fits
    let (llama, tokenizer, template) = (known.config(), known.tokenizer()?, data.template()?);
    let shop = in_order(|stop| Dataset::prepare_or_open(&reviews, &meta, &data.folder, stop))?;
    go_on(SAME_COMMAND)?;
    let builder = data.builder(&known, &tokenizer, &template)?;
    let samples = RunSamples::for_report(&shop, data, &template, &builder, 300)?;
    let planner = config.planner_for(&known, &samples.training, &samples.held_out)?;
    let merged = [(out.join("merged"), planner.merged_bytes(format))];
    if planned(&planner, (out, &merged), &device, plan)? {
        return Ok(());
    }

    let checkpoint = model.open_with_progress(fetching())?;
    planner.check_disk(out, &merged)?; // once more, for weights that came from the hub lie on a disk now
    let run = Run::start(out, &config, &checkpoint, &device, samples.lists())?;
    let mut run = samples.watched(run, llama).with_observer(ProgressLine::new("fine-tuning"));
    in_order(|stop| run.train(stop))?;
    go_on("--resume goes on")?;
    let losses = [run.trainer().losses(), run.trainer().evaluations()].map(<[_]>::to_vec);
    let model = run.into_best_model()?;
    let options = SaveOptions { format, ..SaveOptions::default() };
    in_order(|_| {
        save_adapter(out.join("adapter"), &model, &config.lora, &config.model.name)?;
        save_merged_checkpoint(&merged[0].0, &model, llama, Some(&tokenizer), &options)
    })?;

    let (title, all) = (config.title(&known), samples.assessment(&model, llama, &shop));
    report(&all, &config, Report::of_run(&title, &losses[0], &losses[1]))
}
