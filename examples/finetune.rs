//! Fine-tunes a model on prepared questions, as a configuration file says.
//!
//! Run: `cargo run --release --example finetune -- --config examples/configs/tiny_cpu.toml [--plan] [--resume]`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use nextcart_data::{Contexts, Part, Question, read_any_questions};
use nextcart_eval::{TemplateModel, evaluate_each};
use nextcart_examples::{end, end_on_ctrl_c, fetching, in_order, log, say};
use nextcart_models::{find_device, save_adapter};
use nextcart_train::{DeviceFacts, Ending, ProgressLine, Run, RunConfig, newest_checkpoint};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Fine-tunes a model on prepared questions.
///
/// The questions are those of the folder that the configuration names, as `prepare` wrote it. Checkpoints, `metrics.jsonl`,
/// `loss.svg` and at the end `adapter` go to its `output`. What a configuration may say is in docs/training.md.
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

fn main() -> ExitCode {
    log("error,hf_hub=off,nextcart_train=warn");
    end(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let config = RunConfig::read(&arguments.config)?;
    let (data, out) = (&config.data, config.output.as_path());
    match (newest_checkpoint(out)?, arguments.plan, arguments.resume) {
        (Some(found), false, false) => bail!("`{}` is there: --resume goes on", found.display()),
        (None, _, true) => bail!("nothing to resume: `{}` holds no checkpoint", out.display()),
        _ => {}
    }
    let (model, device) = (&config.model, find_device()?);
    let known = model.open_to_plan()?; // weights are fetched after the plan fits
    let (llama, tokenizer) = (known.config(), known.tokenizer()?);
    let template = data.template()?;
    let builder = data.builder(&known, &tokenizer, &template)?;

    let mut questions = read_any_questions(data.folder.join("questions.parquet"))?;
    questions.iter_mut().for_each(|question| question.keep_latest(data.history));
    // What training knows beside the questions, as far as the template tells it.
    let contexts = Contexts::wanted(&data.folder, &questions, |field| template.mentions(field))?;
    questions.retain(|question| question.part != Part::Test);
    let (train, mut other): (Vec<_>, Vec<_>) =
        questions.into_iter().partition(|question| question.part == Part::Train);
    other.truncate(data.held_out);
    let samples = |questions: &[Question]| builder.samples(&contexts.of_all(questions));
    let (samples, held_out) = (samples(&train)?, samples(&other)?);

    let planner = config.planner(llama, &samples, &held_out)?;
    let facts = DeviceFacts::measure_for(&planner, &device);
    if arguments.plan {
        say!("{}", planner.estimate(&facts))?;
    }
    planner.plan(&facts)?; // or says what would fit
    if arguments.plan {
        return Ok(());
    }
    end_on_ctrl_c()?;
    let checkpoint = model.open_with_progress(fetching())?;
    let mut run = Run::start(out, &config, &checkpoint, &device, (&samples, &held_out))?
        .with_observer(ProgressLine::new("fine-tuning"));
    // Most templates make one sample of a question.
    if (samples.len(), held_out.len()) == (train.len(), other.len()) {
        let ids = |of: &[Question]| of.iter().map(|question| question.id.clone()).collect();
        run = run.with_sample_ids(ids(&train), ids(&other));
    }
    other.truncate(data.asked);
    if !other.is_empty() {
        run = run.with_questions(|model, accuracy| {
            let predictor = TemplateModel::new("fine_tuned", model, llama, builder.clone());
            let mut predictor = predictor.with_contexts(&contexts);
            evaluate_each(&mut predictor, &other, |prediction| accuracy.add(prediction.hit))?;
            Ok(())
        });
    }
    if in_order(|stop| run.train(stop))? == Ending::Interrupted {
        bail!("stopped after step {}; --resume goes on from there", run.trainer().steps());
    }
    save_adapter(out.join("adapter"), &run.into_best_model()?, &config.lora, &config.model.name)?;
    say!("adapter: {}", out.join("adapter").display())?;
    Ok(())
}
