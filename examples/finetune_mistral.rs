//! Fine-tunes Mistral-7B with QLoRA: review files to adapter, merged model and report.
//!
//! Run: `cargo run --release --example finetune_mistral -- --reviews F.. --meta F.. [--plan] [--resume]`

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, ensure};
use clap::Parser;
use indicatif::ProgressBar;
use nextcart_data::{Dataset, Part};
use nextcart_eval::{Assessment, Report};
use nextcart_examples::{STOP, end, log, say, stop_on_ctrl_c};
use nextcart_models::{SaveOptions, find_device, save_adapter, save_merged_checkpoint};
use nextcart_train::{Checkpointing, DeviceFacts, Ending, ProgressLine, Run, RunConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Fine-tunes Mistral-7B on purchase histories.
#[derive(Parser)]
struct Arguments {
    /// Review files, to be prepared in the configuration's data folder; without them it is ready.
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
    /// Say what the run will need and end; with a number, whether so many GB are enough.
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

fn run(arguments: Arguments) -> Result<()> {
    let (device, mut config) = (find_device()?, RunConfig::read(arguments.config)?);
    config.model.name = arguments.model.unwrap_or(config.model.name);
    config.training.checkpointing = Checkpointing::Blocks; // or 32 blocks keep what each computed
    config.model.fit_gpu(&device);
    let (model, out, data) = (&config.model, &config.output, &config.data);
    let checkpoint = if arguments.plan.is_some() { model.open_to_plan()? } else { model.open()? };
    let (llama, tokenizer) = (checkpoint.config(), checkpoint.tokenizer()?);
    let resumes = arguments.resume || arguments.plan.is_some() || !out.exists();
    ensure!(resumes, "`{}` is there: --resume goes on", out.display());
    stop_on_ctrl_c()?;

    let shop = Dataset::prepare_or_open(&arguments.reviews, &arguments.meta, &data.folder, &STOP)?;
    let template = data.template()?;
    let builder = data.builder(&checkpoint, &tokenizer, &template)?;
    let samples = builder.samples(&shop.part(Part::Train, data.history))?;
    let mut held_out = builder.samples(&shop.part(Part::Validation, data.history))?;
    held_out.truncate(data.held_out);
    if let Some(gigabytes) = arguments.plan {
        let planner = config.planner(llama, &samples, &held_out)?;
        let facts = DeviceFacts::measure_for(&planner, &device).within((gigabytes * 1e9) as u64);
        say!("{}", planner.estimate(&facts))?;
        return Ok(planner.plan(&facts).map(drop)?); // says what would fit
    }

    let mut run = Run::start(out, &config, &checkpoint, &device, (&samples, &held_out))?
        .with_observer(ProgressLine::new("fine-tuning"));
    ensure!(run.train(&STOP)? != Ending::Interrupted, "stopped: --resume goes on");
    let losses = [run.trainer().losses(), run.trainer().evaluations()].map(<[_]>::to_vec);
    let model = run.into_best_model()?;
    save_adapter(out.join("adapter"), &model, &config.lora, &config.model.name)?;
    let options = SaveOptions { format: config.model.weights, ..SaveOptions::default() };
    save_merged_checkpoint(out.join("merged"), &model, llama, Some(&tokenizer), &options)?;

    let (model, purchases, bar) = (&model, data.history, ProgressBar::new_spinner());
    let all = Assessment { model, config: llama, builder, data: &shop, purchases, questions: 300 };
    let report = Report::of_run("Mistral-7B with QLoRA", &losses[0], &losses[1]);
    let tell = |name: &str, n, of| bar.set_message(format!("{name}: {n} of {of} questions"));
    let assessed = all.write(out, &format!("{config:?}"), report, &STOP, tell)?;
    say!("{assessed}\n\nreport: {}", assessed.files.html.display())?;
    Ok(())
}
