//! Fine-tunes a model on prepared questions, as a configuration file says.
//!
//! Run: `cargo run --release --example finetune -- --config examples/configs/tiny_cpu.toml [--plan] [--resume]`

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use burn::tensor::Device;
use clap::Parser;
use nextcart_data::{Part, Question, read_any_questions};
use nextcart_eval::{TemplateModel, evaluate_each};
use nextcart_models::save_adapter;
use nextcart_text::Sample;
use nextcart_train::{DeviceFacts, Ending, ProgressLine, Run, RunConfig, newest_checkpoint};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Fine-tunes a model on prepared questions.
#[derive(Parser)]
struct Arguments {
    /// The run, in TOML or JSON; `examples/configs` holds some.
    #[arg(long)]
    config: PathBuf,
    /// Say what the run will need, and end.
    #[arg(long)]
    plan: bool,
    /// Go on from the newest checkpoint in the output folder.
    #[arg(long)]
    resume: bool,
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
    let config = RunConfig::read(&arguments.config)?;
    let (data, out) = (&config.data, config.output.as_path());
    match (newest_checkpoint(out)?, arguments.plan, arguments.resume) {
        (Some(found), false, false) => bail!("`{}` is there: --resume goes on", found.display()),
        (None, _, true) => bail!("nothing to resume: `{}` holds no checkpoint", out.display()),
        _ => {}
    }
    let (checkpoint, device) = (config.model.open()?, Device::default());
    let (llama, tokenizer, template) =
        (checkpoint.config(), checkpoint.tokenizer()?, data.template()?);
    let builder = data.builder(&checkpoint, &tokenizer, &template)?;

    let mut questions = read_any_questions(data.folder.join("questions.parquet"))?;
    for Question { history, .. } in &mut questions {
        history.drain(..history.len().saturating_sub(data.history.unwrap_or(usize::MAX)));
    }
    let (train, mut other): (Vec<_>, Vec<_>) =
        questions.into_iter().partition(|question| question.part == Part::Train);
    other.retain(|question| question.part == Part::Validation);
    other.truncate(data.held_out);
    let samples = |questions: &[Question]| -> Result<Vec<Sample>> {
        Ok(builder.build_all(questions)?.into_iter().map(|built| built.sample).collect())
    };
    let (samples, held_out) = (samples(&train)?, samples(&other)?);

    if arguments.plan {
        let planner = config.planner(llama, &samples, &held_out)?;
        let facts = DeviceFacts::measure(&device);
        println!("{}", planner.estimate(&facts));
        planner.plan(&facts)?; // says what would fit
        return Ok(());
    }
    let mut run = Run::start(out, &config, &checkpoint, &device, (&samples, &held_out))?
        .with_observer(ProgressLine::new("fine-tuning"));
    other.truncate(data.asked);
    if !other.is_empty() {
        run = run.with_questions(|model, accuracy| {
            let mut predictor = TemplateModel::new("fine_tuned", model, llama, builder.clone());
            evaluate_each(&mut predictor, &other, |prediction| accuracy.add(prediction.hit))?;
            Ok(())
        });
    }
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130); // the second time at once
        }
    })?;
    if run.train(&STOP)? == Ending::Interrupted {
        eprintln!("stopped after step {}; --resume goes on from there", run.trainer().steps());
        std::process::exit(130);
    }
    save_adapter(out.join("adapter"), &run.into_best_model()?, &config.lora, &config.model.name)?;
    println!("adapter: {}", out.join("adapter").display());
    Ok(())
}
