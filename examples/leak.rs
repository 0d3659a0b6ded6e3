//! Fine-tunes a model on published questions, and asks what its score would be without the history.
//!
//! Run: `cargo run --release --example leak -- out/leaky.parquet --model out/quickstart/base`
//!
//! Some published questions give their answers away: the seed project's, where titles were cleaned in the answer and not
//! in the other options, and whatever `seed_protocol` writes. The model learns on a part of them with the seed project's
//! prompt and is asked the rest, with and without the history, beside a rule that only counts digits and punctuation
//! marks. `report.html` says what that means. Ctrl-C leaves a checkpoint; the same command goes on from it.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use nextcart_adapters::LoraConfig;
use nextcart_data::{Question, read_any_questions};
use nextcart_eval::{
    Chance, Edited, Evaluation, FullAudit, ModelAuditOptions, PunctuationRule, Report,
    TemplateModel, audit, audit_model, evaluate, spread,
};
use nextcart_examples::{
    Tuning, ask, check_choice, checkpoint, end, end_on_ctrl_c, example, find_device, log,
    question_file, say, wrapped,
};
use nextcart_models::Llama;
use nextcart_prompt::{Template, Wrapper};
use nextcart_text::{SampleBuilder, digest};
use nextcart_train::SftConfig;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Fine-tunes a model on published questions, and asks what its score would be without the history.
///
/// The model learns on some questions with the prompt of the seed project and is asked others, with and without the history,
/// beside a rule that counts digits and punctuation marks. --out gets the checkpoints, the adapter, all answers and
/// `report.html`. On two cores a model of 135 M parameters takes 10 to 15 s a step.
#[derive(Parser)]
#[command(name = "leak", version)]
#[command(after_help = example("leak -- out/leaky.parquet --model out/quickstart/base"))]
struct Arguments {
    /// Questions as Parquet: ours, or with the columns `history`, `options`, `answer_index` and `answer`; or a folder
    /// that `prepare` wrote.
    questions: PathBuf,
    /// Folder or hub id of a Llama-family checkpoint.
    #[arg(long)]
    model: String,
    /// Folder for all that is written.
    #[arg(long, default_value = "out/leak")]
    out: PathBuf,
    /// Questions to learn from, spread over the file.
    #[arg(long, default_value_t = 800)]
    train: usize,
    /// Other questions to be asked.
    #[arg(long, default_value_t = 600)]
    test: usize,
    /// Of these, questions to the model before it learnt, spread over them.
    #[arg(long, default_value_t = 200)]
    untuned: usize,
    /// Of these, questions to be asked with other histories and in other orders, spread over them.
    #[arg(long, default_value_t = 60)]
    audited: usize,
    /// Blocks with adapters, the last ones: those below need no backward pass.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..))]
    blocks: u16,
    /// Highest learning rate; the seed project's.
    #[arg(long, default_value_t = 1e-3)]
    learning_rate: f64,
}

fn main() -> ExitCode {
    log("error,hf_hub=off");
    end(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    end_on_ctrl_c()?;
    let all = read_any_questions(question_file(&arguments.questions))?;
    check_choice(&all, &arguments.questions)?;
    let mut audit = FullAudit { questions: audit(&all)?, models: Vec::new() };
    // Without a title, an option is nothing that a model could say.
    let (all, nameless): (Vec<Question>, Vec<Question>) = all.into_iter().partition(|question| {
        question.candidates.iter().all(|option| !option.title.trim().is_empty())
    });
    let (train, test) = split(&all, arguments)?;
    say!("{}\n", wrapped(audit.explain()))?;

    let device = find_device()?;
    let checkpoint = checkpoint(&arguments.model)?;
    let (llama, tokenizer) = (checkpoint.config().clone(), checkpoint.tokenizer()?);
    let template = Template::builtin("seed")?;
    let builder = SampleBuilder::new(&tokenizer, &template, Wrapper::Seed).with_max_tokens(800);
    let samples = builder.samples(&train)?;
    let identity = format!(
        "{} {} {} {}",
        checkpoint.fingerprint()?,
        arguments.blocks,
        arguments.learning_rate,
        digest(&samples)
    );
    let ask = |name: &str, model: &Llama, blind: bool, asked: &[Question]| {
        let model = TemplateModel::new(name, model, &llama, builder.clone());
        match blind {
            true => {
                let mut twin = Edited::without_history(model).named(name);
                ask(&mut twin, asked, &identity, &arguments.out)
            }
            false => ask(&mut { model }, asked, &identity, &arguments.out),
        }
    };
    let base = checkpoint.load(&device)?;
    let some = spread(&test, arguments.untuned);
    let untuned = (!some.is_empty()).then(|| ask("base", &base, false, &some)).transpose()?;
    let tuning = Tuning {
        out: &arguments.out,
        base: &arguments.model,
        lora: LoraConfig::new()
            .with_rank(16)
            .with_alpha(16.0)
            .with_target_modules(llama.last_blocks(arguments.blocks.into())),
        seed: 3407,
        config: SftConfig {
            epochs: 1,
            batch_size: 8,
            group_by_length: true,
            learning_rate: arguments.learning_rate,
            warmup_steps: 3.min(samples.len() as u64 / 16),
            ..SftConfig::default()
        },
        save: 25,
    };
    let (tuned, losses) = tuning.train(base, &llama, &samples)?;
    let mut evaluations =
        vec![ask("fine_tuned", &tuned, false, &test)?, ask("history_blind", &tuned, true, &test)?];
    evaluations.extend(untuned);
    evaluations.push(evaluate(&mut PunctuationRule, &test)?);
    evaluations.push(evaluate(&mut Chance, &test)?);
    let some = spread(&test, arguments.audited);
    if !some.is_empty() {
        let answers = spread(&evaluations[0].predictions, arguments.audited);
        let full = Evaluation::of("fine_tuned", answers)?;
        let mut model = TemplateModel::new("fine_tuned", &tuned, &llama, builder.clone());
        let options = ModelAuditOptions { ordered: some.len() / 4, ..Default::default() };
        audit.models.push(audit_model(&mut model, &full, &some, &options)?);
    }

    let [full, blind] = [0, 1].map(|of| 100.0 * evaluations[of].accuracy);
    let conclusion = format!(
        "Without any history, which it never learnt to do without, the model still reaches {blind:.1} of its {full:.1} %."
    );
    let notes = [
        format!("questions: {} to learn from, {} to be asked", train.len(), test.len()),
        format!("of these, equal to one to learn from: {}", learnt(&train, &test)),
        format!("left out, but for the audit, as an option has no title: {}", nameless.len()),
        conclusion.clone(),
    ];
    let report = Report {
        notes: &notes,
        questions: &test,
        evaluations: &evaluations,
        audit: Some(&audit),
        ..Report::of_run("Questions that give their answers away", &losses, &[])
    };
    say!("{}\n{}", report.table(), wrapped(notes.join("\n")))?;
    for model in &audit.models {
        say!("\n{}\n", wrapped(model.explain()))?;
    }
    say!("report: {}", report.write(&arguments.out)?.html.display())?;
    Ok(())
}

/// Questions to learn from and to be asked, both spread evenly over the file, none in both.
fn split(all: &[Question], arguments: &Arguments) -> Result<(Vec<Question>, Vec<Question>)> {
    let wanted = arguments.train + arguments.test;
    if arguments.train == 0 || arguments.test == 0 || all.len() < wanted {
        bail!(
            "`{}`: expected at least {wanted} questions with a title for every option, one to learn from and one to be \
             asked among them, found {}",
            arguments.questions.display(),
            all.len()
        );
    }
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for place in 0..wanted {
        let question = all[place * all.len() / wanted].clone();
        // Their shares, mixed.
        match (place + 1) * arguments.test / wanted > test.len() {
            true => test.push(question),
            false => train.push(question),
        }
    }
    Ok((train, test))
}

/// Questions to be asked that equal one to learn from in history and answer.
fn learnt(train: &[Question], test: &[Question]) -> usize {
    let told = |question: &Question| -> Vec<String> {
        let answer = &question.candidates[question.answer];
        let history = question.history.iter().map(|purchase| &purchase.product);
        history.chain([answer]).map(|product| product.title.clone()).collect()
    };
    let known: HashSet<Vec<String>> = train.iter().map(told).collect();
    test.iter().filter(|question| known.contains(&told(question))).count()
}
