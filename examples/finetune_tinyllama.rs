//! Fine-tunes TinyLlama-1.1B with QLoRA: review files to adapter, merged model and report.
//!
//! Run: `cargo run --release --example finetune_tinyllama -- --reviews F.. --meta F.. [--plan] [--resume]`

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail, ensure};
use clap::Parser;
use indicatif::ProgressBar;
use nextcart_data::Dataset;
use nextcart_eval::Report;
use nextcart_examples::{RunSamples, end, end_on_ctrl_c, fetching, go_on, in_order, log, say};
use nextcart_models::{SaveOptions, find_device, save_adapter, save_merged_checkpoint};
use nextcart_train::{DeviceFacts, Ending, ProgressLine, Run, RunConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Fine-tunes TinyLlama-1.1B on purchase histories.
///
/// Review and metadata files become questions, those a QLoRA run. In the configuration's `output` lie then its checkpoints
/// and losses, `adapter` for PEFT, the `merged` checkpoint, predictions, and `report.html` beside baselines and a blind
/// twin. The model comes from a folder or from the hub, which gives 2.2 GB; `--plan` says first what the run needs. With
/// `--features cuda` or `wgpu` it runs on a GPU, which is what it is made for.
#[derive(Parser)]
#[command(name = "finetune_tinyllama", version)]
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
    #[arg(long, default_value = "examples/configs/tinyllama_qlora.toml")]
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

fn run(Arguments { reviews, meta, model, config, plan, resume }: Arguments) -> Result<()> {
    let (device, mut config) = (find_device()?, RunConfig::read(config)?);
    if let Some(name) = model {
        (config.model.name, config.model.revision) = (name, None);
    }
    let format = config.model.weights; // of the merged model, whatever a GPU computes in
    config.model.fit_gpu(&device);
    let (model, out, data) = (&config.model, &config.output, &config.data);
    match (out.exists(), resume) {
        (true, false) if plan.is_none() => bail!("`{}` is there: --resume goes on", out.display()),
        (false, true) => bail!("nothing to resume: no `{}`; leave --resume out", out.display()),
        _ => {}
    }
    end_on_ctrl_c()?;

    let known = model.open_to_plan()?; // weights are fetched after the plan fits
    let (llama, tokenizer, template) = (known.config(), known.tokenizer()?, data.template()?);
    let shop = in_order(|stop| Dataset::prepare_or_open(&reviews, &meta, &data.folder, stop))?;
    let builder = data.builder(&known, &tokenizer, &template)?;
    let samples = RunSamples::for_report(&shop, data, &template, &builder, 600)?;
    go_on()?;
    let planner = config.planner_for(&known, &samples.training, &samples.held_out)?;
    let most = (plan.unwrap_or(f64::INFINITY) * 1e9) as u64;
    let facts = DeviceFacts::measure_for(&planner, &device).within(most);
    let fits = planner.plan(&facts).map(drop); // or says what would fit
    if plan.is_some() {
        say!("{}", planner.estimate(&facts))?;
        return Ok(fits?);
    }
    fits?;

    let checkpoint = model.open_with_progress(fetching())?;
    let run = Run::start(out, &config, &checkpoint, &device, samples.lists())?;
    let mut run = samples.watched(run, llama).with_observer(ProgressLine::new("fine-tuning"));
    ensure!(in_order(|stop| run.train(stop))? != Ending::Interrupted, "stopped: --resume goes on");
    let losses = [run.trainer().losses(), run.trainer().evaluations()].map(<[_]>::to_vec);
    let model = run.into_best_model()?;
    let options = SaveOptions { format, ..SaveOptions::default() };
    in_order(|_| {
        save_adapter(out.join("adapter"), &model, &config.lora, &config.model.name)?;
        save_merged_checkpoint(out.join("merged"), &model, llama, Some(&tokenizer), &options)
    })?;

    let bar = ProgressBar::new_spinner();
    let all = samples.assessment(&model, llama, &shop);
    let report = Report::of_run("TinyLlama-1.1B with QLoRA", &losses[0], &losses[1]);
    let tell = |name: &str, n, of| bar.set_message(format!("{name}: {n} of {of} questions"));
    let run = format!("{config:?}");
    let assessed = in_order(|stop| all.write(out, &run, report, stop, tell))?;
    say!("{assessed}\n\nreport: {}", assessed.files.html.display())
}
